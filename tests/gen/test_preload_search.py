"""Preloads: their cost is that of its definition, and both searches find the same ones."""

import dataclasses
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import pytest

from hillock.gen.convert import SpikingNetwork, normalise
from hillock.gen.datasets import digits
from hillock.gen.float_file import load_float
from hillock.gen.float_network import FloatNetwork
from hillock.gen.models import MODELS
from hillock.gen.preload_search import (
    GRID,
    Curve,
    PreloadSearch,
    Reference,
    _LayerSearch,
    optimise_preloads,
    with_preloads,
)
from hillock.gen.quantize import quantize
from hillock.hw.problems import HillockError
from hillock.sim import golden
from hillock.sim.elements import max_pool
from hillock.sim.network import Layer, Network, ResetMode, Shape


@cache
def converted(model: str) -> tuple[Network, Reference]:
    network = load_float(MODELS / model / "float.npz")
    spiking = normalise(network, digits().train_images, 99.5)
    integer, _ = quantize(spiking, potential_bits=None, fraction_bits=0, timesteps=255)
    return integer, Reference(network, spiking)


@cache
def searched(
    model: str, method: Literal["sequential", "bracketing"], images: int = 10, timesteps: int = 60
) -> PreloadSearch:
    network, reference = converted(model)
    some = digits().train_images[:images]
    return optimise_preloads(network, reference, some, timesteps=timesteps, method=method, threads=2)


def plain_cost(network: Network, reference: Reference, images: np.ndarray, index: int) -> float:
    """The cost of a layer with the preloads that `network` has, as the paper writes it."""
    layer = network.layers[index]
    rates = images / 255
    if index:
        number = [one.name for one in reference.network.layers].index(layer.name)
        activations = reference.network.activations(images)[number]
        rates = np.minimum(np.maximum(activations, 0) / reference.spiking.layers[number].activation, 1)
    spikes = np.stack([golden.run(network, image=image.astype(int)).layers[index].spikes for image in images])
    cost = 0.0
    for t in range(1, network.timesteps + 1):
        cost += float(((spikes[:, :t].sum(axis=1) / t - rates) ** 2).mean())
    return cost


@pytest.mark.parametrize("model", ["digits", "digits-residual"])
def test_costs_are_those_of_the_definition(model):
    network, reference = converted(model)
    images = digits().train_images[:3]
    search = optimise_preloads(network, reference, images, timesteps=30, grid=[0.0, 0.2, 0.4], method="sequential")
    network = dataclasses.replace(with_preloads(network, search.fractions), timesteps=30)
    assert [curve.layer for curve in search.curves] == [layer.name for layer in network.layers]
    for index, curve in enumerate(search.curves):
        for fraction, cost in curve.costs.items():
            # A cost does not depend on what comes later, so all later layers may have any preload.
            other = with_preloads(network, {curve.layer: fraction})
            assert cost == pytest.approx(plain_cost(other, reference, images, index), rel=1e-5), (curve.layer, fraction)
        assert curve.best == min(curve.costs, key=lambda fraction: curve.costs[fraction])


@pytest.mark.parametrize("model", ["digits", "digits-residual"])
def test_both_searches_find_the_same(model):
    sequential, bracketing = searched(model, "sequential"), searched(model, "bracketing")
    assert sequential.fractions == bracketing.fractions
    for every, some in zip(sequential.curves, bracketing.curves, strict=True):
        assert set(every.costs) <= set(GRID)  # not all of them where several are one register
        assert some.costs.items() <= every.costs.items()
    assert len({*sequential.fractions.values()}) > 1
    assert bracketing.algorithm_1 == sequential.algorithm_1


def test_the_work_is_counted():
    network, _ = converted("digits")
    search, images, timesteps = searched("digits", "bracketing"), 10, 60
    full = dataclasses.replace(with_preloads(network, search.fractions), timesteps=timesteps)
    traces = [golden.run(full, image=image.astype(int)) for image in digits().train_images[:images]]
    sop = [sum(trace.layers[index].sop for trace in traces) for index in range(3)]
    neurons = [layer.neurons * timesteps * images for layer in network.layers]
    # A simulation of the first layer, of the first two, and of all three, for each of 51 preloads.
    assert search.algorithm_1.synaptic_operations == 51 * (3 * sop[0] + 2 * sop[1] + sop[2])
    assert search.algorithm_1.neuron_updates == 51 * (3 * neurons[0] + 2 * neurons[1] + neurons[2])
    every = searched("digits", "sequential").work
    assert every.synaptic_operations == 2 * sop[1] + sop[2]  # once for all preloads, once for its spikes
    assert every.neuron_updates == 52 * neurons[0] + 52 * neurons[1] + 51 * neurons[2]
    rounds = [4 if len(curve.costs) == 51 else 3 for curve in search.curves]
    assert search.work.synaptic_operations == (rounds[1] + 1) * sop[1] + rounds[2] * sop[2]
    looked_at = [len(curve.costs) for curve in search.curves]
    assert search.work.neuron_updates == np.dot(looked_at, neurons) + neurons[0] + neurons[1]
    assert min(looked_at) <= 18
    assert search.work.seconds > 0


def test_the_optimum_is_better_than_none():
    network, reference = converted("digits")
    images = digits().train_images[:5]
    best = dataclasses.replace(with_preloads(network, searched("digits", "bracketing").fractions), timesteps=60)
    none = dataclasses.replace(with_preloads(network, 0.0), timesteps=60)
    for index in range(3):
        assert plain_cost(best, reference, images, index) < 0.7 * plain_cost(none, reference, images, index)


def test_rates_are_clipped_to_what_a_neuron_can_send():
    network, reference = converted("digits")
    images = digits().train_images
    rates = [reference.rates(layer, images) for layer in network.layers]
    assert np.array_equal(rates[0], (images / 255).astype(np.float32))
    for index, (layer, values) in enumerate(zip(reference.spiking.layers, reference.network.activations(images))):  # noqa: B905
        assert (values > layer.activation).any()
        assert rates[index + 1] == pytest.approx((values / layer.activation).clip(0, 1), abs=1e-6)
    assert (reference.network.activations(images)[-1] < 0).any()  # the last layer has no ReLU


# The search along one curve


def looked(values: Sequence[float], threshold: int = 1000, method: str = "bracketing") -> tuple[Curve, int]:
    """The curve of a layer whose costs are `values`, by place in the grid; and how many rounds there were."""
    layer = Layer(name="any", shape=Shape(1), threshold=threshold)
    by_register = {round(fraction * threshold): value for fraction, value in zip(GRID, values, strict=True)}
    search = _LayerSearch(layer, GRID, lambda some: [by_register[one] for one in some])
    return search.run(method), search.rounds


@pytest.mark.parametrize("least", range(51))
def test_every_minimum_is_found(least, seed):
    rng = np.random.default_rng(seed + least)
    way = np.cumsum(rng.exponential(size=51) + 1e-9)
    values = np.abs(way - way[least])  # falls to it, and rises behind
    curve, rounds = looked(values.tolist())
    assert (curve.best, curve.single_minimum) == (GRID[least], True)
    assert rounds == 3
    assert len(curve.costs) <= 18
    every, once = looked(values.tolist(), method="sequential")
    assert (every.best, every.single_minimum, once) == (GRID[least], True, 1)


def test_a_second_minimum_that_shows_is_reported_and_the_lowest_found():
    values = [abs(place - 22) + 5.0 for place in range(51)]
    values[13], values[2] = 30.0, 3.0
    curve, rounds = looked(values)
    assert (curve.best, curve.single_minimum, rounds) == (0.02, False, 4)
    assert len(curve.costs) == 51


def test_a_rough_minimum_is_reported_and_the_lowest_found_without_more_work():
    values = [abs(place - 22) + 5.0 for place in range(51)]
    values[20], values[25] = 4.9, 7.05
    curve, rounds = looked(values)
    assert (curve.best, curve.single_minimum, rounds) == (0.2, False, 3)
    assert len(curve.costs) == 18


def test_a_lowest_cost_at_the_edge_of_what_was_seen_is_followed():
    values = [abs(place - 22) + 5.0 for place in range(51)]
    values[17], values[15] = 4.9, 4.8  # 17 is the last that is seen
    curve, rounds = looked(values)
    assert (curve.best, rounds) == (0.15, 4)


def test_a_plateau_is_reported_and_its_lowest_preload_taken():
    values = [max(abs(place - 22), 4.0) for place in range(51)]
    for method in ("bracketing", "sequential"):
        curve, _ = looked(values, method=method)
        assert (curve.best, curve.single_minimum) == (0.18, False)
    for method in ("bracketing", "sequential"):
        curve, _ = looked([7.0] * 51, method=method)
        assert (curve.best, curve.single_minimum, len(curve.costs)) == (0.0, False, 51)


def test_preloads_that_round_to_the_same_register_are_one():
    # With a threshold of 10 there are the registers 0 to 5, and the lowest fraction that rounds to each.
    values = [(round(fraction * 10) - 3) ** 2 for fraction in GRID]
    for method in ("bracketing", "sequential"):
        curve, _ = looked(values, threshold=10, method=method)
        assert (curve.best, curve.single_minimum) == (0.26, True)
        assert set(curve.costs) <= {0.0, 0.06, 0.15, 0.26, 0.35, 0.46}


# Networks


def test_preloads_go_into_the_registers():
    network, _ = converted("digits")
    half = with_preloads(network, 0.5)
    assert [layer.preload for layer in half.layers] == [round(layer.threshold / 2) for layer in network.layers]
    assert half.layers[0].preload == 128
    one = with_preloads(network, {"hidden": 0.25})
    assert one.layers[1].preload == round(network.layers[1].threshold / 4)
    assert one.layers[2].preload == network.layers[2].preload


def pooled_network() -> Network:
    """The residual network of the digits, and behind its stem a maximum that nothing listens to."""
    network, _ = converted("digits-residual")
    stem = network.layers[1]
    pool = max_pool("pool", stem.name, stem.shape, (2, 2), fraction_bits=0)
    return dataclasses.replace(network, layers=(*network.layers[:2], pool, *network.layers[2:]))


def test_layers_without_memory_keep_their_preload():
    network = pooled_network()
    assert network.layers[2].reset_mode is ResetMode.EVERY_TIMESTEP
    assert with_preloads(network, 0.5).layers[2].preload == 0
    _, reference = converted("digits-residual")
    search = optimise_preloads(network, reference, digits().train_images[:2], timesteps=5, grid=[0.1, 0.2])
    assert "pool" not in search.fractions
    assert list(search.fractions) == [layer.name for layer in network.layers if layer.name != "pool"]


def test_preloads_that_cannot_be():
    network, _ = converted("digits")
    with pytest.raises(
        HillockError,
        match=re.escape(
            "preloads of network 'digits': 2 problems\n"
            "  - there is no layer 'hiden': its layers are encoder, hidden, output\n"
            "  - layer 'output': a preload must be a fraction of the threshold, from 0 to below 1, not 1.5"
        ),
    ):
        with_preloads(network, {"hiden": 0.5, "output": 1.5})


def test_a_search_that_cannot_be():
    network, reference = converted("digits")
    last = dataclasses.replace(network.layers[-1], name="last")
    renamed = dataclasses.replace(network, layers=(*network.layers[:-1], last))
    unknown: Any = "guess"
    with pytest.raises(
        HillockError,
        match=re.escape(
            "search for the preloads of network 'digits': 5 problems\n"
            "  - layer 'last': the reference must have it, with 10 neurons, and has none\n"
            "  - grid must be ascending fractions of the threshold, from 0 to below 1, not [0.5, 0.4]\n"
            "  - method must be 'sequential' or 'bracketing', not 'guess'\n"
            "  - timesteps must be at least 1, not 0\n"
            "  - there must be images to search with, and there are none"
        ),
    ):
        optimise_preloads(renamed, reference, digits().train_images[:0], grid=[0.5, 0.4], method=unknown, timesteps=0)


def test_a_reference_of_two_networks():
    network, reference = converted("digits")
    other = FloatNetwork("digits", reference.network.input, reference.network.layers)
    wrong = Reference(other, SpikingNetwork("digits", other.input, reference.spiking.layers[:1]))
    with pytest.raises(
        HillockError,
        match=r"^search for the preloads of network 'digits': the two networks of the reference must have the same "
        r"layers: give the one that the other was made from$",
    ):
        optimise_preloads(network, wrong, digits().train_images[:1])


def test_a_layer_that_never_fires():
    network, reference = converted("digits")
    last = dataclasses.replace(network.layers[-1], fires=False)
    silent = dataclasses.replace(
        network, layers=(*network.layers[:-1], last), decision=type(network.decision).POTENTIAL
    )
    with pytest.raises(
        HillockError,
        match=r"^search for the preloads of network 'digits': layer 'output': it must fire to have a rate: decide by "
        r"count$",
    ):
        optimise_preloads(silent, reference, digits().train_images[:1])
