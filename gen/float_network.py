"""The float network that training gives: a graph of grids with ReLU, as plain NumPy data."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import Problems
from hillock.sim.network import (
    INPUT,
    Connection,
    Convolution,
    Dense,
    IntArray,
    Shape,
    Synapses,
    TransposedConvolution,
    pooled,
)
from hillock.sim.synapses import Pair, frozen

from .datasets import ImageArray

__all__ = ["ENCODER", "FloatArray", "FloatLayer", "FloatNetwork", "bias_grid", "bring"]

FloatArray = NDArray[np.float64]

ENCODER = "encoder"
"""Name of the rate encoder, the layer that quantisation puts before the others."""

_CHUNK = 250
"""Images that are calculated at once where only the last layer is wanted."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatLayer:
    """a = max(0, the sum of what the connections bring + biases); without the max where not `rectified`.

    The connections are those of the integer network, with float weights: a pool is a sum, so an average has its
    division in the weights. `biases` [channels], or [neurons] by address where they differ from place to place. A layer
    that is `largest` has instead the largest value in each window of its one connection, a `max_window`.
    """

    name: str
    shape: Shape
    connections: tuple[Connection, ...]
    biases: FloatArray
    rectified: bool = True
    largest: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "biases", frozen(self.biases))


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """A network without time: `INPUT` is pixel / 255, on a grid `input`; each layer takes any earlier ones.

    Checked when made: everything that is wrong is reported together, as a `HillockError`.
    """

    name: str
    input: Shape
    layers: tuple[FloatLayer, ...]

    def __post_init__(self) -> None:
        problems = Problems(f"float network {self.name!r}")
        problems.require(self.layers, "layers must not be empty")
        names = [INPUT, *(layer.name for layer in self.layers)]
        problems.require(
            len(set(names)) == len(names), f"layer names must differ from each other and from 'input', not {names[1:]}"
        )
        shapes = {INPUT: self.input}
        for layer in self.layers:
            _check(layer, shapes, problems)
            shapes[layer.name] = layer.shape
        problems.raise_any()

    def activations(self, images: ImageArray) -> list[FloatArray]:
        """The values of every layer, each [images, neurons] by address, for `images` [images, pixels] of 0..255."""
        values: dict[str, FloatArray] = {INPUT: images / 255}
        shapes = {INPUT: self.input}
        for layer in self.layers:
            total = np.zeros((len(images), layer.shape.height, layer.shape.width, layer.shape.channels))
            for connection in layer.connections:
                join = bring_largest if layer.largest else bring
                join(connection, values[connection.source], shapes[connection.source], total)
            result = (total + bias_grid(layer.biases, layer.shape)).reshape(len(images), -1)
            values[layer.name] = np.maximum(result, 0) if layer.rectified else result
            shapes[layer.name] = layer.shape
        return [values[layer.name] for layer in self.layers]

    def outputs(self, images: ImageArray) -> FloatArray:
        """The values of the last layer, [images, neurons]."""
        starts = range(0, len(images), _CHUNK)
        return np.concatenate([self.activations(images[start : start + _CHUNK])[-1] for start in starts])

    def decisions(self, images: ImageArray) -> IntArray:
        """The class of each image: the highest value of the last layer, ties to the lowest index."""
        decisions: IntArray = np.argmax(self.outputs(images), axis=1)
        return decisions


def _check(layer: FloatLayer, before: dict[str, Shape], problems: Problems) -> None:
    about = f"layer {layer.name!r}: "
    wanted = sorted({(layer.shape.channels,), (layer.shape.neurons,)})
    problems.require(
        layer.biases.shape in wanted,
        f"{about}biases must have shape {' or '.join(map(str, wanted))}, one for each channel or neuron, not "
        f"{layer.biases.shape}",
    )
    problems.require(layer.connections, f"{about}it has no connection, so nothing ever reaches it")
    finite = np.isfinite(layer.biases).all()
    for connection in layer.connections:
        finite = finite and np.isfinite(connection.synapses.weights).all()
        source = before.get(connection.source)
        if not problems.require(source, f"{about}source must be one of {', '.join(before)}, not {connection.source!r}"):
            continue
        assert source is not None
        problems.require(not connection.static, f"{about}a connection of a float network cannot be static")
        what = f"{about}the {connection.synapses.kind.replace('_', ' ')} from {connection.source!r}"
        sizes = (source.height, source.width)
        if problems.require(
            all(1 <= pool <= size for pool, size in zip(connection.pool, sizes, strict=True)),
            f"{what} must pool from 1x1 to the {sizes[0]}x{sizes[1]} places there are, not "
            f"{connection.pool[0]}x{connection.pool[1]}",
        ):
            connection.synapses.check(pooled(source, connection.pool), layer.shape, what, problems)
    problems.require(
        not layer.largest or _is_max_window(layer),
        f"{about}the largest value is that of a window: of one depthwise convolution without padding, its weights 1, "
        f"and no biases",
    )
    problems.require(finite, f"{about}every weight and bias must be finite: the training diverged")


def _is_max_window(layer: FloatLayer) -> bool:
    connection, channels = layer.connections[0], layer.shape.channels
    synapses = connection.synapses
    if not isinstance(synapses, Convolution) or synapses.weights.shape[2:] != (1, channels):
        return False
    plain = len(layer.connections) == 1 and connection.pool == (1, 1) and synapses.padding == (0, 0)
    return plain and bool((synapses.weights == 1).all()) and not layer.biases.any()


def bias_grid(biases: FloatArray, shape: Shape) -> FloatArray:
    """Biases [channels] or [neurons], to be broadcast over [rows, columns, channels]."""
    if biases.size == shape.channels:
        return biases
    return biases.reshape(shape.height, shape.width, shape.channels)


def bring(connection: Connection, values: FloatArray, source: Shape, total: FloatArray) -> None:
    """Add to `total` [images, rows, columns, channels] what a connection makes of `values` [images, neurons]."""
    _add(connection.synapses, _pool(values, source, connection.pool), total)


def bring_largest(connection: Connection, values: FloatArray, source: Shape, total: FloatArray) -> None:
    """As `bring`, for a `max_window` and values that are not below 0: the largest of each window."""
    assert isinstance(connection.synapses, Convolution)
    grid = values.reshape(-1, source.height, source.width, source.channels)
    for window, _ in _taps(connection.synapses, grid, total.shape[1:3]):
        np.maximum(total, window, out=total)


def _pool(values: FloatArray, shape: Shape, pool: Pair) -> FloatArray:
    """Sums over squares of the grid, [images, rows, columns, channels]."""
    grid = values.reshape(-1, shape.height, shape.width, shape.channels)
    if pool == (1, 1):
        return grid
    after = pooled(shape, pool)
    kept = grid[:, : after.height * pool[0], : after.width * pool[1]]
    sums: FloatArray = kept.reshape(-1, after.height, pool[0], after.width, pool[1], shape.channels).sum(axis=(2, 4))
    return sums


def _add(synapses: Synapses, values: FloatArray, total: FloatArray) -> None:
    """Add to `total` what the synapses make of `values`; both [images, rows, columns, channels]."""
    if isinstance(synapses, Dense):
        total += (values.reshape(len(values), -1) @ synapses.weights).reshape(total.shape)
        return
    (down, right), (rows, columns) = synapses.padding, total.shape[1:3]
    if isinstance(synapses, Convolution):
        padded = np.pad(values, ((0, 0), (down, down), (right, right), (0, 0)))
        for window, weights in _taps(synapses, padded, (rows, columns)):
            total += _grouped(window, weights, synapses.groups)
    else:
        extent = [
            max((size - 1) * stride + kernel, padding + out)
            for size, stride, kernel, padding, out in zip(
                values.shape[1:3], synapses.stride, synapses.kernel, synapses.padding, (rows, columns), strict=True
            )
        ]
        canvas = np.zeros((len(values), *extent, total.shape[3]))
        for window, weights in _taps(synapses, canvas, values.shape[1:3]):
            window += _grouped(values, weights, synapses.groups)
        total += canvas[:, down : down + rows, right : right + columns]


def _taps(
    synapses: Convolution | TransposedConvolution, grid: FloatArray, places: tuple[int, ...]
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """(view of the places of the padded `grid` that meet it, weights) of each place of the kernel.

    The strided side of the synapses has `places` rows and columns: the target of a convolution, the source of a
    transposed one.
    """
    (down, right), (rows, columns) = synapses.stride, places
    for y in range(synapses.kernel[0]):
        for x in range(synapses.kernel[1]):
            window = grid[:, y : y + (rows - 1) * down + 1 : down, x : x + (columns - 1) * right + 1 : right]
            yield window, synapses.weights[y, x]


def _grouped(values: FloatArray, weights: FloatArray, groups: int) -> FloatArray:
    """`values` [..., channels of the source] times `weights` [channels of a group, channels of the layer]."""
    if groups == 1:
        return values @ weights
    cut = values.reshape(*values.shape[:-1], groups, -1)
    product: FloatArray = np.einsum("...gc,cgk->...gk", cut, weights.reshape(len(weights), groups, -1))
    return product.reshape(*values.shape[:-1], -1)
