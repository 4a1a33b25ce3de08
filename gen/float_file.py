"""The file of a float network: an .npz archive whose member `network.json` says how its arrays are connected.

Arrays are `<layer>.biases` and `<layer>.<number of the connection>.weights`, each in 16-bit floats where these hold
all of its values exactly, and in 32-bit floats otherwise. Equal networks are equal bytes.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hillock.hw.problems import HillockError
from hillock.sim.network import Connection, Convolution, Dense, Shape, TransposedConvolution
from hillock.sim.network_file import pack_array, read_archive, unpack_array, write_archive

from .float_network import FloatArray, FloatLayer, FloatNetwork

__all__ = ["load_float", "save_float", "stored"]

_HEAD = "network.json"
_FORMAT = "hillock float network"
_VERSION = 1
_KINDS = {kind.kind: kind for kind in (Dense, Convolution, TransposedConvolution)}


def stored(network: FloatNetwork) -> FloatNetwork:
    """The network as it comes back from a file: its values rounded to 32-bit floats."""

    def rounded(values: FloatArray) -> FloatArray:
        return values.astype(np.float32).astype(np.float64)

    def part(connection: Connection) -> Connection:
        synapses = connection.synapses
        return replace(connection, synapses=replace(synapses, weights=rounded(synapses.weights)))

    layers = tuple(
        replace(layer, connections=tuple(map(part, layer.connections)), biases=rounded(layer.biases))
        for layer in network.layers
    )
    return replace(network, layers=layers)


def save_float(network: FloatNetwork, path: str | Path) -> None:
    """Write `network` to `path`, wholly or not at all; its values are rounded to 32-bit floats."""
    members = {}
    layers = []
    for layer in network.layers:
        members[f"{layer.name}.biases.npy"] = _packed(layer.biases)
        connections = []
        for number, connection in enumerate(layer.connections):
            synapses = connection.synapses
            members[f"{layer.name}.{number}.weights.npy"] = _packed(synapses.weights)
            about = {"source": connection.source, "pool": connection.pool, "kind": synapses.kind}
            connections.append(about | synapses.geometry)
        shape = _sizes(layer.shape)
        kind = {"rectified": layer.rectified} | ({"largest": True} if layer.largest else {})
        layers.append({"name": layer.name, "shape": shape, **kind, "connections": connections})
    head = {"format": _FORMAT, "version": _VERSION, "name": network.name, "input": _sizes(network.input)}
    text = json.dumps(head | {"layers": layers}, indent=1) + "\n"
    write_archive(Path(path), {_HEAD: text.encode()} | members)


def load_float(path: str | Path) -> FloatNetwork:
    """The network that `save_float` wrote to `path`; `HillockError` for any other file."""
    subject = f"float network file {path}"
    members = read_archive(path, subject)
    try:
        head = json.loads(members.pop(_HEAD))
        if (head["format"], head["version"]) != (_FORMAT, _VERSION):
            raise ValueError(f"format {head['format']!r}, version {head['version']!r}")
        layers = tuple(_layer(record, members) for record in head["layers"])
        if members:
            raise ValueError(f"arrays that no layer has: {', '.join(sorted(members))}")
        return FloatNetwork(head["name"], Shape(*head["input"]), layers)
    except HillockError as error:
        raise HillockError(f"{subject}: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise HillockError(
            f"{subject}: it must be what `train` writes ({type(error).__name__}: {error}): train the model again"
        ) from None


def _layer(record: dict[str, Any], members: dict[str, bytes]) -> FloatLayer:
    def array(name: str) -> FloatArray:
        values: FloatArray = unpack_array(members.pop(f"{record['name']}.{name}.npy"), ("<f2", "<f4")).astype(float)
        return values

    connections = []
    for number, about in enumerate(record["connections"]):
        geometry: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in about.items()
        }
        source, pool, kind = (geometry.pop(name) for name in ("source", "pool", "kind"))
        synapses = _KINDS[kind](array(f"{number}.weights"), **geometry)
        connections.append(Connection(source, synapses, pool))
    return FloatLayer(
        name=record["name"],
        shape=Shape(*record["shape"]),
        connections=tuple(connections),
        biases=array("biases"),
        rectified=record["rectified"],
        largest=record.get("largest", False),
    )


def _sizes(shape: Shape) -> list[int]:
    return [shape.channels, shape.height, shape.width]


def _packed(values: FloatArray) -> bytes:
    single = values.astype("<f4")
    with np.errstate(over="ignore"):
        half = values.astype("<f2")
    return pack_array(half if np.array_equal(half, single) else single)
