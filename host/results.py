"""What came back from a board, and whether it is what the golden model says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import HillockError
from hillock.sim.golden import Trace
from hillock.sim.network import Decision, IntArray, Network
from hillock.sim.token_words import unpack

from .program import Program

__all__ = ["Inputs", "Result", "difference", "result_of"]

Inputs = dict[str, object]
"""The argument of `golden.run`: an image, or events."""


@dataclass(frozen=True, eq=False)
class Result:
    """One inference on a board.

    Attributes
    ----------
    decision : int
    clock : int
        The clock cycle, since power-up and mod 2^32, in which the decision came.
    cycles : int or None
        Of the inference on the last core; None where others followed at once.
    spikes, payloads : arrays [T, neurons] of the last layer, or None where they were not asked for
    events : list of (address, payload), or None
        The same in the order in which they came, with (None, 0) at the end of each timestep.
    counts : array or None
        Output spikes after the delay for each neuron of the last layer: those that the core counted where it was asked,
        otherwise those of `spikes`.
    potentials : tuple of arrays, or None
        Final potentials of each layer, where they were asked for.
    """

    decision: int
    clock: int
    cycles: int | None = None
    spikes: NDArray[np.bool_] | None = None
    payloads: IntArray | None = None
    events: list[tuple[int | None, int]] | None = None
    counts: IntArray | None = None
    potentials: tuple[IntArray, ...] | None = None


def result_of(program: Program, decision: int, clock: int, words: Sequence[int] | None) -> Result:
    """The result of the output tokens of one inference; without them it has no more than the decision."""
    if words is None:
        return Result(decision, clock)
    network, last = program.network, program.network.layers[-1]
    tokens = np.array([(0, word, 0) for word in words], np.uint32).reshape(-1, 3)
    events = [(address, payload) for _, address, payload in unpack(tokens, last.shape, program.configs[-1])]
    payloads = np.zeros((network.timesteps, last.neurons), np.int64)
    step = 0
    for address, payload in events:
        if address is None:
            step += 1
        elif step >= network.timesteps or address >= last.neurons:
            raise HillockError(_strange(network, f"an event of neuron {address} in timestep {step + 1}"))
        else:
            payloads[step, address] = payload
    spikes = payloads > 0
    counts = spikes[network.delay :].sum(axis=0).astype(np.int64)
    return Result(decision, clock, spikes=spikes, payloads=payloads, events=events, counts=counts)


def _strange(network: Network, what: str) -> str:
    return f"the board gave what network {network.name!r} cannot give, {what}: load the network again, and self-test it"


def difference(program: Program, result: Result, trace: Trace, cycles: int | None = None) -> str | None:
    """The first thing that is not as in the golden model, in words; None when all that was read is equal.

    `cycles` are compared where they are given and were read.
    """
    network, last = program.network, trace.layers[-1]
    if result.events is not None:
        order, wanted = program.output_order, []
        for fired, payloads in zip(last.spikes, last.payloads, strict=True):
            addresses = order[fired[order]]
            wanted += [*zip(addresses.tolist(), payloads[addresses].tolist(), strict=True), (None, 0)]
        for number, (mine, its) in enumerate(zip(wanted, result.events, strict=False)):
            if mine != its:
                return f"output event {number}: expected {mine}, got {its}"
        if len(wanted) != len(result.events):
            return f"number of output events: expected {len(wanted)}, got {len(result.events)}"
    if result.counts is not None and network.decision is Decision.COUNT:
        for number, (mine, its) in enumerate(zip(trace.counts.tolist(), result.counts.tolist(), strict=True)):
            if mine != its:
                return f"count of class {number}: expected {mine}, got {its}"
    for layer, given in zip(trace.layers, result.potentials or (), strict=False):
        differs = np.flatnonzero(layer.potentials[-1] != given)
        if len(differs):
            at = int(differs[0])
            return f"potential of neuron {at} of {layer.name}: expected {layer.potentials[-1][at]}, got {given[at]}"
    if result.decision != trace.decision:
        return f"decision: expected {trace.decision}, got {result.decision}"
    if cycles is not None and result.cycles is not None and result.cycles != cycles:
        return f"cycles: expected {cycles}, got {result.cycles}"
    return None
