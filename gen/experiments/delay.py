"""Experiment: delayed evaluation, alone and with preloads."""

from typing import Any

import numpy as np

from hillock.gen.delay_search import DelayChoice, choose_delay
from hillock.gen.simulate import Step, in_silence
from hillock.gen.words import brief

from .experiment import Experiment, Options, Record, TextTable
from .latency import best_global, change, compared_runs
from .latency import measure as measure_latency
from .lines import Panel, draw
from .network import write_network
from .preloads import LAYER_WISE
from .runs import Run
from .scores import Measure, measure_of
from .setting import Setting

__all__ = ["EXPERIMENT", "measure"]

_AT = (0.25, 0.5, 1.0)
"""Parts of the inference at which the score is shown for every delay."""


def measure(setting: Setting, options: Options, step: Step) -> Record:
    """For no preload, the global one that is soonest, and the layer-wise ones: what each delay is worth.

    The latency that is reported for a delay includes it.
    """
    latency = measure_latency(setting, options, step)
    runs, _ = compared_runs(setting, options, in_silence)
    measured = measure_of(setting, runs["0.0"])
    middle = list(latency["wanted"])[len(latency["wanted"]) // 2]
    names = dict.fromkeys(["0.0", best_global(latency["preloads"], middle) or "0.5", LAYER_WISE])
    done = step("delays: preloads", len(names))
    results = {}
    for name in names:
        results[name] = _one(runs[name], measured)
        done(1)
    written = {}
    for criterion in measured.wanted:
        soonest = _soonest(results, criterion)
        if soonest:
            chosen = results[soonest]["chosen"][criterion]
            choice = DelayChoice(chosen["delay"], chosen["first_at"])
            network = write_network(setting, runs[soonest].network, criterion, choice, options.cache)
            written[network.name] = {"preload": soonest, "digest": network.digest()}
    return {
        "search_images": options.search_images,
        "layer_wise": latency["layer_wise"],
        "measure": measured.name,
        "wanted": latency["wanted"],
        "without": {name: latency["preloads"]["0.0"][name] for name in ("first_at", "sop")},
        "preloads": results,
        "written": written,
    }


def _one(run: Run, measured: Measure) -> dict[str, Any]:
    by_delay = measured.by_delay(run)
    timesteps = len(by_delay)
    chosen = {}
    for criterion, wanted in measured.wanted.items():
        choice = choose_delay(by_delay, wanted, falling=measured.falling)
        chosen[criterion] = choice and {
            "delay": choice.delay,
            "first_at": choice.latency,
            "sop": round(run.operations_until(choice.latency), 1),
        }
    shown = [max(1, round(part * timesteps)) for part in _AT]
    first = [measured.first(scores) for scores in by_delay]
    return {
        "chosen": chosen,
        "score_at": {str(t): [_rounded(by_delay[delay, t - 1]) for delay in range(t)] for t in shown},
        "first_at": {criterion: [one[criterion] for one in first] for criterion in measured.wanted},
    }


def _soonest(results: dict[str, Any], criterion: str) -> str | None:
    """The preload that reaches a criterion first with its best delay; of equal ones that with the fewest operations."""
    chosen = {name: one["chosen"][criterion] for name, one in results.items() if one["chosen"][criterion]}
    return min(chosen, key=lambda name: (chosen[name]["first_at"], chosen[name]["sop"]), default=None)


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


def _tables(record: Record) -> list[TextTable]:
    rows = []
    without = record["without"]
    for name, one in record["preloads"].items():
        for criterion, choice in one["chosen"].items():
            if choice is None:
                rows.append([name, criterion, *["-"] * 6])
                continue
            first = one["first_at"][criterion][0]
            rows.append(
                [
                    name,
                    criterion,
                    "-" if first is None else str(first),
                    str(choice["delay"]),
                    str(choice["first_at"]),
                    change(choice["first_at"], without["first_at"][criterion]),
                    brief(choice["sop"]),
                    change(choice["sop"], without["sop"][criterion]),
                ]
            )
    head = ["preload", "criterion", "D = 0: reached at", "best D", "reached at", "change", "operations", "change"]
    title = "The delay with which a criterion is reached soonest; changes are from no preload and D = 0"
    return [TextTable(title, head, rows)]


def _figures(record: Record) -> dict[str, tuple[bytes, str]]:
    accuracy = record["measure"] == "accuracy"
    factor, y = (100, "accuracy (%)") if accuracy else (1, "mean squared error")
    preloads = record["preloads"]
    shown = list(preloads["0.0"]["score_at"])
    best = factor * max(record["wanted"].values())
    scores = [score for one in preloads.values() for t in shown for score in one["score_at"][t] if score is not None]
    panels = [
        Panel(
            title=f"At timestep {t}",
            x="delay D",
            y=y,
            lines={
                name: (
                    list(range(len(one["score_at"][t]))),
                    [np.nan if score is None else factor * score for score in one["score_at"][t]],
                )
                for name, one in preloads.items()
            },
            limits=(best - 5, max(best, factor * max(scores)) + 0.5) if accuracy else None,
            logarithmic=not accuracy,
        )
        for t in shown
    ]
    criterion = list(record["wanted"])[-1]
    reached = {
        name: (
            list(range(len(one["first_at"][criterion]))),
            [np.nan if first is None else first for first in one["first_at"][criterion]],
        )
        for name, one in preloads.items()
    }
    panels.append(Panel(title=f"{criterion} with each delay", x="delay D", y="timestep, D included", lines=reached))
    text = f"{y.capitalize()} against the delay at some timesteps, and when {criterion} is reached with each delay."
    return {"delay.svg": (draw("delay", panels), text)}


EXPERIMENT = Experiment(
    "delay",
    "Delayed evaluation",
    "Output spikes of the first D timesteps are not counted. A short delay changes nothing where no output has fired "
    "yet; a longer one drops the errors of the first timesteps; a too long one leaves too little to count. The network "
    "that is soonest is written to `build/experiments/networks/<model>-<criterion>`, a folder for `make verify`.",
    lambda setting: True,
    measure,
    _tables,
    _figures,
)
