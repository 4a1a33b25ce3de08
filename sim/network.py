"""The integer network: what the hardware runs, as plain frozen data. The integer contract is in `docs/contract.md`."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields

from hillock.hw.problems import Problems

from .layer import INPUT, Connection, Decision, Layer, LeakOrder, ResetMode
from .network_rules import check_network
from .synapses import Convolution, Dense, IntArray, Pair, Shape, Synapses, TransposedConvolution, pooled

__all__ = [
    "INPUT",
    "Connection",
    "Convolution",
    "Decision",
    "Dense",
    "IntArray",
    "Layer",
    "LeakOrder",
    "Network",
    "Pair",
    "ResetMode",
    "Shape",
    "Synapses",
    "TransposedConvolution",
    "pooled",
]


@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """Layers in the order in which they run, with the widths, timesteps and decision they run with.

    Checked when made: whatever violates the contract is reported, all together, as a `HillockError`.

    Attributes
    ----------
    name : str
    input : Shape
        Grid of the input addresses, or of the pixels of the image when the first layer is fed by one.
    layers : tuple of Layer
        A graph: each layer may be connected to any earlier ones. The last is the output.
    weight_bits, potential_bits, fraction_bits : int
        Widths of weights and potentials; bits of the potential below the weight's unit.
    payload_bits : int
        Width of what an event carries: input events with values up to `2 ** payload_bits - 1`, and those of graded
        layers. With 1 every event counts 1.
    timesteps, delay : int
        T, and D: output spikes of the timesteps 1..D are not counted.
    decision : Decision
    """

    name: str
    input: Shape
    layers: tuple[Layer, ...]
    weight_bits: int = 8
    potential_bits: int = 16
    fraction_bits: int = 4
    payload_bits: int = 1
    timesteps: int = 25
    delay: int = 0
    decision: Decision = Decision.COUNT

    def __post_init__(self) -> None:
        problems = Problems(f"network {self.name!r}")
        check_network(self, problems)
        problems.raise_any()

    @property
    def inputs(self) -> int:
        """Input addresses, or pixels."""
        return self.input.neurons

    @property
    def image_input(self) -> bool:
        """Whether the input is an image (pixels 0..255 as currents) rather than events."""
        return any(layer.current_from_image for layer in self.layers)

    @property
    def static_input(self) -> bool:
        """Whether the input events come once, before the first timestep, rather than in every timestep."""
        return any(layer.static for layer in self.layers)

    @property
    def largest_payload(self) -> int:
        """The largest value an event can carry."""
        return (1 << self.payload_bits) - 1

    @property
    def potential_range(self) -> tuple[int, int]:
        """Smallest and largest potential."""
        return -(1 << (self.potential_bits - 1)), (1 << (self.potential_bits - 1)) - 1

    def shape_of(self, source: str) -> Shape:
        """The grid of the layer called `source`, or of `INPUT`."""
        return self.input if source == INPUT else next(layer.shape for layer in self.layers if layer.name == source)

    def walks(self) -> Iterator[tuple[int, Connection]]:
        """(index of the layer, connection) of every connection, in the order in which they run."""
        for index, layer in enumerate(self.layers):
            for connection in layer.connections:
                yield index, connection

    def digest(self) -> str:
        """sha256 over everything the network computes with; equal for equal networks, on any machine."""
        digest = hashlib.sha256()
        arrays = ("layers", "connections", "currents")
        digest.update(repr([getattr(self, field.name) for field in fields(self) if field.name not in arrays]).encode())
        for layer in self.layers:
            digest.update(
                repr([getattr(layer, field.name) for field in fields(layer) if field.name not in arrays]).encode()
            )
            for connection in layer.connections:
                synapses = connection.synapses
                what = (connection.source, connection.pool, connection.static, synapses.kind, synapses.geometry)
                digest.update(repr((*what, synapses.weights.shape)).encode())
                digest.update(synapses.weights.astype("<i8").tobytes())
            if layer.currents is not None and layer.currents.any():  # zeros are the same as none
                digest.update(repr(layer.currents.shape).encode() + layer.currents.astype("<i8").tobytes())
        return digest.hexdigest()
