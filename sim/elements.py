"""Layers and connections that networks are often made of: what each is in terms of neurons and weights.

The layers have no memory: they say of each timestep what its events amount to. Their sources are layers whose events
carry 1, but for `add`, `identity` and `relay`, where they may be graded.
"""

import numpy as np

from .layer import Connection, Layer, ResetMode
from .synapses import Convolution, Pair, Shape

__all__ = ["add", "and_", "iand", "identity", "max_pool", "max_window", "relay"]


def identity(channels: int, weight: int = 1) -> Convolution:
    """Each neuron to the one at the same place, with the same weight: a shortcut between grids of equal shape."""
    return Convolution(np.full((1, 1, 1, channels), weight), groups=channels)


def max_window(channels: int, kernel: Pair, stride: Pair) -> Convolution:
    """The synapses of `max_pool`: each window of a channel to one neuron of that channel, with weights of 1."""
    return Convolution(np.ones((*kernel, 1, channels), np.int64), stride=stride, groups=channels)


def max_pool(
    name: str, source: str, shape: Shape, kernel: Pair, *, fraction_bits: int, stride: Pair | None = None
) -> Layer:
    """A spike where any neuron in a window of `source` fires (OR); `shape` is that of the source.

    Windows lie `stride` apart, by default side by side; rows and columns that fill none are left over.
    """
    stride = stride or kernel
    rows, columns = (shape.height - kernel[0]) // stride[0] + 1, (shape.width - kernel[1]) // stride[1] + 1
    window = max_window(shape.channels, kernel, stride)
    return _memoryless(name, Shape(shape.channels, rows, columns), (Connection(source, window),), 1 << fraction_bits)


def add(name: str, first: str, second: str, shape: Shape, *, fraction_bits: int) -> Layer:
    """Events that carry the sum of what two sources of equal shape send (ADD)."""
    return _memoryless(name, shape, _both(first, 1, second, 1, shape), 1 << fraction_bits, graded=True)


def and_(name: str, first: str, second: str, shape: Shape, *, fraction_bits: int) -> Layer:
    """A spike where both sources fire (AND)."""
    return _memoryless(name, shape, _both(first, 1, second, 1, shape), 2 << fraction_bits)


def iand(name: str, residual: str, shortcut: str, shape: Shape, *, fraction_bits: int) -> Layer:
    """A spike where the shortcut fires and the residual branch does not (IAND)."""
    return _memoryless(name, shape, _both(residual, -1, shortcut, 1, shape), 1 << fraction_bits)


def relay(name: str, source: str, shape: Shape, *, fraction_bits: int, graded: bool = False) -> Layer:
    """The events of `source` once more, in the same timestep; `graded` where those of `source` are."""
    same = (Connection(source, identity(shape.channels)),)
    return _memoryless(name, shape, same, 1 << fraction_bits, graded=graded)


def _both(first: str, one: int, second: str, other: int, shape: Shape) -> tuple[Connection, Connection]:
    return (Connection(first, identity(shape.channels, one)), Connection(second, identity(shape.channels, other)))


def _memoryless(
    name: str, shape: Shape, connections: tuple[Connection, ...], threshold: int, *, graded: bool = False
) -> Layer:
    return Layer(
        name=name,
        shape=shape,
        threshold=threshold,
        connections=connections,
        reset_mode=ResetMode.EVERY_TIMESTEP,
        graded=graded,
    )
