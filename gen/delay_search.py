"""Delayed evaluation (Hwang et al. 2021, DE): the delay D with which a network is good enough soonest.

Output spikes of the timesteps 1..D are not counted: at t, what counts is N(t) - N(D). All delays come from the spikes
of one run without any.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import Problems
from hillock.sim.network import Decision, IntArray, Network

from .float_network import FloatArray
from .latency import first_at, output_counts

__all__ = ["DelayChoice", "accuracy_by_delay", "choose_delay", "error_by_delay", "with_delay"]

_CHUNK = 100
"""Images whose counts are held at once."""


@dataclass(frozen=True)
class DelayChoice:
    """A delay, and the first timestep at which the network is then good enough; the delay is within it."""

    delay: int
    latency: int


def accuracy_by_delay(output: NDArray[np.uint8], labels: IntArray, classes: int) -> FloatArray:
    """The accuracy [D, t - 1] for every delay D = 0..T - 1 and timestep t = 1..T; not a number up to the delay.

    `output` [image, timestep, byte] is `BatchResult.output` of a network that decides by count: a tie goes to the
    lowest class. `labels` [image].
    """
    timesteps = output.shape[1]
    right = np.zeros((timesteps, timesteps), np.int64)
    for start in range(0, len(labels), _CHUNK):
        counts = output_counts(output[start : start + _CHUNK], classes).transpose(2, 0, 1)
        some = labels[start : start + _CHUNK]
        # By how much the class of the label leads: it wins if, since D, that has not fallen for the classes behind it,
        # and has risen for those before it.
        lead = np.take_along_axis(counts, some[None, :, None], axis=0) - counts
        before = (np.arange(classes)[:, None] < some)[:, :, None]
        for delay in range(timesteps):
            ahead = lead[:, :, delay + 1 :] >= lead[:, :, delay, None] + before
            right[delay, delay:] += ahead.all(axis=0).sum(axis=0)
    return _after_delay(right / len(labels))


def error_by_delay(output: NDArray[np.uint8], rates: NDArray[Any]) -> FloatArray:
    """The mean squared error [D, t - 1] of the rates (N(t) - N(D)) / (t - D) from `rates` [image, neuron].

    For every D = 0..T - 1 and t = 1..T; not a number up to the delay.
    """
    timesteps = output.shape[1]
    products = np.zeros((timesteps + 1, timesteps + 1))  # of N(D) and N(t)
    along = np.zeros(timesteps + 1)  # of N(t) and the rates
    for image, wanted in enumerate(rates.astype(float)):
        counts = output_counts(output[image : image + 1], len(wanted))[0].astype(float)
        products += counts @ counts.T
        along += counts @ wanted
    squares = np.diag(products)
    grown = (squares[:-1, None] - 2 * products[:-1, 1:] + squares[None, 1:]).clip(0)
    time = np.arange(1, timesteps + 1) - np.arange(timesteps)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        total = grown / time**2 - 2 * (along[1:] - along[:-1, None]) / time + float((rates.astype(float) ** 2).sum())
    return _after_delay(total / rates.size)


def choose_delay(by_delay: FloatArray, wanted: float, *, falling: bool = False) -> DelayChoice | None:
    """The delay with which `wanted` is reached first, of equal ones the shortest; None where none reaches it.

    `by_delay` [D, t - 1] are accuracies, which reach what they are not below, or, `falling`, errors.
    """
    nothing = np.inf if falling else -np.inf
    reached = (
        (latency, delay)
        for delay, values in enumerate(np.where(np.isnan(by_delay), nothing, by_delay))
        if (latency := first_at(values, wanted, falling=falling)) is not None
    )
    best = min(reached, default=None)
    return None if best is None else DelayChoice(delay=best[1], latency=best[0])


def with_delay(network: Network, choice: DelayChoice) -> Network:
    """`network` with that delay, and no more timesteps than it needs.

    Raises `HillockError` for a decision by potential, in which nothing is counted, and for more timesteps than it has.
    """
    problems = Problems(f"delay of network {network.name!r}")
    problems.require(
        network.decision is not Decision.POTENTIAL, "it decides by potential, and a delay is of counted spikes"
    )
    problems.require(
        choice.latency <= network.timesteps,
        f"it must have the {choice.latency} timesteps after which it is good enough, and has {network.timesteps}",
    )
    problems.raise_any()
    return replace(network, delay=choice.delay, timesteps=choice.latency)


def _after_delay(values: FloatArray) -> FloatArray:
    timesteps = len(values)
    counted = np.arange(1, timesteps + 1) > np.arange(timesteps)[:, None]
    result: FloatArray = np.where(counted, values, np.nan)
    return result
