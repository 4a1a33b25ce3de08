"""Figures of experiments: panels of lines, as SVG files that are the same on every run."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from hillock.gen.float_network import FloatArray
from hillock.gen.svg import LIGHT, drawing

__all__ = ["Panel", "draw", "in_file", "style_of"]

_WIDTH, _HEIGHT = 4.6, 3.2
"""Inches of a panel."""

_SCALE = ("#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b")
"""From light to dark blue: global preloads from 0.0 to 0.5."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Lines over a common horizontal axis: `lines` [name] are (x, y). `levels` are dashed, with a name each."""

    title: str
    x: str
    y: str
    lines: Mapping[str, tuple[Sequence[float] | FloatArray, Sequence[float] | FloatArray]]
    levels: Mapping[str, float] = field(default_factory=dict)
    limits: tuple[float, float] | None = None
    logarithmic: bool = False
    marks: bool = False


def style_of(name: str) -> dict[str, object]:
    """How the line of a preload is drawn, the same in every figure: blue and darker for more, orange for layer-wise."""
    try:
        shade = _SCALE[min(len(_SCALE) - 1, round(10 * float(name)))]
    except ValueError:
        return {"color": LIGHT["layer2"], "linewidth": 1.8}
    return {"color": shade, "linewidth": 1.2}


def draw(name: str, panels: Sequence[Panel], columns: int = 2, height: float = _HEIGHT) -> bytes:
    """The panels side by side, `columns` in a row."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with drawing(name):
        figure = Figure((_WIDTH * columns if columns <= 2 else 2.6 * columns, height * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _panel(axes, panel)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        return in_file(figure)


def in_file(figure: Figure) -> bytes:
    """The figure as a file of its own, on light ground."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", facecolor=LIGHT["ground"], metadata={"Date": None, "Creator": None})
    return b"\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + b"\n"


def _panel(axes: Axes, panel: Panel) -> None:
    for index, (name, (x, y)) in enumerate(panel.lines.items()):
        style = style_of(name) if name[:1].isdigit() or name == "layer-wise" else {}
        style = style or {"color": LIGHT[f"layer{index % 4}"], "linewidth": 1.3}
        axes.plot(x, y, label=name, marker="o" if panel.marks else "", markersize=3, **style)  # type: ignore[arg-type]
    for name, level in panel.levels.items():
        axes.axhline(level, color=LIGHT["muted"], linestyle="--", linewidth=0.9)
        left = name.startswith("float")  # or it would stand upon the highest criterion
        axes.annotate(
            name,
            (0.01 if left else 1, level),
            xycoords=axes.get_yaxis_transform(),
            ha="left" if left else "right",
            va="bottom",
            fontsize=8,
            color=LIGHT["muted"],
        )
    if panel.logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # not as mathematics
        axes.yaxis.set_minor_formatter(NullFormatter())
    if panel.limits:
        axes.set_ylim(*panel.limits)
    axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
    axes.grid(linewidth=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    if len(panel.lines) > 1:
        axes.legend(fontsize=8)
