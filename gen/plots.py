"""The figures of the report: each becomes SVG text that stands in a page, follows its colours and is always the same."""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hillock.sim.golden import LayerTrace, Trace
from hillock.sim.network import Decision, IntArray, Layer, Network

__all__ = [
    "COLOURS", "Plot", "accuracy", "active_neurons", "cycle_histogram", "layer_bars", "layer_colour", "potentials",
    "raster", "readout",
]

# name: (on light ground, on dark ground). The colours of layers are those of Okabe and Ito, which colour-blind people
# tell apart, darkened or lightened until thin marks stand out; nothing is told by colour alone.
COLOURS = {
    "ink": ("#1f2328", "#e6e8eb"),
    "muted": ("#59636e", "#a3adb8"),
    "grid": ("#d5dbe1", "#3a424b"),
    "ground": ("#fefefe", "#15191e"),
    "layer0": ("#00805d", "#2fc79a"),
    "layer1": ("#0072b2", "#5cb6ea"),
    "layer2": ("#c85200", "#f5924e"),
    "layer3": ("#a03a78", "#dd8fbd"),
}
_LAYER_COLOURS = [name for name in COLOURS if name.startswith("layer")]
_LIGHT = {name: light for name, (light, _) in COLOURS.items()}
_VARIABLES = {light: f"var(--{name})" for name, light in _LIGHT.items()}
_WIDTH = 5.4  # inches: what a column of the page and a telephone have in common
_RASTER_HEIGHT = 3.6


@dataclass(frozen=True)
class Plot:
    """A figure: `svg` for the page, and `alt`, what it shows, for who does not see it."""

    svg: str
    alt: str


def layer_colour(index: int) -> str:
    """Name in `COLOURS` of the colour of a layer, the same in every figure."""
    return _LAYER_COLOURS[index % len(_LAYER_COLOURS)]


@contextmanager
def _drawing(name: str) -> Iterator[None]:
    """Matplotlib as it comes, whatever the user has configured, and with ids that depend on `name` only."""
    settings = {
        "svg.hashsalt": name, "svg.fonttype": "none", "path.simplify": False, "font.size": 9,
        "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "legend.frameon": False,
        "axes.titlesize": 9, "axes.titlelocation": "left", "axes.facecolor": "none", "figure.facecolor": "none",
        "text.color": _LIGHT["ink"], "axes.labelcolor": _LIGHT["ink"], "axes.titlecolor": _LIGHT["ink"],
        "axes.edgecolor": _LIGHT["muted"], "xtick.color": _LIGHT["muted"], "ytick.color": _LIGHT["muted"],
        "xtick.labelcolor": _LIGHT["ink"], "ytick.labelcolor": _LIGHT["ink"], "grid.color": _LIGHT["grid"],
    }
    with style.context("default"), mpl.rc_context(settings):
        yield


def _plot(figure: Figure, alt: str) -> Plot:
    """The figure as an <svg> element without prolog, metadata, namespaces, outside names or a fixed size."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: _VARIABLES.get(found[0], found[0]), text)
    return Plot(re.sub(r"\n\s*", "\n", text), alt)


def _timestep_axis(axes: Axes, first: float, timesteps: int) -> None:
    axes.set_xlabel("timestep")
    axes.set_xlim(first, timesteps + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))


def raster(network: Network, trace: Trace) -> Plot:
    """Every spike of every layer, layer above layer, over a common axis of timesteps."""
    count = len(network.layers)
    shares = np.array([max(layer.neurons, 4) ** 0.5 for layer in network.layers])  # small layers stay visible
    heights = shares / shares.sum() * (_RASTER_HEIGHT + 0.3 * count)
    with _drawing("raster"):
        figure = Figure((_WIDTH, float(heights.sum()) + 0.35 * count + 0.5), layout="constrained")
        grid = figure.subplots(count, 1, sharex=True, squeeze=False, height_ratios=heights.tolist())
        told = []
        for index, (layer, figures) in enumerate(zip(network.layers, trace.layers, strict=True)):
            axes = grid[index, 0]
            step, neuron = np.nonzero(figures.spikes)
            # One broken line for all spikes: a dash, one timestep wide, in the row of its neuron.
            x = np.column_stack([step + 0.6, step + 1.4, np.full(len(step), np.nan)]).ravel()
            y = np.repeat(neuron, 3).astype(float)
            row = heights[index] * 72 / layer.neurons
            axes.plot(x, y, color=_LIGHT[layer_colour(index)], linewidth=min(max(0.75 * row, 0.7), 5.0),
                      solid_capstyle="butt")
            axes.set_ylim(layer.neurons - 0.4, -0.6)
            axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=min(5, layer.neurons), min_n_ticks=1))
            axes.set_title(f"{layer.name}: {_of(layer.neurons, 'neuron')}, {_of(len(step), 'spike')}")
            axes.set_ylabel("neuron")
            told.append(f"{layer.name} {len(step):,}")
        _timestep_axis(grid[-1, 0], 0.4, network.timesteps)
        return _plot(figure, f"Spike raster over {_of(network.timesteps, 'timestep')}. Spikes by layer: "
                             f"{', '.join(told)}.")


def active_neurons(figures: LayerTrace, count: int) -> list[int]:
    """The neurons with the most spikes; of equals, those that reach the highest potential, then the lowest index."""
    order = np.lexsort((-figures.potentials.max(axis=0), -figures.spikes.sum(axis=0)))
    return [int(neuron) for neuron in order[:count]]


def potentials(layer: Layer, figures: LayerTrace, neuron: int, colour: str) -> Plot:
    """Membrane potential of one neuron from its preload on, its spikes, and the levels that matter."""
    values = np.concatenate([[layer.preload], figures.potentials[:, neuron]])
    fired = np.flatnonzero(figures.spikes[:, neuron]) + 1
    levels = [("preload", layer.preload, ":")] + ([("threshold", layer.threshold, "--")] if layer.fires else [])
    with _drawing(f"{layer.name}-{neuron}"):
        figure = Figure((_WIDTH, 2.3), layout="constrained")
        axes = figure.subplots()
        axes.plot(range(len(values)), values, color=_LIGHT[colour], marker="o", markersize=2.5, linewidth=1.1)
        low, high = min(values.min(), layer.preload), max(values.max(), *(level for _, level, _ in levels))
        span = max(float(high - low), 1.0)
        axes.set_ylim(low - 0.08 * span, high + 0.22 * span)
        axes.plot(fired, np.full(len(fired), 0.97), "|", transform=axes.get_xaxis_transform(), markersize=7,
                  markeredgewidth=1.4, color=_LIGHT["ink"])
        close = abs(layer.threshold - layer.preload) < 0.25 * span
        for name, level, dashes in levels:
            axes.axhline(level, color=_LIGHT["muted"], linewidth=0.9, linestyle=dashes)
            upper = (name == "threshold") == (layer.threshold >= layer.preload)
            align = ("bottom" if upper else "top") if close else "center"
            axes.annotate(f"{name}\n{level:,}", (1.01, level), xycoords=axes.get_yaxis_transform(), va=align,
                          fontsize=8, color=_LIGHT["muted"], annotation_clip=False)
        axes.set_title(f"{layer.name}, neuron {neuron}: {_of(len(fired), 'spike')}")
        axes.set_ylabel("membrane potential")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        _timestep_axis(axes, -0.4, len(values) - 1)
        return _plot(figure, f"Membrane potential of neuron {neuron} of layer {layer.name}, from {values.min():,} to "
                             f"{values.max():,}; {', '.join(f'{name} {level:,}' for name, level, _ in levels)}; spikes "
                             f"in timesteps {', '.join(map(str, fired)) or 'none'}.")


def readout(network: Network, trace: Trace) -> Plot:
    """What decided: output spikes, or final potentials, of each class."""
    by_count = network.decision is Decision.COUNT
    values = trace.counts if by_count else trace.layers[-1].potentials[-1]
    unit = "output spikes counted" if by_count else "membrane potential at the end"
    with _drawing("readout"):
        figure = Figure((3.4, 2.1), layout="constrained")
        axes = figure.subplots()
        muted, chosen = _LIGHT["grid"], _LIGHT[layer_colour(len(network.layers) - 1)]
        axes.bar(range(len(values)), values, color=[chosen if i == trace.decision else muted
                                                    for i in range(len(values))])
        axes.axhline(0, color=_LIGHT["muted"], linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.set(xlabel="class (output neuron)", ylabel=unit)
        listed = ", ".join(f"{index}: {value:,}" for index, value in enumerate(values))
        return _plot(figure, f"{unit.capitalize()}, by class: {listed}. Decision: {trace.decision}.")


def accuracy(correct_at: IntArray, images: int, float_accuracy: float, delay: int) -> Plot:
    """Accuracy if the decision were taken after each timestep."""
    percent = 100 * correct_at / images
    steps = range(1, len(percent) + 1)
    with _drawing("accuracy"):
        figure = Figure((_WIDTH, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.plot(steps, percent, color=_LIGHT["layer1"], marker="o", markersize=3, linewidth=1.3,
                  label=f"integer network, at the end {percent[-1]:.2f} %")
        axes.axhline(100 * float_accuracy, color=_LIGHT["layer2"], linestyle="--", linewidth=1.2,
                     label=f"float ANN {100 * float_accuracy:.2f} %")
        if delay:
            axes.axvspan(0.4, delay + 0.5, color=_LIGHT["grid"], alpha=0.6, linewidth=0,
                         label="delay: spikes not counted yet")
        axes.set_ylabel("accuracy (%)")
        axes.grid(axis="y", linewidth=0.6)
        axes.legend(loc="lower right", fontsize=8)
        _timestep_axis(axes, 0.4, len(percent))
        return _plot(figure, f"Accuracy of the integer network rises from {percent[0]:.2f} % after timestep 1 to "
                             f"{percent[-1]:.2f} % after timestep {len(percent)}; float ANN "
                             f"{100 * float_accuracy:.2f} %.")


def layer_bars(names: Sequence[str], measures: Sequence[tuple[str, Sequence[float], Callable[[float], str]]]) -> Plot:
    """A panel of bars, one for each layer, for every measure (title with unit, values, how a value is written)."""
    rows = -(-len(measures) // 2)
    with _drawing("layers"):
        figure = Figure((_WIDTH, rows * (0.45 + 0.24 * len(names))), layout="constrained")
        grid = figure.subplots(rows, 2, sharey=True, squeeze=False)
        told = []
        for axes, (title, values, written) in zip(grid.flat, measures, strict=False):
            bars = axes.barh(range(len(names)), values, height=0.65,
                             color=[_LIGHT[layer_colour(index)] for index in range(len(names))])
            axes.bar_label(bars, [written(value) for value in values], padding=3, fontsize=8, color=_LIGHT["ink"])
            axes.set_xlim(0, max(*values, 1e-9) * 1.38)
            axes.set_title(title)
            axes.set_yticks(range(len(names)), names)
            axes.spines["bottom"].set_visible(False)
            axes.tick_params(length=0, labelbottom=False)
            told.append(f"{title}: " + ", ".join(f"{name} {written(value)}"
                                                 for name, value in zip(names, values, strict=True)))
        grid[0, 0].invert_yaxis()
        return _plot(figure, "By layer. " + "; ".join(told) + ".")


def cycle_histogram(cycles: Sequence[int]) -> Plot:
    """How many images took how many cycles."""
    mean = sum(cycles) / len(cycles)
    with _drawing("cycles"):
        figure = Figure((_WIDTH, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.hist(cycles, bins=min(30, max(5, len(cycles) // 8)), color=_LIGHT["layer1"], edgecolor=_LIGHT["ground"],
                  linewidth=0.6)
        axes.margins(y=0.16)
        axes.axvline(mean, color=_LIGHT["ink"], linewidth=1.0, linestyle="--")
        axes.annotate(f"mean {mean:,.0f}", (mean, 0.97), xycoords=axes.get_xaxis_transform(), xytext=(4, 0),
                      textcoords="offset points", va="top", fontsize=8)
        axes.set(xlabel="cycles per image", ylabel="images")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        return _plot(figure, f"Histogram of the cycles per image of {_of(len(cycles), 'image')}: from "
                             f"{min(cycles):,} to {max(cycles):,}, mean {mean:,.0f}.")


def _of(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
