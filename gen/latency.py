"""How soon a rate-coded network is as good as the network it was made from, and what it costs until then."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hillock.sim.network import IntArray

from .float_network import FloatArray

__all__ = ["CRITERIA", "accuracy_at", "error_at", "first_at", "latencies", "operations_until", "output_counts"]

CRITERIA = (99.0, 99.5, 99.9)
"""Percent of the float network's accuracy: t99.0, t99.5 and t99.9 of Hwang et al. 2021."""

_ROUNDING = 1e-12
"""What a quotient of two counts may be off by."""

_CHUNK = 50
"""Images whose counts are held at once."""


def accuracy_at(decisions_at: IntArray, labels: IntArray) -> FloatArray:
    """The share of the images that is decided right after each timestep, from `BatchResult.decisions_at`."""
    accuracy: FloatArray = (decisions_at == labels[:, None]).mean(axis=0)
    return accuracy


def output_counts(output: NDArray[np.uint8], neurons: int) -> NDArray[np.int32]:
    """N(t) [image, t, neuron] for t = 0..T, from packed output spikes (`BatchResult.output`): N(0) = 0."""
    spikes = np.unpackbits(output, axis=2, count=neurons)
    counts = np.zeros((len(spikes), spikes.shape[1] + 1, neurons), np.int32)
    np.cumsum(spikes, axis=1, out=counts[:, 1:])
    return counts


def error_at(output: NDArray[np.uint8], rates: NDArray[Any], delay: int = 0) -> FloatArray:
    """The mean squared error after each timestep t = 1..T of (N(t) - N(D)) / (t - D) from `rates` [image, neuron].

    It is infinite up to the delay D, where nothing has been counted.
    """
    timesteps = output.shape[1]
    total = np.full(timesteps, np.inf)
    total[delay:] = 0
    times = np.arange(delay + 1, timesteps + 1) - delay
    for start in range(0, len(rates), _CHUNK):
        wanted = rates[start : start + _CHUNK]
        counts = output_counts(output[start : start + _CHUNK], rates.shape[1])
        for step, time in zip(range(delay, timesteps), times, strict=True):
            total[step] += (((counts[:, step + 1] - counts[:, delay]) / time - wanted) ** 2).sum()
    return total / rates.size


def first_at(values: Sequence[float] | FloatArray, wanted: float, *, falling: bool = False) -> int | None:
    """The first timestep, counted from 1, at which `values` [T] reach `wanted`; None if they never do.

    An accuracy reaches what it is not below; an error (`falling`) what it is not above. It may leave it again.
    """
    values = np.asarray(values)
    reached = values <= wanted + _ROUNDING if falling else values >= wanted - _ROUNDING
    return int(reached.argmax()) + 1 if reached.any() else None


def latencies(accuracy: Sequence[float] | FloatArray, of_float: float) -> dict[float, int | None]:
    """For each of `CRITERIA`, the first timestep whose accuracy reaches that many percent of the float network's."""
    return {percent: first_at(accuracy, percent / 100 * of_float) for percent in CRITERIA}


def operations_until(sop_at: IntArray, timestep: int) -> float:
    """Synaptic operations per image in the timesteps 1..`timestep`, from `BatchResult.sop_at`."""
    return float(sop_at[:, :timestep].sum() / len(sop_at))
