"""Memory images: every bit against `bitstring`, and back to the same network."""

import dataclasses
import itertools
import re
from typing import Any

import numpy as np
import pytest
from bitstring import BitArray, Bits
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.gen.image import REGISTER_NAMES, Images, bus_writes, decode, encode, image_writes, memory_init
from hillock.gen.mapping import Placement, fit, place
from hillock.gen.packing import MemoryImage
from hillock.gen.skeleton import Skeleton
from hillock.hw.problems import HillockError
from hillock.hw.registers import LAYER_RECORD, REGISTERS, field_width
from hillock.sim import golden
from hillock.sim.network import (
    INPUT,
    Connection,
    Convolution,
    Decision,
    Dense,
    Layer,
    LeakOrder,
    Network,
    ResetMode,
    Shape,
    TransposedConvolution,
)
from random_networks import random_graph, random_input, random_network
from walk_interpreter import Core

ODD_LANES = (1, 3, 5, 7, 11, 13)


def network(rng: np.random.Generator, weight_bits: int, *, sizes=(4, 9, 6), **changes) -> Network:
    """A chain with weights and currents from the whole of their ranges, both ends included."""

    def values(bits: int, *shape: int) -> np.ndarray:
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        drawn = rng.integers(low, high, shape, endpoint=True)
        drawn.flat[0], drawn.flat[-1] = low, high
        return drawn

    layers = []
    source = INPUT
    for index, (inputs, neurons) in enumerate(itertools.pairwise(sizes)):
        layers.append(
            Layer(
                name=f"layer{index}",
                shape=Shape(neurons),
                threshold=100 + index,
                connections=(Connection(source, Dense(values(weight_bits, inputs, neurons))),),
                currents=values(11, neurons) if index else None,
                leak_shift=index,
                preload=-5 - index,
                reset_mode=ResetMode.TO_VALUE if index else ResetMode.SUBTRACT,
                reset_amount=-7 if index else 9,
                leak_order=LeakOrder.LEAK_THEN_RESET if index else LeakOrder.RESET_THEN_LEAK,
            )
        )
        source = layers[-1].name
    given_values: dict[str, Any] = {"potential_bits": 21, "fraction_bits": 2, "timesteps": 300, "delay": 2}
    return Network(
        name="n", input=Shape(sizes[0]), layers=tuple(layers), weight_bits=weight_bits, **(given_values | changes)
    )


def grids() -> Network:
    """Four layers: grids of 4 channels on 2x3 places, the last of which hears two of those before it."""
    grid, rng = Shape(4, 2, 3), np.random.default_rng(1)
    kernel = Convolution(rng.integers(-8, 8, (1, 3, 2, 4)), padding=(0, 1), groups=2)
    back = TransposedConvolution(rng.integers(-8, 8, (2, 1, 4, 2)), stride=(2, 1))
    mode: dict[str, Any] = {"reset_mode": ResetMode.EVERY_TIMESTEP, "threshold": 16}
    layers = (
        Layer(name="a", shape=grid, connections=(Connection(INPUT, kernel),), currents=np.arange(4) - 1, **mode),
        Layer(name="b", shape=grid, connections=(Connection("a", kernel),), threshold=9, currents=np.arange(24)),
        Layer(name="c", shape=Shape(2, 2, 3), connections=(Connection("b", back, (2, 1)),), threshold=9),
        Layer(
            name="d",
            shape=Shape(3),
            connections=(
                Connection("c", Dense(rng.integers(-8, 8, (12, 3)))),
                Connection("a", Dense(rng.integers(-8, 8, (4, 3))), (2, 3)),
            ),
            threshold=9,
        ),
    )
    return Network(name="n", input=grid, layers=layers, weight_bits=4, timesteps=3)


GRID_LAYOUTS = {"a": (2, 2), "b": (4, 1), "c": (2, 2)}


def placed_grids() -> Placement:
    return place(grids(), fit(grids(), 4, layouts=GRID_LAYOUTS), GRID_LAYOUTS)


def placed(net: Network, lanes: int, **sizes: Any) -> Placement:
    return place(net, fit(net, lanes, **sizes))


def packed(values: list[int], width: int) -> bytes:
    """One memory word, built by bitstring: it writes the most significant bit first, so lane 0 comes last.

    The bytes of the image are little-endian, padded to whole 32-bit slices.
    """
    word = Bits().join(Bits(int=value, length=width) for value in reversed(values))
    padding = -len(word) % 32
    return bytes((Bits.from_zeros(padding) + word).bytes[::-1])


# Words of weights and currents


@pytest.mark.parametrize("lanes", ODD_LANES)
@pytest.mark.parametrize("weight_bits", range(4, 17))
def test_every_synapse_word_is_what_bitstring_makes_of_its_weights(weight_bits, lanes, seed):
    net = network(np.random.default_rng(seed), weight_bits)
    synapses = encode(placed(net, lanes))["synapses"]
    wanted = []
    for part in net.layers:
        weights = part.connections[0].synapses.weights
        # All events of the layer's first potential word, then of its second, and so on; lanes beyond the last: 0.
        for word in range(-(-part.neurons // lanes)):
            for pre in range(len(weights)):
                neurons = range(word * lanes, (word + 1) * lanes)
                lane_values = [int(weights[pre, n]) if n < part.neurons else 0 for n in neurons]
                wanted.append(packed(lane_values, weight_bits))
    assert synapses.bits == lanes * weight_bits
    assert [row.tobytes() for row in synapses.data] == wanted
    # And as integers.
    assert synapses.words() == [Bits(row[::-1]).uint for row in wanted]


@pytest.mark.parametrize("lanes", ODD_LANES)
@pytest.mark.parametrize("current_bits", [11, 12, 17, 21])
def test_every_current_word_is_what_bitstring_makes_of_its_currents(current_bits, lanes, seed):
    net = network(np.random.default_rng(seed), 8, sizes=(4, 9, 6, 7))
    memory = encode(placed(net, lanes, current_bits=current_bits))["currents"]
    wanted = [packed([0] * lanes, current_bits)]  # of the first layer, which has none
    for part in net.layers[1:]:
        assert part.currents is not None
        currents = [*part.currents.tolist(), *[0] * (-part.neurons % lanes)]
        wanted += [packed(currents[at : at + lanes], current_bits) for at in range(0, len(currents), lanes)]
    assert memory.bits == lanes * current_bits
    assert [row.tobytes() for row in memory.data] == wanted


def test_the_example_of_the_documentation_byte_by_byte():
    connection = Connection(INPUT, Dense(np.array([[3, -1]])))
    out = Layer(name="out", shape=Shape(2), threshold=1, connections=(connection,))
    synapses = encode(placed(Network(name="n", input=Shape(1), layers=(out,)), 2))["synapses"]
    assert synapses.data.tobytes() == bytes.fromhex("03 ff 00 00")
    assert synapses.words() == [0xFF03]
    assert synapses.bits == 16


def test_a_word_wider_than_a_slice_byte_by_byte():
    # Five lanes of 8 bits: 40 bits in two slices; the second is the highest lane and padding.
    connection = Connection(INPUT, Dense(np.array([[1, 2, 3, 4, -128], [5, 6, 7, 8, 127]])))
    out = Layer(name="out", shape=Shape(5), threshold=1, connections=(connection,))
    synapses = encode(placed(Network(name="n", input=Shape(2), layers=(out,)), 5))["synapses"]
    assert synapses.data.tobytes() == bytes.fromhex("01 02 03 04  80 00 00 00    05 06 07 08  7f 00 00 00")


def test_values_of_an_odd_width_byte_by_byte():
    # Three lanes of 5 bits: -16 = 10000, 15 = 01111, -1 = 11111; lane 0 lowest: 11111 01111 10000 = 0x7df0.
    connection = Connection(INPUT, Dense(np.array([[-16, 15, -1]])))
    layer = Layer(name="out", shape=Shape(3), threshold=1, connections=(connection,))
    images = encode(placed(Network(name="n", input=Shape(1), layers=(layer,), weight_bits=5), 3))
    assert images["synapses"].data.tobytes() == bytes.fromhex("f0 7d 00 00")


def test_the_synapse_words_of_a_convolution_byte_by_byte():
    """A kernel of 1x2, 2 channels to 2, on 4 lanes: with two columns in a word it is 3 places wide."""
    weights = np.array([[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]])  # kx, c, k
    out = Layer(name="out", shape=Shape(2, 1, 3), threshold=1, connections=(Connection(INPUT, Convolution(weights)),))
    net = Network(name="n", input=Shape(2, 1, 4), layers=(out,), decision=Decision.NONE)
    for layout, words in (
        # Place r, then the channel it comes from; column 0 sees kernel column r, column 1 sees r - 1.
        ((2, 2), "01020000 03040000  05060102 07080304  00000506 00000708"),
        ((2, 1), "01020000 03040000  05060000 07080000"),
        # Words of one channel: place r, word of the tap, channel.
        (
            (1, 2),
            "01000000 03000000 02000000 04000000  05010000 07030000 06020000 08040000"
            "00050000 00070000 00060000 00080000",
        ),
    ):
        layouts = {"out": layout}
        images = encode(place(net, fit(net, 4, layouts=layouts), layouts))
        assert images["synapses"].data.tobytes() == bytes.fromhex(words)


@settings(max_examples=60, deadline=None)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 20))
def test_every_neuron_finds_its_current(draw, lanes):
    net = random_graph(np.random.default_rng(draw))
    placement = placed(net, lanes)
    core = Core(encode(placement), placement.config)
    for index, (part, where) in enumerate(zip(net.layers, placement.layers, strict=True)):
        for word, lane, (y, x, channel) in core.neurons(index):
            current = 0
            if part.currents is not None:
                at = channel if len(part.currents) == part.shape.channels else (y * part.shape.width + x)
                at = at if len(part.currents) == part.shape.channels else at * part.shape.channels + channel
                current = part.currents[at]
            number = word - where.potential_base
            if part.static:  # what it is added to; what it becomes is not there yet
                assert core.load(index, number)[lane] == current
                current = 0
            assert core.current(index, number)[lane] == current


# Records, tables and registers

# The fields of the records of `network`, from the network and its place alone.
RECORDS = [
    {
        "potential_base": 0,
        "current_base": 0,
        "current_step": 0,
        "channel_words": 2,
        "change": 3,
        "column_words": 1,
        "rows": 1,
        "channels": 7,
        "columns": 1,
        "used_lanes": 7,
        "end_lanes": 2,
        "threshold": 100,
        "preload": -5,
        "reset_amount": 9,
        "leak_shift": 0,
        "reset_to_value": 0,
        "reset_always": 0,
        "leak_first": 0,
        "fires": 1,
        "graded": 0,
        "end_is_column": 0,
        "is_output": 0,
        "feeds_next": 1,
        "is_kept": 0,
        "connections": 1,
        "replay_base": 0,
        "load_base": 0,
    },
    {
        "potential_base": 2,
        "current_base": 1,
        "current_step": 1,
        "channel_words": 1,
        "change": 3,
        "column_words": 1,
        "rows": 1,
        "channels": 6,
        "columns": 1,
        "used_lanes": 6,
        "end_lanes": 6,
        "threshold": 101,
        "preload": -6,
        "reset_amount": -7,
        "leak_shift": 1,
        "reset_to_value": 1,
        "reset_always": 0,
        "leak_first": 1,
        "fires": 1,
        "graded": 0,
        "end_is_column": 0,
        "is_output": 1,
        "feeds_next": 0,
        "is_kept": 0,
        "connections": 1,
        "replay_base": 0,
        "load_base": 0,
    },
]


def test_every_layer_record_is_what_bitstring_makes_of_the_register_table(seed):
    placement = placed(network(np.random.default_rng(seed), 8), 7)
    layers = encode(placement)["layers"]
    assert layers.bits == 320
    rows = []
    for values in RECORDS:
        slices = [BitArray.from_zeros(32) for _ in range(10)]
        for position, field in LAYER_RECORD:
            width, value = field_width(field, placement.config), values[field.name]
            bits = Bits(int=value, length=width) if field.signed else Bits(uint=value, length=width)
            slices[position].overwrite(32 - field.low - width, bits)  # bitstring counts from the highest bit
        rows.append(b"".join(part.bytes[::-1] for part in slices))
        assert {field.name for _, field in LAYER_RECORD} == values.keys()
    assert [row.tobytes() for row in layers.data] == rows


def test_a_layer_record_byte_by_byte(seed):
    """The second one above, without the register table: so that the table itself is held."""
    images = encode(placed(network(np.random.default_rng(seed), 8), 7))
    assert images["layers"].data[1].view("<u4").tolist() == [
        2,
        1 << 24 | 1,  # current by channel word, from word 1
        3 << 24 | 1,  # cycles of a change, channel words
        1 << 16 | 1,  # rows, words of a row
        6 << 24 | 6 << 16 | 1 << 8 | 6,  # lanes of the last word, of others, columns, channels
        101,
        (1 << 21) - 6,  # two's complement in potential_bits
        (1 << 21) - 7,
        # one connection, output, fires, leak first, to value, shift
        1 << 20 | 1 << 14 | 1 << 11 | 1 << 10 | 1 << 8 | 1,
        0,
    ]


def test_the_records_of_grids_by_number():
    images = encode(placed_grids())
    layers, connections = (images[name].data.view("<u4").tolist() for name in ("layers", "connections"))
    # a: words of 2 channels and 2 columns: 2 channel words, 2 words a row of 3 places, the last with one of them.
    # It resets always, to a value, feeds b, and is kept for d. Its current: 2 words for the channels.
    flags = 1 << 20 | 1 << 16 | 1 << 15 | 1 << 13 | 1 << 11 | 1 << 9 | 1 << 8
    lanes = 2 << 24 | 4 << 16 | 2 << 8 | 2
    assert layers[0] == [0, 1 << 24, 3 << 24 | 2, 2 << 16 | 2, lanes, 16, 0, 0, flags, 0]
    # b: 4 channels in a word, one for each of 6 places, each with its own current. It feeds c.
    flags, lanes = 1 << 20 | 1 << 15 | 1 << 11, 4 << 24 | 4 << 16 | 1 << 8 | 4
    assert layers[1] == [8, 2 << 24 | 2, 3 << 24 | 1, 2 << 16 | 3, lanes, 9, 0, 0, flags, 0]
    # From b to c, a kernel of 2x1 and two columns in a word: 2 * 2 * 4 words behind 1 * 4 * 4 and 1 * 3 * 4. Rows lie
    # behind two tables of 2, columns behind two of 3. To the next column word: two places of the kernel on.
    assert connections[2] == [28, 1, 4 | 6 << 16, 0, 1 << 16, 1, 2, 4, 8, 8]
    # From a to d, pooled to one place, from the replay memory: 4 words behind 12 of the connection from c.
    assert connections[4] == [56, 1 << 25 | 1, 8 | 12 << 16, 0, 0, 0, 0, 4, 0, 0]


@pytest.mark.parametrize(
    ("sizes", "leak_shift", "spare", "change"),
    [
        ((5, 3), 0, {}, 2),
        ((5, 3), 2, {}, 3),
        ((5, 3), 0, {"max_connections": 2}, 3),
        ((5, 3), 2, {"potential_words": 2}, 5),
        ((5, 7), 2, {}, 4),
        ((5, 99), 2, {}, 3),
        ((5, 4, 3), 2, {}, 3),
    ],
)
def test_cycles_of_a_change(sizes, leak_shift, spare, change, seed):
    """A layer alone may begin again with the word that its pass began with; a core of one word has that at hand."""
    net = network(np.random.default_rng(seed), 8, sizes=sizes)
    layers = [dataclasses.replace(part, leak_shift=leak_shift) for part in net.layers]
    net = dataclasses.replace(net, layers=tuple(layers))
    placement = placed(net, 4, **spare)
    assert [record["change"] for record in Core(encode(placement), placement.config).layers] == [change] * len(layers)


@settings(max_examples=60, deadline=None)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 20))
def test_records_say_what_the_placement_says(draw, lanes):
    """Read with `walk_interpreter`, which has its own way to the fields."""
    net = random_graph(np.random.default_rng(draw))
    placement = placed(net, lanes)
    core = Core(encode(placement), placement.config)
    first = 0
    for index, (part, where, record) in enumerate(zip(net.layers, placement.layers, core.layers, strict=True)):
        assert (record["threshold"], record["preload"], record["reset_amount"], record["leak_shift"]) == (
            part.threshold,
            part.preload,
            part.reset_amount,
            part.leak_shift,
        )
        assert (record["reset_to_value"], record["reset_always"]) == {
            ResetMode.SUBTRACT: (0, 0),
            ResetMode.TO_VALUE: (1, 0),
            ResetMode.EVERY_TIMESTEP: (1, 1),
        }[part.reset_mode]
        assert record["leak_first"] == (part.leak_order is LeakOrder.LEAK_THEN_RESET)
        assert (record["fires"], record["graded"]) == (part.fires, part.graded)
        assert record["is_output"] == (index == len(net.layers) - 1)
        assert (record["feeds_next"], record["is_kept"]) == (where.feeds_next, where.replay_base is not None)
        assert record["replay_base"] == (where.replay_base or 0)
        assert record["load_base"] == (where.load_base or 0)
        assert record["connections"] == len(part.connections)
        for connection, at in zip(part.connections, core.connections[first:], strict=False):
            assert at["is_static"] == connection.static
            assert at["from_input"] == (connection.source == INPUT)
            if connection.source != INPUT:
                source = net.layers[at["source_layer"]]
                assert source.name == connection.source
                assert not at["from_replay"] or at["replay_base"] == core.layers[at["source_layer"]]["replay_base"]
        first += len(part.connections)
    assert first == len(core.connections)


def test_the_lane_table():
    """Four lanes: columns and channels of words of (2, 2); (4, 1); and (3, 1), whose last lane is no neuron."""
    images = encode(placed_grids())
    table = [(word & 0xFF, word >> 8) for word in images["lanes"].words()]
    assert table == [
        *[(0, 0), (1, 0), (0, 1), (1, 1)],
        *[(0, 0), (1, 0), (2, 0), (3, 0)],
        *[(0, 0), (1, 0), (0, 1), (1, 1)],
        *[(0, 0), (1, 0), (2, 0), (0, 0)],
    ]
    # Three lanes: the table has four entries for each layer all the same.
    shape = Shape(1, 1, 3)
    net = Network(
        name="n",
        input=shape,
        layers=(Layer(name="a", shape=shape, threshold=255, current_from_image=True),),
        decision=Decision.NONE,
    )
    assert encode(placed(net, 3))["lanes"].words() == [0, 1 << 8, 2 << 8, 0]


def settings_of(images: Images) -> dict[str, int]:
    return dict(zip(REGISTER_NAMES, images["registers"].words(), strict=True))


@pytest.mark.parametrize("decision", list(Decision))
def test_registers_of_a_network_of_events(decision, seed):
    net = network(np.random.default_rng(seed), 8)
    last = dataclasses.replace(net.layers[-1], fires=decision is not Decision.POTENTIAL)
    net = dataclasses.replace(net, layers=(*net.layers[:-1], last), decision=decision)
    images = encode(placed(net, 4))
    wanted = {
        "layers": 2,
        "input_mode": 0,
        "input_channels": 4,
        "input_grid": 1 << 16 | 1,
        "timesteps": 300,
        "delay": 2,
        "decision_mode": {Decision.COUNT: 0, Decision.POTENTIAL: 1, Decision.NONE: 2}[decision],
        "outputs": 0 if decision is Decision.NONE else 6,
        "image_words": 0,
    }
    assert settings_of(images) == wanted
    assert images["registers"].bits == 32
    assert images["registers"].data.view("<u4").reshape(-1).tolist() == list(wanted.values())


def test_registers_of_grids_and_of_static_input():
    assert settings_of(encode(placed_grids())) == {
        "layers": 4,
        "input_mode": 0,
        "input_channels": 4,
        "input_grid": 2 << 16 | 3,
        "timesteps": 3,
        "delay": 0,
        "decision_mode": 0,
        "outputs": 3,
        "image_words": 0,
    }
    net = grids()
    held = dataclasses.replace(net.layers[0].connections[0], static=True)
    first = dataclasses.replace(net.layers[0], connections=(held,))
    net = dataclasses.replace(net, layers=(first, *net.layers[1:]))
    assert settings_of(encode(placed(net, 4)))["input_mode"] == 2


def image_network(rng: np.random.Generator) -> Network:
    rate = Layer(name="rate", shape=Shape(5), threshold=255, reset_amount=255, preload=128, current_from_image=True)
    weights = Dense(rng.integers(-8, 8, (5, 3)))
    last = Layer(name="out", shape=Shape(3), threshold=9, connections=(Connection("rate", weights),))
    return Network(name="n", input=Shape(5), layers=(rate, last), weight_bits=4, timesteps=6)


def test_images_of_a_network_that_takes_images(seed):
    images = encode(placed(image_network(np.random.default_rng(seed)), 3))
    settings = settings_of(images)
    assert (settings["input_mode"], settings["input_channels"], settings["input_grid"]) == (1, 5, 1 << 16 | 1)
    records = images["layers"].data.view("<u4")
    assert (records[:, 8] >> 20).tolist() == [0, 1]  # connections
    assert records[:, 0].tolist() == [0, 2]  # potential words: 2 for the encoder, then 1
    assert records[:, 1].tolist() == [2 << 24 | 0, 2]  # the image, one word of zeros behind it
    assert images["connections"].data[0].view("<u4")[0] == 0  # an encoder has no synapses
    assert not images["currents"].data.any()
    assert len(images["currents"].data) == 3


def test_a_core_has_the_memories_that_it_needs(seed):
    assert list(encode(placed(network(np.random.default_rng(seed), 8), 4)).memories) == [
        *("layers", "connections", "synapses", "currents", "registers")
    ]
    everything = ["layers", "connections", "synapses", "currents", "rows", "columns", "channels", "lanes", "registers"]
    assert list(encode(placed_grids()).memories) == everything
    without = {"a": (4, 1), "c": (2, 1)}
    narrow = place(grids(), fit(grids(), 4, layouts=without), without)
    assert list(encode(narrow).memories) == [name for name in everything if name != "lanes"]


# On the bus


def test_bus_writes_load_every_slice_of_every_word_in_order():
    """Every memory there is: records of 10 slices, table entries of 2, lanes and words of weights of 1."""
    placement = placed_grids()
    images, config = encode(placement), placement.config
    assert config.part_bits == 4
    regions = {"layers": 1, "connections": 2, "synapses": 3, "currents": 4, "rows": 7, "columns": 8, "channels": 9}
    wanted = []
    for name, number in (regions | {"lanes": 10}).items():
        for index, word in enumerate(images[name].words()):
            for part in range(-(-images[name].bits // 32)):
                wanted.append((number << 22 | index << 4 | part, word >> (32 * part) & 0xFFFFFFFF))
    # Registers layers, input_mode, input_channels, input_grid, timesteps, delay, decision_mode, outputs,
    # image_words.
    wanted += list(zip((7, 8, 9, 10, 11, 12, 13, 14, 16), images["registers"].words(), strict=True))
    writes = bus_writes(images, config)
    assert writes.dtype == np.uint32
    assert writes.tolist() == [list(pair) for pair in wanted]
    assert len(writes) == 10 * (4 + 5) + sum(
        len(images[name].data) * slices
        for name, slices in (
            ("synapses", 1),
            ("currents", 1),
            ("rows", 2),
            ("columns", 2),
            ("channels", 2),
            ("lanes", 1),
        )
    ) + len(REGISTER_NAMES)


def test_addresses_of_a_core_of_many_lanes(seed):
    """More than 16 lanes need more bits for the part of an address."""
    placement = placed(network(np.random.default_rng(seed), 8, sizes=(4, 18, 6)), 17)
    images, config = encode(placement), placement.config
    assert config.part_bits == 5
    addresses = bus_writes(images, config)[:, 0].tolist()
    assert addresses[:21] == [1 << 22 | part for part in range(10)] + [1 << 22 | 32 | part for part in range(10)] + [
        2 << 22
    ]
    synapses = [address for address in addresses if address >> 22 == 3]
    assert synapses[:6] == [3 << 22 | part for part in range(5)] + [3 << 22 | 32]  # 136 bits: five slices


def image_placement(shape: Shape, lanes: int, **sizes: int) -> Placement:
    first = Layer(name="image", shape=shape, threshold=255, reset_amount=255, current_from_image=True)
    return placed(Network(name="n", input=shape, layers=(first,), decision=Decision.NONE), lanes, **sizes)


def test_an_input_image_is_written_to_the_currents_of_the_first_layer():
    # 4 pixels on 3 lanes: 255 + 1 * 2^9 + 128 * 2^18 = 0x20002ff, and 7 with two empty lanes.
    writes = image_writes(np.array([255, 1, 128, 7]), image_placement(Shape(4), 3))
    assert writes.tolist() == [[4 << 22, 0x20002FF], [4 << 22 | 16, 7]]
    wanted = Bits(packed([255, 1, 128], 9)[::-1]).uint
    assert wanted == 0x20002FF


def test_the_second_of_two_images_lies_behind_the_first():
    placement = image_placement(Shape(4), 3, image_banks=2)
    pixels = np.array([255, 1, 128, 7])
    assert settings_of(encode(placement))["image_words"] == 2
    assert image_writes(pixels, placement, 1).tolist() == [[4 << 22 | 32, 0x20002FF], [4 << 22 | 48, 7]]
    assert np.array_equal(image_writes(pixels, placement, 0), image_writes(pixels, placement))


def test_an_input_image_of_places_is_written_by_their_layout():
    """2x5 pixels on 3 lanes: words of 3 and of 2 columns."""
    placement = image_placement(Shape(1, 2, 5), 3)
    assert placement.layers[0].layout.columns == 3
    pixels = np.arange(10) + 1
    rows = [packed(values, 9) for values in ([1, 2, 3], [4, 5, 0], [6, 7, 8], [9, 10, 0])]
    wanted = [[4 << 22 | index << 4, int.from_bytes(row, "little")] for index, row in enumerate(rows)]
    assert image_writes(pixels, placement).tolist() == wanted


def test_an_input_image_in_words_of_several_slices(seed):
    placement = image_placement(Shape(12), 5, current_bits=13)
    pixels = np.random.default_rng(seed).integers(0, 256, 12)
    rows = [packed([*pixels[at : at + 5], *[0] * max(0, at + 5 - 12)], 13) for at in (0, 5, 10)]
    wanted = [
        [4 << 22 | index << 4 | part, int.from_bytes(row[4 * part : 4 * part + 4], "little")]
        for index, row in enumerate(rows)
        for part in range(3)
    ]
    assert image_writes(pixels, placement).tolist() == wanted


def test_pixels_that_do_not_fit_in_a_current():
    text = "currents: values from 0 to 256 do not fit in 9 signed bits"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        image_writes(np.array([0, 256]), image_placement(Shape(2), 2))


def test_what_a_core_is_generated_with():
    images = encode(placed_grids())
    init = memory_init(images)
    for memory in images:
        words = [int.from_bytes(row.tobytes(), "little") for row in memory.data]
        given_words = init.registers.values() if memory.name == "registers" else getattr(init, memory.name)
        assert list(given_words) == words
    assert tuple(init.registers) == REGISTER_NAMES
    assert set(init.registers) <= {entry.name for entry in REGISTERS}


def test_what_a_core_without_tables_is_generated_with(seed):
    init = memory_init(encode(placed(network(np.random.default_rng(seed), 8), 5)))
    assert (init.rows, init.columns, init.channels, init.lanes) == ([], [], [], [])
    assert (len(init.layers), len(init.connections)) == (2, 2)


# And back


def back(images: Images, placement: Placement) -> Placement:
    return decode(images, placement.config, Skeleton.of(placement))


@settings(max_examples=120, deadline=None)
@given(
    draw=st.integers(0, 2**32 - 1),
    lanes=st.integers(1, 24),
    widths=st.sampled_from([(16, 4, 8), (10, 0, 2), (13, 3, 5), (32, 12, 16), (9, 1, 4)]),
    chain=st.booleans(),
)
def test_decode_is_the_inverse_of_encode(draw, lanes, widths, chain):
    potential_bits, fraction_bits, weight_bits = widths
    rng = np.random.default_rng(draw)
    make = random_network if chain else random_graph
    net = make(
        rng,
        potential_bits=potential_bits,
        fraction_bits=fraction_bits,
        weight_bits=weight_bits,
        current_bits=potential_bits,
    )
    placement = placed(net, lanes)
    again = back(encode(placement), placement)
    assert again.network.digest() == net.digest()
    assert (again.layers, again.connections, again.tables) == (
        placement.layers,
        placement.connections,
        placement.tables,
    )
    # And so the golden model can be run from the bytes.
    given_input = random_input(rng, net)
    wanted, got = golden.run(net, **given_input), golden.run(again.network, **given_input)
    assert got.decision == wanted.decision
    for one, other in zip(got.layers, wanted.layers, strict=True):
        assert np.array_equal(one.potentials, other.potentials)
        assert np.array_equal(one.spikes, other.spikes)
    # Encoded again, the bytes are the same.
    for memory, before in zip(encode(again), encode(placement), strict=True):
        assert memory.data.tobytes() == before.data.tobytes()


def test_layouts_that_were_chosen_are_kept():
    placement = placed_grids()
    again = back(encode(placement), placement)
    assert [(where.layout.channels, where.layout.columns) for where in again.layers] == [(2, 2), (4, 1), (2, 2), (3, 1)]


def test_currents_that_are_all_zero_are_no_currents(seed):
    net = network(np.random.default_rng(seed), 8)
    last = dataclasses.replace(net.layers[-1], currents=np.zeros(6, int))
    net = dataclasses.replace(net, layers=(*net.layers[:-1], last))
    placement = placed(net, 4)
    again = back(encode(placement), placement).network
    assert again.layers[-1].currents is None
    assert again.digest() == net.digest()


# Images that say no network


def refuses(images: Images, placement: Placement, text: str, skeleton: Skeleton | None = None) -> None:
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        decode(images, placement.config, skeleton or Skeleton.of(placement))


def nothing_else(memory: str, words: int, first: int) -> str:
    return f"{memory} must hold what they describe and nothing else: not so in {words} words, the first is {first}"


def cut(images: Images, name: str, words: int) -> Images:
    """The images with the first `words` of one memory."""
    memory = images[name]
    return Images({**images.memories, name: MemoryImage(name, memory.bits, memory.data[:words])})


@pytest.mark.parametrize(
    ("memory", "words", "left"),
    [
        ("layers", 4, 3),
        ("connections", 5, 0),
        ("synapses", 60, 51),
        ("currents", 9, 1),
        ("rows", 10, 5),
        ("lanes", 16, 15),
        ("registers", 9, 7),
    ],
)
def test_a_memory_that_is_too_short(memory, words, left):
    placement = placed_grids()
    images = cut(encode(placement), memory, left)
    refuses(images, placement, f"images of network 'n': {memory} must have {words} words, not {left}")


def test_images_without_a_memory():
    placement = placed_grids()
    images = encode(placement)
    names = "layers, connections, synapses, currents, rows, columns, channels, lanes, registers"
    fewer = Images({name: memory for name, memory in images.memories.items() if name != "lanes"})
    text = f"images of network 'n': there must be {names}, not {names.replace('lanes, ', '')}"
    refuses(fewer, placement, text)


def test_images_of_another_core():
    placement = placed_grids()
    other = dataclasses.replace(placement.config, weight_bits=5, current_bits=9)
    with pytest.raises(HillockError) as caught:
        decode(encode(placement), other, Skeleton.of(placement))
    assert str(caught.value) == (
        "images of network 'n': 2 problems\n"
        "  - a word of synapses must have 20 bits, not 16\n"
        "  - a word of currents must have 36 bits, not 24"
    )


def word(images: Images, memory: str, index: int, part: int) -> np.ndarray:
    """One slice of a memory word, as a number that can be changed in place."""
    return images[memory].data.view("<u4")[index, part : part + 1]


@pytest.mark.parametrize(
    ("memory", "index", "part", "change"),
    [
        ("layers", 0, 2, 1),  # channel words
        ("layers", 3, 0, 1),  # where potentials lie
        ("layers", 0, 8, 1 << 15),  # feeds_next
        ("layers", 2, 9, 3),  # replay_base of a layer that is not kept
        ("layers", 1, 3, 1 << 31),  # no field
        ("connections", 2, 6, 1),  # a step
        ("connections", 4, 4, 1 << 16),  # the source
        ("rows", 1, 0, 1),
        ("columns", 2, 1, 1 << 24),  # a count
        ("channels", 3, 1, 1),
        ("lanes", 2, 0, 1 << 8),
        ("synapses", 0, 0, 1 << 12),  # the second column at the edge of a wide kernel
        ("registers", 1, 0, 1),  # an image
        ("registers", 2, 0, 1),  # channels of the input
        ("registers", 7, 0, 1),  # outputs
        ("registers", 7, 0, 1 << 31),
    ],
)
def test_numbers_that_do_not_belong_together(memory, index, part, change):
    """Nothing that the core computes with is taken from elsewhere."""
    placement = placed_grids()
    images = encode(placement)
    word(images, memory, index, part)[:] ^= change
    refuses(images, placement, f"images of network 'n': {nothing_else(memory, 1, index)}")


def test_all_memories_that_are_wrong_are_reported_together():
    placement = placed_grids()
    images = encode(placement)
    for index in (1, 2):
        word(images, "layers", index, 0)[:] ^= 1
    word(images, "rows", 0, 0)[:] ^= 1
    refuses(
        images,
        placement,
        f"images of network 'n': 2 problems\n  - {nothing_else('layers', 2, 1)}\n  - {nothing_else('rows', 1, 0)}",
    )


def test_a_skeleton_of_another_network():
    placement = placed_grids()
    values = Skeleton.describe(placement)
    values["layers"][2]["connections"][0]["geometry"]["stride"] = [2, 2]
    text = "network 'n': layer 'c': the transposed convolution from 'b' gives 2x5 places, and the layer has 2x3: "
    with pytest.raises(HillockError, match=f"^{re.escape(text)}"):
        decode(encode(placement), placement.config, Skeleton.from_dict(values))
    # A kernel of 3x1 in the place of one of 1x3: as many synapse words, but not the same walks.
    values = Skeleton.describe(placement)
    connection = values["layers"][1]["connections"][0]
    connection["weights"], connection["geometry"]["padding"] = [3, 1, 2, 4], [1, 0]
    wrong = [("connections", 1, 1), ("rows", 2, 2), ("columns", 3, 3)]
    text = "images of network 'n': 3 problems" + "".join(f"\n  - {nothing_else(*memory)}" for memory in wrong)
    refuses(encode(placement), placement, text, Skeleton.from_dict(values))


def test_what_the_contract_refuses_is_refused_from_images_too(seed):
    placement = placed(network(np.random.default_rng(seed), 8), 7)
    images = encode(placement)
    word(images, "layers", 1, 5)[:] = 0
    refuses(
        images,
        placement,
        "network 'n': layer 'layer1': threshold must be from 1 to 1048575, not 0 (at 0 or less it fires without input; "
        "above, raise potential_bits)",
    )


def test_a_delay_as_long_as_the_inference(seed):
    placement = placed(network(np.random.default_rng(seed), 8), 7)
    images = encode(placement)
    word(images, "registers", REGISTER_NAMES.index("delay"), 0)[:] = 300
    refuses(
        images, placement, "network 'n': delay must be from 0 to timesteps - 1 = 299, not 300: nothing would be counted"
    )


def check_bits(placement: Placement, rng: np.random.Generator, most: int) -> None:
    """Each bit, turned over by itself, is refused or gives another network: padding and unused fields included."""
    images, skeleton, digest = encode(placement), Skeleton.of(placement), placement.network.digest()
    bits = [(memory, row, byte, bit) for memory in images for row, byte, bit in np.ndindex(*memory.data.shape, 8)]
    for at in rng.permutation(len(bits))[:most]:
        memory, row, byte, bit = bits[at]
        memory.data[row, byte] ^= 1 << bit
        try:
            got = decode(images, placement.config, skeleton).network.digest()
        except HillockError:
            got = "refused"
        assert got != digest, f"{memory.name}, word {row}, byte {byte}, bit {bit}"
        memory.data[row, byte] ^= 1 << bit
    assert decode(images, placement.config, skeleton).network.digest() == digest


def test_bits_of_images_matter(seed):
    rng = np.random.default_rng(seed)
    check_bits(placed_grids(), rng, 300)
    check_bits(placed(network(rng, 8), 7), rng, 300)


@pytest.mark.slow
def test_every_bit_of_every_image_matters(seed):
    rng = np.random.default_rng(seed)
    check_bits(placed_grids(), rng, 1 << 20)
    check_bits(placed(network(rng, 8), 7), rng, 1 << 20)
