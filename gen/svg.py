"""Figures as SVG text that stands in a page, follows the colours of the page, and is the same on every run."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = ["COLOURS", "LIGHT", "WIDTH", "drawing", "in_page", "layer_colour", "timestep_axis"]

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
LIGHT = {name: light for name, (light, _) in COLOURS.items()}
"""What to draw with: `in_page` makes of these the variables of the page, `--ink` for "ink"."""

_VARIABLES = {light: f"var(--{name})" for name, light in LIGHT.items()}
WIDTH = 5.4
"""Inches; with letters of 10 points this can be read in a column of the page and on a telephone."""


def layer_colour(index: int) -> str:
    """Name in `COLOURS` of the colour of a layer, the same in every figure."""
    return _LAYER_COLOURS[index % len(_LAYER_COLOURS)]


def timestep_axis(axes: Axes, timesteps: int) -> None:
    """The horizontal axis of what happens in each timestep; 0 is the preload."""
    axes.set_xlabel("timestep")
    axes.set_xlim(-0.4, timesteps + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, steps=[1, 2, 5, 10]))


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Matplotlib as it comes, whatever the user has configured, and with ids that depend on `name` only."""
    settings: dict[Any, Any] = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",
        "path.simplify": False,
        "font.size": 10,
        "text.parse_math": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "text.color": LIGHT["ink"],
        "axes.labelcolor": LIGHT["ink"],
        "axes.titlecolor": LIGHT["ink"],
        "axes.edgecolor": LIGHT["muted"],
        "xtick.color": LIGHT["muted"],
        "ytick.color": LIGHT["muted"],
        "xtick.labelcolor": LIGHT["ink"],
        "ytick.labelcolor": LIGHT["ink"],
        "grid.color": LIGHT["grid"],
    }
    with style.context("default"), mpl.rc_context(settings):
        yield


def in_page(figure: Figure, alt: str) -> Markup:
    """The figure as an <svg> element as wide as its place; `alt` is for those who do not see it.

    It has no prolog, metadata, namespaces or names of elements, all of which are for files and not for pages.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    view = re.search(r'viewBox="[^"]*"', text)
    assert view is not None
    text = text[text.index(">", text.index("<svg")) + 1 :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text).replace("xlink:href", "href")
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: _VARIABLES.get(found[0], found[0]), text)
    head = Markup('<svg class="plot" role="img" aria-label="{}" {}>').format(alt, Markup(view[0]))
    return head + Markup(re.sub(r"\n\s*", "\n", text))  # matplotlib has escaped the names that it was given
