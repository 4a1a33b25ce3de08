"""Relays: what lets a pipeline be cut where several connections take the events of one layer.

Only one connection may take the input events of a core. A relay takes them in, and gives them to all that are behind
it; the other layers compute what they did without it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hillock.sim.elements import relay
from hillock.sim.golden import LayerTrace, Trace
from hillock.sim.network import Layer, Network

from .partition import cuts_allowed

__all__ = ["cuts_with_relays", "relayed_trace", "with_relays"]


def with_relays(network: Network, cuts: Sequence[int]) -> tuple[Network, list[int]]:
    """The network with a relay behind each of `cuts` that needs one, and the cuts in it.

    A relay is the first layer of its part and is called after the layer that it repeats. A network that needs none is
    returned as it is.
    """
    layers, names = list(network.layers), {layer.name for layer in network.layers}
    shifted = list(cuts)
    for number, cut in reversed(list(enumerate(cuts))):
        if not 0 < cut < len(network.layers) or len(_takers(network, cut)) < 2:
            continue
        before = network.layers[cut - 1]
        name = f"{before.name}_relay"
        while name in names:
            name += "_"
        names.add(name)
        added = relay(name, before.name, before.shape, fraction_bits=network.fraction_bits, graded=before.graded)
        layers[cut:] = [added, *(_from_relay(layer, before.name, name) for layer in layers[cut:])]
        shifted[number + 1 :] = [later + 1 for later in shifted[number + 1 :]]
    return replace(network, layers=tuple(layers)) if len(layers) > len(network.layers) else network, shifted


def cuts_with_relays(network: Network) -> list[int]:
    """The layers, by index, with which a core of a pipeline may begin, behind a relay where it needs one."""
    return [cut for cut in range(1, len(network.layers)) if _allowed(*with_relays(network, [cut]))]


def relayed_trace(trace: Trace, relayed: Network) -> Trace:
    """What the network with relays does in an inference in which the one without did this."""
    known = {layer.name: layer for layer in trace.layers}
    for layer in relayed.layers:
        if layer.name not in known:
            source = known[layer.connections[0].source]
            potentials = np.zeros_like(source.potentials)
            sop = int(source.spikes.sum())
            known[layer.name] = LayerTrace(layer.name, source.spikes, source.payloads, potentials, sop)
    return replace(trace, layers=tuple(known[layer.name] for layer in relayed.layers))


def _takers(network: Network, cut: int) -> list[str]:
    """The connections that take events of the layer before `cut`, by the layers that they lead to."""
    source = network.layers[cut - 1].name
    return [layer.name for layer in network.layers for part in layer.connections if part.source == source]


def _from_relay(layer: Layer, source: str, name: str) -> Layer:
    """The layer, with the events of `name` instead of those of `source`."""
    connections = (
        replace(connection, source=name) if connection.source == source else connection
        for connection in layer.connections
    )
    return replace(layer, connections=tuple(connections))


def _allowed(network: Network, cuts: list[int]) -> bool:
    return cuts[0] in cuts_allowed(network)
