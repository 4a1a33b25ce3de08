"""Threshold balancing: thresholds by hand, and rates that are the ReLU network's on another scale."""

import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hillock.gen.balance import balance_thresholds
from hillock.gen.float_network import FloatLayer, FloatNetwork
from hillock.gen.quantize import quantize
from hillock.hw.problems import HillockError
from hillock.sim.batch import run_batch
from hillock.sim.network import Connection, Convolution, Dense, Shape


def layer(name: str, weights: list[list[float]], biases: list[float], *more: Connection, source: str = "input"):
    """A dense layer, with further connections."""
    connections = (Connection(source, Dense(np.array(weights))), *more)
    return FloatLayer(name=name, shape=Shape(len(biases)), connections=connections, biases=np.array(biases, float))


def test_thresholds_by_hand():
    """Pixels 255 and 85: the first fires in every timestep, the second in every third, so in the third both do.

    `a` then receives 2 + 1 + 0.5 = 3.5 and 0.5 in the others: the first two timesteps bring 2.5 each, so that it fires
    in the second (5.0), and in the third (1.5 + 3.5), and in the fourth (1.5 + 2.5). `b` receives 4 of each spike, and
    of its bias 3.5, the unit of `a`, times as little.
    """
    network = FloatNetwork(
        "net", Shape(2), (layer("a", [[2.0], [1.0]], [0.5]), layer("b", [[4.0]], [-0.7], source="a"))
    )
    a, b = balance_thresholds(network, np.array([[255, 85]], np.uint8), timesteps=4).layers
    assert (a.threshold, a.activation) == (3.5, 3.5)
    assert a.connections[0].synapses.weights.tolist() == [[2.0], [1.0]]
    assert a.biases.tolist() == [0.5]
    assert b.connections[0].synapses.weights.tolist() == [[4.0]]
    np.testing.assert_allclose(b.biases, [-0.2])
    assert (b.threshold, b.activation) == pytest.approx((3.8, 3.8 * 3.5))


def test_a_threshold_needs_time():
    """In two timesteps the second pixel has not fired yet."""
    network = FloatNetwork("net", Shape(2), (layer("a", [[2.0], [1.0]], [0.5]),))
    balanced = balance_thresholds(network, np.array([[255, 85]], np.uint8), timesteps=2)
    assert balanced.layers[0].threshold == 2.5


DEAF = FloatNetwork(
    "net", Shape(2), (layer("a", [[1.0, 0.0], [0.0, 1.0]], [0, 0]), layer("b", [[0.0], [1.0]], [0.0], source="a"))
)
"""`b` listens to the second pixel only."""


def test_a_layer_without_input():
    text = (
        "threshold balancing of 'net': layer 'b' must have a positive input in some timestep, and its largest is 0: "
        "train it further, or give more timesteps or other images"
    )
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        balance_thresholds(DEAF, np.array([[255, 20]], np.uint8), timesteps=12)
    assert balance_thresholds(DEAF, np.array([[255, 20]], np.uint8), timesteps=13).layers[1].threshold == 1


def test_branches_meet_in_the_unit_of_the_first():
    """`a` has a threshold of 5 and `b` of 2: for the sum of both in `c`, a spike of `b` counts 2 / 5 as much."""
    identity = Connection("b", Convolution(np.ones((1, 1, 1, 1)), groups=1))
    network = FloatNetwork(
        "net",
        Shape(1),
        (layer("a", [[5.0]], [0.0]), layer("b", [[2.0]], [0.0]), layer("c", [[3.0]], [1.0], identity, source="a")),
    )
    *_, c = balance_thresholds(network, np.array([[255]], np.uint8), timesteps=3).layers
    assert [part.synapses.weights.item() for part in c.connections] == [3.0, 0.4]
    assert c.biases.tolist() == [0.2]
    assert (c.threshold, c.activation) == pytest.approx((3.6, 18.0))
    assert c.activation == pytest.approx(5 * 3 + 2 + 1)  # what the ReLU network gives


@settings(max_examples=15)
@given(seed=st.integers(0, 999))
def test_rates_are_those_of_the_relu_network(seed):
    """In integers, too: with the thresholds of the images themselves no rate is clipped."""
    generator = np.random.default_rng(seed)
    kernel = Convolution(generator.uniform(-0.5, 1, (3, 3, 2, 3)), padding=(1, 1))
    conv = FloatLayer(
        name="conv", shape=Shape(3, 4, 4), connections=(Connection("input", kernel),), biases=generator.normal(size=48)
    )
    mean = Connection("conv", Dense(generator.normal(size=(12, 4)) / 4), pool=(2, 2))
    out = FloatLayer(name="out", shape=Shape(4), connections=(mean,), biases=generator.normal(size=4))
    network = FloatNetwork("net", Shape(2, 4, 4), (conv, out))
    images = generator.integers(0, 256, (5, 32), np.uint8)
    wanted = network.outputs(images)
    assume((wanted > 0).any())
    spiking = balance_thresholds(network, images, timesteps=255)
    integer, _ = quantize(spiking, weight_bits=12, potential_bits=None, fraction_bits=2, timesteps=255)
    rates = run_batch(integer, images.astype(np.int64)).counts / 255 * spiking.layers[-1].activation
    np.testing.assert_allclose(rates, wanted, atol=0.05 * spiking.layers[-1].activation)


@pytest.mark.parametrize(
    ("images", "timesteps", "text"),
    [
        (np.zeros((1, 2), np.uint8), 0, "timesteps must be at least 1, not 0"),
        (np.zeros((3, 4), np.uint8), 5, "images must have shape (images, 2), a column for each pixel, not (3, 4)"),
    ],
)
def test_what_cannot_be_balanced(images, timesteps, text):
    with pytest.raises(HillockError, match=f"^threshold balancing of 'net': {re.escape(text)}$"):
        balance_thresholds(DEAF, images, timesteps)
