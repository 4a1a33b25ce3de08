"""The network file: one integer `Network`, whole and checkable, in a ZIP archive with the suffix `.hlk`.

Its members are stored without compression and dated 1980-01-01, so that equal networks are equal bytes everywhere:

`network.json`
    UTF-8, keys sorted: `format` ("hillock network"), `version` (2), `digest` (`Network.digest()`), the fields of
    `Network` by name, and `layers`: objects with the fields of `Layer` by name, `currents` (null or the name of an
    array) and `connections`. A connection is an object with the fields of `Connection`, `kind`, and the fields of that
    kind of synapses, among them `weights`, the name of an array. A `Shape` is an object, a pair a list, an enumeration
    its value.
`<name of an array>.npy`
    NumPy format 1.0, C order, in the narrowest of int8, int16 and int32 that holds the values.

Version 1, of dense layers only, is still read. A further kind of synapses is a further entry of `_KINDS`; a program
without it refuses the file and says why. What a user has to know is in `docs/network-file.md`.
"""

import difflib
import enum
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import HillockError, Problems

from .archive import pack_array, read_archive, unpack_array, write_archive, write_file
from .layer import Connection, Layer
from .network import Network
from .synapses import Convolution, Dense, IntArray, Pair, Shape, Synapses, TransposedConvolution

__all__ = ["SUFFIX", "load", "pack_array", "read_archive", "save", "unpack_array", "write_archive", "write_file"]

SUFFIX = ".hlk"

_FORMAT = "hillock network"
_VERSION = 2
_HEAD = "network.json"
_DTYPES = ("|i1", "<i2", "<i4")
_TYPE_NAMES = {
    int: "an integer",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    Pair: "a list of two integers",
}


def _fields(of: type) -> dict[str, Any]:
    """Name and type of the fields of a dataclass that go into `network.json` themselves."""
    plain = (int, str, bool, Shape, Pair)
    return {name: kind for name, kind in get_type_hints(of).items() if kind in plain or isinstance(kind, enum.EnumType)}


_NETWORK_FIELDS, _LAYER_FIELDS, _CONNECTION_FIELDS, _SHAPE_FIELDS = map(_fields, (Network, Layer, Connection, Shape))
_KINDS: dict[str, tuple[type[Synapses], int]] = {
    Dense.kind: (Dense, 2),
    Convolution.kind: (Convolution, 4),
    TransposedConvolution.kind: (TransposedConvolution, 4),
}
"""For each kind of synapses: what makes it, and the dimensions of its weights."""


def save(network: Network, path: str | Path) -> None:
    """Write `network` to `path`, wholly or not at all, and make its folder; `HillockError` when that cannot be done."""
    path = Path(path)
    if path.suffix != SUFFIX:
        raise HillockError(f"network file {path}: the suffix must be {SUFFIX}, not {path.suffix!r}")
    arrays: dict[str, IntArray] = {}
    layers = []
    for index, layer in enumerate(network.layers):
        record = _plain(layer, _LAYER_FIELDS) | {"currents": None, "connections": []}
        if layer.currents is not None:
            record["currents"] = f"layers/{index}/currents"
            arrays[record["currents"]] = layer.currents
        for number, connection in enumerate(layer.connections):
            synapses, weights = connection.synapses, f"layers/{index}/connections/{number}/weights"
            arrays[weights] = synapses.weights
            entry = _plain(connection, _CONNECTION_FIELDS) | _plain(synapses, _fields(type(synapses)))
            record["connections"].append(entry | {"kind": synapses.kind, "weights": weights})
        layers.append(record)
    head = {"format": _FORMAT, "version": _VERSION, "digest": network.digest(), "layers": layers}
    head |= _plain(network, _NETWORK_FIELDS)
    members = {_HEAD: json.dumps(head, sort_keys=True, indent=1).encode() + b"\n"}
    members |= {f"{name}.npy": pack_array(_narrowest(arrays[name])) for name in sorted(arrays)}
    write_archive(path, members)


def load(path: str | Path) -> Network:
    """The network in the file at `path`.

    Raises `HillockError`, with everything that is wrong, for a file that is missing, damaged, incomplete, of another
    format or version, or that holds anything this version does not know.
    """
    subject = f"network file {path}"
    problems = Problems(subject)
    members = read_archive(path, subject)
    head = _read_head(members.pop(_HEAD, None), problems)
    problems.raise_any()
    first = head["version"] == 1
    reader = _Reader(members, problems)
    values = reader.network(_from_first_version(head) if first else head)
    problems.raise_any()
    try:
        network = Network(**values)
    except HillockError as error:
        raise HillockError(f"{subject}: {error}") from None
    problems.require(
        first or network.digest() == head["digest"],  # that of version 1 was computed from other fields
        f"digest must be that of the network in the file, {network.digest()}, not {head['digest']}: the "
        f"file was changed; fetch it or make it again",
    )
    problems.raise_any()
    return network


class _Reader:
    """Takes the values of a network out of `network.json` and the arrays; what is wrong goes to `problems`."""

    def __init__(self, members: dict[str, bytes], problems: Problems):
        self.members = members
        self.problems = problems
        self.used: set[str] = set()

    def network(self, head: dict[str, Any]) -> dict[str, Any]:
        fixed: dict[str, type] = {"format": str, "version": int, "digest": str, "layers": list}
        values = self.fields(_HEAD, head, _NETWORK_FIELDS | fixed)
        values["layers"] = tuple(
            self.layer(f"layer {index}", record) for index, record in enumerate(values.get("layers", ()))
        )
        extra = sorted(self.members.keys() - self.used)
        self.problems.require(not extra, f"every array must be named in {_HEAD}; these are not: {', '.join(extra)}")
        return {name: values.get(name) for name in (*_NETWORK_FIELDS, "layers")}

    def layer(self, about: str, record: Any) -> Layer | None:
        values = self.fields(about, record, _LAYER_FIELDS | {"currents": object, "connections": list})
        if not values:
            return None
        if values.get("currents") is not None:
            values["currents"] = self.array(f"{about}: currents", values["currents"], 1)
        values["connections"] = tuple(
            self.connection(f"{about}: connection {number}", connection)
            for number, connection in enumerate(values.get("connections", ()))
        )
        # What was refused is replaced by something harmless: nobody sees it, because `problems` will be raised.
        harmless: dict[str, Any] = {"name": "", "shape": Shape(1), "threshold": 1}
        return Layer(**(harmless | values))

    def connection(self, about: str, record: Any) -> Connection | None:
        if not self.problems.require(isinstance(record, dict), f"{about} must be an object, not {record!r}"):
            return None
        kind = str(record.get("kind"))
        if not self.problems.require(
            kind in _KINDS,
            f"{about}: kind must be one of {', '.join(_KINDS)}, not {record.get('kind')!r}: it needs another version "
            f"of hillock",
        ):
            return None
        make, dimensions = _KINDS[kind]
        own = _fields(make)
        wanted = _CONNECTION_FIELDS | {"kind": str} | own | {"weights": str}
        values = self.fields(about, record, wanted)
        if values.keys() != wanted.keys():
            return None
        weights = self.array(f"{about}: weights", values["weights"], dimensions)
        synapses = make(weights, **{name: values[name] for name in own})
        return Connection(synapses=synapses, **{name: values[name] for name in _CONNECTION_FIELDS})

    def fields(self, about: str, record: Any, wanted: dict[str, Any]) -> dict[str, Any]:
        """Those of the `wanted` keys of `record` that are there and of the right type."""
        if not self.problems.require(isinstance(record, dict), f"{about} must be an object, not {record!r}"):
            return {}
        missing = wanted.keys() - record.keys()
        for key in sorted(record.keys() - wanted.keys()):
            near = difflib.get_close_matches(key, sorted(missing) or sorted(wanted), 1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            self.problems.require(False, f"{about}: unknown key {key!r}{hint}")
        self.problems.require(not missing, f"{about}: missing keys: {', '.join(sorted(missing))}")
        given = {key: self.value(f"{about}: {key}", record[key], wanted[key]) for key in wanted if key in record}
        return {key: value for key, value in given.items() if value is not None or wanted[key] is object}

    def value(self, about: str, value: Any, kind: Any) -> Any:
        """`value` as a `kind`; None if it is not one."""
        if kind is Shape:
            sizes = self.fields(about, value, _SHAPE_FIELDS)
            return Shape(**sizes) if sizes.keys() == _SHAPE_FIELDS.keys() else None
        if isinstance(kind, enum.EnumType):
            members: list[enum.Enum] = list(kind)
            known = [str(member.value) for member in members]
            right = self.problems.require(value in known, f"{about} must be one of {', '.join(known)}, not {value!r}")
            return kind(value) if right else None
        if kind == Pair:
            right = isinstance(value, list) and [type(number) for number in value] == [int, int]
        else:
            right = kind is object or type(value) is kind
        self.problems.require(right, f"{about} must be {_TYPE_NAMES.get(kind)}, not {value!r}")
        return (tuple(value) if kind == Pair else value) if right else None

    def array(self, about: str, name: Any, dimensions: int) -> NDArray[Any]:
        """The array of that name; an empty one when there is none or it is not as it must be."""
        empty = np.zeros((0,) * dimensions, np.int64)
        member = f"{name}.npy"
        self.used.add(member)
        if not self.problems.require(member in self.members, f"{about}: array {member!r} is missing"):
            return empty
        try:
            values = unpack_array(self.members[member], _DTYPES)
        except ValueError as error:
            self.problems.require(False, f"{about}: array {member!r} {error}")
            return empty
        right = self.problems.require(
            values.ndim == dimensions,
            f"{about}: array {member!r} must have {dimensions} dimension(s), not the shape {values.shape}",
        )
        return values if right else empty


def _read_head(content: bytes | None, problems: Problems) -> dict[str, Any]:
    """`network.json` as an object of the right format and version."""
    if not problems.require(content is not None, f"it must have a member {_HEAD}: it is not a network file"):
        return {}
    try:
        head = json.loads(content or b"")
    except (ValueError, RecursionError) as error:
        problems.require(False, f"{_HEAD} must be JSON text ({error})")
        return {}
    if not problems.require(isinstance(head, dict), f"{_HEAD} must be an object, not {head!r}"):
        return {}
    if problems.require(head.get("format") == _FORMAT, f"format must be {_FORMAT!r}, not {head.get('format')!r}"):
        problems.require(
            head.get("version") in (1, _VERSION),
            f"version must be from 1 to {_VERSION}, not {head.get('version')!r}: another hillock made it",
        )
    return dict(head)


def _from_first_version(head: dict[str, Any]) -> dict[str, Any]:
    """`network.json` of version 1, of chains of dense layers, as that of this version."""

    def changed(record: Any, renamed: dict[str, str], new: dict[str, Any]) -> Any:
        if not isinstance(record, dict):
            return record
        grids = {
            to: {"channels": record[name], "height": 1, "width": 1} for name, to in renamed.items() if name in record
        }
        return new | {key: value for key, value in record.items() if key not in renamed} | grids

    def connection(record: Any) -> Any:
        return changed(record, {}, {"pool": [1, 1], "static": False})

    def layer(record: Any) -> Any:
        record = changed(record, {"neurons": "shape"}, {"graded": False})
        if isinstance(record, dict) and isinstance(record.get("connections"), list):
            record["connections"] = [connection(one) for one in record["connections"]]
        return record

    head = changed(head, {"inputs": "input"}, {"payload_bits": 1})
    if isinstance(head.get("layers"), list):
        head["layers"] = [layer(one) for one in head["layers"]]
    return head


def _plain(thing: object, wanted: Iterable[str]) -> dict[str, Any]:
    """The named attributes as JSON knows them."""

    def plain(value: Any) -> Any:
        if isinstance(value, enum.Enum):
            return value.value
        return _plain(value, _SHAPE_FIELDS) if isinstance(value, Shape) else value

    return {name: plain(getattr(thing, name)) for name in wanted}


def _narrowest(values: IntArray) -> NDArray[Any]:
    return values.astype(next(dtype for dtype in _DTYPES if np.array_equal(values.astype(dtype), values)))
