"""Tokens as the core takes and gives them, packed into words of 64 bits: `hw.formats.token_layout`, in NumPy.

From the lowest bit: channel, column, row, payload (where events carry one), marker.
"""

import numpy as np
from numpy.typing import NDArray

from hillock.hw.config import CoreConfig

from .core_clock import Output
from .stimulus import Event
from .synapses import Shape

__all__ = ["pack", "unpack"]


def _positions(config: CoreConfig) -> tuple[int, int, int, int]:
    """Lowest bits of column, row, payload and marker."""
    column = (config.max_channels - 1).bit_length()
    row = column + (config.max_width - 1).bit_length()
    payload = row + (config.max_height - 1).bit_length()
    return column, row, payload, payload + (config.payload_bits if config.payload_bits > 1 else 0)


def pack(events: list[list[Event]], shape: Shape, config: CoreConfig) -> NDArray[np.uint64]:
    """The input words of one inference: the events of each step, on a grid of this shape, then a marker."""
    column, row, payload, marker = _positions(config)
    words = []
    for step in events:
        for address, carried in step:
            place, channel = divmod(address, shape.channels)
            y, x = divmod(place, shape.width)
            word = channel | x << column | y << row
            words.append(word | carried << payload if marker > payload else word)
        words.append(1 << marker)
    return np.array(words, np.uint64)


def unpack(words: NDArray[np.uint32], shape: Shape, config: CoreConfig) -> list[Output]:
    """What left the core from a layer of this shape: of rows of (cycle, lower half, upper half of the token)."""
    column, row, payload, marker = _positions(config)
    result: list[Output] = []
    for cycle, low, high in words.tolist():
        word = low | high << 32
        if word >> marker & 1:
            result.append((cycle, None, 0))
            continue
        channel, x = word & ((1 << column) - 1), word >> column & ((1 << (row - column)) - 1)
        y = word >> row & ((1 << (payload - row)) - 1)
        carried = word >> payload & ((1 << (marker - payload)) - 1) if marker > payload else 1
        result.append((cycle, (y * shape.width + x) * shape.channels + channel, carried))
    return result
