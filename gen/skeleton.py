"""What memory images do not say about a network: names, the grids, the kinds of synapses, and the chosen layouts.

A manifest carries it, and `image.decode` puts together with it what the bytes hold. Nothing in it is believed: a
network decoded with it must give the same bytes again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hillock.sim.network import Connection, Convolution, Dense, Layer, Shape, Synapses, TransposedConvolution

from .mapping import Placement

__all__ = ["Skeleton"]

_KINDS: dict[str, Callable[..., Synapses]] = {kind.kind: kind for kind in (Dense, Convolution, TransposedConvolution)}


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A network without its numbers: `layers` have weights of 0, currents of 1 where there are any, threshold 1."""

    name: str
    weight_bits: int
    payload_bits: int
    input: Shape
    layers: tuple[Layer, ...]
    layouts: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, placement: Placement) -> "Skeleton":
        """That of a placed network."""
        return cls.from_dict(cls.describe(placement))

    @staticmethod
    def describe(placement: Placement) -> dict[str, Any]:
        """That of a placed network, as JSON knows it."""
        network = placement.network
        layers = []
        for layer, where in zip(network.layers, placement.layers, strict=True):
            layers.append(
                {
                    "name": layer.name,
                    "shape": _shape(layer.shape),
                    "layout": [where.layout.channels, where.layout.columns],
                    "image": layer.current_from_image,
                    "currents": 0 if where.current_step == 0 or layer.currents is None else len(layer.currents),
                    "connections": [
                        {
                            "source": connection.source,
                            "pool": list(connection.pool),
                            "static": connection.static,
                            "kind": connection.synapses.kind,
                            "weights": list(connection.synapses.weights.shape),
                            "geometry": {
                                name: list(value) if isinstance(value, tuple) else value
                                for name, value in connection.synapses.geometry.items()
                            },
                        }
                        for connection in layer.connections
                    ],
                }
            )
        return {
            "name": network.name,
            "weight_bits": network.weight_bits,
            "payload_bits": network.payload_bits,
            "input": _shape(network.input),
            "layers": layers,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Skeleton":
        """The inverse of `describe`; KeyError, TypeError or ValueError for what that cannot have made."""
        return cls(
            name=values["name"],
            weight_bits=values["weight_bits"],
            payload_bits=values["payload_bits"],
            input=Shape(*values["input"]),
            layers=tuple(
                Layer(
                    name=layer["name"],
                    shape=Shape(*layer["shape"]),
                    threshold=1,
                    connections=tuple(
                        Connection(
                            entry["source"],
                            _KINDS[entry["kind"]](
                                np.zeros(entry["weights"], np.int64),
                                **{
                                    name: tuple(value) if isinstance(value, list) else value
                                    for name, value in entry["geometry"].items()
                                },
                            ),
                            tuple(entry["pool"]),
                            entry["static"],
                        )
                        for entry in layer["connections"]
                    ),
                    currents=np.ones(layer["currents"], np.int64) if layer["currents"] else None,
                    current_from_image=layer["image"],
                )
                for layer in values["layers"]
            ),
            layouts={layer["name"]: tuple(layer["layout"]) for layer in values["layers"]},
        )


def _shape(shape: Shape) -> list[int]:
    return [shape.channels, shape.height, shape.width]
