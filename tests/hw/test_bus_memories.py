"""The memories on the bus: words made of slices, what is refused, what reads back, and what there is not."""

import random

import pytest

from control_bus import COMPACT, CONFIGS, MEMORIES, ODD, READ_CYCLES, memories_of, on_bus
from gateware import at, put, word_at
from hillock.hw.config import REGION_SHIFT
from hillock.hw.control import _READ_CYCLES
from hillock.hw.registers import (
    BUS_ADDRESS_BITS,
    BUS_BITS,
    RECORD_SLICES,
    REGIONS,
    REGISTERS,
    Access,
    memory_shape,
    region,
    slices,
)

ALL_ONES = (1 << RECORD_SLICES["layers"] * BUS_BITS) - 1
NO_REGION = len(REGIONS) << REGION_SHIFT


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_slices_make_words(config, seed):
    """Each word is written once, two cycles after its last slice was acknowledged; registers may come in between."""
    rng = random.Random(seed)

    async def test(bus):
        for name in memories_of(config):
            words, bits = memory_shape(name, config)
            for index in {0, words - 1, rng.randrange(words)}:
                parts = [rng.getrandbits(BUS_BITS) for _ in range(slices(bits))]
                for part, value in enumerate(parts):
                    assert bus.words == []
                    if rng.random() < 0.5:
                        await bus.access(at("timesteps"), 9)
                    assert bus.words == []
                    await bus.access(word_at(name, index, part, config), value)
                for _ in range(2):
                    assert bus.words == []
                    await bus.cycle()
                whole = sum(value << n * BUS_BITS for n, value in enumerate(parts)) & (1 << bits) - 1
                assert bus.words == [(name, index, whole)]
                await bus.cycle()
                bus.words.clear()
        assert await bus.errors() == set()

    on_bus(test, config)


def test_a_compact_core_writes_slice_by_slice(seed):
    """Each in the cycle of its acknowledgement, by its own enable; in order, as anywhere."""
    rng = random.Random(seed)

    async def test(bus):
        for name in memories_of(COMPACT):
            words, bits = memory_shape(name, COMPACT)
            for index in {0, words - 1, rng.randrange(words)}:
                for part in range(slices(bits)):
                    value = rng.getrandbits(BUS_BITS)
                    await bus.access(word_at(name, index, part, COMPACT), value)
                    ((written, at_index, word),) = bus.words
                    assert (written, at_index, bus.enables) == (name, index, 1 << part)
                    low = part * BUS_BITS
                    wide = min(bits - low, BUS_BITS)
                    assert word >> low & (1 << wide) - 1 == value & (1 << wide) - 1
                    await bus.cycle()
                    assert len(bus.words) == 1
                    bus.words.clear()
        assert await bus.errors() == set()
        await bus.access(word_at("currents", 3, 0, COMPACT), 1)
        bus.words.clear()
        await bus.access(word_at("currents", 3, 2, COMPACT), 1)
        await bus.cycle()
        assert await bus.errors() == {"slice_order"}
        assert bus.words == []

    on_bus(test, COMPACT)


def test_registers_that_a_compact_core_has_no_use_for_read_as_0():
    async def test(bus):
        for name, read in (("timesteps", 0xFF), ("delay", 0xFF), ("outputs", 0), ("input_channels", 0)):
            await bus.access(at(name), 0xFFFF)
            assert await bus.access(at(name)) == read
        await bus.access(at("decision_mode"), 3)
        assert await bus.access(at("decision_mode")) == 2
        assert await bus.errors() == set()

    on_bus(test, COMPACT)


@pytest.mark.parametrize(
    ("accesses", "refused", "written"),
    [
        ([(2, 0), (2, 1), (2, 2)], 0, True),
        ([(2, 1)], 1, False),
        ([(2, 2)], 1, False),
        ([(2, 0), (2, 2)], 1, False),
        ([(2, 0), (2, 2), (2, 1)], 1, False),
        ([(2, 0), (2, 2), (2, 1), (2, 2)], 1, True),  # what was refused changed nothing
        ([(2, 0), (2, 0), (2, 1), (2, 2)], 0, True),  # from the beginning again
        ([(2, 0), (2, 1), (2, 1), (2, 2)], 1, True),
        ([(2, 0), (3, 1)], 1, False),
        ([(2, 0), (3, 1), (3, 2)], 2, False),
        ([(2, 0), (2, 1), (3, 2)], 1, False),
        ([(2, 0), (2, 1), (3, 0), (2, 2)], 1, False),
        ([(2, 0), (2, 1), (2, 2), (2, 2)], 1, True),
        ([(2, 0), (2, 1), (2, 2), (3, 1)], 1, True),
    ],
)
def test_slices_out_of_order_write_nothing(accesses, refused, written):
    """Synapse words of three slices, as (word, slice)."""

    async def test(bus):
        assert slices(memory_shape("synapses", ODD)[1]) == 3
        errors = 0
        for n, (index, part) in enumerate(accesses):
            await bus.access(word_at("synapses", index, part, ODD), 100 + part)
            errors += await bus.errors() == {"slice_order"}
            assert n < len(accesses) - 1 or errors == refused
        whole = sum((100 + part) << part * BUS_BITS for part in range(3))
        assert bus.words == [("synapses", 2, whole)] * written

    on_bus(test)


@pytest.mark.parametrize(("one", "other"), [("synapses", "currents"), ("layers", "connections"), ("rows", "columns")])
def test_slices_of_two_memories_do_not_mix(one, other):
    """The same word and slice number, in another memory."""

    async def test(bus):
        await bus.access(word_at(one, 2, 0, ODD), 1)
        await bus.access(word_at(other, 2, 1, ODD), 1)
        assert await bus.errors() == {"slice_order"}
        assert bus.words == []

    on_bus(test)


def test_while_busy_nothing_is_written():
    async def test(bus):
        bus.set(busy=1, record=ALL_ONES, lane_value=5, count=5, done=1, cycles=77)
        for entry in REGISTERS:
            if entry.access == Access.RW:
                before = await bus.access(at(entry.name))
                await bus.access(at(entry.name), 0xFFFF)
                assert await bus.access(at(entry.name)) == before
                assert await bus.errors() == {"load_while_running"}
        for name in memories_of(ODD):
            for part in range(slices(memory_shape(name, ODD)[1])):
                await bus.access(word_at(name, 0, part, ODD), 0xFFFF)
                assert await bus.errors() == {"load_while_running"}
        for address in (at("geometry"), region("counts").base, region("potentials").base, NO_REGION):
            await bus.access(address, 1)
            assert await bus.errors() == {"bus_address"}
        assert bus.words == []

    assert memories_of(ODD) == list(MEMORIES)
    on_bus(test)


def test_while_busy_an_image_is_loaded_into_the_bank_that_is_not_in_use():
    """And nothing else; not into either while a start is pending."""
    words = 3

    async def write(bus, index):
        """Whether a word of the currents was written, or refused."""
        for part in range(slices(memory_shape("currents", ODD)[1])):
            await bus.access(word_at("currents", index, part, ODD), 1)
        await bus.cycle()
        await bus.cycle()
        found, errors = bus.words.copy(), await bus.errors()
        bus.words.clear()
        assert errors == (set() if found else {"load_while_running"})
        assert [(name, address) for name, address, _ in found] == [("currents", index)] * len(found)
        return bool(found)

    async def begin(bus, bank):
        await bus.access(at("control"), 1 | bank << 2)
        bus.set(started=1)
        await bus.cycle()
        bus.set(started=0, busy=1)

    async def test(bus):
        await bus.access(at("input_mode"), 1)
        await bus.access(at("image_words"), words)
        for bank in (0, 1, 0):
            bus.set(busy=0)
            assert all([await write(bus, index) for index in range(8)])
            await begin(bus, bank)
            spare = range(words * (1 - bank), words * (2 - bank))
            assert [index for index in range(8) if await write(bus, index)] == list(spare)
            for name in ("synapses", "layers"):
                await bus.access(word_at(name, 0, 0, ODD), 1)
                assert await bus.errors() == {"load_while_running"}
            await bus.access(at("control"), 1)  # pending now
            assert not any([await write(bus, index) for index in range(8)])
            bus.set(started=1)
            await bus.cycle()
            bus.set(started=0)
        bus.set(busy=0)
        await bus.access(at("image_words"), 0)  # one bank only
        await begin(bus, 0)
        assert not any([await write(bus, index) for index in range(8)])

    on_bus(test)


def test_while_busy_the_registers_can_be_read_and_the_memories_read_as_0():
    async def test(bus):
        bus.set(record=ALL_ONES, lane_value=5, count=5, cycles=77)
        wanted = {word_at("layers", 1, 3, ODD): 0xFFFFFFFF, region("counts").base + 2: 5}
        wanted |= {word_at(name, 3, 4, ODD): 5 for name in ("synapses", "currents", "potentials")}
        for busy in (0, 1):
            bus.set(busy=busy)
            assert await bus.access(at("cycles")) == 77
            assert await bus.access(at("status")) == busy
            for address, value in wanted.items():
                assert await bus.access(address) == (0 if busy else value)
            assert await bus.errors() == set()

    on_bus(test)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_beyond_what_there_is(config):
    """Reads as 0, changes nothing, and says so."""
    beyond = [
        at("identity") + len(REGISTERS),
        at("identity") + (1 << REGION_SHIFT) - 1,
        region("counts").base + config.classes,
    ]
    beyond += [number << REGION_SHIFT for number in range(len(REGIONS), 1 << BUS_ADDRESS_BITS - REGION_SHIFT)]
    for name in MEMORIES:
        words, bits = memory_shape(name, config)
        beyond += [
            word_at(name, words, 0, config),
            word_at(name, (1 << REGION_SHIFT - config.part_bits) - 1, 0, config),
        ]
        beyond += [word_at(name, 0, max(slices(bits), config.lanes), config)] * (config.lanes < 1 << config.part_bits)
    beyond += [word_at("potentials", config.potential_words, 0, config)]
    no_slice = [word_at(name, 0, slices(memory_shape(name, config)[1]), config) for name in memories_of(config)]
    unreadable = [word_at(name, 0, 0, config) for name in ("connections", "rows", "columns", "channels", "lanes")]

    async def test(bus):
        bus.set(record=ALL_ONES, lane_value=5, count=5)
        for address in [*beyond, *unreadable]:
            assert await bus.access(address) == 0
            assert await bus.errors() == {"bus_address"}
        # What can be read, but not written, or only in other parts.
        for address in [*beyond, *no_slice, region("counts").base, word_at("potentials", 0, 0, config)]:
            await bus.access(address, 1)
            assert await bus.errors() == {"bus_address"}
        assert bus.words == []

    on_bus(test, config)


def test_reads_what_is_there_in_the_last_cycle(seed):
    """The index and the lane are there at once; what belongs to them has `_READ_CYCLES` cycles to arrive.

    A record has one less: its slice is chosen before.
    """
    rng = random.Random(seed)

    async def test(bus):
        dut = bus.dut
        for name, target, part in (
            ("layers", "record", 2),
            ("layers", "record", 9),
            ("synapses", "lane_value", 4),
            ("currents", "lane_value", 3),
            ("potentials", "lane_value", 1),
            ("counts", "count", None),
        ):
            index = rng.randrange(2)
            bus.ask(region(name).base + index if part is None else word_at(name, index, part, ODD))
            for cycle in range(READ_CYCLES):
                assert bus.ctx.get(dut.index) == index
                assert part is None or name == "layers" or bus.ctx.get(dut.lane) == part
                value = 1000 + cycle
                bus.ctx.set(getattr(dut, target), value << BUS_BITS * part if part and target == "record" else value)
                ack, *_ = await bus.cycle()
                assert not ack
            bus.ctx.set(getattr(dut, target), 0)
            ack, data, *_ = await bus.cycle()
            assert (ack, data) == (1, 1000 + _READ_CYCLES - (target == "record"))
            put(bus.ctx, dut.bus, cyc=0)
            await bus.cycle()

    on_bus(test)


def test_every_slice_of_a_layer_record():
    async def test(bus):
        count = RECORD_SLICES["layers"]
        bus.set(record=sum((100 + n) << n * BUS_BITS for n in range(count)))
        for n in range(count):
            assert await bus.access(word_at("layers", 0, n, ODD)) == 100 + n

    on_bus(test)
