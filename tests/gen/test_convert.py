"""Float networks and their normalisation: rates are the ReLU network's activations on another scale."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hillock.gen.convert import normalise
from hillock.gen.float_network import FloatLayer, FloatNetwork
from hillock.hw.problems import HillockError
from hillock.sim import network_file


def relu_network(seed: int, *sizes: int) -> FloatNetwork:
    generator = np.random.default_rng(seed)
    layers = [
        FloatLayer(f"layer {index}", generator.normal(size=(pre, post)), generator.uniform(0, 3, post))
        for index, (pre, post) in enumerate(itertools.pairwise(sizes))
    ]
    return FloatNetwork("net", tuple(layers))


def layer(name: str, weights: list[list[float]], biases: list[float]) -> FloatLayer:
    return FloatLayer(name, np.array(weights), np.array(biases))


def images(seed: int, number: int, pixels: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (number, pixels), np.uint8)


SMALL = FloatNetwork(
    "small",
    (layer("hidden", [[2.0, -1.0], [0.0, 3.0]], [0.5, 0.0]), layer("output", [[1.0, -1.0], [-4.0, 2.0]], [0.0, 1.0])),
)


def test_activations_by_hand():
    hidden, output = SMALL.activations(np.array([[255, 0], [0, 255], [51, 51]], np.uint8))
    np.testing.assert_allclose(hidden, [[2.5, 0], [0.5, 3], [0.9, 0.4]])
    np.testing.assert_allclose(output, [[2.5, -1.5], [-11.5, 6.5], [-0.7, 0.9]])
    assert SMALL.decisions(np.array([[255, 0], [0, 255]], np.uint8)).tolist() == [0, 1]


def test_normalisation_by_hand():
    """The largest activations are 2.5 and 3 of the hidden layer, 2.5 and 6.5 of the output: m is 3, then 6.5."""
    hidden, output = normalise(SMALL, np.array([[255, 0], [0, 255]], np.uint8), 100).layers
    assert [(layer.activation, layer.threshold) for layer in (hidden, output)] == [(3, 1), (6.5, 1)]
    np.testing.assert_allclose(hidden.weights, np.array([[2, -1], [0, 3]]) / 3)
    np.testing.assert_allclose(hidden.biases, [0.5 / 3, 0])
    np.testing.assert_allclose(output.weights, np.array([[1, -1], [-4, 2]]) * 3 / 6.5)
    np.testing.assert_allclose(output.biases, [0, 1 / 6.5])


def test_percentile_is_of_positive_activations():
    """The hidden layer's are 2.5, 0.5 and 3: their median is 2.5, and the 0 does not count."""
    assert normalise(SMALL, np.array([[255, 0], [0, 255]], np.uint8), 50).layers[0].activation == 2.5


@given(seed=st.integers(0, 999), percentile=st.floats(1, 100))
def test_rates_are_scaled_activations(seed, percentile):
    network, given_images = relu_network(seed, 5, 7, 6, 3), images(seed, 20, 5)
    assume(all((values > 0).any() for values in network.activations(given_images)))
    converted = normalise(network, given_images, percentile)
    as_relu = FloatNetwork("net", tuple(FloatLayer(x.name, x.weights, x.biases) for x in converted.layers))
    for layer, rates, values in zip(
        converted.layers, as_relu.activations(given_images), network.activations(given_images), strict=True
    ):
        np.testing.assert_allclose(rates * layer.activation, values, atol=1e-9)
        positive = values[values > 0]
        assert (positive <= layer.activation + 1e-9).mean() >= (percentile - 1) / 100 - 1 / len(positive)


@pytest.mark.parametrize("percentile", [0, -1, 100.5, float("nan")])
def test_wrong_percentile(percentile):
    text = f"conversion of 'small': percentile must be above 0 and at most 100, not {percentile}"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        normalise(SMALL, images(1, 2, 2), percentile)


def test_images_of_another_size():
    text = "conversion of 'small': images must have shape (images, 2), a column for each pixel, not (4, 3)"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        normalise(SMALL, images(1, 4, 3))


def test_layer_that_is_never_active():
    dead = FloatNetwork("dead", (layer("hidden", [[-1.0]], [0.0]),))
    text = "conversion of 'dead': layer 'hidden' must be active for some image, and is for none of 3: train it further"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        normalise(dead, images(1, 3, 1))


def test_all_that_is_wrong_with_a_float_network():
    layers = (layer("a", [[1.0, np.nan]], [0.0, 0.0]), layer("a", [[1.0]], [0.0]))
    with pytest.raises(HillockError) as caught:
        FloatNetwork("wrong", layers)
    assert str(caught.value) == (
        "float network 'wrong': 3 problems"
        "\n  - layer names must differ, not ['a', 'a']"
        "\n  - layer 'a': every weight and bias must be finite: the training diverged"
        "\n  - layer 'a': weights must have shape (2, 1): the neurons before it, and one bias for each of its own; not "
        "(1, 1) with biases (1,)"
    )


def test_float_file(tmp_path):
    network = relu_network(3, 4, 5, 2)
    network.save(tmp_path / "float.npz")
    loaded = FloatNetwork.load(tmp_path / "float.npz", "net")
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in network.layers]
    for layer, original in zip(loaded.layers, network.layers, strict=True):
        np.testing.assert_array_equal(layer.weights, original.weights.astype(np.float32))
        np.testing.assert_array_equal(layer.biases, original.biases.astype(np.float32))
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "float.npz").read_bytes()
    with np.load(tmp_path / "float.npz") as arrays:  # NumPy itself reads it
        assert sorted(arrays) == ["layer 0.biases", "layer 0.weights", "layer 1.biases", "layer 1.weights"]


def refuses(path: Path, text: str) -> None:
    with pytest.raises(HillockError) as caught:
        FloatNetwork.load(path, "net")
    assert str(caught.value) == f"float network file {path}: {text}"


def test_wrong_float_file(tmp_path):
    path = tmp_path / "float.npz"
    network_file.write_archive(path, {"a.biases.npy": network_file.pack_array(np.zeros(3))})
    refuses(path, "array 'a.biases.npy' must be of type <f4, not <f8")
    network_file.write_archive(path, {"a.biases.npy": network_file.pack_array(np.zeros(3, np.float32))})
    refuses(path, "layer 'a' must have the arrays weights and biases, not biases")
    network_file.write_archive(path, {})
    refuses(path, "float network 'net': layers must not be empty")
    network_file.write_archive(path, {"a.weights.npy": b"", "a.biases.npy": b"x" * 99})
    with pytest.raises(HillockError, match=r"^float network file .*: 2 problems\n  - array 'a\.weights\.npy' "):
        FloatNetwork.load(path, "net")
    path.write_bytes(b"")
    with pytest.raises(HillockError, match=r"^float network file .*: it must be a whole ZIP archive"):
        FloatNetwork.load(path, "net")
