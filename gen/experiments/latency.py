"""Experiment: how soon a network is good enough, and at what cost, with one preload or another."""

from collections.abc import Mapping
from typing import Any

from hillock.gen.simulate import Step
from hillock.gen.words import brief

from .experiment import Experiment, Options, Record, TextTable
from .lines import Panel, draw
from .preloads import LAYER_WISE, networks, search
from .runs import Run, run_images
from .scores import Measure, measure_of
from .setting import Setting

__all__ = ["EXPERIMENT", "compared_runs", "measure"]


def compared_runs(setting: Setting, options: Options, step: Step) -> tuple[dict[str, Run], Any]:
    """A run for every preload that is compared, by its name, and what the search for the layer-wise ones found."""
    done = step("layer-wise preloads: layers", len(setting.network.layers))
    found = search(setting, options, progress=done)
    runs = {}
    for name, network in networks(setting, found["fractions"]).items():
        done = step(f"preload {name}: images", len(setting.images))
        runs[name] = run_images(network, setting.images, options.cache, done)
    return runs, found


def measure(setting: Setting, options: Options, step: Step) -> Record:
    """The score of every preload after each timestep, when it reaches the criteria, and the operations until then."""
    runs, found = compared_runs(setting, options, step)
    measured = measure_of(setting, runs["0.0"])
    return {
        "search_images": options.search_images,
        "layer_wise": found["fractions"],
        "measure": measured.name,
        "float_accuracy": round(setting.float_accuracy, 6) if setting.decides else None,
        "wanted": {name: round(value, 6) for name, value in measured.wanted.items()},
        "preloads": {name: _one(run, measured) for name, run in runs.items()},
    }


def _one(run: Run, measured: Measure) -> dict[str, Any]:
    scores = measured.at(run)
    first = measured.first(scores)
    return {
        "first_at": first,
        "sop": {name: timestep and round(run.operations_until(timestep), 1) for name, timestep in first.items()},
        "sop_of_all_timesteps": round(run.operations_until(len(scores)), 1),
        "score": [round(float(score), 6) for score in scores],
    }


def change(after: float | None, before: float | None) -> str:
    """By how many percent something grew; a dash where one of the two is not known."""
    if after is None or before is None:
        return "-"
    return f"{100 * (after / before - 1):+.0f} %"


def best_global(preloads: Mapping[str, Any], criterion: str) -> str | None:
    """The global preload that reaches a criterion first; of equal ones that with the fewest operations."""
    reached = [
        (one["first_at"][criterion], one["sop"][criterion], name)
        for name, one in preloads.items()
        if name != LAYER_WISE and one["first_at"][criterion]
    ]
    return min(reached)[2] if reached else None


def _tables(record: Record) -> list[TextTable]:
    preloads, criteria = record["preloads"], list(record["wanted"])
    before = preloads["0.0"]
    timesteps, operations = [], []
    for name, one in preloads.items():
        row, spent = [name], [name]
        for criterion in criteria:
            first, sop = one["first_at"][criterion], one["sop"][criterion]
            row += ["-" if first is None else str(first), change(first, before["first_at"][criterion])]
            spent += ["-" if sop is None else brief(sop), change(sop, before["sop"][criterion])]
        timesteps.append([*row, _written(one["score"][-1], record)])
        operations.append([*spent, brief(one["sop_of_all_timesteps"])])
    head = [text for criterion in criteria for text in (criterion, "change")]
    last = f"{record['measure']} at T"
    tables = [
        TextTable("Timesteps until a criterion is reached", ["preload", *head, last], timesteps),
        TextTable("Synaptic operations per image until then", ["preload", *head, "all T"], operations),
    ]
    best = {criterion: best_global(preloads, criterion) for criterion in criteria}
    rows = []
    for criterion, name in best.items():
        row = [criterion, name or "-"]
        for one in (preloads[name] if name else None, preloads[LAYER_WISE]):
            row += [change(one[key][criterion] if one else None, before[key][criterion]) for key in ("first_at", "sop")]
        rows.append(row)
    head = ["criterion", "best global preload", "timesteps", "operations"]
    head += ["layer-wise: timesteps", "layer-wise: operations"]
    return [*tables, TextTable("Against no preload", head, rows)]


def _written(score: float, record: dict[str, Any]) -> str:
    return f"{100 * score:.2f} %" if record["measure"] == "accuracy" else f"{score:.6f}"


def _figures(record: Record) -> dict[str, tuple[bytes, str]]:
    accuracy = record["measure"] == "accuracy"
    factor = 100 if accuracy else 1
    steps = list(range(1, len(record["preloads"]["0.0"]["score"]) + 1))
    lines = {name: (steps, [factor * score for score in one["score"]]) for name, one in record["preloads"].items()}
    levels = {name: factor * wanted for name, wanted in record["wanted"].items()}
    until = max(
        [one["first_at"][name] or len(steps) for one in record["preloads"].values() for name in record["wanted"]]
    )
    near = {name: (x[: until + 2], y[: until + 2]) for name, (x, y) in lines.items()}
    if accuracy:
        top = factor * record["float_accuracy"]
        levels["float network"] = top
        first, y = (0.0, 100.0), "accuracy (%)"
        highest = max(max(values) for _, values in near.values())  # an integer network may do better than its float one
        second = (top - 4.0, max(top, highest) + 0.5)
        panels = [
            Panel(title="Accuracy against timestep", x="timestep", y=y, lines=near, limits=first),
            Panel(
                title="The same, near the float network's", x="timestep", y=y, lines=near, levels=levels, limits=second
            ),
        ]
    else:
        panels = [
            Panel(
                title="Error against timestep",
                x="timestep",
                y="mean squared error",
                lines=lines,
                levels=levels,
                logarithmic=True,
            )
        ]
    text = f"{'Accuracy' if accuracy else 'Mean squared error'} against timestep, a line for each preload."
    return {"latency.svg": (draw("latency", panels), text)}


EXPERIMENT = Experiment(
    "latency",
    "How soon it is good enough",
    "`t99.0` is the first timestep at which the accuracy is 99.0 % of the float network's on the same images, and so "
    "on; of a network that gives back an image, `reference` is its mean squared error from the float network's output "
    "without preload at T. A preload is a part of the threshold, the same in all layers, or layer-wise as searched.",
    lambda setting: True,
    measure,
    _tables,
    _figures,
)
