"""A compact core with a synapse memory of one port, behind its link: digits as the golden model has them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hillock.gen.datasets import load_dataset
from hillock.gen.host_program import host_program
from hillock.gen.models import load_model
from hillock.gen.pipeline import place_pipeline
from hillock.gen.virtual_board import virtual_board
from hillock.host.board import Board
from hillock.host.connection import Limits
from hillock.host.results import difference
from hillock.sim import golden
from hillock.sim.timing import time_inference
from link_networks import inputs_of, small

CACHE = Path(__file__).resolve().parents[2] / "build" / "test-board"
PATIENT = Limits(answer=5)  # on a machine that has other things to do too
SMALL: dict[str, Any] = {"compact": 1, "single_port": 1}


@pytest.fixture(scope="module")
def placement():
    return place_pipeline(load_model("digits").network, [], [8], input_queue=0, **SMALL)


def test_digits_loaded_over_the_link(placement):
    """Output spikes, counts, final potentials of every layer, decision and cycles, and memories that read back."""
    program, images = host_program(placement), load_dataset("digits").test_images[:6]
    inputs = [{"image": pixels.astype(np.int64)} for pixels in images]
    traces = [golden.run(placement.network, **given) for given in inputs]
    with (
        virtual_board(placement, cache=CACHE, loaded=False) as running,
        Board.open(running.url, limits=PATIENT) as board,
    ):
        board.load(program)
        for given, trace in zip(inputs[:3], traces, strict=False):
            result = board.run(potentials=True, **given)
            assert difference(program, result, trace, time_inference(placement.pipeline, trace).decision) is None
            assert result.counts is not None
            assert np.array_equal(result.counts, trace.counts)
            assert result.counts.any()
            assert result.potentials is not None
            assert len(result.potentials) == len(trace.layers)
        for result, trace in zip(board.run_many(inputs), traces, strict=True):
            assert difference(program, result, trace) is None
        assert board.errors() == [0]


def test_events(seed):
    """Input that comes over the link, through the queues of link and core, and so in its own time."""
    network = small("events", seed % 1000)
    placement = place_pipeline(network, [], [2], **SMALL)
    program, inputs = host_program(placement), inputs_of(network, 6, seed % 1000)
    with (
        virtual_board(placement, cache=CACHE, loaded=False) as running,
        Board.open(running.url, limits=PATIENT) as board,
    ):
        board.load(program)
        for given in inputs:
            trace = golden.run(network, **given)
            result = board.run(potentials=True, **given)
            assert difference(program, result, trace) is None
        assert board.errors() == [0]
