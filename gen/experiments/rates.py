"""Experiment: firing rates against activations, of the input and output as a whole and of each neuron."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hillock.gen.byte_product import byte_product
from hillock.gen.float_network import FloatArray
from hillock.gen.simulate import Step
from hillock.sim.layer_runs import LayerRuns, SpikeTrains
from hillock.sim.network import Network

from .experiment import Experiment, Options, Record, TextTable
from .latency import compared_runs
from .lines import Panel, draw
from .preloads import LAYER_WISE, networks
from .runs import Run
from .setting import Setting

__all__ = ["EXPERIMENT", "measure"]

_IMAGES = 100
"""Test images, at most, that the correlations are taken over: a value for each neuron and image."""

_COMPARED = ("0.0", "0.3", "0.5", LAYER_WISE)
"""Preloads for which they are."""

_CHUNK = 10
"""Images whose events are held at once."""


def measure(setting: Setting, options: Options, step: Step) -> Record:
    """The mean rates of encoder and output as parts of what they should be, and correlations layer by layer."""
    runs, found = compared_runs(setting, options, step)
    images = setting.images[:_IMAGES]
    compared = networks(setting, found["fractions"])
    times = [t for t in (2**power for power in range(1, 20)) if t < setting.network.timesteps]
    times.append(setting.network.timesteps)
    done = step("correlations: layers", len(_COMPARED) * len(setting.network.layers))
    return {
        "search_images": options.search_images,
        "normalised_rate": {name: _normalised(run, setting) for name, run in runs.items()},
        "correlation_images": len(images),
        "correlation_timesteps": times,
        "correlation": {name: _correlations(setting, compared[name], times, done) for name in _COMPARED},
    }


def _normalised(run: Run, setting: Setting) -> dict[str, list[float]]:
    """Spikes up to each timestep as a part of those that the activations ask for, of the first and the last layer."""
    wanted = {
        0: float(setting.images.mean() / 255) * setting.network.layers[0].neurons,
        -1: float(setting.rates.mean()) * setting.network.layers[-1].neurons,
    }
    times = np.arange(1, len(run.spikes_at) + 1)
    return {
        setting.network.layers[index].name: [
            round(float(value), 5) for value in run.spikes_at[:, index].cumsum() / (times * mean)
        ]
        for index, mean in wanted.items()
    }


def _correlations(
    setting: Setting, network: Network, times: list[int], done: Callable[[int], None]
) -> dict[str, list[float | None]]:
    """Pearson's coefficient of N(t) / t with the activation, over the neurons of a layer and some images."""
    images = setting.images[:_IMAGES]
    runs = LayerRuns(network, images.astype(np.int64), product=byte_product())
    trains: dict[str, SpikeTrains] = {}
    result = {}
    for index, layer in enumerate(network.layers):
        trains[layer.name] = runs.trains(index, trains, layer.preload)
        counts = _counts_at(trains[layer.name], len(images), times)
        rates = setting.reference.rates(layer, images)
        result[layer.name] = [_correlation(count, rates) for count in counts]
        needed = {one.source for later in network.layers[index + 1 :] for one in later.connections}
        trains = {name: train for name, train in trains.items() if name in needed}
        done(1)
    return result


def _counts_at(train: SpikeTrains, images: int, times: list[int]) -> NDArray[np.int32]:
    """Spikes of each neuron up to some timesteps, [time, image, neuron]."""
    counts = np.zeros((len(times), images, train.neurons), np.int32)
    for start in range(0, images, _CHUNK):
        events = train.events(slice(start, start + _CHUNK))
        for index, (first, last) in enumerate(zip([0, *times], times, strict=False)):
            counts[index, start : start + _CHUNK] = events[:, first:last].sum(axis=1, dtype=np.int32)
    return counts.cumsum(axis=0, dtype=np.int32)


def _correlation(counts: NDArray[np.int32], rates: NDArray[np.float32] | FloatArray) -> float | None:
    """None where all counts are equal, as before the first spike."""
    first, second = counts.ravel().astype(float), rates.ravel().astype(float)
    if first.std() == 0 or second.std() == 0:
        return None
    return round(float(np.corrcoef(first, second)[0, 1]), 5)


def _tables(record: Record) -> list[TextTable]:
    return [
        TextTable(
            f"Preload {name}: correlation of rate and activation ({record['correlation_images']} images)",
            ["layer", *(f"t = {t}" for t in record["correlation_timesteps"])],
            [[layer, *("-" if one is None else f"{one:.3f}" for one in values)] for layer, values in layers.items()],
        )
        for name, layers in record["correlation"].items()
    ]


def _figures(record: Record) -> dict[str, tuple[bytes, str]]:
    rates = record["normalised_rate"]
    panels = []
    for layer in rates["0.0"]:
        steps = list(range(1, len(rates["0.0"][layer]) + 1))
        lines = {name: (steps, values[layer]) for name, values in rates.items()}
        panels.append(
            Panel(
                title=f"{layer}: mean rate / mean activation",
                x="timestep",
                y="normalised rate",
                lines=lines,
                levels={"exact": 1.0},
                limits=(0.0, 1.25),
            )
        )
    times = record["correlation_timesteps"]
    last = list(rates["0.0"])[-1]
    panels.append(
        Panel(
            title=f"{last}: correlation of rate and activation",
            x="timestep",
            y="Pearson's coefficient",
            lines={
                name: (times, [np.nan if one is None else one for one in layers[last]])
                for name, layers in record["correlation"].items()
            },
            marks=True,
        )
    )
    text = (
        "Mean normalised firing rate of input and output, and correlation of output rate and activation, by timestep."
    )
    return {"rates.svg": (draw("rates", panels), text)}


EXPERIMENT = Experiment(
    "rates",
    "Firing rates",
    "The mean normalised firing rate of a layer is what its neurons have fired up to a timestep, as a part of what "
    "their activations ask for in as many: 1 is exact. Without preload, spikes come late, and later in each layer.",
    lambda setting: True,
    measure,
    _tables,
    _figures,
)
