"""The same digits three ways: `make sim`, the host library at a virtual board, and C on a processor beside the core.

Each way has a design of its own around the core, compiled on its own. What they give is compared with each other, and
with the golden model.
"""

from pathlib import Path

import numpy as np
import pytest

from hillock.gen.datasets import load_dataset
from hillock.gen.firmware_data import output_tokens
from hillock.gen.firmware_image import crc
from hillock.gen.firmware_program import prebuilt
from hillock.gen.firmware_soc import simulate_soc
from hillock.gen.host_program import host_program
from hillock.gen.image import memory_init
from hillock.gen.manifest import read_images, write_images
from hillock.gen.mapping import fit, place
from hillock.gen.models import load_model
from hillock.gen.pipeline import place_pipeline
from hillock.gen.simulate import put
from hillock.gen.verilog import core_verilog
from hillock.gen.virtual_board import virtual_board
from hillock.host.board import Board
from hillock.host.connection import Limits
from hillock.sim import golden, harness
from hillock.sim.timing import time_inference
from hillock.sim.token_words import pack
from soc_lines import Figures, results

ROOT = Path(__file__).resolve().parents[2]
LANES, IMAGES = 16, 8


@pytest.fixture(scope="module")
def inputs():
    return [{"image": pixels.astype(np.int64)} for pixels in load_dataset("digits").test_images[:IMAGES]]


@pytest.fixture(scope="module")
def placement():
    return place_pipeline(load_model("digits").network, [], [LANES])


def tokens_of(placement, events):
    """The output words of (address, payload), with an address of None at the end of each timestep."""
    steps: list[list[tuple[int, int]]] = [[]]
    for address, payload in events:
        if address is None:
            steps.append([])
        else:
            steps[-1].append((address, payload))
    assert steps.pop() == []
    return pack(steps, placement.network.layers[-1].shape, placement.configs[-1])


@pytest.fixture(scope="module")
def simulated(placement, inputs, tmp_path_factory):
    """As `make sim` does it: the gateware of the core alone, from images on the disk."""
    network, folder = placement.network, tmp_path_factory.mktemp("images")
    write_images(place(network, fit(network, LANES)), folder)
    stored, placed = read_images(folder)
    program = harness.build(
        core_verilog(placed.config, memory_init(stored)), placed.config, ROOT / "build" / "test-sim" / "verilator"
    )
    stimulus = harness.Stimulus()
    for given in inputs:
        put(stimulus, placed, **given)
    found = []
    for one in program.run(stimulus).runs(placed.plan):
        spikes = one.spikes[-1]
        tokens = tokens_of(placement, [(address, payload) for _, address, payload in one.output])
        counts = tuple(spikes[network.delay :].sum(axis=0).tolist())
        found.append(Figures(one.decision, one.decision_cycle, int(spikes.sum()), crc(tokens), counts))
    return found


@pytest.fixture(scope="module")
def on_the_board(placement, inputs):
    """By the host library, over the UART of the whole board design."""
    found = []
    with (
        virtual_board(placement, cache=ROOT / "build" / "test-board", loaded=False) as running,
        Board.open(running.url, limits=Limits(answer=5)) as board,
    ):
        board.load(host_program(placement))
        for given in inputs:
            one = board.run(potentials=True, **given)  # with these, the counts are those of the core's counters
            assert one.cycles is not None
            assert one.spikes is not None
            assert one.counts is not None
            tokens = crc(tokens_of(placement, one.events))
            counts = tuple(one.counts.tolist())
            found.append(Figures(one.decision, one.cycles, int(one.spikes.sum()), tokens, counts))
    return found


@pytest.fixture(scope="module")
def said(placement, inputs):
    """By the driver in C, on the processor of the system on chip, after its self-test of the whole core."""
    return simulate_soc(placement, inputs, prebuilt(), cache=ROOT / "build" / "test-soc")


@pytest.fixture(scope="module")
def expected(placement, inputs):
    found = []
    for given in inputs:
        trace = golden.run(placement.network, **given)
        figures = (trace.decision, time_inference(placement.pipeline, trace).decision)
        spikes = int(trace.layers[-1].spikes.sum())
        found.append(Figures(*figures, spikes, crc(output_tokens(placement, trace)), tuple(trace.counts.tolist())))
    return found


def test_the_same_three_ways(simulated, on_the_board, said, expected):
    """Decisions, clock cycles, spikes by neuron and timestep, counts."""
    by_firmware = results(said.lines)
    assert len(simulated) == IMAGES
    assert simulated == on_the_board == by_firmware
    assert simulated == expected


def test_what_the_firmware_says_is_what_its_document_shows(said):
    lines = [f"    {line}" for line in (*said.lines, f"{said.cycles:,} clock cycles")]
    assert "\n".join(("", *lines, "")) in (ROOT / "docs" / "firmware.md").read_text()
    assert said.lines[3:8] == (
        "PASS  core 0: 9 registers",
        "PASS  core 0: 3 layers",
        "PASS  core 0: 640 synapses",
        "PASS  core 0: 17 currents",
        "PASS  core 0: 13 potentials",
    )
    assert said.lines[-1] == f"PASS  {8 + IMAGES} steps, 0 failed, {IMAGES} inferences"
