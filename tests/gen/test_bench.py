"""The networks that the bench measures with, what it measures, and its tables."""

import io
import json
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from hillock.gen import bench, bench_networks
from hillock.gen.bench import run_bench
from hillock.gen.bench_networks import bench_network, drawn_net_1_c, net_1_c, random_events, random_images
from hillock.gen.bench_tables import bench_tables
from hillock.gen.datasets import Dataset
from hillock.gen.mapping import fit, place
from hillock.gen.models import MODELS
from hillock.hw.problems import HillockError
from hillock.sim import golden
from hillock.sim.batch import run_batch

# Networks


@pytest.fixture
def no_model(monkeypatch, tmp_path):
    """No model has been trained."""
    monkeypatch.setattr(bench_networks, "MODELS", tmp_path)


def test_the_drawn_network_is_as_active_as_it_says():
    network = drawn_net_1_c()
    spikes = run_batch(network, random_images(8)).spikes.mean(axis=(0, 1))
    activity = {layer.name: count / layer.neurons for layer, count in zip(network.layers, spikes.tolist(), strict=True)}
    assert activity["encoder"] == pytest.approx(0.13, abs=0.005)
    assert activity["conv1"] == pytest.approx(0.07, abs=0.005)
    assert activity["conv2"] == pytest.approx(0.05, abs=0.005)
    assert min(activity.values()) > 0.05


def test_the_drawn_network_has_the_shape_of_net_1_c():
    network = drawn_net_1_c()
    assert [str(layer.shape) for layer in network.layers] == ["28x28x1", "26x26x20", "9x9x50", "50", "10"]
    weights = [connection.synapses.weights.size for _, connection in network.walks()]
    assert weights == [180, 25_000, 40_000, 500]
    if (MODELS / "net1-c").is_dir():
        trained = net_1_c(1).network
        assert [layer.shape for layer in trained.layers] == [layer.shape for layer in network.layers]


def test_the_dense_network_is_as_active_as_it_says():
    network = bench_network()
    events = random_events(np.random.default_rng(1), 0.13, network)
    hidden = golden.run(network, events=events).layers[0].spikes
    assert hidden.mean() == pytest.approx(0.10, abs=0.01)
    assert drawn_net_1_c().digest() == drawn_net_1_c().digest()
    assert bench_network().digest() == bench_network().digest()


@pytest.mark.usefixtures("no_model")
def test_without_a_model_weights_are_drawn():
    net = net_1_c(3)
    assert net.network.digest() == drawn_net_1_c().digest()
    assert net.images.shape == (3, 784)
    assert (net.weights, net.data) == ("drawn from a fixed seed (models/net1-c is not there)", "random")


def test_without_images_weights_are_drawn(monkeypatch):
    def missing(name):
        raise HillockError(f"dataset {name!r}: not there")

    monkeypatch.setattr(bench_networks, "load_dataset", missing)
    net = net_1_c(2)
    assert net.network.digest() == drawn_net_1_c().digest()
    assert (net.weights, net.data) == ("drawn from a fixed seed (MNIST is not there)", "random")


def test_a_trained_model_is_preferred(monkeypatch):
    images = np.arange(5 * 784).reshape(5, 784).astype(np.uint8)
    labels = np.zeros(5, np.int64)
    dataset = Dataset("mnist", images, labels, images.copy(), labels.copy(), (28, 28))
    monkeypatch.setattr(bench_networks, "load_dataset", lambda name: dataset)
    net = net_1_c(3)
    assert net.weights == "models/net1-c"
    assert net.network.digest() != drawn_net_1_c().digest()
    assert np.array_equal(net.images, images[:3])
    assert len(net_1_c(99).images) == 5  # no more than there are


# Tables


def a_result() -> dict[str, Any]:
    """What a run returns, with figures as wide as they get."""

    def layer(name: str, grid: str, words: int, cycles: float) -> dict[str, Any]:
        sizes = {"columns_per_word": 1, "channels_per_word": 128, "words": words}
        return {"name": name, "grid": grid, **sizes, "activity": 0.1234, "cycles_per_image": cycles} | {
            "lane_utilization": 0.98765
        }

    net_rows = [
        {
            "lanes": lanes,
            "layers": [layer("encoder", "28x28x1", 84, 2100.0), layer("conv1", "26x26x20", 1352, 1234567.8)],
            "cycles_per_image": 12345678.9,
            "lane_utilization": 0.9512,
            "simulated_cycles": 3000,
            "simulation_seconds": 2.0,
        }
        for lanes in (10, 128)
    ]
    cores = [(["encoder", "conv1"], 10), (["conv2"], 100), (["dense", "output"], 4)]
    pipeline = {
        "name": "net1-c",
        "cores": [{"layers": layers, "lanes": lanes} for layers, lanes in cores],
        "lanes": 114,
        "inferences": 1000,
        "cycles_first_image": 1_234_567,
        "interval": 1_234_567.8,
        "sop_per_image": 12_345_678.9,
        "lane_utilization": 0.98765,
        "images_per_second": 12_345.6,
    }
    names = ((bench_network().name, density) for density in bench.DENSITIES)
    rows = [
        {"name": name, "lanes": 8, "density": density, "cycles_per_image": 319_000.4, "lane_utilization": 0.9876}
        for name, density in [*names, ("784-128-10 behind the rate encoder", 0.13)]
    ]
    return {
        "network": "784-128-10",
        "timesteps": 25,
        "rows": rows,
        "net_1": {
            "timesteps": 25,
            "weights": "drawn from a fixed seed (models/net1-c is not there)",
            "data": "random",
            "images": 1,
            "rows": net_rows,
        },
        "pipelines": [pipeline],
        "simulation": [{"lanes": 8, "simulated_cycles_per_second": 1234567}],
        "golden_images_per_second_plain": 12.3,
        "golden_images_per_second_fast": 4321.1,
        "peer": bench.PEER,
    }


def test_tables_fit_80_columns():
    console = Console(file=io.StringIO(), width=80)
    for table in bench_tables(a_result()):
        console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in text
    lines = [" ".join(line.replace("│", " ").split()) for line in text.splitlines()]
    assert "8 319,000 319,000 319,000 319,000 319,000 319,000" in lines
    assert "0.988 0.988 0.988 0.988 0.988 0.988" in lines
    assert "10 conv1 26x26x20 1x128 1,352 12.3 1,234,568 0.988" in lines
    assert "128 all 12,345,679 0.951" in lines
    assert "simulated cycles, Net 1 C, 10 lanes 1,500" in lines
    assert "net1-c encoder, conv1: 1000 1,234,567 1,234,568 0.988 12,346" in lines
    assert lines[lines.index("conv2: 100") + 1] == "dense, output: 4"
    assert "Net 1 C, T = 25: mean of 1 image" in text
    assert "Weights: drawn from a fixed seed (models/net1-c is not there); input: random." in " ".join(lines)


# Measuring


@pytest.mark.usefixtures("no_model")
def test_whoever_differs_from_the_golden_model_is_not_measured(monkeypatch, tmp_path):
    class Wrong:
        equal, first = False, "potential at layer hidden"

    monkeypatch.setattr(bench, "compare", lambda *arguments: Wrong)
    text = r"^784-128-10 on 4 lanes differs from the golden model: potential at layer hidden$"
    with pytest.raises(HillockError, match=text):
        run_bench(tmp_path / "bench", lanes=[4], net_1_lanes=[], densities=[0.02])


@pytest.mark.slow
@pytest.mark.usefixtures("no_model")
def test_a_run(tmp_path):
    result = run_bench(tmp_path / "bench", lanes=[16], net_1_lanes=[10], images=2, densities=[0.13])
    assert json.loads((tmp_path / "bench" / "summary.json").read_text()) == result
    events, encoded = result["rows"]
    assert (events["lanes"], events["density"], events["name"]) == (16, 0.13, "784-128-10")
    # 13 % of 784 inputs at 8 words each, a fire pass of 8 words and one of 1; and what lies between.
    walks = 25 * (0.13 * 784 * 8 + 0.10 * 128 + 8 + 1)
    assert walks < events["cycles_per_image"] == pytest.approx(walks, rel=0.03)
    assert 0.95 < events["lane_utilization"] < 1
    assert encoded["cycles_per_image"] > events["cycles_per_image"]
    assert [layer["name"] for layer in encoded["layers"]] == ["encoder", "hidden", "output"]

    net = result["net_1"]
    assert (net["images"], net["weights"][:5]) == (2, "drawn")
    (row,) = net["rows"]
    network = drawn_net_1_c()
    batch = run_batch(network, random_images(2))
    assert row["sop_per_image"] == batch.sop.sum() / 2
    assert [layer["sop_per_image"] for layer in row["layers"]] == (batch.sop.sum(axis=0) / 2).tolist()
    assert row["lane_utilization"] == pytest.approx(row["sop_per_image"] / 10 / row["cycles_per_image"], abs=1e-4)
    placement = place(network, fit(network, 10))
    assert [layer["words"] for layer in row["layers"]] == [layer.layout.words for layer in placement.layers]
    # 10 lanes divide the channels of every layer but the encoder's.
    assert row["lane_utilization"] > 0.85
