"""The Verilog of a core: the same text wherever it is made, no latches, and clean under Verilator's lint."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hillock.hw
from hillock.gen.verilog import accelerator_verilog, core_verilog, without_contents
from hillock.hw.config import CoreConfig
from hillock.hw.core import MemoryInit
from hillock.sim.tool import find_verilator

SMALL = {"max_layers": 2, "max_connections": 3, "max_channels": 9, "potential_words": 8, "synapse_words": 32,
         "current_words": 8, "queue_words": 4, "classes": 5}  # fmt: skip
GRIDS = {"max_height": 5, "max_width": 6, "row_entries": 9, "column_entries": 11}
CONFIGS = {
    "default": CoreConfig(),
    "one_of_everything": CoreConfig(
        lanes=1, weight_bits=4, potential_bits=4, fraction_bits=0, current_bits=2, leak_shift_bits=1, max_layers=1,
        max_connections=1, max_channels=1, potential_words=1, synapse_words=1, current_words=1, queue_words=1,
        classes=1, input_queue=4,
    ),
    "odd": CoreConfig(
        lanes=3, weight_bits=5, potential_bits=13, fraction_bits=3, current_bits=13, leak_shift_bits=2, **SMALL
    ),
    "wide": CoreConfig(lanes=2, weight_bits=16, potential_bits=32, fraction_bits=15, current_bits=32, **SMALL),
    "one_word": CoreConfig(lanes=16, **SMALL | {"potential_words": 1}),
    "grids": CoreConfig(lanes=5, **SMALL, **GRIDS),
    "compact": CoreConfig(lanes=4, leak_shift_bits=0, single_port=1, compact=1, input_queue=0, **SMALL),
    "everything": CoreConfig(
        lanes=5, columns_per_word=3, channel_entries=7, replay_words=9, static_input=1, image_banks=2, passes_on=1,
        payload_bits=4, **SMALL, **GRIDS,
    ),
}  # fmt: skip

WAIVERS = """\
`verilator_config
// One file holds all modules of a core, and their names say where in the core they are: core.array.
lint_off -rule DECLFILENAME
// Amaranth writes constants, and Yosys comparisons with 0, in the width they need; both extend as Verilog does.
lint_off -rule WIDTHEXPAND
lint_off -rule WIDTHTRUNC
// A struct has a wire for every field, an array for every element, an interface for each of its ends, used or not; a
// sum has the carry that is then cut off. UNDRIVEN, the other half of this check, stays on.
lint_off -rule UNUSEDSIGNAL
// A register that is initialized where it is declared and assigned at the clock: how an FPGA is configured.
lint_off -rule PROCASSINIT
// Amaranth assigns the default before the case, as LATCH, which stays on, checks.
lint_off -rule CASEINCOMPLETE
// The address of a memory of one word has no bits, and is not used.
lint_off -rule ASCRANGE -file "*" -match "*Ascending bit range vector: left < right of bit range: ?-1:0?*"
"""


def ports(verilog):
    """The names of the ports of the accelerator."""
    return re.findall(r"\w+", verilog.partition("\nmodule accelerator(")[2].partition(");")[0])


def lint(verilog, folder):
    """What Verilator says against it, as (rule, text)."""
    tool = find_verilator()
    (folder / "accelerator.v").write_text(verilog)
    (folder / "waivers.vlt").write_text(WAIVERS)
    command = ["verilator", "--lint-only", "-Wall", "--top-module", "accelerator", "waivers.vlt", "accelerator.v"]
    done = subprocess.run(command, cwd=folder, env=tool.environment(), capture_output=True, text=True, check=False)
    found = re.findall(r"^%(?:Warning-(\w+)|Error): (?!Exiting)(.*)", done.stderr, re.MULTILINE)
    assert (done.returncode == 0) == (not found), done.stderr
    assert all(rule for rule, _ in found), done.stderr
    return found


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_lint_is_clean(config, tmp_path):
    assert lint(core_verilog(config), tmp_path) == []


def test_lint_is_clean_without_trace_ports(tmp_path):
    with_trace, without = (core_verilog(CONFIGS["odd"], trace=trace) for trace in (True, False))
    traced = {f"trace0_{name}" for name in ("valid", "layer", "word", "spikes", "potentials")}
    assert set(ports(with_trace)) - set(ports(without)) == traced
    assert set(ports(without)) - set(ports(with_trace)) == set()
    assert lint(without, tmp_path) == []


def test_lint_is_clean_with_several_cores(tmp_path):
    assert lint(accelerator_verilog([CONFIGS["everything"], CONFIGS["odd"], CONFIGS["wide"]]), tmp_path) == []


@pytest.mark.parametrize(
    ("planted", "rule"),
    [
        ("reg planted; always @* if (bus__stb) planted = bus__we;", "LATCH"),
        ("wire planted; wire source; assign planted = source;", "UNDRIVEN"),
        ("wire [0:1] both; assign both = {2{bus__we}}; wire planted; assign planted = both[1];", "ASCRANGE"),
        ("reg planted; always @(posedge clk) planted <= bus__adr[26];", "SELRANGE"),
        ("wire planted; assign planted = planted ^ bus__we;", "UNOPTFLAT"),
    ],
)
def test_lint_finds_what_is_planted(planted, rule, tmp_path):
    """The waivers hide nothing of this kind."""
    before, _, behind = core_verilog(CONFIGS["one_of_everything"]).partition("module accelerator(")
    listed, _, body = behind.partition(");")
    verilog = f"{before}module accelerator(planted, {listed});\n  output planted;\n  {planted}\n{body}"
    assert rule in dict(lint(verilog, tmp_path))


def test_each_waiver_is_needed(tmp_path):
    """With everything on, just the rules that are waived are broken, by one core or another."""
    waived = re.findall(r"-rule (\w+)", WAIVERS)
    found = set()
    for config in (CONFIGS["one_of_everything"], CONFIGS["odd"]):
        (tmp_path / "accelerator.v").write_text(core_verilog(config))
        command = ["verilator", "--lint-only", "-Wall", "--top-module", "accelerator", "accelerator.v"]
        tool = find_verilator()
        done = subprocess.run(
            command, cwd=tmp_path, env=tool.environment(), capture_output=True, text=True, check=False
        )
        found |= set(re.findall(r"^%Warning-(\w+)", done.stderr, re.MULTILINE))
    assert found == set(waived)


def made_elsewhere(folder, hash_seed, lines_before):
    """The Verilog as made by another process, in another folder, from another line."""
    script = "\n" * lines_before + (
        "import sys\n"
        "from hillock.gen.verilog import core_verilog\n"
        "from hillock.hw.config import CoreConfig\n"
        "from hillock.hw.core import MemoryInit\n"
        f"config = CoreConfig(**{CONFIGS['odd'].as_dict()!r})\n"
        "sys.stdout.write(core_verilog(config, MemoryInit(synapses=[1, 2, 3], registers={'input_channels': 7})))\n"
    )
    (folder / "made.py").write_text(script)
    done = subprocess.run([sys.executable, "made.py"], cwd=folder, env={**os.environ, "PYTHONHASHSEED": hash_seed},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_text_depends_on_the_configuration_alone(tmp_path):
    init = MemoryInit(synapses=[1, 2, 3], registers={"input_channels": 7})
    texts = [core_verilog(CONFIGS["odd"], init)]
    texts.append(core_verilog(CONFIGS["odd"], init))
    texts += [made_elsewhere(tmp_path, "1", 0), made_elsewhere(tmp_path, "2", 99)]
    assert texts == texts[:1] * 4
    assert core_verilog(CONFIGS["odd"]) != texts[0]


def test_no_path_and_no_date():
    verilog = core_verilog(CONFIGS["odd"])
    assert not re.search(r"(^|[\s\"'(=:])/\w+/", verilog, re.MULTILINE)
    assert not re.search(r"\b(19|20)\d\d\b.*\d\d?:\d\d|\b20\d\d-\d\d", verilog)
    for text in (".py", "src =", str(Path.cwd()), str(Path(hillock.hw.__file__).parent), sys.prefix):
        assert text not in verilog


def held(verilog: str) -> list[str]:
    """The names of the memories that hold something at power-up."""
    return re.findall(r"reg \[\d+:0\] (\S+) \[\d+:0\];\n  initial begin", verilog)


def test_large_rams_and_working_memories_hold_nothing_and_the_others_what_they_did():
    init = MemoryInit(synapses=[0x11, 0x22, 0x33], currents=[0x44, 0x55])
    plain, compact = core_verilog(CONFIGS["odd"], init), core_verilog(CONFIGS["compact"], init)
    assert {"potentials", "storage", "counts"} < set(held(plain))
    assert {"words", "currents", "neurons", "descriptors", "connections"} < set(held(plain))
    for verilog, synapses in ((plain, ["words"]), (compact, [])):
        stripped = without_contents(verilog)
        kept = [name for name in held(verilog) if name not in ("potentials", "storage", "counts", "words")]
        assert sorted(held(stripped)) == sorted([*kept, *synapses])
        assert re.findall(r" reg \[.*;", stripped) == re.findall(r" reg \[.*;", verilog)  # none has gone
        assert without_contents(stripped) == stripped
        # What holds nothing but zeros goes on request; a current and a synapse word are not zero.
        assert sorted(held(without_contents(verilog, zeros=True))) == sorted(["currents", *synapses])
        assert (
            [line for line in verilog.splitlines() if "55;" in line]
            == [line for line in stripped.splitlines() if "55;" in line]
            != []
        )
    assert "32'd51;" in compact
    assert "32'd51;" not in without_contents(compact)
    assert 'ram_style = "huge"' in without_contents(compact)
