"""The tables of the bus agree with themselves, for the smallest and the largest core that can be configured."""

import os
import re
import subprocess
import sys

import pytest

from hillock.hw import registers
from hillock.hw.config import RANGES, REGION_SHIFT, CoreConfig
from hillock.hw.decoder import table_entry_layout
from hillock.hw.formats import connection_layout, descriptor_layout, from_record, neuron_layout, record_bits
from hillock.hw.registers import (
    BUS_ADDRESS_BITS,
    BUS_BITS,
    CONNECTION_RECORD,
    ERRORS,
    LANE_ENTRY,
    LAYER_RECORD,
    RECORD_SLICES,
    REGIONS,
    REGISTERS,
    TABLE_ENTRY,
    Access,
    Field,
    Region,
    Register,
    field_width,
    memory_shape,
    region,
    register,
    slices,
    table_digest,
)
from hillock.hw.spike_queue import lane_entry_layout

LARGEST = {name: high for name, (_, high, _) in RANGES.items()} | {"fraction_bits": 8, "compact": 0}
SMALLEST = {name: low for name, (low, _, _) in RANGES.items()} | {"leak_shift_bits": 1}
CONFIGS = {
    "default": CoreConfig(),
    "smallest": CoreConfig(**SMALLEST),
    "largest": CoreConfig(**LARGEST | {"lanes": 128, "synapse_words": 32768, "potential_words": 32768,
                                       "current_words": 32768, "channel_entries": 32768}),
    "narrow": CoreConfig(**LARGEST | {"lanes": 16, "columns_per_word": 16}),
}  # fmt: skip
RECORDS = {
    "layers": LAYER_RECORD,
    "connections": CONNECTION_RECORD,
    "rows": TABLE_ENTRY,
    "columns": TABLE_ENTRY,
    "channels": TABLE_ENTRY,
    "lanes": LANE_ENTRY,
}
WORDS = {
    **{f"register {entry.name}": entry.fields for entry in REGISTERS},
    **{f"slice {n} of {name}": tuple(field for at, field in record if at == n)
       for name, record in RECORDS.items() for n in range(RECORD_SLICES[name])},
    "error": ERRORS,
}  # fmt: skip
LAYOUTS = {
    "layers": (descriptor_layout, neuron_layout),
    "connections": (connection_layout,),
    "rows": (table_entry_layout,),
    "lanes": (lane_entry_layout,),
}
"""What the core takes from each record."""
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


@every_config
@pytest.mark.parametrize("word", WORDS)
def test_fields_fit_in_a_word_and_do_not_overlap(word, config):
    taken = 0
    for field in WORDS[word]:
        width = field_width(field, config)
        assert width >= 1
        assert field.low + width <= BUS_BITS
        bits = (1 << width) - 1 << field.low
        assert taken & bits == 0
        taken |= bits
    assert taken


def test_names_are_unique():
    for names in (
        [entry.name for entry in REGISTERS],
        [entry.name for entry in REGIONS],
        *[[field.name for _, field in record] for record in RECORDS.values()],
        *[[field.name for field in fields] for fields in WORDS.values()],
    ):
        assert len(set(names)) == len(names)
        assert [name for name in names if not re.fullmatch("[a-z]+(_[a-z]+)*", name)] == []


def test_every_entry_says_what_it_means():
    entries: list[Field | Region] = [*REGIONS, *(field for fields in WORDS.values() for field in fields)]
    assert [entry.name for entry in entries if not entry.meaning or entry.meaning.endswith(".")] == []
    assert {entry.access for entry in REGISTERS} == {Access.RO, Access.RW, Access.W1}


def test_offsets_and_numbers_count_up():
    assert [entry.offset for entry in REGISTERS] == list(range(len(REGISTERS)))
    assert [entry.base for entry in REGIONS] == [number << REGION_SHIFT for number in range(len(REGIONS))]
    assert len(REGIONS) <= 1 << BUS_ADDRESS_BITS - REGION_SHIFT


def test_a_table_that_is_not_in_order_is_refused(monkeypatch):
    for wrong in (
        (*REGISTERS, Register("more", 99, Access.RO, ())),
        (*REGISTERS, Register("cycles", len(REGISTERS), Access.RO, ())),
    ):
        monkeypatch.setattr(registers, "REGISTERS", wrong)
        with pytest.raises(AssertionError, match=r"^offsets must count from 0 and names differ: \[.*\]$"):
            registers._check_tables()
    monkeypatch.undo()
    registers._check_tables()


def test_entries_are_found_by_name():
    assert all(register(entry.name) is entry for entry in REGISTERS)
    assert all(region(entry.name) is entry for entry in REGIONS)


def test_every_region_that_is_written_in_slices_is_a_memory():
    written = [entry.name for entry in REGIONS if entry.parts and entry.parts[0] == "slice"]
    assert sorted(written) == sorted([*RECORDS, "synapses", "currents"])
    assert set(RECORDS) == set(RECORD_SLICES)


@every_config
def test_every_region_fits_in_its_window(config):
    for name in (*RECORDS, "synapses", "currents"):
        words, bits = memory_shape(name, config)
        assert words << config.part_bits <= 1 << REGION_SHIFT
        assert slices(bits) <= 1 << config.part_bits
    assert config.potential_words << config.part_bits <= 1 << REGION_SHIFT
    assert config.lanes <= 1 << config.part_bits
    assert config.classes <= 1 << REGION_SHIFT


@every_config
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_has_no_slice_too_many(name, config):
    words, bits = memory_shape(name, config)
    assert bits == RECORD_SLICES[name] * BUS_BITS
    assert {position for position, _ in RECORDS[name]} == set(range(RECORD_SLICES[name]))
    assert words >= {"layers": config.max_layers, "connections": config.max_connections}.get(name, 0)


def test_memories_that_a_core_may_be_without():
    tables = ("rows", "columns", "channels", "lanes")
    assert [memory_shape(name, CoreConfig())[0] for name in tables] == [0] * 4
    sizes = {"row_entries": 5, "column_entries": 6, "channel_entries": 7}
    several = CoreConfig(lanes=3, max_layers=2, max_width=9, columns_per_word=2, **sizes)
    assert [memory_shape(name, several)[0] for name in tables] == [5, 6, 7, 2 << 2]


@every_config
@pytest.mark.parametrize("name", LAYOUTS)
def test_records_hold_what_the_core_works_with(name, config):
    """Each field of the layouts in the core is the field of that name, as wide, and none is left over."""
    fields = {field.name: field for _, field in RECORDS[name]}
    layouts = [layout(config) for layout in LAYOUTS[name]]
    assert sorted(fields) == sorted(member for layout in layouts for member in layout.members)
    for layout in layouts:
        for member in layout.members:
            assert field_width(fields[member], config) == layout[member].width, member


@every_config
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_record_is_taken_apart_field_by_field(name, config):
    """One field after another all ones, the others 0."""
    for layout in (make(config) for make in LAYOUTS[name]):
        assert [member for member, _, _ in record_bits(RECORDS[name], layout)] == [
            field.name for _, field in RECORDS[name] if field.name in layout.members
        ]
        for position, field in RECORDS[name]:
            ones = (1 << field_width(field, config)) - 1
            raw = from_record(RECORDS[name], layout, ones << position * BUS_BITS + field.low)
            assert raw == (ones << layout[field.name].offset if field.name in layout.members else 0), field.name


@every_config
def test_a_register_holds_the_largest_value(config):
    largest = {
        "layers": config.max_layers,
        "input_channels": config.max_channels,
        "outputs": config.max_channels,
        "decision": config.max_channels - 1,
        "timesteps": 65535,
        "delay": 65534,
        "error": sum(1 << field.low for field in ERRORS),
    }
    for name, value in largest.items():
        (field,) = register(name).fields
        assert value < 1 << field_width(field, config), name
    for name in ("geometry", "capacity"):
        for field in register(name).fields:
            assert getattr(config, field.name) < 1 << field_width(field, config), field.name
    columns, rows = register("input_grid").fields
    assert config.max_width < 1 << field_width(columns, config)
    assert config.max_height < 1 << field_width(rows, config)


@every_config
def test_records_hold_the_largest_values(config):
    high = (1 << config.potential_bits - 1) - 1
    words, currents = config.potential_words, config.current_words
    largest: dict[str, dict[str, int]] = {
        "layers": {
            "potential_base": words - 1, "current_base": currents - 1, "load_base": currents - 1,
            "channel_words": words, "column_words": config.max_width, "rows": config.max_height,
            "channels": config.lanes, "columns": config.columns_per_word, "used_lanes": config.lanes,
            "end_lanes": config.lanes, "threshold": high, "leak_shift": (1 << config.leak_shift_bits) - 1,
            "connections": config.max_connections, "replay_base": max(0, config.replay_words - 1), "current_step": 2,
        },
        "connections": {
            "synapse_base": config.synapse_words - 1, "words": words, "row_base": max(0, config.row_entries - 1),
            "column_base": max(0, config.column_entries - 1), "channel_base": max(0, config.channel_entries - 1),
            "replay_base": max(0, config.replay_words - 1), "source_layer": config.max_layers - 1,
        },
        "rows": {"synapse": config.synapse_words - 1, "potential": words - 1, "count": 31},
        "lanes": {"channel": config.lanes - 1, "column": config.columns_per_word - 1},
    }  # fmt: skip
    for name, values in largest.items():
        fields = {field.name: field for _, field in RECORDS[name]}
        for member, value in values.items():
            assert value < 1 << field_width(fields[member], config), (name, member)
    assert [field.name for record in RECORDS.values() for _, field in record if field.signed] == [
        "preload",
        "reset_amount",
    ]
    fields = {field.name: field for _, field in LAYER_RECORD}
    assert {field_width(fields[name], config) for name in ("preload", "reset_amount")} == {config.potential_bits}


@pytest.mark.parametrize(("bits", "count"), [(1, 1), (32, 1), (33, 2), (256, 8)])
def test_slices(bits, count):
    assert slices(bits) == count


def test_the_digest_depends_on_the_tables_alone(monkeypatch):
    """Equal tables, equal digest, even where strings hash otherwise; another table, another digest."""
    digest = table_digest()
    assert 0 <= digest < 1 << 32
    command = "from hillock.hw.registers import table_digest; print(table_digest())"
    for hash_seed in ("1", "2"):
        printed = subprocess.run(
            [sys.executable, "-c", command], env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert int(printed) == digest

    copied = tuple(Register(entry.name, entry.offset, entry.access, tuple(entry.fields)) for entry in REGISTERS)
    monkeypatch.setattr(registers, "REGISTERS", copied)
    assert table_digest() == digest
    first, *others = ERRORS
    moved = Field(first.name, first.low, 2, first.meaning)
    writable = Register("cycles", copied[-1].offset, Access.RW, copied[-1].fields)
    changed = {
        "ERRORS": (moved, *others),
        "REGIONS": REGIONS[:-1],
        "LAYER_RECORD": LAYER_RECORD[::-1],
        "CONNECTION_RECORD": CONNECTION_RECORD[:-1],
        "TABLE_ENTRY": TABLE_ENTRY[::-1],
        "LANE_ENTRY": LANE_ENTRY[::-1],
        "REGISTERS": (*copied[:-1], writable),
    }
    for name, table in changed.items():
        with monkeypatch.context() as patch:
            patch.setattr(registers, name, table)
            assert table_digest() != digest, name
    assert table_digest() == digest
