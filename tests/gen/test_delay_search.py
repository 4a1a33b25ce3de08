"""Delays against brute force: the golden model with each of them."""

import dataclasses

import numpy as np
import pytest

from hillock.gen.delay_search import DelayChoice, accuracy_by_delay, choose_delay, error_by_delay, with_delay
from hillock.gen.latency import error_at
from hillock.hw.problems import HillockError
from hillock.sim import golden
from hillock.sim.batch import run_batch
from hillock.sim.network import Decision
from small_simulation import autoencoder, small_network


def counting(seed: int, timesteps: int = 6):
    """A random network that decides by count, without a delay, with images and labels."""
    for number in range(1000):
        network = small_network(100 * seed + number)
        if network.decision is Decision.COUNT and network.layers[-1].neurons > 2:
            break
    network = dataclasses.replace(network, timesteps=timesteps, delay=0)
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (12, network.inputs))
    return network, images, rng.integers(0, network.layers[-1].neurons, 12)


@pytest.mark.parametrize("seed", range(6))
def test_accuracy_is_that_of_the_golden_model_with_the_delay(seed):
    network, images, labels = counting(seed)
    result = run_batch(network, images)
    labels[::2] = result.decisions[::2]  # else few are right
    table = accuracy_by_delay(result.output, labels, network.layers[-1].neurons)
    for delay in range(network.timesteps):
        assert np.isnan(table[delay, :delay]).all()
        for timesteps in range(delay + 1, network.timesteps + 1):
            delayed = dataclasses.replace(network, timesteps=timesteps, delay=delay)
            right = [golden.run(delayed, image=image).decision for image in images] == labels
            assert table[delay, timesteps - 1] == right.mean(), (delay, timesteps)


def test_the_networks_of_the_test_above_tie():
    """Else the order of the classes would not be tested."""
    ties = 0
    for seed in range(6):
        network, images, _ = counting(seed)
        counts = run_batch(network, images).counts
        ties += int(((counts == counts.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum())
    assert ties > 5


def test_errors_are_those_of_the_rates_since_the_delay():
    network, _ = autoencoder()
    images = np.random.default_rng(0).integers(0, 256, (7, network.inputs))
    output = run_batch(network, images).output
    table = error_by_delay(output, images / 255)
    for delay in range(network.timesteps):
        wanted = error_at(output, images / 255, delay)[delay:]
        assert table[delay, delay:].tolist() == pytest.approx(wanted.tolist())
        assert np.isnan(table[delay, :delay]).all()
    delayed = dataclasses.replace(network, delay=5, timesteps=11)
    rates = run_batch(delayed, images).counts / 6
    assert table[5, 10] == pytest.approx(((rates - images / 255) ** 2).mean())


@pytest.mark.parametrize("falling", [False, True])
def test_the_choice_is_that_of_brute_force(falling, seed):
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(50):
        table = rng.integers(0, 20, (6, 6)) / 20
        table[np.tril_indices(6, -1)] = np.nan
        wanted = float(rng.choice([0, 0.05, 0.1] if falling else [0.9, 0.95, 1.0]))
        good = table <= wanted if falling else table >= wanted
        reached = sorted((column + 1, row) for row, column in zip(*np.nonzero(good), strict=True))
        choice = choose_delay(table, wanted, falling=falling)
        found += choice is not None
        assert choice == (DelayChoice(reached[0][1], reached[0][0]) if reached else None)
    assert found > 0


def test_of_equally_early_delays_the_shortest_is_taken():
    nothing = float("nan")
    table = np.array([[0.1, 0.8, 0.9], [nothing, 0.9, 0.9], [nothing, nothing, 0.9]])
    assert choose_delay(table, 0.9) == DelayChoice(delay=1, latency=2)
    assert choose_delay(table[[0, 2]], 0.9) == DelayChoice(delay=0, latency=3)
    assert choose_delay(table, 0.95) is None


def test_a_delay_goes_into_the_network():
    network, images, labels = counting(1)
    output = run_batch(network, images).output
    table = accuracy_by_delay(output, labels, network.layers[-1].neurons)
    choice = DelayChoice(delay=2, latency=4)
    delayed = with_delay(network, choice)
    assert (delayed.delay, delayed.timesteps) == (2, 4)
    assert (run_batch(delayed, images).decisions == labels).mean() == table[2, 3]


def test_a_delay_that_cannot_be():
    network, _, _ = counting(1)
    with pytest.raises(
        HillockError,
        match=r"^delay of network 'random': it must have the 7 timesteps after which it is good enough, and has 6$",
    ):
        with_delay(network, DelayChoice(delay=0, latency=7))
    readout = dataclasses.replace(network.layers[-1], fires=False)
    network = dataclasses.replace(network, layers=(*network.layers[:-1], readout), decision=Decision.POTENTIAL)
    with pytest.raises(
        HillockError, match=r"^delay of network 'random': it decides by potential, and a delay is of counted spikes$"
    ):
        with_delay(network, DelayChoice(delay=1, latency=3))
