"""The integer network: what the hardware runs, as plain frozen data. The integer contract is in `docs/contract.md`."""

import enum
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import Problems

__all__ = ["INPUT", "Connection", "Decision", "Dense", "IntArray", "Layer", "LeakOrder", "Network", "ResetMode"]

IntArray = NDArray[np.int64]

INPUT = "input"
"""The source of a connection that carries the input events of the network."""

MAX_LEAK_SHIFT = 31
MAX_TIMESTEPS = (1 << 16) - 1


class ResetMode(enum.Enum):
    """What a spike does to the potential: R is subtracted from it, or R is its new value."""

    SUBTRACT = "subtract"
    TO_VALUE = "to_value"


class LeakOrder(enum.Enum):
    """Whether a potential leaks after the reset or before it."""

    RESET_THEN_LEAK = "reset_then_leak"
    LEAK_THEN_RESET = "leak_then_reset"


class Decision(enum.Enum):
    """What decides: the count of output spikes, or the potential of a last layer that never fires."""

    COUNT = "count"
    POTENTIAL = "potential"


def _frozen(values: Any) -> IntArray:
    """A read-only int64 copy; floats are refused rather than truncated."""
    array = np.array(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"integer values are required, not {array.dtype}")
    array = array.astype(np.int64)
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class Dense:
    """Synapses from every presynaptic to every postsynaptic neuron: `weights[pre, post]`, signed integers."""

    weights: IntArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", _frozen(self.weights))

    @property
    def kind(self) -> str:
        """Name of this kind of synapses, in files and reports."""
        return "dense"


@dataclass(frozen=True, eq=False)
class Connection:
    """Synapses and where their events come from: an earlier layer by name, or `INPUT`."""

    source: str
    synapses: Dense


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """A population of neurons with common parameters (the neuron model: `docs/contract.md`).

    `currents` (potential units, one for each neuron, or None for none) are added in every timestep. With
    `current_from_image` the input image is added instead, pixel i to neuron i: a layer without connections and with
    theta = R = 255 is the rate encoder. A layer with `fires` false is a readout layer.
    """

    name: str
    neurons: int
    threshold: int
    connections: tuple[Connection, ...] = ()
    currents: IntArray | None = None
    current_from_image: bool = False
    leak_shift: int = 0
    preload: int = 0
    reset_mode: ResetMode = ResetMode.SUBTRACT
    reset_amount: int = 0
    leak_order: LeakOrder = LeakOrder.RESET_THEN_LEAK
    fires: bool = True

    def __post_init__(self) -> None:
        if self.currents is not None:
            object.__setattr__(self, "currents", _frozen(self.currents))


@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """Layers in the order in which they run, with the widths, timesteps and decision they run with.

    Checked when made: whatever violates the contract is reported, all together, as a `HillockError`.

    Attributes
    ----------
    name : str
    inputs : int
        Input addresses, or pixels of the image when the first layer is fed by one.
    layers : tuple of Layer
        A layer may only be connected to earlier ones; the last is the output.
    weight_bits, potential_bits, fraction_bits : int
        Widths of weights and potentials; bits of the potential below the weight's unit.
    timesteps, delay : int
        T, and D: output spikes of the timesteps 1..D are not counted.
    decision : Decision
    """

    name: str
    inputs: int
    layers: tuple[Layer, ...]
    weight_bits: int = 8
    potential_bits: int = 16
    fraction_bits: int = 4
    timesteps: int = 25
    delay: int = 0
    decision: Decision = Decision.COUNT

    def __post_init__(self) -> None:
        problems = Problems(f"network {self.name!r}")
        for name in ("inputs", "weight_bits", "potential_bits", "fraction_bits", "timesteps", "delay"):
            _require_integer(problems, "", self, name)
        for layer in self.layers:
            for name in ("neurons", "threshold", "leak_shift", "preload", "reset_amount"):
                _require_integer(problems, f"layer {layer.name!r}: ", layer, name)
        problems.raise_any()
        if not self._check_itself(problems):
            problems.raise_any()
        sizes = {INPUT: self.inputs}
        for index, layer in enumerate(self.layers):
            self._check_layer(index, layer, sizes, problems)
            sizes[layer.name] = layer.neurons
        problems.raise_any()

    @property
    def image_input(self) -> bool:
        """Whether the input is an image (pixels 0..255 as currents) rather than events."""
        return any(layer.current_from_image for layer in self.layers)

    @property
    def potential_range(self) -> tuple[int, int]:
        """Smallest and largest potential."""
        return -(1 << (self.potential_bits - 1)), (1 << (self.potential_bits - 1)) - 1

    def digest(self) -> str:
        """sha256 over everything the network computes with; equal for equal networks, on any machine."""
        digest = hashlib.sha256()
        head = (
            self.name,
            self.inputs,
            self.weight_bits,
            self.potential_bits,
            self.fraction_bits,
            self.timesteps,
            self.delay,
            self.decision.value,
        )
        digest.update(repr(head).encode())
        for layer in self.layers:
            digest.update(
                repr(
                    (
                        layer.name,
                        layer.neurons,
                        layer.threshold,
                        layer.current_from_image,
                        layer.leak_shift,
                        layer.preload,
                        layer.reset_mode.value,
                        layer.reset_amount,
                        layer.leak_order.value,
                        layer.fires,
                    )
                ).encode()
            )
            for connection in layer.connections:
                weights = connection.synapses.weights
                digest.update(repr((connection.source, connection.synapses.kind, weights.shape)).encode())
                digest.update(weights.astype("<i8").tobytes())
            if layer.currents is not None and layer.currents.any():  # zeros are the same as none
                digest.update(layer.currents.astype("<i8").tobytes())
        return digest.hexdigest()

    def _check_itself(self, problems: Problems) -> bool:
        """Whether the widths are such that the layers can be checked."""

        def in_range(name: str, low: int, high: int) -> bool:
            value = getattr(self, name)
            return problems.require(low <= value <= high, f"{name} must be from {low} to {high}, not {value}")

        widths = (in_range("weight_bits", 2, 16), in_range("potential_bits", 4, 32), in_range("fraction_bits", 0, 15))
        in_range("inputs", 1, 1 << 24)
        in_range("timesteps", 1, MAX_TIMESTEPS)
        problems.require(
            self.weight_bits + self.fraction_bits <= self.potential_bits,
            f"potential_bits must be at least weight_bits + fraction_bits = {self.weight_bits + self.fraction_bits}, "
            f"not {self.potential_bits}",
        )
        problems.require(
            0 <= self.delay < self.timesteps,
            f"delay must be from 0 to timesteps - 1 = {self.timesteps - 1}, not {self.delay}: nothing would be counted",
        )
        if not problems.require(self.layers, "layers must not be empty"):
            return False
        names = [layer.name for layer in self.layers]
        twice = sorted({name for name in names if names.count(name) > 1 or name == INPUT})
        problems.require(not twice, f"layer names must differ from each other and from {INPUT!r}; not so: {twice}")
        for layer in self.layers[1:]:
            problems.require(
                not layer.current_from_image,
                f"layer {layer.name!r}: only the first layer can take the image as its current",
            )
        if self.layers[0].current_from_image:
            problems.require(
                self.layers[0].neurons == self.inputs,
                f"layer {self.layers[0].name!r}: neurons must equal the {self.inputs} pixels of the image, "
                f"not {self.layers[0].neurons}",
            )
        if self.decision is Decision.POTENTIAL:
            problems.require(
                not self.layers[-1].fires,
                f"a decision by potential needs a last layer that never fires; {names[-1]!r} does: set its "
                f"fires to false, or decide by count",
            )
        else:
            problems.require(
                self.layers[-1].fires,
                f"a decision by count needs a last layer that fires; {names[-1]!r} never does: decide by potential",
            )
        return all(widths)

    def _check_layer(self, index: int, layer: Layer, sizes: dict[str, int], problems: Problems) -> None:
        low, high = self.potential_range
        about = f"layer {layer.name!r}: "
        problems.require(layer.neurons >= 1, f"{about}neurons must be at least 1, not {layer.neurons}")
        for name, smallest, largest, way_out in (
            ("threshold", 1, high, "at 0 or less it fires without input; above, raise potential_bits"),
            ("leak_shift", 0, MAX_LEAK_SHIFT, "0 means no leak"),
            ("preload", low, high, "raise potential_bits or lower it"),
            (
                "reset_amount",
                low if layer.reset_mode is ResetMode.TO_VALUE else 0,
                high,
                "what is subtracted cannot be negative, and both must fit in potential_bits",
            ),
        ):
            value = getattr(layer, name)
            problems.require(
                smallest <= value <= largest,
                f"{about}{name} must be from {smallest} to {largest}, not {value} ({way_out})",
            )
        if layer.currents is not None:
            problems.require(
                layer.currents.shape == (layer.neurons,),
                f"{about}currents must have shape ({layer.neurons},), not {layer.currents.shape}",
            )
            _check_range(problems, f"{about}current", layer.currents, self.potential_bits, "potential_bits")
            problems.require(
                not layer.current_from_image, f"{about}currents and current_from_image cannot both be given"
            )
        problems.require(
            layer.connections or layer.current_from_image or layer.currents is not None,
            f"{about}it has no connection and no current, so nothing ever reaches it",
        )
        for connection in layer.connections:
            known = f"the input or an earlier layer ({', '.join(sizes)})"
            problems.require(
                not (connection.source == INPUT and index > 0 and self.layers[0].current_from_image),
                f"{about}there are no input events: the input is an image, the current of "
                f"{self.layers[0].name!r}; connect it to that layer",
            )
            if not problems.require(
                connection.source in sizes, f"{about}source must be {known}, not {connection.source!r}"
            ):
                continue
            weights = connection.synapses.weights
            wanted = (sizes[connection.source], layer.neurons)
            if problems.require(
                weights.shape == wanted,
                f"{about}weights from {connection.source!r} must have shape {wanted} (presynaptic, "
                f"postsynaptic), not {weights.shape}",
            ):
                _check_range(
                    problems, f"{about}weight from {connection.source!r}", weights, self.weight_bits, "weight_bits"
                )


def _require_integer(problems: Problems, about: str, thing: object, name: str) -> None:
    """`thing.name` must be an integer; one of NumPy's becomes Python's, so that equal networks have equal digests."""
    value = getattr(thing, name)
    if problems.require(
        isinstance(value, (int, np.integer)) and not isinstance(value, bool),
        f"{about}{name} must be an integer, not {value!r}",
    ):
        object.__setattr__(thing, name, int(value))


def _check_range(problems: Problems, what: str, values: IntArray, bits: int, knob: str) -> None:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    wrong = np.argwhere((values < low) | (values > high))
    if len(wrong):
        shown = ", ".join(f"{values[tuple(at)]} at {tuple(int(i) for i in at)}" for at in wrong[:3])
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        problems.require(
            False,
            f"{what} must be from {low} to {high} ({bits} signed bits): {shown}{more}; raise {knob} "
            f"or rescale the layer",
        )
