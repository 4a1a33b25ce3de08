"""What layers cost in their layouts: recordings as counts, queues that have room, and the layouts that are worth it."""

import numpy as np
import pytest

from hillock.gen.layer_costs import MAX_LANES, Recording, best_layout, layer_costs
from hillock.gen.layouts import choose_layouts
from hillock.hw.problems import Problems
from hillock.sim import golden
from hillock.sim.layout import Layout, walk_lengths
from hillock.sim.network import INPUT, Connection, Convolution, Decision, Dense, Layer, Network, Shape
from random_networks import random_graph, random_input


def grids() -> Network:
    """3x3x2 events, to 3 channels of 2x2, to 5 neurons."""
    rng = np.random.default_rng(2)
    conv = Connection(INPUT, Convolution(rng.integers(0, 99, (2, 2, 2, 3))))
    out = Connection("conv", Dense(rng.integers(0, 99, (12, 5))))
    layers = (
        Layer(name="conv", shape=Shape(3, 2, 2), threshold=900, reset_amount=700, connections=(conv,)),
        Layer(name="out", shape=Shape(5), threshold=900, connections=(out,)),
    )
    return Network(name="n", input=Shape(2, 3, 3), layers=layers, timesteps=3)


def recorded(net: Network, count: int, seed: int = 0) -> tuple[list[golden.Trace], Recording]:
    rng = np.random.default_rng(seed)
    traces = [golden.run(net, **random_input(rng, net)) for _ in range(count)]
    return traces, Recording(net, traces)


# Recordings


def test_events_are_counted_by_place():
    net = grids()
    trace = golden.run(net, events=[[0, 1, 17], [], [2, 2]])
    got = Recording(net, [trace, trace])
    assert (got.inferences, got.steps) == (2, 6)
    wanted = np.zeros((6, 9))
    wanted[[0, 3], 0] = 2  # both channels of the first place
    wanted[[0, 3], 8] = 1
    wanted[[2, 5], 1] = 2  # twice the same
    assert np.array_equal(got.events[INPUT], wanted)
    spikes = np.concatenate([trace.layers[0].spikes] * 2).reshape(6, 4, 3).sum(axis=2)
    assert np.array_equal(got.events["conv"], spikes)


def test_static_input_is_in_the_first_timestep():
    weights = np.ones((4, 2), int)
    layer = Layer(name="a", shape=Shape(2), threshold=9, connections=(Connection(INPUT, Dense(weights), static=True),))
    net = Network(name="n", input=Shape(4), layers=(layer,), timesteps=3)
    got = Recording(net, [golden.run(net, events=[[1, 3]])] * 2)
    assert got.events[INPUT].sum(axis=1).tolist() == [2, 0, 0, 2, 0, 0]


def test_an_image_is_not_an_event():
    shape = Shape(4)
    encoder = Layer(name="a", shape=shape, threshold=255, reset_amount=255, current_from_image=True)
    net = Network(name="n", input=shape, layers=(encoder,), timesteps=3)
    got = Recording(net, [golden.run(net, image=np.full(4, 255))])
    assert not got.events[INPUT].any()
    assert got.events["a"].sum() == 12


def recording_of(*counts: list[int]) -> Recording:
    """Events of each timestep by place, from a source called "a"."""
    got = Recording.__new__(Recording)
    got.events = {"a": np.array(counts, float)}
    return got


@pytest.mark.parametrize(
    ("depth", "steps", "tails"),
    [
        (3, [0, 0, 0], [30, 10, 0]),  # the last is the marker of the first timestep
        (4, [0, 0, 0], [40, 20, 10]),
        (6, [-1, 0, 0], [0, 40, 30]),
        (99, [-1, -1, -1], [0, 0, 0]),
    ],
)
def test_the_room_in_a_queue(depth, steps, tails):
    """Tokens 0 to 4 and a marker, 6 and a marker, a marker; each event walks 10 cycles."""
    step, tail = recording_of([5], [1], [0]).room("a", depth, np.array([10.0]))
    assert step.tolist() == steps
    assert tail.tolist() == tails


def test_the_last_events_are_those_of_the_last_places():
    step, tail = recording_of([2, 3]).room("a", 4, np.array([10.0, 1.0]))
    assert (step.tolist(), tail.tolist()) == ([0], [13])


# Layouts


def test_the_cost_of_a_layout_by_hand():
    net = grids()
    traces, recording = recorded(net, 2)
    found = layer_costs(net, 0, recording)
    assert [one.layout for one in found] == [(1, 1), (2, 1), (3, 1), (3, 2)]
    last = found[-1]
    # 2x2 places of 3 channels, two columns in a word: 2 words, and a tap of one word.
    assert (last.lanes, last.words, last.ascending) == (6, 2, True)
    # An event in the middle reaches 2 rows of one word, one at a corner 1.
    assert last.lengths[0].tolist() == [1, 1, 1, 2, 2, 2, 1, 1, 1]
    events = sum(len(step) for trace in traces for step in trace.events)
    middle = sum(address // 2 // 3 == 1 for trace in traces for step in trace.events for address, _ in step)
    assert last.walks[0].sum() == events + middle
    # Kernel of 2 rows, a row of 2 + 1 columns as two columns see it, 2 channels of the source.
    assert last.rank == (events + middle + 6 * 2, 2 * 3 * 2)


def test_none_is_beaten_by_one_of_fewer_lanes(seed):
    rng = np.random.default_rng(seed)
    for number in range(20):
        net = random_graph(rng, max_layers=3)
        _, recording = recorded(net, 1, seed + number)
        for index in range(len(net.layers)):
            found = layer_costs(net, index, recording)
            assert [one.lanes for one in found] == sorted(one.lanes for one in found)
            for at, one in enumerate(found):
                for other in found[:at]:
                    assert one.rank < other.rank or (one.ascending and not other.ascending)


def test_walks_are_those_of_the_simulation(seed):
    """Every event takes the cycles of its walk, in its timestep."""
    rng = np.random.default_rng([seed, 1])
    for number in range(20):
        net = random_graph(rng, max_layers=3)
        traces, recording = recorded(net, 1, seed + number)
        for index, layer in enumerate(net.layers):
            for one in layer_costs(net, index, recording):
                layout = Layout(layer.shape, one.lanes, *one.layout)
                assert one.words == layout.words
                for connection, walk in zip(layer.connections, one.walks, strict=True):
                    lengths = walk_lengths(connection, net.shape_of(connection.source), layout)
                    assert walk.tolist() == cycles_of(net, traces[0], connection, lengths)


def cycles_of(net: Network, trace: golden.Trace, connection: Connection, lengths: np.ndarray) -> list[int]:
    if connection.source == INPUT:
        steps = [sum(int(lengths[address]) for address, _ in step) for step in trace.events]
        return steps + [0] * (net.timesteps - len(steps))
    source = [layer.name for layer in net.layers].index(connection.source)
    return [int(lengths[row].sum()) for row in trace.layers[source].spikes]


def test_the_best_layout_for_so_many_lanes():
    _, recording = recorded(grids(), 2)
    found = layer_costs(grids(), 0, recording)
    assert [best_layout(found, lanes, ascending=False).layout for lanes in range(1, 9)] == [
        (1, 1), (2, 1), (3, 1), (3, 1), (3, 1), (3, 2), (3, 2), (3, 2),
    ]  # fmt: skip


def test_no_layout_is_better_with_what_was_recorded(seed):
    """The layouts that `fit` chooses know the activity only: by the cycles of the recording they are no faster."""
    rng = np.random.default_rng([seed, 2])
    for number in range(10):
        net = random_graph(rng, max_layers=3)
        _, recording = recorded(net, 2, seed + number)
        problems = Problems("layouts")
        for lanes in (3, 8, MAX_LANES):
            for index, layout in enumerate(choose_layouts(net, lanes, lanes, {}, 0.1, problems)):
                found = layer_costs(net, index, recording)
                best = best_layout(found, lanes, ascending=layout.ascending)
                connections = net.layers[index].connections
                cycles = layout.words * recording.steps
                for connection in connections:
                    shape = net.shape_of(connection.source)
                    lengths = walk_lengths(connection, shape, layout)[:: shape.channels]
                    cycles += (recording.events[connection.source] @ lengths).sum()
                assert best.rank[0] <= cycles


def test_layouts_that_must_be_in_order():
    rng = np.random.default_rng(3)
    conv = Connection(INPUT, Convolution(rng.integers(0, 9, (3, 3, 1, 6)), padding=(1, 1)))
    layer = Layer(name="conv", shape=Shape(6, 4, 9), threshold=99, connections=(conv,))
    net = Network(name="n", input=Shape(1, 4, 9), layers=(layer,), timesteps=2, decision=Decision.NONE)
    _, recording = recorded(net, 2)
    found = layer_costs(net, 0, recording)
    assert any(not one.ascending for one in found)
    for lanes in range(1, 40):
        free, ordered = (best_layout(found, lanes, ascending=ascending) for ascending in (False, True))
        assert ordered.ascending
        assert free.rank <= ordered.rank
