"""A torch module as a float network: batch norm, averages and the normalisation of the images folded into weights."""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from hillock.hw.problems import HillockError, Problems
from hillock.sim.network import INPUT, Shape

from .float_network import FloatNetwork
from .folding import Folding, Signal

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MaxPooling", "from_torch"]

MaxPooling = Literal["refuse", "or"]

_CHECKED = 8
"""Random images on which the result is held against the module."""

_TOLERANCE = 1e-9
"""How far they may differ, of the largest output: both calculate in 64 bits."""


def from_torch(
    module: "nn.Module",
    input_shape: Sequence[int],
    *,
    name: str = "network",
    mean: Sequence[float] | float = 0.0,
    std: Sequence[float] | float = 1.0,
    max_pooling: MaxPooling = "refuse",
) -> FloatNetwork:
    """The float network that computes what `module` computes in evaluation mode.

    The module takes (pixel / 255 - mean) / std, of shape [images, *input_shape]; the network takes the pixels, by
    address: channels last. So do its outputs. Mean and standard deviation are folded into the first weights and
    biases. Since the zeros around a normalised image are not black, the biases then differ near its edges, exactly.
    docs/conversion.md says what is accepted, and what becomes of it. The module is not changed.

    Parameters
    ----------
    input_shape : (channels, rows, columns), or (values,) for a module that takes flat images
    mean, std : one number, or one for each channel, on the scale of 0..1
    max_pooling : what to do with max pooling; "or" makes layers of it that fire where any neuron of a window does. The
        float network has the largest value there, so that the OR is right for activations of 0 and one other value

    Raises `HillockError` for all that cannot be converted, together; and if the outputs of the two are not equal on
    random images, so that what is returned is known to be right.
    """
    import torch

    from .torch_trace import trace_module

    problems = Problems(f"conversion of {name!r}")
    sizes = tuple(int(size) for size in input_shape)
    problems.require(
        len(sizes) in (1, 3) and min(sizes) > 0,
        f"input_shape must be (channels, rows, columns) or (values,), not {tuple(input_shape)}",
    )
    problems.raise_any()
    centre, spread = (np.atleast_1d(np.asarray(values, float)) for values in (mean, std))
    for what, values in (("mean", centre), ("std", spread)):
        problems.require(
            values.shape in ((1,), (sizes[0],)) and np.isfinite(values).all(),
            f"{what} must be a number, or one for each of {sizes[0]} channels, not {values.tolist()}",
        )
    problems.require((spread > 0).all(), f"std must be above 0, not {spread.tolist()}")
    problems.raise_any()
    original = copy.deepcopy(module).eval().double().cpu()
    first, steps = trace_module(original, sizes, problems, max_pooling=max_pooling == "or")
    image = Signal(
        INPUT,
        Shape(*sizes),
        (1, 1),
        1 / spread,
        -centre / spread,
        flat=len(sizes) == 1,
        positive=bool((centre <= 0).all()),
    )
    folding = Folding(first, image, problems)
    for step in steps:
        folding.take(step)
    problems.raise_any()
    network = FloatNetwork(name, image.shape, tuple(folding.layers))

    images = np.random.default_rng(0).integers(0, 256, (_CHECKED, image.shape.neurons), np.uint8)
    rows, columns, channels = image.shape.height, image.shape.width, image.shape.channels
    given = (images.reshape(-1, rows, columns, channels) / 255 - centre) / spread
    with torch.no_grad():
        told = original(torch.tensor(np.ascontiguousarray(given.transpose(0, 3, 1, 2)).reshape(-1, *sizes))).numpy()
    shape = network.layers[-1].shape
    wanted = told.reshape(-1, shape.channels, shape.height, shape.width).transpose(0, 2, 3, 1).reshape(_CHECKED, -1)
    difference, largest = np.abs(network.outputs(images) - wanted).max(), np.abs(wanted).max()
    if not difference <= _TOLERANCE * max(largest, 1.0):
        raise HillockError(
            f"conversion of {name!r}: its outputs must be those of the module, and differ by up to {difference:.3g} of "
            f"{largest:.3g} on random images: `forward` does what torch.fx does not see, such as changing values in "
            f"place that it uses again, or hooks; write it without"
        )
    return network
