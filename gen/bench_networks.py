"""The networks that `bench` measures with, and their input: weights from a fixed seed where nothing is trained."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from hillock.hw.problems import HillockError
from hillock.sim.network import INPUT, Connection, Convolution, Dense, IntArray, Layer, Network, Shape

from .datasets import load_dataset
from .models import MODELS, load_model

__all__ = ["SEED", "Net1", "bench_network", "drawn_net_1_c", "net_1_c", "random_events", "random_images"]

SEED = 2026

NET_1 = "net1-c"
"""The trained model."""


def bench_network(*, encoder: bool = False) -> Network:
    """784-128-10 with weights drawn from a fixed seed, T = 25; with `encoder`, behind a rate encoder on the core.

    Without a leak the firing rate follows the mean of the weights: the thresholds are such that the hidden layer fires
    in 10 % of the timesteps at an input density of 13 %.
    """
    rng = np.random.default_rng(SEED)
    hidden, output = rng.integers(-90, 111, (784, 128)), rng.integers(-90, 111, (128, 10))
    threshold = round(0.13 * 784 * hidden.mean() / 0.10)
    layers = (
        _layer("hidden", Shape(128), threshold, Connection("encoder" if encoder else INPUT, Dense(hidden))),
        _layer("output", Shape(10), 1000, Connection("hidden", Dense(output))),
    )
    return Network(
        name="784-128-10",
        input=Shape(784),
        layers=(_encoder(Shape(784)), *layers) if encoder else layers,
        potential_bits=20,
        fraction_bits=0,
        timesteps=25,
    )


def drawn_net_1_c() -> Network:
    """Net 1 C (3C20-P2-5C50-P2-FC50-FC10 on 28x28, T = 25) with weights drawn from a fixed seed.

    With its thresholds, at an input density of 13 %, some 7 % of the neurons of the first convolution fire in a
    timestep and 5 % of those of the second.
    """
    rng = np.random.default_rng(SEED)
    sizes = ((3, 3, 1, 20), (5, 5, 20, 50), (800, 50), (50, 10))
    conv1, conv2, dense, output = (rng.integers(-90, 111, size) for size in sizes)
    return Network(
        name=NET_1,
        input=Shape(1, 28, 28),
        layers=(
            _encoder(Shape(1, 28, 28)),
            _layer("conv1", Shape(20, 26, 26), 235, Connection("encoder", Convolution(conv1))),
            _layer("conv2", Shape(50, 9, 9), 30900, Connection("conv1", Convolution(conv2), pool=(2, 2))),
            _layer("dense", Shape(50), 14700, Connection("conv2", Dense(dense), pool=(2, 2))),
            _layer("output", Shape(10), 540, Connection("dense", Dense(output))),
        ),
        potential_bits=20,
        fraction_bits=0,
        timesteps=25,
    )


@dataclass(frozen=True, eq=False)
class Net1:
    """Net 1 C, `images` for it [n, 784], and in words where the weights and the images are from."""

    network: Network
    images: IntArray
    weights: str
    data: str


def net_1_c(count: int) -> Net1:
    """The trained network with the first `count` test images of MNIST; without one of them, drawn ones."""
    missing = f"models/{NET_1}"
    if (MODELS / NET_1 / "model.json").is_file():
        model, missing = load_model(NET_1), "MNIST"
        with suppress(HillockError):  # no file, and no way to fetch it
            images = load_dataset(model.dataset).test_images
            return Net1(model.network, images[:count].astype(np.int64), f"models/{NET_1}", "test images of MNIST")
    return Net1(drawn_net_1_c(), random_images(count), f"drawn from a fixed seed ({missing} is not there)", "random")


def random_events(rng: np.random.Generator, density: float, network: Network) -> list[list[int]]:
    """Every input fires in every timestep with a chance of `density`: rate coding with independent spikes."""
    return [np.flatnonzero(rng.random(network.inputs) < density).tolist() for _ in range(network.timesteps)]


def random_images(count: int) -> IntArray:
    """Images of 784 pixels with an input density of 13 % behind a rate encoder."""
    return np.random.default_rng(SEED).integers(0, 67, (count, 784))


def _encoder(shape: Shape) -> Layer:
    return Layer(name="encoder", shape=shape, threshold=255, reset_amount=255, preload=128, current_from_image=True)


def _layer(name: str, shape: Shape, threshold: int, connection: Connection) -> Layer:
    return Layer(
        name=name,
        shape=shape,
        threshold=threshold,
        reset_amount=threshold,
        preload=threshold // 2,
        connections=(connection,),
    )
