"""Where a network lies in a core: the smallest core that holds it, and every reason why one does not."""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.gen.image import encode
from hillock.gen.mapping import Placement, fit, place
from hillock.hw.config import RANGES, CoreConfig
from hillock.hw.problems import HillockError
from hillock.sim.network import INPUT, Connection, Convolution, Decision, Dense, Layer, Network, Shape
from random_networks import random_graph, random_network


def layer(name: str, inputs: int, neurons: int, source: str = INPUT, **changes) -> Layer:
    values: dict[str, Any] = {"connections": (Connection(source, Dense(np.ones((inputs, neurons), int))),)}
    return Layer(name=name, shape=Shape(neurons), threshold=9, **(values | changes))


HIDDEN = layer("hidden", 5, 7)
OUT = layer("out", 7, 3, "hidden")
NETWORK = Network(name="n", input=Shape(5), layers=(HIDDEN, OUT))
ENCODER = Layer(name="encoder", shape=Shape(5), threshold=255, reset_amount=255, current_from_image=True)
ABOUT = "network 'n' on a core of 4 lanes: "
LARGER = "generate a larger core, or make the network smaller"


def with_layers(*layers: Layer, **changes) -> Network:
    return dataclasses.replace(NETWORK, layers=layers, **changes)


def with_out(**changes) -> Network:
    return with_layers(HIDDEN, dataclasses.replace(OUT, **changes))


def config(**changes: int) -> CoreConfig:
    """A core of 4 lanes with ample room for chains of dense layers."""
    return CoreConfig(**({"lanes": 4} | changes))


def grid_config(**changes: int) -> CoreConfig:
    """The same for graphs of grids."""
    sizes = {"max_height": 16, "max_width": 16, "row_entries": 64, "column_entries": 64, "columns_per_word": 4}
    return config(**(sizes | {"channel_entries": 64, "replay_words": 64} | changes))


def refuses(network: Network, core: CoreConfig, *texts: str) -> None:
    """Placing must fail with just these texts."""
    if len(texts) == 1:
        message = ABOUT + texts[0]
    else:
        message = f"{ABOUT}{len(texts)} problems" + "".join(f"\n  - {text}" for text in texts)
    with pytest.raises(HillockError, match=f"^{re.escape(message)}$"):
        place(network, core)


def copies(name: str, *sources: str, shape: Shape, **changes) -> Layer:
    """A layer that takes the events of others of its shape, each neuron those at its own place."""
    same = Convolution(np.ones((1, 1, 1, shape.channels), int), groups=shape.channels)
    connections = tuple(Connection(source, same) for source in sources)
    return Layer(name=name, shape=shape, threshold=9, connections=connections, **changes)


def graph(*sources: tuple[str, ...], shape: Shape | None = None) -> Network:
    """A network of layers a, b, c, ... of one shape, each with its sources."""
    shape = shape or Shape(3, 2, 2)
    layers = [copies("abcdefgh"[index], *names, shape=shape) for index, names in enumerate(sources)]
    return Network(name="n", input=shape, layers=tuple(layers), decision=Decision.NONE)


# Places


def test_layers_lie_one_behind_the_other():
    placement = place(NETWORK, config())
    assert (placement.network, placement.config) == (NETWORK, config())
    # hidden: 7 neurons on 4 lanes are 2 words; 2 * 5 synapse words. out: 1 word; 7 of those.
    assert [where.layout.words for where in placement.layers] == [2, 1]
    assert [(where.layout.channels, where.layout.columns) for where in placement.layers] == [(4, 1), (3, 1)]
    assert [where.potential_base for where in placement.layers] == [0, 2]
    assert [where.synapse_base for where in placement.connections] == [0, 10]
    assert [where.walk.synapse_words for where in placement.connections] == [10, 7]
    assert [where.walk.words for where in placement.connections] == [2, 1]
    assert [where.source for where in placement.connections] == [None, 0]
    assert not any(placement.tables.values())


@settings(max_examples=80, deadline=None)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 24))
def test_no_two_neurons_and_no_two_connections_share_a_word(draw, lanes):
    network = random_graph(np.random.default_rng(draw))
    placement = place(network, fit(network, lanes))
    potentials: list[int] = []
    for part, where in zip(network.layers, placement.layers, strict=True):
        assert (where.layout.shape, where.layout.lanes) == (part.shape, lanes)
        potentials += range(where.potential_base, where.potential_base + where.layout.words)
    assert potentials == list(range(placement.config.potential_words))
    synapses: list[int] = []
    for at in placement.connections:
        synapses += range(at.synapse_base, at.synapse_base + at.walk.synapse_words)
    assert synapses == list(range(len(synapses)))
    assert max(1, len(synapses)) == placement.config.synapse_words


# Currents


def currents(network: Network, lanes: int = 4) -> list[tuple[int, int, int | None]]:
    """(base, step, base of what static input is added to) of each layer; and the memory is no larger than it must."""
    placement = place(network, fit(network, lanes))
    assert len(encode(placement)["currents"].data) == placement.config.current_words
    return [(where.current_base, where.current_step, where.load_base) for where in placement.layers]


def test_layers_without_currents_share_a_word():
    assert currents(NETWORK) == [(0, 0, None)] * 2
    assert fit(NETWORK, 4).current_words == 1
    assert currents(with_out(currents=np.zeros(3, int))) == [(0, 0, None)] * 2  # zeros are the same as none
    three = with_layers(
        dataclasses.replace(HIDDEN, currents=np.ones(7, int)), layer("b", 7, 3, "hidden"), layer("c", 3, 3, "b")
    )
    assert currents(three) == [(0, 1, None), (2, 0, None), (2, 0, None)]


def test_no_word_of_zeros_where_every_layer_has_a_current():
    network = with_layers(
        dataclasses.replace(HIDDEN, currents=np.ones(7, int)), dataclasses.replace(OUT, currents=np.ones(3, int))
    )
    assert currents(network) == [(0, 1, None), (2, 1, None)]
    assert fit(network, 4).current_words == 3


def test_currents_of_channels_and_of_neurons():
    """3 channels on 2x2 places: 1 word for the channels, or one for each of the 2 places of 2 lanes... of 4 words."""
    shape = Shape(3, 2, 2)
    for values, step, words in ((3, 1, 1), (12, 2, 4)):
        first = copies("a", INPUT, shape=shape, currents=np.arange(values) + 1)
        network = Network(name="n", input=shape, layers=(first, copies("b", "a", shape=shape)), decision=Decision.NONE)
        assert currents(network) == [(0, step, None), (words, 0, None)]
        assert fit(network, 4).current_words == words + 1


def test_equal_currents_of_neurons_are_not_taken_for_those_of_channels():
    shape = Shape(3, 2, 2)
    network = Network(
        name="n",
        input=shape,
        layers=(copies("a", INPUT, shape=shape, currents=np.ones(12, int)),),
        decision=Decision.NONE,
    )
    assert currents(network) == [(0, 2, None)]


def test_the_image_has_its_own_words():
    network = with_layers(ENCODER, layer("out", 5, 3, "encoder"))
    assert currents(network) == [(0, 2, None), (2, 0, None)]
    assert fit(network, 4).current_words == 3


def test_room_for_two_images():
    network = with_layers(ENCODER, layer("out", 5, 3, "encoder"))
    core = fit(network, 4, image_banks=2)
    placement = place(network, core)
    assert core.current_words == 5
    assert [where.current_base for where in placement.layers] == [0, 4]
    assert placement.has_two_images
    assert not place(network, fit(network, 4)).has_two_images
    assert not place(NETWORK, fit(NETWORK, 4, image_banks=2)).has_two_images  # there are no images
    refuses(network, dataclasses.replace(core, current_words=4), short(5, "current words", "current_words", 4))


@pytest.mark.parametrize("given_currents", [None, np.ones(7, int)])
def test_what_static_input_is_added_to_lies_before_what_it_becomes(given_currents):
    static = dataclasses.replace(HIDDEN.connections[0], static=True)
    first = dataclasses.replace(HIDDEN, connections=(static,), currents=given_currents)
    network = with_layers(first, OUT)
    assert currents(network) == [(2, 2, 0), (4, 0, None)]
    core = fit(network, 4)
    assert (core.current_words, core.current_bits, core.static_input) == (5, 16, 1)


# Where spikes go


def flow(network: Network) -> tuple[list[str], list[int | None]]:
    """What becomes of the spikes of each layer (n: the next walk, k: kept, o: output), and what connections replay."""
    placement = place(network, fit(network, 4))
    flags = [
        "".join(
            letter for letter, said in (("n", where.feeds_next), ("k", where.is_kept), ("o", where.is_output)) if said
        )
        for where in placement.layers
    ]
    return flags, [at.replay_base for at in placement.connections]


def test_a_chain_keeps_nothing():
    network = graph((INPUT,), ("a",), ("b",))
    assert flow(network) == (["n", "n", "o"], [None, None, None])
    assert fit(network, 4).replay_words == 0


def test_a_shortcut_is_kept():
    """The next walk takes the spikes of a, and a later one too; b goes on at once, and is kept for nobody."""
    network = graph((INPUT,), ("a",), ("b", "a"))
    assert flow(network) == (["nk", "n", "o"], [None, None, None, 0])
    assert fit(network, 4).replay_words == 4


def test_the_order_of_connections_decides_who_takes_the_queue():
    assert flow(graph((INPUT,), ("a",), ("a", "b"))) == (["nk", "k", "o"], [None, None, 0, 4])


def test_a_layer_that_is_heard_twice_by_the_next():
    assert flow(graph((INPUT,), ("a", "a"))) == (["nk", "o"], [None, None, 0])


def test_a_layer_that_is_heard_late_is_kept_and_goes_nowhere_else():
    assert flow(graph((INPUT,), ("a",), ("a",), ("c", "b"))) == (["nk", "k", "n", "o"], [None, None, 0, None, 4])


def test_a_layer_that_fires_in_between():
    """`quiet` has no connection, but fires: what is in the queue would be its spikes."""
    shape = Shape(3, 2, 2)
    quiet = Layer(name="quiet", shape=shape, threshold=9, currents=np.ones(3, int))
    layers = (copies("a", INPUT, shape=shape), quiet, copies("b", "a", shape=shape))
    network = Network(name="n", input=shape, layers=layers, decision=Decision.NONE)
    assert flow(network) == (["k", "", "o"], [None, 0])


def test_space_is_used_again_where_spikes_are_not_needed_any_more():
    # a is last read by c, which then fires into its place; b until d.
    network = graph((INPUT,), ("a",), ("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"))
    flags, replayed = flow(network)
    assert flags == ["nk", "nk", "nk", "nk", "n", "o"]
    assert replayed == [None, None, None, 0, None, 4, None, 0, None, 4]
    assert fit(network, 4).replay_words == 8


@settings(max_examples=100, deadline=None)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 24))
def test_nothing_that_is_still_needed_is_written_over(draw, lanes):
    """The timestep played through: fire passes write the replay memory and the queue, walks read them."""
    network = random_graph(np.random.default_rng(draw), max_layers=9)
    placement = place(network, fit(network, lanes))
    position = {part.name: index for index, part in enumerate(network.layers)}
    memory: dict[int, tuple[int, int]] = {}
    queue: list[int] = []
    walks = iter(zip(network.walks(), placement.connections, strict=True))
    for index, (part, where) in enumerate(zip(network.layers, placement.layers, strict=True)):
        for _ in part.connections:
            (_, connection), at = next(walks)
            if connection.source == INPUT:
                assert (at.source, at.replay_base) == (None, None)
                continue
            source = position[connection.source]
            assert at.source == source
            if at.replay_base is None:
                assert queue.pop() == source
            else:
                for word in range(placement.layers[source].layout.words):
                    assert memory[at.replay_base + word] == (source, word)
        if where.feeds_next:
            assert not queue
            queue.append(index)
        if where.replay_base is not None:
            for word in range(where.layout.words):
                assert where.replay_base + word < placement.config.replay_words
                memory[where.replay_base + word] = (index, word)
        assert where.is_output == (index == len(network.layers) - 1)
    assert not queue
    assert len(memory) == placement.config.replay_words


# Tables


def test_equal_tables_are_there_once():
    network = graph((INPUT,), ("a",), ("b", "a"))
    placement = place(network, fit(network, 4))
    assert [(at.row_base, at.column_base, at.channel_base) for at in placement.connections] == [(0, 0, 0)] * 4
    assert {name: len(table) for name, table in placement.tables.items()} == {"rows": 2, "columns": 2, "channels": 3}
    core = placement.config
    assert (core.row_entries, core.column_entries, core.channel_entries) == (2, 2, 3)


def test_other_tables_lie_behind():
    shape = Shape(3, 4, 4)
    pooled = Layer(
        name="out", shape=Shape(2), threshold=9, connections=(Connection("a", Dense(np.ones((12, 2), int)), (2, 2)),)
    )
    network = Network(name="n", input=shape, layers=(copies("a", INPUT, shape=shape), pooled))
    placement = place(network, fit(network, 4))
    assert [(at.row_base, at.column_base, at.channel_base) for at in placement.connections] == [(0, 0, 0), (4, 4, 0)]
    assert (placement.config.row_entries, placement.config.column_entries) == (8, 8)


def test_dense_layers_on_a_core_with_tables_use_them():
    placement = place(NETWORK, grid_config())
    assert {name: len(table) for name, table in placement.tables.items()} == {"rows": 1, "columns": 1, "channels": 0}
    assert fit(NETWORK, 4, row_entries=3, column_entries=5).row_entries == 3


# The smallest core

# What `fit` chooses, one by one; the least that it chooses for a network that needs nothing.
LEAST = {
    "weight_bits": 4,
    "payload_bits": 1,
    "current_bits": 2,
    "leak_shift_bits": 3,
    "max_layers": 1,
    "max_connections": 1,
    "max_channels": 1,
    "max_height": 1,
    "max_width": 1,
    "potential_words": 1,
    "synapse_words": 1,
    "current_words": 1,
    "queue_words": 1,
    "replay_words": 0,
    "row_entries": 0,
    "column_entries": 0,
    "channel_entries": 0,
    "static_input": 0,
    "classes": 1,
}


def test_every_size_is_chosen():
    """All but what is the network's or the caller's, and what layouts choose."""
    others = {"lanes", "potential_bits", "fraction_bits", "columns_per_word", "input_queue", "image_banks", "passes_on"}
    others |= {"single_port", "compact"}
    assert LEAST.keys() | others == RANGES.keys()


@settings(max_examples=80, deadline=None)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 24), chain=st.booleans())
def test_each_size_one_smaller_is_refused(draw, lanes, chain):
    rng = np.random.default_rng(draw)
    make = random_network if chain else random_graph
    network = make(rng, leak_shift_bits=5, weight_bits=9, potential_bits=18, max_layers=5)
    core = fit(network, lanes)
    layouts = {
        part.name: (where.layout.channels, where.layout.columns)
        for part, where in zip(network.layers, place(network, core).layers, strict=True)
    }
    for name, least in LEAST.items():
        value = getattr(core, name)
        assert value >= least
        if value > least:
            # By the placement, or because there is no such core: one with a table of columns and none of rows.
            with pytest.raises(HillockError, match=name) as caught:
                place(network, dataclasses.replace(core, **{name: value - 1}), layouts)
            # For this reason and no other; several layers may have it.
            reasons = str(caught.value).partition(": ")[2].split("\n  - ")
            assert all(name in reason for reason in reasons[len(reasons) > 1 :])


def test_each_size_of_a_network_that_uses_them_all():
    """By number, so that the rule above does not stand alone."""
    grid = Shape(4, 3, 6)
    first = Layer(
        name="first",
        shape=grid,
        threshold=16,
        connections=(
            Connection(INPUT, Convolution(np.ones((3, 3, 2, 4), int), padding=(1, 1), groups=2), static=True),
        ),
        leak_shift=17,
    )
    last = Layer(
        name="last",
        shape=Shape(5),
        threshold=16,
        connections=(
            Connection("first", Dense(np.ones((8, 5), int)), (3, 3)),
            Connection("first", Dense(np.ones((8, 5), int)), (3, 3)),
        ),
    )
    network = Network(name="n", input=grid, layers=(first, last), weight_bits=9, payload_bits=3)
    core = fit(network, 8)
    assert [(where.layout.channels, where.layout.columns) for where in place(network, core).layers] == [(4, 2), (5, 1)]
    assert {name: getattr(core, name) for name in LEAST} == {
        "weight_bits": 9,
        "payload_bits": 3,
        "current_bits": 16,  # static input
        "leak_shift_bits": 5,  # 17
        "max_layers": 2,
        "max_connections": 3,
        "max_channels": 5,
        "max_height": 3,
        "max_width": 6,
        "potential_words": 9 + 1,
        "synapse_words": 3 * (3 + 1) * 4 + 8 + 8,
        "current_words": 2 * 9 + 1,
        "queue_words": 9,
        "replay_words": 9,  # the second connection of `last`
        "row_entries": 3 + 3,
        "column_entries": 6 + 6,
        "channel_entries": 4,
        "static_input": 1,
        "classes": 5,
    }
    assert (core.lanes, core.potential_bits, core.fraction_bits, core.columns_per_word) == (8, 16, 4, 2)
    assert core.input_queue == CoreConfig().input_queue


@pytest.mark.parametrize(
    ("currents", "bits"),
    [([0, 0], 2), ([1, -2], 2), ([2, 0], 3), ([-3, 0], 3), ([127, -128], 8), ([128, 0], 9), ([0, -129], 9)],
)
def test_currents_get_the_bits_that_they_need(currents, bits):
    network = with_layers(layer("out", 5, 2, currents=np.array(currents)))
    assert fit(network, 4).current_bits == bits
    if bits > 2:
        low, high = min(currents), max(currents)
        text = f"layer 'out': currents from {low} to {high} do not fit in current_bits = {bits - 1}"
        refuses(network, dataclasses.replace(fit(network, 4), current_bits=bits - 1), text)


def test_an_image_needs_nine_bits_of_current():
    network = with_layers(ENCODER, layer("out", 5, 3, "encoder"))
    assert fit(network, 4).current_bits == 9
    refuses(
        network, config(current_bits=8), "layer 'encoder': pixels up to 255 do not fit in current_bits = 8: at least 9"
    )


@pytest.mark.parametrize(("shift", "bits"), [(0, 3), (7, 3), (8, 4), (15, 4), (16, 5), (31, 5)])
def test_leak_shifts_get_the_bits_that_they_need(shift, bits):
    assert fit(with_out(leak_shift=shift), 4).leak_shift_bits == bits


def test_more_inputs_than_neurons():
    assert fit(with_layers(layer("out", 50, 3), input=Shape(50)), 4).max_channels == 50


@pytest.mark.parametrize("decision", [Decision.POTENTIAL, Decision.NONE])
def test_other_decisions_need_no_counters(decision):
    network = with_layers(HIDDEN, dataclasses.replace(OUT, fires=False), decision=decision)
    assert fit(network, 4).classes == 1
    assert isinstance(place(network, config(classes=1)), Placement)


def test_tables_only_where_there_are_places_or_other_kinds_of_synapses():
    assert (fit(NETWORK, 4).tables, fit(NETWORK, 4).grouped) == (False, False)
    flat = with_layers(copies("out", INPUT, shape=Shape(5)))
    assert (fit(flat, 4).tables, fit(flat, 4).grouped) == (True, True)
    alone = Layer(name="out", shape=Shape(1, 2, 3), threshold=9, current_from_image=True)
    core = fit(Network(name="n", input=Shape(1, 2, 3), layers=(alone,), decision=Decision.NONE), 4)
    assert (core.row_entries, core.column_entries, core.max_connections, core.synapse_words) == (1, 1, 1, 1)


def test_single_sizes_can_be_chosen():
    core = fit(NETWORK, 4, synapse_words=1000, input_queue=64)
    assert (core.synapse_words, core.input_queue) == (1000, 64)
    assert dataclasses.replace(core, synapse_words=17, input_queue=32) == fit(NETWORK, 4)


def test_layouts_and_activity_can_be_chosen():
    grid = Shape(1, 4, 9)
    network = graph((INPUT,), shape=grid)
    assert fit(network, 4).columns_per_word == 3  # three words a row, as with 4
    assert fit(network, 4, columns_per_word=2).columns_per_word == 2
    layouts = {"a": (1, 4)}
    core = fit(network, 4, layouts=layouts)
    assert core.columns_per_word == 4
    assert place(network, core, layouts).layers[0].layout.columns == 4
    assert place(network, core).layers[0].layout.columns == 3


@pytest.mark.parametrize("lanes", [0, -1, 129, True, 2.0, "4"])
def test_a_number_of_lanes_that_no_core_has(lanes):
    text = f"core configuration: lanes (weights added per clock cycle) must be an integer from 1 to 128, not {lanes!r}"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        fit(NETWORK, lanes)


def test_a_network_that_no_core_can_hold():
    core = "no core of 4 lanes can hold network 'n': core configuration:"
    narrow = with_layers(layer("out", 5, 3), potential_bits=12, fraction_bits=2)
    text = f"{core} current_bits must be at most potential_bits = 12, not 13"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        fit(narrow, 4, current_bits=13)
    pixels = 4 * 65536 + 1
    image = Layer(name="out", shape=Shape(pixels), threshold=255, current_from_image=True)
    text = (
        f"{core} 5 problems\n"
        "  - max_channels (channels of the largest grid, of the input too) must be an integer from 1 to 131072, not "
        "262145\n"
        "  - potential_words (words of potential memory, one potential per lane in each) must be an integer from 1 to "
        "65536, not 65537\n"
        "  - current_words (words of current memory, one current per lane in each) must be an integer from 1 to "
        "65536, not 65537\n"
        "  - queue_words (words of the largest layer whose spikes wait in a queue) must be an integer from 1 to "
        "65536, not 65537\n"
        "  - classes (output neurons that have a spike counter) must be an integer from 1 to 4096, not 262145"
    )
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        fit(with_layers(image, input=Shape(pixels)), 4)


# Everything that is refused


def short(needed: int, what: str, name: str, available: int) -> str:
    return f"{needed} {what} are {needed - available} more than {name} = {available}: {LARGER}"


@pytest.mark.parametrize(
    ("network", "sizes", "text"),
    [
        (
            NETWORK,
            {"potential_bits": 17},
            "potential_bits of the network is 16, of the core 17: generate the core with the network's",
        ),
        (
            NETWORK,
            {"fraction_bits": 3},
            "fraction_bits of the network is 4, of the core 3: generate the core with the network's",
        ),
        (NETWORK, {"weight_bits": 7}, "weights of 8 bits do not fit in weight_bits = 7"),
        (
            with_layers(HIDDEN, OUT, payload_bits=3),
            {"payload_bits": 2},
            "events that carry 3 bits do not fit in payload_bits = 2",
        ),
        (with_out(leak_shift=8), {}, "layer 'out': leak_shift must be at most 7, not 8: raise leak_shift_bits"),
        (NETWORK, {"max_layers": 1}, short(2, "layers", "max_layers", 1)),
        (NETWORK, {"max_connections": 1}, short(2, "connections", "max_connections", 1)),
        (NETWORK, {"potential_words": 2}, short(3, "potential words", "potential_words", 2)),
        (NETWORK, {"synapse_words": 10}, short(17, "synapse words", "synapse_words", 10)),
        (NETWORK, {"queue_words": 1}, short(2, "words of layer 'hidden'", "queue_words", 1)),
        (NETWORK, {"classes": 2}, short(3, "output neurons", "classes", 2)),
        (with_out(currents=np.ones(3, int)), {"current_words": 1}, short(2, "current words", "current_words", 1)),
        (with_layers(layer("out", 5, 4)), {"max_channels": 4}, short(5, "channels of the input", "max_channels", 4)),
        (with_layers(layer("out", 5, 6)), {"max_channels": 5}, short(6, "channels of layer 'out'", "max_channels", 5)),
        (
            with_out(currents=np.array([0, -9, 8])),
            {"current_bits": 4},
            "layer 'out': currents from -9 to 8 do not fit in current_bits = 4",
        ),
        (
            with_layers(HIDDEN, dataclasses.replace(OUT, connections=OUT.connections * 2)),
            {},
            short(2, "words of spikes kept for later layers", "replay_words", 0),
        ),
    ],
)
def test_a_network_that_does_not_fit(network, sizes, text):
    refuses(network, config(**sizes), text)


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ({"max_height": 2}, short(3, "rows of the input", "max_height", 2)),
        ({"max_width": 4}, short(5, "columns of the input", "max_width", 4)),
        ({"row_entries": 2}, short(3, "entries of the row table", "row_entries", 2)),
        ({"column_entries": 4}, short(5, "entries of the column table", "column_entries", 4)),
        ({"channel_entries": 1}, short(2, "entries of the channel table", "channel_entries", 1)),
        ({"channel_entries": 0}, short(2, "entries of the channel table", "channel_entries", 0)),
    ],
)
def test_a_grid_that_does_not_fit(sizes, text):
    refuses(graph((INPUT,), shape=Shape(2, 3, 5)), grid_config(**sizes), text)


def test_grids_on_a_core_for_chains():
    refuses(
        graph((INPUT,), shape=Shape(2, 3, 5)),
        config(),
        short(3, "rows of the input", "max_height", 1),
        short(5, "columns of the input", "max_width", 1),
        short(3, "entries of the row table", "row_entries", 0),
        short(5, "entries of the column table", "column_entries", 0),
        short(2, "entries of the channel table", "channel_entries", 0),
    )


def test_static_input_on_a_core_without():
    static = dataclasses.replace(HIDDEN.connections[0], static=True)
    network = with_layers(dataclasses.replace(HIDDEN, connections=(static,)), OUT)
    refuses(network, config(), "its input is static: generate a core with static_input = 1")


def test_input_that_is_taken_twice():
    skip = Connection(INPUT, Dense(np.ones((5, 3), int)))
    once = (
        "they come from outside once; connect one layer to 'input', and the others to a layer that passes its events on"
    )
    network = with_out(connections=(*OUT.connections, skip))
    refuses(network, config(), f"its input events are taken 2 times, by 'hidden', 'out': {once}")
    twice = with_layers(dataclasses.replace(HIDDEN, connections=HIDDEN.connections * 2), OUT)
    refuses(twice, config(), f"its input events are taken 2 times, by 'hidden', 'hidden': {once}")


def test_input_that_nobody_takes():
    alone = dataclasses.replace(HIDDEN, connections=(), currents=np.ones(7, int))
    refuses(
        with_layers(alone, OUT),
        config(),
        "nothing takes its input events: connect a layer to 'input', or feed the first by an image",
    )


def test_everything_that_does_not_fit_is_reported_together():
    skip = Connection(INPUT, Dense(np.ones((5, 3), int)))
    last = dataclasses.replace(
        OUT, connections=(*OUT.connections, skip), leak_shift=9, currents=np.array([0, 4000, -1])
    )
    core = CoreConfig(
        lanes=4,
        weight_bits=4,
        potential_bits=14,
        fraction_bits=5,
        current_bits=3,
        max_layers=1,
        max_connections=2,
        max_channels=4,
        potential_words=1,
        synapse_words=1,
        current_words=1,
        queue_words=1,
        classes=1,
    )
    message = f"{ABOUT}15 problems" + "".join(
        f"\n  - {text}"
        for text in (
            "layer 'out': layout (5, 1) must have 1 to 3 channels in a word, its first number, not 5",
            "potential_bits of the network is 16, of the core 14: generate the core with the network's",
            "fraction_bits of the network is 4, of the core 5: generate the core with the network's",
            "weights of 8 bits do not fit in weight_bits = 4",
            "its input events are taken 2 times, by 'hidden', 'out': they come from outside once; connect one layer to "
            "'input', and the others to a layer that passes its events on",
            "layer 'out': leak_shift must be at most 7, not 9: raise leak_shift_bits",
            "layer 'out': currents from -1 to 4000 do not fit in current_bits = 3",
            short(2, "layers", "max_layers", 1),
            short(3, "connections", "max_connections", 2),
            short(7, "channels of layer 'hidden'", "max_channels", 4),
            short(3, "potential words", "potential_words", 1),
            short(22, "synapse words", "synapse_words", 1),
            short(2, "current words", "current_words", 1),
            short(2, "words of layer 'hidden'", "queue_words", 1),
            short(3, "output neurons", "classes", 1),
        )
    )
    with pytest.raises(HillockError, match=f"^{re.escape(message)}$"):
        place(with_layers(HIDDEN, last), core, {"out": (5, 1)})
