"""The report of a simulation: one HTML page that needs nothing but itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from hillock.hw.config import RANGES
from hillock.sim.network import INPUT, Layer

from . import plots
from .simulate import Simulation
from .svg import COLOURS, layer_colour
from .tables import compared, cycle_shares, verdict

__all__ = ["write_report"]

_TEMPLATE = Path(__file__).with_name("report.html")
_TRACED_LAYERS = 4
_TRACED_NEURONS = 2


def write_report(result: Simulation, folder: Path) -> Path:
    """Write `report.html`. The same `result` gives the same bytes; all that is shown comes from it.

    The page has no scripts and refers to nothing outside itself. `result` must have a sample, as every run has.
    """
    if result.sample is None:
        raise ValueError("a report is about at least one image")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(count="{:,}".format, fixed=_fixed, percent=_percent, speed=_speed)
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(_context(result))
    path = folder / "report.html"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(page + "\n", encoding="utf-8", newline="\n")
    return path


def _context(result: Simulation) -> dict[str, Any]:
    """All that the template names."""
    assert result.sample is not None
    pixels, label, trace, timeline = result.sample
    network = result.network
    summary: dict[str, Any] = result.summary()
    rows, columns = result.dataset.image_shape
    names = [layer.name for layer in network.layers]
    per_layer: list[dict[str, Any]] = summary["layers"]
    measures: list[tuple[str, list[float], Callable[[float], str]]] = [
        ("cycles per image", [layer["cycles_per_image"] for layer in per_layer], _fixed),
        ("SOP per image", [layer["sop_per_image"] for layer in per_layer], _fixed),
        ("spikes per image", [layer["spikes_per_image"] for layer in per_layer], _fixed),
        ("lane utilization (%)", [100 * layer["lane_utilization"] for layer in per_layer], "{:.1f}".format),
    ]
    return {
        "network": network,
        "dataset": result.dataset,
        "config": result.config.as_dict(),
        "config_meanings": {name: meaning for name, (_, _, meaning) in RANGES.items()},
        "summary": summary,
        "held_out": len(result.dataset.test_images),
        "verdict": verdict(result),
        "comparison": result.comparison,
        "compared": compared(result),
        "correct": int(result.correct_at[-1]),
        "sample": {
            "label": label,
            "decision": trace.decision,
            "cycles": timeline.decision,
            "sop": trace.sop,
            "rows": rows,
            "columns": columns,
            "pixels": [
                (index % columns, index // columns, f"{int(value) / 255:.3f}".rstrip("0").rstrip("."))
                for index, value in enumerate(pixels)
                if value
            ],
            "readout": plots.readout(network, trace),
            "raster": plots.raster(network, trace),
            "potentials": plots.potentials(network, trace, _neurons_shown(result)),
        },
        "accuracy": plots.accuracy(result.correct_at, result.images, result.float_accuracy, network.delay),
        "layers": per_layer,
        "layer_bars": plots.layer_bars(names, measures),
        "shares": cycle_shares(result),
        "histogram": plots.cycle_histogram(result.cycles),
        "layer_parameters": [_parameters(layer) for layer in network.layers],
        "command": _command(result),
        "colours": COLOURS,
        "layer_colours": [layer_colour(index) for index in range(len(names))],
    }


def _neurons_shown(result: Simulation) -> list[tuple[int, int]]:
    """The most active neurons of the last layers, as (layer, neuron); an encoder's neurons only repeat their pixel."""
    assert result.sample is not None
    trace = result.sample[2]
    layers = result.network.layers
    shown = [index for index, layer in enumerate(layers) if not layer.current_from_image] or [0]
    return [
        (index, neuron)
        for index in shown[-_TRACED_LAYERS:]
        for neuron in plots.active_neurons(trace.layers[index], _TRACED_NEURONS)
    ]


def _parameters(layer: Layer) -> dict[str, str]:
    """A layer as the table of the network has it."""
    sources = [connection.source for connection in layer.connections]
    sources = ["events" if source == INPUT else source for source in sources] + ["image"] * layer.current_from_image
    reset = f"{layer.reset_mode.value.replace('_', ' ')} {layer.reset_amount:,}"
    return {
        "name": layer.name,
        "source": ", ".join(sources) or "constant currents",
        "threshold": f"{layer.threshold:,}" if layer.fires else "never fires",
        "preload": f"{layer.preload:,}",
        "reset": reset if layer.fires else "none",
        "leak": f"shift {layer.leak_shift}, {layer.leak_order.value.replace('_', ' ')}" if layer.leak_shift else "none",
    }


def _command(result: Simulation) -> str:
    arguments = f"{result.network.name} --lanes {result.config.lanes}"
    if result.images < len(result.dataset.test_images):
        arguments += f" --images {result.images}"
    return f'make sim ARGS="{arguments}"'


def _fixed(value: float) -> str:
    """One decimal below a thousand, none above: what can be read at a glance."""
    return f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def _percent(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f}\N{NO-BREAK SPACE}%"


def _speed(value: float) -> str:
    for unit, size in (("million", 1e6), ("thousand", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
