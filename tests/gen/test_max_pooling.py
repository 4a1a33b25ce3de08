"""Max pooling, where it is asked for: the largest value in the float network, the OR of spikes in the integer one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.gen.balance import balance_thresholds
from hillock.gen.conversion import Settings, convert_module
from hillock.gen.convert import SpikingNetwork, from_torch, normalise
from hillock.gen.datasets import load_dataset
from hillock.gen.float_file import load_float, save_float
from hillock.gen.float_network import FloatNetwork
from hillock.gen.quantize import quantize
from hillock.hw.problems import HillockError
from hillock.sim.golden import run
from hillock.sim.network import Decision, Network

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

T = 20


class ByFunction(nn.Module):
    """The function instead of the module."""

    def forward(self, x):
        return functional.max_pool2d(x, (2, 1), stride=1)


POOLS = (
    nn.MaxPool2d(2),
    nn.MaxPool2d((3, 2), stride=(1, 2)),
    nn.MaxPool2d(2, stride=3),
    nn.AdaptiveMaxPool2d((2, 3)),
    ByFunction(),
)


def pooling(pool: nn.Module, seed: int = 0) -> nn.Module:
    """Two convolutions with `pool` between them, of images of 6x6 with 2 channels."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), pool, nn.Conv2d(3, 4, 2), nn.ReLU())


def binary() -> FloatNetwork:
    """Every activation is 0 or 1 for pixels of 0 and 255: the pixels once more, and the largest of each 2x2."""
    copied = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(copied.weight)
    module = nn.Sequential(copied, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    return from_torch(module, (1, 4, 4), max_pooling="or")


def spikes(network: Network, image: np.ndarray) -> dict[str, np.ndarray]:
    """Spikes [timesteps, neurons] of each layer by name."""
    traces = run(network, image=image).layers
    return {layer.name: trace.spikes for layer, trace in zip(network.layers, traces, strict=True)}


@pytest.mark.parametrize("pool", POOLS, ids=str)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_float_network_has_the_largest_value(pool, seed):
    network = from_torch(pooling(pool, seed), (2, 6, 6), max_pooling="or")  # compares the outputs itself
    assert [layer.largest for layer in network.layers] == [False, True, False]
    images = np.random.default_rng(seed).integers(0, 256, (1, 72), np.uint8)
    first, largest, _ = network.activations(images)
    assert set(largest.ravel()) <= set(first.ravel())


@pytest.mark.parametrize("way", ["percentile", "balance"])
@settings(max_examples=10, deadline=None)
@given(pixels=st.lists(st.sampled_from([0, 255]), min_size=16, max_size=16))
def test_the_or_is_the_largest_of_binary_values(way, pixels):
    trained, white = binary(), np.full((1, 16), 255, np.uint8)
    spiking = normalise(trained, white) if way == "percentile" else balance_thresholds(trained, white, T)
    network, _ = quantize(spiking, timesteps=T, preload=0.0, decision=Decision.NONE)
    image = np.array(pixels, np.uint8)
    expected = image.reshape(2, 2, 2, 2).max(axis=(1, 3)).ravel() // 255
    *_, pooled = spikes(network, image).values()
    assert (pooled == expected).all()  # in each of the timesteps


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_or_of_rates_is_between_the_largest_and_the_sum(seed):
    images = np.random.default_rng(seed).integers(0, 256, (5, 72), np.uint8)
    trained = from_torch(pooling(nn.MaxPool2d(2), seed), (2, 6, 6), max_pooling="or")
    if not all((values > 0).any() for values in trained.activations(images)):
        return  # nothing to scale by
    network, _ = quantize(normalise(trained, images), timesteps=T, decision=Decision.NONE)
    _, first, pooled, _ = spikes(network, images[0]).values()
    cells = first.reshape(T, 3, 2, 3, 2, 3).sum(axis=0)
    counts = pooled.reshape(T, 3, 3, 3).sum(axis=0)
    assert (cells.max(axis=(1, 3)) <= counts).all()
    assert (counts <= cells.sum(axis=(1, 3))).all()


def test_its_spikes_stand_for_what_those_before_it_do():
    images = np.random.default_rng(1).integers(0, 256, (5, 72), np.uint8)
    trained = from_torch(pooling(nn.MaxPool2d(2)), (2, 6, 6), max_pooling="or")

    def check(spiking: SpikingNetwork) -> None:
        first, pooled, _last = spiking.layers
        assert pooled.activation == first.activation
        assert (pooled.connections[0].synapses.weights == 1).all()
        network, report = quantize(spiking, fraction_bits=3, preload=0.4, decision=Decision.NONE)
        assert [layer.preload > 0 for layer in network.layers] == [True, True, False, True]
        assert report.layers[2].scale == 1.0
        assert (report.layers[2].threshold, report.layers[2].weights) == (8, 12)

    check(normalise(trained, images))
    check(balance_thresholds(trained, images, 10))


def test_a_file_keeps_it(tmp_path):
    trained = from_torch(pooling(nn.MaxPool2d(2)), (2, 6, 6), max_pooling="or")
    save_float(trained, tmp_path / "float.npz")
    assert [layer.largest for layer in load_float(tmp_path / "float.npz").layers] == [False, True, False]


def test_a_converted_model_is_measured_with_it():
    last = nn.Linear(36, 10)
    nn.init.ones_(last.bias)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), last)
    made = Settings(input_shape=(1, 8, 8), max_pooling="or", timesteps=5)
    model = convert_module(module, load_dataset("digits"), made, "pooled", test_images=20)
    assert [layer.name for layer in model.network.layers] == ["encoder", "0", "2", "4"]
    assert model.report.accuracy is not None
    assert model.report.accuracy.images == 20


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((nn.MaxPool2d(3, padding=1),), "1 (MaxPool2d): its padding must be 0, not (1, 1)"),
        ((nn.MaxPool2d(2, dilation=2),), "1 (MaxPool2d): its dilation must be 1, not (2, 2)"),
        (
            (nn.MaxPool2d(4, ceil_mode=True),),
            "1 (MaxPool2d): it must drop what fills no window: set ceil_mode to False",
        ),
        (
            (nn.AdaptiveMaxPool2d(4),),
            "1 (AdaptiveMaxPool2d): its cells must be of one size, and 6x6 places do not divide into 4x4",
        ),
        (
            (nn.BatchNorm2d(2), nn.MaxPool2d(2)),
            "2 (MaxPool2d): it must take what a ReLU gives, as it is: put it right behind the ReLU",
        ),
        (
            (nn.Conv2d(2, 2, 1), nn.MaxPool2d(2)),
            "2 (MaxPool2d): it must take what a ReLU gives, as it is: put it right behind the ReLU",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(str(part) for part in value),
)
def test_what_has_no_window_of_spikes(parts, text):
    with pytest.raises(HillockError) as caught:
        from_torch(nn.Sequential(nn.ReLU(), *parts), (2, 6, 6), name="net", max_pooling="or")
    assert str(caught.value) == f"conversion of 'net': {text}"


@pytest.mark.parametrize("by_module", [True, False])
def test_places_beside_the_values(by_module):
    class Indices(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = nn.MaxPool2d(2, return_indices=True)

        def forward(self, x):
            return (self.pool(x) if by_module else functional.max_pool2d(x, 2, return_indices=True))[0]

    with pytest.raises(HillockError, match="ask for the largest values alone: no return_indices"):
        from_torch(nn.Sequential(nn.ReLU(), Indices()), (2, 6, 6), max_pooling="or")


def test_a_window_is_one_of_ones():
    network = from_torch(pooling(nn.MaxPool2d(2)), (2, 6, 6), name="net", max_pooling="or")
    wrong = dataclasses.replace(network.layers[1], biases=np.ones(3))
    with pytest.raises(HillockError) as caught:
        FloatNetwork("net", network.input, (network.layers[0], wrong))
    assert str(caught.value) == (
        "float network 'net': layer '2': the largest value is that of a window: of one depthwise convolution without "
        "padding, its weights 1, and no biases"
    )
