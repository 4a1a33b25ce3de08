"""Random networks and inputs for the regressions: every draw comes from one generator, so a seed tells it all."""

import numpy as np

from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, LeakOrder, Network, ResetMode, Shape
from random_graphs import random_graph

__all__ = ["random_graph", "random_input", "random_network"]


def random_network(
    rng: np.random.Generator,
    *,
    potential_bits: int = 16,
    fraction_bits: int = 4,
    weight_bits: int = 8,
    current_bits: int = 16,
    leak_shift_bits: int = 3,
    max_neurons: int = 40,
    max_layers: int = 4,
) -> Network:
    """A chain of one to `max_layers` dense layers with every feature of their neurons drawn at random.

    Thresholds are drawn low enough for activity; in one network of four they and the weights sit at the ends of their
    ranges, so that potentials saturate.
    """
    extreme = rng.random() < 0.25
    high = (1 << (potential_bits - 1)) - 1
    unit = 1 << fraction_bits
    reach = (1 << (weight_bits - 1)) - 1
    sizes = rng.integers(1, max_neurons + 1, rng.integers(1, max_layers + 1)).tolist()
    image = bool(rng.random() < 0.4)
    inputs = int(rng.integers(1, max_neurons + 1))
    if image:
        sizes.insert(0, inputs)
        sizes = sizes[:max_layers]
    by_potential = bool(rng.random() < 0.3)
    layers: list[Layer] = []
    source, fan_in = INPUT, inputs
    for index, neurons in enumerate(sizes):
        last = index == len(sizes) - 1
        encoder = image and index == 0
        weights = rng.integers(-reach - 1, reach + 1, (fan_in, neurons))
        if rng.random() < 0.5:
            weights += rng.integers(0, reach // 2 + 1)
        threshold = (
            high
            if extreme and rng.random() < 0.3
            else int(rng.integers(1, min(high, max(2, reach * unit * max(1, fan_in // 4))) + 1))
        )
        mode = ResetMode(rng.choice([mode.value for mode in ResetMode], p=[0.5, 0.35, 0.15]))
        spread = 1 << (min(current_bits, potential_bits) - 1 if extreme else min(current_bits, 8) - 1)
        currents = rng.integers(-spread, spread, neurons) if rng.random() < 0.5 and not encoder else None
        subtracts = mode is ResetMode.SUBTRACT
        layers.append(
            Layer(
                name=f"layer{index}",
                shape=Shape(neurons),
                connections=() if encoder else (Connection(source, Dense(np.clip(weights, -reach - 1, reach))),),
                currents=currents,
                current_from_image=encoder,
                threshold=min(high, 255) if encoder else threshold,
                leak_shift=0 if mode is ResetMode.EVERY_TIMESTEP else int(rng.integers(0, 1 << leak_shift_bits)),
                preload=int(rng.integers(-high - 1, high + 1))
                if extreme
                else int(rng.integers(-threshold, threshold + 1)),
                reset_mode=mode,
                reset_amount=int(rng.integers(0 if subtracts else -high - 1, high + 1))
                if extreme
                else int(rng.integers(0, threshold + 1)),
                leak_order=LeakOrder.LEAK_THEN_RESET if rng.random() < 0.5 else LeakOrder.RESET_THEN_LEAK,
                fires=not (last and by_potential),
            )
        )
        source, fan_in = layers[-1].name, neurons
    timesteps = int(rng.integers(1, 9))
    return Network(
        name="random",
        input=Shape(inputs),
        layers=tuple(layers),
        weight_bits=weight_bits,
        potential_bits=potential_bits,
        fraction_bits=fraction_bits,
        timesteps=timesteps,
        delay=int(rng.integers(0, timesteps)),
        decision=Decision.POTENTIAL if by_potential else Decision.COUNT,
    )


def random_input(rng: np.random.Generator, network: Network) -> dict[str, object]:
    """The keyword argument for `golden.run`: an image, or events at a random density, ascending in each timestep."""
    if network.image_input:
        return {"image": rng.integers(0, 256, network.inputs)}
    density = rng.choice([0.0, 0.1, 0.5, 1.0])
    steps = 1 if network.static_input else network.timesteps
    addresses = [np.flatnonzero(rng.random(network.inputs) < density).tolist() for _ in range(steps)]
    if network.payload_bits == 1:
        return {"events": addresses}
    return {
        "events": [[(address, int(rng.integers(1, network.largest_payload + 1))) for address in at] for at in addresses]
    }
