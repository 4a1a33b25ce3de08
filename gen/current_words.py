"""What the current words of a layer hold, and back: nothing, one value for each channel, or one for each neuron."""

import numpy as np

from hillock.sim.layout import Layout
from hillock.sim.network import IntArray, Layer

from .places import LayerPlace

__all__ = ["by_slot", "current_words", "read_currents"]


def by_slot(values: IntArray, layout: Layout) -> IntArray:
    """One value for each neuron, by address, as [word, lane]; 0 for lanes that are no neuron."""
    lanes = np.zeros(layout.words * layout.lanes, np.int64)
    lanes[layout.slots()] = values
    return lanes.reshape(-1, layout.lanes)


def current_words(layer: Layer, where: LayerPlace) -> tuple[int, IntArray]:
    """(first word, [word, lane]) of what the current memory holds for a layer before an inference.

    An image, and the current that static input becomes, are 0 until they are there.
    """
    layout, shape, currents = where.layout, layer.shape, layer.currents
    if where.current_step == 0:
        return where.current_base, np.zeros((1, layout.lanes), np.int64)
    if where.current_step == 1:
        assert currents is not None
        padded = np.zeros(layout.channel_words * layout.channels, np.int64)
        padded[: shape.channels] = currents
        words = np.zeros((layout.channel_words, layout.lanes), np.int64)
        words[:, : layout.columns * layout.channels] = np.tile(padded.reshape(-1, layout.channels), layout.columns)
        return where.current_base, words
    if currents is None:
        currents = np.zeros(shape.channels, np.int64)
    words = by_slot(np.tile(currents, shape.neurons // len(currents)), layout)
    if where.load_base is None:
        return where.current_base, words
    return where.load_base, np.concatenate([words, np.zeros_like(words)])


def read_currents(memory: IntArray, count: int, where: LayerPlace) -> IntArray:
    """The `count` currents, one for each channel or each neuron, that a memory [word, lane] holds for a layer.

    The inverse of `current_words` where it holds what that gives.
    """
    layout = where.layout
    base = where.current_base if where.load_base is None else where.load_base
    if where.current_step == 1:
        words = memory[base : base + layout.channel_words, : layout.channels]
        return words.reshape(-1)[:count]
    return memory[base : base + layout.words].reshape(-1)[layout.slots()[:count]]
