"""Quantisation: values by hand, errors that are reported as they are, and widths that are proved to be enough."""

import dataclasses
import io
import itertools
import json

import numpy as np
import pytest
from rich.console import Console

from hillock.gen.convert import SpikingLayer, SpikingNetwork
from hillock.gen.float_network import FloatLayer, FloatNetwork
from hillock.gen.quantize import quantize
from hillock.hw.problems import HillockError
from hillock.sim.batch import run_batch
from hillock.sim.bounds import Bounds, may_saturate, potential_bounds
from hillock.sim.network import INPUT, Connection, Convolution, Decision, Dense, Shape, TransposedConvolution


def layer(name: str, weights: np.ndarray, biases: np.ndarray, source: str = INPUT) -> SpikingLayer:
    """A dense layer."""
    return SpikingLayer(
        name=name, shape=Shape(len(biases)), connections=(Connection(source, Dense(weights)),), biases=biases
    )


def alone(name: str, weights: np.ndarray, biases: np.ndarray) -> SpikingNetwork:
    """A network of one dense layer."""
    return SpikingNetwork(name, Shape(len(weights)), (layer("output", weights, biases),))


SMALL = SpikingNetwork(
    "small",
    Shape(2),
    (
        layer("hidden", np.array([[1.27, -0.504], [0.25, 0.0]]), np.array([0.1, -0.033])),
        layer("output", np.array([[0.9], [-2.54]]), np.array([0.0]), "hidden"),
    ),
)


def spiking_network(seed: int, *sizes: int) -> SpikingNetwork:
    generator = np.random.default_rng(seed)
    layers = [
        layer(
            f"layer {index}",
            generator.normal(size=(pre, post)) / pre**0.5,
            generator.normal(size=post) / 9,
            f"layer {index - 1}" if index else INPUT,
        )
        for index, (pre, post) in enumerate(itertools.pairwise(sizes))
    ]
    return SpikingNetwork("net", Shape(sizes[0]), tuple(layers))


def test_values_by_hand():
    """Hidden: Delta is 1.27 / 127 = 0.01, so theta is 100 weight units, 1600 potential units with F = 4."""
    network, _ = quantize(SMALL, timesteps=9)
    encoder, hidden, output = network.layers
    assert [layer.name for layer in network.layers] == ["encoder", "hidden", "output"]
    assert (encoder.threshold, encoder.reset_amount, encoder.preload, encoder.shape) == (255, 255, 128, Shape(2))
    assert encoder.current_from_image
    assert hidden.connections[0].source == "encoder"
    assert hidden.connections[0].synapses.weights.tolist() == [[127, -50], [25, 0]]
    assert (hidden.threshold, hidden.reset_amount, hidden.preload) == (1600, 1600, 800)
    assert hidden.currents is not None
    assert hidden.currents.tolist() == [160, -53]
    assert output.connections[0].source == "hidden"
    assert output.connections[0].synapses.weights.tolist() == [[45], [-127]]
    assert (output.threshold, output.reset_amount, output.preload) == (800, 800, 400)
    assert (network.weight_bits, network.potential_bits, network.fraction_bits, network.timesteps) == (8, 16, 4, 9)
    assert (network.decision, network.delay, network.inputs) == (Decision.COUNT, 0, 2)


def test_report_by_hand():
    _, report = quantize(SMALL, timesteps=9)
    encoder, hidden, output = report.layers
    assert (encoder.scale, encoder.weights, encoder.threshold, encoder.bounds) == (None, 0, 255, Bounds(0, 509))
    assert not encoder.may_saturate
    assert hidden.scale == pytest.approx(0.01)
    assert (hidden.weights, hidden.saturated_weights) == (4, 0)
    assert hidden.weight_error_max == pytest.approx(0.004)  # -0.504 became -0.50
    assert hidden.weight_error_rms == pytest.approx(0.002)
    assert hidden.bias_error_max == pytest.approx(53 * 0.01 / 16 - 0.033)
    assert (hidden.threshold_float, hidden.threshold, hidden.preload) == (1.0, 1600, 800)
    assert hidden.threshold_error == pytest.approx(0, abs=1e-12)
    assert output.scale == pytest.approx(0.02)


def test_all_connections_of_a_layer_share_a_scale():
    """A block of a residual autoencoder: Delta is 2.54 / 127 = 0.02, which the identity of 0.5 rounds to 25."""
    grid = Shape(2, 2, 2)
    kernel = Convolution(np.array([1.0, -2.54, 0.3, 0.01]).reshape(1, 1, 2, 2), padding=(0, 0))
    identity = Convolution(np.full((1, 1, 1, 2), 0.5), groups=2)
    block = SpikingLayer(
        name="block",
        shape=grid,
        connections=(Connection(INPUT, kernel), Connection(INPUT, identity)),
        biases=np.array([0.1, 0.0]),
        activation=7.0,
    )
    up = TransposedConvolution(np.full((2, 2, 2, 1), 0.25), stride=(2, 2))
    back = SpikingLayer(
        name="back", shape=Shape(1, 2, 2), connections=(Connection("block", up, pool=(2, 2)),), biases=np.zeros(1)
    )
    network = SpikingNetwork("net", grid, (block, back))
    quantized, report = quantize(network, fraction_bits=0, decision=Decision.NONE)
    encoder, middle, last = quantized.layers
    assert quantized.input == encoder.shape == middle.shape == grid
    assert [connection.source for connection in middle.connections] == ["encoder", "encoder"]
    assert middle.connections[0].synapses.weights.ravel().tolist() == [50, -127, 15, 0]
    assert middle.connections[1].synapses.weights.ravel().tolist() == [25, 25]
    assert middle.connections[1].synapses.geometry == identity.geometry
    assert middle.currents is not None
    assert (middle.threshold, middle.currents.tolist()) == (50, [5, 0])
    assert (report.layers[1].weights, report.layers[1].activation) == (6, 7.0)
    assert report.layers[1].weight_error_max == pytest.approx(0.01)
    assert (last.connections[0].source, last.connections[0].pool) == ("block", (2, 2))
    assert last.connections[0].synapses.geometry == up.geometry
    assert (quantized.decision, last.threshold) == (Decision.NONE, 508)


@pytest.mark.parametrize(
    ("connection", "flat"),
    [
        (Connection(INPUT, Dense(np.ones((12, 2)))), True),
        (Connection(INPUT, Dense(np.ones((2, 2))), pool=(2, 3)), False),
        (Connection(INPUT, Convolution(np.ones((2, 3, 2, 2)))), False),
    ],
)
def test_image_keeps_its_places_only_where_they_matter(connection, flat):
    one = SpikingLayer(name="one", shape=Shape(2), connections=(connection,), biases=np.zeros(2))
    network, _ = quantize(SpikingNetwork("net", Shape(2, 2, 3), (one,)))
    assert network.input == network.layers[0].shape == (Shape(12) if flat else Shape(2, 2, 3))


def test_narrowest_width_that_is_safe():
    network, report = quantize(SMALL, potential_bits=None)
    assert network.potential_bits == report.potential_bits == 17
    assert network.digest() == quantize(SMALL, potential_bits=17)[0].digest()
    assert report.layers[2].bounds.bits == 17
    assert not any(may_saturate(network))
    assert any(may_saturate(quantize(SMALL, potential_bits=16)[0]))
    tiny = alone("tiny", np.full((1, 1), 1.0), np.zeros(1))
    assert quantize(tiny, weight_bits=4, potential_bits=None, fraction_bits=0)[0].potential_bits == 10  # the encoder's


@pytest.mark.parametrize(("weight", "bias", "bits"), [(-1.0, 0.0, 12), (0.1, -1.65, 17), (-100.0, 0.0, 12)])
def test_a_width_holds_what_is_never_reached(weight, bias, bits):
    """A threshold (2032) that a single weight leads away from; a current (-33528) that starts from +10160."""
    network = alone("mute", np.array([[weight]]), np.array([bias]))
    quantized, report = quantize(network, potential_bits=None, timesteps=1)
    assert quantized.potential_bits == bits
    assert report.layers[1].bounds.bits <= bits


def test_no_width_is_safe():
    """A weight of -32767 for 65,535 timesteps, and another that is of the opposite sign."""
    network = alone("deep", np.array([[-1.0], [1.0]]), np.zeros(1))
    refuses(
        "no potential can saturate with 47 bits only, and there are 32 at most: give potential_bits, or lower "
        "fraction_bits, weight_bits or timesteps",
        network,
        weight_bits=16,
        potential_bits=None,
        fraction_bits=15,
        timesteps=65535,
    )


def test_weights_beyond_the_percentile_are_saturated_and_counted():
    weights = np.concatenate([np.linspace(-1, 1, 201), [9.0, -30.0]])[:, None]
    network = alone("net", weights, np.zeros(1))
    quantized, report = quantize(network, weight_percentile=100 * 200 / 202)
    values = quantized.layers[1].connections[0].synapses.weights.ravel()
    assert report.layers[1].saturated_weights == 2
    assert values[-2:].tolist() == [127, -127]
    assert report.layers[1].weight_error_max == pytest.approx(29, rel=0.01)
    assert quantize(network)[1].layers[1].saturated_weights == 0


@pytest.mark.parametrize("bits", [4, 5, 8, 12, 16])
def test_rounding_is_within_half_a_step(bits):
    network = spiking_network(bits, 20, 30, 10)
    quantized, report = quantize(network, weight_bits=bits, potential_bits=32)
    for layer, original, told in zip(quantized.layers[1:], network.layers, report.layers[1:], strict=True):
        assert told.scale is not None
        values = layer.connections[0].synapses.weights
        assert np.abs(values).max() == (1 << (bits - 1)) - 1
        exact = original.connections[0].synapses.weights
        np.testing.assert_allclose(values * told.scale, exact, atol=told.scale / 2 * (1 + 1e-9))
        assert told.weight_error_max == pytest.approx(np.abs(values * told.scale - exact).max())
        assert told.weight_error_max <= told.scale / 2 * (1 + 1e-9)
        assert abs(told.threshold_error) <= told.scale / 32 * (1 + 1e-9)
        assert told.bias_error_max <= told.scale / 32 * (1 + 1e-9)


@pytest.mark.parametrize("preload", [0, 0.25, 0.5, 0.99])
def test_preload_is_a_fraction_of_the_threshold(preload):
    network, report = quantize(SMALL, preload=preload)
    for layer, told in zip(network.layers, report.layers, strict=True):
        assert layer.preload == told.preload
        assert abs(layer.preload - preload * layer.threshold) <= 0.5


def test_counts_approach_the_rates():
    """Hwang et al. 2021: a rate differs from the activation by the change of the potential over T, plus what the
    layers before did; with T = 255 the rates of the encoder are exact."""
    generator = np.random.default_rng(5)
    weights, biases = generator.uniform(-0.1, 0.2, (10, 6)), generator.uniform(-0.1, 0.1, 6)
    network = alone("rates", weights, biases)
    images = generator.integers(0, 256, (20, 10), np.uint8)
    activations = images / 255 @ weights + biases
    assert 0 < np.mean(activations > 0) <= np.mean(activations < 1)
    quantized, _ = quantize(network, weight_bits=16, potential_bits=32, fraction_bits=8, timesteps=255)
    rates = run_batch(quantized, images.astype(np.int64)).counts / 255
    np.testing.assert_allclose(rates, np.clip(activations, 0, 1), atol=2.5 / 255)


def test_bounds_are_those_of_the_network():
    network, report = quantize(SMALL)
    assert tuple(layer.bounds for layer in report.layers) == potential_bounds(network)
    assert tuple(layer.may_saturate for layer in report.layers) == may_saturate(network) == (False, False, True)


def test_report_as_json_and_as_table():
    _, report = quantize(SMALL)
    assert json.loads(json.dumps(report.as_dict()))["layers"][1]["bounds"] == dataclasses.asdict(
        report.layers[1].bounds
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report.table())
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert lines[0] == "small: 8-bit weights, 16-bit potentials of which 4 are fraction, T = 25"
    assert "layer weight error bias error threshold potential" in lines
    assert "encoder - - 255 10 bits, cannot saturate" in lines
    assert "hidden 0.0040 0.0001 1600 16 bits, cannot saturate" in lines
    assert "output 0.0000 0.0000 800 17 bits, may saturate" in lines
    _, report = quantize(SMALL, weight_percentile=70)
    console.print(report.table())
    assert "(1 saturated)" in console.export_text()


def test_biases_of_neurons_become_their_currents():
    """Delta is 1 / 127, theta 127 weight units; the edges of a normalised image have currents of their own."""
    kernel = Convolution(np.ones((3, 3, 1, 1)), padding=(1, 1))
    biases = np.array([0.5, -1.0, 0.25, 2.0])
    one = SpikingLayer(name="one", shape=Shape(1, 2, 2), connections=(Connection(INPUT, kernel),), biases=biases)
    network, report = quantize(
        SpikingNetwork("net", Shape(1, 2, 2), (one,)), fraction_bits=2, timesteps=4, decision=Decision.NONE
    )
    currents = network.layers[1].currents
    assert currents is not None
    assert currents.tolist() == [254, -508, 127, 1016]
    assert report.layers[1].bias_error_max == pytest.approx(0, abs=1e-12)
    black = run_batch(network, np.zeros((1, 4), np.int64)).counts
    assert black.tolist() == [[2, 0, 1, 4]]  # a preload of a half, and a soft reset


def accurate(labels: np.ndarray, decision: Decision = Decision.COUNT):
    """The report on a network that tells which of two pixels is brighter, with accuracies; and the integer network."""
    weights = np.eye(2)
    float_layer = FloatLayer(
        name="output", shape=Shape(2), connections=(Connection(INPUT, Dense(weights)),), biases=np.zeros(2)
    )
    network, report = quantize(alone("eyes", weights, np.zeros(2)), timesteps=3, preload=0, decision=decision)
    images = np.array([[255, 0], [0, 255], [10, 250], [9, 10]], np.uint8)
    return report.measured(FloatNetwork("eyes", Shape(2), (float_layer,)), network, images, labels), network


def test_accuracy_before_and_after():
    """In three timesteps neither pixel of the last image fires: a tie, which goes to the first."""
    report, _ = accurate(np.array([0, 1, 1, 1]))
    told = report.accuracy
    assert told is not None
    assert (told.images, told.before, told.after, told.by_timestep) == (4, 1.0, 0.75, (0.5, 0.75, 0.75))
    assert json.loads(json.dumps(report.as_dict()))["accuracy"]["after"] == 0.75
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report.table())
    assert "accuracy on 4 images: 100.00 % before, 75.00 % after" in console.export_text()
    assert quantize(SMALL)[1].as_dict()["accuracy"] is None


def test_accuracy_that_cannot_be_measured():
    text = (
        "accuracy of 'eyes': 2 problems"
        "\n  - labels must have shape (4,), one for each image and one at least, not (3,)"
        "\n  - the network must decide between classes, and its decision is none: compare its outputs instead"
    )
    with pytest.raises(HillockError) as caught:
        accurate(np.zeros(3, np.int64), Decision.NONE)
    assert str(caught.value) == text


def refuses(text: str, network: SpikingNetwork = SMALL, **changes) -> None:
    with pytest.raises(HillockError) as caught:
        quantize(network, **changes)
    assert str(caught.value) == f"quantisation of {network.name!r}: {text}"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"weight_bits": 3}, "weight_bits must be from 4 to 16, not 3"),
        ({"weight_bits": 17}, "weight_bits must be from 4 to 16, not 17"),
        ({"potential_bits": 9}, "potential_bits must be from 10 to 32, not 9"),
        ({"fraction_bits": 16}, "fraction_bits must be from 0 to 15, not 16"),
        ({"timesteps": 0}, "timesteps must be from 1 to 65535, not 0"),
        ({"preload": 1.0}, "preload must be a fraction of the threshold, from 0 to below 1, not 1.0"),
        ({"preload": -0.1}, "preload must be a fraction of the threshold, from 0 to below 1, not -0.1"),
        ({"weight_percentile": 101}, "weight_percentile must be above 0 and at most 100, not 101"),
        (
            {"weight_bits": 2, "timesteps": 0},
            "2 problems\n  - weight_bits must be from 4 to 16, not 2\n  - timesteps must be from 1 to 65535, not 0",
        ),
    ],
)
def test_wrong_parameters(changes, text):
    refuses(text, **changes)


def test_layer_without_weights():
    empty = alone("none", np.zeros((2, 2)), np.zeros(2))
    refuses("layer 'output': its weights must not all be 0 up to weight_percentile, and they are", empty)


def test_threshold_and_current_that_do_not_fit():
    way_out = "must fit in 16 signed bits: raise potential_bits, or lower fraction_bits or weight_bits"
    tiny = alone("tiny", np.full((2, 2), 0.01), np.array([0.0, -3.0]))
    refuses(
        f"2 problems\n  - layer 'output': its largest threshold, 203200, {way_out}"
        f"\n  - layer 'output': its largest current, 609600, {way_out}",
        tiny,
    )
    assert quantize(tiny, potential_bits=21)[0].layers[1].threshold == 203200


def test_threshold_that_vanishes():
    huge = alone("huge", np.full((1, 1), 9e3), np.zeros(1))
    refuses(
        "layer 'output': its threshold is 0.0141 weight units and must not round to 0: raise fraction_bits or "
        "weight_bits",
        huge,
    )
