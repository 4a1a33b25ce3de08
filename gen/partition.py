"""Cutting a network into the parts that the cores of a pipeline run, each a network of its own."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

from hillock.hw.problems import HillockError, Problems
from hillock.sim.network import INPUT, Decision, Layer, Network

__all__ = ["cuts_allowed", "partition"]


def partition(network: Network, cuts: Sequence[int]) -> tuple[Network, ...]:
    """The parts of `network`: a new one begins with each layer whose index is in `cuts`.

    Between two parts there is one stream of events, that of the last layer before the cut. What cannot be cut so is
    reported together as a `HillockError`.
    """
    problems = Problems(f"network {network.name!r} on {len(cuts) + 1} cores")
    most = len(network.layers) - 1
    problems.require(
        list(cuts) == sorted(set(cuts)) and all(0 < cut <= most for cut in cuts),
        f"the layers with which cores begin must be from 1 to {most} and ascend, not {list(cuts)}"
        if most
        else "it has one layer, which runs on one core",
    )
    problems.raise_any()
    for cut in cuts:
        for text in _crossings(network, cut):
            problems.require(False, text)
    problems.raise_any()
    bounds = [0, *cuts, len(network.layers)]
    parts = []
    for number, (first, last) in enumerate(pairwise(bounds)):
        ends = last == len(network.layers)
        parts.append(
            replace(
                network,
                name=f"{network.name}[{number}]",
                input=network.layers[first - 1].shape if first else network.input,
                layers=tuple(_rewired(layer, network, first) for layer in network.layers[first:last]),
                delay=network.delay if ends else 0,
                decision=network.decision if ends else Decision.NONE,
            )
        )
    return tuple(parts)


def cuts_allowed(network: Network) -> list[int]:
    """The layers, by index, with which a core of a pipeline may begin: each of them alone, and any of them together."""

    def allowed(cut: int) -> bool:
        with suppress(HillockError):
            partition(network, [cut])
            return True
        return False

    return [cut for cut in range(1, len(network.layers)) if allowed(cut)]


def _crossings(network: Network, cut: int) -> list[str]:
    """What forbids a cut before layer `cut`: connections over it that do not come from the layer just before it."""
    before, after = network.layers[cut - 1], network.layers[cut]
    texts = []
    position = {INPUT: -1} | {layer.name: index for index, layer in enumerate(network.layers)}
    for layer in network.layers[cut:]:
        for connection in layer.connections:
            if position[connection.source] < cut and connection.source != before.name:
                texts.append(
                    f"layer {layer.name!r}: its connection from {connection.source!r} crosses the cut before "
                    f"{after.name!r}, where only events of {before.name!r} pass: cut elsewhere, or run these layers on "
                    f"one core"
                )
    takers = [
        layer.name
        for layer in network.layers[cut:]
        for connection in layer.connections
        if connection.source == before.name
    ]
    if len(takers) != 1:
        texts.append(
            f"layer {before.name!r}: its events are taken {len(takers)} times over the cut before {after.name!r}, by "
            f"{', '.join(map(repr, takers)) or 'nothing'}, and must be taken once: "
            f"{'let a relay take them (relays.with_relays), or ' if takers else ''}cut elsewhere"
        )
    if not before.fires:
        texts.append(f"layer {before.name!r}: it never fires, so nothing would pass the cut before {after.name!r}")
    return texts


def _rewired(layer: Layer, network: Network, first: int) -> Layer:
    """The layer in a part that begins with layer `first`: what comes from before it is the input."""
    outside = {other.name for other in network.layers[:first]}
    connections = tuple(
        replace(connection, source=INPUT) if connection.source in outside else connection
        for connection in layer.connections
    )
    return replace(layer, connections=connections)
