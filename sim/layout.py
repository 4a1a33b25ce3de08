"""How the neurons of a layer are laid out over the lanes of a core, and how many words the walk of an event takes.

Lanes run over channels and, where a layer has few of them, over neighbouring columns too. `docs/walks.md` shows it.
"""

from dataclasses import dataclass

import numpy as np

from .layer import Connection
from .synapses import Dense, IntArray, Pair, Shape, TransposedConvolution

__all__ = ["Layout", "axis_hits", "tap_words", "walk_lengths"]


@dataclass(frozen=True)
class Layout:
    """Where each neuron of a layer lies: which potential word of the layer, which lane of it.

    A word holds `columns` neighbouring places of a row with `channels` channels of each, so that
    `columns * channels` lanes of it are in use. The words are ordered by row, column and channel; the lanes of a word
    by column and channel.
    """

    shape: Shape
    lanes: int
    channels: int
    columns: int

    @property
    def channel_words(self) -> int:
        """Words that hold all channels of the same places."""
        return -(-self.shape.channels // self.channels)

    @property
    def column_words(self) -> int:
        """Words that hold the same channels of a row."""
        return -(-self.shape.width // self.columns)

    @property
    def words(self) -> int:
        """Words of the layer."""
        return self.shape.height * self.column_words * self.channel_words

    @property
    def ascending(self) -> bool:
        """Whether the neurons in the order of words and lanes are in the order of their addresses."""
        return self.columns == 1 or self.channel_words == 1

    def slots(self) -> IntArray:
        """`word * lanes + lane` of every neuron, by address."""
        y, x, channel = np.indices((self.shape.height, self.shape.width, self.shape.channels))
        word = (y * self.column_words + x // self.columns) * self.channel_words + channel // self.channels
        lane = (x % self.columns) * self.channels + channel % self.channels
        slots: IntArray = (word * self.lanes + lane).reshape(-1).astype(np.int64)
        return slots


def axis_hits(connection: Connection, axis: int, source: Shape, target: Shape) -> list[list[Pair]]:
    """What a place of the source hits along one axis (0 rows, 1 columns): for each coordinate, (target, kernel) pairs.

    The coordinate is that before pooling; targets ascend. A dense connection hits one place, 0, with "kernel" place 0.
    """
    synapses, pool = connection.synapses, connection.pool[axis]
    before = (source.height, source.width)[axis]
    after = (target.height, target.width)[axis]
    kept = before // pool
    hits: list[list[Pair]] = []
    for coordinate in range(before):
        place = coordinate // pool
        if place >= kept:
            hits.append([])
        elif isinstance(synapses, Dense):
            hits.append([(0, 0)])
        else:
            kernel, stride, padding = synapses.kernel[axis], synapses.stride[axis], synapses.padding[axis]
            pairs = []
            for out in range(after):
                if isinstance(synapses, TransposedConvolution):
                    tap = out + padding - place * stride
                else:
                    tap = place + padding - out * stride
                if 0 <= tap < kernel:
                    pairs.append((out, tap))
            hits.append(pairs)
    return hits


def tap_words(connection: Connection, target: Layout) -> int:
    """Words that an event walks at one place (a dense connection: altogether).

    Those over which the channels of a group are spread; where groups are spread over different numbers of words, the
    largest of them.
    """
    if isinstance(connection.synapses, Dense):
        return target.words
    size = target.shape.channels // connection.synapses.groups
    starts = range(0, target.shape.channels, size)
    return max((start + size - 1) // target.channels - start // target.channels + 1 for start in starts)


def walk_lengths(connection: Connection, source: Shape, target: Layout) -> IntArray:
    """Cycles that the walk of an event takes, by address of the source; an event that reaches nothing takes one."""
    rows = [len(pairs) for pairs in axis_hits(connection, 0, source, target.shape)]
    columns = [
        len({out // target.columns for out, _ in pairs}) for pairs in axis_hits(connection, 1, source, target.shape)
    ]
    places = np.outer(rows, columns) * tap_words(connection, target)
    lengths: IntArray = np.repeat(np.maximum(places, 1).reshape(-1), source.channels)
    return lengths
