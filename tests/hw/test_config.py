"""The configuration of a core: what it refuses, in whose words, and what it derives."""

import dataclasses
import re

import pytest

from hillock.hw.config import RANGES as GIVEN_RANGES
from hillock.hw.config import REGION_SHIFT, CoreConfig
from hillock.hw.problems import HillockError

RANGES = {
    "lanes": (1, 128, "weights added per clock cycle"),
    "weight_bits": (4, 16, "width of a signed weight"),
    "potential_bits": (4, 32, "width of a signed membrane potential"),
    "fraction_bits": (0, 15, "bits of the potential below the weight's unit"),
    "current_bits": (2, 32, "width of a signed current"),
    "payload_bits": (1, 8, "width of what an event carries; 1: events count 1, and there are no multipliers"),
    "leak_shift_bits": (0, 5, "width of the leak shift; 3 allows shifts 1 to 7; 0: a core that never leaks"),
    "max_layers": (1, 256, "layers that the core takes turns at"),
    "max_connections": (1, 1024, "connections of all these layers"),
    "max_channels": (1, 131072, "channels of the largest grid, of the input too"),
    "max_height": (1, 1024, "rows of the largest grid"),
    "max_width": (1, 1024, "columns of the largest grid"),
    "columns_per_word": (1, 128, "neighbouring columns that may share a potential word"),
    "potential_words": (1, 65536, "words of potential memory, one potential per lane in each"),
    "synapse_words": (1, 262144, "words of synapse memory, one weight per lane in each"),
    "current_words": (1, 65536, "words of current memory, one current per lane in each"),
    "queue_words": (1, 65536, "words of the largest layer whose spikes wait in a queue"),
    "replay_words": (0, 65536, "spike words kept for a later layer; 0: a core that runs chains only"),
    "row_entries": (0, 16384, "entries of the row table; 0: a core that runs dense connections only"),
    "column_entries": (0, 16384, "entries of the column table"),
    "channel_entries": (0, 65536, "entries of the channel table; 0: no grouped connections"),
    "static_input": (0, 1, "whether input can be held as a current (direct coding)"),
    "image_banks": (1, 2, "images that the currents hold: with 2 the next is loaded during an inference"),
    "passes_on": (0, 1, "whether another core comes behind: the next inference then begins without a decision"),
    "classes": (1, 4096, "output neurons that have a spike counter"),
    "input_queue": (0, 4096, "input words that may wait for the core, at least 4; 0: a core that only images feed"),
    "single_port": (0, 1, "whether the synapse memory has one port, for reading and writing, as large RAMs may have"),
    "compact": (
        0,
        1,
        "whether it is small rather than fast, which only a core can be that runs dense connections alone",
    ),
}
TABLES = {"row_entries": 8, "column_entries": 8}
COMPACT = {"compact": 1, "leak_shift_bits": 0}
GRIDS = TABLES | {"max_height": 4, "max_width": 4}


def refuses(text, **changes):
    with pytest.raises(HillockError, match=f"^{re.escape(f'core configuration: {text}')}$"):
        CoreConfig(**changes)


def test_every_field_has_its_range():
    assert [field.name for field in dataclasses.fields(CoreConfig)] == list(RANGES)
    assert GIVEN_RANGES == RANGES


@pytest.mark.parametrize("name", RANGES)
def test_out_of_range(name):
    low, high, meaning = RANGES[name]
    for value in (low - 1, high + 1, -1, 1.0, "8", None, True, float("nan")):
        refuses(f"{name} ({meaning}) must be an integer from {low} to {high}, not {value!r}", **{name: value})


@pytest.mark.parametrize("name", RANGES)
def test_the_smallest_value_is_accepted(name):
    """With room left for it in the others."""
    low = RANGES[name][0]
    others = {"weight_bits": 4, "fraction_bits": 0, "current_bits": 2}
    others |= {"leak_shift_bits": {"compact": 1}}.get(name, {})
    assert getattr(CoreConfig(**(others | {name: low})), name) == low


@pytest.mark.parametrize("name", RANGES)
def test_the_largest_value_is_accepted(name):
    high = RANGES[name][1]
    others = {"potential_bits": 32, "max_width": 128, **TABLES}
    others |= {
        "synapse_words": {"lanes": 1},  # the window of the bus is the tighter limit for more
        "columns_per_word": {"lanes": 128},
        "static_input": {"current_bits": 32},
        "compact": COMPACT | {"potential_bits": 31, "max_width": 1, "row_entries": 0, "column_entries": 0},
    }.get(name, {})
    assert getattr(CoreConfig(**(others | {name: high})), name) == high


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"weight_bits": 8, "fraction_bits": 4, "potential_bits": 11, "current_bits": 8},
            "potential_bits must be at least weight_bits + fraction_bits (+ payload_bits where events carry more than "
            "1) = 12, not 11: a single event would not fit in a potential",
        ),
        (
            {"payload_bits": 5},
            "potential_bits must be at least weight_bits + fraction_bits (+ payload_bits where events carry more than "
            "1) = 17, not 16: a single event would not fit in a potential",
        ),
        (
            {"potential_bits": 12, "current_bits": 13},
            "current_bits must be at most potential_bits = 12, not 13",
        ),
        (
            {"lanes": 128, "synapse_words": 32769},
            "synapse_words must be at most 32768 with 128 lanes, not 32769: the memory would not fit in its window of "
            "the bus",
        ),
        (
            {"lanes": 65, "potential_words": 32769},
            "potential_words must be at most 32768 with 65 lanes, not 32769: the memory would not fit in its window of "
            "the bus",
        ),
        (
            {"lanes": 65, "current_words": 32769},
            "current_words must be at most 32768 with 65 lanes, not 32769: the memory would not fit in its window of "
            "the bus",
        ),
        (
            GRIDS | {"lanes": 65, "channel_entries": 32769},
            "channel_entries must be at most 32768 with 65 lanes, not 32769: the memory would not fit in its window of "
            "the bus",
        ),
        (
            {"lanes": 17, "synapse_words": 131073},
            "synapse_words must be at most 131072 with 17 lanes, not 131073: the memory would not fit in its window of "
            "the bus",
        ),
        (
            {"input_queue": 3},
            "input_queue must be 0 or at least 4, not 3: a shorter queue would hold up the core",
        ),
        ({"leak_shift_bits": 0}, "leak_shift_bits must be at least 1, not 0, in a core that is not compact"),
        (COMPACT | TABLES, "row_entries must be 0 in a compact core, not 8"),
        (COMPACT | {"replay_words": 7}, "replay_words must be 0 in a compact core, not 7"),
        (COMPACT | {"static_input": 1}, "static_input must be 0 in a compact core, not 1"),
        (COMPACT | {"leak_shift_bits": 3}, "leak_shift_bits must be 0 in a compact core, not 3"),
        (COMPACT | {"payload_bits": 2, "potential_bits": 20}, "payload_bits must be 1 in a compact core, not 2"),
        (COMPACT | {"potential_bits": 32}, "potential_bits must be at most 31 in a compact core, not 32"),
        (COMPACT | {"lanes": 12}, "lanes must be a power of two from 2 on in a compact core, not 12"),
        (COMPACT | {"lanes": 1}, "lanes must be a power of two from 2 on in a compact core, not 1"),
        (COMPACT | {"potential_words": 1}, "potential_words must be at least 2 in a compact core, not 1"),
        (
            {"row_entries": 3},
            "row_entries = 3, column_entries = 0 and channel_entries = 0: a core has the row and the column table or "
            "neither, and a channel table only beside them",
        ),
        (
            {"column_entries": 4},
            "row_entries = 0, column_entries = 4 and channel_entries = 0: a core has the row and the column table or "
            "neither, and a channel table only beside them",
        ),
        (
            {"channel_entries": 5},
            "row_entries = 0, column_entries = 0 and channel_entries = 5: a core has the row and the column table or "
            "neither, and a channel table only beside them",
        ),
        (
            {"max_height": 2},
            "max_height = 2 and max_width = 1 need a row and a column table: give row_entries and column_entries",
        ),
        (
            {"max_width": 3},
            "max_height = 1 and max_width = 3 need a row and a column table: give row_entries and column_entries",
        ),
        ({"columns_per_word": 2}, "columns_per_word must be at most min(lanes, max_width) = 1, not 2"),
        (
            GRIDS | {"lanes": 3, "columns_per_word": 4},
            "columns_per_word must be at most min(lanes, max_width) = 3, not 4",
        ),
        (
            {"static_input": 1, "current_bits": 15},
            "with static_input current_bits must be potential_bits = 16, not 15: the current is integrated as a "
            "potential is",
        ),
        (
            {"lanes": 0, "classes": "ten", "input_queue": -1},
            "3 problems\n"
            "  - lanes (weights added per clock cycle) must be an integer from 1 to 128, not 0\n"
            "  - classes (output neurons that have a spike counter) must be an integer from 1 to 4096, not 'ten'\n"
            "  - input_queue (input words that may wait for the core, at least 4; 0: a core that only images feed) "
            "must be an integer from 0 to 4096, not -1",
        ),
        (
            {"potential_bits": 11, "lanes": 128, "synapse_words": 32769, "channel_entries": 1, "max_width": 2,
             "columns_per_word": 3, "static_input": 1},
            "7 problems\n"
            "  - potential_bits must be at least weight_bits + fraction_bits (+ payload_bits where events carry more "
            "than 1) = 12, not 11: a single event would not fit in a potential\n"
            "  - current_bits must be at most potential_bits = 11, not 16\n"
            "  - row_entries = 0, column_entries = 0 and channel_entries = 1: a core has the row and the column table "
            "or neither, and a channel table only beside them\n"
            "  - max_height = 1 and max_width = 2 need a row and a column table: give row_entries and column_entries\n"
            "  - columns_per_word must be at most min(lanes, max_width) = 2, not 3\n"
            "  - with static_input current_bits must be potential_bits = 11, not 16: the current is integrated as a "
            "potential is\n"
            "  - synapse_words must be at most 32768 with 128 lanes, not 32769: the memory would not fit in its window "
            "of the bus",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together(changes, text):
    refuses(text, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"potential_bits": 12, "current_bits": 12},
        {"payload_bits": 4},
        {"lanes": 128, "synapse_words": 32768},
        {"lanes": 16, "synapse_words": 262144},
        TABLES,
        GRIDS | {"lanes": 4, "columns_per_word": 4, "channel_entries": 1},
        {"static_input": 1},
    ],
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
    ("changes", "tables", "grouped", "column_lanes", "cycles"),
    [
        ({}, False, False, False, 0),
        (TABLES, True, False, False, 3),
        (TABLES | {"channel_entries": 1}, True, True, False, 3),
        (GRIDS | {"columns_per_word": 2}, True, False, True, 3),
    ],
)
def test_what_a_core_has(changes, tables, grouped, column_lanes, cycles):
    config = CoreConfig(**changes)
    assert (config.tables, config.grouped, config.column_lanes) == (tables, grouped, column_lanes)
    assert config.decode_cycles == cycles


@pytest.mark.parametrize(("words", "one_word"), [(1, True), (2, False)])
def test_one_word_of_potentials(words, one_word):
    assert CoreConfig(potential_words=words).one_word is one_word


@pytest.mark.parametrize(("lanes", "bits"), [(1, 4), (8, 4), (16, 4), (17, 5), (64, 6), (65, 7), (128, 7)])
def test_part_bits(lanes, bits):
    """A record has up to sixteen slices, whatever the number of lanes."""
    assert CoreConfig(lanes=lanes).part_bits == bits
    assert REGION_SHIFT - bits >= 15  # which leaves room for the words


def test_as_dict_makes_the_configuration_again():
    config = CoreConfig(lanes=3, potential_bits=20, classes=5, **GRIDS)
    assert CoreConfig(**config.as_dict()) == config
