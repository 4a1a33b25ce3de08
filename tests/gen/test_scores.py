"""What the outputs of a network are worth, after each timestep."""

import dataclasses

import numpy as np
import pytest

from hillock.gen.datasets import digits
from hillock.gen.models import load_model
from hillock.gen.scores import float_network_of, image_of, score_of
from hillock.sim import golden
from hillock.sim.batch import run_batch
from hillock.sim.network import Decision
from small_simulation import autoencoder, small_graph, small_network, small_simulation


def truncated(network, timesteps):
    """The same network with fewer timesteps."""
    return dataclasses.replace(network, timesteps=timesteps)


@pytest.mark.parametrize("seed", range(8))
def test_accuracy_at_a_timestep_is_that_of_a_run_that_ends_there(seed):
    network = small_network(seed)
    result = small_simulation(network)
    labels, images = result.dataset.test_labels[:5], result.dataset.test_images[:5].astype(int)
    assert result.score.name == "accuracy"
    for step in range(network.delay, network.timesteps):
        shorter = truncated(network, step + 1)
        right = sum(
            golden.run(shorter, image=image).decision == label for image, label in zip(images, labels, strict=True)
        )
        assert result.score.total_at[step] == right
    assert result.score.final == result.score.total_at[-1] / 5
    assert result.score.written(result.score.of_float) == "87.50 %"


def test_the_last_decision_is_that_of_the_gateware():
    network = small_network(2)
    result = small_simulation(network, images=1)
    before, trace, pixels = result.score.total_at.copy(), result.sample.trace, result.sample.pixels
    wrong = trace.decision + 1
    result.score.add(network, trace, pixels, wrong, decision=wrong, counts=trace.counts)
    assert result.score.total_at[-1] == before[-1] + 1
    result.score.add(network, trace, pixels, trace.decision, decision=wrong, counts=trace.counts)
    assert result.score.total_at[-1] == before[-1] + 1


def test_an_error_is_that_of_rates_from_pixels():
    network, float_network = autoencoder()
    result = small_simulation(network, float_network=float_network)
    score, images = result.score, result.dataset.test_images[:5].astype(int)
    assert score.name == "mse"
    for step in range(network.delay, network.timesteps):
        counts = run_batch(truncated(network, step + 1), images).counts
        rates = counts / (step + 1 - network.delay)
        assert score.at[step] == pytest.approx(((rates - images / 255) ** 2).mean())
    # Before anything is counted, all rates are 0.
    assert score.at[0] == pytest.approx(((images / 255) ** 2).mean())
    assert score.of_float == pytest.approx(((0.1 * result.dataset.test_images / 255) ** 2).mean(), abs=1e-6)
    assert score.written(score.of_float) == f"{score.of_float:.4f}"
    assert list(score.summary()) == ["mse", "mse_at_timestep", "float_mse"]


def test_the_end_is_what_the_gateware_gave():
    network, _ = autoencoder()
    equal, differs = small_simulation(network, images=1), small_simulation(network, images=1, equal=False)
    assert np.array_equal(equal.score.at[:-1], differs.score.at[:-1])
    # The spike that differs is in a timestep of the delay: it is not counted.
    assert equal.score.final == differs.score.final
    soon = dataclasses.replace(network, delay=0)
    assert small_simulation(soon, images=1).score.final != small_simulation(soon, images=1, equal=False).score.final


def test_outputs_that_are_no_image_have_no_score():
    network = small_graph(0, lambda one: one.decision is Decision.NONE and one.layers[-1].neurons != one.inputs)
    assert small_simulation(network).score is None


def test_a_float_network_is_read_where_its_outputs_are_needed():
    assert float_network_of(load_model("digits")) is None
    model = load_model("digits-autoencoder")
    network, float_network = model.network, float_network_of(model)
    dataset = digits()
    assert float_network is not None
    score = score_of(network, dataset, None, float_network)
    assert score is not None
    outputs = float_network.outputs(dataset.test_images)
    assert outputs.min() < 0  # it is clipped to what a pixel can be
    assert image_of(float_network, dataset.test_images).min() == 0
    assert score.of_float == pytest.approx(((outputs.clip(0, 1) - dataset.test_images / 255) ** 2).mean(), abs=1e-6)
