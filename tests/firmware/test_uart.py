"""The driver on an external processor: over the UART of a virtual board, and when bytes are damaged on the way."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from fake_port import Faults, Proxy
from hillock.gen.firmware_data import output_tokens
from hillock.gen.firmware_image import crc, firmware_image
from hillock.gen.firmware_program import FIRMWARE
from hillock.gen.pipeline import place_pipeline
from hillock.gen.virtual_board import virtual_board
from hillock.sim import golden
from hillock.sim.timing import time_inference
from link_networks import inputs_of, small

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / "build" / "test-board"
IMAGES = 5


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    program = tmp_path_factory.mktemp("client") / "client"
    sources = [HERE / "client.c", *sorted((FIRMWARE / "src").glob("*.c"))]
    flags = [
        "-std=c99",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fsanitize=address,undefined",
        f"-I{FIRMWARE / 'include'}",
    ]
    subprocess.run(["gcc", *flags, *map(str, sources), "-o", str(program)], check=True)
    return program


@pytest.fixture(scope="module")
def placement():
    return place_pipeline(small("image"), [], [4])


@pytest.fixture(scope="module")
def board(placement):
    with virtual_board(placement, cache=CACHE, loaded=False) as running:
        yield running


@pytest.fixture
def run(client, placement, tmp_path):
    """Runs images; returns the lines, what they must be, and the exit status."""

    def call(url, seed, attempts, answer=1500):
        inputs = inputs_of(placement.network, IMAGES, seed)
        (tmp_path / "image.bin").write_bytes(firmware_image(placement).astype("<u4").tobytes())
        (tmp_path / "inputs.bin").write_bytes(np.stack([given["image"] for given in inputs]).astype(np.uint8).tobytes())
        files = [str(tmp_path / name) for name in ("image.bin", "inputs.bin")]
        port = url.rpartition(":")[2]
        command = [str(client), port, *files, str(IMAGES), str(placement.network.input.neurons)]
        command += [str(attempts), str(answer)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
        print(done.stderr)
        expected = []
        for given in inputs:
            trace = golden.run(placement.network, **given)
            tokens = output_tokens(placement, trace)
            decided = time_inference(placement.pipeline, trace).decision
            figures = (trace.decision, decided, trace.layers[-1].spikes.sum(), crc(tokens), *trace.counts.tolist())
            expected.append(" ".join(map(str, figures)))
        return done.stdout.splitlines(), expected, done.returncode

    return call


def test_the_golden_results(board, run, seed):
    lines, expected, status = run(board.url, seed % 1000, 1, 60000)
    assert (lines, status) == ([*expected, "0 losses"], 0)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["to the board", "from the board"])
def test_damaged_bytes(board, run, seed, way):
    """Never a wrong result: each loss is noticed, and all is done again until it is right."""
    rates = (2e-4, 0) if way == "to the board" else (0, 2e-4)
    faults = [Faults(rate, seed + number, delays=(0.001, 0.05)) for number, rate in enumerate(rates)]
    losses = 0
    with Proxy(board.url, *faults) as proxy:
        while sum(one.damaged for one in faults) < 3:
            lines, expected, status = run(proxy.url, seed % 1000, 100)
            assert status == 0
            assert lines[:-1] == expected
            losses += int(lines[-1].removesuffix(" losses"))
    assert losses > 0


def test_a_wire_that_is_cut(board, run, seed):
    with Proxy(board.url, Faults(1.0, seed, kinds=("drop",)), Faults(0, 0)) as proxy:
        lines, _, status = run(proxy.url, 1, 2)
    assert status == 1
    assert lines == ["the bus did not answer: look at the port's read and write functions, and at the wires"]
