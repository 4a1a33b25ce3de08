"""What the outputs of a network are worth: how often it decides right, or how far its image is from the one given."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hillock.sim.golden import Trace
from hillock.sim.network import Decision, IntArray, Network

from .datasets import Dataset, ImageArray
from .float_file import load_float
from .float_network import FloatArray, FloatNetwork
from .models import Model

__all__ = ["Score", "float_network_of", "image_error", "image_of", "score_of"]


@dataclass
class Score:
    """A mean over images, as it were if an inference ended after each timestep.

    `name` is "accuracy", the share of the images that are decided right, or "mse", the mean squared error between the
    rates of the last layer and the image. `total_at[t]` is the sum over `images`. `of_float` is the score of the float
    network, over all held-out images; None where it is not known.
    """

    name: Literal["accuracy", "mse"]
    total_at: FloatArray
    of_float: float | None
    images: int = 0

    @property
    def title(self) -> str:
        """What it is called."""
        return "accuracy" if self.name == "accuracy" else "mean squared error"

    def written(self, value: float) -> str:
        """A score as it is shown."""
        return f"{100 * value:.2f} %" if self.name == "accuracy" else f"{value:.4f}"

    @property
    def at(self) -> FloatArray:
        """The score after each timestep."""
        return self.total_at / max(1, self.images)

    @property
    def final(self) -> float:
        """The score."""
        return float(self.at[-1])

    def summary(self) -> dict[str, object]:
        """The figures by name, as `summary.json` has them."""
        return {
            self.name: round(self.final, 6),
            f"{self.name}_at_timestep": [round(float(value), 6) for value in self.at],
            f"float_{self.name}": self.of_float,
        }

    def add(
        self, network: Network, trace: Trace, pixels: IntArray, label: int, *, decision: int, counts: IntArray
    ) -> None:
        """Count one image in.

        `decision` and `counts` (output spikes after the delay) are those of the gateware, and make the last timestep;
        what it would have been earlier, the golden model says.
        """
        self.images += 1
        if self.name == "accuracy":
            decisions = _decisions_at(network, trace)
            decisions[-1] = decision
            self.total_at += decisions == label
        else:
            so_far = _counts_at(network, trace)
            so_far[-1] = counts
            steps = np.maximum(np.arange(network.timesteps) + 1 - network.delay, 1)
            self.total_at += image_error(so_far / steps[:, None], pixels)


def score_of(
    network: Network, dataset: Dataset, float_accuracy: float | None, float_network: FloatNetwork | None
) -> Score | None:
    """The score of `network`, with no images yet; None where there is neither a decision nor an image to compare."""
    nothing = np.zeros(network.timesteps)
    if network.decision is not Decision.NONE:
        return Score("accuracy", nothing, float_accuracy)
    if network.layers[-1].neurons != dataset.pixels:
        return None
    of_float = None
    if float_network is not None:
        outputs = image_of(float_network, dataset.test_images)
        of_float = round(float(image_error(outputs, dataset.test_images).mean()), 6)
    return Score("mse", nothing, of_float)


def float_network_of(model: Model) -> FloatNetwork | None:
    """The float network that `model` was made from, where its outputs are needed: where nothing is decided."""
    return None if model.network.decision is not Decision.NONE else load_float(model.folder / "float.npz")


def image_of(network: FloatNetwork, images: ImageArray) -> FloatArray:
    """What a float network makes of `images` [n, pixels]: its outputs, from 0 to 1 as the pixels of an image are."""
    return network.outputs(images).clip(0, 1)


def image_error(values: FloatArray, pixels: NDArray[np.integer[Any]]) -> FloatArray:
    """Mean squared error over the last axis between values of 0..1 and pixels of 0..255."""
    squares: FloatArray = ((values - pixels / 255) ** 2).mean(axis=-1)
    return squares


def _counts_at(network: Network, trace: Trace) -> IntArray:
    """Output spikes counted up to each timestep, [T, neurons]."""
    steps = np.arange(network.timesteps)[:, None]
    return np.cumsum(np.where(steps >= network.delay, trace.layers[-1].spikes, 0), axis=0, dtype=np.int64)


def _decisions_at(network: Network, trace: Trace) -> IntArray:
    """What would be decided after each timestep."""
    deciding = _counts_at(network, trace) if network.decision is Decision.COUNT else trace.layers[-1].potentials
    decisions: IntArray = deciding.argmax(axis=1)
    return decisions
