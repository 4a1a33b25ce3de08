"""Experiment: accuracy and latency with fewer weight bits."""

from hillock.gen.preload_search import with_preloads
from hillock.gen.simulate import Step

from .experiment import Experiment, Options, Record, TextTable
from .lines import Panel, draw
from .runs import run_images
from .scores import measure_of
from .setting import Setting

__all__ = ["EXPERIMENT", "measure"]

_PRELOAD = 0.5


def measure(setting: Setting, options: Options, step: Step) -> Record:
    """The accuracy after each timestep with weights of so many bits, and where it reaches the criteria."""
    results = {}
    for width in options.bits:
        network = with_preloads(setting.with_bits(width), _PRELOAD)
        done = step(f"{width}-bit weights: images", len(setting.images))
        run = run_images(network, setting.images, options.cache, done)
        measured = measure_of(setting, run)
        scores = measured.at(run)
        results[str(width)] = {
            "potential_bits": network.potential_bits,
            "first_at": measured.first(scores),
            "accuracy": [round(float(score), 6) for score in scores],
        }
    return {"preload": _PRELOAD, "float_accuracy": round(setting.float_accuracy, 6), "bits": results}


def _tables(record: Record) -> list[TextTable]:
    rows = []
    of_float = record["float_accuracy"]
    for width, one in record["bits"].items():
        accuracy, last = one["accuracy"], one["first_at"]["t99.9"]
        at = "-" if last is None else f"{100 * accuracy[last - 1]:.2f} % ({100 * (accuracy[last - 1] - of_float):+.2f})"
        rows.append(
            [
                f"{width} bits",
                *("-" if first is None else str(first) for first in one["first_at"].values()),
                at,
                f"{100 * accuracy[-1]:.2f} % ({100 * (accuracy[-1] - of_float):+.2f})",
            ]
        )
    criteria = list(next(iter(record["bits"].values()))["first_at"])
    title = f"Preload {record['preload']}; in brackets the points to the float network, {100 * of_float:.2f} %"
    return [TextTable(title, ["weights", *criteria, "accuracy at t99.9", "accuracy at T"], rows)]


def _figures(record: Record) -> dict[str, tuple[bytes, str]]:
    top = 100 * record["float_accuracy"]
    lines = {
        f"weights of {width} bits": (
            list(range(1, len(one["accuracy"]) + 1)),
            [100 * score for score in one["accuracy"]],
        )
        for width, one in record["bits"].items()
    }
    panel = Panel(
        title="Accuracy near the float network's",
        x="timestep",
        y="accuracy (%)",
        lines=lines,
        levels={"float network": top},
        limits=(top - 4.0, top + 0.5),
    )
    return {"bits.svg": (draw("bits", [panel]), "Accuracy against timestep, a line for each number of weight bits.")}


EXPERIMENT = Experiment(
    "bits",
    "Weight bits",
    "The same network with weights rounded to fewer bits, one scale for each layer, with no training after it.",
    lambda setting: setting.decides,
    measure,
    _tables,
    _figures,
    needs="a network that tells classes apart",
)
