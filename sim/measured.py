"""What came out of the compiled gateware, inference by inference, to be held against the golden model."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import HillockError

from .core_clock import Output
from .plan import Pipeline, Plan
from .synapses import IntArray
from .token_words import unpack

__all__ = ["Measured", "measured_runs"]


@dataclass(frozen=True, eq=False)
class Measured:
    """One inference, to be held against a `golden.Trace` and a `timing.Timeline`.

    `spikes[layer][t, i]`, `potentials[layer][t, i]`; `fire[t, layer]` cycle of word 0 of each fire pass at the trace
    port; `words_late`, true when a later word did not follow in the next cycle; `output`, all that left the gateware;
    `decision` and the cycle in which it was offered. Inferences that were streamed share one cycle 0.
    """

    spikes: list[NDArray[np.bool_]]
    potentials: list[IntArray]
    fire: IntArray
    words_late: bool
    output: list[Output]
    decision: int
    decision_cycle: int


def measured_runs(words: NDArray[np.uint32], pipeline: Pipeline) -> Iterator[Measured]:
    """The inferences of one run of the program, from the words that it wrote.

    For each core the number of its trace words, the numbers of output words and of inferences; then the trace of each
    core, the output, and the decisions with their cycles.
    """
    plans, steps = pipeline.plans, pipeline.network.timesteps
    head = [int(value) for value in words[: len(plans) + 2]]
    ends = (len(head) + np.cumsum(head)).tolist()
    traces = [words[end - count : end] for end, count in zip(ends[: len(plans)], head, strict=False)]
    output = words[ends[-2] - head[-2] : ends[-2]].reshape(-1, 3)
    decisions = words[ends[-2] : ends[-2] + 2 * head[-1]].reshape(-1, 2).tolist()
    events = unpack(output, pipeline.network.layers[-1].shape, plans[-1].config)
    layers = [layer for plan, trace in zip(plans, traces, strict=True) for layer in _layers(trace, plan)]
    for number, (decision, cycle) in enumerate(decisions):
        mine = slice(number * steps, (number + 1) * steps)
        passes = [layer.passes(mine) for layer in layers]
        fire = np.full((steps, len(layers)), -1, np.int64)
        for index, one in enumerate(passes):
            fire[: len(one.cycles), index] = one.cycles[:, 0]
        late = any((one.cycles != one.cycles[:, :1] + np.arange(one.cycles.shape[1])).any() for one in passes)
        markers = [at for at, event in enumerate(events) if event[1] is None]
        first = markers[number * steps - 1] + 1 if number else 0
        last = markers[(number + 1) * steps - 1] + 1 if number + 1 < len(decisions) else len(events)
        yield Measured(
            [one.spikes for one in passes],
            [one.potentials for one in passes],
            fire,
            bool(late),
            events[first:last],
            decision,
            cycle,
        )


@dataclass(frozen=True, eq=False)
class _Passes:
    """The fire passes of one layer: `cycles[pass, word]`, `spikes` and `potentials[pass, neuron]`."""

    cycles: IntArray
    spikes: NDArray[np.bool_]
    potentials: IntArray

    def passes(self, some: slice) -> "_Passes":
        return _Passes(self.cycles[some], self.spikes[some], self.potentials[some])


def _layers(words: NDArray[np.uint32], plan: Plan) -> Iterator[_Passes]:
    """The layers of one core, from its trace."""
    lanes, bits = plan.config.lanes, plan.config.potential_bits
    spike_slices, potential_slices = -(-lanes // 32), -(-lanes * bits // 32)
    trace = words.reshape(-1, 3 + spike_slices + potential_slices)
    for index, (layer, layout) in enumerate(zip(plan.network.layers, plan.layouts, strict=True)):
        mine = trace[trace[:, 1] == index]
        count = layout.words
        passes = len(mine) // count
        expected = np.tile(plan.potential_bases[index] + np.arange(count), passes)
        if len(mine) != passes * count or not np.array_equal(mine[:, 2], expected):
            raise HillockError(f"layer {layer.name!r}: the words of its fire passes came in a wrong order")
        shape, neurons = (passes, count * lanes), plan.slots[index]
        fired = _bits(mine[:, 3 : 3 + spike_slices], lanes).astype(bool).reshape(shape)
        raw = _bits(mine[:, 3 + spike_slices :], lanes * bits).reshape(-1, lanes, bits)
        values = raw.astype(np.int64) @ (np.int64(1) << np.arange(bits, dtype=np.int64))
        values -= raw[:, :, -1].astype(np.int64) << bits
        spikes = fired[:, neurons]
        if int(fired.sum()) != int(spikes.sum()):
            raise HillockError(f"layer {layer.name!r}: a lane without a neuron fired")
        yield _Passes(mine[:, 0].astype(np.int64).reshape(passes, count), spikes, values.reshape(shape)[:, neurons])


def _bits(words: NDArray[np.uint32], count: int) -> NDArray[np.uint8]:
    """The lowest `count` bits of each row of words."""
    rows = np.ascontiguousarray(words).view(np.uint8)
    return np.unpackbits(rows, axis=1, bitorder="little")[:, :count]
