"""Networks of few bytes, for tests of the link, and inputs for them."""

import numpy as np

from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, Network, Shape

__all__ = ["TIMESTEPS", "inputs_of", "small"]

TIMESTEPS = 4


def small(kind: str, seed: int = 1) -> Network:
    """A network of few bytes: its input is an image, or events."""
    random = np.random.default_rng(seed)
    layers = []
    source, width = INPUT, 6
    if kind == "image":
        layers.append(Layer(name="in", shape=Shape(6), threshold=255, reset_amount=255, current_from_image=True))
        source = "in"
    for name, neurons in (("hidden", 8), ("out", 4)):
        weights = random.integers(-3, 8, (width, neurons))
        connections = (Connection(source, Dense(weights)),)
        layers.append(Layer(name=name, shape=Shape(neurons), threshold=60, reset_amount=60, connections=connections))
        source, width = name, neurons
    return Network(
        name=kind, input=Shape(6), layers=tuple(layers), timesteps=TIMESTEPS, decision=Decision.COUNT, fraction_bits=4
    )


def inputs_of(network, count, seed):
    random = np.random.default_rng(seed)
    if network.image_input:
        return [{"image": random.integers(0, 256, 6)} for _ in range(count)]
    return [
        {"events": [np.flatnonzero(random.random(6) < 0.5).tolist() for _ in range(TIMESTEPS)]} for _ in range(count)
    ]
