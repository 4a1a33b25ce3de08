"""What a simulation knows of where a network lies is what the generator does with it, and what layouts say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.gen.mapping import fit, place
from hillock.sim.layout import walk_lengths
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, Network, Shape
from hillock.sim.plan import Pipeline, Plan, as_pipeline
from plain_plans import plain_plan
from random_networks import random_graph


def layer(name: str, *sources: str, shape: Shape | None = None) -> Layer:
    """Three neurons (or `shape`) behind layers of three."""
    shape = shape or Shape(3)
    synapses = Dense(np.ones((3, shape.neurons), int))
    return Layer(name=name, shape=shape, threshold=1, connections=tuple(Connection(one, synapses) for one in sources))


def network(*layers: Layer) -> Network:
    return Network(name="n", input=Shape(3), layers=layers, decision=Decision.NONE)


def test_a_chain_takes_its_events_from_the_queue():
    plan = plain_plan(network(layer("a", INPUT), layer("b", "a"), layer("c", "b")), 2)
    assert [plan.feeds_next(index) for index in range(3)] == [True, True, False]
    assert [plan.takes_queue(index, 0) for index in range(3)] == [False, True, True]


def test_the_queue_is_for_the_first_walk_behind_a_layer():
    """All others take theirs from the replay memory."""
    plan = plain_plan(network(layer("a", INPUT), layer("b", "a"), layer("c", "a", "b"), layer("d", "c", "a")), 2)
    assert [plan.feeds_next(index) for index in range(4)] == [True, False, True, False]
    assert [[plan.takes_queue(index, n) for n in range(2)] for index in (2, 3)] == [[False, False], [True, False]]
    twice = plain_plan(network(layer("a", INPUT), layer("b", "a", "a")), 2)
    assert [twice.takes_queue(1, n) for n in range(2)] == [True, False]


def test_a_layer_without_connections_takes_nothing():
    lonely = Layer(name="b", shape=Shape(3), threshold=1, currents=np.array([1, 2, 3]))
    plan = plain_plan(network(layer("a", INPUT), lonely, layer("c", "b")), 2)
    assert [plan.feeds_next(index) for index in range(3)] == [False, True, False]


def test_layers_lie_one_behind_the_other():
    shapes = [Shape(3), Shape(5, 2, 2), Shape(4)]
    layers = [layer(f"l{n}", INPUT, shape=shape) for n, shape in enumerate(shapes)]
    assert plain_plan(network(*layers), 2).potential_bases == [0, 2, 14]


def test_the_order_is_that_of_words_and_lanes():
    plan = plain_plan(network(layer("a", INPUT, shape=Shape(4, 1, 2))), 4, layouts={"a": (2, 2)})
    assert plan.slots[0].tolist() == [0, 1, 4, 5, 2, 3, 6, 7]
    assert plan.orders[0].tolist() == [0, 1, 4, 5, 2, 3, 6, 7]
    ascending = plain_plan(network(layer("a", INPUT, shape=Shape(4, 1, 2))), 4)
    assert ascending.orders[0].tolist() == list(range(8))


@settings(max_examples=150)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 12))
def test_it_agrees_with_the_generator(draw, lanes):
    """Potential words, which walks take the queue, and how long they are."""
    net = random_graph(np.random.default_rng(draw))
    config = fit(net, lanes)
    placement = place(net, config)
    plan = Plan(net, config, tuple(where.layout for where in placement.layers))
    assert plan.potential_bases == [where.potential_base for where in placement.layers]
    assert [plan.feeds_next(index) for index in range(len(net.layers))] == [
        where.feeds_next for where in placement.layers
    ]
    numbers = [(index, number) for index, part in enumerate(net.layers) for number in range(len(part.connections))]
    for (index, number), (_, connection), where in zip(numbers, net.walks(), placement.connections, strict=True):
        assert plan.takes_queue(index, number) == (where.source is not None and where.replay_base is None)
        lengths = walk_lengths(connection, net.shape_of(connection.source), plan.layouts[index])
        assert np.array_equal(plan.lengths[index][number], lengths)
    for order, slots, part in zip(plan.orders, plan.slots, net.layers, strict=True):
        assert sorted(order.tolist()) == list(range(part.neurons))
        assert (np.diff(slots[order]) > 0).all()


def test_a_pipeline_splits_what_there_is_for_each_layer():
    parts = [network(layer("a", INPUT)), network(layer("b", INPUT), layer("c", "b")), network(layer("d", INPUT))]
    whole = network(layer("a", INPUT), layer("b", "a"), layer("c", "b"), layer("d", "c"))
    plans = [plain_plan(part, lanes) for part, lanes in zip(parts, (2, 5, 3), strict=True)]
    pipeline = Pipeline(whole, tuple(plans))
    assert pipeline.lanes == 10
    assert pipeline.split("abcd") == ["a", "bc", "d"]


def test_a_single_core_is_a_pipeline_of_one():
    plan = plain_plan(network(layer("a", INPUT), layer("b", "a")), 7)
    pipeline = as_pipeline(plan)
    assert (pipeline.network, pipeline.plans, pipeline.lanes) == (plan.network, (plan,), 7)
    assert pipeline.split([1, 2]) == [[1, 2]]
    assert as_pipeline(pipeline) is pipeline


@pytest.mark.parametrize("lanes", [1, 3, 8])
def test_the_words_of_a_flat_layer(lanes):
    plan = plain_plan(network(layer("a", INPUT, shape=Shape(7))), lanes)
    assert [layout.words for layout in plan.layouts] == [-(-7 // lanes)]
