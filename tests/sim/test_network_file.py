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
from hillock.sim.network import Connection, Decision, Dense, Layer, LeakOrder, Network, ResetMode

WEIGHTS = "layers/1/connections/0/weights"


def example(**changes: object) -> Network:
    """A network in which no scalar has the value that it would have by default."""
    encoder = Layer(name="encoder", neurons=3, threshold=255, reset_amount=255, preload=128, current_from_image=True)
    output = Layer(
        name="output",
        neurons=2,
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
        "inputs": 3,
        "layers": (encoder, output),
        "weight_bits": 9,
        "potential_bits": 20,
        "fraction_bits": 6,
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
            assert (connection.source, connection.synapses.kind) == (other.source, other.synapses.kind)
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


def test_every_field_is_in_the_file(path):
    """A field that is added to the network must be stored, and the version of the format raised."""
    head = json.loads(network_file.read_archive(path, "test")["network.json"])
    layer = head["layers"][1]
    assert head.keys() == {f.name for f in dataclasses.fields(Network)} | {"format", "version", "digest"}
    assert layer.keys() == {f.name for f in dataclasses.fields(Layer)}
    assert layer["connections"][0].keys() == {f.name for f in dataclasses.fields(Connection)} - {"synapses"} | {
        "kind",
        *(f.name for f in dataclasses.fields(Dense)),
    }


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


@given(data=st.data())
def test_any_network_survives(data, tmp_path_factory):
    inputs, hidden, outputs = (data.draw(st.integers(1, 5)) for _ in range(3))
    weight_bits, potential_bits = data.draw(st.integers(4, 16)), data.draw(st.integers(20, 32))

    def values(shape: tuple[int, ...], bits: int) -> np.ndarray:
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        size = int(np.prod(shape))
        return np.array(data.draw(st.lists(st.integers(low, high), min_size=size, max_size=size))).reshape(shape)

    first = Layer(
        name="a",
        neurons=hidden,
        threshold=data.draw(st.integers(1, 99)),
        connections=(Connection("input", Dense(values((inputs, hidden), weight_bits))),),
    )
    second = Layer(
        name="b",
        neurons=outputs,
        threshold=5,
        connections=(Connection("a", Dense(values((hidden, outputs), weight_bits))),),
        currents=values((outputs,), potential_bits),
        reset_mode=data.draw(st.sampled_from(ResetMode)),
    )
    network = Network(
        name=data.draw(st.text(st.characters(exclude_categories=["Cs"]))),
        inputs=inputs,
        layers=(first, second),
        weight_bits=weight_bits,
        potential_bits=potential_bits,
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
    change(path, lambda members: members["network.json"].update(version=2))
    refuses(path, "version must be 1, not 2: another hillock made it")


def test_all_problems_are_reported_together(path):
    def edit(members):
        head = members["network.json"]
        head["timestep"] = head.pop("timesteps")
        head["decision"] = "vote"
        head["layers"][0]["neurons"] = "3"
        head["layers"][0]["fires"] = 1
        head["layers"][1]["colour"] = "red"
        head["layers"][1]["connections"][0]["weights"] = "gone"
        members["more.npy"] = b""

    change(path, edit)
    refuses(
        path,
        "network.json: unknown key 'timestep' (did you mean 'timesteps'?)",
        "network.json: missing keys: timesteps",
        "network.json: decision must be one of count, potential, not 'vote'",
        "layer 0: neurons must be an integer, not '3'",
        "layer 0: fires must be true or false, not 1",
        "layer 1: unknown key 'colour'",
        "layer 1: connection 0: weights: array 'gone.npy' is missing",
        f"every array must be named in network.json; these are not: {WEIGHTS}.npy, more.npy",
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
        "layer 1: connection 1: kind must be one of dense, not 'sparse': it needs another version of hillock",
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
        "network 'example ✓': layer 'output': weights from 'encoder' must have shape (3, 2) (presynaptic, "
        "postsynaptic), not (2, 3)",
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
