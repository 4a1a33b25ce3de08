"""A finished `Simulation` of a tiny random network, without a simulator.

What the gateware would have given is what the golden model and the cycle contract say, or differs from it in one spike.
"""

import dataclasses
from typing import Any

import numpy as np

from hillock.gen.datasets import Dataset
from hillock.gen.mapping import fit
from hillock.gen.simulate import LayerFigures, Simulation, _take
from hillock.sim import golden
from hillock.sim.harness import Measured
from hillock.sim.network import Layer, Network
from hillock.sim.timing import time_inference
from random_networks import random_network

LANES = 4


def small_network(seed: int, **changes: Any) -> Network:
    """A random network of at least two layers that is fed by an image; `changes` go to its last layer."""
    rng = np.random.default_rng(seed)
    network: Network = random_network(rng)
    while not network.image_input or len(network.layers) < 2:
        network = random_network(rng)
    last: Layer = dataclasses.replace(network.layers[-1], **changes)
    return dataclasses.replace(network, layers=(*network.layers[:-1], last))


def small_simulation(network: Network, images: int = 5, held_out: int = 8, *, equal: bool = True) -> Simulation:
    """`images` of the `held_out` images of a random dataset through `network`."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (held_out, network.inputs)).astype(np.uint8)
    labels = rng.integers(0, network.layers[-1].neurons, held_out)
    dataset = Dataset("random", pixels, labels, pixels.copy(), labels.copy(), (1, network.inputs))
    config = fit(network, LANES)
    result = Simulation(
        network,
        config,
        dataset,
        float_accuracy=0.875,
        images=images,
        layers=[LayerFigures(layer.name, layer.neurons) for layer in network.layers],
        correct_at=np.zeros(network.timesteps, np.int64),
        simulated_cycles=123456,
        simulation_seconds=0.5,
    )
    for index in range(images):
        trace = golden.run(network, image=pixels[index])
        timeline = time_inference(network, trace, LANES)
        spikes = [layer.spikes.copy() for layer in trace.layers]
        if not equal and index == images - 1:
            spikes[-1][0, 0] ^= True
        potentials = [layer.potentials for layer in trace.layers]
        decision = trace.decision, timeline.decision
        _take(result, index, Measured(spikes, potentials, timeline.fire, False, timeline.output, *decision))
    return result
