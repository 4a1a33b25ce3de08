"""Quantisation: values by hand, errors that are reported as they are, and bounds that no potential exceeds."""

import dataclasses
import io
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hillock.gen.convert import SpikingLayer, SpikingNetwork
from hillock.gen.quantize import Bounds, potential_bounds, quantize
from hillock.hw.problems import HillockError
from hillock.sim import golden
from hillock.sim.batch import run_batch
from hillock.sim.network import Connection, Decision, Dense, Layer, LeakOrder, Network, ResetMode

SMALL = SpikingNetwork(
    "small",
    (
        SpikingLayer("hidden", np.array([[1.27, -0.504], [0.25, 0.0]]), np.array([0.1, -0.033])),
        SpikingLayer("output", np.array([[0.9], [-2.54]]), np.array([0.0])),
    ),
)


def spiking_network(seed: int, *sizes: int) -> SpikingNetwork:
    generator = np.random.default_rng(seed)
    layers = [
        SpikingLayer(f"layer {index}", generator.normal(size=(pre, post)) / pre**0.5, generator.normal(size=post) / 9)
        for index, (pre, post) in enumerate(itertools.pairwise(sizes))
    ]
    return SpikingNetwork("net", tuple(layers))


def test_values_by_hand():
    """Hidden: Delta is 1.27 / 127 = 0.01, so theta is 100 weight units, 1600 potential units with F = 4."""
    network, _ = quantize(SMALL, timesteps=9)
    encoder, hidden, output = network.layers
    assert [layer.name for layer in network.layers] == ["encoder", "hidden", "output"]
    assert (encoder.threshold, encoder.reset_amount, encoder.preload, encoder.neurons) == (255, 255, 128, 2)
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


def test_weights_beyond_the_percentile_are_saturated_and_counted():
    weights = np.concatenate([np.linspace(-1, 1, 201), [9.0, -30.0]])[:, None]
    network = SpikingNetwork("net", (SpikingLayer("output", weights, np.zeros(1)),))
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
        np.testing.assert_allclose(values * told.scale, original.weights, atol=told.scale / 2 * (1 + 1e-9))
        assert told.weight_error_max == pytest.approx(np.abs(values * told.scale - original.weights).max())
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
    network = SpikingNetwork("rates", (SpikingLayer("output", weights, biases),))
    images = generator.integers(0, 256, (20, 10), np.uint8)
    activations = images / 255 @ weights + biases
    assert 0 < np.mean(activations > 0) <= np.mean(activations < 1)
    quantized, _ = quantize(network, weight_bits=16, potential_bits=32, fraction_bits=8, timesteps=255)
    rates = run_batch(quantized, images.astype(np.int64)).counts / 255
    np.testing.assert_allclose(rates, np.clip(activations, 0, 1), atol=2.5 / 255)


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
    empty = SpikingNetwork("none", (SpikingLayer("output", np.zeros((2, 2)), np.zeros(2)),))
    refuses("layer 'output': its weights must not all be 0 up to weight_percentile, and they are", empty)


def test_threshold_and_current_that_do_not_fit():
    way_out = "must fit in 16 signed bits: raise potential_bits, or lower fraction_bits or weight_bits"
    tiny = SpikingNetwork("tiny", (SpikingLayer("output", np.full((2, 2), 0.01), np.array([0.0, -3.0])),))
    refuses(
        f"2 problems\n  - layer 'output': its largest threshold, 203200, {way_out}"
        f"\n  - layer 'output': its largest current, 609600, {way_out}",
        tiny,
    )
    assert quantize(tiny, potential_bits=21)[0].layers[1].threshold == 203200


def test_threshold_that_vanishes():
    huge = SpikingNetwork("huge", (SpikingLayer("output", np.full((1, 1), 9e3), np.zeros(1)),))
    refuses(
        "layer 'output': its threshold is 0.0141 weight units and must not round to 0: raise fraction_bits or "
        "weight_bits",
        huge,
    )


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [(0, 0, 1), (-1, 0, 1), (-1, 1, 2), (0, 127, 8), (0, 128, 9), (-128, 5, 8), (-129, 5, 9), (3, 9, 5)],
)
def test_bits_of_bounds(low, high, bits):
    assert Bounds(low, high).bits == bits


def test_bounds_by_hand():
    """From 2, a timestep can add +8 or -4 and then 1: 10 and 11 at most, then 11 - 5; after three, down to 2 - 3 * 3.

    The lowest value of the last timestep is reached before the current: 2 - 3 - 3 - 4.
    """
    weights = Dense(np.array([[3, 0], [5, 0], [-4, 0]]))
    layer = Layer(
        name="out",
        neurons=2,
        threshold=5,
        reset_amount=5,
        preload=2,
        connections=(Connection("input", weights),),
        currents=np.array([1, 0]),
    )
    network = Network(name="n", inputs=3, layers=(layer,), fraction_bits=0, timesteps=1)
    assert potential_bounds(network) == (Bounds(-2, 11),)
    assert potential_bounds(dataclasses.replace(network, timesteps=3)) == (Bounds(-8, 19),)


@given(data=st.data())
def test_no_potential_exceeds_its_bounds(data):
    """Any neuron parameters, any images: every value on the way is within the bounds, and no saturation is missed."""
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    mode = data.draw(st.sampled_from(ResetMode))
    common = {
        "threshold": data.draw(st.integers(1, 60)),
        "leak_shift": data.draw(st.integers(0, 3)),
        "preload": data.draw(st.integers(-30, 30)),
        "reset_mode": mode,
        "reset_amount": data.draw(st.integers(0 if mode is ResetMode.SUBTRACT else -40, 80)),
        "leak_order": data.draw(st.sampled_from(LeakOrder)),
    }
    fires = data.draw(st.booleans())
    layers = (
        Layer(name="in", neurons=4, current_from_image=True, **(common | {"threshold": 255})),
        Layer(name="mid", neurons=3, connections=(Connection("in", _weights(generator, 4, 3)),), **common),
        Layer(
            name="out",
            neurons=2,
            connections=(Connection("in", _weights(generator, 4, 2)), Connection("mid", _weights(generator, 3, 2))),
            currents=generator.integers(-9, 10, 2),
            fires=fires,
            **common,
        ),
    )
    wide = Network(
        name="n",
        inputs=4,
        layers=layers,
        weight_bits=5,
        potential_bits=32,
        fraction_bits=data.draw(st.integers(0, 2)),
        timesteps=data.draw(st.integers(1, 12)),
        decision=Decision.COUNT if fires else Decision.POTENTIAL,
    )
    image = generator.choice([0, 1, 128, 254, 255], 4)
    bounds = potential_bounds(wide)
    trace = golden.run(wide, image=image)
    for layer, limits, run in zip(layers, bounds, trace.layers, strict=True):
        seen = list(_on_the_way(wide, layer, trace, image)) + run.potentials.ravel().tolist()
        assert limits.low <= min(seen)
        assert max(seen) <= limits.high
    enough = max(10, *(limits.bits for limits in bounds))
    narrow = golden.run(dataclasses.replace(wide, potential_bits=enough), image=image)
    for run, other in zip(trace.layers, narrow.layers, strict=True):
        np.testing.assert_array_equal(run.potentials, other.potentials)


def _weights(generator: np.random.Generator, pre: int, post: int) -> Dense:
    return Dense(generator.integers(-16, 16, (pre, post)))


def _on_the_way(network: Network, layer: Layer, trace: golden.Trace, image: np.ndarray):
    """Every value that the potentials of a layer have between two settled ones, added up event by event."""
    spikes = {run.name: run.spikes for run in trace.layers}
    settled = next(run.potentials for run in trace.layers if run.name == layer.name)
    for step in range(network.timesteps):
        potential = settled[step - 1] if step else np.full(layer.neurons, layer.preload)
        for connection in layer.connections:
            for address in np.flatnonzero(spikes[connection.source][step]):
                potential = potential + (connection.synapses.weights[address] << network.fraction_bits)
                yield from potential.tolist()
        current = image if layer.current_from_image else layer.currents
        yield from (potential + (0 if current is None else current)).tolist()
