"""Held-out images on a board: what is put in, what is compared, and the table of it."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table

from hillock.host.connection import Statistics
from hillock.host.identity import Identity
from hillock.host.program import Program
from hillock.host.results import Inputs, Result, difference
from hillock.host.uartbone import BITS_OF_A_BYTE
from hillock.sim import golden
from hillock.sim.network import Network
from hillock.sim.timing import time_inference

from .datasets import load_dataset
from .models import load_model
from .pipeline import PipelinePlacement
from .simulate import check_images, inference_of

__all__ = ["compared", "figures", "held_out", "results_table"]


def held_out(network: Network, model: str, count: int) -> tuple[list[Inputs], list[int]]:
    """(inputs, labels) of the first held-out images that `model` was trained for."""
    dataset = load_dataset(load_model(model).dataset)
    check_images(network, dataset, count)
    inputs: list[Inputs] = [inference_of(network, pixels.astype(np.int64)) for pixels in dataset.test_images[:count]]
    return inputs, dataset.test_labels[:count].tolist()


def compared(
    placement: PipelinePlacement, program: Program, inputs: Sequence[Inputs], results: Sequence[Result]
) -> list[str | None]:
    """The first difference of each result from the golden model.

    Cycles are those of an image that ran alone on one core: events come as slowly as the link brings them.
    """
    timed = placement.network.image_input and len(placement.cores) == 1
    found = []
    for number, (given, result) in enumerate(zip(inputs, results, strict=True)):
        trace = golden.run(placement.network, **given)  # type: ignore[arg-type]
        cycles = None
        if timed and result.cycles is not None:
            cycles = time_inference(placement.pipeline, trace).decision
        wrong = difference(program, result, trace, cycles)
        found.append(f"image {number}: {wrong}" if wrong else None)
    return found


def figures(
    identity: Identity,
    results: Sequence[Result],
    labels: Sequence[int],
    differences: Sequence[str | None],
    statistics: Statistics,
    transfer: tuple[int, int],
    *,
    compare: bool,
) -> dict[str, Any]:
    """What `--json` prints; `transfer` is how many bytes the images took, there and back.

    `link_share` is the part of the time between decisions in which the wire was busy there or back: both ways share
    it, since a host waits for answers. The rest is the host's and the board's. `core_share` is that in which the cores
    were at work, and known of images that ran alone; where images overlap both go on at once.
    """
    right = sum(result.decision == label for result, label in zip(results, labels, strict=True))
    clocks = [result.clock for result in results]
    gaps = [(after - before) % (1 << 32) for before, after in pairwise(clocks)]
    alone = [result.cycles for result in results if result.cycles is not None]
    between = sum(gaps) / len(gaps) if gaps else None
    wire = sum(transfer) * BITS_OF_A_BYTE / identity.baud / len(results)
    return {
        "design": f"{identity.design:#010x}",
        "clock_hz": identity.clock_hz,
        "baud": identity.baud,
        "images": len(results),
        "right": right,
        "compared": compare,
        "different": sum(one is not None for one in differences) if compare else None,
        "decisions": [result.decision for result in results],
        "cycles": alone,
        "cycles_between_decisions": between,
        "images_per_second": identity.clock_hz / between if between else None,
        "bytes_per_image": [count / len(results) for count in transfer],
        "link_seconds_per_image": wire,
        "link_share": wire * identity.clock_hz / between if between else None,
        "core_share": sum(alone) / len(alone) / between if alone and between else None,
        "link": asdict(statistics),
    }


def results_table(
    results: Sequence[Result], labels: Sequence[int], differences: Sequence[str | None], summary: dict[str, Any]
) -> Group:
    """One row for each image, and what they have in common below."""
    table = Table(box=box.SIMPLE, title="images on the board")
    for name in ("image", "label", "decision", "cycles", "output spikes", "golden model"):
        table.add_column(name, justify="right")
    for number, (result, label, wrong) in enumerate(zip(results, labels, differences, strict=True)):
        table.add_row(
            str(number),
            str(label),
            str(result.decision),
            "" if result.cycles is None else f"{result.cycles:,}",
            "" if result.spikes is None else f"{int(result.spikes.sum()):,}",
            ("differs" if wrong else "equal") if summary["compared"] else "not compared",
        )
    link = summary["link"]
    said = f"{summary['different']} different from" if summary["compared"] else "not compared with"
    lines = [f"{summary['right']} of {summary['images']} right, {said} the golden model"]
    if summary["cycles_between_decisions"]:
        lines.append(
            f"{summary['cycles_between_decisions']:,.0f} cycles between decisions: {summary['images_per_second']:,.1f} "
            f"images per second at {summary['clock_hz'] / 1e6:g} MHz, the link included"
        )
        there, back = summary["bytes_per_image"]
        lines.append(
            f"{there:,.0f} bytes there and {back:,.0f} back for each: {1e3 * summary['link_seconds_per_image']:.1f} ms "
            f"at {summary['baud']:,} baud, {100 * summary['link_share']:.0f} % of the time between decisions"
        )
        if summary["core_share"]:
            lines.append(f"the cores are at work in {100 * summary['core_share']:.1f} % of it")
    lines.append(
        f"link: {link['bytes_out']:,} bytes there, {link['bytes_in']:,} back, {link['retries']} reads repeated, "
        f"{link['reloads']} loads repeated"
    )
    return Group(table, *lines)
