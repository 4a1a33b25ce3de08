"""The golden model for many images at once: equal to `golden.run`, and fast.

The events of a timestep are added as matrix products (`sums`). Where a potential could reach the end of its range on
the way, their order matters, and they are added one by one as the golden model does (`walk`).
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hillock.hw.problems import HillockError

from .bounds import PIXEL_MAX, may_saturate
from .golden import current_grid, settle
from .layer import INPUT, Connection, Decision, Layer
from .network import Network
from .sums import Sums
from .synapses import IntArray
from .walk import Walk

__all__ = ["BatchResult", "run_batch"]

CHUNK = 500
"""Images taken together at most."""

CACHE = 1 << 20
"""Values of the largest array of a chunk: its potentials and spikes stay in the cache of a core."""


@dataclass(frozen=True, eq=False)
class BatchResult:
    """`decisions[image]`, `counts[image, class]`, `spikes[image, timestep, layer]` (how many) and `sop[image, layer]`.

    `decisions_at[image, timestep]` is what would be decided if that timestep were the last. In `in_order` images events
    were added one by one somewhere.
    """

    decisions: IntArray
    counts: IntArray
    spikes: IntArray
    sop: IntArray
    decisions_at: IntArray
    in_order: int


def run_batch(
    network: Network,
    images: NDArray[np.integer[Any]],
    progress: Callable[[int], None] | None = None,
    *,
    threads: int | None = None,
) -> BatchResult:
    """Run an inference for each of `images` [n, inputs] of a network with image input or static input.

    Pixels are from 0 to 255; those that are not 0 are the static events, and then at most the largest payload.
    `progress` is called with the number of images done since the last call. As many `threads` as cores run unless
    told otherwise.
    """
    images = np.asarray(images)
    if not (network.image_input or network.static_input):
        raise HillockError(
            f"network {network.name!r} takes events in every timestep: run_batch needs a network with image input or "
            f"static input"
        )
    if images.ndim != 2 or images.shape[1] != network.inputs or not np.issubdtype(images.dtype, np.integer):
        raise HillockError(f"images must be integers of shape (n, {network.inputs}), not {images.dtype} {images.shape}")
    largest = PIXEL_MAX if network.image_input else min(network.largest_payload, PIXEL_MAX)
    if images.size and (images.min() < 0 or images.max() > largest):
        raise HillockError(f"pixels must be from 0 to {largest}, not {images.min()} to {images.max()}")
    batch = _Batch(network)
    chunks = [images[start : start + batch.chunk] for start in range(0, len(images), batch.chunk)]
    parts = []
    # One thread of BLAS in each of ours: elementwise work has as many cores as the products have.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for part in pool.map(batch.run, chunks or [images]):
            parts.append(part)
            if progress and len(images):
                progress(len(part.decisions))
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("decisions", "counts", "spikes", "sop", "decisions_at")
    }
    return BatchResult(**joined, in_order=sum(part.in_order for part in parts))


class _Batch:
    """What all chunks of images have in common."""

    def __init__(self, network: Network):
        self.network = network
        self.limited = may_saturate(network)
        graded = {layer.name for layer in network.layers if layer.graded}

        def sums(connection: Connection, layer: Layer) -> Sums:
            source = connection.source
            largest = network.largest_payload if source == INPUT or source in graded else 1
            return Sums(connection, network.shape_of(source), layer.shape, network.fraction_bits, largest)

        self.sums = [[sums(connection, layer) for connection in layer.connections] for layer in network.layers]
        widest = max([layer.neurons for layer in network.layers] + [one.work for some in self.sums for one in some])
        self.chunk = min(CHUNK, max(1, CACHE // widest))

    def run(self, images: NDArray[np.integer[Any]]) -> BatchResult:
        """All inferences of a chunk."""
        network, size = self.network, len(images)
        running = [
            _Running(network, layer, sums, limited, images)
            for layer, sums, limited in zip(network.layers, self.sums, self.limited, strict=True)
        ]
        last = running[-1]
        spikes = np.zeros((size, network.timesteps, len(running)), np.int64)
        counts = np.zeros((size, last.layer.neurons), np.int64)
        decisions_at = np.zeros((size, network.timesteps), np.int64)
        for step in range(network.timesteps):
            events: dict[str, NDArray[np.uint8]] = {}
            for index, layer in enumerate(running):
                fired, events[layer.layer.name] = layer.step(events)
                spikes[:, step, index] = [np.count_nonzero(row) for row in fired]
            if step >= network.delay:
                counts += fired
            decisions_at[:, step] = _decisions(network, counts, last.potential)

        fired_in_all = {layer.layer.name: layer.fired for layer in running} | {INPUT: images > 0}
        sop = np.stack([layer.sop(fired_in_all) for layer in running], axis=1)
        in_order = np.any([layer.in_order for layer in running], axis=0)
        return BatchResult(decisions_at[:, -1], counts, spikes, sop, decisions_at, int(in_order.sum()))


class _Running:
    """A layer while the inferences of a chunk run; arrays are [images, neurons]."""

    def __init__(
        self, network: Network, layer: Layer, sums: list[Sums], limited: bool, images: NDArray[np.integer[Any]]
    ):
        self.network, self.layer, self.sums, self.limited = network, layer, sums, limited
        size, shape = len(images), layer.shape
        # A sum that is added without leaving 31 bits fits in 32 itself.
        self.kind = np.int64 if limited or network.potential_bits > 31 else np.int32
        self.potential: IntArray = np.full((size, layer.neurons), layer.preload, self.kind)
        self.in_order = np.zeros(size, bool)
        self.fired = np.zeros((size, layer.neurons), np.int32)
        given = np.broadcast_to(current_grid(layer), (shape.height, shape.width, shape.channels))
        self.current = images.astype(self.kind) if layer.current_from_image else given.reshape(-1).astype(self.kind)
        if layer.static:
            self.current = np.tile(self.current, (size, 1))
            for one in sums:
                self.current = self._added(self.current, one, images)

    def step(self, events: dict[str, NDArray[np.uint8]]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        """(spikes, payloads) of a timestep, from the events of the layers before."""
        layer, potential = self.layer, self.potential
        if not layer.static:
            for connection, one in zip(layer.connections, self.sums, strict=True):
                potential = self._added(potential, one, events[connection.source])
        potential = potential + self.current
        if self.limited:
            np.clip(potential, *self.network.potential_range, out=potential)
        fired, self.potential = settle(layer, potential, self.network)
        self.fired += fired
        if layer.graded:
            return fired, np.where(fired, potential >> self.network.fraction_bits, 0).astype(np.uint8)
        return fired, fired.view(np.uint8)

    def sop(self, fired: dict[str, IntArray]) -> IntArray:
        """Additions, from how often each neuron of every source fired."""
        total = np.zeros(len(self.fired), np.int64)
        for connection, one in zip(self.layer.connections, self.sums, strict=True):
            total += fired[connection.source] @ one.fan_out
        return total

    def _added(self, values: IntArray, sums: Sums, events: NDArray[Any]) -> IntArray:
        """`values` with the events added; notes the images for which their order could matter."""
        if self.limited:
            low, high = self.network.potential_range
            # Whatever the order, nothing leaves the range if it would not with all of one sign added first.
            down, up = sums.bounds
            tight = np.flatnonzero(((values + up > high) | (values + down < low)).any(axis=1))
            if len(tight):
                some, start = events[tight], values[tight]
                leaves = (start + sums.up(some) > high) | (start + sums.down(some) < low)
                self.in_order[tight] |= leaves.any(axis=1)
        return values + sums.total(events).astype(self.kind)


def _decisions(network: Network, counts: IntArray, potentials: IntArray) -> IntArray:
    if network.decision is Decision.NONE:
        return np.zeros(len(counts), np.int64)
    deciding = counts if network.decision is Decision.COUNT else potentials
    return deciding.argmax(axis=1)
