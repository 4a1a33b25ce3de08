"""Lifting: the outputs of a classifier raised together, since no rate is below 0."""

from dataclasses import replace

import numpy as np

from .datasets import ImageArray
from .float_network import FloatNetwork

__all__ = ["SILENT", "lifted"]

SILENT = 0.005
"""The part of the images that may have no output above 0 before anything is done about it."""


def lifted(network: FloatNetwork, images: ImageArray) -> tuple[FloatNetwork, float]:
    """The network with one constant added to all of its outputs, and the constant.

    The decisions of the float network stay what they are. A spiking one tells classes apart by positive outputs:
    where all are below 0 nothing fires, and class 0 wins. If more than `SILENT` of `images` (training images) are so,
    the constant brings the highest output of every one of them to 0 at least; else it is 0.
    """
    highest = network.outputs(images).max(axis=1)
    constant = -float(highest.min()) if np.mean(highest <= 0) > SILENT else 0.0
    if not constant:
        return network, 0.0
    *before, last = network.layers
    return replace(network, layers=(*before, replace(last, biases=last.biases + constant))), constant
