"""A model of few neurons, for tests that build."""

import shutil
from pathlib import Path

import numpy as np

from hillock.gen.models import MODELS
from hillock.sim import network_file
from hillock.sim.network import Connection, Decision, Dense, Layer, Network, Shape

__all__ = ["tiny_model"]


def tiny_model(where: Path) -> Path:
    """The folder, in `where`, of a network that takes the digits and has been trained for nothing."""
    random = np.random.default_rng(1)
    layers = [Layer(name="encoder", shape=Shape(64), threshold=255, reset_amount=255, current_from_image=True)]
    for source, name, before, after in (("encoder", "hidden", 64, 4), ("hidden", "output", 4, 10)):
        connection = Connection(source, Dense(random.integers(-9, 10, (before, after))))
        layers.append(Layer(name=name, shape=Shape(after), threshold=60, reset_amount=60, connections=(connection,)))
    network = Network(
        name="tiny", input=Shape(64), layers=tuple(layers), timesteps=4, decision=Decision.COUNT, fraction_bits=2
    )
    folder = where / "tiny"
    folder.mkdir()
    network_file.save(network, folder / "network.hlk")
    shutil.copy(MODELS / "digits" / "model.json", folder)
    return folder
