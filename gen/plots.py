"""The figures of the report that show what decided, and all images together."""

from collections.abc import Callable, Sequence

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hillock.sim.golden import Trace
from hillock.sim.network import Decision, Network

from .scores import Score
from .svg import LIGHT, WIDTH, drawing, in_page, layer_colour, timestep_axis
from .words import of

__all__ = ["cycle_histogram", "layer_bars", "readout", "score"]


def readout(network: Network, trace: Trace) -> Markup:
    """What decided: output spikes, or final potentials, of each class."""
    by_count = network.decision is Decision.COUNT
    values = trace.counts if by_count else trace.layers[-1].potentials[-1]
    unit = "output spikes counted" if by_count else "membrane potential at the end"
    with drawing("readout"):
        figure = Figure((3.4, 2.1), layout="constrained")
        axes = figure.subplots()
        muted, chosen = LIGHT["grid"], LIGHT[layer_colour(len(network.layers) - 1)]
        axes.bar(
            range(len(values)), values, color=[chosen if i == trace.decision else muted for i in range(len(values))]
        )
        axes.axhline(0, color=LIGHT["muted"], linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.set(xlabel="class (output neuron)", ylabel=unit)
        listed = ", ".join(f"{index}: {value:,}" for index, value in enumerate(values))
        return in_page(figure, f"{unit.capitalize()}, by class: {listed}. Decision: {trace.decision}.")


def score(result: Score, delay: int) -> Markup:
    """The score if the inference ended after each timestep."""
    factor, unit = (100, " (%)") if result.name == "accuracy" else (1, "")
    values = factor * result.at
    steps = range(1, len(values) + 1)
    first, last = result.written(result.at[0]), result.written(result.final)
    told = f"{result.title.capitalize()} of the integer network: from {first} after timestep 1 to {last} after timestep"
    told += f" {len(values)}"
    with drawing(result.name):
        figure = Figure((WIDTH, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.plot(
            steps,
            values,
            color=LIGHT["layer1"],
            marker="o",
            markersize=3,
            linewidth=1.3,
            label=f"integer network, at the end {last}",
        )
        if result.of_float is not None:
            of_float = result.written(result.of_float)
            axes.axhline(
                factor * result.of_float,
                color=LIGHT["layer2"],
                linestyle="--",
                linewidth=1.2,
                label=f"float ANN {of_float}",
            )
            told += f"; float ANN {of_float}"
        if delay:
            axes.axvspan(
                0.4, delay + 0.5, color=LIGHT["grid"], alpha=0.6, linewidth=0, label="delay: spikes not counted yet"
            )
        axes.set_ylabel(result.title + unit)
        axes.grid(axis="y", linewidth=0.6)
        axes.legend(loc="lower right" if result.name == "accuracy" else "upper right", fontsize=9)
        timestep_axis(axes, len(values))
        return in_page(figure, f"{told}.")


def layer_bars(names: Sequence[str], measures: Sequence[tuple[str, Sequence[float], Callable[[float], str]]]) -> Markup:
    """A panel of bars, one for each layer, for every measure (title with unit, values, how a value is written)."""
    rows = -(-len(measures) // 2)
    with drawing("layers"):
        figure = Figure((WIDTH, rows * (0.45 + 0.24 * len(names))), layout="constrained")
        grid = figure.subplots(rows, 2, sharey=True, squeeze=False)
        told = []
        for axes, (title, values, written) in zip(grid.flat, measures, strict=False):
            bars = axes.barh(
                range(len(names)),
                values,
                height=0.65,
                color=[LIGHT[layer_colour(index)] for index in range(len(names))],
            )
            axes.bar_label(bars, [written(value) for value in values], padding=3, fontsize=9, color=LIGHT["ink"])
            axes.set_xlim(0, max(*values, 1e-9) * 1.38)
            axes.set_title(title)
            axes.set_yticks(range(len(names)), names)
            axes.spines["bottom"].set_visible(False)
            axes.tick_params(length=0, labelbottom=False)
            told.append(
                f"{title}: " + ", ".join(f"{name} {written(value)}" for name, value in zip(names, values, strict=True))
            )
        grid[0, 0].invert_yaxis()
        return in_page(figure, "By layer. " + "; ".join(told) + ".")


def cycle_histogram(cycles: Sequence[int]) -> Markup:
    """How many images took how many cycles."""
    mean = sum(cycles) / len(cycles)
    with drawing("cycles"):
        figure = Figure((WIDTH, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.hist(
            cycles,
            bins=min(30, max(5, round(2 * len(cycles) ** 0.5))),
            color=LIGHT["layer1"],
            edgecolor=LIGHT["ground"],
            linewidth=0.6,
        )
        axes.margins(y=0.16)
        axes.axvline(mean, color=LIGHT["ink"], linewidth=1.0, linestyle="--")
        left = mean - min(cycles) > 0.7 * (max(cycles) - min(cycles))
        axes.annotate(
            f"mean {mean:,.0f}",
            (mean, 0.97),
            xycoords=axes.get_xaxis_transform(),
            va="top",
            fontsize=9,
            xytext=(-4 if left else 4, 0),
            textcoords="offset points",
            ha="right" if left else "left",
        )
        axes.set(xlabel="cycles per image", ylabel="images")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        return in_page(
            figure,
            f"Histogram of the cycles per image of {of(len(cycles), 'image')}: from "
            f"{min(cycles):,} to {max(cycles):,}, mean {mean:,.0f}.",
        )
