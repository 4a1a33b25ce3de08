"""The golden model for many images at once: equal to `golden.run`, and fast.

The events of a timestep are added as one matrix product. Where a potential could reach the end of its range on the way,
the order of the events matters, and `golden.run` takes over for the images concerned.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import HillockError

from .golden import run, settle
from .network import Decision, IntArray, Network

__all__ = ["BatchResult", "run_batch"]

CHUNK = 500
"""Images taken together: their potentials and spikes stay in the cache."""


@dataclass(frozen=True, eq=False)
class BatchResult:
    """`decisions[image]`, `counts[image, class]`, `spikes[image, timestep, layer]` (how many) and `sop[image, layer]`.

    `decisions_at[image, timestep]` is what would be decided if that timestep were the last. `in_order` images went
    through the plain golden model.
    """

    decisions: IntArray
    counts: IntArray
    spikes: IntArray
    sop: IntArray
    decisions_at: IntArray
    in_order: int


def run_batch(
    network: Network, images: NDArray[np.integer[Any]], progress: Callable[[int], None] | None = None
) -> BatchResult:
    """Run an inference for each of `images` [n, inputs], pixels 0..255, of a network with image input.

    `progress` is called with the number of images done since the last call.
    """
    images = np.asarray(images)
    if not network.image_input:
        raise HillockError(f"network {network.name!r} takes events: run_batch needs a network with image input")
    if images.ndim != 2 or images.shape[1] != network.inputs or not np.issubdtype(images.dtype, np.integer):
        raise HillockError(f"images must be integers of shape (n, {network.inputs}), not {images.dtype} {images.shape}")
    if images.size and (images.min() < 0 or images.max() > 255):
        raise HillockError(f"pixels must be from 0 to 255, not {images.min()} to {images.max()}")
    parts = []
    for start in range(0, len(images), CHUNK):
        chunk = images[start : start + CHUNK].astype(np.int64)
        parts.append(_run_chunk(network, chunk))
        if progress:
            progress(len(chunk))
    if not parts:
        parts.append(_run_chunk(network, images.astype(np.int64)))
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("decisions", "counts", "spikes", "sop", "decisions_at")
    }
    return BatchResult(**joined, in_order=sum(part.in_order for part in parts))


def _run_chunk(network: Network, images: IntArray) -> BatchResult:
    low, high = network.potential_range
    size, layers = len(images), network.layers
    potentials = [np.full((size, layer.neurons), layer.preload, np.int64) for layer in layers]
    # Products of 0/1 spikes and weights of up to 16 bits are exact in float64, and in float32 below 2^24.
    weights = []
    for layer in layers:
        widest = max((c.synapses.weights.shape[0] for c in layer.connections), default=0)
        exact = np.float32 if widest << (network.weight_bits - 1) < 1 << 24 else np.float64
        weights.append([c.synapses.weights.astype(exact) for c in layer.connections])
    spike_counts = np.zeros((size, network.timesteps, len(layers)), np.int64)
    counts = np.zeros((size, layers[-1].neurons), np.int64)
    decisions_at = np.zeros((size, network.timesteps), np.int64)
    in_order = np.zeros(size, bool)
    for step in range(network.timesteps):
        fired: dict[str, NDArray[np.bool_]] = {}
        for index, layer in enumerate(layers):
            potential = potentials[index]
            for connection, matrix in zip(layer.connections, weights[index], strict=True):
                active = fired[connection.source].astype(matrix.dtype)
                # Whatever the order, no potential leaves the range if it could not with all of one sign added first.
                room = (high - potential.max(axis=1), potential.min(axis=1) - low)
                tight = np.flatnonzero(_reach(active, matrix, network) > np.minimum(*room))
                if len(tight):
                    some = active[tight]
                    up = (some @ np.maximum(matrix, 0)).astype(np.int64) << network.fraction_bits
                    down = (some @ np.minimum(matrix, 0)).astype(np.int64) << network.fraction_bits
                    leaves = (potential[tight] + up > high) | (potential[tight] + down < low)
                    in_order[tight] |= leaves.any(axis=1)
                potential = potential + ((active @ matrix).astype(np.int64) << network.fraction_bits)
            current = images if layer.current_from_image else layer.currents
            if current is not None:
                potential = np.clip(potential + current, low, high)
            spikes, potentials[index] = settle(layer, potential, network)
            fired[layer.name] = spikes
            spike_counts[:, step, index] = spikes.sum(axis=1)
        if step >= network.delay:
            counts += fired[layers[-1].name]
        deciding = counts if network.decision is Decision.COUNT else potentials[-1]
        decisions_at[:, step] = deciding.argmax(axis=1)

    sop = np.zeros((size, len(layers)), np.int64)
    index_of = {layer.name: index for index, layer in enumerate(layers)}
    for index, layer in enumerate(layers):
        for connection in layer.connections:
            sop[:, index] += spike_counts[:, :, index_of[connection.source]].sum(axis=1) * layer.neurons
    for image in np.flatnonzero(in_order):
        trace = run(network, image=images[image])
        counts[image] = trace.counts
        sop[image] = [layer.sop for layer in trace.layers]
        spike_counts[image] = np.stack([layer.spikes.sum(axis=1) for layer in trace.layers], axis=1)
        outputs = trace.layers[-1]
        so_far = np.cumsum(np.where(np.arange(network.timesteps)[:, None] >= network.delay, outputs.spikes, 0), axis=0)
        deciding = so_far if network.decision is Decision.COUNT else outputs.potentials
        decisions_at[image] = deciding.argmax(axis=1)
    return BatchResult(decisions_at[:, -1], counts, spike_counts, sop, decisions_at, int(in_order.sum()))


def _reach(active: NDArray[Any], matrix: NDArray[Any], network: Network) -> IntArray:
    """For each image, a bound on how far the events of one timestep can move any potential."""
    largest = np.abs(matrix).max(axis=1) if matrix.size else np.zeros(len(matrix))
    return (active @ largest).astype(np.int64) << network.fraction_bits
