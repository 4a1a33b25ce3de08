"""When everything leaves the core, to the clock cycle: `docs/cycles.md` in NumPy.

The constants are those of the page. They are written here and not taken from the gateware, and the regression compares
the two on every run.
Cycle 0 is the one in which the first input word is accepted (for an image: the write to `control.start` acknowledged).
Input words are offered in every cycle from then on, and output is taken as soon as it is offered.
"""

from dataclasses import dataclass

import numpy as np

from .golden import Trace
from .layer import INPUT
from .network import Decision, IntArray
from .plan import Plan

__all__ = ["Output", "Timeline", "time_inference"]

INPUT_LATENCY = 2
"""From an input word being accepted to its token being on offer."""

START = 3
"""From the core seeing that there is an inference to run, to the first pass."""

CHANGE = 3
"""From the end of a pass, or a marker without one, to the next walk or pass."""

CHANGE_SAME = 5
"""The same, where that may begin with the word that the pass began with."""

FIRE_TO_QUEUE = 6
"""From a marker being taken, plus the index of a word, to the word's spikes entering a queue."""

FIRE_TO_TRACE = 7
"""From a marker being taken, plus the index of a word, to the word's spikes and potentials at the trace port."""

REPLAY_TO_QUEUE = 2
"""From a walk being ready, plus the number of words before it, to a word of the replay memory entering the queue."""

DECISION_BY_COUNT = 1
"""From the last marker leaving to the decision."""

SCAN = 11
"""From the end of the last pass, plus the number of outputs, to a decision by potential."""

Output = tuple[int, int | None, int]
"""A word that leaves the core: (cycle, address or None for a marker, payload; 0 for a marker)."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """Cycles of one inference.

    Attributes
    ----------
    fire : array [T, layers]
        When word 0 of a layer's fire pass is at the trace port; word n follows n cycles later.
    output : list of Output
        When each output spike leaves, and the marker that closes each timestep.
    decision : int
        When the decision is available: the cycles of the inference.
    busy : array [layers]
        Cycles that the walks and fire passes of each layer take, over the whole inference.
    """

    fire: IntArray
    output: list[Output]
    decision: int
    busy: IntArray


def time_inference(plan: Plan, trace: Trace) -> Timeline:
    """When everything happens in the inference `trace`."""
    return _Clock(plan, trace).run()


class _Clock:
    """The cycle in which the next walk may begin, `ready`, on its way through an inference."""

    def __init__(self, plan: Plan, trace: Trace):
        self.plan, self.trace, self.config = plan, trace, plan.config
        self.layers = plan.network.layers
        self.words = [layout.words for layout in plan.layouts]
        self.index_of = {layer.name: index for index, layer in enumerate(self.layers)}
        # A queue of few words is a LUT RAM, and a cycle faster than a block RAM; lanes over columns cost a table.
        self.queue = 3 + (self.config.queue_words > 16) + self.config.column_lanes
        self.change = CHANGE_SAME if len(self.layers) == 1 else CHANGE
        self.fire = np.zeros((plan.network.timesteps, len(self.layers)), np.int64)
        self.busy = np.zeros(len(self.layers), np.int64)
        self.output: list[Output] = []
        self.output_free = 0
        self.marker = 0
        self.input_position = 0  # words of input accepted before the one at hand

    def run(self) -> Timeline:
        network = self.plan.network
        self.ready = START + (0 if network.image_input else INPUT_LATENCY)
        if network.static_input:
            self.ready += self.words[0] + CHANGE_SAME  # LOAD
            self._walk(0, 0, 0)
            self.busy[0] += 2 * self.words[0]
            self.ready = self.marker + self.words[0] + self.change  # LATCH
        self.ready += sum(words + self.change for words in self.words)  # PRELOAD
        for step in range(network.timesteps):
            for index, layer in enumerate(self.layers):
                self.marker = self.ready
                for number, connection in enumerate(layer.connections):
                    if not connection.static:
                        self._walk(step, index, number)
                        self.ready = self.marker + CHANGE
                if index == len(self.layers) - 1:
                    self.marker = max(self.marker, self.output_free)
                    self._leave(step)
                self.fire[step, index] = self.marker + FIRE_TO_TRACE
                self.busy[index] += self.words[index]
                self.ready = self.marker + self.words[index] + self.change
        decision = self.output[-1][0] + DECISION_BY_COUNT
        if network.decision is Decision.POTENTIAL:
            last_pass = self.marker + self.words[-1]
            decision = max(decision, last_pass + self.layers[-1].neurons + SCAN)
        return Timeline(self.fire, self.output, decision, self.busy)

    def _walk(self, step: int, index: int, number: int) -> None:
        """`marker`: when the marker that closes the tokens of a connection is taken."""
        connection = self.layers[index].connections[number]
        if connection.source == INPUT:
            addresses = np.array([address for address, _ in self.trace.events[step]], np.int64)
            offered = INPUT_LATENCY + self.input_position + np.arange(len(addresses) + 1)
            self.input_position += len(addresses) + 1
        else:
            source = self.index_of[connection.source]
            order = self.plan.orders[source]
            addresses = order[self.trace.layers[source].spikes[step][order]]
            at = self.plan.slots[source][addresses] // self.config.lanes
            if self.plan.takes_queue(index, number):
                began = int(self.fire[step, source]) - FIRE_TO_TRACE + FIRE_TO_QUEUE
                at = np.append(at, self.words[source] - 1)
            else:  # of the words that were kept, one after another: those with a spike, and the last
                began = self.ready + REPLAY_TO_QUEUE
                at = np.append(at, self.words[source] - 1)
                at = np.cumsum(np.append(0, at[1:] != at[:-1]))
            offered = began + self.queue + at
        lengths = np.append(self.plan.lengths[index][number][addresses], 0)
        self.marker = self._taken(np.maximum(offered, self.ready) + self.config.decode_cycles, lengths)
        self.busy[index] += int(lengths.sum())

    @staticmethod
    def _taken(offered: IntArray, lengths: IntArray) -> int:
        """When the last of some tokens is taken: each when it is on offer and the walk before it has ended."""
        begins = np.cumsum(lengths) - lengths
        return int((offered - begins).max() + begins[-1])

    def _leave(self, step: int) -> None:
        """The output of one timestep."""
        layer, last = self.trace.layers[-1], len(self.layers) - 1
        order = self.plan.orders[last]
        addresses = order[layer.spikes[step][order]]
        words = self.plan.slots[last][addresses] // self.config.lanes
        free = self.output[-1][0] + 1 if self.output else 0
        leaving = self.marker + FIRE_TO_QUEUE + self.queue + np.append(words, self.words[last] - 1)
        steps = np.arange(len(leaving))
        cycles = np.maximum(np.maximum.accumulate(leaving - steps), free) + steps
        payloads = layer.payloads[step][addresses].tolist()
        for cycle, address, payload in zip(cycles.tolist(), [*addresses.tolist(), None], [*payloads, 0], strict=True):
            self.output.append((cycle, address, payload))
        self.output_free = self.output[-1][0] - self.config.column_lanes
