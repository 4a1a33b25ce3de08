"""What the events of a timestep add up to, for many images at once: every connection as a matrix product."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .layer import INPUT, Connection
from .network import Network
from .synapses import Convolution, Dense, IntArray, Shape, TransposedConvolution, pooled

__all__ = ["Product", "Sums"]

Product = Callable[[NDArray[np.int8], NDArray[np.int8]], NDArray[np.int32]]
"""The product of two matrices of signed bytes, exact in 32 bits."""

_BYTE = 127


class Sums:
    """The sums of one connection, in potential units: exact, whatever the order in which they are added.

    Events are arrays [images, source neurons] of payloads, 0 where there is none. `product` is used where weights and
    pooled events fit in signed bytes, except for groups; or else NumPy's, of floats that hold every sum.
    """

    def __init__(self, network: Network, connection: Connection, target: Shape, product: Product | None = None):
        source, shift = network.shape_of(connection.source), network.fraction_bits
        self.synapses, self.pool = connection.synapses, connection.pool
        self.source, self.kept, self.target = source, pooled(source, connection.pool), target
        down, up = self.synapses.fan_in_bounds()
        self.largest = _largest(network, connection.source) * self.pool[0] * self.pool[1]
        self.bounds = tuple(self._by_neuron(part * self.largest << shift) for part in (down, up))
        # Whatever is added up stays below 2^24, in units of the weights: float32 holds it, and otherwise float64.
        self.kind: type = np.float32 if int((up - down).max()) * self.largest < 1 << 24 else np.float64
        weights = self.synapses.weights << shift
        fits = max(int(np.abs(weights).max()), self.largest) <= _BYTE and getattr(self.synapses, "groups", 1) == 1
        self.product = product if fits else None
        if self.product:
            self.kind = np.int8
        self.weights = weights.astype(self.kind)

    def total(self, events: NDArray[Any]) -> NDArray[Any]:
        """What the events add to each target neuron: [images, target neurons]."""
        return self._product(events, self._matrix)

    def up(self, events: NDArray[Any]) -> IntArray:
        """What those add whose weights are positive."""
        return self._product(events, np.maximum(self._matrix, 0)).astype(np.int64)

    def down(self, events: NDArray[Any]) -> IntArray:
        """What those add whose weights are negative."""
        return self._product(events, np.minimum(self._matrix, 0)).astype(np.int64)

    @property
    def work(self) -> int:
        """Values that the product takes for each image."""
        return self._matrix.shape[-2] * self.target.height * self.target.width if self._axes else self.kept.neurons

    @cached_property
    def fan_out(self) -> IntArray:
        """How many weights an event adds, by address of the source."""
        reached = np.zeros((self.source.height, self.source.width, self.source.channels), np.int64)
        if self._axes:
            groups = getattr(self.synapses, "groups", 1)
            rows, columns = (axis.hits() for axis in self._axes)
            by_place = np.outer(rows, columns) * (self.target.channels // groups)
        else:
            by_place = np.full((self.kept.height, self.kept.width), self.target.neurons)
        spread = by_place.repeat(self.pool[0], axis=0).repeat(self.pool[1], axis=1)
        reached[: spread.shape[0], : spread.shape[1]] = spread[:, :, None]
        return reached.reshape(-1)

    @cached_property
    def _axes(self) -> tuple["_Axis", ...]:
        """How rows and columns lie under the kernel; nothing for a dense connection."""
        synapses, before, after = self.synapses, self.kept, self.target
        if isinstance(synapses, Dense):
            return ()
        return (_Axis.of(synapses, 0, before.height, after.height), _Axis.of(synapses, 1, before.width, after.width))

    @cached_property
    def _matrix(self) -> NDArray[Any]:
        """Weights [presynaptic, postsynaptic] of a place, for each group: what a window is multiplied with."""
        weights = self.weights
        if isinstance(self.synapses, Dense):
            return weights
        height, width, inner, channels = weights.shape
        groups = self.synapses.groups
        if isinstance(self.synapses, TransposedConvolution):
            weights = weights[::-1, ::-1]
        split = weights.reshape(height * width * inner, groups, channels // groups)
        return np.ascontiguousarray(split.transpose(1, 0, 2))

    def _product(self, events: NDArray[Any], matrix: NDArray[Any]) -> NDArray[Any]:
        count = len(events)
        grid = self._pooled(events.reshape(count, self.source.height, self.source.width, self.source.channels))
        if not self._axes:
            return self._multiplied(grid.reshape(count, self.kept.neurons).astype(self.kind), matrix)
        rows, columns = self._axes
        groups, taps = matrix.shape[:2]
        under = _spread(grid, rows, columns, self.kind)
        under = under.reshape(count, rows.size, columns.size, groups, self.kept.channels // groups)
        windows = sliding_window_view(under, (rows.kernel, columns.kernel), axis=(1, 2))
        windows = windows[:, :: rows.step, :: columns.step].transpose(3, 0, 1, 2, 5, 6, 4)
        sums = self._multiplied(windows.reshape(groups, count * rows.after * columns.after, taps), matrix)
        if groups > 1:
            sums = sums.transpose(1, 0, 2)
        return sums.reshape(count, self.target.neurons)

    def _multiplied(self, events: NDArray[Any], matrix: NDArray[Any]) -> NDArray[Any]:
        """The product of matrices, or of as many as there are groups."""
        if self.product is None:
            floats: NDArray[Any] = events @ matrix
            return floats
        return self.product(events.reshape(-1, matrix.shape[-2]), matrix.reshape(matrix.shape[-2:]))

    def _pooled(self, grid: NDArray[Any]) -> NDArray[Any]:
        down, across = self.pool
        if down == across == 1:
            return grid
        kept: NDArray[Any] = grid[:, : self.kept.height * down, : self.kept.width * across]
        kept = kept.astype(np.min_scalar_type(self.largest), copy=False)
        rows: NDArray[Any] = sum((kept[:, y::down] for y in range(1, down)), kept[:, ::down])
        cells: NDArray[Any] = sum((rows[:, :, x::across] for x in range(1, across)), rows[:, :, ::across])
        return cells

    def _by_neuron(self, values: IntArray) -> IntArray:
        if values.size == self.target.neurons:
            return values
        return np.tile(values, self.target.height * self.target.width)


def _largest(network: Network, source: str) -> int:
    """The largest payload that comes from `source`."""
    plain = source != INPUT and not any(layer.graded for layer in network.layers if layer.name == source)
    return 1 if plain else network.largest_payload


@dataclass(frozen=True)
class _Axis:
    """One axis of a convolution: the source is spread out and shifted, and the kernel moves over it.

    Source coordinate i lies at `i * spacing + offset` of `size` places; the kernel of target j begins at `j * step`.
    """

    before: int
    after: int
    kernel: int
    spacing: int
    offset: int
    step: int

    @staticmethod
    def of(synapses: Convolution | TransposedConvolution, axis: int, before: int, after: int) -> "_Axis":
        kernel, stride, padding = synapses.kernel[axis], synapses.stride[axis], synapses.padding[axis]
        if isinstance(synapses, TransposedConvolution):  # it is a convolution with the kernel turned round
            return _Axis(before, after, kernel, stride, kernel - 1 - padding, 1)
        return _Axis(before, after, kernel, 1, padding, stride)

    @property
    def size(self) -> int:
        return (self.after - 1) * self.step + self.kernel

    def inside(self) -> tuple[slice, slice]:
        """(source coordinates that lie inside, where they lie)."""
        at = [i * self.spacing + self.offset for i in range(self.before + 1)]
        first = sum(place < 0 for place in at[:-1])
        end = sum(place < self.size for place in at[:-1])
        return slice(first, end), slice(at[first], at[end], self.spacing)

    def hits(self) -> IntArray:
        """How many targets see each source coordinate."""
        at = np.arange(self.before)[:, None] * self.spacing + self.offset
        begin = np.arange(self.after) * self.step
        hits: IntArray = ((begin <= at) & (at < begin + self.kernel)).sum(axis=1)
        return hits


def _spread(grid: NDArray[Any], rows: _Axis, columns: _Axis, kind: type) -> NDArray[Any]:
    """The grid as the kernel sees it: spaced out, and with its padding."""
    spread: NDArray[Any] = np.zeros((len(grid), rows.size, columns.size, grid.shape[-1]), kind)
    (some_rows, at_rows), (some_columns, at_columns) = rows.inside(), columns.inside()
    if some_rows.stop > some_rows.start and some_columns.stop > some_columns.start:
        spread[:, at_rows, at_columns] = grid[:, some_rows, some_columns]
    return spread
