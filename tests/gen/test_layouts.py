"""Which layout each layer gets: the fastest of those that are allowed, and what is refused."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.gen.layouts import ACTIVITY, Activity, Layouts, choose_layouts
from hillock.gen.mapping import fit, place
from hillock.gen.synapse_words import synapse_words
from hillock.hw.problems import HillockError, Problems
from hillock.sim.bounds import may_saturate
from hillock.sim.layout import Layout, walk_lengths
from hillock.sim.network import INPUT, Connection, Convolution, Decision, Dense, Layer, Network, Shape
from random_networks import random_graph

Chosen = list[tuple[int, int]]


def choose(
    network: Network, lanes: int, widest: int = 128, layouts: Layouts | None = None, activity: Activity = ACTIVITY
) -> Chosen:
    """(channels, columns) in a word of every layer."""
    problems = Problems("layouts")
    chosen = choose_layouts(network, lanes, widest, layouts or {}, activity, problems)
    problems.raise_any()
    assert all(layout.lanes == lanes for layout in chosen)
    return [(layout.channels, layout.columns) for layout in chosen]


def layer(name: str, source: str, before: Shape, shape: Shape, **changes) -> Layer:
    """A layer with a convolution that keeps the places, 3x3 where there are several."""
    kernel = 1 if shape.flat else 3
    weights = np.ones((kernel, kernel, before.channels, shape.channels), int)
    connection = Connection(source, Convolution(weights, padding=(kernel // 2, kernel // 2)))
    return Layer(name=name, shape=shape, connections=(connection,), **({"threshold": 9} | changes))


# The fastest


def all_layouts(shape: Shape, lanes: int, widest: int) -> Iterator[Layout]:
    for channels in range(1, min(lanes, shape.channels) + 1):
        for columns in range(1, min(lanes // channels, shape.width, widest) + 1):
            if columns == 1 or shape.channels % channels == 0:
                yield Layout(shape, lanes, channels, columns)


@settings(max_examples=60, deadline=None)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 20), widest=st.integers(1, 8))
def test_no_other_layout_is_faster(draw, lanes, widest):
    rng = np.random.default_rng(draw)
    network = random_graph(rng, max_channels=5, max_size=6)
    activity = {part.name: float(rng.random()) for part in network.layers if rng.random() < 0.8}
    saturates = dict(zip([part.name for part in network.layers], may_saturate(network), strict=True))
    for part, (channels, columns) in zip(
        network.layers, choose(network, lanes, widest, activity=activity), strict=True
    ):
        listeners = [other.name for other in network.layers for entry in other.connections if entry.source == part.name]
        ranks = {}
        for layout in all_layouts(part.shape, lanes, widest):
            if layout.ascending or not any(saturates[name] for name in listeners):
                cycles, words = float(layout.words), 0
                for connection in part.connections:
                    source = network.shape_of(connection.source)
                    steps = network.timesteps if connection.static else 1
                    rate = activity.get(connection.source, ACTIVITY) / steps
                    cycles += rate * float(walk_lengths(connection, source, layout).sum())
                    words += len(synapse_words(connection, source, layout))
                ranks[layout.channels, layout.columns] = (round(cycles, 6), words, -layout.channels)
        assert ranks[channels, columns] == min(ranks.values())


@pytest.mark.parametrize(
    ("shape", "lanes", "layout"),
    [
        (Shape(50), 16, (16, 1)),  # 4 words, however many of the channels are in the last
        (Shape(10), 16, (10, 1)),
        (Shape(1, 28, 28), 16, (1, 14)),  # 2 words a row; 16 columns would leave 4 of them in the second
        (Shape(3, 4, 5), 16, (3, 5)),
        (Shape(20, 24, 24), 20, (20, 1)),
    ],
)
def test_the_layouts_of_some_layers(shape, lanes, layout):
    network = Network(name="n", input=shape, layers=(layer("out", INPUT, shape, shape),), decision=Decision.NONE)
    assert choose(network, lanes) == [layout]


def test_no_more_columns_than_are_needed():
    """28 columns in words of 14; words of 15 or 16 would be as many."""
    image = Layer(name="image", shape=Shape(1, 28, 28), threshold=255, current_from_image=True)
    network = Network(name="n", input=image.shape, layers=(image,), decision=Decision.NONE)
    assert choose(network, 16) == [(1, 14)]


def test_a_core_can_limit_the_columns_of_a_word():
    shape = Shape(1, 28, 28)
    network = Network(name="n", input=shape, layers=(layer("out", INPUT, shape, shape),), decision=Decision.NONE)
    assert choose(network, 16, 4) == [(1, 4)]
    assert choose(network, 16, 1) == [(1, 1)]


GRID = Shape(4, 3, 5)
"""On 6 lanes: 12 words of 2 channels and 3 columns, which fire in the fewest cycles, or 15 of 4 channels, which are
walked in fewer."""


def over_grid(**changes) -> Layer:
    synapses = Convolution(np.ones((1, 3, 4, 4), int), padding=(0, 1))
    return Layer(name="grid", shape=GRID, threshold=9, connections=(Connection(INPUT, synapses),), **changes)


def test_the_layout_follows_the_activity():
    network = Network(name="n", input=GRID, layers=(over_grid(),), decision=Decision.NONE)
    assert choose(network, 6, activity=0.0) == choose(network, 6, activity={INPUT: 0.001}) == [(2, 3)]
    assert choose(network, 6, activity=1.0) == choose(network, 6, activity={INPUT: 1.0}) == [(4, 1)]
    assert choose(network, 6, activity={"other": 0.0}) == choose(network, 6, activity=ACTIVITY)


def test_static_input_counts_once():
    layer_ = over_grid()
    static = Connection(INPUT, layer_.connections[0].synapses, static=True)
    for timesteps, layout in ((1, (4, 1)), (1000, (2, 3))):
        network = Network(
            name="n",
            input=GRID,
            layers=(Layer(name="grid", shape=GRID, threshold=9, connections=(static,)),),
            timesteps=timesteps,
            decision=Decision.NONE,
        )
        assert choose(network, 6, activity=1.0) == [layout]


# The order of events


def heard(weight: int) -> Network:
    """A layer with the grid above, and one that listens to it and may saturate with large weights."""
    dense = Dense(np.full((GRID.neurons, 3), weight))
    last = Layer(name="last", shape=Shape(3), threshold=9, connections=(Connection("grid", dense),))
    return Network(name="n", input=GRID, layers=(over_grid(), last), timesteps=2)


def test_events_are_in_order_where_a_layer_that_listens_may_saturate():
    assert may_saturate(heard(1)) == (False, False)
    assert choose(heard(1), 6, activity=0.0) == [(2, 3), (3, 1)]
    assert may_saturate(heard(127)) == (False, True)
    assert choose(heard(127), 6, activity=0.0) == [(4, 1), (3, 1)]


def test_events_are_in_order_where_they_go_to_another_core():
    network = Network(name="n", input=GRID, layers=(over_grid(),), decision=Decision.NONE)
    assert fit(network, 6, activity=0.0).columns_per_word == 3
    core = fit(network, 6, activity=0.0, passes_on=1)
    assert core.columns_per_word == 1
    assert place(network, core, activity=0.0).layers[0].layout == Layout(GRID, 6, 4, 1)


# Layouts that are given


def refuses(network: Network, layouts: Layouts, *texts: str, widest: int = 128) -> None:
    message = f"layouts: {texts[0]}"
    if len(texts) > 1:
        message = f"layouts: {len(texts)} problems" + "".join(f"\n  - {text}" for text in texts)
    with pytest.raises(HillockError, match=f"^{re.escape(message)}$"):
        choose(network, 6, widest, layouts)


def test_layouts_that_are_given_are_taken():
    assert choose(heard(1), 6, layouts={"grid": (1, 2)}) == [(1, 2), (3, 1)]
    assert choose(heard(1), 6, layouts={"grid": (3, 1), "last": (2, 1)}) == [(3, 1), (2, 1)]
    assert choose(heard(127), 6, layouts={"grid": (3, 1)}) == [(3, 1), (3, 1)]


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ((0, 1), "1 to 4 channels in a word, its first number, not 0"),
        ((5, 1), "1 to 4 channels in a word, its first number, not 5"),
        ((2, 0), "1 to 3 columns in a word, its second number, not 0"),
        ((2, 4), "1 to 3 columns in a word, its second number, not 4"),
        ((1, 6), "1 to 5 columns in a word, its second number, not 6"),
        (
            (3, 2),
            "one column in a word, or a number of channels that divides the 4 of the layer: the lanes of a word that "
            "are neurons must be the first ones",
        ),
    ],
)
def test_a_layout_that_is_none(layout, text):
    refuses(heard(1), {"grid": layout}, f"layer 'grid': layout {layout} must have {text}")


def test_a_layout_with_more_columns_than_the_core_can():
    text = "layer 'grid': layout (2, 3) must have 1 to 2 columns in a word, its second number, not 3"
    refuses(heard(1), {"grid": (2, 3)}, text, widest=2)


def test_a_layout_that_would_change_the_result():
    text = (
        "layer 'grid': layout (2, 3) must have one column in a word, or all 4 channels: a layer that listens may "
        "saturate, or is on another core, so its events must be in order"
    )
    refuses(heard(127), {"grid": (2, 3)}, text)


def test_all_that_is_wrong_is_reported_together():
    refuses(
        heard(1),
        {"grid": (9, 1), "last": (2, 2), "lost": (1, 1)},
        "layouts are given for ['lost']: these are not layers; there are ['grid', 'last']",
        "layer 'grid': layout (9, 1) must have 1 to 4 channels in a word, its first number, not 9",
        "layer 'last': layout (2, 2) must have 1 to 1 columns in a word, its second number, not 2",
    )
