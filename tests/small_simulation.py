"""A finished `Simulation` of a tiny random network, without a simulator.

What the gateware would have given is what the golden model and the cycle contract say, or differs from it in one spike.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from hillock.gen.datasets import Dataset
from hillock.gen.figures import Simulation, figures_of
from hillock.gen.float_network import FloatLayer, FloatNetwork
from hillock.gen.mapping import fit, place
from hillock.gen.scores import score_of
from hillock.gen.simulate import inference_of, take
from hillock.sim import golden
from hillock.sim.harness import Measured
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, Network, Shape
from hillock.sim.timing import time_inference
from random_networks import random_graph, random_network

LANES = 4


def small_network(seed: int, **changes: Any) -> Network:
    """A random network of at least two layers that is fed by an image; `changes` go to its last layer."""
    network = _drawn(seed, random_network, lambda one: one.image_input and len(one.layers) > 1)
    last: Layer = dataclasses.replace(network.layers[-1], **changes)
    return dataclasses.replace(network, layers=(*network.layers[:-1], last))


def small_graph(seed: int, wanted: Callable[[Network], bool] = lambda network: True) -> Network:
    """A random graph of grids as `wanted`, of at least two layers, that is fed by an image or has static input."""

    def usable(network: Network) -> bool:
        fed = network.image_input or (network.static_input and network.input.channels == 1)
        return fed and len(network.layers) > 1 and wanted(network)

    return _drawn(seed, random_graph, usable)


def autoencoder(places: int = 6) -> tuple[Network, FloatNetwork]:
    """A network without a decision that gives back the image it is fed, and its float network; T is 20."""
    shape = Shape(1, 2, places // 2)
    weights = np.eye(places)
    network = Network(
        name="copy",
        input=shape,
        layers=(
            Layer(name="encoder", shape=shape, threshold=255, reset_amount=255, current_from_image=True),
            Layer(
                name="output",
                shape=shape,
                threshold=10,
                reset_amount=10,
                connections=(Connection("encoder", Dense(10 * weights.astype(int))),),
            ),
        ),
        fraction_bits=0,
        timesteps=20,
        delay=2,
        decision=Decision.NONE,
    )
    layer = FloatLayer(
        name="output", shape=shape, connections=(Connection(INPUT, Dense(weights * 0.9)),), biases=np.zeros(1)
    )
    return network, FloatNetwork("copy", shape, (layer,))


def small_simulation(
    network: Network,
    images: int = 5,
    held_out: int = 8,
    *,
    equal: bool = True,
    float_network: FloatNetwork | None = None,
) -> Simulation:
    """`images` of the `held_out` images of a random dataset through `network`."""
    rng = np.random.default_rng(1)
    brightest = 255 if network.image_input else network.largest_payload
    pixels = rng.integers(0, brightest + 1, (held_out, network.inputs)).astype(np.uint8)
    labels = rng.integers(0, network.layers[-1].neurons, held_out)
    shape = (1, network.inputs) if network.input.channels > 1 else (network.input.height, network.input.width)
    dataset = Dataset("random", pixels, labels, pixels.copy(), labels.copy(), shape)
    plan = place(network, fit(network, LANES)).plan
    result = Simulation(
        plan,
        dataset,
        score_of(network, dataset, 0.875, float_network),
        layers=figures_of(plan),
        simulated_cycles=123456,
        simulation_seconds=0.5,
    )
    for index in range(images):
        trace = golden.run(network, **inference_of(network, pixels[index]))
        timeline = time_inference(plan, trace)
        spikes = [layer.spikes.copy() for layer in trace.layers]
        if not equal and index == images - 1:
            spikes[-1][0, 0] ^= True
        potentials = [layer.potentials for layer in trace.layers]
        decision = trace.decision, timeline.decision
        measured = Measured(spikes, potentials, timeline.fire, False, timeline.output, *decision)
        take(result, index, measured, float_network)
    return result


def _drawn(seed: int, draw: Callable[[np.random.Generator], Network], wanted: Callable[[Network], bool]) -> Network:
    """The first network that is as wanted."""
    rng = np.random.default_rng(seed)
    while not wanted(network := draw(rng)):
        pass
    return network
