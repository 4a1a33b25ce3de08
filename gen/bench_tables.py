"""What `bench` measured, as tables for a terminal of 80 columns."""

from typing import Any

from rich import box
from rich.table import Table

from .words import brief, of

__all__ = ["bench_tables"]


def bench_tables(result: dict[str, Any]) -> list[Table]:
    """The tables of what `run_bench` returned."""
    return [_dense_table(result), _net_1_table(result["net_1"]), _speed_table(result)]


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
    """Layers down, cores across."""
    rows = net["rows"]
    table = Table(
        title=f"Net 1 C, T = {net['timesteps']}: mean of {of(net['images'], 'image')}, by layer and core",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        caption=f"Weights: {net['weights']}; input: {net['data']}. Utilization is that of a layer's own cycles, and of "
        f"all cycles of the core; words hold columns x channels.",
    )
    table.add_column("layer")
    table.add_column("grid", justify="right")
    table.add_column("active\n%", justify="right")
    for row in rows:
        table.add_column(f"{row['lanes']} lanes\ncycles", justify="right")
        table.add_column("word\nutil.", justify="right")
    for index, layer in enumerate(rows[0]["layers"] if rows else []):
        cells = [layer["name"], layer["grid"], f"{100 * layer['activity']:.1f}"]
        for row in rows:
            mine = row["layers"][index]
            cells.append(brief(mine["cycles_per_image"]))
            cells.append(f"{mine['columns_per_word']}x{mine['channels_per_word']}\n{mine['lane_utilization']:.3f}")
        table.add_row(*cells)
    table.add_section()
    totals = [[brief(row["cycles_per_image"]), f"{row['lane_utilization']:.3f}"] for row in rows]
    table.add_row("whole core", "", "", *(cell for total in totals for cell in total))
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
