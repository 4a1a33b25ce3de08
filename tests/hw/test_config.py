"""The configuration of a core: what it refuses, in whose words, and what it derives."""

import dataclasses
import re

import pytest

from hillock.hw.config import REGION_SHIFT, CoreConfig
from hillock.hw.problems import HillockError

RANGES = {
    "lanes": (1, 128, "weights added per clock cycle"),
    "weight_bits": (4, 16, "width of a signed weight"),
    "potential_bits": (4, 32, "width of a signed membrane potential"),
    "fraction_bits": (0, 15, "bits of the potential below the weight's unit"),
    "current_bits": (2, 32, "width of a signed current"),
    "leak_shift_bits": (1, 5, "width of the leak shift; 3 allows shifts 1 to 7"),
    "max_layers": (1, 256, "layers that the core takes turns at"),
    "max_neurons": (1, 65536, "neurons of the largest layer, or inputs of the first"),
    "potential_words": (1, 65536, "words of potential memory, one potential per lane in each"),
    "synapse_words": (1, 1048576, "words of synapse memory, one weight per lane in each"),
    "classes": (1, 4096, "output neurons that have a spike counter"),
    "input_queue": (4, 4096, "input words that may wait for the core"),
}


def refuses(text, **changes):
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        CoreConfig(**changes)


def test_every_field_has_its_range():
    assert [field.name for field in dataclasses.fields(CoreConfig)] == list(RANGES)


@pytest.mark.parametrize("name", RANGES)
def test_out_of_range(name):
    low, high, meaning = RANGES[name]
    for value in (low - 1, high + 1, -1, 1.0, "8", None, True, float("nan")):
        refuses(
            f"core configuration: {name} ({meaning}) must be an integer from {low} to {high}, not {value!r}",
            **{name: value},
        )


@pytest.mark.parametrize("name", RANGES)
def test_the_smallest_value_is_accepted(name):
    """With room left for it in the others."""
    low = RANGES[name][0]
    others = {"weight_bits": 4, "fraction_bits": 0, "current_bits": 2}
    assert getattr(CoreConfig(**(others | {name: low})), name) == low


@pytest.mark.parametrize("name", RANGES)
def test_the_largest_value_is_accepted(name):
    high, others = RANGES[name][1], {"potential_bits": 32}
    if name == "synapse_words":  # the window of the bus is the tighter limit, for any number of lanes
        high, others = 1 << REGION_SHIFT - 3, {"lanes": 1}
    assert getattr(CoreConfig(**(others | {name: high})), name) == high


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"weight_bits": 8, "fraction_bits": 4, "potential_bits": 11, "current_bits": 8},
            "core configuration: potential_bits must be at least weight_bits + fraction_bits = 12, not 11: a single "
            "weight would not fit in a potential",
        ),
        (
            {"potential_bits": 12, "current_bits": 13},
            "core configuration: current_bits must be at most potential_bits = 12, not 13",
        ),
        (
            {"lanes": 128, "synapse_words": 16385},
            "core configuration: synapse_words must be at most 16384 with 128 lanes, not 16385: the memory would not "
            "fit in its window of the bus",
        ),
        (
            {"lanes": 65, "potential_words": 16385},
            "core configuration: potential_words must be at most 16384 with 65 lanes, not 16385: the memory would not "
            "fit in its window of the bus",
        ),
        (
            {"lanes": 1, "synapse_words": 262145},
            "core configuration: synapse_words must be at most 262144 with 1 lanes, not 262145: the memory would not "
            "fit in its window of the bus",
        ),
        (
            {"lanes": 0, "classes": "ten", "input_queue": 3},
            "core configuration: 3 problems\n"
            "  - lanes (weights added per clock cycle) must be an integer from 1 to 128, not 0\n"
            "  - classes (output neurons that have a spike counter) must be an integer from 1 to 4096, not 'ten'\n"
            "  - input_queue (input words that may wait for the core) must be an integer from 4 to 4096, not 3",
        ),
        (
            {"potential_bits": 11, "lanes": 128, "synapse_words": 16385, "potential_words": 16385},
            "core configuration: 4 problems\n"
            "  - potential_bits must be at least weight_bits + fraction_bits = 12, not 11: a single weight would not "
            "fit in a potential\n"
            "  - current_bits must be at most potential_bits = 11, not 16\n"
            "  - synapse_words must be at most 16384 with 128 lanes, not 16385: the memory would not fit in its window "
            "of the bus\n"
            "  - potential_words must be at most 16384 with 128 lanes, not 16385: the memory would not fit in its "
            "window of the bus",
        ),
    ],
)
def test_what_does_not_go_together(changes, text):
    refuses(text, **changes)


@pytest.mark.parametrize(
    "changes", [{"potential_bits": 12, "current_bits": 12}, {"lanes": 128, "synapse_words": 16384}]
)
def test_what_just_goes_together(changes):
    assert CoreConfig(**changes).as_dict() == CoreConfig().as_dict() | changes


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'lanes'"):
        CoreConfig().lanes = 8  # type: ignore[misc]
    with pytest.raises(TypeError, match="positional"):
        CoreConfig(16)  # type: ignore[call-arg]
    assert CoreConfig(lanes=16) == CoreConfig()
    assert hash(CoreConfig(lanes=16)) == hash(CoreConfig())


@pytest.mark.parametrize(
    ("lanes", "neurons", "words"),
    [(16, 1, 1), (16, 16, 1), (16, 17, 2), (16, 1024, 64), (1, 7, 7), (3, 7, 3), (128, 129, 2)],
)
def test_words(lanes, neurons, words):
    config = CoreConfig(lanes=lanes, max_neurons=neurons)
    assert config.words(neurons) == words == config.max_words


@pytest.mark.parametrize(
    ("neurons", "bits"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10), (1025, 11), (65536, 16)]
)
def test_address_bits(neurons, bits):
    assert CoreConfig(max_neurons=neurons).address_bits == bits


@pytest.mark.parametrize(("lanes", "bits"), [(1, 3), (8, 3), (9, 4), (16, 4), (17, 5), (64, 6), (65, 7), (128, 7)])
def test_part_bits(lanes, bits):
    """A layer record has eight slices, whatever the number of lanes."""
    assert CoreConfig(lanes=lanes).part_bits == bits


def test_as_dict_makes_the_configuration_again():
    config = CoreConfig(lanes=3, potential_bits=20, classes=5)
    assert CoreConfig(**config.as_dict()) == config
