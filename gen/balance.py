"""Threshold balancing: a ReLU network becomes a spiking one by its thresholds, and its weights stay as they are."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import HillockError, Problems
from hillock.sim.bounds import PIXEL_MAX
from hillock.sim.network import INPUT, Shape

from .convert import SpikingLayer, SpikingNetwork, require_images, scaled
from .datasets import ImageArray
from .float_network import FloatArray, FloatNetwork, bias_grid, bring

__all__ = ["balance_thresholds"]

Trains = NDArray[np.uint8]
"""Spikes [timesteps, images, neurons / 8], eight to a byte."""


def balance_thresholds(network: FloatNetwork, images: ImageArray, timesteps: int = 100) -> SpikingNetwork:
    """Give each layer, one after the other, the largest input that any of its neurons has in a timestep as threshold.

    The input is what weights and biases add up, when the layers before run with the thresholds they were given, for
    `timesteps` steps from a potential of 0, on rate-coded `images` (Diehl et al. 2015; Sengupta et al. 2019). No neuron
    then misses a spike that it owes, on these images; thresholds are high, and so is the latency.

    Weights stay, but where connections of one layer come from layers of different activation per spike: those of the
    second and later ones are then brought to the unit of the first. Biases are brought to it too. The `activation` of a
    layer is its threshold times that of its first source. A layer that is the largest of others keeps their unit.

    Raises `HillockError` for images of another size, no timesteps, and a layer that never has a positive input.
    """
    problems = Problems(f"threshold balancing of {network.name!r}")
    problems.require(timesteps >= 1, f"timesteps must be at least 1, not {timesteps}")
    require_images(network, images, problems)
    problems.raise_any()
    shapes, units = {INPUT: network.input}, {INPUT: 1.0}
    trains = {INPUT: _fired((images / 1.0 for _ in range(timesteps)), PIXEL_MAX)}
    layers = []
    for layer in network.layers:
        unit = units[layer.connections[0].source]
        balanced = SpikingLayer(
            name=layer.name,
            shape=layer.shape,
            connections=tuple(scaled(part, units[part.source] / unit) for part in layer.connections),
            biases=layer.biases / unit,
            activation=unit,
            largest=layer.largest,
        )
        if layer.largest:
            fired = [np.packbits(received > 0, axis=1) for received in _received(balanced, trains, shapes)]
            shapes[layer.name], units[layer.name], trains[layer.name] = layer.shape, unit, np.array(fired)
            layers.append(balanced)
            continue
        threshold = max(float(received.max()) for received in _received(balanced, trains, shapes))
        if threshold <= 0:
            raise HillockError(
                f"{problems.subject}: layer {layer.name!r} must have a positive input in some timestep, and its "
                f"largest is {threshold:.3g}: train it further, or give more timesteps or other images"
            )
        shapes[layer.name], units[layer.name] = layer.shape, threshold * unit
        trains[layer.name] = _fired(_received(balanced, trains, shapes), threshold)
        layers.append(replace(balanced, threshold=threshold, activation=threshold * unit))
    return SpikingNetwork(network.name, network.input, tuple(layers))


def _received(layer: SpikingLayer, trains: dict[str, Trains], shapes: dict[str, Shape]) -> Iterator[FloatArray]:
    """The input [images, neurons] of a layer in each timestep."""
    timesteps, count, _ = trains[INPUT].shape
    for step in range(timesteps):
        total = np.zeros((count, layer.shape.height, layer.shape.width, layer.shape.channels))
        for connection in layer.connections:
            source = shapes[connection.source]
            spikes = np.unpackbits(trains[connection.source][step], axis=1, count=source.neurons)
            bring(connection, spikes.astype(np.float64), source, total)
        yield (total + bias_grid(layer.biases, layer.shape)).reshape(count, -1)


def _fired(inputs: Iterator[FloatArray], threshold: float) -> Trains:
    """What integrate-and-fire neurons with soft reset make of their inputs."""
    potential: FloatArray = np.zeros(1)
    trains = []
    for received in inputs:
        potential = potential + received
        spikes = potential >= threshold
        potential = potential - threshold * spikes
        trains.append(np.packbits(spikes, axis=1))
    return np.array(trains)
