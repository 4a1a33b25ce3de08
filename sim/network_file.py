"""The network file: one integer `Network`, whole and checkable, in a ZIP archive with the suffix `.hlk`.

Its members are stored without compression and dated 1980-01-01, so that equal networks are equal bytes everywhere:

`network.json`
    UTF-8, keys sorted: `format` ("hillock network"), `version` (1), `digest` (`Network.digest()`), the scalar fields of
    `Network` by name, and `layers`: objects with the scalar fields of `Layer` by name (enumerations by value),
    `currents` (null or the name of an array) and `connections`. A connection is an object with `source`, `kind`, and
    what that kind of synapses has: for "dense", `weights`, the name of an array [presynaptic, postsynaptic].
`<name of an array>.npy`
    NumPy format 1.0, C order, in the narrowest of int8, int16 and int32 that holds the values.

A further kind of synapses is a further entry of `_KINDS`; a program without it refuses the file and says why. What a
user has to know is in `docs/network-file.md`.
"""

import difflib
import enum
import io
import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import HillockError, Problems

from .network import Connection, Dense, IntArray, Layer, Network

__all__ = ["SUFFIX", "load", "pack_array", "read_archive", "save", "unpack_array", "write_archive", "write_file"]

SUFFIX = ".hlk"

_FORMAT = "hillock network"
_VERSION = 1
_HEAD = "network.json"
_DTYPES = ("|i1", "<i2", "<i4")
_TYPE_NAMES = {int: "an integer", str: "a text", bool: "true or false", list: "a list", dict: "an object"}


def _scalar_fields(of: type) -> dict[str, type]:
    """Name and type of the fields of a dataclass that go into `network.json` themselves."""
    hints = get_type_hints(of)
    return {name: kind for name, kind in hints.items() if kind in (int, str, bool) or isinstance(kind, enum.EnumType)}


_NETWORK_FIELDS = _scalar_fields(Network)
_LAYER_FIELDS = _scalar_fields(Layer)


@dataclass(frozen=True)
class _Kind:
    """How one kind of synapses is stored: what makes it, its scalar fields, and its arrays with their dimensions."""

    make: Callable[..., Dense]
    scalars: dict[str, type]
    arrays: dict[str, int]


_KINDS = {"dense": _Kind(Dense, {}, {"weights": 2})}


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
            synapses, kind = connection.synapses, _KINDS[connection.synapses.kind]
            names = {name: f"layers/{index}/connections/{number}/{name}" for name in kind.arrays}
            arrays |= {names[name]: getattr(synapses, name) for name in names}
            entry = {"source": connection.source, "kind": synapses.kind} | _plain(synapses, kind.scalars) | names
            record["connections"].append(entry)
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
    reader = _Reader(members, problems)
    values = reader.network(head)
    problems.raise_any()
    try:
        network = Network(**values)
    except HillockError as error:
        raise HillockError(f"{subject}: {error}") from None
    problems.require(
        network.digest() == head["digest"],
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
        harmless: dict[str, Any] = {"name": "", "neurons": 1, "threshold": 1}
        return Layer(**(harmless | values))

    def connection(self, about: str, record: Any) -> Connection | None:
        if not self.problems.require(isinstance(record, dict), f"{about} must be an object, not {record!r}"):
            return None
        kind = _KINDS.get(str(record.get("kind")))
        if (
            not self.problems.require(
                kind,
                f"{about}: kind must be one of {', '.join(_KINDS)}, not "
                f"{record.get('kind')!r}: it needs another version of hillock",
            )
            or not kind
        ):
            return None
        head = {"source": str, "kind": str}
        values = self.fields(about, record, head | kind.scalars | dict.fromkeys(kind.arrays, str))
        if values.keys() != head.keys() | kind.scalars.keys() | kind.arrays.keys():
            return None
        arrays = {name: self.array(f"{about}: {name}", values[name], dims) for name, dims in kind.arrays.items()}
        return Connection(values["source"], kind.make(**{name: values[name] for name in kind.scalars}, **arrays))

    def fields(self, about: str, record: Any, wanted: dict[str, type]) -> dict[str, Any]:
        """Those of the `wanted` keys of `record` that are there and of the right type."""
        if not self.problems.require(isinstance(record, dict), f"{about} must be an object, not {record!r}"):
            return {}
        missing = wanted.keys() - record.keys()
        for key in sorted(record.keys() - wanted.keys()):
            near = difflib.get_close_matches(key, sorted(missing) or sorted(wanted), 1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            self.problems.require(False, f"{about}: unknown key {key!r}{hint}")
        self.problems.require(not missing, f"{about}: missing keys: {', '.join(sorted(missing))}")
        values = {}
        for key, kind in wanted.items():
            if key not in record:
                continue
            value = record[key]
            if issubclass(kind, enum.Enum):
                known = [member.value for member in kind]
                if self.problems.require(
                    value in known, f"{about}: {key} must be one of {', '.join(known)}, not {value!r}"
                ):
                    values[key] = kind(value)
            elif self.problems.require(
                kind is object or type(value) is kind, f"{about}: {key} must be {_TYPE_NAMES.get(kind)}, not {value!r}"
            ):
                values[key] = value
        return values

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
            head.get("version") == _VERSION,
            f"version must be {_VERSION}, not {head.get('version')!r}: another hillock made it",
        )
    return dict(head)


def _plain(thing: object, wanted: Iterable[str]) -> dict[str, Any]:
    """The named attributes as JSON knows them."""
    values = {name: getattr(thing, name) for name in wanted}
    return {name: value.value if isinstance(value, enum.Enum) else value for name, value in values.items()}


def _narrowest(values: IntArray) -> NDArray[Any]:
    return values.astype(next(dtype for dtype in _DTYPES if np.array_equal(values.astype(dtype), values)))


def pack_array(values: NDArray[Any]) -> bytes:
    """`values` in NumPy's file format 1.0, in C order."""
    content = io.BytesIO()
    np.lib.format.write_array(content, np.ascontiguousarray(values), version=(1, 0), allow_pickle=False)
    return content.getvalue()


def unpack_array(content: bytes, dtypes: tuple[str, ...]) -> NDArray[Any]:
    """What `pack_array` was given; `ValueError` for what it cannot have made, or a type that is not in `dtypes`."""
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("must be in NumPy's file format 1.0")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.str not in dtypes:
        raise ValueError(f"must be of type {' or '.join(dtypes)}, not {dtype.str}")
    body = content[stream.tell() :]
    if fortran_order or len(body) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"must be in C order and hold {math.prod(shape)} values for its shape {shape}")
    return np.frombuffer(body, dtype).reshape(shape)


def write_archive(path: Path, members: dict[str, bytes]) -> None:
    """Write a ZIP archive that depends on nothing but `members` and their order, wholly or not at all."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            info = zipfile.ZipInfo(name)  # dated 1980-01-01
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, member)
    write_file(path, content.getvalue())


def read_archive(path: str | Path, subject: str) -> dict[str, bytes]:
    """The members of a ZIP archive by name; `HillockError` about `subject` for anything that is not a whole one."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) < len(names):
                raise zipfile.BadZipFile("a member is there twice")
            return {name: archive.read(name) for name in names}
    except OSError as error:
        raise HillockError(f"{subject}: it cannot be read ({error.strerror or error})") from None
    # All that zipfile raises for damaged bytes: a compression or version it does not know is a NotImplementedError.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise HillockError(
            f"{subject}: it must be a whole ZIP archive ({error}): it is damaged, cut short or another "
            f"kind of file; fetch it or make it again"
        ) from None


def write_file(path: Path, content: bytes) -> None:
    """Write `content` to `path`, wholly or not at all, and make its folder; `HillockError` when that cannot be done."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise HillockError(f"{path} cannot be written ({error.strerror})") from None
