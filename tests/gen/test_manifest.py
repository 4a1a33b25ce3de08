"""Memory images on disk: what was written is read again, and whatever is not just so is refused."""

import copy
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.gen import manifest
from hillock.gen.image import encode
from hillock.gen.manifest import read_images, write_images
from hillock.gen.mapping import Placement, fit, place
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.hw.registers import table_digest
from hillock.sim.network import INPUT, Connection, Convolution, Decision, Dense, Layer, Network, Shape
from random_networks import random_graph

MEMORIES = ("layers", "connections", "synapses", "currents", "registers")
FILES = sorted(f"{memory}.{kind}" for memory in MEMORIES for kind in ("bin", "hex"))
AGAIN = "generate the images again"


def small(weight: int = 3, name: str = "n") -> Network:
    """Two neurons on two lanes: the example of `gen/image.py`."""
    connection = Connection(INPUT, Dense(np.array([[weight, -1], [2, 5]])))
    out = Layer(name="out", shape=Shape(2), threshold=9, connections=(connection,), currents=np.array([1, -1]))
    return Network(name=name, input=Shape(2), layers=(out,), timesteps=4)


def grid() -> Network:
    """Places, groups and pooling: a network for which a core has all memories."""
    shape = Shape(2, 2, 4)
    same = Convolution(np.array([[[[3, -1]]]]), groups=2)
    first = Layer(name="first", shape=shape, threshold=9, connections=(Connection(INPUT, same),))
    dense = Connection("first", Dense(np.arange(8).reshape(4, 2)), (2, 2))
    last = Layer(name="last", shape=Shape(2), threshold=9, connections=(dense,))
    return Network(name="n", input=shape, layers=(first, last), decision=Decision.NONE)


def placed(network: Network, lanes: int = 2) -> Placement:
    return place(network, fit(network, lanes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_images(placed(small()), tmp_path / "images")
    return tmp_path / "images"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def edit(folder: Path, change: Callable[[dict[str, Any]], object], *, sign: bool = True) -> None:
    """Change the manifest; with `sign` so that it has the right sha256 again."""
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    change(values)
    if sign:
        del values["sha256"]
        text = json.dumps(values, indent=2, sort_keys=True) + "\n"
        values["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")


def refuses(folder: Path, text: str) -> None:
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        read_images(folder)


# Written and read


@settings(max_examples=30, deadline=None)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 24))
def test_what_is_written_is_read_again(tmp_path_factory, draw, lanes):
    network = random_graph(np.random.default_rng(draw))
    placement = placed(network, lanes)
    folder = tmp_path_factory.mktemp("images")
    assert write_images(placement, folder) == folder / "manifest.json"
    images, again = read_images(folder)
    assert again.network.digest() == network.digest()
    assert (again.config, again.layers, again.connections) == (
        placement.config,
        placement.layers,
        placement.connections,
    )
    for one, other in zip(images, encode(placement), strict=True):
        assert (one.name, one.bits) == (other.name, other.bits)
        assert one.data.dtype == np.uint8
        assert np.array_equal(one.data, other.data)


def test_the_files_of_a_small_network_byte_by_byte(folder):
    assert sorted(contents(folder)) == sorted([*FILES, "manifest.json"])
    files = contents(folder)
    # Two lanes of 8 bits: weights (3, -1) and (2, 5); currents of 2 bits: (1, -1) = 11 01; layers, input mode, channels
    # and grid, T, D, decision mode, outputs, words of an image of which there are two.
    assert files["synapses.bin"] == bytes.fromhex("03ff0000 02050000")
    assert files["synapses.hex"] == b"ff03\n0502\n"
    assert files["currents.bin"] == bytes.fromhex("0d000000")
    assert files["currents.hex"] == b"d\n"
    registers = [1, 0, 2, 1 << 16 | 1, 4, 0, 0, 2, 0]
    assert files["registers.bin"] == np.array(registers, "<u4").tobytes()
    assert files["registers.hex"] == b"".join(b"%08x\n" % value for value in registers)
    # From the last slice of a record to the first: a connection of one word, from outside. Its synapse words are 2
    # apart, modulo the 2 that there are.
    assert files["connections.hex"] == b"00000000" * 2 + b"00000000" + b"00000000" * 5 + b"01000001" + b"00000000\n"
    assert files["connections.bin"] == bytes.fromhex(files["connections.hex"].decode())[::-1]
    assert files["layers.hex"] == b"00000000" + b"00104800" + b"00000000" * 2 + b"00000009" + (
        b"02020102" + b"00010001" + b"02000001" + b"01000000" + b"00000000\n"
    )
    assert files["layers.bin"] == bytes.fromhex(files["layers.hex"].decode())[::-1]


def test_the_manifest_says_what_the_images_are(folder):
    values = json.loads((folder / "manifest.json").read_text())
    network, config = small(), fit(small(), 2)
    assert values["format"] == "hillock images"
    assert values["version"] == 2
    assert values["network"] == {
        "name": "n",
        "weight_bits": 8,
        "payload_bits": 1,
        "input": [2, 1, 1],
        "layers": [
            {
                "name": "out",
                "shape": [2, 1, 1],
                "layout": [2, 1],
                "image": False,
                "currents": 2,
                "connections": [
                    {
                        "source": "input",
                        "kind": "dense",
                        "weights": [2, 2],
                        "geometry": {},
                        "pool": [1, 1],
                        "static": False,
                    }
                ],
            }
        ],
    }
    assert values["digest"] == network.digest()
    assert values["config"] == config.as_dict()
    assert values["register_table"] == table_digest()
    assert {name: (entry["bits"], entry["words"]) for name, entry in values["memories"].items()} == {
        "layers": (320, 1),
        "connections": (320, 1),
        "synapses": (16, 2),
        "currents": (4, 1),
        "registers": (32, 9),
    }
    files = contents(folder)
    for name, entry in values["memories"].items():
        for kind in ("bin", "hex"):
            assert entry[kind] == {
                "file": f"{name}.{kind}",
                "bytes": len(files[f"{name}.{kind}"]),
                "sha256": hashlib.sha256(files[f"{name}.{kind}"]).hexdigest(),
            }
    assert values.keys() == {"format", "version", "network", "digest", "config", "register_table", "memories", "sha256"}


def test_a_core_for_grids_has_more_memories(tmp_path):
    write_images(placed(grid(), 4), tmp_path)
    values = json.loads((tmp_path / "manifest.json").read_text())
    assert {name: (entry["bits"], entry["words"]) for name, entry in values["memories"].items()} == {
        "layers": (320, 2),
        "connections": (320, 2),
        "synapses": (32, 2 * 2 + 4),  # two columns in a word: a kernel of two places
        "currents": (8, 1),
        "rows": (64, 4),
        "columns": (64, 8),
        "channels": (64, 2),
        "lanes": (32, 8),
        "registers": (32, 9),
    }
    first, last = values["network"]["layers"]
    assert (first["layout"], first["connections"][0]["weights"]) == ([2, 2], [1, 1, 1, 2])
    assert first["connections"][0]["geometry"] == {"stride": [1, 1], "padding": [0, 0], "groups": 2}
    assert last["connections"][0]["pool"] == [2, 2]
    assert read_images(tmp_path)[1].network.digest() == grid().digest()


def test_the_same_network_gives_the_same_bytes_anywhere(tmp_path, folder, monkeypatch):
    deep = tmp_path / "some" / "where else"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    write_images(placed(small()), deep)
    write_images(placed(small()), Path("relative"))
    assert contents(deep) == contents(folder) == contents(tmp_path / "relative")
    text = (deep / "manifest.json").read_text()
    assert str(tmp_path) not in text
    assert text.endswith("}\n")
    assert json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n" == text


def test_equal_files_are_left_alone_and_others_replaced(folder):
    for name in FILES:
        os.utime(folder / name, ns=(1000, 1000))
    write_images(placed(small()), folder)
    assert {(folder / name).stat().st_mtime_ns for name in FILES} == {1000}
    write_images(placed(small(weight=4)), folder)
    changed = {name for name in FILES if (folder / name).stat().st_mtime_ns != 1000}
    assert changed == {"synapses.bin", "synapses.hex"}
    assert read_images(folder)[1].network.digest() == small(weight=4).digest()


# Damage


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_short(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1])
    refuses(
        folder, f"memory images in {folder}: {name} must have {len(content)} bytes, not {len(content) - 1}: {AGAIN}"
    )
    (folder / name).write_bytes(b"")
    refuses(folder, f"memory images in {folder}: {name} must have {len(content)} bytes, not 0: {AGAIN}")


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_a_bit_turned_over(folder, name):
    content = bytearray((folder / name).read_bytes())
    before = hashlib.sha256(content).hexdigest()
    for index in range(len(content)):
        content[index] ^= 1
        (folder / name).write_bytes(content)
        after = hashlib.sha256(content).hexdigest()
        refuses(
            folder,
            f"memory images in {folder}: {name} must have sha256 {before[:12]}, not {after[:12]}: it was changed; "
            f"{AGAIN}",
        )
        content[index] ^= 1


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing(folder, name):
    (folder / name).unlink()
    refuses(folder, f"memory images in {folder}: {name} cannot be read (No such file or directory): {AGAIN}")


def test_a_folder_in_the_place_of_a_file(folder):
    (folder / "layers.bin").unlink()
    (folder / "layers.bin").mkdir()
    refuses(folder, f"memory images in {folder}: layers.bin cannot be read (Is a directory): {AGAIN}")


def test_no_manifest(folder, tmp_path):
    (folder / "manifest.json").unlink()
    for place_ in (folder, tmp_path / "nowhere"):
        refuses(place_, f"{place_ / 'manifest.json'} cannot be read (No such file or directory): {AGAIN}")
    refuses(
        folder / "layers.bin", f"{folder / 'layers.bin' / 'manifest.json'} cannot be read (Not a directory): {AGAIN}"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
        ('{"format": ', "JSONDecodeError: Expecting value: line 1 column 12 (char 11)"),
        ("{}", "KeyError: 'format'"),
        ("[]", "TypeError: list indices must be integers or slices, not str"),
        ('{"format": "hillock images", "version": 2}', "KeyError: 'sha256'"),
        ("\udcff", "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ],
)
def test_a_manifest_that_is_none(folder, text, reason):
    path = folder / "manifest.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    refuses(folder, f"{path}: not a manifest of memory images ({reason}): {AGAIN}")


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [("version", 3, "'hillock images' version 3"), ("format", "hillock network", "'hillock network' version 2")],
)
def test_a_manifest_of_another_version(folder, name, value, seen):
    edit(folder, lambda values: values.update({name: value}), sign=False)
    refuses(
        folder,
        f"{folder / 'manifest.json'}: must be 'hillock images' version 2, not {seen}: {AGAIN} with this version of "
        f"hillock",
    )


def leaves(values: Any, path: tuple = ()) -> list[tuple]:
    """The path of every value in a manifest."""
    if not isinstance(values, dict):
        return [path]
    return [leaf for key in values for leaf in leaves(values[key], (*path, key))]


def test_every_value_of_the_manifest_matters(folder):
    path = folder / "manifest.json"
    whole = json.loads(path.read_text())
    found = leaves(whole)
    assert len(found) > 40
    for leaf in found:
        others: tuple[object, ...] = (None, 0, "x", [])
        for other in others:
            values = copy.deepcopy(whole)
            inside = values
            for key in leaf[:-1]:
                inside = inside[key]
            if inside[leaf[-1]] == other:
                continue
            inside[leaf[-1]] = other
            path.write_text(json.dumps(values))
            text = f"{path} was changed: it does not have the sha256 that it says: {AGAIN}"
            if leaf[0] in ("format", "version"):
                about = f"{values['format']!r} version {values['version']}"
                text = f"{path}: must be 'hillock images' version 2, not {about}: {AGAIN} with this version of hillock"
            refuses(folder, text)
    path.write_text(json.dumps(whole))  # in another layout: the values count
    assert read_images(folder)[1].network.digest() == small().digest()


# Images that do not belong together


def test_images_for_another_register_table(folder):
    edit(folder, lambda values: values.update(register_table=0xABC))
    refuses(
        folder,
        f"memory images in {folder}: they were made for register table 0x00000abc, this is {table_digest():#010x}: "
        f"{AGAIN}",
    )


def test_the_files_of_another_network(folder, tmp_path):
    """Of the same sizes, so that only the sha256 tells."""
    write_images(placed(small(weight=4)), tmp_path / "other")
    for name in ("synapses.bin", "synapses.hex"):
        shutil.copy(tmp_path / "other" / name, folder / name)
    lines = []
    for name, right, wrong in (
        ("synapses.bin", bytes.fromhex("03ff0000 02050000"), bytes.fromhex("04ff0000 02050000")),
        ("synapses.hex", b"ff03\n0502\n", b"ff04\n0502\n"),
    ):
        digests = [hashlib.sha256(content).hexdigest()[:12] for content in (right, wrong)]
        lines.append(f"  - {name} must have sha256 {digests[0]}, not {digests[1]}: it was changed; {AGAIN}")
    refuses(folder, f"memory images in {folder}: 2 problems\n" + "\n".join(lines))


def test_the_files_and_their_entries_of_another_network(folder, tmp_path):
    """What is left then is the digest of the network."""
    write_images(placed(small(weight=4)), tmp_path / "other")
    other = json.loads((tmp_path / "other" / "manifest.json").read_text())
    for name in FILES:
        shutil.copy(tmp_path / "other" / name, folder / name)
    edit(folder, lambda values: values.update(memories=other["memories"]))
    refuses(
        folder,
        f"memory images in {folder}: they hold network {small(weight=4).digest()[:12]}, the manifest says "
        f"{small().digest()[:12]}: {AGAIN}",
    )


def test_a_name_or_a_width_that_is_not_in_the_bytes_is_held_by_the_digest(folder):
    edit(folder, lambda values: values["network"].update(name="another"))
    refuses(
        folder,
        f"memory images in {folder}: they hold network {small(name='another').digest()[:12]}, the manifest says "
        f"{small().digest()[:12]}: {AGAIN}",
    )


def test_a_skeleton_that_is_none(folder):
    path = folder / "manifest.json"
    edit(folder, lambda values: values["network"]["layers"][0]["connections"][0].update(kind="sparse"))
    refuses(folder, f"{path}: not a manifest of memory images (KeyError: 'sparse'): {AGAIN}")
    edit(folder, lambda values: values["network"]["layers"][0].pop("shape"))
    refuses(folder, f"{path}: not a manifest of memory images (KeyError: 'shape'): {AGAIN}")
    edit(folder, lambda values: values.update(network=[]))
    reason = "TypeError: list indices must be integers or slices, not str"
    refuses(folder, f"{path}: not a manifest of memory images ({reason}): {AGAIN}")


def test_a_skeleton_of_another_network(folder):
    edit(folder, lambda values: values["network"].update(input=[3, 1, 1]))
    refuses(
        folder,
        "network 'n': layer 'out': the dense from 'input' must have weights of shape (3, 2) (presynaptic, "
        "postsynaptic), not (2, 2)",
    )


def test_images_of_another_core(folder):
    edit(folder, lambda values: values["config"].update(lanes=4))
    refuses(
        folder,
        "images of network 'n': 2 problems\n"
        "  - a word of synapses must have 32 bits, not 16\n"
        "  - a word of currents must have 8 bits, not 4",
    )
    edit(folder, lambda values: values["config"].update(lanes=0))
    refuses(folder, "core configuration: lanes (weights added per clock cycle) must be an integer from 1 to 128, not 0")


def test_all_that_is_wrong_is_reported_together(folder):
    edit(folder, lambda values: values.update(register_table=1))
    (folder / "layers.bin").write_bytes(b"cut")
    (folder / "layers.hex").unlink()
    (folder / "currents.hex").write_bytes(b"e\n")
    right, wrong = (hashlib.sha256(content).hexdigest()[:12] for content in (b"d\n", b"e\n"))
    refuses(
        folder,
        f"memory images in {folder}: 4 problems\n"
        f"  - they were made for register table 0x00000001, this is {table_digest():#010x}: {AGAIN}\n"
        f"  - layers.bin must have 40 bytes, not 3: {AGAIN}\n"
        f"  - layers.hex cannot be read (No such file or directory): {AGAIN}\n"
        f"  - currents.hex must have sha256 {right}, not {wrong}: it was changed; {AGAIN}",
    )


# Writing that fails


@pytest.mark.parametrize("before", [False, True], ids=["into a new folder", "over other images"])
@pytest.mark.parametrize("files", range(11))
def test_an_interrupted_write_leaves_no_manifest(tmp_path, monkeypatch, before, files):
    folder = tmp_path / "images"
    if before:
        write_images(placed(small(weight=4, name="older"), lanes=1), folder)
    written: list[Path] = []

    def write(path: Path, content: bytes) -> None:
        if len(written) == files:
            raise KeyboardInterrupt
        written.append(path)
        original(path, content)

    original = manifest._write
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "_write", write)
        with pytest.raises(KeyboardInterrupt):
            write_images(placed(small()), folder)
    refuses(folder, f"{folder / 'manifest.json'} cannot be read (No such file or directory): {AGAIN}")

    write_images(placed(small()), folder)  # and the next one mends it
    assert read_images(folder)[1].network.digest() == small().digest()
    assert sorted(contents(folder)) == sorted([*FILES, "manifest.json"])


def test_an_interruption_within_a_file_leaves_the_older_file_whole(folder, monkeypatch):
    before = contents(folder)

    def interrupted(*paths):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_images(placed(small(weight=4)), folder)
    del before["manifest.json"]
    assert contents(folder) == before


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "images"
    text = f"{folder / 'layers.bin'} cannot be written (Not a directory)"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        write_images(placed(small()), folder)


def test_the_configuration_is_that_of_the_placement(tmp_path):
    """Not one that is fitted again: a core may be larger than its network needs."""
    larger = CoreConfig(lanes=2, max_layers=3, synapse_words=99)
    write_images(place(small(), larger), tmp_path)
    assert read_images(tmp_path)[1].config == larger
