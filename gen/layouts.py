"""Which layout each layer gets: the one with the fewest clock cycles, of those that the contract allows."""

from collections.abc import Iterator, Mapping

import numpy as np

from hillock.hw.problems import Problems
from hillock.sim.bounds import may_saturate
from hillock.sim.layout import Layout, axis_hits, tap_words
from hillock.sim.network import Connection, Dense, IntArray, Layer, Network, Shape

from .walk_tables import kernel_places

__all__ = ["ACTIVITY", "Activity", "Layouts", "choose_layouts"]

Activity = Mapping[str, float] | float
"""Events per neuron and timestep, of every source or by name (`INPUT` too); `ACTIVITY` for names that are not there."""

ACTIVITY = 0.1

Layouts = Mapping[str, tuple[int, int]]
"""(b, Q) by name of the layer: channels and columns in a word, `docs/walks.md`."""


def choose_layouts(
    network: Network,
    lanes: int,
    widest: int,
    given: Layouts,
    activity: Activity,
    problems: Problems,
    *,
    output_ascends: bool = False,
) -> tuple[Layout, ...]:
    """The layout of every layer, with at most `widest` columns in a word.

    Those of `given` are taken as they are; what is wrong with one of them goes to `problems`. Of the others, the one
    with the fewest estimated cycles in a timestep: the words of a fire pass, and the words that the events walk. Among
    equals it is the one with the fewest synapse words, then with the most channels in a word. With `output_ascends` the
    events of the last layer leave in the order of their addresses.
    """
    names = [layer.name for layer in network.layers]
    unknown = sorted(set(given) - set(names))
    problems.require(not unknown, f"layouts are given for {unknown}: these are not layers; there are {names}")
    delicate = _feeds_what_saturates(network)
    delicate[-1] |= output_ascends
    chosen = []
    for layer, must_ascend in zip(network.layers, delicate, strict=True):
        layout = None
        if layer.name in given:
            layout = _given(layer, given[layer.name], lanes, widest, must_ascend, problems)
        chosen.append(layout or _fastest(network, layer, lanes, widest, must_ascend, activity))
    return tuple(chosen)


def _feeds_what_saturates(network: Network) -> list[bool]:
    """Of each layer, whether the order of its events matters: a layer that listens to it may saturate."""
    delicate = {
        connection.source
        for layer, saturates in zip(network.layers, may_saturate(network), strict=True)
        for connection in layer.connections
        if saturates
    }
    return [layer.name in delicate for layer in network.layers]


def _given(
    layer: Layer, layout: tuple[int, int], lanes: int, widest: int, must_ascend: bool, problems: Problems
) -> Layout | None:
    about, shape = f"layer {layer.name!r}: layout {layout}", layer.shape
    channels, columns = layout
    most = min(lanes, shape.channels)
    if not problems.require(
        1 <= channels <= most, f"{about} must have 1 to {most} channels in a word, its first number, not {channels}"
    ):
        return None
    most = min(lanes // channels, shape.width, widest)
    if not problems.require(
        1 <= columns <= most, f"{about} must have 1 to {most} columns in a word, its second number, not {columns}"
    ):
        return None
    result = Layout(shape, lanes, channels, columns)
    good = problems.require(
        columns == 1 or shape.channels % channels == 0,
        f"{about} must have one column in a word, or a number of channels that divides the {shape.channels} of the "
        f"layer: the lanes of a word that are neurons must be the first ones",
    )
    good &= problems.require(
        result.ascending or not must_ascend,
        f"{about} must have one column in a word, or all {shape.channels} channels: a layer that listens may saturate, "
        f"or is on another core, so its events must be in order",
    )
    return result if good else None


def _candidates(shape: Shape, lanes: int, widest: int) -> Iterator[Layout]:
    for channels in range(min(lanes, shape.channels), 0, -1):
        if shape.channels % channels:
            yield Layout(shape, lanes, channels, 1)
        else:
            for columns in range(1, min(lanes // channels, shape.width, widest) + 1):
                yield Layout(shape, lanes, channels, columns)


def _fastest(network: Network, layer: Layer, lanes: int, widest: int, must_ascend: bool, activity: Activity) -> Layout:
    incoming = [_Incoming(network, layer, connection, activity) for connection in layer.connections]
    best: tuple[float, int, int] | None = None
    fastest = None
    for layout in _candidates(layer.shape, lanes, widest):
        if (must_ascend and not layout.ascending) or (best and layout.words > best[0]):
            continue
        cycles = layout.words + sum(connection.cycles(layout) for connection in incoming)
        words = sum(connection.synapse_words(layout) for connection in incoming)
        rank = (round(cycles, 6), words, -layout.channels)
        if best is None or rank < best:
            best, fastest = rank, layout
    assert fastest  # one column in a word is always possible
    return fastest


class _Incoming:
    """A connection of a layer whose layout is being looked for."""

    def __init__(self, network: Network, layer: Layer, connection: Connection, activity: Activity):
        source = network.shape_of(connection.source)
        rate = activity.get(connection.source, ACTIVITY) if isinstance(activity, Mapping) else activity
        self._connection = connection
        # Events of each place in a timestep.
        self._events = rate * source.channels / (network.timesteps if connection.static else 1)
        synapses = connection.synapses
        # Synapse words for each place of a kernel row and word of a tap.
        self._words = len(synapses.weights) * (1 if isinstance(synapses, Dense) else source.channels)
        rows, columns = (axis_hits(connection, axis, source, layer.shape) for axis in range(2))
        self._rows: IntArray = np.array([len(pairs) for pairs in rows])
        # The targets of a place are neighbours: the first and the last tell them all; (0, -1) for none.
        self._columns = np.array([(pairs[0][0], pairs[-1][0]) if pairs else (0, -1) for pairs in columns])

    def cycles(self, layout: Layout) -> float:
        """Cycles that its events walk in a timestep, on average (`sim.layout.walk_lengths`)."""
        first, last = (self._columns // layout.columns).T
        places = np.outer(self._rows, last - first + 1) * tap_words(self._connection, layout)
        return float(np.maximum(places, 1).sum() * self._events)

    def synapse_words(self, layout: Layout) -> int:
        """Words of synapse memory."""
        return self._words * kernel_places(self._connection.synapses, layout) * tap_words(self._connection, layout)
