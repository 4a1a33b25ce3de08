"""What must hold of the cycles of any inference."""

import dataclasses
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.gen.mapping import fit, place
from hillock.sim import golden
from hillock.sim.network import INPUT, Connection, Decision, Dense, Network, Shape
from hillock.sim.plan import Plan
from hillock.sim.timing import Timeline, time_inference, time_inferences
from plain_plans import plain_plan
from random_networks import random_graph, random_input, random_network


def drawn(draw: int, neurons: int = 20) -> tuple[Network, golden.Trace]:
    """A chain."""
    rng = np.random.default_rng(draw)
    net = random_network(rng, max_neurons=neurons)
    return net, golden.run(net, **random_input(rng, net))


def drawn_with_more_inputs(draw: int, inputs: int, weight: int) -> tuple[Network, Network, list[list[int]]]:
    """A chain with event input, the same with so many inputs more, and events for the first."""
    rng = np.random.default_rng(draw)
    net = random_network(rng, max_neurons=20)
    while net.image_input:
        net = random_network(rng, max_neurons=20)
    first = net.layers[0]
    weights = np.concatenate([first.connections[0].synapses.weights, np.full((inputs, first.neurons), weight)])
    wider = dataclasses.replace(first, connections=(Connection(INPUT, Dense(weights)),))
    larger = dataclasses.replace(net, input=Shape(net.inputs + inputs), layers=(wider, *net.layers[1:]))
    events: Any = random_input(rng, net)["events"]
    return net, larger, events


def follows_the_order(plan: Plan, trace: golden.Trace, got: Timeline) -> None:
    """Fire passes and output in the order of the contract, none before it can be."""
    net, steps = plan.network, plan.network.timesteps
    words = np.array([layout.words for layout in plan.layouts])
    fire = got.fire.reshape(-1)
    assert fire[0] >= 4 + 3 + 7
    assert (np.diff(fire) >= np.tile(words, steps)[:-1] + 2).all()
    # One output event in a cycle, none without its fire pass, and just the spikes and a marker for each timestep.
    cycles = [cycle for cycle, _, _ in got.output]
    assert cycles == sorted(set(cycles))
    order, last = plan.orders[-1], trace.layers[-1]
    wanted: list[tuple[int | None, int]] = []
    for fired, payloads in zip(last.spikes, last.payloads, strict=True):
        wanted += [(address, payloads[address]) for address in order[fired[order]].tolist()] + [(None, 0)]
    assert [(address, payload) for _, address, payload in got.output] == wanted
    step = 0
    for cycle, address, _ in got.output:
        word = words[-1] - 1 if address is None else plan.slots[-1][address] // plan.config.lanes
        assert cycle >= got.fire[step, -1] + 2 + word
        step += address is None
    # The decision is the last of all.
    assert got.decision > cycles[-1]
    if net.decision is not Decision.POTENTIAL:
        assert got.decision == cycles[-1] + 1
    assert got.busy.sum() < got.decision


@settings(max_examples=150)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 24))
def test_everything_leaves_in_order(draw, lanes):
    net, trace = drawn(draw)
    plan = plain_plan(net, lanes)
    got = time_inference(plan, trace)
    follows_the_order(plan, trace, got)
    # A layer is walked once for each of its events and once for each timestep.
    for index, part in enumerate(trace.layers):
        events = part.sop // net.layers[index].neurons
        assert got.busy[index] == (events + net.timesteps) * plan.layouts[index].words


@settings(max_examples=150)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 16))
def test_everything_leaves_in_order_in_graphs(draw, lanes):
    rng = np.random.default_rng(draw)
    net = random_graph(rng)
    plan = place(net, fit(net, lanes)).plan
    trace = golden.run(net, **random_input(rng, net))
    got = time_inference(plan, trace)
    follows_the_order(plan, trace, got)
    # Every event is walked for as many cycles as its walk has words.
    fired = {layer.name: part.spikes for layer, part in zip(net.layers, trace.layers, strict=True)}
    for index, layer in enumerate(net.layers):
        busy = net.timesteps * plan.layouts[index].words
        for connection, lengths in zip(layer.connections, plan.lengths[index], strict=True):
            if connection.source == INPUT:
                busy += sum(int(lengths[address]) for step in trace.events for address, _ in step)
            else:
                busy += int((fired[connection.source] * lengths).sum())
        busy += 2 * plan.layouts[index].words * layer.static
        assert got.busy[index] == busy


@settings(max_examples=50)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 16), count=st.integers(2, 4))
def test_inferences_in_a_row_take_as_long_as_each_alone(draw, lanes, count):
    """Or less, by what waits for the input; and each begins when the one before has been decided."""
    rng = np.random.default_rng(draw)
    net = random_graph(rng)
    plan = place(net, fit(net, lanes)).plan
    traces = [golden.run(net, **random_input(rng, net)) for _ in range(count)]
    together = time_inferences(plan, traces)
    before = 0
    for trace, got in zip(traces, together, strict=True):
        alone = time_inference(plan, trace)
        assert before < got.fire[0, 0]
        assert got.decision - before <= alone.decision + 1
        before = got.decision


@settings(max_examples=100)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.lists(st.integers(1, 48), min_size=2, max_size=2, unique=True))
def test_more_lanes_are_never_slower(draw, lanes):
    net, trace = drawn(draw, neurons=40)
    few, many = (time_inference(plain_plan(net, count), trace) for count in sorted(lanes))
    assert (many.fire <= few.fire).all()
    assert all(one[0] <= other[0] for one, other in zip(many.output, few.output, strict=True))
    assert many.decision <= few.decision
    assert (many.busy <= few.busy).all()


@settings(max_examples=50)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 16), silent=st.integers(1, 300))
def test_a_silent_input_costs_no_cycle(draw, lanes, silent):
    """Any number of inputs beyond those that speak changes nothing but the size of the synapse memory."""
    net, larger, events = drawn_with_more_inputs(draw, silent, weight=7)
    few, many = (time_inference(plain_plan(one, lanes), golden.run(one, events=events)) for one in (net, larger))
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
    plan = plain_plan(larger, lanes)
    few, many = (time_inference(plan, golden.run(larger, events=rows)) for rows in (events, more))
    words = -(-net.layers[0].neurons // lanes)
    assert np.array_equal(few.fire[:step], many.fire[:step])
    assert ((few.fire <= many.fire) & (many.fire <= few.fire + words)).all()
    assert few.decision <= many.decision <= few.decision + words
