"""What a torch module does to its images, step by step, as plain data: between `torch_trace` and `torch_convert`."""

from dataclasses import dataclass

from hillock.sim.network import Convolution, Pair, TransposedConvolution

from .float_network import FloatArray

__all__ = ["Add", "Flatten", "Linear", "MaxPool", "Norm", "Output", "Pool", "Relu", "Same", "Step", "What", "Windowed"]


@dataclass(frozen=True, eq=False)
class Windowed:
    """A convolution or a transposed one, and what it adds to each channel."""

    synapses: Convolution | TransposedConvolution
    biases: FloatArray


@dataclass(frozen=True, eq=False)
class Linear:
    """`weights` [inputs in torch's order, outputs] and `biases` [outputs]."""

    weights: FloatArray
    biases: FloatArray


@dataclass(frozen=True, eq=False)
class Norm:
    """Each channel times `factor` plus `offset`; the channels of a flattened grid are its neurons, in torch's order."""

    factor: FloatArray
    offset: FloatArray


@dataclass(frozen=True)
class Relu:
    """max(0, x)."""


@dataclass(frozen=True)
class Pool:
    """The average over cells of `size` rows and columns, side by side; what fills no cell is dropped."""

    size: Pair


@dataclass(frozen=True)
class MaxPool:
    """The largest value in windows of `size` rows and columns, `stride` apart; what fills no window is dropped."""

    size: Pair
    stride: Pair


@dataclass(frozen=True)
class Flatten:
    """All values of an image in one axis, in torch's order: channels, rows, columns."""


@dataclass(frozen=True)
class Add:
    """The sum of two sources of the same shape."""


@dataclass(frozen=True)
class Same:
    """Nothing: dropout, which is off, and the like."""


@dataclass(frozen=True)
class Output:
    """What the module gives back."""


What = Output | Windowed | Linear | Norm | Relu | Pool | MaxPool | Flatten | Add | Same


@dataclass(frozen=True)
class Step:
    """One step: `what` is made of the steps `sources`, by name; None where it was refused.

    `place` says where it stands in the model, as messages do; `path` is that of its module, or the name of the step.
    `shape` is that of the result for one image; empty where that is not one tensor.
    """

    name: str
    path: str
    place: str
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    what: What | None
