"""The main job: images of a test set through the compiled gateware, and every result held against the golden model."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.sim import golden, harness
from hillock.sim.compare import Comparison, compare
from hillock.sim.golden import Trace
from hillock.sim.network import IntArray, Network
from hillock.sim.timing import Timeline, time_inference

from .datasets import Dataset
from .image import image_writes, memory_init
from .manifest import read_images, write_images
from .mapping import fit, place
from .verilog import core_verilog

__all__ = ["LayerFigures", "Simulation", "simulate", "write_summary"]

BATCH = 25
"""Images that the compiled program is given at a time: how often the progress bar moves."""


@dataclass
class LayerFigures:
    """What one layer did, summed over all images: synaptic operations, cycles of its walks, spikes."""

    name: str
    neurons: int
    sop: int = 0
    busy_cycles: int = 0
    spikes: int = 0


@dataclass
class Simulation:
    """A finished run. `sample` is the first image: what the report draws."""

    network: Network
    config: CoreConfig
    dataset: Dataset
    float_accuracy: float
    comparison: Comparison = field(default_factory=Comparison)
    layers: list[LayerFigures] = field(default_factory=list)
    images: int = 0
    correct_at: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    cycles: list[int] = field(default_factory=list)
    simulated_cycles: int = 0
    simulation_seconds: float = 0.0
    sample: tuple[IntArray, int, Trace, Timeline] | None = None

    def summary(self) -> dict[str, object]:
        """The figures by name, as `summary.json` has them."""
        sop = sum(layer.sop for layer in self.layers)
        total = sum(self.cycles)
        return {
            "model": self.network.name,
            "network_digest": self.network.digest(),
            "dataset": self.dataset.name,
            "images": self.images,
            "timesteps": self.network.timesteps,
            "accuracy": round(int(self.correct_at[-1]) / self.images, 6),
            "accuracy_at_timestep": [round(int(value) / self.images, 6) for value in self.correct_at],
            "float_accuracy": self.float_accuracy,
            **{name: value for name, value in asdict(self.comparison).items() if name != "first"},
            "first_difference": str(self.comparison.first) if self.comparison.first else None,
            "cycles_per_image": total / self.images,
            "cycles_minimum": min(self.cycles),
            "cycles_maximum": max(self.cycles),
            "sop_per_image": sop / self.images,
            "lanes": self.config.lanes,
            "lane_utilization": sop / (self.config.lanes * total),
            "layers": [
                {
                    "name": layer.name,
                    "neurons": layer.neurons,
                    "sop_per_image": layer.sop / self.images,
                    "cycles_per_image": layer.busy_cycles / self.images,
                    "spikes_per_image": layer.spikes / self.images,
                    "lane_utilization": layer.sop / (self.config.lanes * layer.busy_cycles),
                }
                for layer in self.layers
            ],
            "config": self.config.as_dict(),
            "simulated_cycles": self.simulated_cycles,
            "simulated_cycles_per_second": round(self.simulated_cycles / self.simulation_seconds),
        }


def simulate(
    network: Network,
    dataset: Dataset,
    *,
    float_accuracy: float,
    lanes: int,
    folder: Path,
    cache: Path,
    images: int | None = None,
    waves: bool = False,
    step: Callable[[str, int], Callable[[int], None]] = lambda text, total: lambda done: None,
) -> Simulation:
    """Run the held-out images of `dataset` through the gateware of `network`, and compare everything.

    Memory images go to `folder`/images and are read back: the golden model runs what the bytes say. The gateware is
    generated with them in its memories and compiled below `cache`. With `waves`, the first inference is recorded in
    `folder`/waves.vcd.

    Parameters
    ----------
    images : int, optional
        Only the first so many.
    step : function
        Called at each step with a text and how many units of work it has; returns what takes the units done.
    """
    count = len(dataset.test_images) if images is None else images
    if not 1 <= count <= len(dataset.test_images):
        raise HillockError(
            f"images must be from 1 to {len(dataset.test_images)}, as many as {dataset.name} holds out, not {count}"
        )
    if not network.image_input or network.inputs != dataset.pixels:
        takes = f"images of {network.inputs} pixels" if network.image_input else "events"
        raise HillockError(
            f"network {network.name!r} takes {takes}, and {dataset.name} has images of {dataset.pixels} pixels"
        )
    done = step("memory images", 1)
    write_images(place(network, fit(network, lanes)), folder / "images")
    stored, config, network = read_images(folder / "images")
    done(1)
    done = step("gateware (Amaranth to Verilog)", 1)
    verilog = core_verilog(config, memory_init(stored))
    done(1)
    done = step("compiled gateware (Verilator)", 1)
    program = harness.build(verilog, config, cache)
    done(1)

    result = Simulation(
        network,
        config,
        dataset,
        float_accuracy,
        images=count,
        layers=[LayerFigures(layer.name, layer.neurons) for layer in network.layers],
        correct_at=np.zeros(network.timesteps, np.int64),
    )
    done = step("images through the gateware, all compared", count)
    for start in range(0, count, BATCH):
        stop = min(start + BATCH, count)
        stimulus = harness.Stimulus()
        for pixels in dataset.test_images[start:stop]:
            stimulus.write(image_writes(pixels, config))
            stimulus.run_image()
        began = time.perf_counter()
        got = program.run(stimulus)
        result.simulation_seconds += time.perf_counter() - began
        result.simulated_cycles += got.cycles
        measured = list(got.runs(network, config))
        if len(measured) != stop - start:
            raise HillockError(f"{stop - start} images went into the gateware and {len(measured)} results came out")
        for index, one in enumerate(measured, start):
            _take(result, index, one)
            done(1)
    if waves:
        _record_waves(result, verilog, folder, cache, step)
    return result


def _take(result: Simulation, index: int, measured: harness.Measured) -> None:
    """Compare one image and add its figures."""
    network, config = result.network, result.config
    pixels, label = result.dataset.test_images[index], int(result.dataset.test_labels[index])
    trace = golden.run(network, image=pixels)
    timeline = time_inference(network, trace, config.lanes)
    result.comparison.add(compare(network, trace, measured, timeline))
    for number, (figures, layer) in enumerate(zip(result.layers, trace.layers, strict=True)):
        figures.sop += layer.sop
        figures.spikes += int(layer.spikes.sum())
        figures.busy_cycles += int(timeline.busy[number])
    # Cycles and the decision are those of the gateware; what it would have decided earlier, the golden model says.
    result.cycles.append(measured.decision_cycle)
    decisions = _decisions_at(network, trace)
    decisions[-1] = measured.decision
    result.correct_at += decisions == label
    if result.sample is None:
        result.sample = (pixels, label, trace, timeline)


def _decisions_at(network: Network, trace: Trace) -> IntArray:
    """What would be decided after each timestep."""
    steps = np.arange(network.timesteps)[:, None]
    counts = np.cumsum(np.where(steps >= network.delay, trace.layers[-1].spikes, 0), axis=0)
    deciding = counts if network.layers[-1].fires else trace.layers[-1].potentials
    decisions: IntArray = deciding.argmax(axis=1)
    return decisions


def _record_waves(
    result: Simulation, verilog: str, folder: Path, cache: Path, step: Callable[[str, int], Callable[[int], None]]
) -> None:
    done = step("waveforms of the first inference", 1)
    program = harness.build(verilog, result.config, cache, waves=True)
    stimulus = harness.Stimulus()
    stimulus.write(image_writes(result.dataset.test_images[0], result.config))
    stimulus.run_image()
    program.run(stimulus, folder / "waves.vcd")
    done(1)


def write_summary(result: Simulation, folder: Path) -> Path:
    """Write `summary.json`."""
    path = folder / "summary.json"
    path.write_text(json.dumps(result.summary(), indent=2) + "\n")
    return path
