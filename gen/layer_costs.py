"""What the layers of a network cost on cores of any width: cycles from recorded spikes, resources from the plan."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hillock.hw.config import RANGES, CoreConfig
from hillock.hw.problems import HillockError
from hillock.sim.bounds import may_saturate
from hillock.sim.core_clock import CHANGE, DECISION_BY_COUNT, LOAD_CHANGE, SCAN, START
from hillock.sim.golden import Trace
from hillock.sim.layout import Layout, tap_words, walk_lengths
from hillock.sim.network import INPUT, Connection, Decision, Dense, IntArray, Network
from hillock.sim.plan import Plan

from .mapping import fit
from .partition import partition
from .places import arrange
from .resources import Resources, predict
from .walk_tables import kernel_places

__all__ = ["MAX_LANES", "WAIT", "FloatArray", "GroupCost", "LayerCosts"]

FloatArray = NDArray[np.float64]

MAX_LANES = RANGES["lanes"][1]

WAIT = 9
"""Cycles from a fire pass to its first spike in the next walk, about."""

REPLAY = 5
"""Cycles from a walk being ready to the first spike of a layer that is replayed, about."""


@dataclass(frozen=True, eq=False)
class GroupCost:
    """Layers that follow each other, on one core: what it is, and its cycles in each timestep of the recording.

    Attributes
    ----------
    config, layouts, resources
        The core, the layouts of the layers in it as `mapping.place` takes them, and what it takes of an FPGA.
    before, walk, after : arrays [timesteps]
        Cycles until the core needs the events of the core before it, of their walk, and from its end to the last fire
        pass. Events from outside are always there, and count as `before`.
    frees, tail : arrays [timesteps]
        All events that the core before gives in timestep t are in the queue, or beyond, `tail[t]` cycles before the end
        of the walk of timestep `frees[t]`; -1: there is always room for them.
    words : int
        Of the last layer.
    begin : int
        Cycles from the end of an inference to the first timestep of the next.
    cycles : float
        Of an inference, on average, if it never waits for other cores.
    """

    config: CoreConfig
    layouts: Mapping[str, tuple[int, int]]
    resources: Resources
    before: FloatArray
    walk: FloatArray
    after: FloatArray
    frees: IntArray
    tail: FloatArray
    words: int
    begin: int
    cycles: float

    @property
    def lanes(self) -> int:
        """Of the core."""
        return self.config.lanes


class LayerCosts:
    """Costs of groups of layers that follow each other, remembered. All but `resources` and `config` are estimates.

    Parameters
    ----------
    network : Network
    traces : recorded inferences, at least one, which follow each other at once
    """

    def __init__(self, network: Network, traces: Sequence[Trace]):
        self.network = network
        self._inferences = len(traces)
        self._events = {INPUT: _by_place(_input_counts(network, traces), network.input.channels)}
        for index, layer in enumerate(network.layers):
            spikes = np.concatenate([trace.layers[index].spikes for trace in traces])
            self._events[layer.name] = _by_place(spikes, layer.shape.channels)
        self.group = cache(self._group)
        self.at = cache(self._at)
        self._part = cache(self._make_part)
        self._layer = cache(self._make_layer)
        self._queued = cache(self._make_queued)

    def _group(self, first: int, last: int) -> list[GroupCost]:
        """The layers from `first` to before `last` on one core: the numbers of lanes with which it is faster than with
        fewer, the fewest first. None where no core can hold them.
        """
        kept: list[GroupCost] = []
        for lanes in sorted({one.lanes for index in range(first, last) for one in self._layer(index)}):
            cost = self.at(first, last, lanes)
            if cost and (not kept or cost.cycles < kept[-1].cycles):
                kept.append(cost)
        return kept

    def _at(self, first: int, last: int, lanes: int) -> GroupCost | None:
        """The same on a core of this many lanes; None where it cannot hold them."""
        part = self._part(first, last)
        if part is None:
            return None
        chosen = [
            _best(self._layer(index), lanes, ascending)
            for index, ascending in zip(range(first, last), part.must_ascend, strict=True)
        ]
        plan = part.plan(lanes, [one.layout for one in chosen])
        if plan is None:
            return None
        zeros = np.zeros(len(self._events[INPUT]))
        before, walk, after, tail, frees = zeros, zeros, zeros, zeros, np.full(len(zeros), -1)
        crossed = False
        for index, one in enumerate(chosen):
            words_before = chosen[index - 1].words + CHANGE if index else 0
            connections = plan.network.layers[index].connections
            if not connections:
                before, after = (before, after + words_before) if crossed else (before + words_before, after)
            for number, (connection, cycles) in enumerate(zip(connections, one.walks, strict=True)):
                gap = CHANGE if number else words_before
                if plan.takes_queue(index, number):
                    gap = max(gap, WAIT)
                elif connection.source != INPUT:
                    gap += REPLAY
                if first and connection.source == INPUT:
                    before, walk, crossed = before + gap, cycles, True
                    frees, tail = self._room(first + index, number, one.layout, plan.config.input_queue)
                elif crossed:
                    after = after + gap + cycles
                else:
                    before = before + gap + cycles
        words, begin = chosen[-1].words, START + sum(one.words + CHANGE for one in chosen)
        if part.network.static_input:
            begin += 2 * chosen[0].words + LOAD_CHANGE + CHANGE
        if last == len(self.network.layers):
            scans = self.network.decision is Decision.POTENTIAL
            begin += SCAN + self.network.layers[-1].neurons if scans else WAIT + DECISION_BY_COUNT
        work = float((before + walk + after + words + CHANGE).sum()) / self._inferences + begin
        names = [layer.name for layer in part.network.layers]
        layouts = {name: one.layout for name, one in zip(names, chosen, strict=True)}
        return GroupCost(
            plan.config, layouts, predict(plan.config), before, walk, after, frees, tail, words, begin, work
        )

    def _make_part(self, first: int, last: int) -> "_Part | None":
        cuts = [cut for cut in (first, last) if 0 < cut < len(self.network.layers)]
        try:
            return _Part(partition(self.network, cuts)[1 if first else 0], passes_on=last < len(self.network.layers))
        except HillockError:
            return None

    def _make_layer(self, index: int) -> list["_LayerCost"]:
        """A layer in every layout, by the lanes that it needs, without those that a narrower one beats."""
        layer = self.network.layers[index]
        found = []
        for layout in _layouts(layer.shape.channels, layer.shape.width):
            placed = Layout(layer.shape, layout[0] * layout[1], *layout)
            walks = [self._events[one.source] @ self._lengths(one, placed) for one in layer.connections]
            cycles = sum(float(walk.sum()) for walk in walks) + placed.words * len(self._events[INPUT])
            words = sum(_synapse_words(self.network, one, placed) for one in layer.connections)
            found.append(_LayerCost(layout, placed.words, placed.ascending, walks, (cycles, words)))
        found.sort(key=lambda one: (one.lanes, one.rank, -one.layout[0]))
        kept: list[_LayerCost] = []
        for one in found:
            beaten = [other for other in kept if other.rank <= one.rank]
            if not beaten or (one.ascending and not any(other.ascending for other in beaten)):
                kept.append(one)
        return kept

    def _lengths(self, connection: Connection, layout: Layout) -> FloatArray:
        """Cycles of the walk of an event, by its place."""
        shape = self.network.shape_of(connection.source)
        return walk_lengths(connection, shape, layout)[:: shape.channels].astype(np.float64)

    def _room(self, index: int, number: int, layout: tuple[int, int], depth: int) -> tuple[IntArray, FloatArray]:
        """`frees` and `tail` of a connection whose events come through a queue of so many words."""
        layer = self.network.layers[index]
        connection = layer.connections[number]
        lengths = self._lengths(connection, Layout(layer.shape, layout[0] * layout[1], *layout))
        frees, behind = self._queued(connection.source, depth)
        return frees, behind @ lengths

    def _make_queued(self, source: str, depth: int) -> tuple[IntArray, FloatArray]:
        """Of the token that is `depth` tokens before the marker of a timestep: (its timestep; the events of that, by
        place, from this token on). With none so far before, (-1; nothing).
        """
        events = self._events[source]
        ends = np.cumsum(events.sum(axis=1) + 1)  # the number of tokens up to a marker
        token = ends - 1 - depth
        frees = np.where(token < 0, -1, np.searchsorted(ends, token, side="right"))
        left = np.where(token < 0, 0, ends[frees] - token - 1)  # without the marker
        later = events[frees, ::-1].cumsum(axis=1)[:, ::-1] - events[frees]
        return frees, np.clip(left[:, None] - later, 0, events[frees])


@dataclass(frozen=True, eq=False)
class _LayerCost:
    """A layer in one layout, which is (channels, columns) in a word: its words, and its walks in every timestep.

    `walks[connection][timestep]`; that of static input is in the first. The lowest `rank` is the best.
    """

    layout: tuple[int, int]
    words: int
    ascending: bool
    walks: list[FloatArray]
    rank: tuple[float, int]

    @property
    def lanes(self) -> int:
        """That it needs."""
        return self.layout[0] * self.layout[1]


class _Part:
    """A part of a network, and the cores that can run it."""

    def __init__(self, network: Network, *, passes_on: bool):
        self.network = network
        self._banks = 2 if network.image_input else 1
        listeners = {
            connection.source
            for layer, saturates in zip(network.layers, may_saturate(network), strict=True)
            for connection in layer.connections
            if saturates
        }
        self.must_ascend = [layer.name in listeners for layer in network.layers]
        self.must_ascend[-1] |= passes_on
        self._any = self._some_core(passes_on=int(passes_on), image_banks=self._banks)

    def _some_core(self, **sizes: int) -> CoreConfig:
        """A core that can run it, for all that does not depend on lanes and layouts."""
        lanes = MAX_LANES
        while True:
            try:
                return fit(self.network, lanes, **sizes)
            except HillockError:
                if lanes == 1:
                    raise
                lanes //= 2

    def plan(self, lanes: int, layouts: Sequence[tuple[int, int]]) -> Plan | None:
        """The smallest core for these layouts, as `mapping.fit` finds it; None if there is none."""
        layers = self.network.layers
        placed = tuple(Layout(layer.shape, lanes, *layout) for layer, layout in zip(layers, layouts, strict=True))
        arranged = arrange(self.network, placed, with_tables=False, images=self._banks)
        sizes = {name: max(RANGES[name][0], needed) for name, (needed, _) in arranged.needs.items()}
        columns = max(columns for _, columns in layouts)
        try:
            return Plan(self.network, replace(self._any, lanes=lanes, columns_per_word=columns, **sizes), placed)
        except HillockError:
            return None


def _layouts(channels: int, width: int) -> Iterator[tuple[int, int]]:
    """(channels, columns) in a word: all that may be the best for some number of lanes."""
    for per_word in sorted({-(-channels // words) for words in range(1, channels + 1)}):
        if per_word <= MAX_LANES:
            most = 1 if channels % per_word else min(MAX_LANES // per_word, width)
            yield from ((per_word, columns) for columns in range(1, most + 1))


def _best(found: Sequence[_LayerCost], lanes: int, ascending: bool) -> _LayerCost:
    """The best of those that fit in the lanes."""
    possible = (one for one in found if one.lanes <= lanes and (one.ascending or not ascending))
    return min(possible, key=lambda one: one.rank)


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
