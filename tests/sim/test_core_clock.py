"""The clocks of cores, alone and in a pipeline, against arithmetic on paper; `docs/cycles.md` has the constants."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hillock.hw.config import CoreConfig
from hillock.sim import golden
from hillock.sim.layout import Layout
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, Network, Shape
from hillock.sim.plan import Pipeline, Plan
from hillock.sim.timing import Timeline, time_inferences

NEVER = 32767
CONFIG = CoreConfig(potential_words=16, queue_words=16)  # a queue of 16 words is a LUT RAM: q = 3


def dense(name: str, source: str, weights: list[list[int]], **changes: Any) -> Layer:
    matrix = np.array(weights)
    values: dict[str, Any] = {"threshold": NEVER, "shape": Shape(matrix.shape[1])}
    return Layer(name=name, connections=(Connection(source, Dense(matrix)),), **(values | changes))


def encoder(neurons: int) -> Layer:
    shape = Shape(neurons)
    return Layer(name="encoder", shape=shape, threshold=255, reset_amount=255, current_from_image=True)


def network(*layers: Layer, timesteps: int = 2, decision: Decision = Decision.COUNT) -> Network:
    first = layers[0]
    inputs = first.connections[0].synapses.weights.shape[0] if first.connections else first.neurons
    shape = Shape(inputs)
    return Network(name="n", input=shape, layers=layers, fraction_bits=0, timesteps=timesteps, decision=decision)


def on_cores(net: Network, *cores: tuple[int, CoreConfig]) -> Pipeline:
    """Layers in their order, so many on each core, one channel to a lane."""
    plans, first = [], 0
    for count, config in cores:
        layers = net.layers[first : first + count]
        source = net.input if first == 0 else net.layers[first - 1].shape
        if first:
            connection = replace(layers[0].connections[0], source=INPUT)
            layers = (replace(layers[0], connections=(connection,)), *layers[1:])
        first += count
        ends = first == len(net.layers)
        part = replace(net, input=source, layers=layers, decision=net.decision if ends else Decision.NONE)
        layouts = tuple(Layout(layer.shape, config.lanes, min(config.lanes, layer.neurons), 1) for layer in layers)
        plans.append(Plan(part, replace(config, passes_on=int(not ends)), layouts))
    return Pipeline(net, tuple(plans))


def times(pipeline: Pipeline, given: Sequence[dict[str, Any]]) -> list[Timeline]:
    return time_inferences(pipeline, [golden.run(pipeline.network, **one) for one in given])


def leaves(timeline: Timeline) -> list[int]:
    return [cycle for cycle, *_ in timeline.output]


# A core that passes on, and one behind it


def two_layers() -> Network:
    hidden = dense("hidden", INPUT, [[1, 0, 1], [0, 0, 1]], threshold=1, reset_amount=1)
    return network(hidden, dense("out", "hidden", [[1, 1]] * 3))


def two_cores(net: Network) -> Pipeline:
    return on_cores(net, (1, replace(CONFIG, lanes=3)), (1, replace(CONFIG, lanes=2)))


def test_two_cores_of_one_layer():
    # Core 0, W = 1, 5 cycles to the next of the same layer: begins at 2, ready at 2 + 3 + (1 + 5) = 11.
    #   t=1  events at 11 and 12, marker at 13: trace at 20; spikes 0 and 2 leave at 13 + 9 = 22, and 23, the marker 24
    #   t=2  ready at 13 + 1 + 5 = 19; its fire pass waits until the marker has come out of the words, at 24: trace at
    #        31. Neuron 2, which got 2 events, fires again: its spike leaves at 33, the marker at 34.
    # Core 1, W = 1: the first is on offer at 22 + 2 = 24; ready at 24 + 3 + (1 + 5) = 33.
    #   t=1  spikes at 33 and 34, marker at 35: trace at 42; out at 44
    #   t=2  the spike, on offer at 35, when it is ready: at 35 + 1 + 5 = 41. The marker, at 42, waits for the one
    #        before to be out: 44, trace at 51, out at 53, decided at 54
    (got,) = times(two_cores(two_layers()), [{"events": [[0, 1], []]}])
    assert got.fire.tolist() == [[20, 42], [31, 51]]
    assert leaves(got) == [44, 53]
    assert got.decision == 54
    assert got.busy.tolist() == [4, 5]


def test_inferences_that_follow_each_other():
    # Core 0 has taken its last marker at 24: idle at 24 + 1 + 1 = 26, where the words of the next inference have been
    # waiting (on offer from 2 + 4). Ready at 26 + 3 + 6 = 35; and so on, as in the first inference, 24 cycles later.
    #   t=1  marker at 37: trace at 44; spikes leave at 46 and 47, the marker at 48
    #   t=2  marker at 48: trace at 55; spike at 57, marker at 58
    # Core 1 is idle 1 after its decision: at 55. Ready at 55 + 3 + 6 = 64.
    #   t=1  64, 65, marker at 66: trace at 73, out at 75;  t=2  spike at 72, marker at 75: trace at 82, out at 84
    first, second = times(two_cores(two_layers()), [{"events": [[0, 1], []]}] * 2)
    assert first.decision == 54
    assert second.fire.tolist() == [[44, 73], [55, 82]]
    assert leaves(second) == [75, 84]
    assert second.decision == 85
    # In steady state the core that takes longest sets the pace: core 1.
    many = times(two_cores(two_layers()), [{"events": [[0, 1], []]}] * 8)
    assert np.diff([one.decision for one in many]).tolist() == [31] * 7


def test_a_decision_by_potential_and_the_next_inference():
    net = two_layers()
    readout = replace(net.layers[1], fires=False)
    net = replace(net, layers=(net.layers[0], readout), decision=Decision.POTENTIAL)
    # As before until the last marker, at 44: the scan of 2 outputs ends at 44 + 1 + 11 + 2 = 58, idle at 59.
    first, second = times(two_cores(net), [{"events": [[0, 1], []]}] * 2)
    assert first.decision == 58
    # Ready at 59 + 3 + 6 = 68: marker at 70, trace at 77.
    assert second.fire[0, 1] == 77


def test_a_short_queue_holds_the_first_core_back():
    neurons = 7
    hidden = dense("hidden", INPUT, [[1] * neurons], threshold=1, reset_amount=1)
    net = network(hidden, dense("out", "hidden", [[1] * 9] * neurons))
    wide, narrow = (1, replace(CONFIG, lanes=neurons)), replace(CONFIG, lanes=3)
    # Core 0, ready at 11: event at 11, marker at 12; 7 spikes on offer from 12 + 9 = 21.
    # Core 1, W = 3: begins at 23, ready at 23 + 3 + (3 + 3) = 32; walks at 32, 35, ..., 50, marker at 53: trace at 60.
    #   With a queue of 32 the marker leaves at 21 + 7 = 28. The fire pass of t=2 (ready at 12 + 6 = 18) waits for that,
    #   and nothing fires in it: trace at 35.
    (freely,) = times(on_cores(net, wide, (1, replace(narrow, input_queue=32))), [{"events": [[0], []]}])
    assert freely.fire.tolist() == [[19, 60], [35, 71]]
    #   With a queue of 4: five leave at 21 to 25, since the first moves up behind the queue at 23; the others when a
    #   token before has moved up, at 33 + 1 and 36 + 1. When the sixth leaves, at 34, the seventh moves up at 35, and
    #   the marker comes out of the words, at 36: trace of t=2 at 43.
    (held,) = times(on_cores(net, wide, (1, replace(narrow, input_queue=4))), [{"events": [[0], []]}])
    assert held.fire.tolist() == [[19, 60], [43, 71]]
    #   Core 1 is as fast in both: its marker of t=1 at 53, the next at max(53 + 3 + 3, 53 + 9 + 2: the one before is
    #   out) = 64.
    assert freely.decision == held.decision == 64 + 9 + 2 + 1


def test_images_begin_when_the_core_is_idle():
    net = network(encoder(4), dense("out", "encoder", [[1, 1]] * 4), timesteps=1)
    # Core 0, W = 2 on 2 lanes: started at 0, begins at 1, ready at 1 + 3 + (2 + 4) = 10. The marker at once: trace at
    # 17; pixels 0 and 1 leave at 10 + 9 = 19 and 20, 2 and 3 at 21 and 22, the marker at 23.
    # Core 0 is idle at 10 + 2 + 1 = 13: begins, ready at 13 + 3 + 6 = 22. Its fire pass waits for the last marker to
    # come out of the words, at 23: trace at 30.
    # Core 1, W = 1: 21 + 3 + 6 = 30: spikes at 30 to 33, marker at 34: trace at 41, out at 43, decided at 44, idle at
    # 45. The next is on offer: 45 + 3 + 6 = 54, marker at 58: trace at 65, out at 67, decided at 68.
    pipeline = on_cores(net, (1, replace(CONFIG, lanes=2)), (1, replace(CONFIG, lanes=2)))
    first, second = times(pipeline, [{"image": np.full(4, 255)}] * 2)
    assert first.fire.tolist() == [[17, 41]]
    assert second.fire.tolist() == [[30, 65]]
    assert (first.decision, second.decision) == (44, 68)


# Cores of one word


@pytest.mark.parametrize(("leak", "connections", "change"), [(0, 1, 2), (3, 1, 3), (0, 2, 3), (3, 2, 3)])
def test_a_core_of_one_word_goes_on_sooner(leak, connections, change):
    net = network(dense("out", INPUT, [[1, 1]] * 3, leak_shift=leak), timesteps=3)
    config = replace(CONFIG, lanes=2, potential_words=1, max_connections=connections)
    # Ready at 2 + 3 + (1 + change).
    #   t=1  event, marker: trace 8 later. The marker leaves at trace - 7 + 9.
    #   t=2  ready 1 + change after the marker; it waits until the marker before has left, as in every timestep
    (got,) = times(on_cores(net, (1, config)), [{"events": [[0], [], [1]]}])
    ready = 6 + change
    markers = [ready + 1, ready + 10, ready + 19]
    assert got.fire[:, 0].tolist() == [marker + 7 for marker in markers]
    assert leaves(got) == [marker + 9 for marker in markers]


@pytest.mark.parametrize(("words", "change"), [(1, 5), (2, 4), (3, 3), (4, 3)])
def test_a_single_layer_waits_for_the_words_that_it_has_fired(words, change):
    neurons = 2 * words
    net = network(dense("out", INPUT, [[1] * neurons] * 12, leak_shift=1), timesteps=1)
    # Ready at 2 + 3 + (W + change); 12 events, W cycles each; the marker.
    (got,) = times(on_cores(net, (1, replace(CONFIG, lanes=2))), [{"events": [list(range(12))]}])
    assert got.fire.tolist() == [[5 + words + change + 12 * words + 7]]


# What takes longer


@pytest.mark.parametrize(("changes", "more"), [({"queue_words": 17}, 1), ({"row_entries": 1, "column_entries": 1}, 3)])
def test_deep_queues_and_tables(changes, more):
    hidden = dense("hidden", INPUT, [[1, 1]], threshold=1, reset_amount=1)
    net = network(hidden, dense("out", "hidden", [[1]] * 2), timesteps=1)
    # One core, W = 1 and 1: ready at 5 + 2 * (1 + 3) = 13; event, marker at 14: trace at 21. Spikes on offer at 23,
    # 24: the marker at 25, trace at 32, out at 34. Tables delay the first event too.
    config = replace(CONFIG, lanes=2)
    (plain,) = times(on_cores(net, (2, config)), [{"events": [[0]]}])
    assert plain.fire.tolist() == [[21, 32]]
    assert leaves(plain) == [34]
    (got,) = times(on_cores(net, (2, replace(config, **changes))), [{"events": [[0]]}])
    in_tables = more if "row_entries" in changes else 0
    assert got.fire.tolist() == [[21 + in_tables, 32 + in_tables + more]]
    assert leaves(got) == [34 + in_tables + more + (0 if in_tables else more)]
