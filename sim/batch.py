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
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hillock.hw.problems import HillockError

from .bounds import PIXEL_MAX, may_saturate
from .golden import current_grid, settle
from .layer import INPUT, Decision, ResetMode
from .network import Network
from .stimulus import image_events
from .sums import Product, Sums
from .synapses import IntArray
from .walk import Walk

__all__ = ["Additions", "Batch", "BatchResult", "RunningLayer", "check_images", "run_batch"]

CHUNK = 500
"""Images taken together at most."""

CACHE = 1 << 20
"""Values of the largest array of a chunk: its potentials and spikes stay in the cache of a core."""


@dataclass(frozen=True, eq=False)
class BatchResult:
    """`decisions[image]`, `counts[image, class]`, `spikes[image, timestep, layer]` (how many) and `sop[image, layer]`.

    `decisions_at[image, timestep]` is what would be decided if that timestep were the last, and `sop_at[image,
    timestep, layer]` the synaptic operations of that timestep; those of static input are in the first. `output[image,
    timestep, byte]` has the spikes of the last layer, those within the delay too, as `np.packbits` packs them. In
    `in_order` images events were added one by one somewhere.
    """

    decisions: IntArray
    counts: IntArray
    spikes: IntArray
    sop: IntArray
    decisions_at: IntArray
    sop_at: IntArray
    output: NDArray[np.uint8]
    in_order: int


def run_batch(
    network: Network,
    images: NDArray[np.integer[Any]],
    progress: Callable[[int], None] | None = None,
    *,
    threads: int | None = None,
    product: Product | None = None,
) -> BatchResult:
    """Run an inference for each of `images` [n, inputs] of a network with image input or static input.

    Pixels are from 0 to 255; those that are not 0 are the static events, and then at most the largest payload.
    `progress` is called with the number of images done since the last call. As many `threads` as cores run unless
    told otherwise. `product` multiplies matrices of bytes, if that can be done faster than NumPy does it with floats.
    """
    images = np.asarray(images)
    check_images(network, images, "run_batch")
    batch = Batch(network, product)
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
        for name in ("decisions", "counts", "spikes", "sop", "decisions_at", "sop_at", "output")
    }
    return BatchResult(**joined, in_order=sum(part.in_order for part in parts))


def check_images(network: Network, images: NDArray[np.integer[Any]], who: str) -> None:
    """Raise `HillockError` unless `network` can be run for `images` [n, inputs] by `who`."""
    if not (network.image_input or network.static_input):
        raise HillockError(
            f"network {network.name!r} takes events in every timestep: {who} needs a network with image input or "
            f"static input"
        )
    if images.ndim != 2 or images.shape[1] != network.inputs or not np.issubdtype(images.dtype, np.integer):
        raise HillockError(f"images must be integers of shape (n, {network.inputs}), not {images.dtype} {images.shape}")
    largest = PIXEL_MAX if network.image_input else min(network.largest_payload, PIXEL_MAX)
    if images.size and (images.min() < 0 or images.max() > largest):
        raise HillockError(f"pixels must be from 0 to {largest}, not {images.min()} to {images.max()}")


class Batch:
    """What all chunks of images have in common."""

    def __init__(self, network: Network, product: Product | None = None):
        self.network = network
        self.limited = may_saturate(network)
        self.sums = [
            [Sums(network, one, layer.shape, product) for one in layer.connections] for layer in network.layers
        ]
        self.walks = [[Walk(network, one, layer.shape) for one in layer.connections] for layer in network.layers]
        self.additions = [[Additions(one.fan_out) for one in some] for some in self.sums]
        widest = max([layer.neurons for layer in network.layers] + [one.work for some in self.sums for one in some])
        self.chunk = min(CHUNK, max(1, CACHE // widest))

    def run(self, images: NDArray[np.integer[Any]]) -> BatchResult:
        """All inferences of a chunk."""
        network, size = self.network, len(images)
        running = [RunningLayer(self, index, images) for index in range(len(network.layers))]
        last = running[-1]
        spikes = np.zeros((size, network.timesteps, len(running)), np.int64)
        counts = np.zeros((size, last.layer.neurons), np.int64)
        decisions_at = np.zeros((size, network.timesteps), np.int64)
        sop_at = np.zeros((size, network.timesteps, len(running)), np.int64)
        output = np.zeros((size, network.timesteps, -(-last.layer.neurons // 8)), np.uint8)
        for step in range(network.timesteps):
            events: dict[str, NDArray[np.uint8]] = {}
            fired: dict[str, NDArray[np.bool_]] = {} if step else {INPUT: images > 0}
            for index, layer in enumerate(running):
                name = layer.layer.name
                fired[name], events[name] = layer.step(events)
                spikes[:, step, index] = [np.count_nonzero(row) for row in fired[name]]
                for connection, additions in zip(layer.layer.connections, self.additions[index], strict=True):
                    if connection.source in fired:
                        sop_at[:, step, index] += additions.of(fired[connection.source])
            if step >= network.delay:
                counts += fired[last.layer.name]
            decisions_at[:, step] = _decisions(network, counts, last.potential)
            output[:, step] = np.packbits(fired[last.layer.name], axis=1)

        in_order = np.any([layer.in_order for layer in running], axis=0)
        return BatchResult(
            decisions_at[:, -1], counts, spikes, sop_at.sum(axis=1), decisions_at, sop_at, output, int(in_order.sum())
        )


class Additions:
    """How many weights the spikes of one timestep add, from the `fan_out` of each neuron of their source."""

    def __init__(self, fan_out: IntArray):
        # The fan-outs of a convolution have a large common divisor; without it, their sum fits in a short float.
        self.unit = max(1, int(np.gcd.reduce(fan_out)))
        kind = np.float32 if int(fan_out.sum()) // self.unit < 1 << 24 else np.float64
        self.fan_out: NDArray[Any] = (fan_out // self.unit).astype(kind)

    def of(self, fired: NDArray[np.bool_]) -> IntArray:
        """For each row of `fired` [rows, neurons of the source]."""
        total: NDArray[Any] = fired.view(np.uint8).astype(self.fan_out.dtype) @ self.fan_out
        return total.astype(np.int64) * self.unit


class RunningLayer:
    """A layer while the inferences of a chunk run; arrays are [images, neurons]."""

    def __init__(self, batch: Batch, index: int, images: NDArray[np.integer[Any]]):
        network, layer = batch.network, batch.network.layers[index]
        self.network, self.layer, self.limited = network, layer, batch.limited[index]
        self.walks = list(zip(layer.connections, batch.sums[index], batch.walks[index], strict=True))
        self.kind = _kind(network, batch.sums[index])
        # Of these neurons, which most are, `settle` would do no more than step does without it.
        self.plain = (
            layer.fires
            and layer.reset_mode is ResetMode.SUBTRACT
            and not (layer.graded or layer.leak_shift or self.limited)
        )
        self.grid = (layer.shape.height, layer.shape.width, layer.shape.channels)
        self.potential: NDArray[Any] = np.full((len(images), layer.neurons), layer.preload, self.kind)
        self.in_order = np.zeros(len(images), bool)
        current = np.broadcast_to(current_grid(layer), self.grid).reshape(1, -1)
        self.current: NDArray[Any] = (images if layer.current_from_image else current).astype(self.kind)
        if layer.static:
            self.current = self.current.repeat(len(images), axis=0)
            for _, sums, walk in self.walks:
                self.current = self._added(self.current, sums, walk, images)

    def step(self, events: dict[str, NDArray[np.uint8]]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        """(spikes, payloads) of a timestep, from the events of the layers before."""
        layer, potential = self.layer, self.potential
        if not layer.static:
            for connection, sums, walk in self.walks:
                potential = self._added(potential, sums, walk, events[connection.source])
        potential = potential + self.current
        if self.limited:
            np.clip(potential, *self.network.potential_range, out=potential)
        if self.plain:
            fired = potential >= layer.threshold
            potential -= np.multiply(fired, layer.reset_amount, dtype=self.kind)
            self.potential = potential
        else:
            fired, self.potential = settle(layer, potential, self.network)
        if layer.graded:
            return fired, np.where(fired, potential >> self.network.fraction_bits, 0).astype(np.uint8)
        return fired, fired.view(np.uint8)

    def _added(self, values: NDArray[Any], sums: Sums, walk: Walk, events: NDArray[Any]) -> NDArray[Any]:
        """`values` with the events added; one by one for images in which their order could matter."""
        added: NDArray[Any] = values + sums.total(events).astype(self.kind, copy=False)
        if self.limited:
            low, high = self.network.potential_range
            # Whatever the order, nothing leaves the range if it would not with all of one sign added first.
            down: NDArray[Any] = sums.bounds[0].astype(self.kind)
            up: NDArray[Any] = sums.bounds[1].astype(self.kind)
            tight = np.flatnonzero((values > high - up).any(axis=1) | (values < low - down).any(axis=1))
            if len(tight):
                some, start = events[tight], values[tight]
                leaves = (start + sums.up(some) > high) | (start + sums.down(some) < low)
                for image in tight[leaves.any(axis=1)]:
                    grid = values[image].reshape(self.grid).copy()
                    walk.integrate(grid, image_events(events[image]))
                    added[image] = grid.reshape(-1)
                    self.in_order[image] = True
        return added


def _kind(network: Network, sums: list[Sums]) -> type:
    """The type that holds every potential of a layer, and whatever is added to one."""
    furthest = max((int(max(-one.bounds[0].min(), one.bounds[1].max())) for one in sums), default=0)
    return np.int32 if furthest + (1 << network.potential_bits) < 1 << 31 else np.int64


def _decisions(network: Network, counts: IntArray, potentials: NDArray[Any]) -> IntArray:
    if network.decision is Decision.NONE:
        return np.zeros(len(counts), np.int64)
    deciding: NDArray[Any] = counts if network.decision is Decision.COUNT else potentials
    decisions: IntArray = deciding.argmax(axis=1)
    return decisions
