"""The file of a float network: what is loaded is what was saved, and any other file is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from hillock.gen.float_file import load_float, save_float, stored
from hillock.gen.float_network import FloatLayer, FloatNetwork
from hillock.hw.problems import HillockError
from hillock.sim.network import Connection, Convolution, Dense, Shape, TransposedConvolution
from hillock.sim.network_file import pack_array, read_archive, write_archive

GENERATOR = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return GENERATOR.normal(size=shape).astype(np.float32).astype(np.float64)


NETWORK = FloatNetwork(
    "net",
    Shape(2, 4, 5),
    (
        FloatLayer(
            name="conv",
            shape=Shape(4, 2, 3),
            connections=(
                Connection("input", Convolution(normal(3, 3, 1, 4), stride=(2, 2), padding=(1, 1), groups=2)),
                Connection("input", Convolution(normal(3, 1, 2, 4), padding=(2, 1), stride=(3, 3))),
            ),
            biases=normal(4),
        ),
        FloatLayer(
            name="back",
            shape=Shape(1, 4, 6),
            connections=(
                Connection(
                    "conv",
                    TransposedConvolution(normal(3, 3, 4, 1), stride=(2, 2), padding=(1, 1), output_padding=(1, 1)),
                ),
            ),
            biases=normal(24),
        ),
        FloatLayer(
            name="out",
            shape=Shape(3),
            connections=(
                Connection("back", Dense(normal(6, 3)), pool=(2, 2)),
                Connection("input", Dense(normal(40, 3))),
            ),
            biases=normal(3),
            rectified=False,
        ),
    ),
)


def test_the_same_comes_back(tmp_path):
    save_float(NETWORK, tmp_path / "float.npz")
    loaded = load_float(tmp_path / "float.npz")
    assert (loaded.name, loaded.input) == ("net", NETWORK.input)
    for layer, original in zip(loaded.layers, NETWORK.layers, strict=True):
        assert (layer.name, layer.shape, layer.rectified) == (original.name, original.shape, original.rectified)
        np.testing.assert_array_equal(layer.biases, original.biases)
        for connection, other in zip(layer.connections, original.connections, strict=True):
            assert (connection.source, connection.pool) == (other.source, other.pool)
            assert type(connection.synapses) is type(other.synapses)
            assert connection.synapses.geometry == other.synapses.geometry
            np.testing.assert_array_equal(connection.synapses.weights, other.synapses.weights)
    save_float(loaded, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "float.npz").read_bytes()


def test_numpy_reads_it(tmp_path):
    """Values are rounded to 32 bits, and stored in 16 where these hold all of an array: not a third, nor 1e9."""
    values = np.array([1 / 3, 1e9, 0.0])
    layers = (
        FloatLayer(name="a", shape=Shape(3), connections=(Connection("input", Dense(np.eye(3)[:2])),), biases=values),
    )
    save_float(FloatNetwork("net", Shape(2), layers), tmp_path / "float.npz")
    with np.load(tmp_path / "float.npz") as arrays:
        assert sorted(arrays) == ["a.0.weights", "a.biases", "network.json"]
        assert (arrays["a.biases"].dtype, arrays["a.0.weights"].dtype) == (np.float32, np.float16)
        np.testing.assert_array_equal(arrays["a.biases"], values.astype(np.float32))
    assert load_float(tmp_path / "float.npz").layers[0].biases.dtype == np.float64


def test_values_as_they_are_stored(tmp_path):
    layer = FloatLayer(
        name="a", shape=Shape(1, 2, 2), connections=(Connection("input", Convolution(np.full((1, 1, 1, 1), 1 / 3))),),
        biases=np.array([0.1, 1e9 + 1, 0.5, 0]),
    )  # fmt: skip
    network = FloatNetwork("net", Shape(1, 2, 2), (layer,))
    save_float(network, tmp_path / "float.npz")
    for (one,) in (load_float(tmp_path / "float.npz").layers, stored(network).layers):
        assert one.biases.tolist() == [float(np.float32(0.1)), 1e9, 0.5, 0.0]
        assert one.connections[0].synapses.weights.item() == float(np.float32(1 / 3))


def refuses(path: Path, text: str) -> None:
    with pytest.raises(HillockError) as caught:
        load_float(path)
    assert str(caught.value) == f"float network file {path}: {text}"


def test_wrong_files(tmp_path):
    path = tmp_path / "float.npz"
    save_float(NETWORK, path)
    good = read_archive(path, "good")
    head = json.loads(good["network.json"])

    def refuses_change(text: str, head: object = head, **members: bytes | None) -> None:
        changed = good | {"network.json": json.dumps(head).encode()} | members
        write_archive(path, {name: content for name, content in changed.items() if content is not None})
        refuses(path, text)

    def damaged(reason: str) -> str:
        return f"it must be what `train` writes ({reason}): train the model again"

    biases = "out.biases.npy"
    refuses_change(damaged("KeyError: 'out.biases.npy'"), **{biases: None})
    refuses_change(damaged("ValueError: arrays that no layer has: more.npy"), **{"more.npy": good[biases]})
    refuses_change(
        damaged("ValueError: must be of type <f2 or <f4, not <f8"), **{biases: pack_array(np.zeros(3, np.float64))}
    )
    refuses_change(damaged("KeyError: 'network.json'"), **{"network.json": None})
    refuses_change(damaged("ValueError: format 'else', version 1"), head | {"format": "else"})
    refuses_change(damaged("ValueError: format 'hillock float network', version 2"), head | {"version": 2})
    refuses_change(damaged("TypeError: list indices must be integers or slices, not str"), [])
    refuses_change(
        "float network 'net': layer 'out': biases must have shape (3,), one for each channel or neuron, not (2,)",
        **{biases: pack_array(np.zeros(2, np.float32))},
    )
    path.write_bytes(b"")
    with pytest.raises(HillockError, match=r"^float network file .*: it must be a whole ZIP archive"):
        load_float(path)
