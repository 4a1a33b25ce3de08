"""What `bench` measured, as tables for a terminal of 80 columns."""

from typing import Any

from rich import box
from rich.table import Table

from .bench_pipelines import CLOCK
from .words import fixed, of

__all__ = ["bench_tables"]


def bench_tables(result: dict[str, Any]) -> list[Table]:
    """The tables of what `run_bench` returned."""
    return [
        _dense_table(result),
        _net_1_table(result["net_1"]),
        _pipeline_table(result["pipelines"]),
        _speed_table(result),
    ]


def _dense_table(result: dict[str, Any]) -> Table:
    table = Table(title=f"{result['network']}, T = {result['timesteps']}: cycles per image, and lane utilization")
    table.add_column("lanes", justify="right")
    events = [row for row in result["rows"] if row["name"] == result["network"]]
    densities = sorted({row["density"] for row in events})
    for density in densities:
        table.add_column(f"{density:.0%}", justify="right")
    table.add_column("13 %, encoder", justify="right")
    for lanes in sorted({row["lanes"] for row in events}):
        mine = {(row["name"], row["density"]): row for row in result["rows"] if row["lanes"] == lanes}
        encoded = next(row for (name, _), row in mine.items() if name != result["network"])
        shown = [*(mine[result["network"], density] for density in densities), encoded]
        table.add_row(str(lanes), *(f"{row['cycles_per_image']:,.0f}\n{row['lane_utilization']:.3f}" for row in shown))
    peer = result["peer"]
    table.add_section()
    table.add_row(str(peer["lanes"]), f"{peer['cycles_per_image']:,}", *["same"] * (len(densities) - 1), "")
    table.caption = f"Last row: {peer['name']} ({peer['source']})."
    return table


def _net_1_table(net: dict[str, Any]) -> Table:
    """A section for each core, a row for each layer."""
    table = Table(
        title=f"Net 1 C, T = {net['timesteps']}: mean of {of(net['images'], 'image')}",
        box=box.SIMPLE,
        pad_edge=False,
        caption=f"Weights: {net['weights']}; input: {net['data']}.\n"
        f"word: columns x channels of the neurons that share one; util.: lane utilization, of a layer's own cycles "
        f"and of all.",
        caption_justify="left",
    )
    table.add_column("lanes", justify="right")
    table.add_column("layer")
    for heading in ("grid", "word", "words", "active %", "cycles", "util."):
        table.add_column(heading, justify="right")
    for row in net["rows"]:
        for layer in row["layers"]:
            table.add_row(
                str(row["lanes"]),
                layer["name"],
                layer["grid"],
                f"{layer['columns_per_word']}x{layer['channels_per_word']}",
                f"{layer['words']:,}",
                f"{100 * layer['activity']:.1f}",
                fixed(layer["cycles_per_image"]),
                f"{layer['lane_utilization']:.3f}",
            )
        whole = fixed(row["cycles_per_image"]), f"{row['lane_utilization']:.3f}"
        table.add_row(str(row["lanes"]), "all", "", "", "", "", *whole)
        table.add_section()
    return table


def _pipeline_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        title="pipelines: cycles from decision to decision in steady state",
        box=box.SIMPLE,
        pad_edge=False,
        caption=f"Images per second at {CLOCK:g} MHz, which is assumed.",
        caption_justify="left",
    )
    table.add_column("network")
    table.add_column("cores: lanes")
    for heading in ("images", "first", "interval", "util.", "images/s"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row["name"],
            "\n".join(f"{', '.join(core['layers'])}: {core['lanes']}" for core in row["cores"]),
            str(row["inferences"]),
            f"{row['cycles_first_image']:,}",
            f"{row['interval']:,.0f}",
            f"{row['lane_utilization']:.3f}",
            f"{row['images_per_second']:,.0f}",
        )
    return table


def _speed_table(result: dict[str, Any]) -> Table:
    table = Table(title="speed on this machine")
    table.add_column("what")
    table.add_column("per second", justify="right")
    for row in result["simulation"]:
        table.add_row(f"simulated cycles, 784-128-10, {row['lanes']} lanes", f"{row['simulated_cycles_per_second']:,}")
    for row in result["net_1"]["rows"]:
        speed = row["simulated_cycles"] / row["simulation_seconds"]
        table.add_row(f"simulated cycles, Net 1 C, {row['lanes']} lanes", f"{speed:,.0f}")
    table.add_row("golden model, images, plain", f"{result['golden_images_per_second_plain']:,}")
    table.add_row("golden model, images, fast", f"{result['golden_images_per_second_fast']:,}")
    return table
