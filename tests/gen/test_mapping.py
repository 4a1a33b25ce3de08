"""Where a network lies in a core: the smallest core that holds it, and every reason why one does not."""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.gen.mapping import LayerPlace, Placement, fit, place
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, Network
from random_networks import random_network


def layer(name: str, inputs: int, neurons: int, source: str = INPUT, **changes) -> Layer:
    values: dict[str, Any] = {"connections": (Connection(source, Dense(np.ones((inputs, neurons), int))),)}
    return Layer(name=name, neurons=neurons, threshold=9, **(values | changes))


HIDDEN = layer("hidden", 5, 7)
OUT = layer("out", 7, 3, "hidden")
NETWORK = Network(name="n", inputs=5, layers=(HIDDEN, OUT))
ENCODER = Layer(name="encoder", neurons=5, threshold=255, reset_amount=255, current_from_image=True)
ABOUT = "network 'n' on a core of 4 lanes: "
LARGER = "generate a larger core, or make the network smaller"


def with_layers(*layers: Layer, **changes) -> Network:
    return dataclasses.replace(NETWORK, layers=layers, **changes)


def with_out(**changes) -> Network:
    return with_layers(HIDDEN, dataclasses.replace(OUT, **changes))


def config(**changes: int) -> CoreConfig:
    """A core of 4 lanes with ample room."""
    return CoreConfig(**({"lanes": 4} | changes))


def refuses(network: Network, core: CoreConfig, *texts: str) -> None:
    """Placing must fail with just these texts."""
    if len(texts) == 1:
        message = ABOUT + texts[0]
    else:
        message = f"{ABOUT}{len(texts)} problems" + "".join(f"\n  - {text}" for text in texts)
    with pytest.raises(HillockError, match=f"^{re.escape(message)}$"):
        place(network, core)


# Places


def test_layers_lie_one_behind_the_other():
    placement = place(NETWORK, config())
    # hidden: 7 neurons on 4 lanes are 2 words, 3 of them in the second; 2 * 5 synapse words. out: 1 word; 7 of those.
    assert placement.layers == (
        LayerPlace(words=2, last_lanes=3, potential_base=0, synapse_base=0, inputs=5),
        LayerPlace(words=1, last_lanes=3, potential_base=2, synapse_base=10, inputs=7),
    )
    assert [where.synapse_words for where in placement.layers] == [10, 7]
    assert (placement.network, placement.config) == (NETWORK, config())


def test_an_encoder_has_no_synapses():
    network = with_layers(ENCODER, layer("out", 5, 3, "encoder"))
    assert place(network, config()).layers == (
        LayerPlace(words=2, last_lanes=1, potential_base=0, synapse_base=0, inputs=0),
        LayerPlace(words=1, last_lanes=3, potential_base=2, synapse_base=0, inputs=5),
    )


def test_a_last_word_that_is_full():
    assert place(with_layers(layer("out", 5, 8)), config()).layers[0].last_lanes == 4


@settings(max_examples=80)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 24))
def test_no_two_neurons_and_no_two_synapses_share_a_place(draw, lanes):
    network = random_network(np.random.default_rng(draw), max_neurons=20)
    placement = place(network, fit(network, lanes))
    potentials: set[tuple[int, int]] = set()
    synapses: set[tuple[int, int]] = set()
    neurons = weights = 0
    for part, where in zip(network.layers, placement.layers, strict=True):
        for neuron in range(part.neurons):
            word, lane = divmod(neuron, lanes)
            assert word < where.words - 1 or lane < where.last_lanes
            potentials.add((where.potential_base + word, lane))
            for address in range(where.inputs):
                synapses.add((where.synapse_base + word * where.inputs + address, lane))
        neurons += part.neurons
        weights += sum(connection.synapses.weights.size for connection in part.connections)
    assert (len(potentials), len(synapses)) == (neurons, weights)
    assert max(word for word, _ in potentials) == placement.config.potential_words - 1
    assert max((word for word, _ in synapses), default=0) == placement.config.synapse_words - 1


# The smallest core

# What `fit` chooses, one by one; the least that it chooses for a network that needs nothing.
SIZES = {
    "weight_bits": 4,
    "current_bits": 2,
    "leak_shift_bits": 3,
    "max_layers": 1,
    "max_neurons": 1,
    "potential_words": 1,
    "synapse_words": 1,
    "classes": 1,
}


@settings(max_examples=60)
@given(draw=st.integers(0, 2**32 - 1), lanes=st.integers(1, 24))
def test_each_size_one_smaller_is_refused(draw, lanes):
    network = random_network(np.random.default_rng(draw), max_neurons=20, leak_shift_bits=5, weight_bits=9)
    core = fit(network, lanes)
    for name, least in SIZES.items():
        value = getattr(core, name)
        assert value >= least
        if value > least:
            with pytest.raises(HillockError, match=rf"^network 'random' on a core of {lanes} lanes: ") as caught:
                place(network, dataclasses.replace(core, **{name: value - 1}))
            # For this reason and no other; several layers may have it.
            reasons = str(caught.value).partition(" lanes: ")[2].split("\n  - ")
            assert all(name in reason for reason in reasons[len(reasons) > 1 :])


def test_each_size_of_a_network_that_uses_them_all():
    """By number, so that the rule above does not stand alone."""
    last = dataclasses.replace(OUT, leak_shift=17, currents=np.array([0, 300, -513]))
    core = fit(with_layers(HIDDEN, last, weight_bits=9), 4)
    assert {name: getattr(core, name) for name in SIZES} == {
        "weight_bits": 9,
        "current_bits": 11,  # -513 needs 11 bits, 300 only 10
        "leak_shift_bits": 5,  # 17
        "max_layers": 2,
        "max_neurons": 7,  # of hidden
        "potential_words": 3,
        "synapse_words": 2 * 5 + 7,
        "classes": 3,
    }
    assert (core.lanes, core.potential_bits, core.fraction_bits) == (4, 16, 4)
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
    assert fit(with_layers(layer("out", 50, 3), inputs=50), 4).max_neurons == 50


def test_a_decision_by_potential_needs_no_counters():
    network = with_layers(HIDDEN, dataclasses.replace(OUT, fires=False), decision=Decision.POTENTIAL)
    assert fit(network, 4).classes == 1
    assert isinstance(place(network, config(classes=1)), Placement)


def test_single_sizes_can_be_chosen():
    core = fit(NETWORK, 4, synapse_words=1000, input_queue=64)
    assert (core.synapse_words, core.input_queue) == (1000, 64)
    assert dataclasses.replace(core, synapse_words=17, input_queue=32) == fit(NETWORK, 4)


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
    image = Layer(name="out", neurons=pixels, threshold=255, current_from_image=True)
    text = (
        f"{core} 3 problems\n"
        "  - max_neurons (neurons of the largest layer, or inputs of the first) must be an integer from 1 to 65536, "
        "not 262145\n"
        "  - potential_words (words of potential memory, one potential per lane in each) must be an integer from 1 to "
        "65536, not 65537\n"
        "  - classes (output neurons that have a spike counter) must be an integer from 1 to 4096, not 262145"
    )
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        fit(with_layers(image, inputs=pixels), 4)


# Everything that is refused


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
        (with_out(leak_shift=8), {}, "layer 'out': leak_shift must be at most 7, not 8: raise leak_shift_bits"),
        (NETWORK, {"max_layers": 1}, f"2 layers are 1 more than max_layers = 1: {LARGER}"),
        (NETWORK, {"potential_words": 2}, f"3 potential words are 1 more than potential_words = 2: {LARGER}"),
        (NETWORK, {"synapse_words": 10}, f"17 synapse words are 7 more than synapse_words = 10: {LARGER}"),
        (NETWORK, {"classes": 2}, f"3 output neurons are 1 more than classes = 2: {LARGER}"),
        (with_layers(layer("out", 5, 4)), {"max_neurons": 4}, "layer 'out': 5 inputs are more than max_neurons = 4"),
        (with_layers(layer("out", 5, 6)), {"max_neurons": 5}, "layer 'out': 6 neurons are more than max_neurons = 5"),
        (
            with_out(currents=np.array([0, -9, 8])),
            {"current_bits": 4},
            "layer 'out': currents from -9 to 8 do not fit in current_bits = 4",
        ),
    ],
)
def test_a_network_that_does_not_fit(network, sizes, text):
    refuses(network, config(**sizes), text)


def test_layers_that_are_no_chain():
    skip = Connection(INPUT, Dense(np.ones((5, 3), int)))
    alone = "a core runs a chain: it must be connected to 'hidden' alone, not to"
    refuses(with_out(connections=(*OUT.connections, skip)), config(), f"layer 'out': {alone} ['hidden', 'input']")
    refuses(with_out(connections=(skip,)), config(), f"layer 'out': {alone} ['input']")
    refuses(with_out(connections=(), currents=np.ones(3, int)), config(), f"layer 'out': {alone} []")
    refuses(with_out(connections=OUT.connections * 2), config(), f"layer 'out': {alone} ['hidden', 'hidden']")


def test_a_first_layer_without_input():
    first = "the first layer must take the image as current, or be connected to 'input'"
    currents = dataclasses.replace(HIDDEN, connections=(), currents=np.ones(7, int))
    refuses(with_layers(currents, OUT), config(), f"layer 'hidden': {first}")
    twice = dataclasses.replace(HIDDEN, connections=HIDDEN.connections * 2)
    refuses(with_layers(twice, OUT), config(), f"layer 'hidden': {first}")


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
        max_neurons=4,
        potential_words=1,
        synapse_words=1,
        classes=1,
    )
    refuses(
        with_layers(HIDDEN, last),
        core,
        "potential_bits of the network is 16, of the core 14: generate the core with the network's",
        "fraction_bits of the network is 4, of the core 5: generate the core with the network's",
        "weights of 8 bits do not fit in weight_bits = 4",
        "layer 'hidden': 7 neurons are more than max_neurons = 4",
        "layer 'hidden': 5 inputs are more than max_neurons = 4",
        "layer 'out': a core runs a chain: it must be connected to 'hidden' alone, not to ['hidden', 'input']",
        "layer 'out': leak_shift must be at most 7, not 9: raise leak_shift_bits",
        "layer 'out': 7 inputs are more than max_neurons = 4",
        "layer 'out': currents from -1 to 4000 do not fit in current_bits = 3",
        f"2 layers are 1 more than max_layers = 1: {LARGER}",
        f"3 potential words are 2 more than potential_words = 1: {LARGER}",
        f"17 synapse words are 16 more than synapse_words = 1: {LARGER}",
        f"3 output neurons are 2 more than classes = 1: {LARGER}",
    )
