"""The figures of the report: what is drawn of layers large and small."""

import re

import numpy as np
import pytest

from hillock.gen.plot_spikes import active_neurons, neuron_name, raster, sampled
from hillock.gen.tiles import MOST_CHANNELS, channels_shown, picture, spike_map
from hillock.sim.golden import LayerTrace, Trace
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, Network, Shape

STEPS = 4


def layer(shape: Shape, name: str = "grid") -> Layer:
    return Layer(name=name, shape=shape, threshold=1, currents=np.zeros(shape.channels, int))


def trace(shape: Shape, spikes: np.ndarray) -> LayerTrace:
    """`spikes` as they are; all potentials 0."""
    assert spikes.shape == (STEPS, shape.neurons)
    return LayerTrace("grid", spikes, spikes.astype(int), np.zeros(spikes.shape, int), 0)


def random_trace(shape: Shape, density: float = 0.3, seed: int = 1) -> LayerTrace:
    return trace(shape, np.random.default_rng(seed).random((STEPS, shape.neurons)) < density)


# Which neurons


@pytest.mark.parametrize("shape", [Shape(10), Shape(800), Shape(1, 28, 28), Shape(8, 10, 10)])
def test_small_layers_are_shown_whole(shape):
    assert sampled(shape) is None


@pytest.mark.parametrize(
    ("shape", "channels", "places"),
    [
        (Shape(20, 26, 26), 20, 20),
        (Shape(50, 9, 9), 50, 8),
        (Shape(1, 64, 64), 1, 400),
        (Shape(5000), 400, 1),
        (Shape(900, 2, 2), 400, 1),
    ],
)
def test_a_sample_is_spread_evenly_and_sorted_by_channel(shape, channels, places):
    addresses = sampled(shape)
    assert addresses is not None
    assert len(addresses) == channels * places
    assert len(set(addresses.tolist())) == len(addresses)
    assert addresses.max() < shape.neurons
    where, channel = np.divmod(addresses, shape.channels)
    assert (np.diff(channel) >= 0).all()
    # As many places of each channel, and no gap between them that is twice as large as another.
    assert {count for count in np.bincount(channel).tolist() if count} == {places}
    for values, count in ((np.unique(channel), shape.channels), (np.unique(where), shape.height * shape.width)):
        gaps = np.diff([-1, *values, count])
        assert gaps.max() <= 2 * count / len(values) + 1


def test_neurons_have_their_place_in_their_name():
    assert neuron_name(layer(Shape(30)), 7) == "grid, neuron 7"
    assert neuron_name(layer(Shape(3, 4, 5)), (2 * 5 + 4) * 3 + 1) == "grid, y 2, x 4, channel 1"
    assert neuron_name(layer(Shape(1, 4, 5)), 14) == "grid, y 2, x 4"


def test_the_most_active_neurons_come_first():
    spikes = np.zeros((STEPS, 5), bool)
    spikes[:2, 3], spikes[:3, 1] = True, True
    potentials = np.tile([9, 0, 5, 0, 9], (STEPS, 1))
    figures = LayerTrace("x", spikes, spikes.astype(int), potentials, 0)
    assert active_neurons(figures, 4) == [1, 3, 0, 4]


# Rasters


def whole(*layers: tuple[Layer, LayerTrace]) -> tuple[Network, Trace]:
    """A network of these layers, and a trace of it."""
    connected = [
        Layer(
            name=f"layer{index}",
            shape=one.shape,
            threshold=1,
            connections=(Connection(INPUT, Dense(np.ones((1, one.neurons), int))),),
        )
        for index, (one, _) in enumerate(layers)
    ]
    network = Network(
        name="n", input=Shape(1), layers=tuple(connected), timesteps=STEPS, decision=Decision.NONE, fraction_bits=0
    )
    return network, Trace([], tuple(figures for _, figures in layers), np.zeros(1, int), 0)


def dashes(svg: str) -> int:
    """How many dashes there are in a raster: broken lines of two points, but for those of axes."""
    lines = re.findall(r'<path d="([^"]*)" clip-path', svg)
    return sum(line.count("M ") for line in lines)


def test_a_raster_has_a_dash_for_every_spike():
    shape = Shape(3, 5, 5)
    figures = random_trace(shape)
    svg = str(raster(*whole((layer(shape), figures))))
    assert dashes(svg) == figures.spikes.sum()
    assert f"Spikes by layer: layer0 {figures.spikes.sum()}." in svg
    assert f"layer0: 75 neurons, {figures.spikes.sum()} spikes" in svg


def test_a_raster_of_a_large_layer_shows_its_sample_and_says_so():
    shape = Shape(20, 26, 26)
    figures = random_trace(shape, 0.07)
    svg = str(raster(*whole((layer(shape), figures), (layer(Shape(2)), random_trace(Shape(2), 0)))))
    total, shown = int(figures.spikes.sum()), int(figures.spikes[:, sampled(shape)].sum())
    assert 0 < shown < total / 20
    assert dashes(svg) == shown
    assert f"layer0: 400 of 13,520 neurons, {shown} of {total:,} spikes" in svg
    assert f"layer0 {total:,} (of 400 of its neurons {shown} shown), layer1 0." in svg
    labels = [int(channel) for channel in re.findall(r">ch (\d+)<", svg)]
    assert labels == sorted(labels)
    assert len(labels) > 2
    assert len(svg) < 200_000


# Maps of spikes, and pictures


def squares(svg: str) -> dict[float, list[tuple[int, int]]]:
    """(x, y) of the squares of each shade."""
    return {
        float(opacity): [(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", path)]
        for opacity, path in re.findall(r'<path opacity="([^"]*)" d="([^"]*)"/>', svg)
    }


def test_a_picture_has_a_square_for_each_pixel_that_is_not_black():
    svg = str(picture(np.array([[0, 1, 0.5], [0, 0, 1]])[:, :, None], 'it\'s a "7"'))
    assert squares(svg) == {1.0: [(1, 0), (2, 1)], 0.5: [(2, 0)]}
    assert 'viewBox="0 0 3 2"' in svg
    assert "M0 0h3v2h-3z" in svg
    assert 'aria-label="it&#39;s a &#34;7&#34;"' in svg


def test_a_picture_in_colour_is_three_lights_on_one_ground():
    values = np.zeros((2, 3, 3))
    values[0, 1] = (1, 0.5, 0)
    values[1, 2, 2] = 1
    svg = str(picture(values, "colours"))
    groups = re.findall(r'<g style="fill: (#...); mix-blend-mode: screen[^>]*>(.*?)</g>', svg, re.DOTALL)
    assert {colour: squares(light) for colour, light in groups} == {
        "#f00": {1.0: [(1, 0)]}, "#0f0": {0.5: [(1, 0)]}, "#00f": {1.0: [(2, 1)]},
    }  # fmt: skip
    assert svg.count('class="ground"') == 1
    assert 'viewBox="0 0 3 2"' in svg


def test_a_map_of_spikes_has_a_tile_for_each_channel():
    shape = Shape(11, 2, 3)
    spikes = np.zeros((STEPS, shape.neurons), bool)
    spikes[:, (1 * 3 + 2) * 11 + 0] = True  # y 1, x 2, channel 0: four times
    spikes[0, (0 * 3 + 1) * 11 + 10] = True  # y 0, x 1, channel 10: once
    drawn, words = spike_map(layer(shape), trace(shape, spikes))
    # Tiles of 3 x 2 with a gap of 1: channel 10 is the third of the second row of tiles.
    assert squares(str(drawn)) == {1.0: [(2, 1)], 0.25: [(2 * 4 + 1, 3)]}
    assert words == "grid: 2 x 3 places, 11 channels; white is 4 spikes"
    assert f'aria-label="Spikes by place. {words}, 5 in all."' in str(drawn)
    assert str(drawn).count("h3v2h-3z") == 11


def test_of_many_channels_the_most_active_are_shown():
    shape = Shape(40, 2, 2)
    spikes = np.zeros((STEPS, shape.neurons), bool)
    busy = np.arange(1, 40, 2)  # 20 channels, the later ones more active
    for rank, channel in enumerate(busy):
        spikes[0, channel] = True
        spikes[1:, 40 + channel] = rank >= 4
    one, figures = layer(shape), trace(shape, spikes)
    assert channels_shown(one, figures).tolist() == busy[4:].tolist()
    assert len(busy[4:]) == MOST_CHANNELS
    assert spike_map(one, figures)[1] == "grid: 2 x 2 places, the 16 most active of 40 channels; white is 3 spikes"


def test_a_layer_that_is_silent_is_black():
    shape = Shape(1, 3, 3)
    drawn, words = spike_map(layer(shape), random_trace(shape, 0))
    assert squares(str(drawn)) == {}
    assert words == "grid: 3 x 3 places, 1 channel; white is 0 spikes"
