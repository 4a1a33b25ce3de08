"""How the golden model walks one connection: event by event, in the order in which they come."""

from collections.abc import Sequence
from types import EllipsisType

import numpy as np

from .layer import Connection
from .network import Network
from .stimulus import Event
from .synapses import Convolution, Dense, IntArray, Pair, Shape, TransposedConvolution, pooled

__all__ = ["Walk"]

_Where = EllipsisType | tuple[slice, slice, slice]
_NOWHERE = (slice(0, 0), slice(0, 0))


class Walk:
    """The walk of the events of a connection over a grid [y, x, channel] of potentials or currents."""

    def __init__(self, network: Network, connection: Connection, target: Shape):
        synapses, source = connection.synapses, network.shape_of(connection.source)
        self.range = network.potential_range
        self.source, self.pool, self.kept = source, connection.pool, pooled(source, connection.pool)
        weights = synapses.weights << network.fraction_bits
        self.dense = isinstance(synapses, Dense)
        if isinstance(synapses, Dense):
            self.weights = weights.reshape(-1, target.height, target.width, target.channels)
        else:
            self.weights = weights
            self.rows = _hits(synapses, 0, self.kept.height, target.height)
            self.columns = _hits(synapses, 1, self.kept.width, target.width)
            self.inner, self.outer = source.channels // synapses.groups, target.channels // synapses.groups

    def integrate(self, grid: IntArray, events: Sequence[Event]) -> int:
        """Add the events one by one to `grid`, which is changed in place; returns the number of additions."""
        additions = 0
        low, high = self.range
        for address, payload in events:
            where, weights = self._reach(address)
            part = grid[where]
            part += weights if payload == 1 else payload * weights
            np.minimum(part, high, out=part)
            np.maximum(part, low, out=part)
            additions += part.size
        return additions

    def _reach(self, address: int) -> tuple[_Where, IntArray]:
        """(part of the grid, weights above the fraction bits) of an event; both empty if it reaches nothing."""
        place, channel = divmod(address, self.source.channels)
        y, x = divmod(place, self.source.width)
        y, x = y // self.pool[0], x // self.pool[1]
        inside = y < self.kept.height and x < self.kept.width
        if self.dense:
            if inside:
                return ..., self.weights[(y * self.kept.width + x) * self.kept.channels + channel]
            return (*_NOWHERE, slice(None)), self.weights[0, :0, :0]
        target_rows, kernel_rows = self.rows[y] if inside else _NOWHERE
        target_columns, kernel_columns = self.columns[x] if inside else _NOWHERE
        group, within = divmod(channel, self.inner)
        channels = slice(group * self.outer, (group + 1) * self.outer)
        return (target_rows, target_columns, channels), self.weights[kernel_rows, kernel_columns, within, channels]


def _hits(
    synapses: Convolution | TransposedConvolution, axis: int, before: int, after: int
) -> list[tuple[slice, slice]]:
    """(target coordinates, kernel coordinates) that each source coordinate meets along one axis: 0 rows, 1 columns."""
    kernel, stride, padding = synapses.kernel[axis], synapses.stride[axis], synapses.padding[axis]
    met = []
    for place in range(before):
        pairs: list[Pair] = []
        for tap in range(kernel):
            if isinstance(synapses, TransposedConvolution):
                target, rest = place * stride + tap - padding, 0
            else:
                target, rest = divmod(place + padding - tap, stride)
            if rest == 0 and 0 <= target < after:
                pairs.append((target, tap))
        targets, taps = zip(*sorted(pairs), strict=True) if pairs else ((), ())
        met.append((_as_slice(targets), _as_slice(taps)))
    return met


def _as_slice(values: Sequence[int]) -> slice:
    """The slice that takes an arithmetic sequence of coordinates, in its order."""
    if not values:
        return slice(0, 0)
    step = values[1] - values[0] if len(values) > 1 else 1
    end = values[-1] + step
    return slice(values[0], end if end >= 0 else None, step)
