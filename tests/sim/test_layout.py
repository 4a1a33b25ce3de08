"""Layouts: every neuron has a slot of its own, and a walk takes as many cycles as there are words on its way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.sim.layout import Layout, axis_hits, tap_words, walk_lengths
from hillock.sim.network import INPUT, Connection, Convolution, Dense, Shape, TransposedConvolution
from plain_contract import place, weight
from random_networks import random_graph


@st.composite
def layouts(draw, shape: Shape | None = None) -> Layout:
    if shape is None:
        shape = Shape(*(draw(st.integers(1, most)) for most in (9, 5, 7)))
    lanes = draw(st.integers(1, 20))
    columns = draw(st.integers(1, min(lanes, shape.width)))
    channels = draw(st.integers(1, max(1, min(lanes // columns, shape.channels))))
    return Layout(shape, lanes, channels, columns)


# Slots


@given(layout=layouts())
def test_every_neuron_has_a_slot_of_its_own(layout):
    slots = layout.slots()
    assert len(slots) == layout.shape.neurons == len(set(slots.tolist()))
    assert slots.min() == 0
    assert slots.max() // layout.lanes == layout.words - 1  # no word more than is needed
    assert set((slots // layout.lanes).tolist()) == set(range(layout.words))  # and none without a neuron
    assert (slots % layout.lanes < layout.columns * layout.channels).all()


@given(layout=layouts())
def test_neurons_lie_where_the_page_says(layout):
    shape = layout.shape
    wc, xw = -(-shape.channels // layout.channels), -(-shape.width // layout.columns)
    for address, slot in enumerate(layout.slots().tolist()):
        y, x, channel = place(address, shape)
        word = (y * xw + x // layout.columns) * wc + channel // layout.channels
        lane = (x % layout.columns) * layout.channels + channel % layout.channels
        assert slot == word * layout.lanes + lane


@given(layout=layouts())
def test_ascending(layout):
    """What it says holds for the slots; where it does not say so, there are shapes for which they do anyway."""
    rises = bool((np.diff(layout.slots()) > 0).all())
    assert rises or not layout.ascending
    if layout.shape.width > 1:  # else there is one column, whatever the words could hold
        assert rises == layout.ascending


def test_layouts_by_hand():
    # 2 rows of 5 places with 3 channels on 8 lanes: 2 columns of 3 channels in a word, so 3 words to a row.
    layout = Layout(Shape(3, 2, 5), 8, 3, 2)
    assert (layout.channel_words, layout.column_words, layout.words, layout.ascending) == (1, 3, 6, True)
    assert layout.slots()[: 5 * 3].tolist() == [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 16, 17, 18]
    # A dense layer of 10 on 4 lanes.
    flat = Layout(Shape(10), 4, 4, 1)
    assert (flat.words, flat.slots().tolist()) == (3, list(range(10)))
    # 2 columns of 2 of the 3 channels: channel 2 lies in a word of its own, after channels 0 and 1 of both columns.
    mixed = Layout(Shape(3, 1, 2), 4, 2, 2)
    assert (mixed.words, mixed.ascending, mixed.slots().tolist()) == (2, False, [0, 1, 4, 2, 3, 6])


# Walks


@settings(max_examples=60)
@given(data=st.data())
def test_a_walk_has_a_cycle_for_every_word_on_its_way(data):
    net = random_graph(np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))), max_size=5, max_channels=5)
    for index, connection in net.walks():
        source, target = net.shape_of(connection.source), net.layers[index].shape
        layout = data.draw(layouts(target))
        slots, lengths = layout.slots(), walk_lengths(connection, source, layout)
        assert lengths.shape == (source.neurons,)
        tap = _words_of_a_group(connection, layout)
        assert tap_words(connection, layout) == tap
        for pre in range(source.neurons):
            reached = [
                post for post in range(target.neurons) if weight(connection, source, target, pre, post) is not None
            ]
            words = {int(slots[post]) // layout.lanes for post in reached}
            if isinstance(connection.synapses, Dense):
                wanted = layout.words if reached else 0
            else:
                places = {(y, x // layout.columns) for y, x, _ in (place(post, target) for post in reached)}
                wanted = len(places) * tap
            assert lengths[pre] == max(1, wanted)
            assert len(words) <= lengths[pre]
            groups = getattr(connection.synapses, "groups", 1)
            if groups == 1:
                assert max(1, len(words)) == lengths[pre]


def _words_of_a_group(connection: Connection, layout: Layout) -> int:
    """The most words that the channels of a group are spread over, at one place; all words for a dense connection."""
    if isinstance(connection.synapses, Dense):
        return layout.words
    groups = np.array_split(np.arange(layout.shape.channels), connection.synapses.groups)
    return max(len({channel // layout.channels for channel in group.tolist()}) for group in groups)


def test_hits_by_hand():
    kernel = np.ones((3, 1, 1, 1), int)
    # 5 rows, stride 2, padding 1: the kernel of target j covers rows 2 j - 1 to 2 j + 1.
    strided = Connection(INPUT, Convolution(kernel, stride=(2, 1), padding=(1, 0)))
    assert axis_hits(strided, 0, Shape(1, 5, 4), Shape(1, 3, 4)) == [
        [(0, 1)], [(0, 2), (1, 0)], [(1, 1)], [(1, 2), (2, 0)], [(2, 1)],
    ]  # fmt: skip
    # Transposed, 3 rows become 2 * 2 - 2 + 3 = 5; row i covers rows 2 i - 1 to 2 i + 1.
    laid = Connection(INPUT, TransposedConvolution(kernel, stride=(2, 1), padding=(1, 0)))
    assert axis_hits(laid, 0, Shape(1, 3, 4), Shape(1, 5, 4)) == [
        [(0, 1), (1, 2)], [(1, 0), (2, 1), (3, 2)], [(3, 0), (4, 1)],
    ]  # fmt: skip
    # Pooled by two, of five rows two are left; the third cell would need a sixth.
    pooled = Connection(INPUT, Convolution(np.ones((1, 1, 1, 1), int)), pool=(2, 1))
    assert axis_hits(pooled, 0, Shape(1, 5, 4), Shape(1, 2, 4)) == [[(0, 0)], [(0, 0)], [(1, 0)], [(1, 0)], []]
    dense = Connection(INPUT, Dense(np.ones((8, 3), int)), pool=(2, 1))
    assert axis_hits(dense, 0, Shape(1, 5, 4), Shape(3)) == [[(0, 0)]] * 4 + [[]]


@pytest.mark.parametrize(
    ("lanes", "channels", "columns", "cycles"),
    [
        (16, 16, 1, 9 * 2),  # 20 channels are 2 words at each of 3 x 3 places
        (20, 20, 1, 9),
        (10, 10, 1, 18),
        (40, 20, 2, 6),  # a word holds two columns, and the three lie in two of them
        (8, 4, 2, 3 * 2 * 5),
    ],
)
def test_cycles_of_an_event_in_the_middle(lanes, channels, columns, cycles):
    connection = Connection(INPUT, Convolution(np.ones((3, 3, 1, 20), int)))
    layout = Layout(Shape(20, 26, 26), lanes, channels, columns)
    lengths = walk_lengths(connection, Shape(1, 28, 28), layout).reshape(28, 28)
    assert lengths[10, 10] == cycles
    assert lengths[0, 0] == tap_words(connection, layout)


def test_an_event_that_reaches_nothing_takes_a_cycle():
    connection = Connection(INPUT, Convolution(np.ones((1, 1, 2, 9), int), stride=(2, 2)))
    lengths = walk_lengths(connection, Shape(2, 3, 3), Layout(Shape(9, 2, 2), 4, 4, 1)).reshape(3, 3, 2)
    assert lengths[:, :, 0].tolist() == [[3, 1, 3], [1, 1, 1], [3, 1, 3]]
    assert lengths[:, :, 1].tolist() == lengths[:, :, 0].tolist()


def test_groups_that_share_a_word():
    # 6 channels in 3 groups of 2 on 4 lanes: the second group lies in one word, as the others do; on 3 lanes in two.
    weights = np.ones((1, 1, 1, 6), int)
    grouped = Connection(INPUT, Convolution(weights, groups=3))
    assert tap_words(grouped, Layout(Shape(6, 2, 2), 4, 4, 1)) == 1
    assert tap_words(grouped, Layout(Shape(6, 2, 2), 3, 3, 1)) == 2
    assert tap_words(Connection(INPUT, Convolution(weights)), Layout(Shape(6, 2, 2), 4, 4, 1)) == 2
