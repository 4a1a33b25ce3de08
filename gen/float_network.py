"""The float network that training gives: dense layers with ReLU between them, as plain NumPy data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import HillockError, Problems
from hillock.sim.network import IntArray
from hillock.sim.network_file import pack_array, read_archive, unpack_array, write_archive

from .datasets import ImageArray

__all__ = ["FloatArray", "FloatLayer", "FloatNetwork"]

FloatArray = NDArray[np.float64]


def _frozen(values: object) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """A dense layer: `weights` [presynaptic, postsynaptic] and `biases` [postsynaptic], in float64."""

    name: str
    weights: FloatArray
    biases: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", _frozen(self.weights))
        object.__setattr__(self, "biases", _frozen(self.biases))

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return self.biases.size


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """A network without time: a_0 = pixel / 255, a_l = max(0, a_{l-1} W_l + b_l), the last layer without the max.

    Checked when made: everything that is wrong is reported together, as a `HillockError`.
    """

    name: str
    layers: tuple[FloatLayer, ...]

    def __post_init__(self) -> None:
        problems = Problems(f"float network {self.name!r}")
        problems.require(self.layers, "layers must not be empty")
        names = [layer.name for layer in self.layers]
        problems.require(len(set(names)) == len(names), f"layer names must differ, not {names}")
        inputs = None
        for layer in self.layers:
            about = f"layer {layer.name!r}: "
            shape = layer.weights.shape
            wanted = ("any" if inputs is None else inputs, layer.neurons)
            if problems.require(
                layer.weights.ndim == 2
                and layer.biases.ndim == 1
                and layer.weights.size
                and shape[1] == layer.neurons
                and inputs in (None, shape[0]),
                f"{about}weights must have shape {wanted}: the neurons before it, and one bias for each of its own; "
                f"not {shape} with biases {layer.biases.shape}",
            ):
                finite = np.isfinite(layer.weights).all() and np.isfinite(layer.biases).all()
                problems.require(finite, f"{about}every weight and bias must be finite: the training diverged")
            inputs = layer.neurons
        problems.raise_any()

    @property
    def inputs(self) -> int:
        """Pixels of an image."""
        return int(self.layers[0].weights.shape[0])

    def activations(self, images: ImageArray) -> list[FloatArray]:
        """The a_l of every layer, each [images, neurons], for `images` [images, pixels] of 0..255."""
        values: FloatArray = images / 255
        result = []
        for layer in self.layers:
            values = values @ layer.weights + layer.biases
            if layer is not self.layers[-1]:
                values = np.maximum(values, 0)
            result.append(values)
        return result

    def decisions(self, images: ImageArray) -> IntArray:
        """The class of each image: the highest value of the last layer, ties to the lowest index."""
        decisions: IntArray = np.argmax(self.activations(images)[-1], axis=1)
        return decisions

    def save(self, path: str | Path) -> None:
        """Write `<layer>.weights` and `<layer>.biases` as float32 to an .npz file, the layers in their order."""
        members = {}
        for layer in self.layers:
            for name in ("weights", "biases"):
                members[f"{layer.name}.{name}.npy"] = pack_array(getattr(layer, name).astype("<f4"))
        write_archive(Path(path), members)

    @staticmethod
    def load(path: str | Path, name: str) -> "FloatNetwork":
        """The network that `save` wrote to `path`, with the name `name`; `HillockError` for any other file."""
        subject = f"float network file {path}"
        problems = Problems(subject)
        arrays: dict[str, dict[str, FloatArray]] = {}
        for member, content in read_archive(path, subject).items():
            layer, _, array = member.removesuffix(".npy").rpartition(".")
            try:
                arrays.setdefault(layer, {})[array] = unpack_array(content, ("<f4",))
            except ValueError as error:
                problems.require(False, f"array {member!r} {error}")
        problems.raise_any()
        for layer, found in arrays.items():
            problems.require(
                found.keys() == {"weights", "biases"},
                f"layer {layer!r} must have the arrays weights and biases, not {', '.join(sorted(found))}",
            )
        problems.raise_any()
        try:
            return FloatNetwork(name, tuple(FloatLayer(layer, **found) for layer, found in arrays.items()))
        except HillockError as error:
            raise HillockError(f"{subject}: {error}") from None
