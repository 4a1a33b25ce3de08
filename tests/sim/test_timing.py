"""The cycles of an inference against arithmetic on paper, and against what must hold of them."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.sim import golden
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, Network
from hillock.sim.timing import Timeline, time_inference
from random_networks import random_input, random_network

NEVER = 32767


def layer(weights: list[list[int]], name: str = "out", source: str = INPUT, **changes) -> Layer:
    matrix = np.array(weights)
    values: dict[str, Any] = {"threshold": NEVER, "connections": (Connection(source, Dense(matrix)),)}
    return Layer(name=name, neurons=matrix.shape[1], **(values | changes))


def encoder(neurons: int, **changes) -> Layer:
    values: dict[str, Any] = {"threshold": 255, "reset_amount": 255}
    return Layer(name="encoder", neurons=neurons, current_from_image=True, **(values | changes))


def network(*layers: Layer, **changes) -> Network:
    first = layers[0]
    inputs = first.connections[0].synapses.weights.shape[0] if first.connections else first.neurons
    values: dict[str, Any] = {"inputs": inputs, "layers": layers, "fraction_bits": 0}
    return Network(name="n", **(values | changes))


def time(net: Network, lanes: int, **given_input) -> Timeline:
    return time_inference(net, golden.run(net, **given_input), lanes)


# On paper. Constants of the contract: first layer ready at START 4, or 6 for events (the queue takes 2) + the preload
# pass; 3 cycles to change layers, 5 with one layer only; first spike on offer 9, trace 6, behind a marker's walk.


def test_a_silent_encoder_alone():
    net = network(encoder(3), timesteps=2)
    # 3 neurons on 4 lanes: one word. Ready at 4 + preload (1 + 5) = 10; an encoder's marker is always on offer.
    #   t=1  taken at 10: trace at 16, marker out at 19; ready again at 10 + 1 + 5 = 16
    #   t=2  taken at max(16, 19: the marker before has left) = 19: trace at 25, marker out at 28
    #   decided at 29; the walks took 1 cycle in each timestep
    got = time(net, 4, image=np.array([0, 0, 0]))
    assert got.fire.tolist() == [[16], [25]]
    assert got.output == [(19, None), (28, None)]
    assert got.decision == 29
    assert got.busy.tolist() == [2]


def test_an_encoder_of_two_words():
    net = network(encoder(3), timesteps=1)
    # 3 neurons on 2 lanes: two words. Ready at 4 + (2 + 5) = 11; taken at once; word 0 at the trace port at 17.
    # Pixels 0 and 1 fire in word 0: on offer at 11 + 9 = 20, the second leaves one cycle later; pixel 2 in word 1 would
    # be on offer at 21, but leaves at 22; the marker at 23.
    got = time(net, 2, image=np.array([255, 255, 255]))
    assert got.fire.tolist() == [[17]]
    assert got.output == [(20, 0), (21, 1), (22, 2), (23, None)]
    assert got.decision == 24
    # Without pixels 0 and 1 nothing is waited for: pixel 2 and the marker leave at 11 + 9 + 1 and 1 later.
    assert time(net, 2, image=np.array([0, 0, 255])).output == [(21, 2), (22, None)]
    # A silent image: the marker is behind word 1.
    assert time(net, 2, image=np.array([0, 0, 0])).output == [(21, None)]


def test_the_marker_of_the_last_layer_waits_until_the_one_before_has_left():
    net = network(encoder(8), timesteps=2)
    # 8 neurons on 8 lanes fire in both timesteps. Ready at 4 + 6 = 10; spikes leave at 19 to 26, the marker at 27.
    #   t=2  ready at 10 + 6 = 16, taken at 27: trace at 33, spikes 36 to 43, marker 44, decision 45
    got = time(net, 8, image=np.full(8, 255))
    assert got.fire.tolist() == [[16], [33]]
    assert [cycle for cycle, _ in got.output] == [*range(19, 28), *range(36, 45)]
    assert got.decision == 45


def test_events_into_one_layer():
    net = network(layer([[1, 1, 1]] * 4), timesteps=2)
    # 3 neurons on 2 lanes: W = 2. Ready at 6 + preload (2 + 5) = 13. Words of the input are on offer from cycle 2 on.
    #   t=1  3 events: taken at 13, 15, 17; the marker at 19: trace at 25; out at 19 + 9 + 1 = 29; ready at 26
    #   t=2  no event: the marker is taken when the marker before has left, at 29: trace at 35, out at 39
    got = time(net, 2, events=[[0, 1, 3], []])
    assert got.fire.tolist() == [[25], [35]]
    assert got.output == [(29, None), (39, None)]
    assert got.decision == 40
    assert got.busy.tolist() == [10]  # (3 + 1) walks and 1, of 2 cycles


def test_two_layers():
    hidden = layer([[10, 10, 0, 10]], name="hidden", threshold=10, reset_amount=10)
    net = network(hidden, layer([[1]] * 4, source="hidden", threshold=2, reset_amount=0), timesteps=2)
    # 2 lanes: W = 2 and 1. Ready at 6 + (2 + 3) + (1 + 3) = 15.
    #   t=1  hidden: event at 15, marker at 17: trace at 23. Ready for the next layer at 17 + 2 + 3 = 22.
    #        out: spikes 0 and 1 (word 0) on offer from 17 + 9 = 26, spike 3 (word 1) and the marker from 27:
    #             taken at 26, 27, 28, 29 (one walk of 1 cycle each): trace at 35; 3 >= 2 fires: out at 38, marker 39
    #   t=2  hidden: ready at 29 + 1 + 3 = 33; no event; the marker is on offer: trace at 39; ready at 38
    #        out: the marker, on offer at 33 + 9 + 1 = 43: trace at 49; 3 >= 2 fires again: out at 52, marker 53
    got = time(net, 2, events=[[0], []])
    assert got.fire.tolist() == [[23, 35], [39, 49]]
    assert got.output == [(38, 0), (39, None), (52, 0), (53, None)]
    assert got.decision == 54
    assert got.busy.tolist() == [6, 5]  # hidden: (1 + 1 + 1) walks of 2; out: 3 spikes and 2 markers


def test_spikes_that_lie_far_apart_are_waited_for_one_by_one():
    weights = [10] + [0] * 10 + [10]
    hidden = layer([weights], name="hidden", threshold=10)
    net = network(hidden, layer([[1]] * 12, source="hidden"), timesteps=1)
    # 2 lanes: W = 6 and 1. Ready at 6 + (6 + 3) + (1 + 3) = 19.
    #   hidden: event at 19, marker at 25: trace at 31. Ready for the next layer at 25 + 6 + 3 = 34.
    #   out: spike 0 (word 0) is on offer at 25 + 9 = 34, spike 11 (word 5) and the marker from 39:
    #        taken at 34, 39 and 40: trace at 46, marker out at 49
    got = time(net, 2, events=[[0]])
    assert got.fire.tolist() == [[31, 46]]
    assert got.output == [(49, None)]
    assert got.busy.tolist() == [12, 3]


def test_a_wide_layer_hides_the_wait_for_spikes():
    hidden = layer([[10, 0]], name="hidden", threshold=10)
    net = network(hidden, layer([[1] * 8] * 2, source="hidden"), timesteps=1)
    # 1 lane: W = 2 and 8. Ready at 6 + (2 + 3) + (8 + 3) = 22.
    #   hidden: event at 22, marker at 24: trace at 30. Ready for the next layer at 29.
    #   out: the spike of word 0 is taken when it is on offer, at 24 + 9 = 33; the marker (34) when that walk has
    #        ended, at 41: trace at 47; word 7 is the last: marker out at 41 + 9 + 7 = 57
    got = time(net, 1, events=[[0]])
    assert got.fire.tolist() == [[30, 47]]
    assert got.output == [(57, None)]
    assert got.decision == 58


def test_a_decision_by_potential_scans_the_outputs():
    readout = layer([[1] * 6], fires=False)
    net = network(readout, timesteps=1, decision=Decision.POTENTIAL)
    # 4 lanes: W = 2. Ready at 6 + (2 + 5) = 13: the event at 13, the marker at 15, whose walk ends at 17.
    # The output marker leaves at 15 + 9 + 1 = 25. The scan of 6 outputs: 17 + 10 + 6 = 33.
    got = time(net, 4, events=[[0]])
    assert got.output == [(25, None)]
    assert got.decision == 33


def test_input_is_never_waited_for():
    """One word comes in a cycle, and no walk takes less."""
    net = network(layer([[1]] * 30), timesteps=1)
    # 30 events on one word: ready at 12, taken at 12 ... 41; the marker, word 30 of the input, is on offer at 32.
    got = time(net, 1, events=[list(range(30))])
    assert got.fire.tolist() == [[42 + 6]]


@pytest.mark.parametrize("lanes", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("sizes", [(1, 1), (7, 3), (3, 7), (16, 5)])
def test_closed_form_without_hidden_spikes(lanes, sizes, seed):
    """Two layers, events into a hidden layer that never fires:

    6 + (W0 + 3) + (W1 + 3)      start and preload
    + W0 * events                the events of the whole inference
    + T * (W0 + 8)               the hidden fire pass, until its marker is on offer to the last layer
    + (T - 1) * (W1 + 3)         the last layer's fire pass, and the change back to the hidden layer
    + W1 + 8 + 1                 until the last marker leaves, and the decision
    """
    hidden, outputs = sizes
    rng = np.random.default_rng(seed)
    net = network(
        layer([[1] * hidden] * 9, name="hidden"), layer([[1] * outputs] * hidden, source="hidden"), timesteps=6
    )
    events = [np.flatnonzero(rng.random(9) < 0.5).tolist() for _ in range(6)]
    w0, w1 = -(-hidden // lanes), -(-outputs // lanes)
    count = sum(map(len, events))
    cycles = 6 + (w0 + 3) + (w1 + 3) + w0 * count + 6 * (w0 + 8) + 5 * (w1 + 3) + w1 + 9
    got = time(net, lanes, events=events)
    assert got.decision == cycles
    assert got.busy.tolist() == [w0 * (count + 6), w1 * 6]


# What must hold


def drawn(draw: int, neurons: int = 20) -> tuple[Network, golden.Trace]:
    rng = np.random.default_rng(draw)
    net = random_network(rng, max_neurons=neurons)
    return net, golden.run(net, **random_input(rng, net))


def drawn_with_more_inputs(draw: int, inputs: int, weight: int) -> tuple[Network, Network, list[list[int]]]:
    """A network with event input, the same with so many inputs more, and events for the first."""
    rng = np.random.default_rng(draw)
    net = random_network(rng, max_neurons=20)
    while net.image_input:
        net = random_network(rng, max_neurons=20)
    first = net.layers[0]
    weights = np.concatenate([first.connections[0].synapses.weights, np.full((inputs, first.neurons), weight)])
    wider = dataclasses.replace(first, connections=(Connection(INPUT, Dense(weights)),))
    larger = dataclasses.replace(net, inputs=net.inputs + inputs, layers=(wider, *net.layers[1:]))
    events: Any = random_input(rng, net)["events"]
    return net, larger, events


@settings(max_examples=150)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 24))
def test_everything_leaves_in_order(draw, lanes):
    net, trace = drawn(draw)
    got = time_inference(net, trace, lanes)
    fire = got.fire.reshape(-1)
    words = np.array([-(-part.neurons // lanes) for part in net.layers])
    # Fire passes follow each other in network order, and none begins before the one before has all its words out.
    assert fire[0] >= 4 + 6
    assert (np.diff(fire) >= np.tile(words, net.timesteps)[:-1] + 3).all()
    # One output event in a cycle, none without its fire pass, and just the spikes and a marker for each timestep.
    cycles = [cycle for cycle, _ in got.output]
    assert cycles == sorted(set(cycles))
    wanted: list[int | None] = []
    for row in trace.layers[-1].spikes:
        wanted += [*np.flatnonzero(row).tolist(), None]
    assert [address for _, address in got.output] == wanted
    step = 0
    for cycle, address in got.output:
        word = words[-1] - 1 if address is None else address // lanes
        assert cycle >= got.fire[step, -1] + 3 + word
        step += address is None
    # The decision is the last of all.
    assert got.decision > cycles[-1]
    if net.decision is Decision.COUNT:
        assert got.decision == cycles[-1] + 1
    # A layer is walked once for each of its events and once for each timestep.
    for index, part in enumerate(trace.layers):
        events = part.sop // net.layers[index].neurons
        assert got.busy[index] == (events + net.timesteps) * words[index]
    assert got.busy.sum() < got.decision


@settings(max_examples=100)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.lists(st.integers(1, 48), min_size=2, max_size=2, unique=True))
def test_more_lanes_are_never_slower(draw, lanes):
    net, trace = drawn(draw, neurons=40)
    few, many = (time_inference(net, trace, count) for count in sorted(lanes))
    assert (many.fire <= few.fire).all()
    assert all(one[0] <= other[0] for one, other in zip(many.output, few.output, strict=True))
    assert many.decision <= few.decision
    assert (many.busy <= few.busy).all()


@settings(max_examples=50)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 16), silent=st.integers(1, 300))
def test_a_silent_input_costs_no_cycle(draw, lanes, silent):
    """Any number of inputs beyond those that speak changes nothing but the size of the synapse memory."""
    net, larger, events = drawn_with_more_inputs(draw, silent, weight=7)
    few, many = (time_inference(one, golden.run(one, events=events), lanes) for one in (net, larger))
    assert np.array_equal(few.fire, many.fire)
    assert np.array_equal(few.busy, many.busy)
    assert (few.output, few.decision) == (many.output, many.decision)


@settings(max_examples=50)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 16), step=st.integers(0, 7))
def test_an_event_more_never_makes_anything_earlier(draw, lanes, step):
    """An event without weight, which changes nothing but the cycles: by at most those of its walk."""
    net, larger, events = drawn_with_more_inputs(draw, 1, weight=0)
    step = min(step, net.timesteps - 1)
    more = [[*row, net.inputs] if index == step else row for index, row in enumerate(events)]
    few, many = (time_inference(larger, golden.run(larger, events=rows), lanes) for rows in (events, more))
    words = -(-net.layers[0].neurons // lanes)
    assert np.array_equal(few.fire[:step], many.fire[:step])
    assert ((few.fire <= many.fire) & (many.fire <= few.fire + words)).all()
    assert few.decision <= many.decision <= few.decision + words
