"""The whole way: the trained digits through the compiled gateware, spike for spike and cycle for cycle."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hillock.gen.datasets import Dataset, digits
from hillock.gen.figures import Simulation, write_summary
from hillock.gen.image import bus_writes, image_writes, memory_init
from hillock.gen.manifest import read_images
from hillock.gen.models import load_model
from hillock.gen.simulate import simulate
from hillock.gen.verilog import core_verilog
from hillock.hw.problems import HillockError
from hillock.hw.registers import region
from hillock.sim import golden, harness
from hillock.sim.compare import compare
from hillock.sim.network import INPUT, Connection, Convolution, Decision, Dense, Layer, Network, Shape
from hillock.sim.timing import time_inference

BUILD = Path(__file__).resolve().parents[2] / "build" / "test-sim"
IMAGES = 12
CYCLES = {16: 5330, 5: 16107}
"""Of the first held-out image on the committed network, by lanes: a change of the gateware or of the network shows."""


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return digits()


@pytest.fixture(scope="module")
def network() -> Network:
    return load_model("digits").network


@pytest.fixture(scope="module")
def runs(dataset, network) -> dict[int, Simulation]:
    """Finished simulations, made when they are asked for."""

    class Runs(dict[int, Simulation]):
        def __missing__(self, lanes: int) -> Simulation:
            self[lanes] = simulate(
                network,
                dataset,
                float_accuracy=0.75,
                lanes=lanes,
                folder=BUILD / f"digits-{lanes}",
                cache=BUILD / "verilator",
                images=IMAGES,
            )
            return self[lanes]

    return Runs()


@pytest.mark.parametrize("lanes", [16, 5])
def test_equals_the_golden_model(lanes, runs, network, dataset):
    result = runs[lanes]
    traces = [golden.run(network, image=image) for image in dataset.test_images[:IMAGES]]
    timelines = [time_inference(result.plan, trace) for trace in traces]
    found = result.comparison
    assert found.equal, str(found.first)
    assert (found.spike_mismatches, found.potential_mismatches) == (0, 0)
    assert (found.cycle_mismatches, found.result_mismatches) == (0, 0)
    assert found.inferences == IMAGES
    # 64 + 128 + 10 neurons in 25 timesteps; every fire pass, output event and decision has a cycle.
    assert found.spikes_compared == found.potentials_compared == IMAGES * 25 * 202
    assert found.cycles_compared == sum(25 * 3 + len(timeline.output) + 1 for timeline in timelines)
    assert found.results_compared == 2 * IMAGES
    # Measured, and expected without having measured.
    assert result.cycles == [timeline.decision for timeline in timelines]
    assert result.cycles[0] == CYCLES[lanes]
    assert [layer.sop for layer in result.layers] == [sum(trace.layers[i].sop for trace in traces) for i in range(3)]
    assert [layer.spikes for layer in result.layers] == [
        sum(int(trace.layers[i].spikes.sum()) for trace in traces) for i in range(3)
    ]


@pytest.mark.parametrize("lanes", [16, 5])
def test_the_summary_is_arithmetic_on_what_was_measured(lanes, runs, network, dataset):
    summary = runs[lanes].summary()
    traces = [golden.run(network, image=image) for image in dataset.test_images[:IMAGES]]
    # Synaptic operations once more: a spike of the encoder adds 128 weights, one of the hidden layer 10.
    sop = sum(128 * int(trace.layers[0].spikes.sum()) + 10 * int(trace.layers[1].spikes.sum()) for trace in traces)
    cycles = sum(time_inference(runs[lanes].plan, trace).decision for trace in traces)
    labels = dataset.test_labels[:IMAGES].tolist()
    right = sum(trace.decision == label for trace, label in zip(traces, labels, strict=True))
    assert summary["sop_per_image"] == sop / IMAGES
    assert summary["cycles_per_image"] == cycles / IMAGES
    assert summary["lane_utilization"] == sop / (lanes * cycles)
    assert summary["accuracy"] == round(right / IMAGES, 6)
    assert summary["accuracy_at_timestep"][-1] == summary["accuracy"]
    assert summary["float_accuracy"] == 0.75
    assert (summary["model"], summary["dataset"]) == ("digits", "digits")
    assert (summary["images"], summary["timesteps"], summary["lanes"]) == (IMAGES, 25, lanes)
    assert summary["network_digest"] == network.digest()
    assert summary["first_difference"] is None
    # The program runs every cycle of every inference, and those in which images are loaded.
    assert summary["simulated_cycles"] > cycles
    # Of the cycles of its own walks a layer uses more: those between the layers are nobody's.
    assert all(layer["lane_utilization"] > 0 for layer in summary["layers"][1:])
    assert sum(layer["cycles_per_image"] for layer in summary["layers"]) < summary["cycles_per_image"]


def test_lanes_that_divide_the_layers_are_used_better(runs):
    """On 16 lanes 128 neurons are 8 full words, and 10 neurons are one that is not full; on 5 lanes they are two."""
    hidden, output = runs[16].summary()["layers"][1:]
    # An event of the hidden layer uses every lane of its 8 cycles; fire passes use none: 25 of all walks.
    events = hidden["sop_per_image"] / 128
    assert hidden["cycles_per_image"] == pytest.approx(8 * (events + 25))
    assert hidden["lane_utilization"] == pytest.approx(events / (events + 25))
    events = output["sop_per_image"] / 10
    assert output["lane_utilization"] == pytest.approx(10 / 16 * events / (events + 25))
    assert runs[5].summary()["lane_utilization"] > runs[16].summary()["lane_utilization"]


def test_the_summary_on_disk_is_the_same(runs, tmp_path):
    path = write_summary(runs[16], tmp_path)
    assert path == tmp_path / "summary.json"
    assert json.loads(path.read_text()) == json.loads(json.dumps(runs[16].summary()))


def test_the_sample_is_the_first_image(runs, network, dataset):
    sample = runs[16].sample
    assert np.array_equal(sample.pixels, dataset.test_images[0])
    assert sample.label == dataset.test_labels[0]
    assert sample.trace.decision == golden.run(network, image=sample.pixels).decision
    assert sample.timeline.decision == CYCLES[16]
    assert sample.float_image is None


# A defect is caught


def test_one_weight_that_is_wrong_is_found_where_it_first_matters(runs, network, dataset):
    """One weight in one synapse word is written anew over the bus: by one, the least that a defect can be."""
    assert runs[16].comparison.equal
    stored, placement = read_images(BUILD / "digits-16" / "images")
    config, plan = placement.config, placement.plan
    program = harness.build(core_verilog(config, memory_init(stored)), config, BUILD / "verilator")
    image = dataset.test_images[0]
    trace = golden.run(network, image=image)
    pixel, neuron = int(np.argmax(image)), 37

    # The defect: the weight of the brightest pixel to one hidden neuron.
    weights = network.layers[1].connections[0].synapses.weights.copy()
    weights[pixel, neuron] += 1 if weights[pixel, neuron] < 127 else -1
    wrong = dataclasses.replace(network.layers[1], connections=(Connection("encoder", Dense(weights)),))
    wrong_network = dataclasses.replace(network, layers=(network.layers[0], wrong, network.layers[2]))
    wrong_trace = golden.run(wrong_network, image=image)

    # Where: the layer is the first with synapses; 64 words for each 16 of its neurons, one for each pixel; 8-bit lanes.
    word, lane = neuron // 16 * 64 + pixel, neuron % 16
    stored["synapses"].data[word, lane] = weights[pixel, neuron] & 0xFF
    writes = bus_writes(stored, config)
    mine = writes[writes[:, 0] >> config.part_bits == region("synapses").base >> config.part_bits | word]
    assert len(mine) == 4  # slices of one word of 128 bits

    stimulus = harness.Stimulus()
    stimulus.write(image_writes(image, placement))
    stimulus.run_image()
    stimulus.write(mine)
    stimulus.run_image()
    before, after = program.run(stimulus).runs(plan)

    timeline = time_inference(plan, trace)
    assert compare(plan, trace, before, timeline).equal
    result = compare(plan, trace, after, timeline)
    assert not result.equal
    assert result.potential_mismatches > 0
    # The defect shows when the pixel first fires, at just that neuron.
    step = int(np.flatnonzero(trace.layers[0].spikes[:, pixel])[0])
    wanted, got = (one.layers[1].potentials[step, neuron] for one in (trace, wrong_trace))
    assert wanted != got
    assert str(result.first) == (
        f"potential at layer hidden, timestep {step + 1}, neuron {neuron}, "
        f"cycle {timeline.fire[step, 1]}: expected {wanted}, got {got}"
    )
    # And nothing else is wrong: it is exactly the network with that weight.
    wrong_plan = dataclasses.replace(plan, network=wrong_network)
    assert compare(wrong_plan, wrong_trace, after, time_inference(wrong_plan, wrong_trace)).equal


# What is refused before anything is built


def refuses(text: str, network: Network, dataset: Dataset, tmp_path: Path, **options) -> None:
    steps = []

    def step(text: str, total: int) -> Callable[[int], None]:
        steps.append(text)
        return lambda done: None

    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        simulate(
            network,
            dataset,
            float_accuracy=1.0,
            folder=tmp_path / "sim",
            cache=tmp_path / "verilator",
            step=step,
            **({"lanes": 16} | options),
        )
    assert steps == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("images", [0, -1, 446])
def test_a_number_of_images_that_there_are_not(images, network, dataset, tmp_path):
    text = f"images must be from 1 to 445, as many as digits holds out, not {images}"
    refuses(text, network, dataset, tmp_path, images=images)


def test_a_network_of_another_dataset(network, dataset, tmp_path):
    text = "network 'mnist' takes images of 784 pixels, and digits has images of 8x8 pixels"
    refuses(text, load_model("mnist").network, dataset, tmp_path)
    flat = dataclasses.replace(dataset, image_shape=(4, 16))
    network = load_model("digits-residual").network
    refuses(
        f"network {network.name!r} takes images of 8x8 pixels, and digits has images of 4x16 pixels",
        network,
        flat,
        tmp_path,
    )


def test_input_that_an_image_is_not(dataset, tmp_path):
    layer = Layer(name="a", shape=Shape(1), threshold=9, connections=(Connection(INPUT, Dense(np.ones((64, 1), int))),))
    network = Network(name="n", input=Shape(64), layers=(layer,))
    refuses(
        "network 'n' takes events of every timestep, and digits has images of 8x8 pixels", network, dataset, tmp_path
    )
    static = Connection(INPUT, Convolution(np.ones((1, 1, 4, 1), int)), static=True)
    layer = dataclasses.replace(layer, shape=Shape(1, 4, 4), connections=(static,))
    network = Network(name="n", input=Shape(4, 4, 4), layers=(layer,), decision=Decision.NONE)
    text = "network 'n' takes images of 4x4 pixels with 4 channels, and digits has images of 8x8 pixels"
    refuses(text, network, dataset, tmp_path)


def test_pixels_that_events_cannot_carry(dataset, tmp_path):
    connection = Connection(INPUT, Dense(np.ones((64, 10), int)), static=True)
    layer = Layer(name="a", shape=Shape(10), threshold=9, connections=(connection,))
    network = Network(name="n", input=Shape(1, 8, 8), layers=(layer,), payload_bits=4)
    text = (
        "network 'n' takes pixels up to 15 (payload_bits = 4), and digits has pixels up to 255: a network with "
        "payload_bits = 8 takes them"
    )
    refuses(text, network, dataset, tmp_path)
