"""Experiment: what the preload is worth on a board, in cycles of the compiled gateware."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from hillock.gen.bench_pipelines import pipeline_row
from hillock.gen.boards import board as board_of
from hillock.gen.pipeline import place_pipeline
from hillock.gen.planner import Goal, choose_plan
from hillock.gen.quantize import narrowed
from hillock.gen.simulate import Step, in_silence
from hillock.hw.problems import HillockError
from hillock.sim import golden
from hillock.sim.network import Network

from .experiment import Experiment, Options, Record, TextTable
from .latency import best_global, change, compared_runs
from .latency import measure as measure_latency
from .preloads import LAYER_WISE
from .setting import Setting

__all__ = ["EXPERIMENT", "measure"]

_PLANNED = 4
"""Images that the plan is made with."""


def measure(setting: Setting, options: Options, step: Step) -> Record:
    """The same plan, with each preload run for as many timesteps as it needs to reach the criterion.

    The plan is made for the best global preload. Images follow each
    other through it, each equal to the golden model to the cycle.
    """
    latency = measure_latency(setting, options, step)
    target = board_of(options.board)
    criterion = options.criterion
    if criterion not in latency["wanted"]:
        raise HillockError(f"criterion: it must be one of {', '.join(latency['wanted'])}, not {criterion!r}")
    best = best_global(latency["preloads"], criterion)
    names = [name for name in dict.fromkeys(["0.0", best, LAYER_WISE]) if name]
    runs, _ = compared_runs(setting, options, in_silence)
    reached = {name: latency["preloads"][name]["first_at"][criterion] for name in names}
    missing = [name for name in names if reached[name] is None]
    if missing:
        raise HillockError(
            f"experiment board: preload {', '.join(missing)} does not reach {criterion} within "
            f"{setting.network.timesteps} timesteps: give more of them"
        )
    compared = {name: narrowed(replace(runs[name].network, timesteps=reached[name])) for name in names}
    width = max(network.potential_bits for network in compared.values())  # the gateware is the same for all
    compared = {name: replace(network, potential_bits=width) for name, network in compared.items()}
    given = [{"image": image.astype("int64")} for image in setting.images[: options.streamed]]
    planned = compared[names[1]]
    traces = [golden.run(planned, **one) for one in given[:_PLANNED]]
    choice = choose_plan(planned, target, traces, cores=(1, 4), lanes=options.lanes, goal=Goal.EFFICIENCY)
    cuts, widths = _cuts(choice.placement.cores, planned), [core.config.lanes for core in choice.placement.cores]
    rows = {}
    for name, network in compared.items():
        placement = place_pipeline(network, cuts, widths)
        row = pipeline_row(placement, given, Path("build/verilator"), step, target.clock)
        rows[name] = {"timesteps": network.timesteps, "potential_bits": network.potential_bits} | row
    return {
        "search_images": options.search_images,
        "criterion": criterion,
        "board": target.name,
        "clock_mhz": target.clock,
        "cuts": [planned.layers[cut].name for cut in cuts],
        "lanes": widths,
        "streamed_images": len(given),
        "preloads": rows,
    }


def _cuts(cores: Any, network: Network) -> list[int]:
    """The layers with which the second and later cores begin, by index."""
    names = [layer.name for layer in network.layers]
    own = [[layer.name for layer in core.network.layers if layer.name in names] for core in cores]
    return [names.index(layers[0]) for layers in own[1:]]


def _tables(record: Record) -> list[TextTable]:
    before = record["preloads"]["0.0"]
    rows = [
        [
            name,
            str(one["timesteps"]),
            f"{one['interval']:,.0f}",
            f"{one['images_per_second']:,.0f}",
            change(one["images_per_second"], before["images_per_second"]),
            f"{one['sop_per_image']:,.0f}",
            change(one["sop_per_image"], before["sop_per_image"]),
            f"{one['lane_utilization']:.3f}",
        ]
        for name, one in record["preloads"].items()
    ]
    title = (
        f"{record['board']}, {' + '.join(map(str, record['lanes']))} lanes, at {record['clock_mhz']:g} MHz (assumed), "
        f"{record['streamed_images']} images behind each other, for {record['criterion']}"
    )
    head = [
        "preload",
        "T",
        "cycles per image",
        "images/s",
        "change",
        "operations per image",
        "change",
        "lane utilization",
    ]
    return [TextTable(title, head, rows)]


EXPERIMENT = Experiment(
    "board",
    "What the preload is worth on a board",
    "The same cores and lanes, each network run for just the timesteps it needs. Cycles are those of the compiled "
    "gateware, equal to the golden model's; the clock is an assumption until place and route says it.",
    lambda setting: setting.decides,
    measure,
    _tables,
    lambda record: {},
    needs="a network that tells classes apart",
)
