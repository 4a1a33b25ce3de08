"""What an experiment is made with: a trained network as the hardware runs it, and the images it is measured on."""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from hillock.gen.convert import SpikingNetwork, normalise
from hillock.gen.datasets import Dataset, ImageArray, load_dataset
from hillock.gen.float_file import load_float
from hillock.gen.float_network import FloatArray, FloatNetwork
from hillock.gen.models import Model, load_model
from hillock.gen.preload_search import Reference, with_preloads
from hillock.gen.quantize import quantize
from hillock.gen.recipes import Conversion
from hillock.hw.problems import HillockError, Problems
from hillock.sim.network import Decision, IntArray, Network
from hillock.sim.network_rules import MAX_TIMESTEPS

__all__ = ["TIMESTEPS", "Setting", "open_setting"]

TIMESTEPS = 255
"""After so many the rate encoder has fired as often as the pixel says: "one epoch" of Hwang et al. 2021."""

_CHUNK = 100
"""Images that go through the float network together."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Setting:
    """A network made anew from the float network of a model, and test images of its data set.

    `network` is the integer one, without preload or delay, and with potentials that saturate with no preload. `name` is
    that of the model, and says how the conversion differs from the model's own. `labels` are those of `images`.
    """

    name: str
    model: Model
    seed: int | None
    conversion: Conversion
    network: Network
    float_network: FloatNetwork
    spiking: SpikingNetwork
    dataset: Dataset
    images: ImageArray
    labels: IntArray

    @property
    def decides(self) -> bool:
        """Whether it tells classes apart; or else it gives back an image."""
        return self.network.decision is not Decision.NONE

    @property
    def reference(self) -> Reference:
        """What the rates should be."""
        return Reference(self.float_network, self.spiking)

    @cached_property
    def activations(self) -> FloatArray:
        """Of the last layer of the float network, [image, neuron]."""
        return self.float_network.outputs(self.images)

    @cached_property
    def rates(self) -> FloatArray:
        """What the rates of the last layer should be, [image, neuron]."""
        return (self.activations / self.spiking.layers[-1].activation).clip(0, 1)

    @cached_property
    def float_accuracy(self) -> float:
        """Of the float network, on the same images."""
        return float((self.activations.argmax(axis=1) == self.labels).mean())

    def with_bits(self, weight_bits: int) -> Network:
        """The network with weights of so many bits, all else equal."""
        return _integer(self.spiking, replace(self.conversion, weight_bits=weight_bits), self.decides)

    def about(self) -> dict[str, Any]:
        """By name, what a record must say for the experiment to be repeated."""
        return {
            "model": self.name,
            "seed": self.seed,
            "network_digest": self.network.digest(),
            "dataset": self.dataset.name,
            "dataset_digest": self.dataset.digest,
            "images": len(self.images),
            "test_images": len(self.dataset.test_images),
            "timesteps": self.network.timesteps,
            "weight_bits": self.network.weight_bits,
            "potential_bits": self.network.potential_bits,
            "percentile": self.conversion.percentile,
            "images_of_the_percentile": self.conversion.images or len(self.dataset.train_images),
        } | ({"remark": self.dataset.remark} if self.dataset.remark else {})


def open_setting(
    name: str, *, images: int | None = None, timesteps: int | None = None, percentile: float | None = None
) -> Setting:
    """The model `name` (as `load_model` takes it), run for `timesteps` on its first test images.

    What is None is: as many images as the model was measured with, `TIMESTEPS`, the percentile of the model. The
    potentials are as wide as is proved to be enough. Raises `HillockError` for a model without its float network, for
    one whose last layer does not fire, and for numbers that are out of range.
    """
    model = load_model(name)
    try:
        record = json.loads((model.folder / "model.json").read_text())
        made = record["recipe"]["conversion"] if "recipe" in record else _of_settings(record["settings"])
        conversion, seed = Conversion(**made), record.get("recipe", {}).get("seed")
        measured = int(record["data"]["test_images"])
        float_network = load_float(model.folder / "float.npz")
    except (OSError, ValueError, KeyError, TypeError, HillockError) as error:
        raise HillockError(
            f"model {name!r}: an experiment needs the float.npz and model.json that `train` or `convert` write "
            f"({type(error).__name__}: {error}): make the model again"
        ) from None
    dataset = load_dataset(model.dataset)
    problems = Problems(f"experiment with model {name!r}")
    most, number = len(dataset.test_images), (images if images is not None else measured)
    steps = TIMESTEPS if timesteps is None else timesteps
    problems.require(1 <= number <= most, f"images must be from 1 to {most}, those of {dataset.name}, not {number}")
    problems.require(1 <= steps <= MAX_TIMESTEPS, f"timesteps must be from 1 to {MAX_TIMESTEPS}, not {steps}")
    problems.require(
        model.network.decision is not Decision.POTENTIAL, "it decides by potential: an experiment is about rates"
    )
    problems.raise_any()
    usual = conversion.percentile
    conversion = replace(conversion, percentile=usual if percentile is None else percentile, timesteps=steps)
    spiking = _spiking(float_network, dataset, conversion)
    decides = model.network.decision is not Decision.NONE
    return Setting(
        name=model.network.name + (f"-p{conversion.percentile:g}" if conversion.percentile != usual else ""),
        model=model,
        seed=seed,
        conversion=conversion,
        network=_integer(spiking, conversion, decides),
        float_network=float_network,
        spiking=spiking,
        dataset=dataset,
        images=dataset.test_images[:number],
        labels=dataset.test_labels[:number],
    )


def _of_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """What `convert` was told, as a `Conversion` has it."""
    if settings["method"] != "percentile":
        raise ValueError("its thresholds were balanced, and an experiment scales by a percentile")
    fields = Conversion.__dataclass_fields__
    return {name: value for name, value in settings.items() if name in fields and value is not None}


def _spiking(network: FloatNetwork, dataset: Dataset, how: Conversion) -> SpikingNetwork:
    return normalise(network, dataset.train_images[: how.images], how.percentile, how.output_activation)


def _integer(spiking: SpikingNetwork, how: Conversion, decides: bool) -> Network:
    """Without preload, and wide enough for every preload and for a search over `TIMESTEPS`."""
    network, _ = quantize(
        spiking,
        weight_bits=how.weight_bits,
        potential_bits=None,
        fraction_bits=how.fraction_bits,
        timesteps=max(how.timesteps, TIMESTEPS),
        preload=1 - 1e-9,
        decision=Decision.COUNT if decides else Decision.NONE,
    )
    return replace(with_preloads(network, 0.0), timesteps=how.timesteps)
