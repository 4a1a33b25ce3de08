"""Outputs that are never positive: raised together, and by no more than it takes."""

import json

import numpy as np
import pytest

from hillock.gen.conversion import Settings, convert_module, write_conversion
from hillock.gen.datasets import load_dataset
from hillock.gen.float_network import FloatLayer, FloatNetwork
from hillock.gen.lift import SILENT, lifted
from hillock.sim.network import INPUT, Connection, Dense, Shape


def two_outputs(biases: tuple[float, float]) -> FloatNetwork:
    """The first output falls with the pixel, from its bias, and the second one rises with it."""
    synapses = Dense(np.array([[-1.0, 1.0]]))
    layer = FloatLayer(
        name="output",
        shape=Shape(2),
        connections=(Connection(INPUT, synapses),),
        biases=np.array(biases),
        rectified=False,
    )
    return FloatNetwork("two", Shape(1), (layer,))


def test_the_highest_output_of_every_image_is_brought_to_0():
    images = np.arange(256, dtype=np.uint8)[:, None]
    network, constant = lifted(two_outputs((0.0, -1.0)), images)  # the higher one is lowest in the middle: -128 / 255
    assert constant == pytest.approx(127 / 255)
    highest = network.outputs(images).max(axis=1)
    assert highest.min() == pytest.approx(0, abs=1e-12)
    assert (network.decisions(images) == two_outputs((0.0, -1.0)).decisions(images)).all()


@pytest.mark.parametrize(("below", "of", "raised"), [(0, 200, False), (1, 200, False), (2, 200, True), (1, 100, True)])
def test_few_images_may_stay_silent(below, of, raised):
    """At a pixel of 255 the first output is -0.5 and the second -1; at 0 they are 0.5 and -2."""
    assert SILENT == 1 / 200
    images = np.array([[255]] * below + [[0]] * (of - below), np.uint8)
    given = two_outputs((0.5, -2.0))
    network, constant = lifted(given, images)
    assert constant == (0.5 if raised else 0)
    assert (network is given) == (not raised)


def test_a_conversion_lifts_and_says_so(tmp_path):
    """All scores of this one are below 0; its decisions are those of a network that is good at nothing but differs."""
    torch = pytest.importorskip("torch")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        last = torch.nn.Linear(64, 10)
    torch.nn.init.constant_(last.bias, -5.0)
    digits = load_dataset("digits")
    settings = Settings(input_shape=(64,), timesteps=100)
    model = convert_module(torch.nn.Sequential(torch.nn.Flatten(), last), digits, settings, "low", test_images=100)
    assert 4 < model.lift < 6
    accuracy = model.report.accuracy
    assert accuracy is not None
    assert accuracy.after == pytest.approx(accuracy.before, abs=0.05)
    write_conversion(model, tmp_path, {})
    assert json.loads((tmp_path / "model.json").read_text())["lift"] == model.lift
    outputs = model.float_network.outputs(digits.train_images[:1000])
    assert outputs.max(axis=1).min() == pytest.approx(0, abs=1e-5)
