"""The golden model against cases worked by hand, against plain Python integers, and against equations from outside.

Which neurons an event reaches is in `test_walk`, and what is refused in `test_stimulus`.
"""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hillock.sim import golden
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, LeakOrder, Network, ResetMode, Shape
from plain_contract import plain_run
from random_networks import random_graph, random_input, random_network

HIGH = 32767
"""A threshold that no case here reaches: the largest of 16 bits."""


def fed(*rows: list[int], source: str = INPUT) -> tuple[Connection, ...]:
    """A connection with one row of weights for each presynaptic neuron."""
    return (Connection(source, Dense(np.array(rows))),)


def layer(*rows: list[int], name: str = "out", source: str = INPUT, **changes) -> Layer:
    values: dict[str, Any] = {
        "name": name,
        "shape": Shape(len(rows[0]) if rows else 1),
        "threshold": HIGH,
        "connections": fed(*rows, source=source) if rows else (),
    }
    return Layer(**(values | changes))


def network(*layers: Layer, **changes) -> Network:
    sources = [row.synapses.weights for row in layers[0].connections]
    inputs = sources[0].shape[0] if sources else layers[0].neurons
    values: dict[str, Any] = {"name": "n", "input": Shape(inputs), "layers": layers, "fraction_bits": 0}
    return Network(**(values | changes))


def potentials(net: Network, events: list) -> list[list[int]]:
    """The potentials of the last layer after each timestep."""
    trace = golden.run(dataclasses.replace(net, timesteps=len(events)), events=events)
    return [[int(value) for value in row] for row in trace.layers[-1].potentials]


def spikes(net: Network, events: list) -> list[list[int]]:
    """For each timestep, the neurons of the last layer that fired."""
    trace = golden.run(dataclasses.replace(net, timesteps=len(events)), events=events)
    return [np.flatnonzero(row).tolist() for row in trace.layers[-1].spikes]


# Integrate


def test_weights_are_added_above_the_fraction_bits():
    net = network(layer([3, -1], [2, 5]), fraction_bits=2)
    # Two fraction bits: a weight w adds 4 w.
    #   t=1  event 0:     (0, 0) + 4 (3, -1)             = (12, -4)
    #   t=2  events 0, 1: (12, -4) + 4 (3, -1) + 4 (2, 5) = (32, 12)
    #   t=3  none                                         = (32, 12)
    assert potentials(net, [[0], [0, 1], []]) == [[12, -4], [32, 12], [32, 12]]


def test_an_event_that_comes_twice_counts_twice():
    assert potentials(network(layer([3, -1])), [[0, 0]]) == [[6, -2]]


def test_potentials_saturate_at_both_ends_event_by_event():
    # 8 bits: -128 to 127. Neuron 0 is driven up, neuron 1 down.
    net = network(layer([100, -100], [100, -100], [-100, 100], threshold=127), potential_bits=8)
    #   t=1  event 0: ( 100, -100)
    #        event 1: ( 200, -200) becomes (127, -128)
    #        event 2: (  27,  -28)
    assert potentials(net, [[0, 1, 2]]) == [[27, -28]]


def test_where_a_potential_saturates_the_order_of_events_matters():
    net = network(
        layer([100], [100], [-100], threshold=127, fires=False), potential_bits=8, decision=Decision.POTENTIAL
    )
    #   0, 1, 2: 100, 200 -> 127, 27        2, 1, 0: -100, 0, 100        0, 2, 1: 100, 0, 100
    assert [potentials(net, [order])[0][0] for order in ([0, 1, 2], [2, 1, 0], [0, 2, 1])] == [27, 100, 100]


def test_the_ends_of_the_range_can_be_reached_without_saturating():
    net = network(layer([127, -128], threshold=127, fires=False), potential_bits=8, decision=Decision.POTENTIAL)
    assert potentials(net, [[0], [0]]) == [[127, -128], [127, -128]]


# Current


def test_a_current_is_added_in_every_timestep_after_the_events_and_before_firing():
    net = network(layer([10], currents=np.array([4]), threshold=14, reset_amount=9))
    #   t=1  no event: 0 + 4 = 4
    #   t=2  event:    4 + 10 + 4 = 18 >= 14 fires, 18 - 9 = 9
    #   t=3  no event: 9 + 4 = 13, one below the threshold
    assert potentials(net, [[], [0], []]) == [[4], [9], [13]]
    assert spikes(net, [[], [0], []]) == [[], [0], []]


def test_a_current_is_in_units_of_the_potential_not_of_the_weights():
    assert potentials(network(layer([1], currents=np.array([3])), fraction_bits=4), [[0]]) == [[16 + 3]]


def test_a_current_saturates_after_the_events_have():
    # t=1: 120 + 120 -> 127, and the current -100 takes it to 27; together they would have made 140 -> 127.
    up = layer([120, -120], [120, -120], currents=np.array([-100, 100]), threshold=127)
    assert potentials(network(up, potential_bits=8), [[0, 1]]) == [[27, -28]]
    # t=1: 100 + 100 -> 127; t=2 the same, at the lower end -100 - 100 -> -128.
    far = layer([100, -100], currents=np.array([100, -100]), threshold=127, fires=False)
    net = network(far, potential_bits=8, decision=Decision.POTENTIAL)
    assert potentials(net, [[0], [0]]) == [[127, -128], [127, -128]]


# Fire, reset, leak


def test_a_neuron_fires_at_its_threshold_and_not_below():
    # Three neurons reach 9, 10 and 11 with a threshold of 10.
    assert spikes(network(layer([9, 10, 11], threshold=10)), [[0]]) == [[1, 2]]


@pytest.mark.parametrize(
    ("mode", "amount", "order", "after"),
    [
        # V = 13 fires at theta = 10; k = 1, so the leak takes V >> 1 away.
        (ResetMode.SUBTRACT, 10, LeakOrder.RESET_THEN_LEAK, 2),  # 13 - 10 = 3,  3 - 1 = 2
        (ResetMode.SUBTRACT, 10, LeakOrder.LEAK_THEN_RESET, -3),  # 13 - 6 = 7,   7 - 10 = -3
        (ResetMode.SUBTRACT, 20, LeakOrder.RESET_THEN_LEAK, -3),  # 13 - 20 = -7, -7 - (-4) = -3
        (ResetMode.SUBTRACT, 0, LeakOrder.RESET_THEN_LEAK, 7),  # 13,           13 - 6 = 7
        (ResetMode.TO_VALUE, 5, LeakOrder.RESET_THEN_LEAK, 3),  # 5,            5 - 2 = 3
        (ResetMode.TO_VALUE, 5, LeakOrder.LEAK_THEN_RESET, 5),  # 5 whatever leaked
        (ResetMode.TO_VALUE, -5, LeakOrder.RESET_THEN_LEAK, -2),  # -5,           -5 - (-3) = -2
        (ResetMode.TO_VALUE, -5, LeakOrder.LEAK_THEN_RESET, -5),
    ],
)
def test_reset_and_leak_of_a_neuron_that_fires(mode, amount, order, after):
    fires = layer([13], threshold=10, leak_shift=1, reset_mode=mode, reset_amount=amount, leak_order=order)
    assert spikes(network(fires), [[0]]) == [[0]]
    assert potentials(network(fires), [[0]]) == [[after]]


@pytest.mark.parametrize("order", LeakOrder)
@pytest.mark.parametrize("mode", [ResetMode.SUBTRACT, ResetMode.TO_VALUE])
def test_a_neuron_that_does_not_fire_leaks_and_is_not_reset(mode, order):
    #   9 - (9 >> 2) = 9 - 2 = 7       -9 - (-9 >> 2) = -9 - (-3) = -6: the shift rounds down
    quiet = layer([9, -9], threshold=10, leak_shift=2, reset_mode=mode, reset_amount=10, leak_order=order)
    assert potentials(network(quiet), [[0]]) == [[7, -6]]


def test_the_spike_is_decided_before_the_leak():
    # 10 fires at 10, although 10 - (10 >> 1) = 5 would not.
    leaks_first = layer([10], threshold=10, leak_shift=1, leak_order=LeakOrder.LEAK_THEN_RESET)
    assert spikes(network(leaks_first), [[0]]) == [[0]]


@pytest.mark.parametrize("shift", range(1, 8))
def test_a_leak_stalls_a_positive_potential_and_takes_a_negative_one_to_zero(shift):
    start = 1000
    leaks = layer([0, 0], leak_shift=shift, preload=start, fires=False)
    falling = potentials(network(leaks, decision=Decision.POTENTIAL), [[]] * 1000)
    rising = potentials(network(dataclasses.replace(leaks, preload=-start), decision=Decision.POTENTIAL), [[]] * 1000)
    assert falling[-1] == [(1 << shift) - 1] * 2  # the largest V with V >> k == 0
    assert rising[-1] == [0, 0]  # V >> k is -1 down to V = -1


def test_no_leak_with_a_shift_of_zero():
    assert potentials(network(layer([9])), [[0], []]) == [[9], [9]]


def test_every_potential_starts_at_the_preload_of_its_layer():
    first = layer([1, 1], name="a", preload=7)
    last = layer([0], [0], source="a", preload=-9)
    trace = golden.run(network(first, last, timesteps=1), events=[[0]])
    assert [part.potentials.tolist() for part in trace.layers] == [[[8, 8]], [[-9]]]


@pytest.mark.parametrize("order", LeakOrder)
def test_a_reset_in_every_timestep_leaves_nothing_of_it(order):
    # R = 3 whether a neuron fired (13) or not (2); from then on 3 + 13 and 3 + 2.
    forgets = layer(
        [13, 2], threshold=10, preload=1, reset_mode=ResetMode.EVERY_TIMESTEP, reset_amount=3, leak_order=order
    )
    assert potentials(network(forgets), [[0], [], [0]]) == [[3, 3]] * 3
    assert spikes(network(forgets), [[0], [], [0]]) == [[0], [], [0]]


def test_a_reset_in_every_timestep_spares_a_readout_layer_nothing():
    readout = layer([13], threshold=10, reset_mode=ResetMode.EVERY_TIMESTEP, reset_amount=-4, fires=False)
    net = network(readout, decision=Decision.POTENTIAL)
    assert potentials(net, [[0], []]) == [[-4], [-4]]
    assert spikes(net, [[0], []]) == [[], []]


# Payloads


def test_an_event_adds_its_payload_times_the_weight():
    # Two fraction bits: payload 3 adds 3 w 4. In t=2 both kinds of events: 5 w0 4 and w1 4.
    net = network(layer([3, -1], [2, 5]), fraction_bits=2, payload_bits=3)
    assert potentials(net, [[(0, 3)], [(0, 5), 1]]) == [[36, -12], [36 + 60 + 8, -12 - 20 + 20]]
    trace = golden.run(dataclasses.replace(net, timesteps=2), events=[[(0, 3)], [(0, 5), 1]])
    assert trace.events == [[(0, 3)], [(0, 5), (1, 1)]]
    assert trace.sop == 3 * 2  # a payload is no further addition


def test_payloads_saturate_event_by_event():
    # 11 bits: 5 x 7 x 30 = 1050 becomes 1023, and 923 after the last event.
    net = network(
        layer([30], [-100], threshold=1023, fires=False), decision=Decision.POTENTIAL, potential_bits=11, payload_bits=3
    )
    assert potentials(net, [[(0, 7), (0, 7), (0, 7), (0, 7), (0, 7), 1]]) == [[923]]


def test_a_graded_layer_sends_its_potential_in_units_of_the_weights():
    # F = 2. The relay turns events into spikes. Layer a, t=1: 4 x 3 + 2 = 14, which is 3 and a half; neuron 1:
    # 4 x 1 + 2 = 6 < 8. Layer b: 3 x 5 from neuron 0 and nothing from neuron 1, 4 x 15 = 60.
    relay = layer([1, 0], [0, 1], name="relay", threshold=4, reset_mode=ResetMode.EVERY_TIMESTEP)
    graded = dataclasses.replace(relay, name="a", connections=fed([3, 1], [4, 1], source="relay"), threshold=8)
    graded = dataclasses.replace(graded, currents=np.array([2, 2]), graded=True)
    net = network(relay, graded, layer([5], [7], name="b", source="a"), fraction_bits=2, payload_bits=3, timesteps=2)
    trace = golden.run(net, events=[[0], [0, 1]])
    #   t=2: 4 x 7 + 2 = 30, 30 >> 2 = 7; neuron 1: 4 x 2 + 2 = 10, 10 >> 2 = 2. b: 60 + 4 (7 x 5 + 2 x 7)
    assert trace.layers[1].payloads.tolist() == [[3, 0], [7, 2]]
    assert trace.layers[1].spikes.tolist() == [[True, False], [True, True]]
    assert trace.layers[1].potentials.tolist() == [[0, 0], [0, 0]]
    assert trace.layers[2].payloads.tolist() == [[0], [0]]
    assert trace.layers[2].potentials.tolist() == [[60], [60 + 4 * 49]]
    assert [part.sop for part in trace.layers] == [6, 6, 3]


def test_a_plain_spike_carries_one():
    net = network(layer([9, 3], threshold=9, reset_amount=9), timesteps=1)
    assert golden.run(net, events=[[0]]).layers[0].payloads.tolist() == [[1, 0]]


# Static input


def static(*rows: list[int], **changes) -> Layer:
    (connection,) = fed(*rows)
    return layer(*rows, connections=(dataclasses.replace(connection, static=True),), **changes)


def test_static_events_are_a_current_of_every_timestep():
    # c = 2 + 4 (3 x 3 + 1 x 5) = 58 and -1 + 4 (3 x -1 + 1 x 2) = -5, in each of three timesteps; 6 fan-outs once.
    net = network(static([3, -1], [5, 2], currents=np.array([2, -1])), fraction_bits=2, payload_bits=2, timesteps=3)
    trace = golden.run(net, events=[[(0, 3), 1]])
    assert trace.layers[0].potentials.tolist() == [[58, -5], [116, -10], [174, -15]]
    assert trace.sop == 4
    assert trace.events == [[(0, 3), (1, 1)]]


def test_a_static_current_saturates_event_by_event():
    # 8 bits: 100 + 100 -> 127, 127 - 100 = 27; in another order 100.
    net = network(static([100], [100], [-100], threshold=127), potential_bits=8, timesteps=1)
    assert golden.run(net, events=[[0, 1, 2]]).layers[0].potentials.tolist() == [[27]]
    assert golden.run(net, events=[[0, 2, 1]]).layers[0].potentials.tolist() == [[100]]


# Timesteps, layers, decision


def test_spikes_reach_the_next_layer_in_the_same_timestep_in_ascending_order():
    # Layer a: neurons 0 and 1 fire in t=1. At b: 100 + 100 -> 127 (8 bits), not 100 + 100 - 100.
    a = layer([10, 10, 0], [0, 0, 10], name="a", threshold=10, reset_amount=10)
    b = layer([100], [100], [-100], name="b", source="a", threshold=127, fires=False)
    net = network(a, b, potential_bits=8, timesteps=2, decision=Decision.POTENTIAL)
    trace = golden.run(net, events=[[0], [1]])
    #   t=2: neuron 2 fires: 127 - 100 = 27
    assert trace.layers[0].spikes.tolist() == [[True, True, False], [False, False, True]]
    assert trace.layers[1].potentials.tolist() == [[127], [27]]
    #   Additions: events 1 + 1 into 3 neurons; spikes 2 + 1 into 1 neuron.
    assert [part.sop for part in trace.layers] == [6, 3]
    assert trace.sop == 9
    assert [part.name for part in trace.layers] == ["a", "b"]
    assert trace.events == [[(0, 1)], [(1, 1)]]


def test_connections_from_several_layers_are_walked_in_their_order():
    a = layer([5], name="a", threshold=5, reset_amount=5)
    b = Layer(name="b", shape=Shape(1), threshold=127, fires=False, connections=(*fed([100]), *fed([100], source="a")))
    # 8 bits, preload -100: -100 + 100 + 100 = 100 from both.
    net = network(a, dataclasses.replace(b, preload=-100), potential_bits=8, timesteps=1, decision=Decision.POTENTIAL)
    trace = golden.run(net, events=[[0]])
    assert trace.layers[1].potentials.tolist() == [[100]]
    assert trace.layers[1].sop == 2


@pytest.mark.parametrize(("delay", "counts", "decision"), [(0, [1, 2, 2], 1), (1, [0, 2, 2], 1), (2, [0, 1, 2], 2)])
def test_spikes_during_the_delay_are_not_counted(delay, counts, decision):
    fires = layer([9, 0, 0], [0, 9, 0], [0, 0, 9], threshold=9, reset_amount=9)
    trace = golden.run(network(fires, timesteps=4, delay=delay), events=[[0], [1], [2], [1, 2]])
    # Event i makes neuron i fire, in that timestep. D = 0: 1, 2, 2; D = 1 leaves out neuron 0; D = 2 neuron 1 once.
    assert trace.counts.tolist() == counts
    assert trace.decision == decision


def test_without_any_spike_the_first_neuron_wins():
    trace = golden.run(network(layer([1, 1, 1]), timesteps=2), events=[[0], []])
    assert (trace.counts.tolist(), trace.decision) == ([0, 0, 0], 0)


def test_where_nothing_is_decided_the_decision_is_0():
    fires = layer([0, 9], threshold=9, reset_amount=9)
    trace = golden.run(network(fires, timesteps=1, decision=Decision.NONE), events=[[0]])
    assert (trace.counts.tolist(), trace.decision) == ([0, 1], 0)


def test_a_readout_layer_never_fires_and_decides_by_its_last_potential():
    # Far above the threshold and no spike; 6, 30, 30: the tie goes to neuron 1, though neuron 0 led after t=1.
    readout = layer([10, 2, 2], [-4, 28, 28], threshold=1, reset_amount=1, fires=False)
    trace = golden.run(network(readout, timesteps=2, decision=Decision.POTENTIAL), events=[[0], [1]])
    assert not trace.layers[0].spikes.any()
    assert trace.layers[0].potentials.tolist() == [[10, 2, 2], [6, 30, 30]]
    assert trace.decision == 1
    assert trace.counts.tolist() == [0, 0, 0]


# The rate encoder


def encoder(inputs: int, preload: int) -> Network:
    rate = Layer(
        name="encoder", shape=Shape(inputs), threshold=255, reset_amount=255, preload=preload, current_from_image=True
    )
    return network(rate, timesteps=255)


def test_after_255_timesteps_the_count_of_an_encoder_equals_the_pixel():
    pixels = np.arange(256)
    for preload in range(255):
        counts = golden.run(encoder(256, preload), image=pixels).counts
        assert np.array_equal(counts, pixels), f"preload {preload}"


def test_an_encoder_with_a_preload_out_of_range_is_one_spike_off():
    # 255 timesteps of pixel 1: -1 + 255 = 254 does not fire; 255 + 0 fires without any input.
    assert golden.run(encoder(1, -1), image=np.array([1])).counts.tolist() == [0]
    assert golden.run(encoder(1, 255), image=np.array([0])).counts.tolist() == [1]


def test_a_pixel_fires_at_the_steps_that_are_worked_by_hand():
    # Pixel 100, preload 128: 228; 328 fires -> 73; 173; 273 fires -> 18; 118; 218; 318 fires -> 63
    trace = golden.run(dataclasses.replace(encoder(1, 128), timesteps=7), image=np.array([100]))
    assert trace.layers[0].potentials[:, 0].tolist() == [228, 73, 173, 18, 118, 218, 63]
    assert np.flatnonzero(trace.layers[0].spikes[:, 0]).tolist() == [1, 3, 6]
    assert trace.events == [[]] * 7


# Against plain integers


def assert_equals_plain(net: Network, given_input: dict[str, Any]) -> None:
    trace = golden.run(net, **given_input)
    wanted = plain_run(net, given_input)
    for got, part in zip(trace.layers, wanted, strict=True):
        assert got.name == part.layer.name
        assert got.spikes.tolist() == part.fired
        assert got.payloads.tolist() == part.payloads
        assert got.potentials.tolist() == part.potentials
        assert got.sop == part.sop
    last = wanted[-1]
    counts = [sum(row[neuron] for row in last.fired[net.delay :]) for neuron in range(last.layer.neurons)]
    deciding = {Decision.COUNT: counts, Decision.POTENTIAL: last.state, Decision.NONE: [0]}[net.decision]
    assert trace.counts.tolist() == counts
    assert trace.decision == deciding.index(max(deciding))


def with_skips(rng: np.random.Generator, net: Network) -> Network:
    """`net` with one connection more, from any earlier layer, into each of its layers but the first."""
    reach = 1 << (net.weight_bits - 1)
    layers = list(net.layers)
    for index, part in enumerate(layers[1:], 1):
        source = layers[int(rng.integers(0, index))]
        skip = Connection(source.name, Dense(rng.integers(-reach, reach, (source.neurons, part.neurons))))
        layers[index] = dataclasses.replace(part, connections=(*part.connections, skip))
    return dataclasses.replace(net, layers=tuple(layers))


@settings(max_examples=200)
@given(
    draw=st.integers(0, 2**32 - 1),
    neurons=st.integers(1, 12),
    widths=st.sampled_from([(16, 4, 8), (10, 0, 8), (12, 3, 4), (32, 15, 16), (4, 0, 4)]),
    skips=st.booleans(),
)
@example(draw=0, neurons=1, widths=(16, 4, 8), skips=False)
def test_chains_equal_plain_integers(draw, neurons, widths, skips):
    potential_bits, fraction_bits, weight_bits = widths
    rng = np.random.default_rng(draw)
    net = random_network(
        rng,
        potential_bits=potential_bits,
        fraction_bits=fraction_bits,
        weight_bits=weight_bits,
        current_bits=potential_bits,
        max_neurons=neurons,
    )
    if skips:
        net = with_skips(rng, net)
    assert_equals_plain(net, random_input(rng, net))


@settings(max_examples=400)
@given(
    draw=st.integers(0, 2**32 - 1),
    widths=st.sampled_from(
        [(16, 4, 8, 4), (12, 0, 8, 4), (20, 4, 8, 8), (14, 3, 4, 6), (32, 12, 12, 8), (16, 4, 8, 1)]
    ),
)
def test_graphs_equal_plain_integers(draw, widths):
    potential_bits, fraction_bits, weight_bits, payload_bits = widths
    rng = np.random.default_rng(draw)
    net = random_graph(
        rng,
        potential_bits=potential_bits,
        fraction_bits=fraction_bits,
        weight_bits=weight_bits,
        current_bits=potential_bits,
        payload_bits=payload_bits,
        max_size=5,
        max_channels=4,
        reuse_input=True,
    )
    assert_equals_plain(net, random_input(rng, net))


# Against snnTorch's equation


@settings(max_examples=200)
@given(
    weights=st.lists(st.integers(-60, 90), min_size=1, max_size=6),
    pattern=st.lists(st.integers(0, 63), min_size=1, max_size=40),
    threshold=st.integers(1, 200),
    shift=st.integers(1, 7),
)
def test_leak_then_reset_by_subtraction_is_snntorchs_delayed_reset(weights, pattern, threshold, shift):
    """Its Leaky(reset_mechanism="subtract") computes U = beta U + I - r theta, where r is the spike before.

    Our V is that U after leak and reset: V[t] = leak(U[t]) - s[t] theta, so that U[t + 1] = V[t] + I[t + 1]. With
    integers, beta U is U - (U >> k); snnTorch fires at U > theta', which is U >= theta for theta' = theta - 1. The
    ranges above keep |V| below 2^15 (40 timesteps of at most 540), so nothing saturates.
    """
    neuron = layer(
        *([weight] for weight in weights),
        threshold=threshold,
        reset_amount=threshold,
        leak_shift=shift,
        leak_order=LeakOrder.LEAK_THEN_RESET,
    )
    events = [[i for i in range(len(weights)) if bits >> i & 1] for bits in pattern]
    trace = golden.run(network(neuron, timesteps=len(events)), events=events)

    u, r, fired, after = 0, 0, [], []
    for step in events:
        u = u - (u >> shift) + sum(weights[i] for i in step) - r * threshold
        r = int(u > threshold - 1)
        fired.append(bool(r))
        after.append(u - (u >> shift) - r * threshold)
    assert trace.layers[0].spikes[:, 0].tolist() == fired
    assert trace.layers[0].potentials[:, 0].tolist() == after


def test_reset_then_leak_is_not_the_delayed_reset():
    # 13 fires at 10, k = 1: U goes 13, then 13 - 6 - 10 = -3; reset first leaves 2 instead.
    delayed = layer([13], threshold=10, reset_amount=10, leak_shift=1, leak_order=LeakOrder.LEAK_THEN_RESET)
    at_once = dataclasses.replace(delayed, leak_order=LeakOrder.RESET_THEN_LEAK)
    assert [potentials(network(one), [[0]])[0][0] for one in (delayed, at_once)] == [-3, 2]
