"""What the terminal shows after a simulation, in 80 columns; and the words and shares that the report has in common."""

from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from .figures import Simulation
from .words import brief, of

__all__ = ["Compared", "CycleShare", "compared", "cycle_shares", "layer_table", "summary_table", "verdict"]


@dataclass(frozen=True)
class CycleShare:
    """Cycles of a mean inference that went into one purpose, and their share of all its cycles."""

    name: str
    meaning: str
    cycles: float
    share: float


def cycle_shares(result: Simulation) -> list[CycleShare]:
    """Where the cycles of an image go: first those that add weights, whose share is the lane utilization, then others.

    The shares sum to 1. A lane that adds no weight counts with its part of the cycle.
    """
    network = result.network
    total = sum(result.cycles) / result.images
    words = [layer.layout.words for layer in result.layers]
    adding = result.sop / result.config.lanes / result.images
    busy = sum(layer.busy_cycles for layer in result.layers) / result.images
    fire = network.timesteps * sum(words)
    held = 2 * words[0] if network.static_input else 0  # two passes that hold static input; busy cycles of its layer
    parts = [
        ("weights added", "every lane adds a weight to a potential", adding),
        (
            "empty lanes",
            "lanes without a neuron, beyond the edge of a kernel or of another group, while others add; events that "
            "reach nothing",
            busy - fire - held - adding,
        ),
        ("fire passes", "reset, leak and threshold of every neuron, once per timestep", float(fire)),
        (
            "preload",
            "of every potential" + ", and of the current that static input is held as" * bool(held),
            float(sum(words) + held),
        ),
        (
            "changes and waits",
            "fetching the parameters of the next layer or connection; waiting for the first spike of the layer before, "
            "for tables, for input and output, and for the decision",
            total - busy - sum(words),
        ),
    ]
    return [CycleShare(name, meaning, cycles, cycles / total) for name, meaning, cycles in parts]


@dataclass(frozen=True)
class Compared:
    """One kind of values: how many were compared and how many of them differ."""

    name: str
    meaning: str
    count: int
    mismatches: int


def compared(result: Simulation) -> list[Compared]:
    """All that was compared."""
    found = result.comparison
    return [
        Compared(name, meaning, getattr(found, f"{field}s_compared"), getattr(found, f"{field}_mismatches"))
        for field, name, meaning in (
            ("spike", "spikes", "fired or not, of every neuron in every timestep"),
            ("potential", "membrane potentials", "of every neuron at the end of every timestep"),
            ("cycle", "cycles", "of every fire pass, output event and decision"),
            ("result", "results", "output events and decision of every image"),
        )
    ]


def verdict(result: Simulation) -> str:
    """How much was compared and how much differed, on one line."""
    images, spikes = result.comparison.inferences, result.comparison.spikes_compared
    differing = sum(kind.mismatches for kind in compared(result))
    return f"{of(images, 'image')}, {of(spikes, 'spike')} compared, {of(differing, 'mismatch', 'es')}"


def summary_table(result: Simulation) -> Table:
    """The figures of the whole run, under the verdict."""
    equal, found = result.comparison.equal, result.comparison
    cycles, lanes = result.cycles, result.config.lanes
    table = Table(
        title=Text(verdict(result), "bold green" if equal else "bold red"),
        title_justify="left",
        caption=None
        if equal
        else Text(f"first difference: {found.first}" if found.first else "nothing is proved", "red"),
        caption_justify="left",
    )
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    rows = [
        *_score_rows(result),
        ("cycles, mean", f"{sum(cycles) / result.images:,.1f}", "cycles per image"),
        ("cycles, minimum", f"{min(cycles):,}", "cycles per image"),
        ("cycles, maximum", f"{max(cycles):,}", "cycles per image"),
        ("synaptic operations", f"{result.sop / result.images:,.1f}", "SOP per image"),
        (f"lane utilization, {of(lanes, 'lane')}", f"{100 * result.utilization:.1f}", "%"),
        ("simulation speed", f"{result.simulated_cycles / result.simulation_seconds:,.0f}", "cycles per second"),
    ]
    for row in rows:
        table.add_row(*row)
    table.add_section()
    for kind in compared(result):
        outcome = Text(f"{kind.mismatches:,} differ", "bold red") if kind.mismatches else Text("all equal")
        table.add_row(f"{kind.name} compared", f"{kind.count:,}", outcome if kind.count else Text("none"))
    return table


def _score_rows(result: Simulation) -> list[tuple[str, str, str]]:
    """What the outputs are worth; nothing where there is no score."""
    score, held_out = result.score, len(result.dataset.test_images)
    if score is None:
        return []
    other = f", all {held_out:,} images" if result.images < held_out else ""
    rows = [(f"{score.title} after {of(result.network.timesteps, 'timestep')}", score.final)]
    if score.of_float is not None:
        rows.append((f"{score.title} of the float ANN{other}", score.of_float))
    shown = [(what, *score.written(value).partition(" ")[::2]) for what, value in rows]
    return shown if score.name == "accuracy" else [(what, value, "pixels from 0 to 1") for what, value, _ in shown]


def layer_table(result: Simulation) -> Table:
    """What each layer did for a mean image; its lane utilization is that of its own cycles, fire passes included."""
    table = Table(
        title="per layer, for a mean image",
        title_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
        caption="word: columns x channels of neurons, one to a lane",
        caption_justify="left",
    )
    table.add_column("layer")
    for heading in ("grid", "word", "words", "cycles", "SOP", "spikes", "lane\nutil. %"):
        table.add_column(heading, justify="right")
    for layer in result.layers:
        table.add_row(
            Text(layer.name),
            str(layer.layout.shape),
            f"{layer.layout.columns}x{layer.layout.channels}",
            f"{layer.layout.words:,}",
            brief(layer.busy_cycles / result.images),
            brief(layer.sop / result.images),
            brief(layer.spikes / result.images),
            f"{100 * layer.utilization:.1f}",
        )
    table.add_section()
    whole = sum(result.cycles)
    busy = sum(layer.busy_cycles for layer in result.layers)
    table.add_row("between", "", "", "", brief((whole - busy) / result.images), "", "", "")
    table.add_row(
        "whole core",
        "",
        "",
        f"{sum(layer.layout.words for layer in result.layers):,}",
        brief(whole / result.images),
        brief(result.sop / result.images),
        brief(sum(layer.spikes for layer in result.layers) / result.images),
        f"{100 * result.utilization:.1f}",
    )
    return table
