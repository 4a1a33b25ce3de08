"""The batched golden model is the golden model, image for image, and says where it had to add events one by one."""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.hw.problems import HillockError
from hillock.sim import batch, golden
from hillock.sim.batch import BatchResult, run_batch
from hillock.sim.network import INPUT, Connection, Convolution, Decision, Dense, Layer, Network, Shape
from hillock.sim.stimulus import image_events
from random_networks import random_graph, random_network


def image_network(*weights: np.ndarray | list[list[int]], threshold: int = 100, **changes) -> Network:
    """An encoder and layers behind it; 8-bit potentials, whose range is -128 to 127."""
    pixels = len(weights[0])
    # With these potentials the encoder fires whenever its pixel is at least 100, and is then back at 0.
    layers = [Layer(name="encoder", shape=Shape(pixels), threshold=100, reset_amount=127, current_from_image=True)]
    for index, matrix in enumerate(weights):
        dense = Dense(np.array(matrix))
        connections = (Connection(layers[-1].name, dense),)
        shape = Shape(dense.weights.shape[1])
        layers.append(Layer(name=f"layer{index}", shape=shape, connections=connections, threshold=threshold))
    values: dict[str, Any] = {"potential_bits": 8, "fraction_bits": 0, "timesteps": 1}
    return Network(name="n", input=Shape(pixels), layers=tuple(layers), **(values | changes))


def given_image(net: Network, image: np.ndarray) -> dict[str, Any]:
    """What `golden.run` is given where `run_batch` is given an image."""
    return {"image": image} if net.image_input else {"events": [image_events(image)]}


def expected(net: Network, images: np.ndarray) -> dict[str, list]:
    """Every array of a `BatchResult`, from one run of the golden model after another."""
    names = ("decisions", "counts", "spikes", "sop", "decisions_at", "sop_at", "output")
    values: dict[str, list] = {name: [] for name in names}
    for image in images:
        trace = golden.run(net, **given_image(net, image))
        values["decisions"].append(trace.decision)
        values["counts"].append(trace.counts.tolist())
        values["sop"].append([layer.sop for layer in trace.layers])
        values["spikes"].append(
            [[int(layer.spikes[step].sum()) for layer in trace.layers] for step in range(net.timesteps)]
        )
        # If that timestep were the last: the same network with fewer timesteps, where they reach beyond the delay.
        at, sop = [], [[0] * len(net.layers)]
        for timesteps in range(1, net.timesteps + 1):
            shorter = dataclasses.replace(net, timesteps=timesteps, delay=min(net.delay, timesteps - 1))
            counted = timesteps > net.delay or net.decision is not Decision.COUNT
            ended = golden.run(shorter, **given_image(net, image))
            at.append(ended.decision if counted else 0)
            sop.append([layer.sop for layer in ended.layers])
        values["decisions_at"].append(at)
        values["sop_at"].append(np.diff(sop, axis=0).tolist())
        values["output"].append(np.packbits(trace.layers[-1].spikes, axis=1).tolist())
    return values


def assert_equal(result: BatchResult, wanted: dict[str, list]) -> None:
    for name, values in wanted.items():
        assert getattr(result, name).tolist() == values, name


@settings(max_examples=80)
@given(
    draw=st.integers(0, 2**32 - 1),
    neurons=st.integers(1, 12),
    images=st.integers(1, 6),
    widths=st.sampled_from([(16, 4, 8), (10, 0, 8), (12, 0, 6), (24, 4, 16), (32, 15, 16)]),
    skip=st.booleans(),
)
def test_equals_the_golden_model(draw, neurons, images, widths, skip):
    potential_bits, fraction_bits, weight_bits = widths
    rng = np.random.default_rng(draw)
    net = None
    while net is None or not net.image_input:
        net = random_network(
            rng,
            potential_bits=potential_bits,
            fraction_bits=fraction_bits,
            weight_bits=weight_bits,
            current_bits=potential_bits,
            max_neurons=neurons,
        )
    if skip and len(net.layers) > 2:  # a second connection, from the encoder to the last layer
        last = net.layers[-1]
        reach = 1 << (weight_bits - 1)
        more = Connection(net.layers[0].name, Dense(rng.integers(-reach, reach, (net.inputs, last.neurons))))
        last = dataclasses.replace(last, connections=(*last.connections, more))
        net = dataclasses.replace(net, layers=(*net.layers[:-1], last))
    pixels = rng.integers(0, 256, (images, net.inputs))
    result = run_batch(net, pixels)
    assert_equal(result, expected(net, pixels))
    assert 0 <= result.in_order <= images


@settings(max_examples=150)
@given(
    draw=st.integers(0, 2**32 - 1),
    images=st.integers(1, 4),
    widths=st.sampled_from([(16, 4, 8, 4), (12, 0, 8, 4), (24, 4, 8, 8), (31, 4, 8, 8), (32, 8, 12, 8)]),
)
def test_graphs_equal_the_golden_model(draw, images, widths):
    potential_bits, fraction_bits, weight_bits, payload_bits = widths
    rng = np.random.default_rng(draw)
    net = None
    while net is None or not (net.image_input or net.static_input):
        net = random_graph(
            rng,
            potential_bits=potential_bits,
            fraction_bits=fraction_bits,
            weight_bits=weight_bits,
            current_bits=potential_bits,
            payload_bits=payload_bits,
            reuse_input=True,
        )
    brightest = 255 if net.image_input else net.largest_payload
    pixels = rng.integers(0, brightest + 1, (images, net.inputs)) * (rng.random((images, net.inputs)) < 0.7)
    assert_equal(run_batch(net, pixels), expected(net, pixels))


def test_random_image_networks_saturate_in_some_images_and_not_in_others(seed):
    """Else the test above would not take both ways."""
    in_order = together = 0
    for n in range(150):
        rng = np.random.default_rng(seed + n)
        net = random_network(rng, potential_bits=12, fraction_bits=2)
        if net.image_input:
            result = run_batch(net, rng.integers(0, 256, (4, net.inputs)))
            in_order += result.in_order
            together += 4 - result.in_order
    assert in_order > 0
    assert together > 0


# Saturation, exactly

BRIGHT, DARK = 200, 0


def test_events_that_could_saturate_are_taken_in_order():
    # All three pixels fire at once. In order: 100, 200 -> 127, 127 - 100 = 27; their plain sum would be 100.
    net = image_network([[100], [100], [-100]], threshold=127)
    images = np.array([[BRIGHT, BRIGHT, BRIGHT]])
    result = run_batch(net, images)
    assert result.in_order == 1
    assert_equal(result, expected(net, images))
    assert golden.run(net, image=images[0]).layers[1].potentials.tolist() == [[27]]


def test_what_follows_from_events_taken_in_order_is_right_too():
    # As above: 27 stays below 90 and nothing reaches the last layer, where the plain sum, 100, would fire.
    net = image_network([[100], [100], [-100]], [[1]], threshold=90)
    result = run_batch(net, np.array([[BRIGHT, BRIGHT, BRIGHT]]))
    assert result.in_order == 1
    assert result.spikes.tolist() == [[[3, 0, 0]]]
    assert result.sop.tolist() == [[0, 3, 0]]
    assert result.counts.tolist() == [[0]]


@pytest.mark.parametrize(
    ("weights", "in_order"),
    [
        ([[100], [27]], 0),  # up to 127, just the largest potential
        ([[100], [28]], 1),
        ([[-100], [-28]], 0),  # down to -128, just the smallest
        ([[-100], [-29]], 1),
        ([[100], [-128]], 0),  # large weights of both signs, each within the range
        ([[100], [-100]], 0),
        ([[100, -128], [27, 0]], 0),  # each neuron for itself
        ([[100, -128], [27, -1]], 1),
    ],
)
def test_only_what_could_leave_the_range_is_taken_in_order(weights, in_order):
    net = image_network(weights, threshold=127)
    images = np.array([[BRIGHT, BRIGHT]])
    result = run_batch(net, images)
    assert result.in_order == in_order
    assert_equal(result, expected(net, images))


def test_where_an_inference_started_counts():
    # From 100 there is room for 27 upwards, from -128 for nothing downwards.
    for preload, weight, in_order in ((100, 27, 0), (100, 28, 1), (-128, 127, 0), (-127, -1, 0), (-128, -1, 1)):
        net = image_network([[weight]], threshold=127)
        last = dataclasses.replace(net.layers[-1], preload=preload)
        net = dataclasses.replace(net, layers=(net.layers[0], last))
        images = np.array([[BRIGHT]])
        result = run_batch(net, images)
        assert result.in_order == in_order, (preload, weight)
        assert_equal(result, expected(net, images))


def test_a_second_connection_starts_where_the_first_one_ended():
    net = image_network([[100]], [[27]], threshold=100)
    first, second, last = net.layers
    for weight, in_order in ((100, 0), (101, 1)):
        more = Connection("encoder", Dense(np.array([[weight]])))
        both = dataclasses.replace(last, connections=(*last.connections, more), threshold=127)
        skipping = dataclasses.replace(net, layers=(first, second, both))
        images = np.array([[BRIGHT]])
        result = run_batch(skipping, images)
        assert result.in_order == in_order  # 27 + 100 is the largest potential
        assert_equal(result, expected(skipping, images))


def test_currents_saturate_without_being_taken_in_order():
    net = image_network([[100, -100]], threshold=127)
    last = dataclasses.replace(net.layers[-1], currents=np.array([100, -100]))
    net = dataclasses.replace(net, layers=(net.layers[0], last))
    images = np.array([[BRIGHT]])
    result = run_batch(net, images)
    assert result.in_order == 0
    assert result.counts.tolist() == [[1, 0]]  # 100 + 100 -> 127 fires
    assert_equal(result, expected(net, images))


def test_a_current_that_saturated_shows_later():
    # Pixel 60 fires in t = 2. Output 0: 100 + 50 -> 127 in t = 1, then 127 - 100 + 50 = 77; had it not saturated, 100.
    # Output 1: 95, and 90, which lies between the two.
    net = image_network([[-100, 0]], threshold=127, timesteps=2)
    readout = dataclasses.replace(net.layers[-1], preload=100, currents=np.array([50, -5]), fires=False)
    net = dataclasses.replace(net, layers=(net.layers[0], readout), decision=Decision.POTENTIAL)
    images = np.array([[60]])
    result = run_batch(net, images)
    assert (result.in_order, result.decisions_at.tolist()) == (0, [[0, 1]])
    assert_equal(result, expected(net, images))


def test_only_the_images_concerned_are_taken_in_order():
    net = image_network([[100, 1], [100, 2], [-100, 3]], threshold=90)
    images = np.array([[BRIGHT, BRIGHT, BRIGHT], [BRIGHT, DARK, DARK], [DARK, DARK, DARK], [BRIGHT, BRIGHT, DARK]])
    result = run_batch(net, images)
    assert result.in_order == 2
    assert_equal(result, expected(net, images))


def test_decision_by_potential_of_images_taken_in_order():
    net = image_network([[100, 50], [100, 0], [-100, 0]], threshold=127)
    readout = dataclasses.replace(net.layers[-1], fires=False)
    net = dataclasses.replace(net, layers=(net.layers[0], readout), decision=Decision.POTENTIAL, timesteps=2)
    images = np.array([[BRIGHT, BRIGHT, BRIGHT]])
    #   t=1: 100, 127, 27 and 50;   t=2: 127, 127, 27 and 100. The plain sum would be 100, and win the first timestep.
    result = run_batch(net, images)
    assert (result.in_order, result.decisions_at.tolist()) == (1, [[1, 1]])
    assert_equal(result, expected(net, images))


def static(weights: list[list[int]]) -> Connection:
    return Connection(INPUT, Dense(np.array(weights)), static=True)


def test_static_events_that_could_saturate_are_taken_in_order():
    # 8 bits: 3 x 31 + 2 x 31 -> 127, 127 - 2 x 31 = 65 is the current; their sum would be 93. Pixel 0 is no event.
    first = Layer(name="out", shape=Shape(1), threshold=80, connections=(static([[31], [31], [-31], [9]]),))
    net = Network(
        name="n", input=Shape(4), layers=(first,), weight_bits=6, potential_bits=8, fraction_bits=0, payload_bits=2
    )
    images = np.array([[3, 2, 2, 0], [1, 1, 1, 0]])
    result = run_batch(net, images)
    assert result.in_order == 1
    assert_equal(result, expected(net, images))


def test_large_sums_are_exact():
    # 2^24 + 1 has no place in float32. Two neurons differ by 1 in what they get, and the threshold lies between.
    weights = np.full((100, 2), 32767)
    weights[0, 1] -= 1
    images = np.full((1, 100), 255)
    images[0, 0] = 1
    most, less = (images @ weights)[0].tolist()
    assert most - less == 1
    assert less > 1 << 24
    first = Layer(name="out", shape=Shape(2), threshold=most, connections=(static(weights.tolist()),))
    net = Network(
        name="n",
        input=Shape(100),
        layers=(first,),
        weight_bits=16,
        potential_bits=32,
        fraction_bits=0,
        payload_bits=8,
        timesteps=1,
    )
    result = run_batch(net, images)
    assert result.counts.tolist() == [[1, 0]]
    assert_equal(result, expected(net, images))


# Results


def test_results_of_a_case_worked_by_hand():
    # Pixel 200: 127 (saturated) fires in every timestep, 127 - 127 = 0. Pixel 60: 60, 120 fires, -7, 53, 113 fires.
    # So the encoder fires 1, 2, 1, 2 times. Output 0 gets 60 in each timestep: 60, 120, and above from then on, since
    # R is 0; output 1 gets 110 in the second and the fourth. Both fire in timesteps 2, 3 and 4, all after the delay.
    net = image_network([[60, 0], [0, 110]], threshold=110, timesteps=4, delay=1)
    result = run_batch(net, np.array([[200, 60], [DARK, DARK]]))
    assert result.spikes.tolist() == [[[1, 0], [2, 2], [1, 2], [2, 2]], [[0, 0]] * 4]
    assert result.counts.tolist() == [[3, 3], [0, 0]]
    assert result.decisions.tolist() == [0, 0]
    assert result.decisions_at.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]
    assert result.sop.tolist() == [[0, 6 * 2], [0, 0]]


def test_the_network_of_the_digits_does_not_saturate(seed):
    from hillock.gen.models import load_model

    net = load_model("digits").network
    images = np.random.default_rng(seed).integers(0, 256, (2, net.inputs))
    result = run_batch(net, images)
    assert result.in_order == 0
    trace = golden.run(net, image=images[1])
    assert result.counts[1].tolist() == trace.counts.tolist()
    assert result.sop[1].sum() == trace.sop


def test_images_are_taken_in_chunks_that_do_not_show(monkeypatch, seed):
    net = image_network([[100, 1], [100, 2], [-100, 3]], threshold=90, timesteps=3)
    images = np.random.default_rng(seed).integers(0, 256, (7, 3))
    whole = run_batch(net, images)
    monkeypatch.setattr(batch, "CHUNK", 3)
    done: list[int] = []
    chunks = run_batch(net, images, done.append, threads=2)
    assert done == [3, 3, 1]
    assert chunks.in_order == whole.in_order
    assert_equal(chunks, {name: getattr(whole, name).tolist() for name in expected(net, images[:0])})


def test_chunks_of_large_layers_are_small():
    net = image_network(np.ones((1000, 1), int))
    kernel = Convolution(np.ones((5, 5, 10, 20), int))
    wide = Layer(name="wide", shape=Shape(20, 26, 26), threshold=9, connections=(Connection("encoder", kernel),))
    encoder = dataclasses.replace(net.layers[0], shape=Shape(10, 30, 30))
    large = Network(name="n", input=encoder.shape, layers=(encoder, wide), decision=Decision.NONE)
    assert (batch.Batch(net).chunk, batch.Batch(large).chunk) == (500, 6)  # 26 x 26 windows of 250 values


def test_no_images():
    net = image_network([[1, 2, 3], [1, 2, 3]], timesteps=5)
    done: list[int] = []
    result = run_batch(net, np.zeros((0, 2), np.uint8), done.append)
    assert done == []
    assert result.in_order == 0
    shapes = {name: getattr(result, name).shape for name in ("decisions", "counts", "spikes", "sop", "decisions_at")}
    assert shapes == {"decisions": (0,), "counts": (0, 3), "spikes": (0, 5, 2), "sop": (0, 2), "decisions_at": (0, 5)}


# What is refused


def refuses(text: str, net: Network, images: Any) -> None:
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        run_batch(net, images)


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (np.zeros((2, 3), int), "images must be integers of shape (n, 2), not int64 (2, 3)"),
        (np.zeros(2, int), "images must be integers of shape (n, 2), not int64 (2,)"),
        (np.zeros((2, 2, 1), np.uint8), "images must be integers of shape (n, 2), not uint8 (2, 2, 1)"),
        (np.zeros((2, 2)), "images must be integers of shape (n, 2), not float64 (2, 2)"),
        (np.zeros((2, 2), bool), "images must be integers of shape (n, 2), not bool (2, 2)"),
        (np.array([[0, 256], [7, 0]]), "pixels must be from 0 to 255, not 0 to 256"),
        (np.array([[-1, 255], [7, 0]]), "pixels must be from 0 to 255, not -1 to 255"),
    ],
)
def test_wrong_images(images, text):
    refuses(text, image_network([[1], [1]]), images)


def test_pixels_that_no_payload_holds():
    first = Layer(name="out", shape=Shape(1), threshold=9, connections=(static([[1], [1]]),))
    net = Network(name="n", input=Shape(2), layers=(first,), payload_bits=3)
    refuses("pixels must be from 0 to 7, not 0 to 8", net, np.array([[0, 8]]))


def test_a_network_of_events():
    net = image_network([[1], [1]])
    fed = dataclasses.replace(net.layers[1], connections=(Connection(INPUT, Dense(np.ones((2, 1), int))),))
    refuses(
        "network 'n' takes events in every timestep: run_batch needs a network with image input or static input",
        dataclasses.replace(net, layers=(fed,)),
        np.zeros((1, 2), int),
    )
