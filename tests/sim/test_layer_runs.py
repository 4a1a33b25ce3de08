"""A layer on its own is the layer of the golden model, spike for spike; and the errors are those of its counts."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.hw.problems import HillockError
from hillock.sim import golden, layer_runs
from hillock.sim.layer_runs import LayerRuns, SpikeTrains
from hillock.sim.network import INPUT, Connection, Dense, Layer, Network, ResetMode, Shape
from hillock.sim.stimulus import image_events
from random_networks import random_graph, random_network


def pictures(rng: np.random.Generator, net: Network, count: int) -> np.ndarray:
    brightest = 255 if net.image_input else net.largest_payload
    return rng.integers(0, brightest + 1, (count, net.inputs)) * (rng.random((count, net.inputs)) < 0.7)


def given_image(net: Network, image: np.ndarray) -> dict[str, Any]:
    return {"image": image} if net.image_input else {"events": [image_events(image)]}


def with_preload(net: Network, index: int, preload: int) -> Network:
    layers = list(net.layers)
    layers[index] = dataclasses.replace(layers[index], preload=preload)
    return dataclasses.replace(net, layers=tuple(layers))


def drawn(rng: np.random.Generator, potential_bits: int, graph: bool) -> Network:
    while True:
        width: dict[str, Any] = {"potential_bits": potential_bits, "fraction_bits": 2}
        net: Network = random_graph(rng, **width, payload_bits=2) if graph else random_network(rng, **width)
        if net.image_input or net.static_input:
            return net


def ordinary(rng: np.random.Generator, net: Network) -> Network:
    """The same connections, between integrate-and-fire neurons."""

    def plain(layer: Layer) -> Layer:
        if layer.graded or layer.current_from_image or not layer.fires:
            return layer
        subtracting = dataclasses.replace(layer, reset_mode=ResetMode.SUBTRACT, reset_amount=layer.threshold)
        return dataclasses.replace(subtracting, leak_shift=0, preload=int(rng.integers(0, layer.threshold)))

    return dataclasses.replace(net, layers=tuple(plain(layer) for layer in net.layers))


def check(net: Network, images: np.ndarray, rng: np.random.Generator) -> int:
    """Compare every layer, with its own preload and with others; returns how many were compared as plain ones."""
    traces = [golden.run(net, **given_image(net, image)) for image in images]
    runs = LayerRuns(net, images, threads=2)
    trains: dict[str, SpikeTrains] = {}
    shared = 0
    steps = np.arange(net.timesteps)[:, None] + 1
    for index, layer in enumerate(net.layers):
        trains[layer.name] = runs.trains(index, trains, layer.preload)
        payloads = np.stack([trace.layers[index].payloads for trace in traces])
        assert np.array_equal(trains[layer.name].events(slice(None)), payloads), layer
        assert runs.additions(index, trains) == sum(trace.layers[index].sop for trace in traces)

        preloads = [layer.preload, *rng.integers(-5, layer.threshold + 1, 2).tolist()]
        preloads = [int(np.clip(preload, *net.potential_range)) for preload in preloads]
        preloads = preloads[:1] if layer.graded else preloads  # another may make its events too large for a payload
        rates = rng.random((len(images), layer.neurons)).astype(np.float32)
        wanted = []
        for preload in preloads:
            other = with_preload(net, index, preload)
            total = 0.0
            for image, rate in zip(images, rates, strict=True):
                spikes = golden.run(other, **given_image(net, image)).layers[index].spikes
                total += float(((np.cumsum(spikes, axis=0) / steps - rate) ** 2).mean(axis=1).sum())
            wanted.append(total / len(images))
        assert runs.errors(index, trains, preloads, rates).tolist() == pytest.approx(wanted, rel=1e-5)
        shared += runs._plain(index, layer.preload)
    return shared


@settings(max_examples=60)
@given(draw=st.integers(0, 2**32 - 1), bits=st.sampled_from([12, 16, 24, 32]), graph=st.booleans(), plain=st.booleans())
def test_equals_the_golden_model(draw, bits, graph, plain):
    rng = np.random.default_rng(draw)
    net = drawn(rng, bits, graph)
    net = ordinary(rng, net) if plain else net
    check(net, pictures(rng, net, 3), rng)


def test_networks_are_run_both_ways(seed):
    """Else the test above would show less than it says."""
    plain = other = 0
    for n in range(20):
        rng = np.random.default_rng(seed + n)
        net = ordinary(rng, drawn(rng, 16, graph=True))
        shared = check(net, pictures(rng, net, 1), rng)
        plain, other = plain + shared, other + len(net.layers) - shared
    assert plain > 0
    assert other > 0


def test_chunks_blocks_and_preloads_taken_together_do_not_show(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    encoder = Layer(name="encoder", shape=Shape(9), threshold=255, reset_amount=255, current_from_image=True)
    dense = (Connection("encoder", Dense(rng.integers(-50, 128, (9, 7)))),)
    hidden = Layer(name="hidden", shape=Shape(7), threshold=900, reset_amount=900, connections=dense)
    net = Network(name="n", input=Shape(9), layers=(encoder, hidden), timesteps=20, potential_bits=24)
    images = rng.integers(0, 256, (11, 9))
    rates = rng.random((11, 7)).astype(np.float32)
    preloads = list(range(0, 900, 50))

    def outcome() -> tuple[np.ndarray, np.ndarray, int]:
        runs = LayerRuns(net, images, threads=3)
        source = {"encoder": runs.trains(0, {}, 100)}
        assert runs._plain(1, 0)
        spikes = runs.trains(1, source, 450).packed
        return spikes, runs.errors(1, source, preloads, rates), runs.additions(1, source)

    whole = outcome()
    for name, value in (("SUMS", 1), ("SUMS", 9 * 20 * 3), ("BLOCK", 5), ("TOGETHER", 4), ("CACHE", 30)):
        with monkeypatch.context() as patch:
            patch.setattr(layer_runs, name, value)
            spikes, errors, additions = outcome()
        assert np.array_equal(spikes, whole[0])
        assert errors.tolist() == pytest.approx(whole[1].tolist(), rel=1e-6)
        assert additions == whole[2]


def test_an_error_does_not_depend_on_the_other_preloads(seed):
    """So that every search for the lowest one sees the same numbers."""
    rng = np.random.default_rng(seed)
    net = Network(
        name="n",
        input=Shape(300),
        layers=(Layer(name="encoder", shape=Shape(300), threshold=255, reset_amount=255, current_from_image=True),),
        timesteps=50,
    )
    images = rng.integers(0, 256, (40, 300))
    runs = LayerRuns(net, images)
    rates = (images / 255).astype(np.float32)
    together = runs.errors(0, {}, list(range(0, 255, 5)), rates)
    alone = [runs.errors(0, {}, [preload], rates)[0] for preload in range(0, 255, 5)]
    assert together.tolist() == alone


def test_events_in_every_timestep_are_refused():
    layer = Layer(name="out", shape=Shape(1), threshold=1, connections=(Connection(INPUT, Dense(np.array([[1]]))),))
    net = Network(name="spikes", input=Shape(1), layers=(layer,))
    with pytest.raises(
        HillockError,
        match=r"^network 'spikes' takes events in every timestep: LayerRuns needs a network with image input or static "
        r"input$",
    ):
        LayerRuns(net, np.zeros((1, 1), int))


def test_images_of_another_size_are_refused():
    encoder = Layer(name="encoder", shape=Shape(3), threshold=255, reset_amount=255, current_from_image=True)
    net = Network(name="n", input=Shape(3), layers=(encoder,))
    with pytest.raises(HillockError, match=r"^images must be integers of shape \(n, 3\), not uint8 \(2, 4\)$"):
        LayerRuns(net, np.zeros((2, 4), np.uint8))
