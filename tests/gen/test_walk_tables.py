"""Walks found in the bytes of images, against what the description of a network says an event reaches."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.gen.image import encode
from hillock.gen.mapping import Placement, fit, place
from hillock.gen.walk_tables import Entry, walk_of
from hillock.sim.layout import Layout, walk_lengths
from hillock.sim.network import (
    INPUT,
    Connection,
    Convolution,
    Decision,
    Dense,
    Layer,
    Network,
    Pair,
    Shape,
    Synapses,
    TransposedConvolution,
)
from random_networks import random_graph
from walk_interpreter import Core, Place


def reached(connection: Connection, source: Shape, target: Shape, event: Place) -> dict[Place, int]:
    """The weight of every neuron that a kernel, or a dense connection, takes from `event`; the definition, literally.

    Every output place looks at its inputs, as in `synapses.Convolution`, so nothing here is as the tables are made.
    """
    synapses = connection.synapses
    y, x, channel = event
    if y >= source.height // connection.pool[0] * connection.pool[0]:
        return {}
    if x >= source.width // connection.pool[1] * connection.pool[1]:
        return {}
    y, x = y // connection.pool[0], x // connection.pool[1]
    weights = {}
    if isinstance(synapses, Dense):
        address = (y * (source.width // connection.pool[1]) + x) * source.channels + channel
        for post, weight in enumerate(synapses.weights[address].tolist()):
            place_, k = divmod(post, target.channels)
            weights[(*divmod(place_, target.width), k)] = weight
        return weights
    from_group, to_group = source.channels // synapses.groups, target.channels // synapses.groups
    (sy, sx), (py, px) = synapses.stride, synapses.padding
    for oy, ox, ky, kx in np.ndindex(target.height, target.width, *synapses.kernel):
        if isinstance(synapses, TransposedConvolution):
            meets = (oy, ox) == (y * sy + ky - py, x * sx + kx - px)
        else:
            meets = (y, x) == (oy * sy + ky - py, ox * sx + kx - px)
        for k in range(target.channels) if meets else ():
            if k // to_group == channel // from_group:
                weights[(oy, ox, k)] = int(synapses.weights[ky, kx, channel % from_group, k])
    return weights


def events_of(shape: Shape) -> list[Place]:
    return [tuple(map(int, index)) for index in np.ndindex(shape.height, shape.width, shape.channels)]


def check_walks(placement: Placement) -> None:
    """Every event of every connection reaches just its neurons, each once and with its weight, in its cycles."""
    network = placement.network
    core = Core(encode(placement), placement.config)
    used: set[int] = set()
    for number, (index, connection) in enumerate(network.walks()):
        layer, layout = network.layers[index], placement.layers[index].layout
        source = network.shape_of(connection.source)
        neurons = {(word, lane): at for word, lane, at in core.neurons(index)}
        assert sorted(neurons.values()) == events_of(layer.shape)
        words = {word for word, _ in neurons}
        assert words == set(range(placement.layers[index].potential_base, min(words) + layout.words))
        lengths = walk_lengths(connection, source, layout)
        mine: set[int] = set()
        for event, length in zip(events_of(source), lengths, strict=True):
            wanted = reached(connection, source, layer.shape, event)
            operations = core.walk(index, number, event)
            assert max(1, len(operations)) == length
            assert len({word for word, _ in operations}) == len(operations)
            got = {}
            for word, synapse in operations:
                assert word in words
                mine.add(synapse)
                for lane, weight in enumerate(core.weights(synapse)):
                    at = neurons.get((word, lane))
                    if at in wanted:
                        got[at] = weight
                    elif at is not None:
                        assert weight == 0
            assert got == wanted
        assert not mine & used  # no other connection has these words
        used |= mine
        where = placement.connections[number]
        assert mine <= set(range(where.synapse_base, where.synapse_base + where.walk.synapse_words))


@settings(max_examples=150, deadline=None)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 20))
def test_every_event_of_random_networks_reaches_its_neurons(draw, lanes):
    network = random_graph(np.random.default_rng(draw), max_size=6, max_channels=5)
    check_walks(place(network, fit(network, lanes)))


def single(source: Shape, target: Shape, synapses: Synapses, pool: Pair = (1, 1)) -> Network:
    """A network of one layer, so that no layout of it is refused for the order of its events."""
    layer = Layer(name="out", shape=target, threshold=1, connections=(Connection(INPUT, synapses, pool),))
    return Network(name="n", input=source, layers=(layer,), decision=Decision.NONE)


def layouts_of(shape: Shape, lanes: int) -> Iterator[tuple[int, int]]:
    """Every layout that a core can have: more than one column only with a divisor of the channels."""
    for channels in range(1, min(lanes, shape.channels) + 1):
        whole = shape.channels % channels == 0
        for columns in range(1, (min(shape.width, lanes // channels) if whole else 1) + 1):
            yield channels, columns


def some(*shape: int) -> np.ndarray:
    """Weights that differ from each other as long as 8 bits last, none of them 0."""
    values = np.arange(np.prod(shape)) * 37 % 255 - 127
    return np.where(values == 0, -128, values).reshape(shape)


CASES: dict[str, tuple[Shape, Shape, Synapses, Pair]] = {
    "dense, flat": (Shape(5), Shape(7), Dense(some(5, 7)), (1, 1)),
    "dense, from a grid": (Shape(2, 3, 2), Shape(5), Dense(some(12, 5)), (1, 1)),
    "dense, to a grid": (Shape(3), Shape(2, 2, 5), Dense(some(3, 20)), (1, 1)),
    "dense, pooled with a rest": (Shape(2, 5, 4), Shape(3), Dense(some(4, 3)), (2, 3)),
    "dense, global pool": (Shape(4, 3, 3), Shape(6), Dense(some(4, 6)), (3, 3)),
    "one by one": (Shape(3, 2, 4), Shape(4, 2, 4), Convolution(some(1, 1, 3, 4)), (1, 1)),
    "on one place": (Shape(3), Shape(4), Convolution(some(1, 1, 3, 4)), (1, 1)),
    "square": (Shape(2, 5, 6), Shape(6, 3, 4), Convolution(some(3, 3, 2, 6)), (1, 1)),
    "square, padded": (Shape(2, 4, 5), Shape(4, 4, 5), Convolution(some(3, 3, 2, 4), padding=(1, 1)), (1, 1)),
    "flat kernel": (Shape(1, 4, 7), Shape(3, 4, 3), Convolution(some(1, 5, 1, 3)), (1, 1)),
    "tall kernel": (
        Shape(1, 7, 3),
        Shape(2, 2, 3),
        Convolution(some(7, 1, 1, 2), padding=(1, 0), stride=(2, 1)),
        (1, 1),
    ),
    "stride": (Shape(2, 7, 9), Shape(3, 3, 4), Convolution(some(3, 3, 2, 3), stride=(2, 2)), (1, 1)),
    "stride beyond the kernel": (Shape(2, 5, 9), Shape(4, 2, 3), Convolution(some(2, 1, 2, 4), (3, 4)), (1, 1)),
    "padding as wide as can be": (
        Shape(1, 2, 3),
        Shape(2, 4, 5),
        Convolution(some(3, 3, 1, 2), padding=(2, 2)),
        (1, 1),
    ),
    "pooled with a rest": (Shape(2, 7, 8), Shape(4, 2, 2), Convolution(some(2, 3, 2, 4), padding=(0, 1)), (2, 3)),
    "two groups": (Shape(4, 3, 4), Shape(6, 2, 3), Convolution(some(2, 2, 2, 6), groups=2), (1, 1)),
    "three groups": (Shape(3, 2, 3), Shape(6, 1, 2), Convolution(some(2, 2, 1, 6), groups=3), (1, 1)),
    "depthwise": (Shape(5, 3, 4), Shape(5, 3, 4), Convolution(some(3, 3, 1, 5), padding=(1, 1), groups=5), (1, 1)),
    "identity": (Shape(5, 2, 3), Shape(5, 2, 3), Convolution(some(1, 1, 1, 5), groups=5), (1, 1)),
    "transposed": (Shape(2, 2, 3), Shape(4, 4, 5), TransposedConvolution(some(3, 3, 2, 4)), (1, 1)),
    "transposed, stride": (Shape(2, 2, 3), Shape(3, 4, 6), TransposedConvolution(some(2, 2, 2, 3), (2, 2)), (1, 1)),
    "transposed, gaps": (Shape(1, 2, 3), Shape(2, 4, 7), TransposedConvolution(some(1, 1, 1, 2), (3, 3)), (1, 1)),
    "transposed, padded": (
        Shape(2, 3, 3),
        Shape(4, 6, 5),
        TransposedConvolution(some(3, 3, 1, 4), (2, 2), (1, 1), 2, (1, 0)),
        (1, 1),
    ),
    "transposed, pooled": (Shape(1, 5, 4), Shape(2, 4, 4), TransposedConvolution(some(2, 2, 1, 2), (2, 2)), (2, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_connection_in_every_layout(name):
    source, target, synapses, pool = CASES[name]
    network = single(source, target, synapses, pool)
    tried = 0
    for lanes in (1, 2, 3, 4, 7, 12):
        for layout in layouts_of(target, lanes):
            layouts = {"out": layout}
            placement = place(network, fit(network, lanes, layouts=layouts), layouts)
            assert (placement.layers[0].layout.channels, placement.layers[0].layout.columns) == layout
            check_walks(placement)
            tried += 1
    assert tried >= 6


def test_walks_wherever_connections_lie():
    """Behind others, in memories whose sizes are no powers of two, where steps back wrap around."""
    synapses = Convolution(some(3, 3, 2, 2), padding=(1, 1))
    layers: list[Layer] = []
    for index in range(3):
        source = layers[-1].name if layers else INPUT
        layers.append(
            Layer(name=f"layer{index}", shape=Shape(2, 3, 4), threshold=1, connections=(Connection(source, synapses),))
        )
    network = Network(name="n", input=Shape(2, 3, 4), layers=tuple(layers), decision=Decision.NONE)
    for spare in (0, 1, 77):
        fitted = fit(network, 3)
        sizes = {name: getattr(fitted, name) + spare for name in ("synapse_words", "potential_words")}
        check_walks(place(network, fit(network, 3, **sizes)))


# By number


def entries(table: tuple[Entry, ...] | None) -> list[tuple[int, int, int]]:
    return [(entry.synapse, entry.potential, entry.count) for entry in table or ()]


def test_the_tables_of_a_convolution_with_lanes_over_channels():
    """3x3 with padding 1 on 4x4 places: 2 channels to 3, which are 2 words of 2 lanes."""
    connection = Connection(INPUT, Convolution(some(3, 3, 2, 3), padding=(1, 1)))
    walk = walk_of(connection, Shape(2, 4, 4), Layout(Shape(3, 4, 4), 2, 2, 1))
    # A tap is 2 words of 2 events each. Of row 0 the first target is 0, which sees kernel row 1.
    assert entries(walk.rows) == [(12, 0, 2), (24, 0, 3), (24, 8, 3), (24, 16, 2)]
    assert entries(walk.columns) == [(4, 0, 2), (8, 0, 3), (8, 2, 3), (8, 4, 2)]
    assert walk.channels is None
    assert (walk.words, walk.synapse_words) == (2, 36)
    assert (walk.column_step, walk.row_step) == (1, 8)
    assert (walk.synapse_step, walk.synapse_column_step, walk.synapse_row_step) == (2, -6, -12)


def test_the_tables_of_a_convolution_with_lanes_over_columns_too():
    """The same with two columns in a word: a kernel 4 places wide, and twice the stride."""
    connection = Connection(INPUT, Convolution(some(3, 3, 2, 3), padding=(1, 1)))
    walk = walk_of(connection, Shape(2, 4, 4), Layout(Shape(3, 4, 4), 6, 3, 2))
    assert entries(walk.rows) == [(8, 0, 2), (16, 0, 3), (16, 2, 3), (16, 4, 2)]
    assert entries(walk.columns) == [(2, 0, 1), (4, 0, 2), (6, 0, 2), (4, 1, 1)]
    assert (walk.words, walk.synapse_words) == (1, 24)
    assert (walk.column_step, walk.row_step) == (1, 2)
    assert (walk.synapse_step, walk.synapse_column_step, walk.synapse_row_step) == (2, -4, -8)


def test_the_tables_of_a_transposed_convolution():
    """2x2 with stride 2 from 2x3 to 4x6 places, 1 channel to 2: three columns in a word, a kernel 4 places wide."""
    connection = Connection(INPUT, TransposedConvolution(some(2, 2, 1, 2), stride=(2, 2)))
    walk = walk_of(connection, Shape(1, 2, 3), Layout(Shape(2, 4, 6), 6, 2, 3))
    assert entries(walk.rows) == [(0, 0, 2), (0, 4, 2)]
    # Columns 0 and 1; 2 and 3, of which 3 is in the second word; 4 and 5.
    assert entries(walk.columns) == [(2, 0, 1), (0, 0, 2), (1, 1, 1)]
    assert (walk.words, walk.synapse_words) == (1, 8)
    assert (walk.column_step, walk.row_step) == (1, 2)
    assert (walk.synapse_step, walk.synapse_column_step, walk.synapse_row_step) == (1, 3, 4)


def test_the_channel_table_of_groups():
    """Three groups of two channels, three to a word: the middle one lies in both words, the last walks both too."""
    connection = Connection(INPUT, Convolution(some(1, 1, 1, 6), groups=3))
    walk = walk_of(connection, Shape(3, 1, 2), Layout(Shape(6, 1, 2), 3, 3, 1))
    assert (walk.words, walk.column_step) == (2, 1)
    assert entries(walk.channels) == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    # One to a word: each group has two words of its own.
    walk = walk_of(connection, Shape(3, 1, 2), Layout(Shape(6, 1, 2), 3, 1, 1))
    assert (walk.words, walk.column_step) == (2, 5)
    assert entries(walk.channels) == [(0, 0, 0), (1, 2, 0), (2, 4, 0)]


def test_the_tables_of_a_dense_connection_from_a_pooled_grid():
    """5x4 places of 2 channels, pooled by 2x3, are 2x1 places; a fifth row and a fourth column are left over."""
    connection = Connection(INPUT, Dense(some(4, 3)), (2, 3))
    walk = walk_of(connection, Shape(2, 5, 4), Layout(Shape(3), 2, 2, 1))
    assert entries(walk.rows) == [(0, 0, 1), (0, 0, 1), (2, 0, 1), (2, 0, 1), (0, 0, 0)]
    assert entries(walk.columns) == [(0, 0, 1), (0, 0, 1), (0, 0, 1), (0, 0, 0)]
    assert (walk.words, walk.synapse_words, walk.synapse_step) == (2, 8, 4)


@pytest.mark.parametrize(
    ("kind", "stride", "after", "most"),
    [(Convolution, 1, 70, 31), (Convolution, 2, 35, 16), (TransposedConvolution, 2, 229, 31)],
)
def test_no_count_is_longer_than_a_kernel(kind, stride, after, most):
    """So that all fit in their bits, whatever the grid."""
    synapses = kind(some(1, 31, 1, 1), stride=(1, stride))
    walk = walk_of(Connection(INPUT, synapses), Shape(1, 1, 100), Layout(Shape(1, 1, after), 1, 1, 1))
    assert max(entry.count for entry in walk.columns) == most
