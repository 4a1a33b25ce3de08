"""The report of a simulation: one HTML page that needs nothing but itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from markupsafe import Markup

from hillock.hw.config import RANGES
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, ResetMode

from . import plot_spikes, plots
from .figures import Simulation
from .pages import render
from .scores import image_error
from .svg import layer_colour
from .tables import compared, cycle_shares, verdict
from .tiles import picture, spike_map
from .words import fixed, of, rough

__all__ = ["write_report"]

_TRACED_LAYERS = 4
_TRACED_NEURONS = 2


def write_report(result: Simulation, folder: Path) -> Path:
    """Write `report.html`. The same `result` gives the same bytes; all that is shown comes from it.

    The page has no scripts and refers to nothing outside itself. `result` must have a sample, as every run has.
    """
    if result.sample is None:
        raise ValueError("a report is about at least one image")
    page = render("report.html", _context(result), {"count": "{:,}".format, "rough": rough})
    path = folder / "report.html"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def _context(result: Simulation) -> dict[str, Any]:
    """All that the template names."""
    assert result.sample is not None
    network, sample, score = result.network, result.sample, result.score
    summary: dict[str, Any] = result.summary()
    names = [layer.name for layer in network.layers]
    per_layer: list[dict[str, Any]] = summary["layers"]
    measures: list[tuple[str, list[float], Callable[[float], str]]] = [
        ("cycles per image", [layer["cycles_per_image"] for layer in per_layer], fixed),
        ("SOP per image", [layer["sop_per_image"] for layer in per_layer], fixed),
        ("spikes per image", [layer["spikes_per_image"] for layer in per_layer], fixed),
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
        "score": score,
        "score_plot": plots.score(score, network.delay) if score else None,
        "correct": int(score.total_at[-1]) if score else 0,
        "label": sample.label,
        "trace": sample.trace,
        "sample_cycles": sample.timeline.decision,
        "decides": network.decision is not Decision.NONE,
        "pictures": _pictures(result),
        "readout": plots.readout(network, sample.trace) if network.decision is not Decision.NONE else None,
        "raster": plot_spikes.raster(network, sample.trace),
        "is_sampled": any(plot_spikes.sampled(layer.shape) is not None for layer in network.layers),
        "potentials": plot_spikes.potentials(network, sample.trace, _neurons_shown(result)),
        "maps": [
            spike_map(layer, figures)
            for layer, figures in zip(network.layers, sample.trace.layers, strict=True)
            if not layer.shape.flat
        ],
        "layers": per_layer,
        "layer_bars": plots.layer_bars(names, measures),
        "shares": cycle_shares(result),
        "histogram": plots.cycle_histogram(result.cycles),
        "layer_parameters": [_parameters(layer) for layer in network.layers],
        "command": _command(result),
        "layer_colours": [layer_colour(index) for index in range(len(names))],
    }


def _pictures(result: Simulation) -> list[tuple[Markup, str]]:
    """(picture, caption) of the first image: what was given, and where the output is an image, what came of it."""
    assert result.sample is not None
    sample, shape, network = result.sample, result.dataset.image_shape, result.network
    about = f"of {shape[0]} by {shape[1]} pixels"
    shown = [(sample.pixels / 255, f"Input image {about}, labelled {sample.label}", f"Input, label {sample.label}")]
    if result.score is not None and result.score.name == "mse":
        if sample.float_image is not None:
            error = image_error(sample.float_image, sample.pixels)
            shown.append((sample.float_image, f"Output {about} of the float ANN", f"Float ANN, error {error:.4f}"))
        counted = network.timesteps - network.delay
        rates = sample.trace.counts / counted
        words = f"Output spikes in {of(counted, 'timestep')}, error {image_error(rates, sample.pixels):.4f}"
        shown.append((rates, f"Output {about} of the integer network, as spike counts", words))
    grid = (*shape, result.dataset.channels)
    return [(picture(values.reshape(grid), alt), words) for values, alt, words in shown]


def _neurons_shown(result: Simulation) -> list[tuple[int, int]]:
    """The most active neurons of the last layers, as (layer, neuron).

    An encoder's neurons only repeat their pixel, and those of a layer without memory have but one potential to show.
    """
    assert result.sample is not None
    layers = result.network.layers
    shown = [
        index
        for index, layer in enumerate(layers)
        if not layer.current_from_image and layer.reset_mode is not ResetMode.EVERY_TIMESTEP
    ] or [len(layers) - 1]
    return [
        (index, neuron)
        for index in shown[-_TRACED_LAYERS:]
        for neuron in plot_spikes.active_neurons(result.sample.trace.layers[index], _TRACED_NEURONS)
    ]


def _parameters(layer: Layer) -> dict[str, str]:
    """A layer as the table of the network has it."""
    sources = [_synapses(connection) for connection in layer.connections] + ["the image"] * layer.current_from_image
    reset = f"{layer.reset_mode.value.replace('_', ' ')} {layer.reset_amount:,}"
    if layer.reset_mode is not ResetMode.EVERY_TIMESTEP and not layer.fires:
        reset = "none"
    return {
        "name": layer.name,
        "source": "; ".join(sources) or "constant currents",
        "threshold": f"{layer.threshold:,}" if layer.fires else "never fires",
        "preload": f"{layer.preload:,}",
        "reset": reset,
        "leak": f"shift {layer.leak_shift}, {layer.leak_order.value.replace('_', ' ')}" if layer.leak_shift else "none",
    }


def _synapses(connection: Connection) -> str:
    """A connection in words: where from, and with which synapses."""
    synapses = connection.synapses
    source = "events" if connection.source == INPUT else connection.source
    pool = f", pooled {connection.pool[0]}x{connection.pool[1]}" if connection.pool != (1, 1) else ""
    static = ", held as a current" if connection.static else ""
    if isinstance(synapses, Dense):
        return f"{source}{pool}, dense{static}"
    kernel = f"{synapses.kernel[0]}x{synapses.kernel[1]} {synapses.kind.replace('_', ' ')}"
    stride = f", stride {synapses.stride[0]}x{synapses.stride[1]}" if synapses.stride != (1, 1) else ""
    groups = f", {synapses.groups} groups" if synapses.groups > 1 else ""
    return f"{source}{pool}, {kernel}{stride}{groups}{static}"


def _command(result: Simulation) -> str:
    arguments = f"{result.network.name} --lanes {result.config.lanes}"
    if result.images < len(result.dataset.test_images):
        arguments += f" --images {result.images}"
    return f'make sim ARGS="{arguments}"'
