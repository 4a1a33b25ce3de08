"""The figures of the report."""

from collections.abc import Callable, Sequence

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hillock.sim.golden import LayerTrace, Trace
from hillock.sim.network import Decision, IntArray, Layer, Network

from .svg import LIGHT, WIDTH, drawing, in_page, layer_colour

__all__ = ["accuracy", "active_neurons", "cycle_histogram", "layer_bars", "potentials", "raster", "readout"]

_RASTER_HEIGHT = 4.5


def _timestep_axis(axes: Axes, timesteps: int) -> None:
    axes.set_xlabel("timestep")
    axes.set_xlim(-0.4, timesteps + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, steps=[1, 2, 5, 10]))


def raster(network: Network, trace: Trace) -> Markup:
    """Every spike of every layer, layer above layer, over a common axis of timesteps."""
    count = len(network.layers)
    shares = np.array([max(layer.neurons, 4) ** 0.4 for layer in network.layers])  # small layers stay visible
    heights = np.maximum(shares / shares.sum() * (_RASTER_HEIGHT + 0.3 * count), 0.6)
    with drawing("raster"):
        figure = Figure((WIDTH, float(heights.sum()) + 0.5), layout="constrained")
        grid = figure.subplots(count, 1, sharex=True, squeeze=False, height_ratios=heights.tolist())
        told = []
        for index, (layer, figures) in enumerate(zip(network.layers, trace.layers, strict=True)):
            axes = grid[index, 0]
            step, neuron = np.nonzero(figures.spikes)
            # One broken line for all spikes: a dash, one timestep wide, in the row of its neuron.
            x = np.column_stack([step + 0.6, step + 1.4, np.full(len(step), np.nan)]).ravel()
            y = np.repeat(neuron, 3).astype(float)
            row = heights[index] * 72 / layer.neurons
            width = min(max(0.75 * row, 0.7), 5.0)
            axes.plot(x, y, color=LIGHT[layer_colour(index)], linewidth=width, solid_capstyle="butt")
            axes.set_ylim(layer.neurons - 0.4, -0.6)
            ticks = max(1, min(layer.neurons, 6, int(5 * heights[index])))
            axes.yaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], nbins=ticks, min_n_ticks=1))
            axes.set_title(f"{layer.name}: {_of(layer.neurons, 'neuron')}, {_of(len(step), 'spike')}")
            told.append(f"{layer.name} {len(step):,}")
        figure.supylabel("neuron", fontsize=mpl.rcParams["font.size"])
        _timestep_axis(grid[-1, 0], network.timesteps)
        return in_page(
            figure, f"Spike raster over {_of(network.timesteps, 'timestep')}. Spikes by layer: {', '.join(told)}."
        )


def active_neurons(figures: LayerTrace, count: int) -> list[int]:
    """The neurons with the most spikes; of equals, those with the higher mean potential, then the lower index."""
    order = np.lexsort((-figures.potentials.mean(axis=0), -figures.spikes.sum(axis=0)))
    return [int(neuron) for neuron in order[:count]]


def potentials(network: Network, trace: Trace, shown: Sequence[tuple[int, int]]) -> Markup:
    """Membrane potentials of neurons (layer, neuron) from their preload on, with spikes, threshold and preload."""
    with drawing("potentials"):
        figure = Figure((WIDTH, 1.36 * len(shown) + 0.5), layout="constrained")
        grid = figure.subplots(len(shown), 1, sharex=True, squeeze=False)
        told = [
            _potential(axes, network.layers[index], trace.layers[index], neuron, layer_colour(index))
            for axes, (index, neuron) in zip(grid[:, 0], shown, strict=True)
        ]
        figure.supylabel("membrane potential", fontsize=mpl.rcParams["font.size"])
        _timestep_axis(grid[-1, 0], network.timesteps)
        return in_page(figure, "Membrane potentials. " + " ".join(told))


def _potential(axes: Axes, layer: Layer, figures: LayerTrace, neuron: int, colour: str) -> str:
    """One neuron; returns it in words."""
    values = np.concatenate([[layer.preload], figures.potentials[:, neuron]])
    fired = np.flatnonzero(figures.spikes[:, neuron]) + 1
    levels = [("preload", layer.preload, ":")] + ([("threshold", layer.threshold, "--")] if layer.fires else [])
    axes.plot(range(len(values)), values, color=LIGHT[colour], marker="o", markersize=2.5, linewidth=1.1)
    low, high = min(values.min(), layer.preload), max(values.max(), *(level for _, level, _ in levels))
    span = max(float(high - low), 1.0)
    axes.set_ylim(low - 0.08 * span, high + 0.25 * span)
    axes.plot(
        fired,
        np.full(len(fired), 0.95),
        "|",
        transform=axes.get_xaxis_transform(),
        markersize=6,
        markeredgewidth=1.4,
        color=LIGHT["ink"],
    )
    close = layer.fires and abs(layer.threshold - layer.preload) < 0.35 * span
    for name, level, dashes in levels:
        axes.axhline(level, color=LIGHT["muted"], linewidth=0.9, linestyle=dashes)
        upper = (name == "threshold") == (layer.threshold >= layer.preload)
        axes.annotate(
            f"{name}\n{level:,}",
            (1.01, level),
            xycoords=axes.get_yaxis_transform(),
            fontsize=9,
            va=("bottom" if upper else "top") if close else "center",
            linespacing=1.05,
            color=LIGHT["muted"],
            annotation_clip=False,
        )
    axes.set_title(f"{layer.name}, neuron {neuron}: {_of(len(fired), 'spike')}")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return (
        f"Layer {layer.name}, neuron {neuron}: from {values.min():,} to {values.max():,}, "
        f"{', '.join(f'{name} {level:,}' for name, level, _ in levels)}, spikes in timesteps "
        f"{', '.join(map(str, fired)) or 'none'}."
    )


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


def accuracy(correct_at: IntArray, images: int, float_accuracy: float, delay: int) -> Markup:
    """Accuracy if the decision were taken after each timestep."""
    percent = 100 * correct_at / images
    steps = range(1, len(percent) + 1)
    with drawing("accuracy"):
        figure = Figure((WIDTH, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.plot(
            steps,
            percent,
            color=LIGHT["layer1"],
            marker="o",
            markersize=3,
            linewidth=1.3,
            label=f"integer network, at the end {percent[-1]:.2f} %",
        )
        axes.axhline(
            100 * float_accuracy,
            color=LIGHT["layer2"],
            linestyle="--",
            linewidth=1.2,
            label=f"float ANN {100 * float_accuracy:.2f} %",
        )
        if delay:
            axes.axvspan(
                0.4, delay + 0.5, color=LIGHT["grid"], alpha=0.6, linewidth=0, label="delay: spikes not counted yet"
            )
        axes.set_ylabel("accuracy (%)")
        axes.grid(axis="y", linewidth=0.6)
        axes.legend(loc="lower right", fontsize=9)
        _timestep_axis(axes, len(percent))
        return in_page(
            figure,
            f"Accuracy of the integer network: from {percent[0]:.2f} % after timestep 1 to "
            f"{percent[-1]:.2f} % after timestep {len(percent)}; float ANN "
            f"{100 * float_accuracy:.2f} %.",
        )


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
            f"Histogram of the cycles per image of {_of(len(cycles), 'image')}: from "
            f"{min(cycles):,} to {max(cycles):,}, mean {mean:,.0f}.",
        )


def _of(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
