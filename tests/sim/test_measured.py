"""What the program wrote is cut into inferences, and what cannot be right is refused."""

import re
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest

from hillock.hw.problems import HillockError
from hillock.sim.measured import Measured, measured_runs
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, Network, Shape
from hillock.sim.plan import Pipeline, as_pipeline
from plain_plans import plain_plan

LANES, BITS = 3, 16


def layer(name: str, source: str, neurons: int, inputs: int) -> Layer:
    weights = Dense(np.ones((inputs, neurons), int))
    return Layer(name=name, shape=Shape(neurons), threshold=1, connections=(Connection(source, weights),))


def network(*layers: Layer, inputs: int) -> Network:
    return Network(name="n", input=Shape(inputs), layers=layers, timesteps=2, decision=Decision.NONE)


FIRST, SECOND = layer("first", INPUT, 4, 2), layer("second", "first", 2, 4)
PIPELINE = as_pipeline(plain_plan(network(FIRST, SECOND, inputs=2), LANES))
"""Two words (of three lanes and of one), and one word of two lanes."""


def row(cycle: int, index: int, word: int, spikes: int, *potentials: int) -> list[int]:
    """A word of the trace."""
    packed = sum((value & (1 << BITS) - 1) << lane * BITS for lane, value in enumerate(potentials))
    return [cycle, index, word, spikes, packed & 0xFFFFFFFF, packed >> 32]


TRACE = [
    row(10, 0, 0, 0b101, 1, -2, 3), row(11, 0, 1, 0b1, 4, 0, 0), row(20, 1, 2, 0b10, -5, 6, 0),
    row(30, 0, 0, 0b000, 7, 8, 9), row(31, 0, 1, 0b0, -9, 0, 0), row(40, 1, 2, 0b01, 32767, -32768, 0),
]  # fmt: skip
MARKER = 1 << 10  # of the default core, with 1,024 channels
OUTPUT = [[24, 1, 0], [25, MARKER, 0], [44, 0, 0], [45, MARKER, 0]]


def words(traces: list[list[list[int]]], output: list[list[int]], decisions: list[list[int]]) -> Any:
    flat = [[value for one in trace for value in one] for trace in traces]
    head = [*map(len, flat), sum(map(len, output)), len(decisions)]
    return np.array([*head, *chain(*flat), *chain(*output), *chain(*decisions)], np.uint32)


def only(found: Any) -> Measured:
    (one,) = found
    assert isinstance(one, Measured)
    return one


def test_an_inference():
    got = only(measured_runs(words([TRACE], OUTPUT, [[1, 46]]), PIPELINE))
    assert [spikes.astype(int).tolist() for spikes in got.spikes] == [
        [[1, 0, 1, 1], [0, 0, 0, 0]], [[0, 1], [1, 0]]
    ]  # fmt: skip
    assert [potentials.tolist() for potentials in got.potentials] == [
        [[1, -2, 3, 4], [7, 8, 9, -9]], [[-5, 6], [32767, -32768]]
    ]  # fmt: skip
    assert got.fire.tolist() == [[10, 20], [30, 40]]
    assert not got.words_late
    assert got.output == [(24, 1, 1), (25, None, 0), (44, 0, 1), (45, None, 0)]
    assert (got.decision, got.decision_cycle) == (1, 46)


def test_inferences_one_behind_the_other():
    """Each has its timesteps, and its part of the output."""
    later = [[cycle + 100, *rest] for cycle, *rest in TRACE]
    output = [*OUTPUT, [124, MARKER, 0], [143, 1, 0], [144, 0, 0], [145, MARKER, 0]]
    one, two = measured_runs(words([TRACE + later], output, [[1, 46], [0, 146]]), PIPELINE)
    assert [got.fire.tolist() for got in (one, two)] == [[[10, 20], [30, 40]], [[110, 120], [130, 140]]]
    assert [len(got.output) for got in (one, two)] == [4, 4]
    assert two.output[0] == (124, None, 0)
    assert [(got.decision, got.decision_cycle) for got in (one, two)] == [(1, 46), (0, 146)]
    assert np.array_equal(one.potentials[0], two.potentials[0])


def test_the_layers_of_several_cores():
    """The trace of each core has its own numbers of layers and words."""
    parts = [
        plain_plan(network(FIRST, inputs=2), LANES),
        plain_plan(network(layer("second", INPUT, 2, 4), inputs=4), 3),
    ]
    first = [one for one in TRACE if one[1] == 0]
    second = [[cycle, 0, 0, *rest] for cycle, index, _, *rest in TRACE if index == 1]
    pipeline = Pipeline(PIPELINE.network, tuple(parts))
    got = only(measured_runs(words([first, second], OUTPUT, [[1, 46]]), pipeline))
    alone = only(measured_runs(words([TRACE], OUTPUT, [[1, 46]]), PIPELINE))
    assert np.array_equal(got.fire, alone.fire)
    for name in ("spikes", "potentials"):
        assert all(map(np.array_equal, getattr(got, name), getattr(alone, name)))


def test_a_word_that_is_late():
    trace = [list(one) for one in TRACE]
    trace[4][0] = 32
    assert only(measured_runs(words([trace], OUTPUT, [[1, 46]]), PIPELINE)).words_late


def test_a_fire_pass_that_is_missing():
    """Its cycle is -1; what came is there."""
    got = only(measured_runs(words([TRACE[:5]], OUTPUT, [[1, 46]]), PIPELINE))
    assert [len(spikes) for spikes in got.spikes] == [2, 1]
    assert got.fire.tolist() == [[10, 20], [30, -1]]


def change(at: int, column: int, value: int) -> Callable[[list[list[int]]], None]:
    return lambda trace: trace[at].__setitem__(column, value)


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (change(1, 2, 0), "layer 'first': the words of its fire passes came in a wrong order"),
        (change(5, 2, 3), "layer 'second': the words of its fire passes came in a wrong order"),
        (lambda trace: trace.pop(1), "layer 'first': the words of its fire passes came in a wrong order"),
        (change(1, 3, 0b10), "layer 'first': a lane without a neuron fired"),
        (change(2, 3, 0b100), "layer 'second': a lane without a neuron fired"),
    ],
)
def test_what_cannot_be_right(edit, text):
    trace = [list(one) for one in TRACE]
    edit(trace)
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        list(measured_runs(words([trace], OUTPUT, [[1, 46]]), PIPELINE))
