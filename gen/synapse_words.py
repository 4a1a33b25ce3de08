"""What the synapse words of a connection hold: its weights, in the order in which walks meet them, and back.

The order is that of `docs/walks.md`: word (kernel row, kernel place, word of the tap, presynaptic channel).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hillock.sim.layout import Layout, tap_words
from hillock.sim.network import Connection, Convolution, Dense, IntArray, Shape, TransposedConvolution

from .walk_tables import kernel_places, tap_starts

__all__ = ["read_weights", "synapse_words"]


def synapse_words(connection: Connection, source: Shape, target: Layout) -> IntArray:
    """The weights of every synapse word of a connection, [word, lane]; 0 for lanes that stand for no synapse."""
    synapses, lanes = connection.synapses, target.lanes
    if isinstance(synapses, Dense):
        inputs = len(synapses.weights)
        padded = np.zeros((inputs, target.words * lanes), np.int64)
        padded[:, target.slots()] = synapses.weights
        return padded.reshape(inputs, target.words, lanes).transpose(1, 0, 2).reshape(-1, lanes)
    taps = _Taps.of(connection, synapses, source, target)
    chosen = np.where(taps.exists, synapses.weights[taps.index], 0)
    words = np.zeros((chosen[..., 0, 0].size, lanes), np.int64)
    words[:, : target.columns * target.channels] = chosen.reshape(len(words), -1)
    return words


def read_weights(words: IntArray, connection: Connection, source: Shape, target: Layout) -> IntArray:
    """The weights that `words` hold for a connection like this one; the inverse of `synapse_words`.

    Of `connection` only the geometry and the shape of the weights count. Where `words` hold one weight several times,
    one of them is returned.
    """
    synapses, lanes = connection.synapses, target.lanes
    if isinstance(synapses, Dense):
        inputs = len(synapses.weights)
        by_event = words.reshape(target.words, inputs, lanes).transpose(1, 0, 2).reshape(inputs, -1)
        return by_event[:, target.slots()]
    taps = _Taps.of(connection, synapses, source, target)
    used = words[:, : target.columns * target.channels].reshape(synapses.kernel[0], *taps.exists.shape[1:])
    weights = np.zeros(synapses.weights.shape, np.int64)
    everywhere = np.broadcast_to(taps.exists, used.shape)
    index = tuple(np.broadcast_to(axis, used.shape)[everywhere] for axis in taps.index)
    weights[index] = used[everywhere]
    return weights


@dataclass(frozen=True, eq=False)
class _Taps:
    """Which weight each lane of each synapse word of a convolution holds.

    Axes: kernel row, kernel place, word of the tap, presynaptic channel, column in the word, channel in the word.
    """

    index: tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]
    exists: NDArray[np.bool_]

    @classmethod
    def of(
        cls, connection: Connection, synapses: Convolution | TransposedConvolution, source: Shape, target: Layout
    ) -> "_Taps":
        words = tap_words(connection, target)
        row, place, word, before, column, channel = np.ogrid[
            : synapses.kernel[0],
            : kernel_places(synapses, target),
            :words,
            : source.channels,
            : target.columns,
            : target.channels,
        ]
        if isinstance(synapses, TransposedConvolution):
            kernel_column = place + column - (target.columns - 1)
        else:
            kernel_column = place - synapses.stride[1] * column
        starts = np.array(tap_starts(synapses, source, target, words)).reshape(before.shape)
        after = (starts + word) * target.channels + channel
        from_group, to_group = (channels // synapses.groups for channels in (source.channels, target.shape.channels))
        exists = (kernel_column >= 0) & (kernel_column < synapses.kernel[1])
        exists = exists & (after < target.shape.channels) & (before // from_group == after // to_group)
        index = (
            row,
            np.clip(kernel_column, 0, synapses.kernel[1] - 1),
            before % from_group,
            np.minimum(after, target.shape.channels - 1),
        )
        return cls(index, exists)
