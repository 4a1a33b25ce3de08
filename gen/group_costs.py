"""What layers cost on one core of any width: the core, what it takes of an FPGA, and its cycles in a recording."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from hillock.hw.config import RANGES, CoreConfig
from hillock.hw.problems import HillockError
from hillock.sim.bounds import may_saturate
from hillock.sim.core_clock import CHANGE, DECISION_BY_COUNT, FIRE_TO_QUEUE, LOAD_CHANGE, REPLAY_TO_QUEUE, SCAN, START
from hillock.sim.golden import Trace
from hillock.sim.layout import Layout
from hillock.sim.network import INPUT, Decision, IntArray, Network
from hillock.sim.plan import Plan
from hillock.sim.token_stream import INPUT_LATENCY

from .layer_costs import MAX_LANES, FloatArray, LayerCost, Recording, best_layout, layer_costs
from .mapping import fit
from .partition import partition
from .places import arrange
from .resources import Resources, predict

__all__ = ["GroupCost", "GroupCosts"]


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
    gives, takes : int
        Cycles from the last fire pass to its first event leaving, and from an event coming to its walk.
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
    gives: int
    takes: int
    begin: int
    cycles: float

    @property
    def lanes(self) -> int:
        """Of the core."""
        return self.config.lanes


class GroupCosts:
    """Costs of groups of layers that follow each other, remembered.

    Parameters
    ----------
    network : Network
    traces : recorded inferences, at least one, which follow each other at once
    relays : names of the layers that a plan has only where it is cut before them
    """

    def __init__(self, network: Network, traces: Sequence[Trace], relays: Collection[str] = ()):
        self.network, self._relays = network, relays
        self._recording = Recording(network, traces)
        self.group = cache(self._group)
        self.at = cache(self._at)
        self._part = cache(self._make_part)
        self._layers = cache(self._make_layer)

    def _group(self, first: int, last: int) -> list[GroupCost]:
        """The layers from `first` to before `last` on one core: the numbers of lanes with which it is faster than with
        fewer, the fewest first. None where no core can hold them.
        """
        kept: list[GroupCost] = []
        for lanes in sorted({one.lanes for index in range(first, last) for one in self._layers(index)}):
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
            best_layout(self._layers(index), lanes, ascending=ascending)
            for index, ascending in enumerate(part.must_ascend, first)
        ]
        plan = part.plan(lanes, [one.layout for one in chosen])
        if plan is None:
            return None
        zeros = np.zeros(self._recording.steps)
        queue = 3 + (plan.config.queue_words > 16) + plan.config.column_lanes
        gives, takes = FIRE_TO_QUEUE + queue, INPUT_LATENCY + plan.config.decode_cycles
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
                    gap = max(gap, gives) + plan.config.decode_cycles
                elif connection.source != INPUT:
                    gap += REPLAY_TO_QUEUE + queue + plan.config.decode_cycles
                if first and connection.source == INPUT:
                    before, walk, crossed = before + gap, cycles, True
                    source = self.network.layers[first + index].connections[number].source
                    frees, tail = self._recording.room(source, plan.config.input_queue, one.lengths[number])
                elif crossed:
                    after = after + gap + cycles
                else:
                    before = before + gap + cycles
        words, begin = chosen[-1].words, START + sum(one.words + CHANGE for one in chosen)
        if part.network.static_input:
            begin += 2 * chosen[0].words + LOAD_CHANGE + CHANGE
        if last == len(self.network.layers):
            scans = self.network.decision is Decision.POTENTIAL
            begin += SCAN + self.network.layers[-1].neurons if scans else gives + DECISION_BY_COUNT
        work = float((before + walk + after + words + CHANGE).sum()) / self._recording.inferences + begin
        names = [layer.name for layer in part.network.layers]
        layouts = {name: one.layout for name, one in zip(names, chosen, strict=True)}
        return GroupCost(
            plan.config,
            layouts,
            predict(plan.config),
            before,
            walk,
            after,
            frees,
            tail,
            words,
            gives,
            takes,
            begin,
            work,
        )

    def _make_part(self, first: int, last: int) -> "_Part | None":
        cuts = [cut for cut in (first, last) if 0 < cut < len(self.network.layers)]
        try:
            part = partition(self.network, cuts)[1 if first else 0]
            return _Part(part, self._relays, passes_on=last < len(self.network.layers))
        except HillockError:
            return None

    def _make_layer(self, index: int) -> list[LayerCost]:
        return layer_costs(self.network, index, self._recording)


class _Part:
    """A part of a network, and the cores that can run it."""

    def __init__(self, network: Network, relays: Collection[str], *, passes_on: bool):
        self.network = network
        self._banks = 2 if network.image_input else 1
        listeners = {
            connection.source
            for layer, saturates in zip(network.layers, may_saturate(network), strict=True)
            for connection in layer.connections
            if saturates
        }
        # Without a relay, who listens to it listens to its source.
        listeners |= {
            layer.connections[0].source for layer in network.layers if layer.name in relays and layer.name in listeners
        }
        self.must_ascend = [layer.name in listeners for layer in network.layers]
        self.must_ascend[-1] |= passes_on
        self._any = self._some_core(int(passes_on))

    def _some_core(self, passes_on: int) -> CoreConfig:
        """A core that can run it, for all that does not depend on lanes and layouts."""
        lanes = MAX_LANES
        while True:
            try:
                return fit(self.network, lanes, passes_on=passes_on, image_banks=self._banks)
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
