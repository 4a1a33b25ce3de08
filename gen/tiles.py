"""Grids of values as small pictures of white on black: images, and how often each neuron of a layer fired."""

from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from hillock.sim.golden import LayerTrace
from hillock.sim.network import IntArray, Layer

from .words import of

__all__ = ["MOST_CHANNELS", "channels_shown", "picture", "spike_map"]

MOST_CHANNELS = 16
"""Channels of a layer that are shown."""

_LEVELS = 32
"""Shades of grey, black not counted. Places of one shade are one path, which keeps a page with many of them small."""

_COLOURS = ("#f00", "#0f0", "#00f")
_ACROSS = 8
_PICTURE, _TILE = 10, 6  # how wide one may become, in letters
_GAP = 1


def picture(values: NDArray[Any], alt: str) -> Markup:
    """One image [rows, columns, channels] of values from 0 to 1; of three channels, in colour."""
    return _tiles(values.transpose(2, 0, 1), alt, _PICTURE, colour=values.shape[2] == len(_COLOURS))


def channels_shown(layer: Layer, figures: LayerTrace) -> IntArray:
    """The channels that a `spike_map` shows: of many, those with the most spikes; in ascending order."""
    counts = figures.spikes.sum(axis=0).reshape(-1, layer.shape.channels).sum(axis=0)
    most: IntArray = np.sort(np.argsort(-counts, kind="stable")[:MOST_CHANNELS])
    return most


def spike_map(layer: Layer, figures: LayerTrace) -> tuple[Markup, str]:
    """(How often each neuron of a layer with places fired, a picture for each channel; that in words).

    White is the largest count of the layer.
    """
    shape = layer.shape
    counts = figures.spikes.sum(axis=0).reshape(shape.height, shape.width, shape.channels)
    channels, largest = channels_shown(layer, figures), int(counts.max())
    which = of(shape.channels, "channel")
    if len(channels) < shape.channels:
        which = f"the {len(channels)} most active of {which}"
    words = f"{layer.name}: {shape.height} x {shape.width} places, {which}; white is {of(largest, 'spike')}"
    values = counts[:, :, channels].transpose(2, 0, 1) / max(1, largest)
    return _tiles(values, f"Spikes by place. {words}, {int(counts.sum()):,} in all.", _TILE), words


def _tiles(values: NDArray[Any], alt: str, widest: int, *, colour: bool = False) -> Markup:
    """Pictures [n, rows, columns] of values from 0 to 1, beside and below one another.

    With `colour` they are the red, green and blue of one picture, whose light adds up.
    """
    count, rows, columns = values.shape
    if colour:
        count = 1
    across = min(count, _ACROSS)
    step_x, step_y = columns + _GAP, rows + _GAP
    width, height = across * step_x - _GAP, -(-count // across) * step_y - _GAP
    corners = [(index % across * step_x, index // across * step_y) for index in range(count)]
    ground = "".join(f"M{x} {y}h{columns}v{rows}h-{columns}z" for x, y in corners)
    paths = [f'<path class="ground" d="{ground}"/>']
    if colour:
        for fill, plane in zip(_COLOURS, values, strict=True):
            light = "\n".join(_lit(plane[None], corners))
            paths.append(f'<g style="fill: {fill}; mix-blend-mode: screen; isolation: isolate">\n{light}\n</g>')
    else:
        paths += _lit(values, corners)
    head = Markup('<svg class="tiles" style="max-width: {}rem" role="img" viewBox="0 0 {} {}" aria-label="{}">\n')
    return head.format(widest * across, width, height, alt) + Markup("\n".join(paths)) + Markup("\n</svg>")


def _lit(values: NDArray[Any], corners: list[tuple[int, int]]) -> list[str]:
    """A path for each shade of the pictures [n, rows, columns] at `corners`."""
    levels = np.rint(values * _LEVELS).astype(int)
    paths = []
    for level in np.unique(levels[levels > 0]).tolist():
        places = np.argwhere(levels == level).tolist()
        drawn = "".join(f"M{corners[n][0] + x} {corners[n][1] + y}h1v1h-1z" for n, y, x in places)
        paths.append(f'<path opacity="{level / _LEVELS:.2g}" d="{drawn}"/>')
    return paths
