"""The cycle contract: in which clock cycle everything leaves the core. `docs/cycles.md` explains the formula.

The constants below are the contract; the gateware has its own, and the regression compares the two on every run.
Cycle 0 is the one in which the first input word is accepted (for an image: the write to `control.start` acknowledged).
Input words are offered in every cycle from then on, and output is taken as soon as it is offered.
"""

from dataclasses import dataclass

import numpy as np

from .golden import Trace
from .network import Decision, IntArray, Network

__all__ = ["Timeline", "time_inference"]

INPUT_LATENCY = 2
"""From an input word being accepted to its token being on offer to the sequencer."""

START = 4
"""From the core seeing that there is an inference to run, to the first preload."""

CHANGE = 3
"""Cycles between the walk of a marker and the next walk; `CHANGE_SAME` when the core has one layer only."""

CHANGE_SAME = 5

FIRE_TO_TOKEN = 9
"""From a marker being taken, plus the index of a word, to the first spike of that word being on offer as a token."""

FIRE_TO_TRACE = 6
"""From a marker being taken, plus the index of a word, to the word's spikes and potentials at the trace port."""

DECISION_BY_COUNT = 1
"""From the last marker leaving to the decision."""

SCAN = 10
"""From the last walk's end, plus the number of outputs, to a decision by potential."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """Cycles of one inference.

    Attributes
    ----------
    fire : array [T, layers]
        When word 0 of a layer's fire pass is at the trace port; word n follows n cycles later.
    output : list of (cycle, address)
        When each output spike leaves; the marker that closes a timestep has address None.
    decision : int
        When the decision is available: the cycles of the inference.
    busy : array [layers]
        Cycles that the walks of each layer take, over the whole inference.
    """

    fire: IntArray
    output: list[tuple[int, int | None]]
    decision: int
    busy: IntArray


def time_inference(network: Network, trace: Trace, lanes: int) -> Timeline:
    """When everything happens in the inference `trace` of a chain of layers on a core of this many lanes."""
    layers = network.layers
    words = [-(-layer.neurons // lanes) for layer in layers]
    change = CHANGE_SAME if len(layers) == 1 else CHANGE
    fire = np.zeros((network.timesteps, len(layers)), np.int64)
    busy = np.zeros(len(layers), np.int64)
    output: list[tuple[int, int | None]] = []
    output_free = 0

    input_position = 0  # words of input accepted before the one at hand
    ready = START + (0 if network.image_input else INPUT_LATENCY) + sum(word + change for word in words)
    for step in range(network.timesteps):
        for index, layer in enumerate(layers):
            # A token is taken when it is on offer and the walk of the one before it has ended.
            if index > 0:
                source = np.flatnonzero(trace.layers[index - 1].spikes[step])
                began = int(fire[step, index - 1]) - FIRE_TO_TRACE
                offered = began + FIRE_TO_TOKEN + np.append(source // lanes, words[index - 1] - 1)
            elif layer.connections:
                count = len(trace.events[step]) + 1
                offered = INPUT_LATENCY + input_position + np.arange(count)
                input_position += count
            else:
                offered = np.array([0])
            walks = np.arange(len(offered)) * words[index]
            taken = int(np.max(np.maximum(offered, ready) - walks)) + int(walks[-1])
            if index == len(layers) - 1:
                taken = max(taken, output_free)
                spikes = np.flatnonzero(trace.layers[index].spikes[step])
                for address, word in [
                    *zip(spikes.tolist(), (spikes // lanes).tolist(), strict=True),
                    (None, words[index] - 1),
                ]:
                    last = output[-1][0] + 1 if output else 0
                    output.append((max(taken + FIRE_TO_TOKEN + word, last), address))
                output_free = output[-1][0]
            fire[step, index] = taken + FIRE_TO_TRACE
            busy[index] += len(offered) * words[index]
            ready = taken + words[index] + change

    decision = output[-1][0] + DECISION_BY_COUNT
    if network.decision is Decision.POTENTIAL:
        last_walk = int(fire[-1, -1]) - FIRE_TO_TRACE + words[-1]
        decision = max(decision, last_walk + layers[-1].neurons + SCAN)
    return Timeline(fire, output, decision, busy)
