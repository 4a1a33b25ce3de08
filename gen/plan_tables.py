"""A plan for a board, as a table for a terminal of 80 columns and as plain values."""

from typing import Any

from rich import box
from rich.table import Table

from .planner import PlanChoice, shares
from .resources import Resources
from .words import of

__all__ = ["plan_dict", "plan_table"]


def plan_dict(choice: PlanChoice) -> dict[str, Any]:
    """The plan, what it is predicted to take and to do."""
    cores = zip(choice.placement.cores, choice.resources, strict=True)
    return {
        "network": choice.placement.network.name,
        "board": choice.board.name,
        "goal": choice.goal.value,
        "cores": [
            {
                "layers": [layer.name for layer in core.network.layers],
                "lanes": core.config.lanes,
                "layouts": {
                    layer.name: [place.layout.channels, place.layout.columns]
                    for layer, place in zip(core.network.layers, core.layers, strict=True)
                },
                "resources": vars(resources),
            }
            for core, resources in cores
        ],
        "lanes": choice.lanes,
        "cycles_first_image": choice.latency,
        "interval": round(choice.interval, 1),
        "lane_utilization": round(choice.utilization, 4),
        "clock": choice.board.clock,
        "images_per_second": round(choice.images_per_second, 1),
        "images_recorded": len(choice.traces) - 1,
        "limits": choice.limits,
    }


def plan_table(choice: PlanChoice) -> Table:
    """The cores, and what the plan takes of the board."""
    plan = plan_dict(choice)
    cores = Table(
        title=f"{plan['network']} on {choice.board.name} ({choice.board.device}), for {plan['goal']}",
        box=box.SIMPLE,
        pad_edge=False,
        caption=f"First image {plan['cycles_first_image']:,} cycles, then one every {plan['interval']:,.0f}, lane "
        f"utilization {plan['lane_utilization']:.3f}: exact for {of(plan['images_recorded'], 'recorded image')}.\n"
        f"{plan['images_per_second']:,.1f} images a second at {plan['clock']:g} MHz; clock and resources are "
        f"estimates.\nLimit: {plan['limits']}.",
        caption_justify="left",
    )
    cores.add_column("core")
    cores.add_column("layers", overflow="fold")
    for heading in ("lanes", "LUTs", "flip-\nflops", "block\nRAMs", "multi-\npliers"):
        cores.add_column(heading, justify="right")
    for number, core in enumerate(plan["cores"]):
        counts = (f"{value:,}" for value in core["resources"].values())
        cores.add_row(str(number), ", ".join(core["layers"]), str(core["lanes"]), *counts)
    cores.add_section()
    taken = shares(sum(choice.resources, Resources()), choice.board)
    cores.add_row(
        "", "all, of what may be used", str(plan["lanes"]), *(f"{n:,}\nof {there:,}" for _, n, there in taken)
    )
    return cores
