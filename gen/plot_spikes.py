"""The figures of the report that show one inference: spikes and membrane potentials."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hillock.sim.golden import LayerTrace, Trace
from hillock.sim.network import IntArray, Layer, Network, Shape

from .svg import LIGHT, WIDTH, drawing, in_page, layer_colour, timestep_axis
from .words import of

__all__ = ["active_neurons", "neuron_name", "potentials", "raster", "sampled"]

_RASTER_HEIGHT = 4.5

_RASTER_MOST = 800
"""Neurons of a layer that a raster shows one by one; a line of its height tells no more apart."""

_SAMPLE = 400
"""Neurons that stand for a layer with more."""


def sampled(shape: Shape) -> IntArray | None:
    """The addresses that stand for a layer with too many neurons, by channel; None where all are shown.

    They are spread evenly over the channels, and over the places of each.
    """
    if shape.neurons <= _RASTER_MOST:
        return None
    places = shape.height * shape.width
    channels = _spread(shape.channels, min(shape.channels, _SAMPLE))
    of_each = _spread(places, min(places, max(1, _SAMPLE // len(channels))))
    addresses: IntArray = (of_each[None, :] * shape.channels + channels[:, None]).reshape(-1)
    return addresses


def _spread(count: int, shown: int) -> IntArray:
    """`shown` of `count` indices, the middles of equal parts."""
    indices: IntArray = ((2 * np.arange(shown) + 1) * count) // (2 * shown)
    return indices


def raster(network: Network, trace: Trace) -> Markup:
    """Every spike of every layer, layer above layer, over a common axis of timesteps; of large layers a sample."""
    count = len(network.layers)
    samples = [sampled(layer.shape) for layer in network.layers]
    rows = [layer.neurons if some is None else len(some) for layer, some in zip(network.layers, samples, strict=True)]
    shares = np.array([max(row, 4) ** 0.4 for row in rows])  # small layers stay visible
    heights = np.maximum(shares / shares.sum() * (_RASTER_HEIGHT + 0.3 * count), 0.6)
    with drawing("raster"):
        figure = Figure((WIDTH, float(heights.sum()) + 0.5), layout="constrained")
        grid = figure.subplots(count, 1, sharex=True, squeeze=False, height_ratios=heights.tolist())
        told = [
            _raster_of(grid[index, 0], layer, trace.layers[index], samples[index], heights[index], layer_colour(index))
            for index, layer in enumerate(network.layers)
        ]
        figure.supylabel("neuron", fontsize=mpl.rcParams["font.size"])
        timestep_axis(grid[-1, 0], network.timesteps)
        return in_page(
            figure, f"Spike raster over {of(network.timesteps, 'timestep')}. Spikes by layer: {', '.join(told)}."
        )


def _raster_of(
    axes: Axes, layer: Layer, figures: LayerTrace, sample: IntArray | None, height: float, colour: str
) -> str:
    """One layer; returns it in words."""
    shown = np.arange(layer.neurons) if sample is None else sample
    step, row = np.nonzero(figures.spikes[:, shown])
    # One broken line for all spikes: a dash, one timestep wide, in the row of its neuron.
    x = np.column_stack([step + 0.6, step + 1.4, np.full(len(step), np.nan)]).ravel()
    y = np.repeat(row, 3).astype(float)
    width = min(max(0.75 * height * 72 / len(shown), 0.7), 5.0)
    axes.plot(x, y, color=LIGHT[colour], linewidth=width, solid_capstyle="butt")
    axes.set_ylim(len(shown) - 0.4, -0.6)
    most = max(1, min(len(shown), 6, int(5 * height)))
    spikes = of(int(figures.spikes.sum()), "spike")
    if sample is None:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], nbins=most, min_n_ticks=1))
        axes.set_title(f"{layer.name}: {of(layer.neurons, 'neuron')}, {spikes}")
        return f"{layer.name} {int(figures.spikes.sum()):,}"
    rows = _spread(len(shown), most)
    axes.set_yticks(rows.tolist(), [f"ch {shown[row] % layer.shape.channels}" for row in rows])
    axes.set_title(f"{layer.name}: {len(shown):,} of {of(layer.neurons, 'neuron')}, {len(step):,} of {spikes}")
    return f"{layer.name} {int(figures.spikes.sum()):,} (of {len(shown):,} of its neurons {len(step):,} shown)"


def active_neurons(figures: LayerTrace, count: int) -> list[int]:
    """The neurons with the most spikes; of equals, those with the higher mean potential, then the lower index."""
    order = np.lexsort((-figures.potentials.mean(axis=0), -figures.spikes.sum(axis=0)))
    return [int(neuron) for neuron in order[:count]]


def neuron_name(layer: Layer, neuron: int) -> str:
    """The layer and which of its neurons it is: its address, or its place and channel."""
    shape = layer.shape
    if shape.flat:
        return f"{layer.name}, neuron {neuron}"
    place, channel = divmod(neuron, shape.channels)
    y, x = divmod(place, shape.width)
    return f"{layer.name}, y {y}, x {x}" + (f", channel {channel}" if shape.channels > 1 else "")


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
        timestep_axis(grid[-1, 0], network.timesteps)
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
    axes.set_title(f"{neuron_name(layer, neuron)}: {of(len(fired), 'spike')}")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return (
        f"Layer {neuron_name(layer, neuron)}: from {values.min():,} to {values.max():,}, "
        f"{', '.join(f'{name} {level:,}' for name, level, _ in levels)}, spikes in timesteps "
        f"{', '.join(map(str, fired)) or 'none'}."
    )
