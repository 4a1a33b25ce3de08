"""Conversion of a ReLU network into a rate-coded spiking one, by data-based normalisation.

`balance` is the other way; `from_torch` makes the ReLU network of a torch module.
"""

from dataclasses import dataclass, replace

import numpy as np

from hillock.hw.problems import HillockError, Problems
from hillock.sim.network import INPUT, Connection, Shape

from .datasets import ImageArray
from .float_network import FloatArray, FloatNetwork
from .torch_convert import from_torch

__all__ = [
    "DEFAULT_PERCENTILE",
    "SpikingLayer",
    "SpikingNetwork",
    "from_torch",
    "normalise",
    "require_images",
    "scaled",
]

DEFAULT_PERCENTILE = 99.5
"""Measured on held-out MNIST images, 784-128-10, 8 bits, 4 seeds: at T = 8, 98.60 % for 98, 98.61 % for 99.5, 98.53 %
for 99.9 and 98.30 % for 100; at T = 25, between 98.72 % (100) and 98.78 % (99)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SpikingLayer:
    """Integrate-and-fire neurons, soft reset, with float parameters.

    The weights of the `connections` and `biases` ([channels], or [neurons] by address), the current of every timestep,
    are in the unit of `threshold`; `activation` is the ReLU activation that one spike per timestep stands for. A layer
    that is `largest` has no memory: it fires where any neuron does in a window of its one connection, a `max_window`.
    """

    name: str
    shape: Shape
    connections: tuple[Connection, ...]
    biases: FloatArray
    threshold: float = 1.0
    activation: float = 1.0
    largest: bool = False


@dataclass(frozen=True, eq=False)
class SpikingNetwork:
    """The float Network: rate-coded pixels (rate = pixel / 255) on a grid `input`, then the layers, in their order.

    A connection from `INPUT` carries the spikes of the pixels. The output is the count of the last layer's spikes.
    """

    name: str
    input: Shape
    layers: tuple[SpikingLayer, ...]


def normalise(
    network: FloatNetwork,
    images: ImageArray,
    percentile: float = DEFAULT_PERCENTILE,
    output_activation: float | None = None,
) -> SpikingNetwork:
    """Scale each layer so that its strong activations become a rate of one spike per timestep, its threshold.

    The weights from s to l are multiplied by m_s / m_l and the biases of l by 1 / m_l, where m of the input is 1 and
    m_l is a percentile of the positive activations of layer l over `images`, which should be training images. Branches
    that meet in a layer then meet in its unit, the identity of a residual connection too, which becomes m_s / m_l (Hu
    et al. 2018). The percentile 100 is the maximum (Diehl et al. 2015); below it, the rare activations beyond m_l are
    clipped to one spike per timestep, and all others gain resolution (Rueckauer et al. 2017). Where rates are not
    clipped, time-averaged potentials are the ReLU network's.

    The m of a layer that is the largest of others is theirs: its spikes are.

    `output_activation` is the m of the last layer where its rates are to be read in a unit of their own.

    Raises `HillockError` for a percentile outside 0..100, images of another size, and a layer that is never active.
    """
    problems = Problems(f"conversion of {network.name!r}")
    problems.require(0 < percentile <= 100, f"percentile must be above 0 and at most 100, not {percentile}")
    problems.require(
        output_activation is None or output_activation > 0,
        f"output_activation must be above 0, not {output_activation}",
    )
    require_images(network, images, problems)
    problems.raise_any()
    layers = []
    scales = {INPUT: 1.0}
    for layer, values in zip(network.layers, network.activations(images), strict=True):
        positive = values[values > 0]
        if not positive.size:
            raise HillockError(
                f"conversion of {network.name!r}: layer {layer.name!r} must be active for some image, "
                f"and is for none of {len(images)}: train it further"
            )
        scale = float(np.percentile(positive, percentile))
        if output_activation is not None and layer is network.layers[-1]:
            scale = output_activation
        if layer.largest:
            scale = scales[layer.connections[0].source]
        scales[layer.name] = scale
        layers.append(
            SpikingLayer(
                name=layer.name,
                shape=layer.shape,
                connections=tuple(scaled(part, scales[part.source] / scale) for part in layer.connections),
                biases=layer.biases / scale,
                activation=scale,
                largest=layer.largest,
            )
        )
    return SpikingNetwork(network.name, network.input, tuple(layers))


def require_images(network: FloatNetwork, images: ImageArray, problems: Problems) -> None:
    """Report images that are not of the size of the network's input, or that there are none."""
    pixels = network.input.neurons
    problems.require(
        images.ndim == 2 and len(images) and images.shape[1] == pixels,
        f"images must have shape (images, {pixels}), a column for each pixel, not {images.shape}",
    )


def scaled(connection: Connection, factor: float) -> Connection:
    """The connection with its weights times `factor`."""
    synapses = connection.synapses
    return replace(connection, synapses=replace(synapses, weights=synapses.weights * factor))
