"""What one layer costs in every layout: cycles in each timestep of a recording."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hillock.hw.config import RANGES
from hillock.sim.golden import Trace
from hillock.sim.layout import Layout, tap_words, walk_lengths
from hillock.sim.network import INPUT, Connection, Dense, IntArray, Network

from .walk_tables import kernel_places

__all__ = ["MAX_LANES", "FloatArray", "LayerCost", "Recording", "best_layout", "layer_costs"]

FloatArray = NDArray[np.float64]

MAX_LANES = RANGES["lanes"][1]


class Recording:
    """Recorded inferences, one behind the other, as numbers of events.

    Attributes
    ----------
    inferences, steps : int
        How many there are, and their timesteps altogether.
    events : dict of arrays [timestep, place]
        Events of all channels of a place, by source; those of static input are in the first timestep.
    """

    def __init__(self, network: Network, traces: Sequence[Trace]):
        self.inferences, self.steps = len(traces), len(traces) * network.timesteps
        self.events = {INPUT: _by_place(_input_counts(network, traces), network.input.channels)}
        for index, layer in enumerate(network.layers):
            spikes = np.concatenate([trace.layers[index].spikes for trace in traces])
            self.events[layer.name] = _by_place(spikes, layer.shape.channels)

    def room(self, source: str, depth: int, lengths: FloatArray) -> tuple[IntArray, FloatArray]:
        """When all tokens of each timestep are in a queue of `depth` words, or have been taken out of it.

        That is when the token `depth` before its marker is taken: in which timestep that one is (-1: there is none),
        and how long before the end of the walks of that timestep. `lengths`: cycles of an event, by place.
        """
        events = self.events[source]
        ends = np.cumsum(events.sum(axis=1) + 1)  # the number of tokens up to a marker
        token = ends - 1 - depth
        step = np.where(token < 0, -1, np.searchsorted(ends, token, side="right"))
        left = np.where(token < 0, 0, ends[step] - 1 - token)  # from this token on, without the marker
        behind = events[step, ::-1].cumsum(axis=1)[:, ::-1] - events[step]
        return step, np.clip(left[:, None] - behind, 0, events[step]) @ lengths


@dataclass(frozen=True, eq=False)
class LayerCost:
    """A layer in one layout, which is (channels, columns) in a word: its words, and its walks in every timestep.

    `walks[connection][timestep]`; that of static input is in the first. `lengths[connection][place]`: of one event.
    The lowest `rank` is the best: cycles, then synapse words.
    """

    layout: tuple[int, int]
    words: int
    ascending: bool
    lengths: list[FloatArray]
    walks: list[FloatArray]
    rank: tuple[float, int]

    @property
    def lanes(self) -> int:
        """That it needs."""
        return self.layout[0] * self.layout[1]


def layer_costs(network: Network, index: int, recording: Recording) -> list[LayerCost]:
    """A layer in every layout, by the lanes that it needs, without those that one of fewer lanes beats."""
    layer = network.layers[index]
    found = []
    for layout in _layouts(layer.shape.channels, layer.shape.width):
        placed = Layout(layer.shape, layout[0] * layout[1], *layout)
        lengths = [_lengths(network, connection, placed) for connection in layer.connections]
        sources = [connection.source for connection in layer.connections]
        walks = [recording.events[source] @ mine for source, mine in zip(sources, lengths, strict=True)]
        cycles = sum(float(walk.sum()) for walk in walks) + placed.words * recording.steps
        words = sum(_synapse_words(network, connection, placed) for connection in layer.connections)
        found.append(LayerCost(layout, placed.words, placed.ascending, lengths, walks, (cycles, words)))
    found.sort(key=lambda one: (one.lanes, one.rank, -one.layout[0]))
    kept: list[LayerCost] = []
    for one in found:
        beaten = [other for other in kept if other.rank <= one.rank]
        if not beaten or (one.ascending and not any(other.ascending for other in beaten)):
            kept.append(one)
    return kept


def best_layout(found: Sequence[LayerCost], lanes: int, *, ascending: bool) -> LayerCost:
    """The best of those that fit in the lanes; whose events leave in the order of their addresses, if that is asked."""
    possible = (one for one in found if one.lanes <= lanes and (one.ascending or not ascending))
    return min(possible, key=lambda one: one.rank)


def _layouts(channels: int, width: int) -> Iterator[tuple[int, int]]:
    """(channels, columns) in a word: all that may be the best for some number of lanes."""
    for per_word in sorted({-(-channels // words) for words in range(1, channels + 1)}):
        if per_word <= MAX_LANES:
            most = 1 if channels % per_word else min(MAX_LANES // per_word, width)
            yield from ((per_word, columns) for columns in range(1, most + 1))


def _lengths(network: Network, connection: Connection, layout: Layout) -> FloatArray:
    shape = network.shape_of(connection.source)
    return walk_lengths(connection, shape, layout)[:: shape.channels].astype(np.float64)


def _synapse_words(network: Network, connection: Connection, layout: Layout) -> int:
    """Words of synapse memory that a connection takes."""
    synapses = connection.synapses
    sources = 1 if isinstance(synapses, Dense) else network.shape_of(connection.source).channels
    return len(synapses.weights) * sources * kernel_places(synapses, layout) * tap_words(connection, layout)


def _input_counts(network: Network, traces: Sequence[Trace]) -> IntArray:
    """Events of every input address in each timestep; those of static input in the first."""
    counts = np.zeros((len(traces), network.timesteps, network.inputs), np.int64)
    for trace, mine in zip(traces, counts, strict=True):
        if not network.image_input:
            for step, events in zip(mine, trace.events, strict=False):
                np.add.at(step, [address for address, _ in events], 1)
    return counts.reshape(-1, network.inputs)


def _by_place(counts: NDArray[np.generic], channels: int) -> FloatArray:
    """Events of all channels of a place."""
    sums: FloatArray = counts.reshape(len(counts), -1, channels).sum(axis=2).astype(np.float64)
    return sums
