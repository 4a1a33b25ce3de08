"""One layer of a network at a time, from the spikes of its sources: equal to `golden.run`, for many preloads at once.

What reaches a layer does not depend on its own preload. So the events of all timesteps are added up once, and only the
neurons run again for every preload. Where that does not hold, because a potential could saturate, or where the neurons
are not the plain ones of a rate-coded network, the layer runs as `run_batch` runs it, once for each preload.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from .batch import CACHE, Batch, RunningLayer, check_images
from .bounds import may_saturate
from .layer import INPUT, Layer, ResetMode
from .network import Network
from .sums import Product

__all__ = ["LayerRuns", "SpikeTrains"]

SUMS = 1 << 24
"""Sums that a thread holds at most, unless one image has more: 64 MiB."""

BLOCK = 1 << 12
"""Neurons of some images that run through all timesteps together: their sums and potentials stay in the cache."""

TOGETHER = 12
"""Preloads with which they do."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class SpikeTrains:
    """The events of a layer: `packed[image, timestep, byte]`, eight neurons to a byte, as `np.packbits` packs them.

    Those of a graded layer are a payload in every byte.
    """

    packed: NDArray[np.uint8]
    neurons: int
    graded: bool = False

    def events(self, images: slice) -> NDArray[np.uint8]:
        """The payloads [image, timestep, neuron] of some of the images, 0 where there is no event."""
        some = self.packed[images]
        return some if self.graded else np.unpackbits(some, axis=2, count=self.neurons)


class LayerRuns:
    """The layers of a network with image or static input, for `images` [n, inputs] of it.

    `threads` and `product` are as for `run_batch`. The calls take the trains of the layers behind which a layer stands,
    by name.
    """

    def __init__(
        self,
        network: Network,
        images: NDArray[np.integer[Any]],
        *,
        threads: int | None = None,
        product: Product | None = None,
    ):
        check_images(network, images, "LayerRuns")
        self.network, self.images, self.threads = network, images, threads
        self.batch = Batch(network, product)
        self._limits: dict[tuple[int, int], bool] = {}

    def trains(self, index: int, sources: Mapping[str, SpikeTrains], preload: int) -> SpikeTrains:
        """The spikes of layer `index` with that preload."""
        layer, plain = self.network.layers[index], self._plain(index, preload)

        def run(images: slice) -> NDArray[np.uint8]:
            if not plain:
                payloads = [payload for _, payload in self._steps(index, sources, images, preload)]
                together = np.stack(payloads, axis=1)
                return together if layer.graded else np.packbits(together, axis=2)
            sums = self._sums(index, sources, images)
            fired = np.empty(sums.shape, bool)
            for block, step, silent in _silent(sums, layer.threshold, [preload]):
                np.equal(silent[0], 0, out=fired[step, block])
            by_image = fired.reshape(len(sums), -1, layer.neurons)
            return np.ascontiguousarray(np.packbits(by_image, axis=2).transpose(1, 0, 2))

        return SpikeTrains(np.concatenate(self._each(index, run)), layer.neurons, layer.graded)

    def errors(
        self, index: int, sources: Mapping[str, SpikeTrains], preloads: Sequence[int], rates: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """For each of `preloads`, the sum over t = 1..T of the mean over neurons and images of (N(t) / t - rate)^2.

        N(t) are the spikes of the timesteps 1..t, whatever the delay. `rates` [n, neurons].
        """
        layer = self.network.layers[index]
        plain = [preload for preload in preloads if self._plain(index, preload)]

        def run(images: slice) -> NDArray[np.float64]:
            wanted, total = rates[images], {}
            if plain:
                sums = self._sums(index, sources, images)
                total = dict(zip(plain, _errors(sums, layer.threshold, plain, wanted), strict=True))
            for preload in set(preloads) - set(plain):
                count = np.zeros(wanted.shape)
                total[preload] = 0.0
                for step, (fired, _) in enumerate(self._steps(index, sources, images, preload)):
                    count += fired
                    total[preload] += float(((count / (step + 1) - wanted) ** 2).sum())
            return np.array([total[preload] for preload in preloads])

        parts = self._each(index, run)
        errors: NDArray[np.float64] = np.sum(parts, axis=0) / rates.size
        return errors

    def additions(self, index: int, sources: Mapping[str, SpikeTrains]) -> int:
        """The synaptic operations of all images in layer `index`; they do not depend on its preload."""
        layer = self.network.layers[index]

        def run(images: slice) -> int:
            total = 0
            for connection, additions in zip(layer.connections, self.batch.additions[index], strict=True):
                if connection.source == INPUT:
                    total += int(additions.of(self.images[images] > 0).sum())
                else:
                    events = sources[connection.source].events(images) > 0
                    total += int(additions.of(events.reshape(-1, events.shape[2])).sum())
            return total

        return sum(self._each(index, run))

    def _each(self, index: int, run: Callable[[slice], _Result]) -> list[_Result]:
        """What `run` makes of one chunk of images after the other, in their order."""
        network = self.network
        layer = network.layers[index]
        widest = max([layer.neurons, *(network.shape_of(one.source).neurons for one in layer.connections)])
        chunk = max(1, SUMS // (widest * network.timesteps))
        chunks = [slice(start, start + chunk) for start in range(0, len(self.images), chunk)]
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(self.threads or os.cpu_count()) as pool:
            return list(pool.map(run, chunks))

    def _plain(self, index: int, preload: int) -> bool:
        """Whether the layer has integrate-and-fire neurons whose threshold is subtracted, and cannot saturate."""
        layer = self.network.layers[index]
        subtracts = layer.reset_mode is ResetMode.SUBTRACT and layer.reset_amount == layer.threshold
        if not (subtracts and layer.fires and not layer.leak_shift and not layer.graded):
            return False
        return not self._limited(index, preload)

    def _limited(self, index: int, preload: int) -> bool:
        """Whether the layer may saturate with that preload."""
        if (index, preload) not in self._limits:
            layers = list(self.network.layers)
            layers[index] = replace(layers[index], preload=preload)
            self._limits[index, preload] = may_saturate(replace(self.network, layers=tuple(layers)))[index]
        return self._limits[index, preload]

    def _sums(self, index: int, sources: Mapping[str, SpikeTrains], images: slice) -> NDArray[np.signedinteger[Any]]:
        """What is added to a potential in each timestep, less the threshold: [T, neurons of image after image]."""
        layer, running = self._layer(index, images)
        timesteps, count = self.network.timesteps, len(self.images[images])
        constant = np.broadcast_to(running.current - layer.threshold, (count, layer.neurons))
        if layer.static or not layer.connections:
            return np.broadcast_to(constant.reshape(1, -1), (timesteps, constant.size))
        result: NDArray[Any] = np.empty((timesteps, count, layer.neurons), running.kind)
        result[:] = constant
        for connection, sums, _ in running.walks:
            events = sources[connection.source].events(images)
            rows = max(1, CACHE // max(sums.work, layer.neurons))
            for image in range(count):
                for start in range(0, timesteps, rows):
                    steps = slice(start, start + rows)
                    result[steps, image] += sums.total(events[image, steps]).astype(running.kind)
        return result.reshape(timesteps, -1)

    def _steps(
        self, index: int, sources: Mapping[str, SpikeTrains], images: slice, preload: int
    ) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.uint8]]]:
        """(spikes, payloads) of every timestep, as `run_batch` has them."""
        layer, running = self._layer(index, images)
        running.potential[:] = preload
        running.limited = self._limited(index, preload)
        events = {one.source: sources[one.source].events(images) for one in layer.connections if not one.static}
        for step in range(self.network.timesteps):
            yield running.step({source: values[:, step] for source, values in events.items()})

    def _layer(self, index: int, images: slice) -> tuple[Layer, RunningLayer]:
        return self.network.layers[index], RunningLayer(self.batch, index, self.images[images])


def _silent(
    sums: NDArray[np.signedinteger[Any]], threshold: int, preloads: Sequence[int]
) -> Iterator[tuple[slice, int, NDArray[np.signedinteger[Any]]]]:
    """(block of neurons, timestep, -1 for each that is silent in it and 0 for each that fires [preload, neuron]).

    The potential, less the threshold, is kept as it is before a spike subtracts: its sign is the spike. Every row of
    `sums` has the threshold subtracted, which is given back to those that were silent.
    """
    kind = sums.dtype
    sign = 8 * kind.itemsize - 1
    back = kind.type(threshold)
    for start in range(0, sums.shape[1], BLOCK):
        block = slice(start, min(start + BLOCK, sums.shape[1]))
        potential = np.empty((len(preloads), block.stop - start), kind)
        potential[:] = np.array(preloads, kind)[:, None]
        silent, restored = np.empty_like(potential), np.empty_like(potential)
        for step in range(len(sums)):
            np.add(potential, sums[step, block], out=potential)
            np.right_shift(potential, sign, out=silent)
            yield block, step, silent
            np.bitwise_and(silent, back, out=restored)
            np.add(potential, restored, out=potential)


def _errors(
    sums: NDArray[np.signedinteger[Any]], threshold: int, preloads: Sequence[int], rates: NDArray[np.float32]
) -> NDArray[np.float64]:
    """`LayerRuns.errors` before the mean, for some images."""
    if len(preloads) > TOGETHER:
        halves = preloads[:TOGETHER], preloads[TOGETHER:]
        return np.concatenate([_errors(sums, threshold, half, rates) for half in halves])
    total = np.zeros(len(preloads))
    rest = 1 - rates.reshape(-1)  # N / t - a = 1 - a - (silent timesteps) / t
    for block, step, silent in _silent(sums, threshold, preloads):
        if step == 0:
            missing = np.zeros(silent.shape, np.int32)
            error = np.empty(silent.shape, np.float32)
        np.add(missing, silent, out=missing, casting="unsafe")
        np.copyto(error, missing, casting="unsafe")
        error *= np.float32(1 / (step + 1))
        error += rest[block]
        total += np.vecdot(error, error)
    return total
