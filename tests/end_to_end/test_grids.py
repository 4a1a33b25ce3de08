"""The whole way for graphs of grids: every kind of layer on real images, spike for spike and cycle for cycle."""

from pathlib import Path

import numpy as np
import pytest

from hillock.gen.datasets import Dataset, digits
from hillock.gen.figures import Simulation
from hillock.gen.models import load_model
from hillock.gen.report import write_report
from hillock.gen.scores import float_network_of
from hillock.gen.simulate import inference_of, simulate
from hillock.sim import golden
from hillock.sim.batch import run_batch
from hillock.sim.elements import add, and_, iand, identity, max_pool
from hillock.sim.network import (
    INPUT,
    Connection,
    Convolution,
    Decision,
    Dense,
    Layer,
    LeakOrder,
    Network,
    ResetMode,
    Shape,
)
from hillock.sim.timing import time_inference

BUILD = Path(__file__).resolve().parents[2] / "build" / "test-sim"
IMAGES = 12
LANES = {"digits-residual": 16, "digits-autoencoder": 6, "kinds": 10}


def kinds() -> Network:
    """What the trained networks do not have: direct coding, max pooling, spike-wise ADD, AND and IAND, and the rest.

    Weights are drawn from a fixed seed, and thresholds chosen so that every layer fires.
    """
    rng = np.random.default_rng(5)
    grid, half = Shape(4, 8, 8), Shape(4, 4, 4)

    def convolution(*size: int, groups: int = 1) -> Convolution:
        return Convolution(rng.integers(-20, 31, size), padding=(size[0] // 2, size[1] // 2), groups=groups)

    direct = Layer(
        name="direct",
        shape=grid,
        threshold=12000,
        reset_amount=12000,
        currents=np.array([2000, 0, -1000, 500]),
        connections=(Connection(INPUT, convolution(3, 3, 1, 4), static=True),),
    )
    grouped = Layer(
        name="grouped",
        shape=half,
        threshold=40,
        reset_mode=ResetMode.TO_VALUE,
        reset_amount=-5,
        leak_shift=2,
        leak_order=LeakOrder.LEAK_THEN_RESET,
        connections=(Connection("max", convolution(3, 5, 2, 4, groups=2)),),
    )
    merged = Layer(
        name="merged",
        shape=half,
        threshold=400,
        reset_amount=400,
        connections=(
            Connection("add", convolution(3, 3, 4, 4)),
            Connection("and", identity(4, 9)),
            Connection("iand", convolution(1, 1, 4, 4)),
        ),
    )
    readout = Layer(
        name="readout",
        shape=Shape(10),
        threshold=1,
        fires=False,
        connections=(Connection("merged", Dense(rng.integers(-50, 50, (4, 10))), pool=(4, 4)),),
    )
    return Network(
        name="kinds",
        input=Shape(1, 8, 8),
        layers=(
            direct,
            max_pool("max", "direct", grid, (2, 2), fraction_bits=0),
            grouped,
            add("add", "grouped", "max", half, fraction_bits=0),
            and_("and", "grouped", "max", half, fraction_bits=0),
            iand("iand", "grouped", "max", half, fraction_bits=0),
            merged,
            readout,
        ),
        potential_bits=20,
        fraction_bits=0,
        payload_bits=8,
        timesteps=12,
        decision=Decision.POTENTIAL,
    )


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return digits()


def network_of(name: str) -> Network:
    return kinds() if name == "kinds" else load_model(name).network


@pytest.fixture(scope="module", params=list(LANES))
def run(request, dataset) -> Simulation:
    """A finished simulation."""
    name = request.param
    network = network_of(name)
    return simulate(
        network,
        dataset,
        float_network=None if name == "kinds" else float_network_of(load_model(name)),
        lanes=LANES[name],
        folder=BUILD / f"{name}-{LANES[name]}",
        cache=BUILD / "verilator",
        images=IMAGES,
    )


def test_all_kinds_of_layers_are_here():
    networks = [network_of(name) for name in LANES]
    connections = [connection for network in networks for _, connection in network.walks()]
    layers = [layer for network in networks for layer in network.layers]
    assert {connection.synapses.kind for connection in connections} == {
        "dense", "convolution", "transposed_convolution"}  # fmt: skip
    windowed = [connection.synapses for connection in connections if not isinstance(connection.synapses, Dense)]
    assert {synapses.stride for synapses in windowed} >= {(1, 1), (2, 2)}
    assert any(1 < synapses.groups < synapses.weights.shape[3] for synapses in windowed)
    assert any(synapses.groups == synapses.weights.shape[3] > 1 for synapses in windowed)
    assert any(synapses.kernel[0] != synapses.kernel[1] for synapses in windowed)
    assert any(connection.pool != (1, 1) for connection in connections)
    assert any(connection.static for connection in connections)
    assert max(len(layer.connections) for layer in layers) == 3
    assert any(layer.graded for layer in layers)
    assert {layer.reset_mode for layer in layers} == set(ResetMode)
    assert {network.decision for network in networks} == set(Decision)
    assert {len(layer.currents) for layer in layers if layer.currents is not None} & {4, 8}


def test_equals_the_golden_model(run, dataset):
    network, found = run.network, run.comparison
    traces = [golden.run(network, **inference_of(network, image)) for image in dataset.test_images[:IMAGES]]
    timelines = [time_inference(run.plan, trace) for trace in traces]
    assert found.equal, str(found.first)
    assert (found.spike_mismatches, found.potential_mismatches) == (0, 0)
    assert (found.cycle_mismatches, found.result_mismatches) == (0, 0)
    neurons = sum(layer.neurons for layer in network.layers)
    assert found.inferences == IMAGES
    assert found.spikes_compared == found.potentials_compared == IMAGES * network.timesteps * neurons
    passes = network.timesteps * len(network.layers)
    assert found.cycles_compared == sum(passes + len(timeline.output) + 1 for timeline in timelines)
    assert found.results_compared == 2 * IMAGES
    assert run.cycles == [timeline.decision for timeline in timelines]
    # Something was there to be compared.
    for index, (layer, figures) in enumerate(zip(network.layers, run.layers, strict=True)):
        assert bool(figures.spikes) == layer.fires, layer.name
        assert figures.sop == sum(trace.layers[index].sop for trace in traces)


def test_the_score_is_that_of_the_batch(run, dataset):
    network = run.network
    images, labels = dataset.test_images[:IMAGES].astype(int), dataset.test_labels[:IMAGES]
    batch = run_batch(network, images)
    if network.decision is Decision.NONE:
        assert run.score.final == pytest.approx(((batch.counts / network.timesteps - images / 255) ** 2).mean())
        assert run.score.final < 0.02
        assert run.score.of_float < run.score.final
    else:
        assert run.score.total_at.tolist() == (batch.decisions_at == labels[:, None]).sum(axis=0).tolist()
        assert run.score.of_float is None
    if network.name == "digits-residual":
        assert run.score.final == 1


def test_the_figures_of_each_layer(run):
    summary, network = run.summary(), run.network
    assert [layer["name"] for layer in summary["layers"]] == [layer.name for layer in network.layers]
    for figures, layer, layout in zip(summary["layers"], network.layers, run.plan.layouts, strict=True):
        assert figures["grid"] == str(layer.shape)
        assert (figures["columns_per_word"], figures["channels_per_word"]) == (layout.columns, layout.channels)
        # The words, counted by hand: channels of each word side by side, columns of each word side by side.
        across = -(-layer.shape.width // layout.columns)
        assert figures["words"] == layer.shape.height * across * -(-layer.shape.channels // layout.channels)
        assert figures["cycles_per_image"] >= network.timesteps * figures["words"]
        assert figures["activity"] == pytest.approx(
            figures["spikes_per_image"] / (network.timesteps * layer.neurons), abs=1e-6
        )
        busy = figures["sop_per_image"] / (summary["lanes"] * figures["cycles_per_image"])
        assert figures["lane_utilization"] == pytest.approx(busy)
    assert summary["lane_utilization"] == pytest.approx(
        summary["sop_per_image"] / (summary["lanes"] * summary["cycles_per_image"])
    )


def test_the_report_is_written(run, tmp_path):
    text = write_report(run, tmp_path).read_text(encoding="utf-8")
    grids = [layer for layer in run.network.layers if not layer.shape.flat]
    assert text.count('aria-label="Spikes by place. ') == len(grids) > 3
    assert ("Output of 8 by 8 pixels of the float ANN" in text) == (run.network.decision is Decision.NONE)
    assert f"{run.comparison.spikes_compared:,} spikes compared, 0 mismatches" in text
