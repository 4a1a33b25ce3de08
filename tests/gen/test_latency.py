"""When a network is good enough, and at what cost."""

import dataclasses

import numpy as np
import pytest

from hillock.gen.latency import CRITERIA, accuracy_at, error_at, first_at, latencies, operations_until, output_counts
from hillock.sim import golden
from hillock.sim.batch import run_batch
from small_simulation import small_graph, small_network


def test_first_at_is_the_first_and_not_the_last():
    assert first_at([0.1, 0.98, 0.97, 0.99], 0.98) == 2
    assert first_at([0.1, 0.98, 0.97, 0.99], 0.985) == 4
    assert first_at([0.1, 0.98], 0.985) is None
    assert first_at([0.9], 0.9) == 1
    assert first_at([], 0.9) is None


def test_an_error_falls_to_what_is_wanted():
    assert first_at([np.inf, 0.3, 0.2, 0.1], 0.2, falling=True) == 3
    assert first_at([np.inf, 0.3], 0.2, falling=True) is None


@pytest.mark.parametrize("images", [10, 300, 1000, 10_000])
def test_what_is_reached_exactly_is_reached(images):
    # 99 % of one accuracy, and that many of as many images: whatever their quotients round to.
    for right in range(0, images + 1, images // 10):
        wanted = 0.99 * (right / images)
        needed = -(-99 * right // 100)
        accuracy = np.array([needed - 1, needed]) / images
        assert first_at(accuracy, wanted) == 2


def test_criteria_are_shares_of_the_float_accuracy():
    accuracy = [0.5, 0.79, 0.792, 0.796, 0.799, 0.8]
    assert CRITERIA == (99.0, 99.5, 99.9)
    assert latencies(accuracy, 0.8) == {99.0: 3, 99.5: 4, 99.9: 6}
    assert latencies(accuracy, 1.0) == {99.0: None, 99.5: None, 99.9: None}


def test_accuracy_at_a_timestep():
    decisions = np.array([[0, 1, 1], [0, 0, 2]])
    assert accuracy_at(decisions, np.array([1, 2])).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("seed", range(5))
def test_operations_until_a_timestep_are_those_of_a_run_that_ends_there(seed):
    network = small_network(seed)
    images = np.random.default_rng(seed).integers(0, 256, (3, network.inputs))
    result = run_batch(network, images)
    for timestep in range(1, network.timesteps + 1):
        shorter = dataclasses.replace(network, timesteps=timestep, delay=0)
        wanted = sum(golden.run(shorter, image=image).sop for image in images) / 3
        assert operations_until(result.sop_at, timestep) == wanted


@pytest.mark.parametrize("seed", range(5))
def test_counts_and_errors_are_those_of_golden_traces(seed):
    network = small_graph(seed, lambda one: one.image_input)
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (3, network.inputs))
    rates = rng.random((3, network.layers[-1].neurons))
    output = run_batch(network, images).output
    counts = output_counts(output, network.layers[-1].neurons)
    spikes = np.stack([golden.run(network, image=image).layers[-1].spikes for image in images])
    assert not counts[:, 0].any()
    assert np.array_equal(counts[:, 1:], np.cumsum(spikes, axis=1))
    for delay in range(network.timesteps):
        errors = error_at(output, rates, delay)
        assert np.isinf(errors[:delay]).all()
        for timestep in range(delay + 1, network.timesteps + 1):
            rate = spikes[:, delay:timestep].mean(axis=1)
            assert errors[timestep - 1] == pytest.approx(((rate - rates) ** 2).mean())
