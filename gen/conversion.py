"""A torch model to a folder with everything that was made of it: normalised or balanced, quantised, and measured."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hillock.hw.problems import Problems
from hillock.sim import network_file
from hillock.sim.network import Decision, Network

from .balance import balance_thresholds
from .convert import DEFAULT_PERCENTILE, from_torch, normalise
from .datasets import Dataset
from .float_file import save_float, stored
from .float_network import FloatNetwork
from .lift import lifted
from .quantization_report import QuantizationReport
from .quantize import quantize
from .torch_convert import MaxPooling

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ConvertedModel", "Settings", "convert_module", "write_conversion"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `from_torch`, `normalise` or `balance_thresholds`, and `quantize` are told.

    `images` training images set the scales. `percentile` is for that method only; None is `DEFAULT_PERCENTILE`.
    Thresholds are balanced over the timesteps of the network.
    """

    input_shape: tuple[int, ...]
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    max_pooling: MaxPooling = "refuse"
    method: Literal["percentile", "balance"] = "percentile"
    percentile: float | None = None
    images: int = 1000
    weight_bits: int = 8
    potential_bits: int | None = None
    fraction_bits: int = 4
    timesteps: int = 25
    preload: float = 0.5


@dataclass(frozen=True, eq=False)
class ConvertedModel:
    """What a conversion gave, and by how much outputs were `lifted`.

    The accuracy is in the report; where nothing is decided there is none.
    """

    network: Network
    float_network: FloatNetwork
    report: QuantizationReport
    settings: Settings
    dataset: Dataset
    lift: float


def convert_module(
    module: "nn.Module",
    dataset: Dataset,
    settings: Settings,
    name: str,
    test_images: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ConvertedModel:
    """Convert `module` with training images of `dataset`, and measure both networks on its test images, or the first.

    What ends in one place decides between classes, as many as the data set has; a grid decides nothing. `progress` is
    told of images measured: (done since it was last told, all). Raises `HillockError` as the parts do, and for settings
    that do not go together.
    """
    problems = Problems(f"conversion of {name!r}")
    sizes, rows, columns = settings.input_shape, *dataset.image_shape
    problems.require(
        sizes in ((dataset.pixels,), (dataset.channels, rows, columns)),
        f"input_shape must be that of {dataset.name}, {(dataset.channels, rows, columns)}, or its {dataset.pixels} "
        f"values, not {sizes}",
    )
    problems.require(
        settings.method == "percentile" or settings.percentile is None,
        f"percentile must not be given where thresholds are balanced, and is {settings.percentile}",
    )
    problems.raise_any()
    how: dict[str, Any] = {key: getattr(settings, key) for key in ("mean", "std", "max_pooling")}
    trained = from_torch(module, settings.input_shape, name=name, **how)
    output = trained.layers[-1].shape
    problems.require(
        not output.flat or output.channels == dataset.classes,
        f"its outputs must be as many as the classes of {dataset.name}, {dataset.classes}, not {output.channels}",
    )
    problems.raise_any()
    calibration = dataset.train_images[: settings.images]
    trained, lift = lifted(trained, calibration) if output.flat else (trained, 0.0)
    trained = stored(trained)
    if settings.method == "balance":
        spiking = balance_thresholds(trained, calibration, settings.timesteps)
    else:
        percentile = DEFAULT_PERCENTILE if settings.percentile is None else settings.percentile
        spiking = normalise(trained, calibration, percentile)
    network, report = quantize(
        spiking,
        weight_bits=settings.weight_bits,
        potential_bits=settings.potential_bits,
        fraction_bits=settings.fraction_bits,
        timesteps=settings.timesteps,
        preload=settings.preload,
        decision=Decision.COUNT if output.flat else Decision.NONE,
    )
    if output.flat:
        images, labels = dataset.test_images[:test_images], dataset.test_labels[:test_images]
        report = report.measured(trained, network, images, labels, lambda done: progress(done, len(images)))
    return ConvertedModel(network, trained, report, settings, dataset, lift)


def write_conversion(model: ConvertedModel, folder: Path, source: dict[str, Any]) -> None:
    """Write `network.hlk`, `float.npz` and `model.json`, which also says `source`, to `folder`."""
    report, dataset, accuracy = model.report.as_dict(), model.dataset, model.report.accuracy
    before: dict[str, Any] = {} if accuracy is None else {"accuracy": accuracy.before}
    after: dict[str, Any] = {} if accuracy is None else {"accuracy": accuracy.after}
    if accuracy is not None:
        after["accuracy_by_timestep"] = accuracy.by_timestep
    data = {"name": dataset.name, "digest": dataset.digest, "test_images": 0 if accuracy is None else accuracy.images}
    if dataset.remark:
        data["remark"] = dataset.remark
    record = {
        "source": source,
        "settings": asdict(model.settings),
        "data": data,
        "float": before,
        "lift": model.lift,
        "integer": {"digest": model.network.digest(), "timesteps": model.network.timesteps} | after,
        "quantization": report,
    }
    network_file.save(model.network, folder / f"network{network_file.SUFFIX}")
    save_float(model.float_network, folder / "float.npz")
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    network_file.write_file(folder / "model.json", text.encode())
