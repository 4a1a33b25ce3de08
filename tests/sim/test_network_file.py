"""The network file: what is saved is loaded, the same bytes everywhere, and whatever is wrong is said."""

import dataclasses
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hillock.hw.problems import HillockError
from hillock.sim import network_file
from hillock.sim.network import (
    INPUT,
    Connection,
    Convolution,
    Decision,
    Dense,
    Layer,
    LeakOrder,
    Network,
    ResetMode,
    Shape,
    TransposedConvolution,
)
from random_networks import random_graph, random_network

DATA = Path(__file__).parents[1] / "data"
WEIGHTS = "layers/1/connections/0/weights"


def example(**changes: object) -> Network:
    """A network in which no scalar has the value that it would have by default."""
    encoder = Layer(
        name="encoder", shape=Shape(3), threshold=255, reset_amount=255, preload=128, current_from_image=True
    )
    output = Layer(
        name="output",
        shape=Shape(2),
        threshold=1000,
        connections=(
            Connection("encoder", Dense(np.array([[1, -2], [3, -4], [5, 127]]))),
            Connection("encoder", Dense(np.array([[0, 0], [0, 0], [0, -128]]))),
        ),
        currents=np.array([-7, 300]),
        leak_shift=3,
        preload=-5,
        reset_mode=ResetMode.TO_VALUE,
        reset_amount=-9,
        leak_order=LeakOrder.LEAK_THEN_RESET,
        fires=False,
    )
    values: dict[str, object] = {
        "name": "example ✓",
        "input": Shape(3),
        "layers": (encoder, output),
        "weight_bits": 9,
        "potential_bits": 20,
        "fraction_bits": 6,
        "payload_bits": 3,
        "timesteps": 11,
        "delay": 2,
        "decision": Decision.POTENTIAL,
    }
    return Network(**(values | changes))  # type: ignore[arg-type]


def scalars(thing: Network | Layer) -> dict[str, object]:
    kept = ("layers", "connections", "currents")
    return {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing) if f.name not in kept}


def assert_equal(found: Network, expected: Network) -> None:
    assert found.digest() == expected.digest()
    assert scalars(found) == scalars(expected)
    for layer, wanted in zip(found.layers, expected.layers, strict=True):
        assert scalars(layer) == scalars(wanted)
        assert (layer.currents is None) == (wanted.currents is None)
        if layer.currents is not None:
            np.testing.assert_array_equal(layer.currents, wanted.currents)
        for connection, other in zip(layer.connections, wanted.connections, strict=True):
            for name in ("source", "pool", "static"):
                assert getattr(connection, name) == getattr(other, name)
            assert type(connection.synapses) is type(other.synapses)
            assert connection.synapses.geometry == other.synapses.geometry
            np.testing.assert_array_equal(connection.synapses.weights, other.synapses.weights)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that holds `example()`."""
    path = tmp_path / "example.hlk"
    network_file.save(example(), path)
    return path


def change(path: Path, edit) -> None:
    """Apply `edit` to the members of an archive; `network.json` is an object meanwhile."""
    members = network_file.read_archive(path, "test")
    members["network.json"] = json.loads(members["network.json"])
    edit(members)
    members["network.json"] = json.dumps(members["network.json"]).encode()
    network_file.write_archive(path, members)


def refuses(path: Path, *texts: str) -> None:
    """Loading must fail with just these problems."""
    body = texts[0] if len(texts) == 1 else f"{len(texts)} problems" + "".join(f"\n  - {text}" for text in texts)
    with pytest.raises(HillockError, match=f"^{re.escape(f'network file {path}: {body}')}$"):
        network_file.load(path)


def test_loads_what_was_saved(path):
    assert_equal(network_file.load(path), example())


def head_of(path: Path) -> dict:
    """`network.json` of a file."""
    head: dict = json.loads(network_file.read_archive(path, "test")["network.json"])
    return head


KINDS = (
    Convolution(np.ones((2, 3, 1, 4), int), stride=(1, 2), padding=(0, 1), groups=2),
    TransposedConvolution(np.ones((2, 3, 1, 4), int), stride=(1, 2), padding=(0, 1), groups=2, output_padding=(0, 1)),
    Dense(np.ones((30, 4), int)),
)


@pytest.mark.parametrize("synapses", KINDS, ids=lambda synapses: synapses.kind)
def test_every_field_of_a_connection_is_in_the_file(synapses, tmp_path):
    size = {"convolution": (2, 3), "transposed_convolution": (4, 10), "dense": (1, 1)}[synapses.kind]
    shape = Shape(4, *size)
    layer = Layer(name="out", shape=shape, threshold=9, connections=(Connection(INPUT, synapses, (2, 1), True),))
    network = Network(name="n", input=Shape(2, 6, 5), layers=(layer,), decision=Decision.NONE)
    network_file.save(network, tmp_path / "n.hlk")
    entry = head_of(tmp_path / "n.hlk")["layers"][0]["connections"][0]
    fields = {f.name for kind in (Connection, type(synapses)) for f in dataclasses.fields(kind)} - {"synapses"}
    assert entry.keys() == {"kind", *fields}
    assert (entry["source"], entry["pool"], entry["static"]) == ("input", [2, 1], True)
    for name, value in synapses.geometry.items():
        assert entry[name] == (list(value) if isinstance(value, tuple) else value)
    assert_equal(network_file.load(tmp_path / "n.hlk"), network)


def test_every_field_is_in_the_file(path):
    """A field that is added to the network must be stored, and the version of the format raised."""
    head = head_of(path)
    layer = head["layers"][1]
    assert head.keys() == {f.name for f in dataclasses.fields(Network)} | {"format", "version", "digest"}
    assert layer.keys() == {f.name for f in dataclasses.fields(Layer)}
    assert head["input"].keys() == {f.name for f in dataclasses.fields(Shape)}


def test_bytes_depend_on_the_network_alone(path, tmp_path):
    network_file.save(network_file.load(path), tmp_path / "again.hlk")
    assert (tmp_path / "again.hlk").read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert [(i.filename, i.date_time, i.compress_type) for i in archive.infolist()] == [
            (name, (1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED)
            for name in (
                "network.json",
                "layers/1/connections/0/weights.npy",
                "layers/1/connections/1/weights.npy",
                "layers/1/currents.npy",
            )
        ]


def test_arrays_are_stored_in_the_narrowest_type(path):
    with zipfile.ZipFile(path) as archive:
        types = {name: np.load(archive.open(name)).dtype.str for name in archive.namelist() if name.endswith(".npy")}
    assert set(types.values()) == {"|i1", "<i2"}
    assert types["layers/1/currents.npy"] == "<i2"


@given(draw=st.integers(0, 2**32 - 1), chain=st.booleans(), name=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_network_survives(draw, chain, name, tmp_path_factory):
    rng = np.random.default_rng(draw)
    network = random_network(rng, max_neurons=9) if chain else random_graph(rng, max_size=4, reuse_input=True)
    network = dataclasses.replace(network, name=name)
    path = tmp_path_factory.mktemp("any") / "any.hlk"
    network_file.save(network, path)
    found = network_file.load(path)
    assert_equal(found, network)
    content = path.read_bytes()
    network_file.save(found, path)
    assert path.read_bytes() == content


@given(weight_bits=st.integers(2, 16), potential_bits=st.integers(20, 32), draw=st.integers(0, 2**32 - 1))
def test_values_of_any_width_survive(weight_bits, potential_bits, draw, tmp_path_factory):
    rng = np.random.default_rng(draw)
    edge, far = 1 << (weight_bits - 1), 1 << (potential_bits - 1)
    network = example(
        weight_bits=weight_bits,
        potential_bits=potential_bits,
        fraction_bits=0,
        decision=Decision.COUNT,
        layers=(
            Layer(
                name="a",
                shape=Shape(2),
                threshold=far - 1,
                preload=-far,
                connections=(Connection(INPUT, Dense(rng.choice([-edge, edge - 1, 0], (3, 2)))),),
                currents=rng.choice([-far, far - 1, 1], 2),
            ),
        ),
    )
    path = tmp_path_factory.mktemp("any") / "any.hlk"
    network_file.save(network, path)
    assert_equal(network_file.load(path), network)


@given(data=st.data())
def test_damage_is_an_error_or_without_effect(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("damage") / "example.hlk"
    network_file.save(example(), path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    try:
        found = network_file.load(path)
    except HillockError as error:
        subject, _, text = str(error).partition(": ")
        assert (subject, bool(text)) == (f"network file {path}", True)
    else:
        assert_equal(found, example())


def test_truncation_is_an_error(path):
    content = path.read_bytes()
    for length in [*range(0, len(content), 9), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(HillockError, match=r"it must be a whole ZIP archive \(.*\): it is damaged, cut short or"):
            network_file.load(path)


def test_missing_file(tmp_path):
    refuses(tmp_path / "none.hlk", "it cannot be read (No such file or directory)")


def test_not_an_archive(path):
    path.write_text("{}")
    refuses(
        path,
        "it must be a whole ZIP archive (File is not a zip file): it is damaged, cut short or another kind of file; "
        "fetch it or make it again",
    )


def test_another_archive(path):
    network_file.write_archive(path, {"readme": b""})
    refuses(path, "it must have a member network.json: it is not a network file")


def test_head_is_not_json(path):
    network_file.write_archive(path, {"network.json": b"{"})
    with pytest.raises(HillockError, match=r": network\.json must be JSON text \(Expecting property name .*\)$"):
        network_file.load(path)


def test_head_is_not_an_object(path):
    network_file.write_archive(path, {"network.json": b"[1]"})
    refuses(path, "network.json must be an object, not [1]")


def test_another_format(path):
    change(path, lambda members: members["network.json"].update(format="other"))
    refuses(path, "format must be 'hillock network', not 'other'")


def test_another_version(path):
    change(path, lambda members: members["network.json"].update(version=3))
    refuses(path, "version must be from 1 to 2, not 3: another hillock made it")


def test_all_problems_are_reported_together(path):
    def edit(members):
        head = members["network.json"]
        head["timestep"] = head.pop("timesteps")
        head["decision"] = "vote"
        head["input"] = 3
        head["layers"][0]["shape"]["height"] = "3"
        del head["layers"][0]["shape"]["width"]
        head["layers"][0]["fires"] = 1
        head["layers"][1]["colour"] = "red"
        head["layers"][1]["connections"][0]["weights"] = "gone"
        head["layers"][1]["connections"][1]["pool"] = [1, 1.0]
        head["layers"][1]["connections"][1]["stride"] = [1, 1]
        members["more.npy"] = b""

    change(path, edit)
    refuses(
        path,
        "network.json: unknown key 'timestep' (did you mean 'timesteps'?)",
        "network.json: missing keys: timesteps",
        "network.json: input must be an object, not 3",
        "network.json: decision must be one of count, potential, none, not 'vote'",
        "layer 0: shape: missing keys: width",
        "layer 0: shape: height must be an integer, not '3'",
        "layer 0: fires must be true or false, not 1",
        "layer 1: unknown key 'colour'",
        "layer 1: connection 0: weights: array 'gone.npy' is missing",
        "layer 1: connection 1: unknown key 'stride'",
        "layer 1: connection 1: pool must be a list of two integers, not [1, 1.0]",
        f"every array must be named in network.json; these are not: {WEIGHTS}.npy, layers/1/connections/1/weights.npy, "
        f"more.npy",
    )


@pytest.mark.parametrize("value", [None, 3, "x", []])
def test_layer_is_not_an_object(path, value):
    change(path, lambda members: members["network.json"].update(layers=[value]))
    with pytest.raises(HillockError, match=re.escape(f"\n  - layer 0 must be an object, not {value!r}\n")):
        network_file.load(path)


def test_another_kind_of_synapses(path):
    change(path, lambda members: members["network.json"]["layers"][1]["connections"][1].update(kind="sparse"))
    refuses(
        path,
        "layer 1: connection 1: kind must be one of dense, convolution, transposed_convolution, not 'sparse': it "
        "needs another version of hillock",
        "every array must be named in network.json; these are not: layers/1/connections/1/weights.npy",
    )


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((3, 2)), "must be of type |i1 or <i2 or <i4, not <f8"),
        (np.zeros(6, np.int8), "must have 2 dimension(s), not the shape (6,)"),
        (np.zeros((3, 2), np.int64), "must be of type |i1 or <i2 or <i4, not <i8"),
    ],
)
def test_wrong_array(path, array, text):
    change(path, lambda members: members.update({f"{WEIGHTS}.npy": network_file.pack_array(array)}))
    refuses(path, f"layer 1: connection 0: weights: array '{WEIGHTS}.npy' {text}")


def test_array_of_wrong_shape(path):
    wrong = network_file.pack_array(np.zeros((2, 3), np.int8))
    change(path, lambda members: members.update({f"{WEIGHTS}.npy": wrong}))
    refuses(
        path,
        "network 'example ✓': layer 'output': the dense from 'encoder' must have weights of shape (3, 2) "
        "(presynaptic, postsynaptic), not (2, 3)",
    )


def test_array_that_is_cut_short(path):
    def edit(members):
        members[f"{WEIGHTS}.npy"] = members[f"{WEIGHTS}.npy"][:-1]

    change(path, edit)
    refuses(
        path,
        f"layer 1: connection 0: weights: array '{WEIGHTS}.npy' must be in C order and hold 6 values for its shape "
        "(3, 2)",
    )


def test_value_that_the_network_refuses(path):
    change(path, lambda members: members["network.json"].update(delay=11))
    refuses(path, "network 'example ✓': delay must be from 0 to timesteps - 1 = 10, not 11: nothing would be counted")


def test_digest_of_another_network(path):
    change(path, lambda members: members["network.json"].update(timesteps=12))
    found, recorded = example(timesteps=12).digest(), example().digest()
    refuses(
        path,
        f"digest must be that of the network in the file, {found}, not {recorded}: the file was changed; fetch it or "
        "make it again",
    )


# Version 1


def as_first_version(members: dict) -> None:
    """Turn the members of a file into what version 1 would have held."""
    head = members["network.json"]
    head["version"], head["digest"] = 1, "0" * 64  # it was computed from other fields
    head["inputs"] = head.pop("input")["channels"]
    del head["payload_bits"]
    for layer in head["layers"]:
        layer["neurons"] = layer.pop("shape")["channels"]
        del layer["graded"]
        for connection in layer["connections"]:
            del connection["pool"], connection["static"]


def test_version_1_is_read(path):
    change(path, as_first_version)
    assert_equal(network_file.load(path), example(payload_bits=1))


def test_version_1_is_saved_as_the_present_one(path, tmp_path):
    network_file.save(example(payload_bits=1), path)
    content = path.read_bytes()
    change(path, as_first_version)
    network_file.save(network_file.load(path), path)
    assert path.read_bytes() == content


def test_what_is_wrong_in_version_1_is_told(path):
    def edit(members):
        as_first_version(members)
        head = members["network.json"]
        head["inputs"] = "3"
        del head["layers"][0]["neurons"]
        head["layers"][1]["connections"][0]["kind"] = "convolution"

    change(path, edit)
    refuses(
        path,
        "network.json: input: channels must be an integer, not '3'",
        "layer 0: missing keys: shape",
        "layer 1: connection 0: missing keys: groups, padding, stride",
        "every array must be named in network.json; these are not: layers/1/connections/0/weights.npy",
    )


@pytest.mark.parametrize("value", [None, 3, "x", []])
def test_layers_of_version_1_that_are_none(path, value):
    def edit(members):
        as_first_version(members)
        members["network.json"]["layers"] = [value]

    change(path, edit)
    with pytest.raises(HillockError, match=re.escape(f"\n  - layer 0 must be an object, not {value!r}\n")):
        network_file.load(path)


def test_a_file_that_version_1_made_is_read():
    network = network_file.load(DATA / "version1.hlk")
    encoder, output = network.layers
    assert scalars(network) == {
        "name": "first",
        "input": Shape(3),
        "weight_bits": 9,
        "potential_bits": 20,
        "fraction_bits": 6,
        "payload_bits": 1,
        "timesteps": 11,
        "delay": 2,
        "decision": Decision.COUNT,
    }
    assert (encoder.shape, encoder.current_from_image, encoder.threshold) == (Shape(3), True, 255)
    assert (output.shape, output.leak_shift, output.reset_mode) == (Shape(2), 3, ResetMode.TO_VALUE)
    assert output.connections[0].synapses.weights.tolist() == [[1, -2], [3, -4], [5, 127]]
    assert np.asarray(output.currents).tolist() == [-7, 300]


def test_wrong_suffix(tmp_path):
    path = tmp_path / "network.zip"
    with pytest.raises(HillockError, match=r"^network file .*: the suffix must be \.hlk, not '\.zip'$"):
        network_file.save(example(), path)


def test_failed_save_leaves_the_old_file(path, monkeypatch):
    content = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(HillockError, match=r"example\.hlk cannot be written \(No space left on device\)$"):
        network_file.save(example(timesteps=12), path)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_folder_is_made(tmp_path):
    network_file.save(example(), tmp_path / "a" / "b" / "network.hlk")
    assert_equal(network_file.load(tmp_path / "a" / "b" / "network.hlk"), example())


def test_folder_that_cannot_be_made(path):
    with pytest.raises(HillockError, match=r"network\.hlk cannot be written \((File exists|Not a directory)\)$"):
        network_file.save(example(), path / "network.hlk")
