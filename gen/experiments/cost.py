"""Experiment: the cost of every preload of a layer, and the layer-wise optimum (Algorithm 1 of Hwang et al. 2021)."""

from typing import Any

from hillock.gen.simulate import Step
from hillock.gen.words import rough

from .experiment import Experiment, Options, Record, TextTable
from .lines import Panel, draw
from .preloads import search
from .setting import Setting

__all__ = ["EXPERIMENT", "measure"]


def measure(setting: Setting, options: Options, step: Step) -> Record:
    """Both searches: the whole grid, as Algorithm 1 looks at it, and bracketing."""
    layers = len(setting.network.layers)

    whole = search(setting, options, "sequential", step("cost of every preload: layers", layers))
    fast = search(setting, options, "bracketing", step("search by bracketing: layers", layers))
    paper = whole["algorithm_1"]
    return {
        "search_images": options.search_images,
        "search_timesteps": options.search_timesteps,
        "costs": whole["costs"],
        "algorithm_1": {"fractions": whole["fractions"]} | _counted(paper),
        "bracketing": {"fractions": fast["fractions"], "single_minimum": fast["single_minimum"]}
        | _counted(fast["work"]),
        "less_work": {name: round(paper[name] / fast["work"][name], 2) for name in _counted(paper)},
    }


def _counted(work: dict[str, Any]) -> dict[str, Any]:
    """The work without its seconds, which are of one machine."""
    return {name: value for name, value in work.items() if name != "seconds"}


def _tables(record: Record) -> list[TextTable]:
    slow, fast = record["algorithm_1"], record["bracketing"]
    layers = [
        [
            name,
            f"{slow['fractions'][name]:.2f}",
            f"{fast['fractions'][name]:.2f}",
            "yes" if fast["single_minimum"][name] else "no",
        ]
        for name in slow["fractions"]
    ]
    kinds = {"synaptic_operations": "synaptic operations", "neuron_updates": "neuron updates"}
    work = [
        [title, rough(slow[kind]), rough(fast[kind]), f"{record['less_work'][kind]:.1f} times less"]
        for kind, title in kinds.items()
    ]
    return [
        TextTable(
            "Preload of each layer, as a fraction of the threshold",
            ["layer", "Algorithm 1", "bracketing", "costs seen have one minimum"],
            layers,
        ),
        TextTable("Work", ["", "Algorithm 1", "bracketing", ""], work),
    ]


def _figures(record: Record) -> dict[str, tuple[bytes, str]]:
    panels = [
        Panel(
            title=f"{name}: lowest at {record['algorithm_1']['fractions'][name]:.2f}",
            x="preload / threshold",
            y="cost",
            lines={"cost": ([at for at, _ in costs], [cost for _, cost in costs])},
        )
        for name, costs in record["costs"].items()
    ]
    text = "The cost of a layer against its preload, a panel for each layer, all earlier layers at their optimum."
    return {"cost.svg": (draw("cost", panels, columns=4, height=2.2), text)}


EXPERIMENT = Experiment(
    "cost",
    "Cost against preload",
    "The cost of a preload is the sum over the timesteps of the mean squared difference between rate and activation, "
    "over neurons and training images. Layer after layer takes the preload of the lowest cost. Algorithm 1 simulates "
    "the layer and all before it for each of 51 preloads; bracketing runs each layer alone, for some of them.",
    lambda setting: True,
    measure,
    _tables,
    _figures,
)
