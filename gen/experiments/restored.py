"""Experiment: the images that an autoencoder gives back, timestep after timestep."""

import zlib
from base64 import b64decode, b64encode
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hillock.gen.latency import error_at, output_counts
from hillock.gen.simulate import Step
from hillock.gen.svg import drawing

from .experiment import Experiment, Options, Record, TextTable
from .latency import compared_runs
from .lines import in_file
from .preloads import LAYER_WISE
from .setting import Setting

__all__ = ["EXPERIMENT", "measure"]

_SHOWN = 3
"""Images that are drawn: the first test images."""

_COMPARED = ("0.0", LAYER_WISE)


def measure(setting: Setting, options: Options, step: Step) -> Record:
    """What is given, what the float network makes of it, and the rates after some timesteps.

    `pictures` are bytes [picture, image, pixel], compressed by zlib and written in base 64; `labels` names them.
    """
    runs, _ = compared_runs(setting, options, step)
    last = setting.network.timesteps
    times = sorted({max(1, last // part) for part in (16, 8, 4, 2, 1)})
    pictures = {"given": setting.images[:_SHOWN], "float network": _pixels(setting.rates[:_SHOWN])}
    errors = {}
    for name in _COMPARED:
        counts = output_counts(runs[name].output[:_SHOWN], setting.network.layers[-1].neurons)
        scores = error_at(runs[name].output, setting.rates)
        for t in times:
            pictures[f"{name}, t = {t}"] = _pixels(counts[:, t] / t)
        errors[name] = [round(float(scores[t - 1]), 6) for t in times]
    return {
        "search_images": options.search_images,
        "timesteps": times,
        "errors": errors,
        "shape": [*setting.dataset.image_shape, setting.dataset.channels],
        "labels": list(pictures),
        "pictures": b64encode(zlib.compress(np.stack(list(pictures.values())).tobytes(), 9)).decode(),
    }


def _pixels(rates: NDArray[Any]) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = np.rint(255 * rates.clip(0, 1)).astype(np.uint8)
    return pixels


def _tables(record: Record) -> list[TextTable]:
    rows = [[name, *(f"{error:.5f}" for error in errors)] for name, errors in record["errors"].items()]
    head = ["preload", *(f"t = {t}" for t in record["timesteps"])]
    return [TextTable("Mean squared error from the float network's output, over all images", head, rows)]


def _figures(record: Record) -> dict[str, tuple[bytes, str]]:
    rows, columns, channels = record["shape"]
    labels = record["labels"]
    content = np.frombuffer(zlib.decompress(b64decode(record["pictures"])), np.uint8)
    pictures = dict(zip(labels, content.reshape(len(labels), -1, rows, columns, channels), strict=True))
    wide, images = 2 + len(record["timesteps"]), len(pictures["given"])
    with drawing("restored"):
        figure = Figure((1.1 * wide, 1.25 * images * len(_COMPARED)), layout="constrained")
        grid = figure.subplots(images * len(_COMPARED), wide, squeeze=False)
        for image in range(images):
            for which, preload in enumerate(_COMPARED):
                shown = ["given", "float network", *(label for label in labels if label.startswith(f"{preload}, "))]
                for axes, label in zip(grid[image * len(_COMPARED) + which], shown, strict=True):
                    picture = pictures[label][image]
                    axes.imshow(picture if channels == 3 else picture[..., 0], cmap="gray", vmin=0, vmax=255)
                    axes.set_axis_off()
                    axes.set_title(label, fontsize=7)
        text = "Images given, of the float network, and of the output rates after some timesteps, by preload."
        return {"restored.svg": (in_file(figure), text)}


EXPERIMENT = Experiment(
    "restored",
    "Restored images",
    "What the autoencoder gives back: the rates of its output spikes up to a timestep, as pixels.",
    lambda setting: not setting.decides,
    measure,
    _tables,
    _figures,
    needs="a network that gives back an image",
)
