"""Networks cut into parts: together they compute the same, and what cannot be cut is said."""

import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hillock.gen.partition import cuts_allowed, partition
from hillock.hw.problems import HillockError
from hillock.sim import golden
from hillock.sim.elements import add
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, Network, Shape
from random_networks import random_graph, random_input, random_network


def dense(name: str, *sources: str, size: int = 2, inputs: int = 2, **changes: Any) -> Layer:
    connections = tuple(Connection(source, Dense(np.full((inputs, size), 1))) for source in sources)
    values: dict[str, Any] = {"threshold": 16, "shape": Shape(size), "connections": connections}
    return Layer(name=name, **(values | changes))


def network(*layers: Layer, **changes: Any) -> Network:
    return Network(name="n", input=Shape(2), layers=layers, **({"timesteps": 3, "delay": 1} | changes))


def residual() -> Network:
    """A chain from a to e, and a connection from a to d."""
    layers = dense("a", INPUT), dense("b", "a"), dense("c", "b"), dense("d", "c", "a"), dense("e", "d")
    return network(*layers)


# What the parts are


def test_the_parts_of_a_chain():
    net = network(dense("a", INPUT), dense("b", "a", size=3), dense("c", "b", inputs=3))
    parts = partition(net, [1, 2])
    assert [part.name for part in parts] == ["n[0]", "n[1]", "n[2]"]
    assert [[layer.name for layer in part.layers] for part in parts] == [["a"], ["b"], ["c"]]
    assert [part.input for part in parts] == [Shape(2), Shape(2), Shape(3)]
    assert all(part.layers[0].connections[0].source == INPUT for part in parts)
    assert [part.decision for part in parts] == [Decision.NONE, Decision.NONE, Decision.COUNT]
    assert [part.delay for part in parts] == [0, 0, 1]
    assert {part.timesteps for part in parts} == {3}


def test_without_a_cut_everything_stays_as_it_is():
    net = residual()
    (part,) = partition(net, [])
    assert replace(part, name=net.name).digest() == net.digest()


def test_connections_within_a_part_stay():
    first, second = partition(residual(), [4])
    assert [connection.source for connection in first.layers[3].connections] == ["c", "a"]
    assert [connection.source for connection in second.layers[0].connections] == [INPUT]


def run_parts(parts: tuple[Network, ...], given: Any) -> tuple[list[golden.LayerTrace], int]:
    """(all layers, the decision); each part is fed what comes out of the one before it."""
    layers: list[golden.LayerTrace] = []
    for part in parts:
        trace = golden.run(part, **given)
        layers += trace.layers
        steps = zip(trace.layers[-1].spikes, trace.layers[-1].payloads, strict=True)
        given = {"events": [[(int(at), int(payloads[at])) for at in np.flatnonzero(row)] for row, payloads in steps]}
    return layers, trace.decision


def test_the_parts_compute_what_the_whole_does(seed):
    """Random networks, at every cut and every two; spikes, what they carry, potentials, decision."""
    rng = np.random.default_rng(seed)
    compared = fired = 0
    while compared < 60:
        net = random_network(rng) if compared % 3 == 0 else random_graph(rng)
        given = random_input(rng, net)
        whole = golden.run(net, **given)
        allowed = cuts_allowed(net)
        for cuts in itertools.chain(itertools.combinations(allowed, 1), itertools.combinations(allowed, 2)):
            layers, decision = run_parts(partition(net, cuts), given)
            assert decision == whole.decision
            for got, wanted in zip(layers, whole.layers, strict=True):
                for what in ("spikes", "payloads", "potentials"):
                    assert np.array_equal(getattr(got, what), getattr(wanted, what)), f"{cuts}, {got.name}: {what}"
                fired += int(got.spikes.sum())
            compared += 1
    assert fired > 1000


# What cannot be cut


def refused(net: Network, cuts: list[int]) -> str:
    with pytest.raises(HillockError) as caught:
        partition(net, cuts)
    return str(caught.value)


@pytest.mark.parametrize("cuts", [[0], [5], [-1], [2, 1], [1, 1], [1, 4, 6]])
def test_cuts_must_be_layers_in_their_order(cuts):
    text = (
        f"network 'n' on {len(cuts) + 1} cores: the layers with which cores begin must be from 1 to 4 and ascend, not "
    )
    assert refused(residual(), cuts) == f"{text}{cuts}"


def test_one_layer_cannot_be_cut():
    net = network(dense("a", INPUT))
    assert refused(net, [1]) == "network 'n' on 2 cores: it has one layer, which runs on one core"
    assert cuts_allowed(net) == []


def test_a_connection_across_a_cut():
    text = (
        "network 'n' on 2 cores: layer 'd': its connection from 'a' crosses the cut before 'c', where only events of "
        "'b' pass: cut elsewhere, or run these layers on one core"
    )
    assert refused(residual(), [2]) == text


def test_the_input_across_a_cut():
    net = network(dense("a", INPUT), dense("b", "a"), dense("c", "b", INPUT))
    assert "layer 'c': its connection from 'input' crosses the cut before 'b'" in refused(net, [1])
    assert cuts_allowed(net) == []


def test_events_that_are_taken_twice():
    text = (
        "network 'n' on 2 cores: layer 'a': its events are taken 2 times over the cut before 'b', by 'b', 'd', and "
        "must be taken once: let a relay take them (relays.with_relays), or cut elsewhere"
    )
    assert refused(residual(), [1]) == text


def test_events_that_nothing_takes():
    net = network(dense("a", INPUT), dense("b", "a"), dense("c", currents=np.ones(2, int)))
    text = (
        "network 'n' on 2 cores: layer 'b': its events are taken 0 times over the cut before 'c', by nothing, and must "
        "be taken once: cut elsewhere"
    )
    assert refused(net, [2]) == text


def test_a_layer_that_never_fires():
    net = network(dense("a", INPUT, fires=False), dense("b", "a"))
    text = "network 'n' on 2 cores: layer 'a': it never fires, so nothing would pass the cut before 'b'"
    assert refused(net, [1]) == text


def test_all_that_forbids_the_cuts_is_said_together():
    text = refused(residual(), [1, 2, 3])
    assert text.startswith("network 'n' on 4 cores: 3 problems\n")
    assert re.findall(r"the cut before '(.)'", text) == ["b", "c", "d"]


def test_the_cuts_that_are_allowed():
    assert cuts_allowed(residual()) == [4]
    assert cuts_allowed(network(dense("a", INPUT), dense("b", "a"), dense("c", "b"))) == [1, 2]


def test_a_graded_layer_must_know_what_it_is_sent():
    """Events of two plain layers add up to 2; from another core they could carry all that a payload can."""
    joined = add("sum", "b", "a", Shape(2), fraction_bits=4)
    net = network(dense("a", INPUT), dense("b", "a"), joined, dense("out", "sum"), payload_bits=2)
    assert cuts_allowed(net) == [3]
    graded = replace(dense("c", "b"), graded=True, reset_mode=joined.reset_mode)
    net = network(dense("a", INPUT), dense("b", "a"), graded, dense("out", "c"), payload_bits=2)
    assert partition(net, [3])[1].layers[0].name == "out"
    assert cuts_allowed(net) == [1, 3]
    assert "network 'n[1]': layer 'c'" in refused(net, [2])
