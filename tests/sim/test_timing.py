"""The cycles of an inference against arithmetic on paper: `docs/cycles.md`, worked out by hand."""

from typing import Any

import numpy as np
import pytest

from hillock.sim import golden
from hillock.sim.network import INPUT, Connection, Convolution, Decision, Dense, Layer, Network, Shape
from hillock.sim.timing import Timeline, time_inference, time_inferences
from plain_plans import plain_plan

NEVER = 32767
TABLES = {"row_entries": 1, "column_entries": 1}


def layer(weights: list[list[int]], name: str = "out", source: str = INPUT, **changes) -> Layer:
    matrix = np.array(weights)
    values: dict[str, Any] = {"threshold": NEVER, "connections": (Connection(source, Dense(matrix)),)}
    return Layer(name=name, shape=Shape(matrix.shape[1]), **(values | changes))


def encoder(neurons: int, **changes) -> Layer:
    values: dict[str, Any] = {"threshold": 255, "reset_amount": 255}
    return Layer(name="encoder", shape=Shape(neurons), current_from_image=True, **(values | changes))


def network(*layers: Layer, **changes) -> Network:
    first = layers[0]
    inputs = first.connections[0].synapses.weights.shape[0] if first.connections else first.neurons
    values: dict[str, Any] = {"input": Shape(inputs), "layers": layers, "fraction_bits": 0}
    return Network(name="n", **(values | changes))


def time(net: Network, lanes: int, fields: dict[str, Any] | None = None, **given_input) -> Timeline:
    """On a core without tables, with a deep queue, unless `fields` say otherwise."""
    return time_inference(plain_plan(net, lanes, **(fields or {})), golden.run(net, **given_input))


def cycles_of(got: Timeline) -> list[tuple[int, int | None]]:
    return [(cycle, address) for cycle, address, _ in got.output]


# The first pass is ready at 4, or at 5 for events (the queue takes 2), and the first walk after the preload passes. A
# layer's pass is followed by a change of 3, or of max(3, 6 - W) in a network of one layer. From a marker that is taken,
# word n is at the trace port 7 + n cycles later, and its first spike on offer 10 + n cycles later.


def test_a_silent_encoder_alone():
    net = network(encoder(3), timesteps=2)
    # 3 neurons on 4 lanes: one word. Ready at 4 + preload (1 + 5) = 10; an encoder's marker is always on offer.
    #   t=1  taken at 10: trace at 17, marker out at 20; ready again at 10 + 1 + 5 = 16
    #   t=2  taken at max(16, 20: the marker before is out of the words) = 20: trace at 27, marker out at 30
    #   decided at 31; the walks took 1 cycle in each timestep
    got = time(net, 4, image=np.array([0, 0, 0]))
    assert got.fire.tolist() == [[17], [27]]
    assert got.output == [(20, None, 0), (30, None, 0)]
    assert got.decision == 31
    assert got.busy.tolist() == [2]


def test_an_encoder_of_two_words():
    net = network(encoder(3), timesteps=1)
    # 3 neurons on 2 lanes: two words. Ready at 4 + (2 + 4) = 10; taken at once; word 0 at the trace port at 17.
    # Pixels 0 and 1 fire in word 0: on offer at 10 + 10 = 20, the second leaves one cycle later; pixel 2 in word 1
    # would be on offer at 21, but leaves at 22; the marker at 23.
    got = time(net, 2, image=np.array([255, 255, 255]))
    assert got.fire.tolist() == [[17]]
    assert got.output == [(20, 0, 1), (21, 1, 1), (22, 2, 1), (23, None, 0)]
    assert got.decision == 24
    # Without pixels 0 and 1 nothing is waited for: pixel 2 and the marker leave at 10 + 10 + 1 and 1 later.
    assert cycles_of(time(net, 2, image=np.array([0, 0, 255]))) == [(21, 2), (22, None)]
    # A silent image: the marker is behind word 1.
    assert cycles_of(time(net, 2, image=np.array([0, 0, 0]))) == [(21, None)]


def test_the_marker_of_the_last_layer_waits_until_the_one_before_is_out_of_the_words():
    net = network(encoder(8), timesteps=2)
    # 8 neurons on 8 lanes fire in both timesteps. Ready at 4 + 6 = 10; spikes leave at 20 to 27, the marker at 28.
    #   t=2  ready at 10 + 6 = 16, taken at 28: trace at 35, spikes 38 to 45, marker 46, decision 47
    got = time(net, 8, image=np.full(8, 255))
    assert got.fire.tolist() == [[17], [35]]
    assert [cycle for cycle, *_ in got.output] == [*range(20, 29), *range(38, 47)]
    assert got.decision == 47


def test_events_into_one_layer():
    net = network(layer([[1, 1, 1]] * 4), timesteps=2)
    # 3 neurons on 2 lanes: W = 2. Ready at 5 + preload (2 + 4) = 11. Words of the input are on offer from cycle 2 on.
    #   t=1  3 events: taken at 11, 13, 15; the marker at 17: trace at 24; out at 17 + 10 + 1 = 28; ready at 23
    #   t=2  no event: the marker is taken when the marker before is out, at 28: trace at 35, out at 39
    got = time(net, 2, events=[[0, 1, 3], []])
    assert got.fire.tolist() == [[24], [35]]
    assert cycles_of(got) == [(28, None), (39, None)]
    assert got.decision == 40
    assert got.busy.tolist() == [10]  # (3 + 1) walks and 1, of 2 cycles


def test_two_layers():
    hidden = layer([[10, 10, 0, 10]], name="hidden", threshold=10, reset_amount=10)
    net = network(hidden, layer([[1]] * 4, source="hidden", threshold=2, reset_amount=0), timesteps=2)
    # 2 lanes: W = 2 and 1. Ready at 5 + (2 + 3) + (1 + 3) = 14.
    #   t=1  hidden: event at 14, marker at 16: trace at 23. Ready for the next layer at 16 + 2 + 3 = 21.
    #        out: spikes 0 and 1 (word 0) on offer from 16 + 10 = 26, spike 3 (word 1) and the marker from 27:
    #             taken at 26, 27, 28, 29 (one walk of 1 cycle each): trace at 36; 3 >= 2 fires: out at 39, marker 40
    #   t=2  hidden: ready at 29 + 1 + 3 = 33; no event; the marker is on offer: trace at 40; ready at 38
    #        out: the marker, on offer at 33 + 10 + 1 = 44: trace at 51; 3 >= 2 fires again: out at 54, marker 55
    got = time(net, 2, events=[[0], []])
    assert got.fire.tolist() == [[23, 36], [40, 51]]
    assert cycles_of(got) == [(39, 0), (40, None), (54, 0), (55, None)]
    assert got.decision == 56
    assert got.busy.tolist() == [6, 5]  # hidden: (1 + 1 + 1) walks of 2; out: 3 spikes and 2 markers


def test_spikes_that_lie_far_apart_are_waited_for_one_by_one():
    weights = [10] + [0] * 10 + [10]
    hidden = layer([weights], name="hidden", threshold=10)
    net = network(hidden, layer([[1]] * 12, source="hidden"), timesteps=1)
    # 2 lanes: W = 6 and 1. Ready at 5 + (6 + 3) + (1 + 3) = 18.
    #   hidden: event at 18, marker at 24: trace at 31. Ready for the next layer at 24 + 6 + 3 = 33.
    #   out: spike 0 (word 0) is on offer at 24 + 10 = 34, spike 11 (word 5) and the marker from 39:
    #        taken at 34, 39 and 40: trace at 47, marker out at 50
    got = time(net, 2, events=[[0]])
    assert got.fire.tolist() == [[31, 47]]
    assert cycles_of(got) == [(50, None)]
    assert got.busy.tolist() == [12, 3]


def test_a_wide_layer_hides_the_wait_for_spikes():
    hidden = layer([[10, 0]], name="hidden", threshold=10)
    net = network(hidden, layer([[1] * 8] * 2, source="hidden"), timesteps=1)
    # 1 lane: W = 2 and 8. Ready at 5 + (2 + 3) + (8 + 3) = 21.
    #   hidden: event at 21, marker at 23: trace at 30. Ready for the next layer at 28.
    #   out: the spike of word 0 is taken when it is on offer, at 23 + 10 = 33; the marker (34) when that walk has
    #        ended, at 41: trace at 48; word 7 is the last: marker out at 41 + 10 + 7 = 58
    got = time(net, 1, events=[[0]])
    assert got.fire.tolist() == [[30, 48]]
    assert cycles_of(got) == [(58, None)]
    assert got.decision == 59


def test_a_decision_by_potential_scans_the_outputs():
    readout = layer([[1] * 6], fires=False)
    net = network(readout, timesteps=1, decision=Decision.POTENTIAL)
    # 4 lanes: W = 2. Ready at 5 + (2 + 4) = 11: the event at 11, the marker at 13, whose walk ends at 15.
    # The output marker leaves at 13 + 10 + 1 = 24. The scan of 6 outputs: 15 + 11 + 6 = 32.
    got = time(net, 4, events=[[0]])
    assert cycles_of(got) == [(24, None)]
    assert got.decision == 32


def test_a_decision_of_nothing_is_there_as_soon_as_one_by_count():
    net = network(layer([[1] * 6]), timesteps=1, decision=Decision.NONE)
    got = time(net, 4, events=[[0]])
    assert got.decision == got.output[-1][0] + 1 == 25


def test_input_is_never_waited_for():
    """One word comes in a cycle, and no walk takes less."""
    net = network(layer([[1]] * 30), timesteps=1)
    # 30 events on one word: ready at 11, taken at 11 ... 40; the marker, word 30 of the input, is on offer at 32.
    got = time(net, 1, events=[list(range(30))])
    assert got.fire.tolist() == [[41 + 7]]


# What the core is made of


@pytest.mark.parametrize(
    ("fields", "later"),
    [
        ({"queue_words": 17}, 0),
        ({"queue_words": 16}, -1),
        (TABLES | {"max_width": 2, "columns_per_word": 2}, 4),  # 3 for the tables too
        (TABLES | {"max_width": 2, "columns_per_word": 2, "queue_words": 16}, 3),
        (TABLES, 3),
    ],
)
def test_what_a_spike_waits_for_depends_on_the_queue_and_the_tables(fields, later):
    """A shallow queue is a cycle faster, lanes over columns cost one, tables three before each walk that waits."""
    hidden = layer([[10, 0]], name="hidden", threshold=10)
    net = network(hidden, layer([[1]] * 2, source="hidden"), timesteps=1)
    # 2 lanes: W = 1 and 1. Ready at 5 + 4 + 4 = 13: the event at 13 + d, its marker 1 later: trace 7 later.
    #   out: spike at x + 6 + q + d, marker 1 later: trace 7 later
    d = 3 if "row_entries" in fields else 0
    got = time(net, 2, fields, events=[[0]])
    assert got.fire.tolist() == [[13 + d + 1 + 7, 13 + d + 1 + 10 + later + 1 + 7]]
    leaves = got.fire[0, 1] - 7 + 10 + later - d  # tables are for what walks
    assert cycles_of(got) == [(leaves, None)]


@pytest.mark.parametrize(
    ("fields", "changes", "change"),
    [
        ({}, {}, 5),
        ({"potential_words": 1}, {}, 3),
        ({"potential_words": 1, "max_connections": 1}, {}, 2),
        ({"potential_words": 1, "max_connections": 1}, {"leak_shift": 1}, 3),
        ({"max_connections": 1}, {}, 5),
    ],
)
def test_one_layer_comes_back_to_its_words_as_soon_as_they_are_written(fields, changes, change):
    """Sooner where the only word is kept in registers."""
    net = network(layer([[1]], fires=False, **changes), timesteps=3, decision=Decision.NONE)
    # The events come in time, and the output is out: 1 event and a pass of 1 word in each timestep.
    got = time(net, 1, {"queue_words": 1, **fields}, events=[[0] * 20] * 3)
    assert np.diff(got.fire[:, 0]).tolist() == [1 + change + 20] * 2
    assert got.fire[0, 0] == 5 + (1 + change) + 20 + 7


@pytest.mark.parametrize(("neurons", "change"), [(1, 5), (2, 4), (3, 3), (4, 3), (7, 3)])
def test_a_wider_layer_waits_less(neurons, change):
    net = network(layer([[1] * neurons]), timesteps=2)
    got = time(net, 1, events=[[0] * 9] * 2)
    assert np.diff(got.fire[:, 0]).tolist() == [9 * neurons + neurons + change]


def test_an_event_walks_what_it_reaches_and_takes_a_cycle_if_that_is_nothing():
    """A 3x3 kernel, stride 2, on 5x5 places: the places (0, 0), (1, 1), (4, 4), (2, 2) reach 1, 1, 1, 4 places."""
    kernel = Convolution(np.ones((3, 3, 1, 3), int), stride=(2, 2))
    shape = Shape(3, 2, 2)
    grid = Layer(name="g", shape=shape, threshold=NEVER, connections=(Connection(INPUT, kernel),))
    net = Network(name="n", input=Shape(1, 5, 5), layers=(grid,), timesteps=1, fraction_bits=0,
                  decision=Decision.NONE)  # fmt: skip
    fields = {"row_entries": 5, "column_entries": 5, "max_height": 5, "max_width": 5}
    # 2 lanes: 2 words at each of 4 places, W = 8. Ready at 5 + (8 + 3) = 16; in the tables until 19; walks of
    # 2, 2, 2, 8 cycles; the marker is taken at 33: trace at 40.
    got = time(net, 2, fields, events=[[0, 6, 24, 12]])
    assert got.fire.tolist() == [[40]]
    assert got.busy.tolist() == [14 + 8]
    # Pooled 2x2, row and column 4 are left over: they reach nothing, and take a cycle each.
    pooled = Layer(name="g", shape=Shape(3, 1, 1), threshold=NEVER, connections=(
        Connection(INPUT, Convolution(np.ones((2, 2, 1, 3), int)), pool=(2, 2)),))  # fmt: skip
    net = Network(name="n", input=Shape(1, 5, 5), layers=(pooled,), timesteps=1, fraction_bits=0)
    got = time(net, 2, fields, events=[[4, 24, 0]])
    assert got.busy.tolist() == [1 + 1 + 2 + 2]


def test_a_layer_that_is_replayed():
    """Words with a spike come one behind the other, and the last of the layer."""
    first = layer([[10, 0, 0, 0, 10, 0]], name="first", threshold=10, reset_amount=10)
    second = layer([[1]] * 6, name="second", source="first")
    third = Layer(name="third", shape=Shape(1), threshold=NEVER, connections=(
        Connection("second", Dense(np.array([[1]]))), Connection("first", Dense(np.ones((6, 1), int)))))  # fmt: skip
    net = network(first, second, third, timesteps=1)
    # 1 lane: W = 6, 1, 1. Ready at 5 + 9 + 4 + 4 = 22.
    #   first: event at 22, marker at 28: trace at 35; ready at 37
    #   second: spike 0 at 28 + 10 = 38, spike 4 at 42, the marker at 43: trace at 50; ready at 47
    #   third: second is silent: its marker at 43 + 10 = 53. Ready at 56 for what is replayed: spike 0 (the first word)
    #     56 + 2 + 4 = 62, spike 4 (the second) 63, the marker (the last word, the third) at 64: trace at 71, out at 74
    got = time(net, 1, events=[[0]])
    assert got.fire.tolist() == [[35, 50, 71]]
    assert cycles_of(got) == [(74, None)]
    assert got.busy.tolist() == [6 + 6, 2 + 1, 2 + 1]


def test_static_input_is_walked_once():
    first = Layer(name="first", shape=Shape(3), threshold=NEVER, connections=(
        Connection(INPUT, Dense(np.ones((4, 3), int)), static=True),))  # fmt: skip
    net = network(first, timesteps=2)
    # 2 lanes: W = 2, change 4. LOAD ready at 5, until 5 + 2 + 5 = 12: three events 12, 14, 16, the marker at 18, LATCH
    # until 18 + 2 + 4 = 24; preload until 30.
    #   t=1  the pass at 30: trace at 37, marker out at 41;  t=2 ready at 36, taken at 41: trace at 48, out at 52
    got = time(net, 2, {"static_input": 1}, events=[[0, 1, 3]])
    assert got.fire.tolist() == [[37], [48]]
    assert cycles_of(got) == [(41, None), (52, None)]
    assert got.busy.tolist() == [2 + 3 * 2 + 2 + 2 * 2]


def test_inferences_that_follow_each_other_at_once():
    """The next begins when the decision has been taken, with events that have long been waiting."""
    net = network(layer([[1, 1, 1]] * 4), timesteps=1)
    plan = plain_plan(net, 2)
    traces = [golden.run(net, events=[events]) for events in ([0, 1, 3], [], [2])]
    one, two, three = time_inferences(plan, traces)
    # The first as above: marker at 17, out at 28, decided at 29. The second begins at 30: ready at 33 + 6 = 39, its
    # marker out at 50, decided at 51. The third begins at 52: ready at 61, the marker at 63, out at 74.
    assert [time_.decision for time_ in (one, two, three)] == [29, 51, 75]
    assert [time_.fire.tolist() for time_ in (one, two, three)] == [[[24]], [[46]], [[70]]]
    images = network(encoder(3), timesteps=1)
    trace = golden.run(images, image=np.array([0, 0, 0]))
    got = time_inferences(plain_plan(images, 4), [trace, trace])
    assert [time_.decision for time_ in got] == [21, 21 + 1 + 3 + 6 + 10 + 1]


@pytest.mark.parametrize("lanes", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("sizes", [(1, 1), (7, 3), (3, 7), (16, 5)])
def test_closed_form_without_hidden_spikes(lanes, sizes, seed):
    """Two layers, events into a hidden layer that never fires:

    5 + (W0 + 3) + (W1 + 3)      start and preload
    + W0 * events                the events of the whole inference
    + T * (W0 + 9)               the hidden fire pass, until its marker is on offer to the last layer
    + (T - 1) * (W1 + 3)         the last layer's fire pass, and the change back to the hidden layer
    + W1 + 9 + 1                 until the last marker leaves, and the decision
    """
    hidden, outputs = sizes
    rng = np.random.default_rng(seed)
    net = network(
        layer([[1] * hidden] * 9, name="hidden"), layer([[1] * outputs] * hidden, source="hidden"), timesteps=6
    )
    events = [np.flatnonzero(rng.random(9) < 0.5).tolist() for _ in range(6)]
    w0, w1 = -(-hidden // lanes), -(-outputs // lanes)
    count = sum(map(len, events))
    cycles = 5 + (w0 + 3) + (w1 + 3) + w0 * count + 6 * (w0 + 9) + 5 * (w1 + 3) + w1 + 10
    got = time(net, lanes, events=events)
    assert got.decision == cycles
    assert got.busy.tolist() == [w0 * (count + 6), w1 * 6]
