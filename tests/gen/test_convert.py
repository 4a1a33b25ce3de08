"""Normalisation: rates are the ReLU network's activations on another scale."""

import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hillock.gen.convert import normalise
from hillock.gen.float_network import FloatLayer, FloatNetwork
from hillock.hw.problems import HillockError
from hillock.sim.network import Connection, Convolution, Dense, Shape, TransposedConvolution


def layer(name: str, weights: list[list[float]], biases: list[float], source: str, **more) -> FloatLayer:
    """A dense layer."""
    connection = Connection(source, Dense(np.array(weights)))
    return FloatLayer(
        name=name, shape=Shape(len(biases)), connections=(connection,), biases=np.array(biases, float), **more
    )


def residual_network(seed: int) -> FloatNetwork:
    """A block with an identity and a 1x1 branch, an average pool, a transposed convolution and a dense layer."""
    generator = np.random.default_rng(seed)

    def one(name: str, shape: Shape, *connections: Connection, **more) -> FloatLayer:
        biases = generator.uniform(0, 3, shape.channels)
        return FloatLayer(name=name, shape=shape, connections=connections, biases=biases, **more)

    grid = Shape(2, 4, 4)
    kernel = Convolution(generator.normal(size=(3, 3, 2, 2)), padding=(1, 1))
    identity = Convolution(np.ones((1, 1, 1, 2)), groups=2)
    point = Convolution(generator.normal(size=(1, 1, 1, 2)))
    mean = Convolution(generator.normal(size=(2, 2, 2, 3)) / 4)
    back = TransposedConvolution(generator.normal(size=(2, 2, 3, 1)), stride=(2, 2))
    return FloatNetwork(
        "net",
        Shape(1, 4, 4),
        (
            one("stem", grid, Connection("input", point)),
            one("block", grid, Connection("stem", kernel), Connection("stem", identity), Connection("input", point)),
            one("mean", Shape(3, 1, 1), Connection("block", mean, pool=(2, 2))),
            one("back", Shape(1, 2, 2), Connection("mean", back)),
            one("out", Shape(3), Connection("back", Dense(generator.normal(size=(4, 3)))), rectified=False),
        ),
    )


def images(seed: int, number: int, pixels: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (number, pixels), np.uint8)


SMALL = FloatNetwork(
    "small",
    Shape(2),
    (
        layer("hidden", [[2.0, -1.0], [0.0, 3.0]], [0.5, 0.0], "input"),
        layer("output", [[1.0, -1.0], [-4.0, 2.0]], [0.0, 1.0], "hidden", rectified=False),
    ),
)
TWO_IMAGES = np.array([[255, 0], [0, 255]], np.uint8)


def test_normalisation_by_hand():
    """The largest activations are 2.5 and 3 of the hidden layer, 2.5 and 6.5 of the output: m is 3, then 6.5."""
    converted = normalise(SMALL, TWO_IMAGES, 100)
    hidden, output = converted.layers
    assert (converted.name, converted.input) == ("small", Shape(2))
    assert [(layer.name, layer.shape) for layer in (hidden, output)] == [("hidden", Shape(2)), ("output", Shape(2))]
    assert [(layer.activation, layer.threshold) for layer in (hidden, output)] == [(3, 1), (6.5, 1)]
    assert [layer.connections[0].source for layer in (hidden, output)] == ["input", "hidden"]
    np.testing.assert_allclose(hidden.connections[0].synapses.weights, np.array([[2, -1], [0, 3]]) / 3)
    np.testing.assert_allclose(hidden.biases, [0.5 / 3, 0])
    np.testing.assert_allclose(output.connections[0].synapses.weights, np.array([[1, -1], [-4, 2]]) * 3 / 6.5)
    np.testing.assert_allclose(output.biases, [0, 1 / 6.5])


def test_output_in_a_unit_of_its_own():
    hidden, output = normalise(SMALL, TWO_IMAGES, 100, output_activation=2.0).layers
    assert (hidden.activation, output.activation) == (3, 2)
    np.testing.assert_allclose(output.connections[0].synapses.weights, np.array([[1, -1], [-4, 2]]) * 3 / 2)
    np.testing.assert_allclose(output.biases, [0, 0.5])


def test_identity_is_the_ratio_of_two_scales():
    """The shortcut of a residual block becomes m_in / m_out (Hu et al. 2018), on whatever scale both are."""
    network = residual_network(1)
    stem, block, *_ = normalise(network, images(1, 50, 16), 99).layers
    assert stem.activation != block.activation
    identity = block.connections[1].synapses
    assert identity.geometry == network.layers[1].connections[1].synapses.geometry
    np.testing.assert_allclose(identity.weights, np.full((1, 1, 1, 2), stem.activation / block.activation))


def test_percentile_is_of_positive_activations():
    """The hidden layer's are 2.5, 0.5 and 3: their median is 2.5, and the 0 does not count."""
    assert normalise(SMALL, TWO_IMAGES, 50).layers[0].activation == 2.5


@given(seed=st.integers(0, 999), percentile=st.floats(1, 100))
def test_rates_are_scaled_activations(seed, percentile):
    network, given_images = residual_network(seed), images(seed, 20, 16)
    original = network.activations(given_images)
    assume(all((values > 0).any() for values in original))
    converted = normalise(network, given_images, percentile)
    as_relu = FloatNetwork(
        "net",
        converted.input,
        tuple(
            FloatLayer(
                name=x.name, shape=x.shape, connections=x.connections, biases=x.biases, rectified=x.name != "out"
            )
            for x in converted.layers
        ),
    )
    for layer, rates, values in zip(converted.layers, as_relu.activations(given_images), original, strict=True):
        np.testing.assert_allclose(rates * layer.activation, values, atol=1e-9)
        positive = values[values > 0]
        assert (positive <= layer.activation + 1e-9).mean() >= (percentile - 1) / 100 - 1 / len(positive)


@pytest.mark.parametrize("percentile", [0, -1, 100.5, float("nan")])
def test_wrong_percentile(percentile):
    text = f"conversion of 'small': percentile must be above 0 and at most 100, not {percentile}"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        normalise(SMALL, images(1, 2, 2), percentile)


@pytest.mark.parametrize(("number", "pixels", "activation"), [(4, 3, 0.0), (0, 2, -2.0)])
def test_images_of_another_size_and_a_wrong_unit(number, pixels, activation):
    text = (
        "conversion of 'small': 2 problems"
        f"\n  - output_activation must be above 0, not {activation}"
        f"\n  - images must have shape (images, 2), a column for each pixel, not ({number}, {pixels})"
    )
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        normalise(SMALL, images(1, number, pixels), output_activation=activation)


def test_layer_that_is_never_active():
    dead = FloatNetwork("dead", Shape(1), (layer("hidden", [[-1.0]], [0.0], "input"),))
    text = "conversion of 'dead': layer 'hidden' must be active for some image, and is for none of 3: train it further"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        normalise(dead, images(1, 3, 1))
