"""Bounds: by hand, never exceeded by any inference, and narrow enough to be of use."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.sim import golden
from hillock.sim.bounds import Bounds, may_saturate, potential_bounds
from hillock.sim.elements import add, max_pool
from hillock.sim.network import (
    INPUT,
    Connection,
    Convolution,
    Decision,
    Dense,
    Layer,
    LeakOrder,
    Network,
    ResetMode,
    Shape,
    TransposedConvolution,
)
from plain_contract import weight
from random_networks import random_graph, random_input, random_network


def network(*layers: Layer, **changes) -> Network:
    values: dict[str, Any] = {"fraction_bits": 0, "timesteps": 1, "decision": Decision.NONE}
    values |= {"name": "n", "input": Shape(3), "layers": layers}
    return Network(**(values | changes))


def layer(*connections: Connection, **changes) -> Layer:
    values: dict[str, Any] = {"name": "out", "shape": Shape(2), "threshold": 5, "reset_amount": 5}
    return Layer(connections=connections, **(values | changes))


DENSE = Connection(INPUT, Dense(np.array([[3, 0], [5, 0], [-4, 0]])))


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [(0, 0, 1), (-1, 0, 1), (-1, 1, 2), (0, 127, 8), (0, 128, 9), (-128, 5, 8), (-129, 5, 9), (3, 9, 5)],
)
def test_bits_of_bounds(low, high, bits):
    assert Bounds(low, high).bits == bits


# By hand


def test_a_dense_layer():
    """From 2, a timestep can add +8 or -4 and then 1: 10 and 11 at most, then 11 - 5; after three, down to 2 - 3 * 3.

    The lowest value of the last timestep is reached before the current: 2 - 3 - 3 - 4.
    """
    net = network(layer(DENSE, preload=2, currents=np.array([1, 0])))
    assert potential_bounds(net) == (Bounds(-2, 11),)
    assert potential_bounds(dataclasses.replace(net, timesteps=3)) == (Bounds(-8, 19),)


def test_an_encoder():
    """128 + 255 at first; then at most 254 + 255, since what is left is below the threshold."""
    encoder = layer(shape=Shape(3), threshold=255, reset_amount=255, preload=128, current_from_image=True)
    assert potential_bounds(network(encoder)) == (Bounds(0, 383),)
    assert potential_bounds(network(encoder, timesteps=25)) == (Bounds(0, 509),)


def test_payloads_pools_and_fraction_bits_count():
    # 3 x 3 pooled by 1 x 3: 3 events of up to 7, of weight +2 or -1, in units of 4.
    pooled = Connection(INPUT, Dense(np.array([[2], [2], [-1]])), pool=(1, 3))
    net = network(layer(pooled, shape=Shape(1)), input=Shape(1, 3, 3), fraction_bits=2, payload_bits=3)
    assert potential_bounds(net) == (Bounds(-1 * 3 * 7 * 4, (2 + 2) * 3 * 7 * 4),)


def test_connections_that_speak_of_channels_and_of_neurons():
    # Three places: +9 from the dense connection to the second, +1 + 2 from the convolution to each, and currents.
    spread = Connection("first", Convolution(np.array([1, 2]).reshape(1, 2, 1, 1), padding=(0, 1)))
    first = layer(DENSE, name="first", shape=Shape(1, 1, 2))
    dense = Connection(INPUT, Dense(np.array([[0, 9, 0], [0, 0, 0], [0, 0, 0]])))
    grid = layer(spread, dense, shape=Shape(1, 1, 3), currents=np.array([5, 0, 0]))
    assert potential_bounds(network(first, grid))[1] == Bounds(0, 12)
    assert potential_bounds(network(first, dataclasses.replace(grid, currents=np.array([5, 1, 0]))))[1] == Bounds(0, 13)
    assert potential_bounds(network(first, dataclasses.replace(grid, currents=np.array([5]))))[1] == Bounds(0, 17)


def test_a_reset_in_every_timestep_forgets():
    net = network(layer(DENSE, preload=2, reset_mode=ResetMode.EVERY_TIMESTEP, reset_amount=-1), timesteps=1000)
    assert potential_bounds(net) == (Bounds(-5, 10),)


def test_a_reset_to_a_value():
    # Fires from 5 up and is then -3; silent it is 4 at most: 4 + 8. Downwards it drifts: 100 times -4.
    net = network(layer(DENSE, reset_mode=ResetMode.TO_VALUE, reset_amount=-3), timesteps=100)
    assert potential_bounds(net) == (Bounds(-400, 12),)


def test_static_events_are_added_at_once_in_every_timestep():
    # The current is from 1 - 4 to 1 + 8, and what leads to it within. In three timesteps -9 or 9, 13, 13 (it fires).
    static = dataclasses.replace(DENSE, static=True)
    net = network(layer(static, currents=np.array([1, 0])), timesteps=3)
    assert potential_bounds(net) == (Bounds(-9, 17),)


def test_what_leads_to_a_static_current_is_within():
    # Its preload takes the potential to -50 + 8 at most; the current itself reaches 8.
    static = dataclasses.replace(DENSE, static=True)
    assert potential_bounds(network(layer(static, preload=-50))) == (Bounds(-54, 8),)


def test_elements_need_few_bits():
    shape = Shape(2, 4, 4)
    first = layer(Connection(INPUT, Dense(np.ones((3, 32), int))), name="a", shape=shape)
    net = network(
        first,
        max_pool("b", "a", shape, (2, 2), fraction_bits=0),
        max_pool("c", "a", shape, (2, 2), fraction_bits=0),
        add("d", "b", "c", Shape(2, 2, 2), fraction_bits=0),
        payload_bits=2,
        timesteps=500,
    )
    assert potential_bounds(net)[1:] == (Bounds(0, 4), Bounds(0, 4), Bounds(0, 2))


def test_of_a_transposed_convolution_only_taps_that_meet_are_added():
    # Kernel 1..4 with stride 2: taps 0 and 2 meet, and taps 1 and 3.
    laid = Connection(INPUT, TransposedConvolution(np.array([1, 2, 3, 4]).reshape(1, 4, 1, 1), stride=(1, 2)))
    net = network(layer(laid, shape=Shape(1, 1, 8)), input=Shape(1, 1, 3))
    assert potential_bounds(net) == (Bounds(0, 6),)


def test_drifting_far_does_not_overflow():
    # A timestep takes it 2^55 down, and 1,000 of them would be beyond 64 bits; upwards it drifts by 1.
    deep = Connection(INPUT, Dense(np.array([[-32768]])), pool=(4096, 4096))
    net = network(
        layer(deep, shape=Shape(1), currents=np.array([1]), fires=False),
        input=Shape(1, 4096, 4096),
        weight_bits=16,
        fraction_bits=8,
        payload_bits=8,
        potential_bits=32,
        timesteps=1000,
    )
    step = 32768 * 255 * 4096 * 4096 << 8
    assert potential_bounds(dataclasses.replace(net, timesteps=30)) == (Bounds(-30 * step + 29, 30),)
    (bounds,) = potential_bounds(net)
    assert bounds.low < -60 * step
    assert bounds.high == 1000
    assert may_saturate(net) == (True,)


@pytest.mark.parametrize(
    ("weights", "may"), [([100, 27], False), ([100, 28], True), ([-128], False), ([-120, -9], True)]
)
def test_may_saturate(weights, may):
    one = Connection(INPUT, Dense(np.array(weights)[:, None]))
    net = network(layer(one, shape=Shape(1)), input=Shape(len(weights)), potential_bits=8)
    assert may_saturate(net) == (may,)


# Never exceeded


def on_the_way(net: Network, part: Layer, trace: golden.Trace, given_input: dict[str, Any]) -> np.ndarray:
    """Every value that a current or a potential has between two settled ones, added up event by event."""
    payloads = {run.name: run.payloads for run in trace.layers}
    settled = next(run.potentials for run in trace.layers if run.name == part.name)
    current = np.broadcast_to(golden.current_grid(part), (part.shape.height, part.shape.width, part.shape.channels))
    current = (given_input["image"] if part.current_from_image else current).reshape(-1)

    def added(start: np.ndarray, connection: Connection, events: list[tuple[int, int]]) -> list[np.ndarray]:
        """`start`, and what it is after each of the events."""
        source, values = net.shape_of(connection.source), [start]
        for pre, payload in events:
            row = [weight(connection, source, part.shape, pre, post) or 0 for post in range(part.neurons)]
            values.append(values[-1] + payload * np.array(row) * 2**net.fraction_bits)
        return values

    seen: list[np.ndarray] = []
    for connection in part.connections:
        if connection.static:
            seen += added(current, connection, trace.events[0])
            current = seen[-1]
    for step in range(net.timesteps):
        seen.append(settled[step - 1] if step else np.full(part.neurons, part.preload))
        for connection in part.connections:
            if not connection.static and connection.source == INPUT:
                seen += added(seen[-1], connection, trace.events[step])
            elif not connection.static:
                row = payloads[connection.source][step]
                seen += added(seen[-1], connection, [(int(pre), int(row[pre])) for pre in np.flatnonzero(row)])
        seen.append(seen[-1] + current)
    seen.append(settled[-1])
    return np.concatenate(seen)


@settings(max_examples=200)
@given(draw=st.integers(0, 2**32 - 1), chain=st.booleans(), widths=st.sampled_from([(8, 0, 4), (6, 2, 3), (8, 4, 8)]))
def test_no_potential_exceeds_its_bounds(draw, chain, widths):
    weight_bits, fraction_bits, payload_bits = widths
    rng = np.random.default_rng(draw)
    if chain:
        net = random_network(rng, weight_bits=weight_bits, fraction_bits=fraction_bits, max_neurons=8)
    else:
        net = random_graph(
            rng,
            weight_bits=weight_bits,
            fraction_bits=fraction_bits,
            payload_bits=payload_bits,
            potential_bits=20,
            max_size=4,
            max_channels=3,
            reuse_input=True,
        )
    wide = dataclasses.replace(net, potential_bits=32)
    given_input = random_input(rng, wide)
    trace = golden.run(wide, **given_input)
    bounds = potential_bounds(wide)
    for part, limits in zip(wide.layers, bounds, strict=True):
        values = on_the_way(wide, part, trace, given_input)
        assert limits.low <= values.min()
        assert values.max() <= limits.high

    # With as many bits as the bounds say, nothing changes.
    carried = weight_bits + fraction_bits + wide.payload_bits
    enough = max(carried, *(limits.bits for limits in bounds), *(_bits_of(part) for part in wide.layers))
    narrow = dataclasses.replace(wide, potential_bits=min(32, enough))
    assert not any(may_saturate(narrow)) or enough > 32
    for run, other in zip(trace.layers, golden.run(narrow, **given_input).layers, strict=True):
        np.testing.assert_array_equal(run.potentials, other.potentials)


def _bits_of(part: Layer) -> int:
    """The width that the parameters of a layer need, whether its potentials get there or not."""
    values = [part.threshold, part.preload, part.reset_amount]
    values += [] if part.currents is None else part.currents.tolist()
    return Bounds(min(values), max(values)).bits


@pytest.mark.parametrize("order", LeakOrder)
@pytest.mark.parametrize("shift", [0, 1, 3])
@pytest.mark.parametrize("mode", [ResetMode.SUBTRACT, ResetMode.TO_VALUE])
def test_bounds_of_one_neuron_are_reached(order, shift, mode):
    """By trying every input of a neuron with weights +1, +1 and -1: for one neuron nothing is lost."""
    one = layer(
        Connection(INPUT, Dense(np.array([[1], [1], [-1]]))),
        shape=Shape(1),
        threshold=3,
        preload=1,
        leak_shift=shift,
        leak_order=order,
        reset_mode=mode,
        reset_amount=2,
    )
    net = network(one, timesteps=3)
    seen = []
    for sent in itertools.product([[], [0], [2], [0, 1], [0, 2], [2, 0], [0, 1, 2], [2, 0, 1]], repeat=3):
        trace = golden.run(net, events=sent)
        seen.append(on_the_way(net, one, trace, {}))
    values = np.concatenate(seen)
    assert potential_bounds(net) == (Bounds(values.min(), values.max()),)
