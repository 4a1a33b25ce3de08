"""Training of the networks that come with the project: a ReLU network in torch, converted, quantised and measured.

What is made is the folder `models/<name>`: `network.hlk` (what the hardware runs), `float.npz` (the ReLU network it
comes from) and `model.json` (how it was made and what it scores). The same seed, torch and kind of processor give the
same bytes; another processor adds in another order, and may give another network of the same quality.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hillock.hw.problems import HillockError
from hillock.sim import network_file
from hillock.sim.batch import BatchResult, run_batch
from hillock.sim.network import Decision, Network

from .byte_product import byte_product
from .convert import normalise
from .datasets import Dataset, load_dataset
from .float_file import save_float, stored
from .float_network import FloatArray, FloatNetwork
from .lift import lifted
from .quantization_report import QuantizationReport
from .quantize import quantize
from .recipes import RECIPES, Recipe
from .training import import_torch, train_float

__all__ = ["RECIPES", "TrainedModel", "convert", "ready", "train_model"]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """What a training gave: `record` is the content of `model.json`."""

    network: Network
    float_network: FloatNetwork
    report: QuantizationReport
    record: dict[str, Any]


def train_model(
    name: str,
    folder: str | Path = "models",
    *,
    work: str | Path = "build/train",
    seed: int | None = None,
    progress: bool = True,
) -> TrainedModel:
    """Train the network `name`, measure it on the test images, and write it to `folder`/`name`.

    Parameters
    ----------
    work : path
        `work`/`name` has a checkpoint while the training lasts. One that was interrupted goes on from there.
    seed : int
        Replaces the one of the recipe.
    progress : bool
        Whether to draw progress bars.

    Raises `HillockError` for a name without a recipe, where torch is missing, and for what cannot be read or written.
    """
    if name not in RECIPES:
        raise HillockError(f"model: it must be one of {', '.join(RECIPES)}, not {name!r}")
    recipe = RECIPES[name]
    command = f"python -m hillock.gen train {name}"
    if seed is not None and seed != recipe.seed:
        recipe, command = replace(recipe, seed=seed), f"{command} --seed {seed}"
    torch = import_torch()
    dataset = load_dataset(recipe.dataset)
    checkpoint = Path(work) / name / "checkpoint.pt"
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bars:
        epochs = bars.add_task(f"training {name}: epochs", total=recipe.epochs)
        trained = train_float(dataset, recipe, name, lambda done: bars.advance(epochs, done), checkpoint)
        trained, lift = ready(trained, dataset, recipe)
        network, report = convert(trained, dataset, recipe)
        images = dataset.test_images[: recipe.test_images].astype(np.int64)
        measured = bars.add_task(f"measuring {name}: images", total=len(images))
        result = run_batch(network, images, lambda done: bars.advance(measured, done), product=byte_product())
    record: dict[str, Any] = {"command": command, "recipe": asdict(recipe), "torch": str(torch.__version__)}
    record |= _scores(dataset, recipe, trained, network, result) | {"quantization": report.as_dict()}
    if lift:
        record["lift"] = lift
    _write(Path(folder) / name, network, trained, record)
    checkpoint.unlink(missing_ok=True)
    return TrainedModel(network, trained, report, record)


def ready(trained: FloatNetwork, dataset: Dataset, recipe: Recipe) -> tuple[FloatNetwork, float]:
    """What is converted and written, and by how much the outputs of a classifier were lifted for it."""
    if recipe.goal != "class":
        return trained, 0.0
    raised, lift = lifted(trained, dataset.train_images[: recipe.conversion.images])
    return stored(raised), lift


def convert(trained: FloatNetwork, dataset: Dataset, recipe: Recipe) -> tuple[Network, QuantizationReport]:
    """The integer network that `recipe` makes of a trained one."""
    how = recipe.conversion
    return quantize(
        normalise(trained, dataset.train_images[: how.images], how.percentile, how.output_activation),
        weight_bits=how.weight_bits,
        potential_bits=how.potential_bits,
        fraction_bits=how.fraction_bits,
        timesteps=how.timesteps,
        preload=how.preload,
        decision=Decision.COUNT if recipe.goal == "class" else Decision.NONE,
    )


def _scores(
    dataset: Dataset, recipe: Recipe, trained: FloatNetwork, network: Network, result: BatchResult
) -> dict[str, Any]:
    """What `model.json` says of the data, and of both networks: the integer one on the images of `result` alone."""
    images = len(result.decisions)
    outputs = trained.outputs(dataset.test_images)
    score = _class_scores if recipe.goal == "class" else _image_scores
    of_float, of_integer = score(dataset, outputs, network, result)
    return {
        "data": {"name": dataset.name, "digest": dataset.digest, "test_images": images}
        | ({"remark": dataset.remark} if dataset.remark else {}),
        "float": of_float,
        "integer": of_integer
        | {
            "digest": network.digest(),
            "timesteps": network.timesteps,
            "sop_per_image": round(float(result.sop.sum()) / images, 1),
            "spikes_per_image": {
                layer.name: round(float(spikes) / images, 1)
                for layer, spikes in zip(network.layers, result.spikes.sum(axis=(0, 1)), strict=True)
            },
        },
    }


def _class_scores(
    dataset: Dataset, outputs: FloatArray, network: Network, result: BatchResult
) -> tuple[dict[str, Any], dict[str, Any]]:
    """How many images are right: for the float network of all and of those of `result`, for the other of the latter."""

    def score(right: Any) -> dict[str, Any]:
        return {"correct": int(right.sum()), "accuracy": round(float(right.mean()), 6)}

    labels = dataset.test_labels[: len(result.decisions)]
    by_timestep = (result.decisions_at == labels[:, None]).T
    right_of_float = outputs.argmax(axis=1) == dataset.test_labels
    of_float = score(right_of_float)
    if len(labels) < len(right_of_float):
        of_float["accuracy_on_the_same_images"] = score(right_of_float[: len(labels)])["accuracy"]
    return of_float, (
        score(result.decisions == labels)
        | {"accuracy_by_timestep": [score(right)["accuracy"] for right in by_timestep]}
    )


def _image_scores(
    dataset: Dataset, outputs: FloatArray, network: Network, result: BatchResult
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Mean squared errors: of the float network from the image, and of the rates from the image and from the former.

    An image is 0..1, and so is a rate, the count of spikes over the timesteps in which it is counted; the outputs of
    the float network are clipped to that.
    """
    images = len(result.counts)
    wanted, given = dataset.test_images[:images] / 255, outputs[:images].clip(0, 1)
    rates = result.counts / (network.timesteps - network.delay)

    def error(values: FloatArray, others: FloatArray) -> float:
        return round(float(np.mean((values - others) ** 2)), 6)

    return {"mse": error(given, wanted)}, {"mse": error(rates, wanted), "mse_from_float": error(rates, given)}


def _write(folder: Path, network: Network, trained: FloatNetwork, record: dict[str, Any]) -> None:
    network_file.save(network, folder / f"network{network_file.SUFFIX}")
    save_float(trained, folder / "float.npz")
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    network_file.write_file(folder / "model.json", text.encode())
