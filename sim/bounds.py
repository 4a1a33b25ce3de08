"""Bounds that no potential exceeds, whatever the input: the proof that a layer cannot saturate."""

from dataclasses import dataclass

import numpy as np

from .layer import Layer, LeakOrder, ResetMode
from .network import Network
from .network_rules import event_bounds
from .synapses import IntArray, Shape

__all__ = ["PIXEL_MAX", "Bounds", "may_saturate", "potential_bounds"]

PIXEL_MAX = 255
"""The brightest pixel: the largest current of a layer that is fed by an image."""

_FAR = 1 << 61
"""Beyond every potential; sums of two of them still fit in 64 bits."""


@dataclass(frozen=True)
class Bounds:
    """The lowest and the highest value that any potential of a layer can have at any moment of an inference."""

    low: int
    high: int

    @property
    def bits(self) -> int:
        """Width of the narrowest signed integer that holds both."""
        return max((-self.low - 1).bit_length() if self.low < 0 else 0, max(self.high, 0).bit_length()) + 1


def potential_bounds(network: Network) -> tuple[Bounds, ...]:
    """For each layer, bounds that no potential exceeds at any moment, for any input and any order of events.

    Interval arithmetic over the contract, for each channel or neuron and each timestep, from weights, currents and
    preload: the lowest value is reached when just the negative weights of a timestep have been added, the highest
    likewise. Each input address sends at most one event in a timestep. A current that static events add up is within
    the bounds too. A layer saturates only if its bounds exceed the width.
    """
    return tuple(_layer_bounds(layer, network) for layer in network.layers)


def may_saturate(network: Network) -> tuple[bool, ...]:
    """For each layer, whether its bounds exceed the width of a potential; if not, it is proved never to saturate."""
    low, high = network.potential_range
    return tuple(bounds.low < low or bounds.high > high for bounds in potential_bounds(network))


def _layer_bounds(layer: Layer, network: Network) -> Bounds:
    """`potential_bounds` for one layer; low and high are arrays of the interval that each potential is in."""
    down, up = event_bounds(network, layer)
    current = brightest = np.zeros(1, np.int64)
    if layer.current_from_image:
        brightest = brightest + PIXEL_MAX
    elif layer.currents is not None:
        current = brightest = layer.currents
    if 1 != current.size != down.size != 1:  # one speaks of channels, the other of neurons
        down, up, current, brightest = (_by_neuron(layer.shape, values) for values in (down, up, current, brightest))
    low = high = np.full(1, layer.preload, np.int64)
    lowest, highest = layer.preload, layer.preload
    if layer.static:  # all its events come before the first timestep, and into the current
        current, brightest = current + down, brightest + up
        down = up = np.zeros_like(down)
        lowest, highest = min(lowest, int(current.min())), max(highest, int(brightest.max()))

    def leak(values: IntArray) -> IntArray:  # never reverses the order of two values, so it keeps an interval one
        return values - (values >> layer.leak_shift) if layer.leak_shift else values

    def reset(values: IntArray) -> IntArray:
        if layer.reset_mode is ResetMode.SUBTRACT:
            return values - layer.reset_amount
        return np.full_like(values, layer.reset_amount)

    def settle(values: IntArray, spike: bool) -> IntArray:
        if not (spike or layer.reset_mode is ResetMode.EVERY_TIMESTEP):
            return leak(values)
        return leak(reset(values)) if layer.leak_order is LeakOrder.RESET_THEN_LEAK else reset(leak(values))

    threshold = layer.threshold if layer.fires else _FAR
    for _ in range(network.timesteps):
        before = low, high
        low, high = low + down, high + up
        lowest, highest = min(lowest, int(low.min())), max(highest, int(high.max()))
        low, high = np.maximum(low + current, -_FAR), np.minimum(high + brightest, _FAR)
        lowest, highest = min(lowest, int(low.min())), max(highest, int(high.max()))
        # Of the interval, the part from the threshold up fires and the part below does not; either may be empty.
        silent, firing = low < threshold, high >= threshold
        first_firing, last_silent = np.maximum(low, threshold), np.minimum(high, threshold - 1)
        low = np.minimum(np.where(silent, settle(low, False), _FAR), np.where(firing, settle(first_firing, True), _FAR))
        high = np.maximum(
            np.where(silent, settle(last_silent, False), -_FAR), np.where(firing, settle(high, True), -_FAR)
        )
        lowest, highest = min(lowest, int(low.min())), max(highest, int(high.max()))
        if np.array_equal(before[0], low) and np.array_equal(before[1], high):
            break
    return Bounds(lowest, highest)


def _by_neuron(shape: Shape, values: IntArray) -> IntArray:
    """Values for each channel, or for each neuron, as values for each neuron."""
    if values.size == shape.neurons:
        return values
    return np.broadcast_to(values, (shape.height * shape.width, shape.channels)).reshape(-1)
