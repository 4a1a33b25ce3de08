"""What layers cost on one core: the core that `fit` would find, and about the cycles that the simulation has."""

from typing import Any

import numpy as np

from hillock.gen.group_costs import GroupCosts
from hillock.gen.layer_costs import MAX_LANES
from hillock.gen.mapping import fit, place
from hillock.gen.partition import cuts_allowed, partition
from hillock.gen.resources import predict
from hillock.hw.problems import HillockError
from hillock.sim import golden
from hillock.sim.network import INPUT, Connection, Dense, Layer, Network, Shape
from hillock.sim.timing import time_inferences
from random_networks import random_graph, random_input, random_network


def drawn(rng: np.random.Generator, **limits: Any) -> Network:
    while True:
        net: Network = random_graph(rng, max_timesteps=8, **limits)
        if rng.random() < 0.3:
            net = random_network(rng, max_neurons=60)
        if len(net.layers) > 1:
            return net


def traces_of(rng: np.random.Generator, net: Network, count: int) -> list[golden.Trace]:
    return [golden.run(net, **random_input(rng, net)) for _ in range(count)]


def parts_of(net: Network) -> list[tuple[int, int, Network]]:
    """(first layer, end, part) of every part that can be on a core of its own."""
    bounds = [0, *cuts_allowed(net), len(net.layers)]
    found = []
    for at, first in enumerate(bounds):
        for last in bounds[at + 1 :]:
            cuts = [cut for cut in (first, last) if 0 < cut < len(net.layers)]
            found.append((first, last, partition(net, cuts)[1 if first else 0]))
    return found


def test_the_core_is_the_one_that_fits(seed):
    """Every part of random networks on several numbers of lanes, as `fit` finds it for the same layouts."""
    rng = np.random.default_rng(seed)
    for _ in range(15):
        net = drawn(rng)
        costs = GroupCosts(net, traces_of(rng, net, 1))
        for first, last, part in parts_of(net):
            sizes = {"passes_on": int(last < len(net.layers)), "image_banks": 2 if part.image_input else 1}
            for lanes in (1, 5, 16, MAX_LANES):
                cost = costs.at(first, last, lanes)
                try:
                    config = fit(part, lanes, layouts=cost.layouts if cost else None, **sizes)
                except HillockError:
                    assert cost is None
                    continue
                assert cost is not None
                assert cost.config == config
                assert cost.resources == predict(config)
                place(part, config, cost.layouts)


def test_the_cycles_of_one_core(seed):
    """Some cycles in a timestep are not known before it is simulated, of few words: waiting for single spikes."""
    rng = np.random.default_rng([seed, 1])
    for _ in range(15):
        net = drawn(rng)
        traces = traces_of(rng, net, 3)
        costs = GroupCosts(net, traces)
        for lanes in (1, 4):
            cost = costs.at(0, len(net.layers), lanes)
            assert cost
            plan = place(net, cost.config, cost.layouts).plan
            exact = time_inferences(plan, traces)[-1].decision / len(traces)
            words = sum(layout.words for layout in plan.layouts)
            slack = net.timesteps * (words + 9 * len(net.layers)) + 30
            assert cost.cycles <= exact + 12
            assert exact - slack <= cost.cycles


def test_the_widths_that_are_worth_it(seed):
    rng = np.random.default_rng([seed, 2])
    for _ in range(10):
        net = drawn(rng)
        costs = GroupCosts(net, traces_of(rng, net, 1))
        for first, last, _ in parts_of(net):
            found = costs.group(first, last)
            cycles = [cost.cycles for cost in found]
            assert cycles == sorted(cycles, reverse=True)
            assert len(set(cycles)) == len(cycles)
            assert [cost.lanes for cost in found] == sorted(cost.lanes for cost in found)
            # No other number of lanes is faster than the next smaller one of these.
            for lanes in range(found[0].lanes, 40):
                other = costs.at(first, last, lanes)
                assert other
                assert other.cycles >= min(cost.cycles for cost in found if cost.lanes <= lanes)


def wide(neurons: int, inputs: int = 8) -> Network:
    """So many neurons, which fire once when all inputs do, to two that never fire."""
    first = Connection(INPUT, Dense(np.ones((inputs, neurons), int)))
    last = Connection("wide", Dense(np.ones((neurons, 2), int)))
    layers = (
        Layer(name="wide", shape=Shape(neurons), threshold=99, reset_amount=99, connections=(first,)),
        Layer(name="out", shape=Shape(2), threshold=32767, connections=(last,)),
    )
    return Network(name="n", input=Shape(inputs), layers=layers, timesteps=2)


def test_what_no_core_can_hold():
    """One lane has a window of 2^18 synapse words on the bus."""
    net = wide(40_000)
    costs = GroupCosts(net, [golden.run(net, events=[[0], []])])
    assert costs.at(0, 2, 1) is None
    assert costs.at(0, 2, 16) is not None
    assert costs.group(0, 2)[0].lanes > 1


def test_a_part_that_is_no_network():
    """A cut where none is allowed."""
    net = wide(4)
    twice = Layer(name="sum", shape=Shape(2), threshold=9, connections=(
        Connection("wide", Dense(np.ones((4, 2), int))), Connection("out", Dense(np.ones((2, 2), int)))))  # fmt: skip
    net = Network(name="n", input=net.input, layers=(*net.layers, twice), timesteps=2)
    costs = GroupCosts(net, [golden.run(net, events=[[0], []])])
    assert costs.at(1, 3, 4) is None
    assert costs.group(1, 3) == []
    assert costs.group(0, 3)


def test_events_from_outside_never_keep_a_core_waiting():
    net = wide(12)
    costs = GroupCosts(net, [golden.run(net, events=[list(range(8)), [2]])])
    first, second = costs.at(0, 1, 4), costs.at(1, 2, 4)
    assert first
    assert second
    # 8 events and 1 walk 3 words each; nothing comes from another core.
    assert (first.before.tolist(), first.walk.tolist(), first.after.tolist()) == ([24, 3], [0, 0], [0, 0])
    # All 12 neurons fire in the first timestep; 12 spikes and a marker have room in the queue.
    assert (second.before.tolist(), second.walk.tolist(), second.after.tolist()) == ([0, 0], [12, 0], [0, 0])
    assert second.frees.tolist() == [-1, -1]
    assert (first.words, second.words) == (3, 1)


def test_layers_behind_the_first_of_a_core():
    net = wide(12)
    costs = GroupCosts(net, [golden.run(net, events=[list(range(8)), [2]])])
    both = costs.at(0, 2, 4)
    assert both
    # 24 cycles, 9 from the fire pass to its first spike, 12 spikes of one word.
    assert both.before.tolist() == [24 + 9 + 12, 3 + 9]
    # The last fire pass, one word and a change, in each timestep; begin: 3, preloads, and until the decision is out.
    assert both.begin == 3 + (3 + 3) + (1 + 3) + 9 + 1
    assert both.cycles == 45 + 12 + 2 * (1 + 3) + both.begin
