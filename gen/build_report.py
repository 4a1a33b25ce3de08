"""What a build takes and what it does, as plain values, as a table for a terminal, and as a page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table

from .build_design import Design
from .pages import render
from .words import fixed, of, percent
from .yowasp import Hop

__all__ = ["RESOURCES", "STATE", "hops", "page", "path_in_words", "plan_values", "table"]

RESOURCES = {"lut": "LUTs", "ff": "flip-flops", "bram": "block RAMs", "dsp": "multipliers", "spram": "SPRAMs"}
STATE = "built, not yet run on a board"


def plan_values(design: Design) -> dict[str, Any]:
    """What is known before synthesis."""
    board, choice = design.board, design.choice
    predicted = {} if design.predicted is None else vars(design.predicted)
    made = design.hz / 1e6
    per_second = made * 1e6 / choice.interval
    return {
        "board": board.name,
        "device": board.device,
        "model": choice.placement.network.name,
        "network_digest": choice.placement.network.digest(),
        "lanes": choice.lanes,
        "cores": [
            {
                "layers": [layer.name for layer in core.network.layers],
                "lanes": core.config.lanes,
                "config": core.config.as_dict(),
            }
            for core in choice.placement.cores
        ],
        "limits": choice.limits,
        "baud": design.baud,
        "holds_network": design.holds_network,
        "clock": {"asked": board.clock, "made": made},
        "resources": {
            name: {"available": getattr(board, name), "predicted": predicted.get(name)}
            for name in RESOURCES
            if getattr(board, name)
        },
        "speed": {
            "images_recorded": len(choice.traces) - 1,
            "cycles_first_image": choice.latency,
            "cycles_per_image": round(choice.interval, 1),
            "images_per_second": round(per_second, 1),
            "sop_per_image": round(choice.sop, 1),
            "lane_utilization": round(choice.utilization, 4),
            "gsops_peak": round(choice.lanes * made / 1e3, 3),
            "gsops_sustained": round(choice.sop * per_second / 1e9, 3),
        },
    }


def path_in_words(path: Sequence[Hop]) -> str:
    """The critical path: where it begins and ends, what is between, and what takes the time."""
    if not path:
        return "no path from register to register"
    routing = sum(hop.delay for hop in path if hop.kind == "routing")
    luts, chains = (sum(hop.kind == kind for hop in path) for kind in ("lut", "carry"))
    through = [of(luts, "LUT level")] if luts or not chains else []
    through += [of(chains, "carry chain")] if chains else []
    return (
        f"from {path[0].source} through {' and '.join(through)} to {path[-1].sink}: "
        f"{sum(hop.delay for hop in path) - routing:.1f} ns of logic, {routing:.1f} ns of routing"
    )


def tries_in_words(tried: Mapping[str, float]) -> str:
    """The seeds of place and route that were tried, and the MHz that each reached."""
    return ", ".join(f"{seed} ({reached:.1f} MHz)" for seed, reached in tried.items())


def table(values: Mapping[str, Any]) -> Table:
    """`plan_values`, and where there is more of a build, that too, for 80 columns."""
    clock, speed = values["clock"], values["speed"]
    lines = [
        f"Cores: {'; '.join(_core(core) for core in values['cores'])}.",
        f"First image {speed['cycles_first_image']:,} cycles, then one every {fixed(speed['cycles_per_image'])}: exact "
        f"for {of(speed['images_recorded'], 'recorded image')}.",
        f"At {clock['made']:g} MHz {fixed(speed['images_per_second'])} images a second, lane utilization "
        f"{speed['lane_utilization']:.3f}, {speed['gsops_sustained']:.3f} GSOP/s of {speed['gsops_peak']:.3f} at most.",
    ]
    if "reached" in clock:
        if len(values["tried"]) > 1:
            lines.append(f"Seeds tried: {tries_in_words(values['tried'])}.")
        lines += [
            f"Clock reached: {clock['reached']:.1f} MHz of {clock['made']:g} wanted; {values['critical_path']}.",
            f"{'Built' if clock['met'] else 'Not built'}, {values['state'].partition(', ')[2]}.",
        ]
    shown = Table(
        title=f"{values['model']} on {values['board']} ({values['device']})",
        title_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
        min_width=76,  # else the caption is wrapped at the width of the figures
        caption="\n".join(lines),
        caption_justify="left",
    )
    shown.add_column("")
    for heading in ("available", "predicted", "used", "share"):
        shown.add_column(heading, justify="right")
    for name, row in values["resources"].items():
        taken = row.get("used", row["predicted"])
        share = "" if taken is None else percent(taken / row["available"], 0)
        shown.add_row(RESOURCES[name], *(_count(row.get(key)) for key in ("available", "predicted", "used")), share)
    return shown


def page(values: Mapping[str, Any]) -> str:
    """`report.html`: one page without scripts that refers to nothing outside itself."""
    filters: dict[str, Callable[..., str]] = {"count": _count, "tries": tries_in_words}
    return render("build_report.html", {"values": values, "names": RESOURCES}, filters)


def hops(path: Sequence[Hop]) -> list[dict[str, Any]]:
    """The path as plain values."""
    return [asdict(hop) for hop in path]


def _core(core: Mapping[str, Any]) -> str:
    return f"{', '.join(core['layers'])} on {of(core['lanes'], 'lane')}"


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
