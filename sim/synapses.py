"""The kinds of synapses: which neurons a spike reaches, and with which weights. Frozen data, with float weights too."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import Problems

__all__ = ["Convolution", "Dense", "IntArray", "Pair", "Shape", "Synapses", "TransposedConvolution", "pooled"]

IntArray = NDArray[np.int64]

Pair = tuple[int, int]
"""One number for the rows (y) and one for the columns (x)."""

MAX_KERNEL = 31
MAX_STRIDE = 16


@dataclass(frozen=True)
class Shape:
    """Neurons on a grid: the one at (y, x, channel) has the address `(y * width + x) * channels + channel`.

    A layer without places, such as a fully connected one, is a grid of one place: `Shape(128)`.
    """

    channels: int
    height: int = 1
    width: int = 1

    @property
    def neurons(self) -> int:
        """How many neurons there are."""
        return self.height * self.width * self.channels

    @property
    def flat(self) -> bool:
        """Whether there is one place only, so that the channel is the address."""
        return self.height == self.width == 1

    def __str__(self) -> str:
        return str(self.channels) if self.flat else f"{self.height}x{self.width}x{self.channels}"


def pooled(shape: Shape, pool: Pair) -> Shape:
    """The grid that is left when `pool` rows and columns become one; rows and columns left over are dropped."""
    return Shape(shape.channels, shape.height // pool[0], shape.width // pool[1])


def pair(values: Any) -> Pair:
    """Two integers as Python's, so that equal networks have equal digests."""
    rows, columns = values
    return int(rows), int(columns)


def frozen(values: Any) -> NDArray[Any]:
    """A read-only copy in int64 or float64; other types are refused."""
    array = np.array(values)
    if np.issubdtype(array.dtype, np.integer):
        array = array.astype(np.int64)
    elif np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    else:
        raise TypeError(f"numbers are required, not {array.dtype}")
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class Dense:
    """Synapses from every presynaptic to every postsynaptic neuron: `weights[pre, post]`, addresses as in `Shape`."""

    weights: NDArray[Any]

    kind = "dense"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen(self.weights))

    @property
    def geometry(self) -> dict[str, Any]:
        """What distinguishes it from others of its kind, besides the weights."""
        return {}

    def check(self, source: Shape, target: Shape, about: str, problems: Problems) -> bool:
        """Whether it leads from a grid `source` (after pooling) to a grid `target`; if not, `problems` says why."""
        wanted = (source.neurons, target.neurons)
        return problems.require(
            self.weights.shape == wanted,
            f"{about} must have weights of shape {wanted} (presynaptic, postsynaptic), not {self.weights.shape}",
        )

    def fan_in_bounds(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """(sum of the negative weights, sum of the positive weights) of each postsynaptic neuron."""
        return np.minimum(self.weights, 0).sum(axis=0), np.maximum(self.weights, 0).sum(axis=0)


@dataclass(frozen=True, eq=False)
class _Windowed:
    """What the two convolutions share: `weights[ky, kx, c, k]`, from channel c of a group to channel k of the layer.

    The channels of source and layer are cut into `groups` of equal size, one for one: weights are [kernel height,
    kernel width, channels of a source group, all channels of the layer]. As many groups as channels make it depthwise.
    """

    weights: NDArray[Any]
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen(self.weights))
        for name in ("stride", "padding", "output_padding"):
            if hasattr(self, name):
                object.__setattr__(self, name, pair(getattr(self, name)))

    @property
    def kernel(self) -> Pair:
        """Height and width of the kernel."""
        return int(self.weights.shape[0]), int(self.weights.shape[1])

    def _check_geometry(self, source: Shape, target: Shape, about: str, problems: Problems) -> bool:
        weights = self.weights
        if not problems.require(
            weights.ndim == 4 and weights.size > 0,
            f"{about} must have weights of 4 axes (kernel height, kernel width, channels of a group, channels), "
            f"not of shape {weights.shape}",
        ):
            return False
        good = [
            problems.require(
                all(low <= value <= high for value in values),
                f"{about} must have a {name} from {low} to {high}, not {values}",
            )
            for name, values, low, high in (
                ("kernel", self.kernel, 1, MAX_KERNEL),
                ("stride", self.stride, 1, MAX_STRIDE),
                ("padding", self.padding, 0, MAX_KERNEL - 1),
            )
        ]
        good.append(
            problems.require(
                self.groups >= 1 and source.channels % self.groups == 0 and target.channels % self.groups == 0,
                f"{about} must have a number of groups that divides the {source.channels} channels of its source and "
                f"the {target.channels} of the layer, not {self.groups}",
            )
        )
        if not all(good):
            return False
        wanted = (*self.kernel, source.channels // self.groups, target.channels)
        return problems.require(
            weights.shape == wanted,
            f"{about} must have weights of shape {wanted} (kernel height, kernel width, channels of a group of its "
            f"source, channels of the layer), not {weights.shape}",
        )


def _fits(size: Pair, target: Shape, about: str, problems: Problems) -> bool:
    return problems.require(
        size == (target.height, target.width),
        f"{about} gives {size[0]}x{size[1]} places, and the layer has {target.height}x{target.width}: "
        f"change its shape, the stride or the padding",
    )


@dataclass(frozen=True, eq=False)
class Convolution(_Windowed):
    """out[oy, ox, k] += in[oy * sy + ky - py, ox * sx + kx - px, c] * weights[ky, kx, c, k]."""

    kind = "convolution"

    @property
    def geometry(self) -> dict[str, Any]:
        """What distinguishes it from others of its kind, besides the weights."""
        return {"stride": self.stride, "padding": self.padding, "groups": self.groups}

    def check(self, source: Shape, target: Shape, about: str, problems: Problems) -> bool:
        """Whether it leads from a grid `source` (after pooling) to a grid `target`; if not, `problems` says why."""
        if not self._check_geometry(source, target, about, problems):
            return False
        padded = (source.height + 2 * self.padding[0], source.width + 2 * self.padding[1])
        if not problems.require(
            self.kernel[0] <= padded[0] and self.kernel[1] <= padded[1],
            f"{about} has a kernel of {self.kernel[0]}x{self.kernel[1]}, larger than its padded input of "
            f"{padded[0]}x{padded[1]}: raise the padding, pool less before it, or use a smaller kernel",
        ):
            return False
        rows, columns = ((padded[axis] - self.kernel[axis]) // self.stride[axis] + 1 for axis in range(2))
        return _fits((rows, columns), target, about, problems)

    def fan_in_bounds(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """(sum of the negative weights, sum of the positive weights) of a neuron in the middle, for each channel."""
        return np.minimum(self.weights, 0).sum(axis=(0, 1, 2)), np.maximum(self.weights, 0).sum(axis=(0, 1, 2))


@dataclass(frozen=True, eq=False)
class TransposedConvolution(_Windowed):
    """out[y * sy + ky - py, x * sx + kx - px, k] += in[y, x, c] * weights[ky, kx, c, k].

    `output_padding` adds rows and columns at the end, as torch does.
    """

    output_padding: Pair = (0, 0)

    kind = "transposed_convolution"

    @property
    def geometry(self) -> dict[str, Any]:
        """What distinguishes it from others of its kind, besides the weights."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "groups": self.groups,
            "output_padding": self.output_padding,
        }

    def check(self, source: Shape, target: Shape, about: str, problems: Problems) -> bool:
        """Whether it leads from a grid `source` (after pooling) to a grid `target`; if not, `problems` says why."""
        if not self._check_geometry(source, target, about, problems):
            return False
        if not problems.require(
            all(0 <= extra < step for extra, step in zip(self.output_padding, self.stride, strict=True)),
            f"{about} must have an output padding from 0 to the stride - 1, not {self.output_padding} with a stride "
            f"of {self.stride}",
        ):
            return False
        grid = (source.height, source.width)
        rows, columns = (
            (grid[axis] - 1) * self.stride[axis]
            - 2 * self.padding[axis]
            + self.kernel[axis]
            + self.output_padding[axis]
            for axis in range(2)
        )
        return _fits((rows, columns), target, about, problems)

    def fan_in_bounds(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """(lowest sum of the negative weights, highest sum of the positive weights) of any neuron of each channel.

        Only every `stride`-th row and column of the kernel meet in one neuron.
        """
        lows, highs = [], []
        for row in range(self.stride[0]):
            for column in range(self.stride[1]):
                some = self.weights[row :: self.stride[0], column :: self.stride[1]]
                lows.append(np.minimum(some, 0).sum(axis=(0, 1, 2)))
                highs.append(np.maximum(some, 0).sum(axis=(0, 1, 2)))
        return np.min(lows, axis=0), np.max(highs, axis=0)


Synapses = Dense | Convolution | TransposedConvolution
