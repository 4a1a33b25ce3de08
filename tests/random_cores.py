"""The cores of the regressions, and random networks that lie on them: for the compiled gateware."""

import numpy as np

from hillock.gen.mapping import Placement, place
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.sim.network import Network
from random_networks import random_graph, random_network

__all__ = ["CORES", "random_placement"]

_GRIDS = {
    "max_layers": 8, "max_connections": 14, "max_channels": 24, "max_height": 7, "max_width": 7,
    "potential_words": 1024, "synapse_words": 8192, "current_words": 1024, "queue_words": 128, "replay_words": 512,
    "row_entries": 96, "column_entries": 96, "channel_entries": 64, "classes": 24,
}  # fmt: skip
CORES = {
    # Lanes over columns, and all that a core can have.
    "columns": CoreConfig(
        lanes=5, weight_bits=6, potential_bits=14, fraction_bits=3, current_bits=14, payload_bits=4, columns_per_word=5,
        static_input=1, image_banks=2, input_queue=4, **_GRIDS,
    ),
    # Dense chains only, so neither tables nor a replay memory; the queues are LUT RAM.
    "dense": CoreConfig(
        lanes=8, leak_shift_bits=2, max_layers=4, max_connections=4, max_channels=24, potential_words=16,
        synapse_words=512, current_words=16, queue_words=3, classes=24, image_banks=2,
    ),
    # Wide, with lanes over channels only, events that count 1, and no channel table.
    "wide": CoreConfig(
        lanes=16, weight_bits=8, potential_bits=20, current_bits=17, **_GRIDS | {"channel_entries": 0},
    ),
    # One lane, and all widths at their ends.
    "narrow": CoreConfig(
        lanes=1, weight_bits=4, potential_bits=32, fraction_bits=2, current_bits=32, payload_bits=2, leak_shift_bits=5,
        static_input=1, **_GRIDS | {"synapse_words": 1 << 15, "potential_words": 2048, "current_words": 2048,
                                    "queue_words": 512, "replay_words": 1024},
    ),
}  # fmt: skip
"""By name."""


def random_placement(rng: np.random.Generator, config: CoreConfig, *, graph: bool) -> Placement:
    """A chain of dense layers, or a graph of grids, that fits on `config`."""
    for _ in range(100):
        try:
            return place(_random(rng, config, graph=graph), config)
        except HillockError as error:  # it does not fit: another
            reason = error
    raise AssertionError(f"nothing fits: {reason}")


def _random(rng: np.random.Generator, config: CoreConfig, *, graph: bool) -> Network:
    widths = {
        name: getattr(config, name)
        for name in ("potential_bits", "fraction_bits", "weight_bits", "current_bits", "leak_shift_bits", "max_layers")
    }
    network: Network
    if graph:
        widths["max_layers"] = min(6, config.max_layers)
        network = random_graph(
            rng, **widths, payload_bits=config.payload_bits, static_input=bool(config.static_input), max_size=5,
            max_channels=5,
        )  # fmt: skip
    else:
        widths["max_layers"] = min(4, config.max_layers)
        network = random_network(rng, **widths, max_neurons=min(24, config.max_channels))
    return network
