"""What the terminal shows after a simulation, in 80 columns; and the words and shares that the report has in common."""

from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from hillock.sim.timing import CHANGE, CHANGE_SAME, START

from .simulate import Simulation

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

    The shares sum to 1. A lane that stays empty in the last word of a layer counts with its part of the cycle.
    """
    config, network = result.config, result.network
    total = sum(result.cycles) / result.images
    words = [config.words(layer.neurons) for layer in network.layers]
    adding = sum(layer.sop for layer in result.layers) / config.lanes / result.images
    busy = sum(layer.busy_cycles for layer in result.layers) / result.images
    fire = network.timesteps * sum(words)
    change = CHANGE_SAME if len(words) == 1 else CHANGE
    preload = START + sum(word + change for word in words)
    changes = (network.timesteps * len(words) - 1) * change
    parts = [
        ("weights added", "every lane adds a weight to a potential", adding),
        ("empty lanes", "lanes beyond the last neuron of a layer, while the others add", busy - fire - adding),
        ("fire passes", "reset, leak and threshold of every neuron, once per timestep", float(fire)),
        ("layer changes", "fetching the parameters of the next layer", float(changes)),
        ("preload", "start, and the preload of every potential", float(preload)),
        (
            "waits",
            "for the first spike of the layer before, for input and output, and for the decision",
            total - busy - changes - preload,
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
    return f"{_of(images, 'image')}, {_of(spikes, 'spike')} compared, {_of(differing, 'mismatch', 'es')}"


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
    sop = sum(layer.sop for layer in result.layers)
    held_out = len(result.dataset.test_images)
    other = f", all {held_out:,} images" if result.images < held_out else ""
    rows = [
        (
            f"accuracy after {_of(result.network.timesteps, 'timestep')}",
            f"{100 * int(result.correct_at[-1]) / result.images:.2f}",
            "%",
        ),
        (f"accuracy of the float ANN{other}", f"{100 * result.float_accuracy:.2f}", "%"),
        ("cycles, mean", f"{sum(cycles) / result.images:,.1f}", "cycles per image"),
        ("cycles, minimum", f"{min(cycles):,}", "cycles per image"),
        ("cycles, maximum", f"{max(cycles):,}", "cycles per image"),
        ("synaptic operations", f"{sop / result.images:,.1f}", "SOP per image"),
        (f"lane utilization, {_of(lanes, 'lane')}", f"{100 * sop / lanes / sum(cycles):.1f}", "%"),
        ("simulation speed", f"{result.simulated_cycles / result.simulation_seconds:,.0f}", "cycles per second"),
    ]
    for row in rows:
        table.add_row(*row)
    table.add_section()
    for kind in compared(result):
        outcome = Text(f"{kind.mismatches:,} differ", "bold red") if kind.mismatches else Text("all equal")
        table.add_row(f"{kind.name} compared", f"{kind.count:,}", outcome if kind.count else Text("none"))
    return table


def layer_table(result: Simulation) -> Table:
    """What each layer did for a mean image; its lane utilization is that of its own cycles."""
    table = Table(title="per layer", title_justify="left")
    table.add_column("layer")
    for heading in ("neurons", "cycles\nper image", "SOP\nper image", "spikes\nper image", "lane util.\n%"):
        table.add_column(heading, justify="right")
    for layer in result.layers:
        table.add_row(
            Text(layer.name),
            f"{layer.neurons:,}",
            f"{layer.busy_cycles / result.images:,.1f}",
            f"{layer.sop / result.images:,.1f}",
            f"{layer.spikes / result.images:,.1f}",
            f"{100 * layer.sop / (result.config.lanes * layer.busy_cycles):.1f}",
        )
    table.add_section()
    whole = sum(result.cycles)
    busy = sum(layer.busy_cycles for layer in result.layers)
    table.add_row("between layers", "", f"{(whole - busy) / result.images:,.1f}", "", "", "")
    sop = sum(layer.sop for layer in result.layers)
    spikes = sum(layer.spikes for layer in result.layers)
    table.add_row(
        "whole core",
        f"{sum(layer.neurons for layer in result.layers):,}",
        f"{whole / result.images:,.1f}",
        f"{sop / result.images:,.1f}",
        f"{spikes / result.images:,.1f}",
        f"{100 * sop / (result.config.lanes * whole):.1f}",
    )
    return table


def _of(count: int, noun: str, ending: str = "s") -> str:
    return f"{count:,} {noun}{'' if count == 1 else ending}"
