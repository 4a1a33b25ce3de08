"""The clock of one core on its way through inferences: `docs/cycles.md`."""

from collections.abc import Sequence

import numpy as np

from .golden import LayerTrace
from .layer import INPUT
from .network import Decision, IntArray
from .plan import Plan
from .token_stream import TokenStream

__all__ = ["CoreClock", "Output"]

START = 3
"""From the core seeing that there is an inference to run, to the first pass."""

CHANGE = 3
"""From the end of a pass, or a marker without one, to the next walk or pass."""

LOAD_CHANGE = 5
"""The same after a LOAD pass."""

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
"""A word that leaves the accelerator: (cycle, address or None for a marker, payload; 0 for a marker)."""


class CoreClock:
    """Where a core is: `ready`, the cycle in which its next walk or pass may begin.

    After `load` and a `step` for each timestep, `fire`, `output` and `busy` are those of the inference, see
    `timing.Timeline`; there is output of the `last` core only.
    """

    def __init__(self, plan: Plan, given: TokenStream, taken: TokenStream, *, last: bool):
        self._plan, self._given, self._taken, self._last = plan, given, taken, last
        config = plan.config
        self._layers = plan.network.layers
        self._words = [layout.words for layout in plan.layouts]
        self._changes = [_change(plan, index) for index in range(len(self._layers))]
        self._index_of = {layer.name: index for index, layer in enumerate(self._layers)}
        # A queue of few words is a LUT RAM, and a cycle faster than a block RAM; lanes over columns cost a table.
        self._queue = 3 + (config.queue_words > 16) + config.column_lanes
        # Events wait for an idle core; a start of an image is seen in the cycle after it was written.
        self._idle_from = 1 if plan.network.image_input else 0
        self._ready = 0
        self._marker = 0
        self._output_free = 0

    def load(self, traces: Sequence[LayerTrace]) -> None:
        """The next inference: what its layers do."""
        self._traces = traces
        steps = self._plan.network.timesteps
        self.fire = np.zeros((steps, len(self._layers)), np.int64)
        self.busy = np.zeros(len(self._layers), np.int64)
        self.output: list[Output] = []

    def step(self, step: int) -> None:
        """One timestep; the tokens of its input have been given."""
        if step == 0:
            self._begin()
        for index, layer in enumerate(self._layers):
            fires_outward = index == len(self._layers) - 1
            if fires_outward:  # a stage earlier than its last marker is on offer where lanes cost a stage
                self._output_free = self._taken.marker_before(int(self._plan.config.column_lanes))
            self._marker = self._ready
            walks = [number for number, connection in enumerate(layer.connections) if not connection.static]
            for number in walks:
                ends = fires_outward and number == walks[-1]
                self._walk(step, index, number, self._output_free if ends else 0)
                self._ready = self._marker + CHANGE
            if fires_outward:
                self._marker = max(self._marker, self._output_free)
                self._leave(step)
            self.fire[step, index] = self._marker + FIRE_TO_TRACE
            self.busy[index] += self._words[index]
            self._ready = self._marker + self._words[index] + self._changes[index]
        self._idle_from = self._marker + self._words[-1] + 1

    def decide(self) -> int:
        """When the decision is available."""
        decision = self.output[-1][0] + DECISION_BY_COUNT
        if self._plan.network.decision is Decision.POTENTIAL:
            last_pass = self._marker + self._words[-1]
            decision = max(decision, last_pass + self._layers[-1].neurons + SCAN)
        self._idle_from = decision + 1
        return decision

    def _begin(self) -> None:
        """Everything before the first timestep."""
        network = self._plan.network
        begin = self._idle_from if network.image_input else max(self._idle_from, self._given.first_offer())
        self._ready = begin + START
        if network.static_input:
            self._ready += self._words[0] + LOAD_CHANGE
            self._walk(0, 0, 0, 0)
            self.busy[0] += 2 * self._words[0]
            self._ready = self._marker + self._words[0] + self._changes[0]  # LATCH
        self._ready += sum(self._words) + sum(self._changes)  # PRELOAD

    def _walk(self, step: int, index: int, number: int, marker_after: int) -> None:
        """`_marker`: when the marker that closes the tokens of a connection is taken."""
        connection, lengths = self._layers[index].connections[number], self._plan.lengths[index][number]
        if connection.source == INPUT:
            lengths = np.append(lengths[self._given.addresses], 0)
            self._marker = self._given.take(lengths, self._ready, self._plan.config.decode_cycles, marker_after)
        else:
            source = self._index_of[connection.source]
            addresses, words = self._events(step, source)
            words = np.append(words, self._words[source] - 1)
            if self._plan.takes_queue(index, number):
                entered = int(self.fire[step, source]) - FIRE_TO_TRACE + FIRE_TO_QUEUE + words
            else:  # of the words that were kept, one after another: those with a spike, and the last
                entered = self._ready + REPLAY_TO_QUEUE + np.cumsum(np.append(0, words[1:] != words[:-1]))
            lengths = np.append(lengths[addresses], 0)
            offered = np.maximum(entered + self._queue, self._ready) + self._plan.config.decode_cycles
            begins = np.cumsum(lengths) - lengths
            self._marker = max(int((offered - begins).max() + begins[-1]), marker_after)
        self.busy[index] += int(lengths.sum())

    def _events(self, step: int, index: int) -> tuple[IntArray, IntArray]:
        """(addresses, words) of the spikes of a layer, in the order in which they leave it."""
        order = self._plan.orders[index]
        addresses = order[self._traces[index].spikes[step][order]]
        return addresses, self._plan.slots[index][addresses] // self._plan.config.lanes

    def _leave(self, step: int) -> None:
        """The spikes of the last layer go into the output queue."""
        addresses, words = self._events(step, len(self._layers) - 1)
        cycles = self._marker + FIRE_TO_QUEUE + self._queue + np.append(words, self._words[-1] - 1)
        self._taken.give(addresses, cycles)
        if self._last:
            leaves = self._taken.drain().tolist()
            payloads = self._traces[-1].payloads[step][addresses].tolist()
            self.output += zip(leaves, [*addresses.tolist(), None], [*payloads, 0], strict=True)


def _change(plan: Plan, index: int) -> int:
    """Cycles from the end of a layer's pass to what comes next."""
    layer, words = plan.network.layers[index], plan.layouts[index].words
    if len(plan.network.layers) > 1:
        return CHANGE
    if plan.config.one_word:
        return 2 if layer.leak_shift == 0 and plan.config.max_connections == 1 else 3
    return max(CHANGE, 6 - words)
