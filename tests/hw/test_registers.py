"""The tables of the bus agree with themselves, for the smallest and the largest core that can be configured."""

import os
import re
import subprocess
import sys

import pytest

from hillock.hw import registers
from hillock.hw.config import REGION_SHIFT, CoreConfig
from hillock.hw.formats import descriptor_layout, neuron_layout
from hillock.hw.registers import (
    BUS_ADDRESS_BITS,
    BUS_BITS,
    ERRORS,
    LAYER_RECORD,
    LAYER_RECORD_SLICES,
    REGIONS,
    REGISTERS,
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

CONFIGS = {
    "default": CoreConfig(),
    "smallest": CoreConfig(lanes=1, weight_bits=4, potential_bits=4, fraction_bits=0, current_bits=2, leak_shift_bits=1,
                           max_layers=1, max_neurons=1, potential_words=1, synapse_words=1, classes=1, input_queue=4),
    "largest": CoreConfig(lanes=128, weight_bits=16, potential_bits=32, fraction_bits=15, current_bits=32,
                          leak_shift_bits=5, max_layers=256, max_neurons=65536, potential_words=16384,
                          synapse_words=16384, classes=4096, input_queue=4096),
    "narrow": CoreConfig(lanes=1, potential_bits=32, max_layers=256, max_neurons=65536, potential_words=65536,
                         synapse_words=262144, classes=4096),
}  # fmt: skip
WORDS = {
    **{f"register {entry.name}": entry.fields for entry in REGISTERS},
    **{f"slice {n} of a layer record": tuple(field for at, field in LAYER_RECORD if at == n)
       for n in range(LAYER_RECORD_SLICES)},
    "error": ERRORS,
}  # fmt: skip
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
        [field.name for _, field in LAYER_RECORD],
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


@every_config
def test_every_region_fits_in_its_window(config):
    for name in ("layers", "synapses", "currents"):
        words, bits = memory_shape(name, config)
        assert words << config.part_bits <= 1 << REGION_SHIFT
        assert slices(bits) <= 1 << config.part_bits
    assert config.lanes <= 1 << config.part_bits
    assert config.classes <= 1 << REGION_SHIFT
    assert memory_shape("layers", config)[1] == LAYER_RECORD_SLICES * BUS_BITS


@every_config
def test_the_layer_record_holds_what_the_core_works_with(config):
    """Each field of the two layouts in the core is the field of that name, as wide, and none is left over."""
    fields = {field.name: field for _, field in LAYER_RECORD}
    layouts = (descriptor_layout(config), neuron_layout(config))
    assert sorted(fields) == sorted(name for layout in layouts for name in layout.members)
    for layout in layouts:
        for name in layout.members:
            assert field_width(fields[name], config) == layout[name].width, name


@every_config
def test_a_register_holds_the_largest_value(config):
    largest = {
        "layers": config.max_layers,
        "inputs": config.max_neurons,
        "outputs": config.max_neurons,
        "decision": config.max_neurons - 1,
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


@every_config
def test_a_layer_record_holds_the_largest_values(config):
    high = (1 << config.potential_bits - 1) - 1
    largest = {
        "inputs": config.max_neurons, "words": config.max_words, "last_lanes": config.lanes,
        "potential_base": config.potential_words - 1, "synapse_base": config.synapse_words - 1, "threshold": high,
    }  # fmt: skip
    fields = {field.name: field for _, field in LAYER_RECORD}
    for name, value in largest.items():
        assert value < 1 << field_width(fields[name], config), name
    assert [name for name, field in fields.items() if field.signed] == ["preload", "reset_amount"]
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
    writable = Register("cycles", 14, Access.RW, copied[-1].fields)
    changed = {
        "ERRORS": (moved, *others),
        "REGIONS": REGIONS[:-1],
        "LAYER_RECORD": LAYER_RECORD[::-1],
        "REGISTERS": (*copied[:-1], writable),
    }
    for name, table in changed.items():
        with monkeypatch.context() as patch:
            patch.setattr(registers, name, table)
            assert table_digest() != digest, name
    assert table_digest() == digest
