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

from hillock.gen.image import REGISTER_NAMES, Images, MemoryImage, bus_writes, decode, encode, image_writes, memory_init
from hillock.gen.mapping import Placement, fit, place
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.hw.registers import LAYER_RECORD, REGISTERS, field_width
from hillock.sim import golden
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, LeakOrder, Network, ResetMode
from random_networks import random_input, random_network

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
                neurons=neurons,
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
    return Network(name="n", inputs=sizes[0], layers=tuple(layers), weight_bits=weight_bits, **(given_values | changes))


def placed(net: Network, lanes: int, **sizes: int) -> Placement:
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
    images = encode(placed(net, lanes))
    wanted = []
    for part in net.layers:
        weights = part.connections[0].synapses.weights
        # All events of the layer's first potential word, then of its second, and so on; lanes beyond the last: 0.
        for word in range(-(-part.neurons // lanes)):
            for pre in range(len(weights)):
                neurons = range(word * lanes, (word + 1) * lanes)
                lane_values = [int(weights[pre, n]) if n < part.neurons else 0 for n in neurons]
                wanted.append(packed(lane_values, weight_bits))
    assert images.synapses.bits == lanes * weight_bits
    assert [row.tobytes() for row in images.synapses.data] == wanted
    # And as integers.
    assert images.synapses.words() == [Bits(row[::-1]).uint for row in wanted]


@pytest.mark.parametrize("lanes", ODD_LANES)
@pytest.mark.parametrize("current_bits", [11, 12, 17, 21])
def test_every_current_word_is_what_bitstring_makes_of_its_currents(current_bits, lanes, seed):
    net = network(np.random.default_rng(seed), 8)
    images = encode(placed(net, lanes, current_bits=current_bits))
    wanted = []
    for part in net.layers:
        currents = [0] * part.neurons if part.currents is None else part.currents.tolist()
        currents += [0] * (-len(currents) % lanes)
        wanted += [packed(currents[at : at + lanes], current_bits) for at in range(0, len(currents), lanes)]
    assert images.currents.bits == lanes * current_bits
    assert [row.tobytes() for row in images.currents.data] == wanted


def test_the_example_of_the_documentation_byte_by_byte():
    connection = Connection(INPUT, Dense(np.array([[3, -1]])))
    net = Network(name="n", inputs=1, layers=(Layer(name="out", neurons=2, threshold=1, connections=(connection,)),))
    images = encode(placed(net, 2))
    assert images.synapses.data.tobytes() == bytes.fromhex("03 ff 00 00")
    assert images.synapses.words() == [0xFF03]
    assert images.synapses.bits == 16


def test_a_word_wider_than_a_slice_byte_by_byte():
    # Five lanes of 8 bits: 40 bits in two slices; the second is the highest lane and padding.
    connection = Connection(INPUT, Dense(np.array([[1, 2, 3, 4, -128], [5, 6, 7, 8, 127]])))
    net = Network(name="n", inputs=2, layers=(Layer(name="out", neurons=5, threshold=1, connections=(connection,)),))
    images = encode(placed(net, 5))
    assert images.synapses.data.tobytes() == bytes.fromhex("01 02 03 04  80 00 00 00    05 06 07 08  7f 00 00 00")


def test_values_of_an_odd_width_byte_by_byte():
    # Three lanes of 5 bits: -16 = 10000, 15 = 01111, -1 = 11111; lane 0 lowest: 11111 01111 10000 = 0x7df0.
    connection = Connection(INPUT, Dense(np.array([[-16, 15, -1]])))
    layer = Layer(name="out", neurons=3, threshold=1, connections=(connection,))
    images = encode(placed(Network(name="n", inputs=1, layers=(layer,), weight_bits=5), 3))
    assert images.synapses.data.tobytes() == bytes.fromhex("f0 7d 00 00")


# Layer records and registers

# The 14 fields of a record, from the network and its place alone.
RECORDS = [
    {
        "inputs": 4,
        "words": 2,
        "last_lanes": 2,
        "potential_base": 0,
        "synapse_base": 0,
        "threshold": 100,
        "preload": -5,
        "reset_amount": 9,
        "leak_shift": 0,
        "reset_to_value": 0,
        "leak_first": 0,
        "fires": 1,
        "has_input": 1,
        "is_output": 0,
    },
    {
        "inputs": 9,
        "words": 1,
        "last_lanes": 6,
        "potential_base": 2,
        "synapse_base": 8,
        "threshold": 101,
        "preload": -6,
        "reset_amount": -7,
        "leak_shift": 1,
        "reset_to_value": 1,
        "leak_first": 1,
        "fires": 1,
        "has_input": 1,
        "is_output": 1,
    },
]


def test_every_layer_record_is_what_bitstring_makes_of_the_register_table(seed):
    placement = placed(network(np.random.default_rng(seed), 8), 7)
    images = encode(placement)
    assert images.layers.bits == 256
    rows = []
    for values in RECORDS:
        slices = [BitArray.from_zeros(32) for _ in range(8)]
        for position, field in LAYER_RECORD:
            width, value = field_width(field, placement.config), values[field.name]
            bits = Bits(int=value, length=width) if field.signed else Bits(uint=value, length=width)
            slices[position].overwrite(32 - field.low - width, bits)  # bitstring counts from the highest bit
        rows.append(b"".join(part.bytes[::-1] for part in slices))
        assert {field.name for _, field in LAYER_RECORD} == values.keys()
    assert [row.tobytes() for row in images.layers.data] == rows


def test_a_layer_record_byte_by_byte(seed):
    """The second one above, without the register table: so that the table itself is held."""
    images = encode(placed(network(np.random.default_rng(seed), 8), 7))
    assert images.layers.data[1].view("<u4").tolist() == [
        9,
        6 << 24 | 1,  # neurons in the last word, words
        2,
        8,
        101,
        (1 << 21) - 6,  # two's complement in potential_bits
        (1 << 21) - 7,
        1 << 17 | 1 << 16 | 1 << 10 | 1 << 9 | 1 << 8 | 1,  # output, input, fires, leak first, to value, shift
    ]


@pytest.mark.parametrize("by_potential", [False, True])
def test_registers_of_a_network_of_events(by_potential, seed):
    net = network(np.random.default_rng(seed), 8)
    if by_potential:
        last = dataclasses.replace(net.layers[-1], fires=False)
        net = dataclasses.replace(net, layers=(*net.layers[:-1], last), decision=Decision.POTENTIAL)
    images = encode(placed(net, 4))
    wanted = {"layers": 2, "inputs": 4, "timesteps": 300, "delay": 2, "decision_mode": by_potential, "outputs": 6}
    assert dict(zip(REGISTER_NAMES, images.registers.words(), strict=True)) == wanted
    assert images.registers.bits == 32
    assert images.registers.data.view("<u4").reshape(-1).tolist() == list(wanted.values())


def image_network(rng: np.random.Generator) -> Network:
    rate = Layer(name="rate", neurons=5, threshold=255, reset_amount=255, preload=128, current_from_image=True)
    weights = Dense(rng.integers(-8, 8, (5, 3)))
    last = Layer(name="out", neurons=3, threshold=9, connections=(Connection("rate", weights),))
    return Network(name="n", inputs=5, layers=(rate, last), weight_bits=4, timesteps=6)


def test_images_of_a_network_that_takes_images(seed):
    images = encode(placed(image_network(np.random.default_rng(seed)), 3))
    settings = dict(zip(REGISTER_NAMES, images.registers.words(), strict=True))
    assert settings["inputs"] == 0  # which says that the input is an image
    records = images.layers.data.view("<u4")
    assert records[:, 0].tolist() == [0, 5]
    assert (records[:, 7] >> 16 & 1).tolist() == [0, 1]  # has_input
    assert records[:, 2].tolist() == [0, 2]  # potential words: 2 for the encoder, then 1
    assert records[:, 3].tolist() == [0, 0]  # an encoder has no synapses
    assert not images.currents.data.any()
    assert len(images.currents.data) == 3


# On the bus


def test_bus_writes_load_every_slice_of_every_word_in_order(seed):
    placement = placed(network(np.random.default_rng(seed), 8), 5)  # synapse words of 40 bits, currents of 55
    images, config = encode(placement), placement.config
    assert config.part_bits == 3
    wanted = []
    for memory, number in ((images.layers, 1), (images.synapses, 2), (images.currents, 3)):
        for index, word in enumerate(memory.words()):
            for part in range(-(-memory.bits // 32)):
                wanted.append((number << 21 | index << 3 | part, word >> (32 * part) & 0xFFFFFFFF))
    # Registers layers, inputs, timesteps, delay, decision_mode, outputs.
    wanted += list(zip((7, 8, 9, 10, 11, 12), images.registers.words(), strict=True))
    writes = bus_writes(images, config)
    assert writes.dtype == np.uint32
    assert writes.tolist() == [list(pair) for pair in wanted]
    assert len(writes) == 2 * 8 + 2 * len(images.synapses.data) + 2 * len(images.currents.data) + 6


def test_addresses_of_a_core_of_many_lanes(seed):
    """More than 8 lanes need more bits for the part of an address."""
    placement = placed(network(np.random.default_rng(seed), 8), 11)
    images, config = encode(placement), placement.config
    assert config.part_bits == 4
    addresses = bus_writes(images, config)[:, 0].tolist()
    assert addresses[:17] == [1 << 21 | part for part in range(8)] + [1 << 21 | 16 | part for part in range(8)] + [
        2 << 21
    ]
    synapses = [address for address in addresses if address >> 21 == 2]
    assert synapses[:4] == [2 << 21, 2 << 21 | 1, 2 << 21 | 2, 2 << 21 | 16]  # 88 bits: three slices


def test_an_input_image_is_written_to_the_first_currents():
    config = CoreConfig(lanes=3, current_bits=9)
    # 4 pixels on 3 lanes: 255 + 1 * 2^9 + 128 * 2^18 = 0x20002ff, and 7 with two empty lanes.
    assert image_writes(np.array([255, 1, 128, 7]), config).tolist() == [[3 << 21, 0x20002FF], [3 << 21 | 8, 7]]
    wanted = Bits(packed([255, 1, 128], 9)[::-1]).uint
    assert wanted == 0x20002FF


def test_an_input_image_and_the_currents_of_a_layer_are_packed_alike(seed):
    config = CoreConfig(lanes=5, current_bits=13)
    pixels = np.random.default_rng(seed).integers(0, 256, 12)
    rows = [packed([*pixels[at : at + 5], *[0] * max(0, at + 5 - 12)], 13) for at in (0, 5, 10)]
    wanted = [
        [3 << 21 | index << 3 | part, int.from_bytes(row[4 * part : 4 * part + 4], "little")]
        for index, row in enumerate(rows)
        for part in range(3)
    ]
    assert image_writes(pixels, config).tolist() == wanted


def test_pixels_that_do_not_fit_in_a_current():
    text = "currents: values from 0 to 128 do not fit in 8 signed bits"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        image_writes(np.array([0, 128]), CoreConfig(current_bits=8))


def test_what_a_core_is_generated_with(seed):
    images = encode(placed(network(np.random.default_rng(seed), 8), 5))
    init = memory_init(images)
    assert (init.layers, init.synapses, init.currents) == tuple(
        [int.from_bytes(row.tobytes(), "little") for row in memory.data]
        for memory in (images.layers, images.synapses, images.currents)
    )
    assert init.registers == {"layers": 2, "inputs": 4, "timesteps": 300, "delay": 2, "decision_mode": 0, "outputs": 6}
    assert set(init.registers) <= {entry.name for entry in REGISTERS}


# And back


def back(images: Images, config: CoreConfig, net: Network) -> Network:
    names = [part.name for part in net.layers]
    return decode(images, config, name=net.name, layer_names=names, weight_bits=net.weight_bits)


@settings(max_examples=120)
@given(
    draw=st.integers(0, 2**32 - 1),
    lanes=st.integers(1, 24),
    widths=st.sampled_from([(16, 4, 8), (10, 0, 2), (12, 3, 5), (32, 15, 16), (9, 1, 4)]),
)
def test_decode_is_the_inverse_of_encode(draw, lanes, widths):
    potential_bits, fraction_bits, weight_bits = widths
    rng = np.random.default_rng(draw)
    net = random_network(
        rng,
        potential_bits=potential_bits,
        fraction_bits=fraction_bits,
        weight_bits=weight_bits,
        current_bits=potential_bits,
        max_neurons=20,
    )
    placement = placed(net, lanes)
    again = back(encode(placement), placement.config, net)
    assert again.digest() == net.digest()
    # And so the golden model can be run from the bytes.
    given_input = random_input(rng, net)
    wanted, got = golden.run(net, **given_input), golden.run(again, **given_input)
    assert got.decision == wanted.decision
    for one, other in zip(got.layers, wanted.layers, strict=True):
        assert np.array_equal(one.potentials, other.potentials)
        assert np.array_equal(one.spikes, other.spikes)
    # Encoded again, the bytes are the same.
    for memory, before in zip(encode(placed(again, lanes)), encode(placement), strict=True):
        assert memory.data.tobytes() == before.data.tobytes()


def test_currents_that_are_all_zero_are_no_currents(seed):
    net = network(np.random.default_rng(seed), 8)
    last = dataclasses.replace(net.layers[-1], currents=np.zeros(6, int))
    net = dataclasses.replace(net, layers=(*net.layers[:-1], last))
    placement = placed(net, 4)
    assert back(encode(placement), placement.config, net).digest() == net.digest()


# Images that say no network


def corrupt(seed: int) -> tuple[Images, CoreConfig, Network]:
    """Images of the network of `RECORDS` on 7 lanes, to be changed."""
    net = network(np.random.default_rng(seed), 8)
    placement = placed(net, 7)
    return encode(placement), placement.config, net


def refuses(images: Images, config: CoreConfig, net: Network, text: str) -> None:
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        back(images, config, net)


def word(images: Images, layer: int, part: int) -> np.ndarray:
    """One slice of a layer record, as a number that can be changed in place."""
    return images.layers.data.view("<u4")[layer, part : part + 1]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_registers_with_another_number_of_layers(count, seed):
    images, config, net = corrupt(seed)
    images.registers.data[0, 0] = count
    refuses(
        images,
        config,
        net,
        f"images of network 'n': registers say {count} layers, the manifest 2, and there are 2 layer records",
    )


def test_layer_records_that_are_not_those_of_the_manifest(seed):
    images, config, net = corrupt(seed)
    text = "registers say 2 layers, the manifest 1, and there are 2 layer records"
    with pytest.raises(HillockError, match=f"^images of network 'n': {text}$"):
        decode(images, config, name="n", layer_names=["a"], weight_bits=8)
    fewer = dataclasses.replace(images, layers=MemoryImage("layers", 256, images.layers.data[:1]))
    refuses(
        fewer,
        config,
        net,
        "images of network 'n': registers say 2 layers, the manifest 2, and there are 1 layer records",
    )


@pytest.mark.parametrize(
    ("part", "value", "text"),
    [
        (1, 0 << 24 | 2, "2 words with 0 neurons in the last make no layer"),
        (1, 2 << 24 | 0, "0 words with 2 neurons in the last make no layer"),
        (3, 20, "synapse words end at 28, the image at 17"),
        (2, 2, "current words end at 4, the image at 3"),
    ],
)
def test_a_layer_record_that_points_beyond_the_images(part, value, text, seed):
    images, config, net = corrupt(seed)
    word(images, 0, part)[:] = value
    refuses(images, config, net, f"images of network 'n': layer 'layer0': {text}")


def test_a_layer_record_that_is_wrong_in_every_way(seed):
    images, config, net = corrupt(seed)
    word(images, 0, 0)[:] = 15
    word(images, 0, 1)[:] = 0 << 24 | 2
    word(images, 0, 2)[:] = 3
    refuses(
        images,
        config,
        net,
        "images of network 'n': 3 problems\n"
        "  - layer 'layer0': 2 words with 0 neurons in the last make no layer\n"
        "  - layer 'layer0': synapse words end at 30, the image at 17\n"
        "  - layer 'layer0': current words end at 5, the image at 3",
    )


@pytest.mark.parametrize(("memory", "index"), [("synapses", 4), ("currents", 2)])
def test_lanes_that_are_not_neurons_must_be_empty(memory, index, seed):
    """Layer 0 has two neurons in its second word of 7 lanes, layer 1 six."""
    images, config, net = corrupt(seed)
    width = getattr(config, "weight_bits" if memory == "synapses" else "current_bits")
    bit = 6 * width
    getattr(images, memory).data[index, bit // 8] |= 1 << bit % 8
    name = "layer0" if memory == "synapses" else "layer1"
    refuses(images, config, net, f"images of network 'n': layer {name!r}: lanes without a neuron must hold 0")


def test_what_the_contract_refuses_is_refused_from_images_too(seed):
    images, config, net = corrupt(seed)
    word(images, 1, 4)[:] = 0
    refuses(
        images,
        config,
        net,
        "network 'n': layer 'layer1': threshold must be from 1 to 1048575, not 0 (at 0 or less it fires without input; "
        "above, raise potential_bits)",
    )


def test_a_delay_as_long_as_the_inference(seed):
    images, config, net = corrupt(seed)
    images.registers.data.view("<u4")[REGISTER_NAMES.index("delay")] = 300
    refuses(
        images,
        config,
        net,
        "network 'n': delay must be from 0 to timesteps - 1 = 299, not 300: nothing would be counted",
    )


def test_images_of_no_layers():
    config = CoreConfig(lanes=4, max_layers=1)
    images = Images(
        MemoryImage("layers", 256, np.zeros((0, 32), np.uint8)),
        MemoryImage("synapses", 32, np.zeros((0, 4), np.uint8)),
        MemoryImage("currents", 64, np.zeros((0, 8), np.uint8)),
        MemoryImage("registers", 32, np.zeros((6, 4), np.uint8)),
    )
    text = "images of network 'n': registers say 0 layers, the manifest 0, and there are 0 layer records"
    with pytest.raises(HillockError, match=f"^{text}$"):
        decode(images, config, name="n", layer_names=[], weight_bits=8)


def test_images_of_another_core(seed):
    images, config, net = corrupt(seed)
    refuses(
        images,
        dataclasses.replace(config, lanes=5, weight_bits=9),
        net,
        "images of network 'n': 2 problems\n"
        "  - a word of synapses must have 45 bits, not 56\n"
        f"  - a word of currents must have {5 * config.current_bits} bits, not {7 * config.current_bits}",
    )
    fewer = dataclasses.replace(images, registers=MemoryImage("registers", 32, images.registers.data[:5]))
    refuses(fewer, config, net, "images of network 'n': there must be 6 registers, not 5")


@pytest.mark.parametrize(
    ("memory", "index", "byte", "value"),
    [
        ("registers", REGISTER_NAMES.index("outputs"), 0, 7),
        ("registers", REGISTER_NAMES.index("outputs"), 3, 1),
        ("layers", 0, 4 * 7 + 2, 3),  # is_output beside has_input
        ("layers", 1, 4 * 7 + 3, 1),  # no field
        ("synapses", 0, 7, 1),  # padding of 56 bits to 64
    ],
)
def test_bits_that_the_network_does_not_depend_on(memory, index, byte, value, seed):
    images, config, net = corrupt(seed)
    getattr(images, memory).data[index, byte] = value
    refuses(images, config, net, f"images of network 'n': {memory} must hold what they describe and nothing else")


def test_potentials_that_two_layers_would_share(seed):
    """Without currents nothing else would show it."""
    net = network(np.random.default_rng(seed), 8)
    layers = tuple(dataclasses.replace(part, currents=None) for part in net.layers)
    net = dataclasses.replace(net, layers=layers)
    placement = placed(net, 7)
    images = encode(placement)
    word(images, 1, 2)[:] = 0
    text = "images of network 'n': layers must hold what they describe and nothing else"
    refuses(images, placement.config, net, text)


def test_every_bit_of_every_image_matters(seed):
    """Each one, turned over by itself, is refused or gives another network: padding and unused fields included."""
    images, config, net = corrupt(seed)
    digest = net.digest()
    tried = 0
    for memory in images:
        for row, byte, bit in np.ndindex(*memory.data.shape, 8):
            memory.data[row, byte] ^= 1 << bit
            try:
                got = back(images, config, net).digest()
            except HillockError:
                got = "refused"
            assert got != digest, f"{memory.name}, word {row}, byte {byte}, bit {bit}"
            memory.data[row, byte] ^= 1 << bit
            tried += 1
    assert tried == 8 * (2 * 32 + 17 * 8 + 3 * 12 + 6 * 4)
    assert back(images, config, net).digest() == digest
