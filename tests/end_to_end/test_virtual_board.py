"""Digits through the whole board design by the host library: the golden model's spikes, decisions and cycles."""

from pathlib import Path

import numpy as np
import pytest

from fake_port import Faults, Proxy
from hillock.gen.datasets import load_dataset
from hillock.gen.host_program import host_program
from hillock.gen.models import load_model
from hillock.gen.pipeline import place_pipeline
from hillock.gen.virtual_board import virtual_board
from hillock.host.board import Board
from hillock.host.connection import Limits
from hillock.host.inference import Wishes
from hillock.host.results import difference
from hillock.sim import golden
from hillock.sim.timing import time_inference

CACHE = Path(__file__).resolve().parents[2] / "build" / "test-board"
IMAGES = 8
PATIENT = Limits(answer=5)  # on a machine that has other things to do too


@pytest.fixture(scope="module")
def placement():
    return place_pipeline(load_model("digits").network, [], [16])


@pytest.fixture(scope="module")
def program(placement):
    return host_program(placement)


@pytest.fixture(scope="module")
def inputs():
    return [{"image": pixels.astype(np.int64)} for pixels in load_dataset("digits").test_images[:IMAGES]]


@pytest.fixture(scope="module")
def traces(placement, inputs):
    return [golden.run(placement.network, **given) for given in inputs]


@pytest.fixture(scope="module")
def virtual(placement):
    with virtual_board(placement, cache=CACHE, loaded=False, pty=True) as running:
        yield running


@pytest.mark.parametrize("way", ["socket", "terminal"])
def test_alone(way, virtual, placement, program, inputs, traces):
    """Output spikes, counts, final potentials of every layer, decision and cycles."""
    with Board.open(virtual.tcp_url if way == "socket" else virtual.pty_path, limits=PATIENT) as board:
        board.load(program)
        for given, trace in zip(inputs[:3], traces, strict=False):
            result = board.run(potentials=True, **given)
            assert difference(program, result, trace, time_inference(placement.pipeline, trace).decision) is None
            assert result.cycles == time_inference(placement.pipeline, trace).decision
            assert result.counts is not None
            assert result.potentials is not None
            assert np.array_equal(result.counts, trace.counts)
            assert len(result.potentials) == len(trace.layers)
        assert board.errors() == [0]
        assert board.statistics.retries == 0


def test_one_loaded_while_another_runs(virtual, program, inputs, traces):
    with Board.open(virtual.url, limits=PATIENT) as board:
        board.load(program, read_back=False)
        for result, trace in zip(board.run_many(inputs), traces, strict=True):
            assert difference(program, result, trace) is None
            assert result.spikes is not None
            assert np.array_equal(result.spikes, trace.layers[-1].spikes)


@pytest.mark.slow  # compiles another board; tests/hw/test_system.py runs one of two cores in each run
def test_a_pipeline(inputs, traces):
    placement = place_pipeline(load_model("digits").network, [2], [16, 2])
    program = host_program(placement)
    with (
        virtual_board(placement, cache=CACHE, loaded=False) as virtual,
        Board.open(virtual.url, limits=PATIENT) as board,
    ):
        board.load(program)
        assert board.identity.describe().split(": ", 1)[1].startswith("2 cores of 16 + 2 lanes")
        for result, trace in zip(board.run_many(inputs), traces, strict=True):
            assert difference(program, result, trace) is None
        result = board.run(potentials=True, **inputs[0])
        assert difference(program, result, traces[0]) is None


@pytest.mark.slow
def test_damaged_bytes(virtual, program, inputs, traces, seed):
    """A proxy in between damages some: results stay right."""
    faults = [Faults(rate, seed + way, delays=(0.001, 0.05)) for way, rate in enumerate((4e-5, 1e-4))]
    limits = Limits(silence=0.6, answer=1.0, attempts=100)
    with Proxy(virtual.url, *faults) as proxy, Board.open(proxy.url, limits=limits) as board:
        board.load(program, read_back=False)
        while sum(one.damaged for one in faults) < 12:
            results = board.run_many(inputs, wishes=Wishes(overlap=True))
            for result, trace in zip(results, traces, strict=True):
                assert difference(program, result, trace) is None
        assert board.statistics.retries > 0
