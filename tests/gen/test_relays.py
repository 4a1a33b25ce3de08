"""Relays: networks that can be cut only with them compute the same."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from hillock.gen.partition import cuts_allowed, partition
from hillock.gen.relays import cuts_with_relays, relayed_trace, with_relays
from hillock.hw.problems import HillockError
from hillock.sim import golden
from hillock.sim.elements import add
from hillock.sim.golden import LayerTrace, Trace
from hillock.sim.network import INPUT, Connection, Dense, Layer, Network, ResetMode, Shape
from random_networks import random_graph, random_input


def dense(name: str, *sources: str) -> Layer:
    connections = tuple(Connection(source, Dense(np.full((2, 2), 1))) for source in sources)
    return Layer(name=name, threshold=16, shape=Shape(2), connections=connections)


def network(*layers: Layer, **changes: Any) -> Network:
    return Network(name="n", input=Shape(2), layers=layers, timesteps=3, **changes)


def residual() -> Network:
    """Two blocks: a to c, and c to e, each with a shortcut."""
    return network(dense("a", INPUT), dense("b", "a"), dense("c", "b", "a"), dense("d", "c"), dense("e", "d", "c"))


def names(net: Network) -> list[str]:
    return [layer.name for layer in net.layers]


def sources(net: Network) -> dict[str, list[str]]:
    return {layer.name: [connection.source for connection in layer.connections] for layer in net.layers}


def test_a_relay_stands_behind_the_cut():
    net, cuts = with_relays(residual(), [1, 3])
    assert names(net) == ["a", "a_relay", "b", "c", "c_relay", "d", "e"]
    assert cuts == [1, 4]
    assert sources(net) | {"a": []} == {
        "a": [], "a_relay": ["a"], "b": ["a_relay"], "c": ["b", "a_relay"], "c_relay": ["c"], "d": ["c_relay"],
        "e": ["d", "c_relay"],
    }  # fmt: skip
    assert [names(part) for part in partition(net, cuts)] == [["a"], ["a_relay", "b", "c"], ["c_relay", "d", "e"]]


def test_a_network_that_needs_none_stays_as_it_is():
    chain = network(dense("a", INPUT), dense("b", "a"), dense("c", "b"))
    for net, cuts in ((chain, [1, 2]), (residual(), [])):
        same, still = with_relays(net, cuts)
        assert same is net
        assert still == cuts


def test_names_stay_different():
    net = network(dense("a", INPUT), dense("a_relay", "a"), dense("a_relay_", "a_relay", "a"))
    assert names(with_relays(net, [1])[0]) == ["a", "a_relay__", "a_relay", "a_relay_"]


def test_what_a_relay_makes_possible():
    assert cuts_allowed(residual()) == []
    assert cuts_with_relays(residual()) == [1, 3]


def test_a_shortcut_across_a_cut_is_still_refused():
    net, cuts = with_relays(residual(), [1, 2])
    with pytest.raises(HillockError, match=r"^network 'n' on 3 cores: layer 'c': its connection from 'a_relay'"):
        partition(net, cuts)


def test_what_carries_more_than_one_is_relayed_as_it_is():
    net = network(
        dense("a", INPUT), dense("b", INPUT), add("sum", "a", "b", Shape(2), fraction_bits=4), dense("c", "sum"),
        dense("d", "c", "sum"), payload_bits=2,
    )  # fmt: skip
    relayed, cuts = with_relays(net, [3])
    relay = relayed.layers[cuts[0]]
    assert (relay.name, relay.graded, relay.reset_mode) == ("sum_relay", True, ResetMode.EVERY_TIMESTEP)
    trace = golden.run(net, events=[[(0, 1), (1, 1)]] * 3)
    assert trace.layers[2].payloads.max() == 2
    assert_equal(relayed_trace(trace, relayed), golden.run(relayed, events=[[(0, 1), (1, 1)]] * 3))


def assert_equal(got: Trace, wanted: Trace) -> None:
    assert got.decision == wanted.decision
    assert np.array_equal(got.counts, wanted.counts)
    for mine, other in zip(got.layers, wanted.layers, strict=True):
        for field in fields(LayerTrace):
            assert np.array_equal(getattr(mine, field.name), getattr(other, field.name)), f"{mine.name}: {field.name}"


def test_the_layers_compute_what_they_did(seed):
    """Random graphs, with every relay at once: the same spikes, payloads, potentials and decision."""
    rng = np.random.default_rng(seed)
    relays = fired = 0
    while relays < 40:
        net = random_graph(rng)
        relayed, _ = with_relays(net, cuts_with_relays(net))
        if relayed is net:
            continue
        given = random_input(rng, net)
        trace = golden.run(net, **given)
        assert_equal(relayed_trace(trace, relayed), golden.run(relayed, **given))
        added = [layer for layer in relayed.layers if layer.name not in names(net)]
        relays += len(added)
        fired += sum(int(trace.layers[names(net).index(layer.connections[0].source)].spikes.sum()) for layer in added)
    assert fired > 100
