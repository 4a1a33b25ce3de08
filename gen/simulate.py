"""The main job: images of a test set through the compiled gateware, and every result held against the golden model."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hillock.hw.problems import HillockError
from hillock.sim import golden, harness
from hillock.sim.compare import compare
from hillock.sim.network import IntArray, Network
from hillock.sim.stimulus import Steps, check_events, image_events
from hillock.sim.timing import time_inference

from .datasets import Dataset
from .figures import Sample, Simulation, add_figures, figures_of
from .float_network import FloatNetwork
from .image import image_writes, memory_init
from .manifest import read_images, write_images
from .mapping import Placement, fit, place
from .scores import image_of, score_of
from .verilog import core_verilog

__all__ = ["Step", "check_images", "in_silence", "inference_of", "put", "simulate", "take"]

BATCH = 10
"""Images that the compiled program is given at a time: how often the progress bar moves."""

Step = Callable[[str, int], Callable[[int], None]]
"""Called at each step with a text and how many units of work it has; returns what takes the units done."""


def in_silence(text: str, total: int) -> Callable[[int], None]:
    """A `Step` that tells nobody."""
    return lambda done: None


def inference_of(network: Network, pixels: IntArray) -> dict[str, Any]:
    """The argument of `golden.run` for an image: itself, or the static events that its pixels are."""
    return {"image": pixels} if network.image_input else {"events": [image_events(pixels)]}


def put(
    stimulus: harness.Stimulus, placement: Placement, *, image: IntArray | None = None, events: Steps | None = None
) -> None:
    """Add an inference to `stimulus`; it takes the arguments of `golden.run`."""
    network = placement.network
    if image is not None:
        stimulus.write(image_writes(image, placement))
        stimulus.run_image()
    else:
        stimulus.run_events(check_events(network, events), network.input, placement.config)


def simulate(
    network: Network,
    dataset: Dataset,
    *,
    lanes: int,
    folder: Path,
    cache: Path,
    float_accuracy: float | None = None,
    float_network: FloatNetwork | None = None,
    images: int | None = None,
    waves: bool = False,
    step: Step = in_silence,
) -> Simulation:
    """Run the held-out images of `dataset` through the gateware of `network`, and compare everything.

    The network takes an image, or static events: one for each pixel that is not 0, which it carries. Memory images go
    to `folder`/images and are read back: the golden model runs what the bytes say. The gateware is generated with them
    in its memories and compiled below `cache`. With `waves`, the first inference is recorded in `folder`/waves.vcd.

    Parameters
    ----------
    float_accuracy : float, optional
        Of the float network, to show beside that of `network`.
    float_network : FloatNetwork, optional
        To show its image beside that of a network whose output is one.
    images : int, optional
        Only the first so many.
    step : Step
    """
    count = len(dataset.test_images) if images is None else images
    check_images(network, dataset, count)
    done = step("memory images", 1)
    write_images(place(network, fit(network, lanes)), folder / "images")
    stored, placement = read_images(folder / "images")
    done(1)
    done = step("gateware (Amaranth to Verilog)", 1)
    verilog = core_verilog(placement.config, memory_init(stored))
    done(1)
    done = step("compiled gateware (Verilator)", 1)
    program = harness.build(verilog, placement.config, cache)
    done(1)

    plan = placement.plan
    score = score_of(plan.network, dataset, float_accuracy, float_network)
    result = Simulation(plan, dataset, score, layers=figures_of(plan))
    done = step("images through the gateware, all compared", count)
    for start in range(0, count, BATCH):
        stop = min(start + BATCH, count)
        stimulus = harness.Stimulus()
        for pixels in dataset.test_images[start:stop]:
            put(stimulus, placement, **inference_of(network, pixels))
        began = time.perf_counter()
        got = program.run(stimulus)
        result.simulation_seconds += time.perf_counter() - began
        result.simulated_cycles += got.cycles
        measured = list(got.runs(plan))
        if len(measured) != stop - start:
            raise HillockError(f"{stop - start} images went into the gateware and {len(measured)} results came out")
        for index, one in enumerate(measured, start):
            take(result, index, one, float_network)
            done(1)
    if waves:
        done = step("waveforms of the first inference", 1)
        recording = harness.build(verilog, placement.config, cache, waves=True)
        stimulus = harness.Stimulus()
        put(stimulus, placement, **inference_of(network, dataset.test_images[0]))
        recording.run(stimulus, folder / "waves.vcd")
        done(1)
    return result


def check_images(network: Network, dataset: Dataset, count: int) -> None:
    """Whether the images of `dataset` can be run through `network`, the first `count` of them."""
    if not 1 <= count <= len(dataset.test_images):
        raise HillockError(
            f"images must be from 1 to {len(dataset.test_images)}, as many as {dataset.name} holds out, not {count}"
        )
    rows, columns = dataset.image_shape
    shape = network.input
    takes = f"images of {shape.neurons} pixels" if shape.flat else f"images of {shape.height}x{shape.width} pixels"
    if shape.channels > 1 and not shape.flat:
        takes += f" with {shape.channels} channels"
    if not (network.image_input or network.static_input):
        takes, fits = "events of every timestep", False
    else:
        fits = shape.neurons == dataset.pixels and (shape.flat or (shape.height, shape.width) == (rows, columns))
    if not fits:
        raise HillockError(
            f"network {network.name!r} takes {takes}, and {dataset.name} has images of {rows}x{columns} pixels"
        )
    largest = int(dataset.test_images[:count].max())
    if network.static_input and largest > network.largest_payload:
        raise HillockError(
            f"network {network.name!r} takes pixels up to {network.largest_payload} (payload_bits = "
            f"{network.payload_bits}), and {dataset.name} has pixels up to {largest}: a network with payload_bits = 8 "
            f"takes them"
        )


def take(result: Simulation, index: int, measured: harness.Measured, float_network: FloatNetwork | None = None) -> None:
    """Compare one image and add its figures. Cycles and the result are those of the gateware."""
    plan, network, dataset = result.plan, result.network, result.dataset
    pixels, label = dataset.test_images[index].astype(np.int64), int(dataset.test_labels[index])
    trace = golden.run(network, **inference_of(network, pixels))
    timeline = time_inference(plan, trace)
    result.comparison.add(compare(plan, trace, measured, timeline))
    add_figures(result.layers, trace, timeline)
    result.cycles.append(measured.decision_cycle)
    if result.score:
        counts = measured.spikes[-1][network.delay :].sum(axis=0)
        result.score.add(network, trace, pixels, label, decision=measured.decision, counts=counts)
    if result.sample is None:
        float_image = None
        if float_network is not None and result.score is not None and result.score.name == "mse":
            float_image = image_of(float_network, dataset.test_images[:1])[0]
        result.sample = Sample(pixels, label, trace, timeline, float_image)
