"""The bus: its protocol, its registers, `control`, and the error bits. The memories are in `test_bus_memories.py`."""

import random
from typing import Any

import pytest

from control_bus import CONFIGS, ODD, READ_CYCLES, WRITE_CYCLES, on_bus
from gateware import ERROR_BITS, at, put, simulate, word_at
from hillock.hw.config import REGION_SHIFT, CoreConfig
from hillock.hw.core import Core, MemoryInit
from hillock.hw.registers import (
    BUS_BITS,
    CONNECTION_RECORD,
    IDENTITY,
    LAYER_RECORD,
    REGIONS,
    REGISTERS,
    Access,
    field_width,
    region,
    table_digest,
)

NO_REGION = len(REGIONS) << REGION_SHIFT
ADDRESSES = {
    "register": at("identity"),
    "record": word_at("layers", 1, 3, ODD),
    "weight": word_at("synapses", 2, 1, ODD),
    "current": word_at("currents", 3, 4, ODD),
    "potential": word_at("potentials", 3, 4, ODD),
    "count": region("counts").base + 2,
    "no_register": region("registers").base + len(REGISTERS),
    "no_region": NO_REGION,
}
SETTINGS = {
    "layers": {"layers": 1},
    "input_mode": {"image": 0, "is_static": 0},
    "input_channels": {"input_channels": 1},
    "input_grid": {"columns": 1, "rows": 1},
    "timesteps": {"timesteps": 1},
    "delay": {"delay": 0},
    "decision_mode": {"by_potential": 0, "none": 0},
    "outputs": {"outputs": 1},
    "image_words": {"image_words": 0},
}
"""The registers that the host sets, field by field, and what they hold unless told otherwise."""


def port_of(bus, entry, field):
    """The port that shows a field of a register to the core."""
    return getattr(bus.dut, entry.name if len(entry.fields) == 1 else f"{entry.name}_{field.name}")


# The protocol


def test_every_access_takes_the_same_cycles():
    async def test(bus):
        for address in ADDRESSES.values():
            await bus.access(address)
            assert bus.cycles == READ_CYCLES == 8
            await bus.access(address, 0)
            assert bus.cycles == WRITE_CYCLES == 1

    on_bus(test)


def test_accesses_back_to_back(seed):
    """With `cyc` and `stb` high throughout, each access is answered in its own time, with its own data."""
    rng = random.Random(seed)

    async def test(bus):
        held = dict.fromkeys(("timesteps", "delay", "input_channels"), 0)
        for name in held:
            await bus.access(at(name), 0, release=False)
        for _ in range(60):
            name = rng.choice(list(held))
            if rng.random() < 0.5:
                held[name] = rng.randrange(64)
                await bus.access(at(name), held[name], release=False)
                assert bus.cycles == WRITE_CYCLES
            else:
                assert await bus.access(at(name), release=False) == held[name]
                assert bus.cycles == READ_CYCLES

    on_bus(test)


@pytest.mark.parametrize(("cyc", "stb"), [(1, 0), (0, 1), (0, 0)])
@pytest.mark.parametrize("value", [None, 3])
def test_no_access_without_cyc_and_stb(cyc, stb, value):
    async def test(bus):
        await bus.access(at("input_mode"), 1)
        for address in (at("control"), at("timesteps"), at("geometry"), word_at("synapses", 0, 0, ODD), NO_REGION):
            bus.ask(address, value, cyc=cyc, stb=stb)
            for _ in range(2 * READ_CYCLES):
                ack, _, start, abort = await bus.cycle()
                assert (ack, start, abort) == (0, 0, 0)
        assert await bus.access(at("timesteps")) == 1
        assert await bus.errors() == set()
        assert bus.words == []

    on_bus(test)


@pytest.mark.parametrize(("cyc", "stb"), [(0, 1), (1, 0), (0, 0)])
@pytest.mark.parametrize("pause", [1, 2, READ_CYCLES])
def test_an_access_that_is_given_up_is_not_acknowledged(pause, cyc, stb):
    """In any cycle of a read or a write, the last one too; whatever comes next is answered as if nothing had been."""

    async def test(bus):
        await bus.access(at("input_mode"), 1)
        reads = [(address, None, after) for address in ADDRESSES.values() for after in range(1, READ_CYCLES + 1)]
        given_up: list[Any] = list(reads)
        given_up += [(at(name), 7, WRITE_CYCLES) for name in ("timesteps", "control", "geometry")]
        given_up += [(address, 7, WRITE_CYCLES) for address in ADDRESSES.values()]
        for n, (address, value, after) in enumerate(given_up):
            bus.ask(address, value)
            for _ in range(after):
                assert (await bus.cycle())[0] == 0
            bus.ask(at("outputs"), 9, cyc=cyc, stb=stb)
            for _ in range(pause):
                ack, _, start, abort = await bus.cycle()
                assert (ack, start, abort) == (0, 0, 0), (address, after)
            if n % 2:
                assert await bus.access(at("identity")) == IDENTITY
                assert bus.cycles == READ_CYCLES
            else:
                await bus.access(at("delay"), n)
                assert bus.cycles == WRITE_CYCLES
                assert await bus.access(at("delay")) == n
        assert await bus.access(at("timesteps")) == await bus.access(at("outputs")) == 1
        assert await bus.errors() == set()
        assert bus.words == []

    on_bus(test)


# Registers


def random_inputs(rng, config):
    """A value for each input that the registers show."""
    return {"busy": rng.randrange(2), "done": rng.randrange(2), "cycles": rng.getrandbits(32),
            "decision": rng.randrange(config.max_channels)}  # fmt: skip


def fields_of(entry, value, config):
    """The fields of a register value by name; whatever is outside of them must be 0."""
    masks = {field.name: (1 << field_width(field, config)) - 1 << field.low for field in entry.fields}
    assert value & ~sum(masks.values()) == 0, f"{entry.name} has bits outside of its fields: {value:#x}"
    return {field.name: (value & masks[field.name]) >> field.low for field in entry.fields}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_register_of_the_table(config, seed):
    """Each register reads what it should; only those of the host change when written, and all their bits do."""
    rng = random.Random(seed)

    async def test(bus):
        written = {name: dict(fields) for name, fields in SETTINGS.items()}
        assert set(written) == {entry.name for entry in REGISTERS if entry.access == Access.RW}
        for _ in range(4):
            shown = random_inputs(rng, config)
            bus.set(**shown)
            reads = {
                "identity": {"identity": int.from_bytes(b"HILK", "big")},
                "table": {"table": table_digest()},
                "geometry": {name: getattr(config, name) for name in
                             ("lanes", "weight_bits", "potential_bits", "fraction_bits")},
                "capacity": {name: getattr(config, name) for name in ("max_layers", "classes")},
                "control": {"start": 0, "abort": 0, "bank": 0},
                "status": {"busy": shown["busy"], "done": shown["done"], "pending": 0},
                "error": {"error": 0},
                "decision": {"decision": shown["decision"]},
                "cycles": {"cycles": shown["cycles"]},
                **written,
            }  # fmt: skip
            assert len(reads) == len(REGISTERS)
            for entry in REGISTERS:
                got = fields_of(entry, await bus.access(at(entry.name)), config)
                assert got == reads[entry.name], entry.name
            bus.set(busy=0)
            for entry in rng.sample(REGISTERS, len(REGISTERS)):
                if entry.name == "control":
                    continue
                before = await bus.access(at(entry.name))
                value = rng.getrandbits(32)
                await bus.access(at(entry.name), value)
                if entry.access == Access.RW:
                    for field in entry.fields:
                        bits = value >> field.low & (1 << field_width(field, config)) - 1
                        written[entry.name][field.name] = bits
                        assert bus.ctx.get(port_of(bus, entry, field)) == bits, field.name
                elif entry.access == Access.RO:
                    assert await bus.access(at(entry.name)) == before
                assert await bus.errors() == ({"bus_address"} if entry.access == Access.RO else set()), entry.name

    assert IDENTITY == 0x48494C4B
    on_bus(test, config)


def test_registers_begin_with_what_the_core_is_made_with():
    given = {"layers": 3, "input_mode": 3, "input_channels": 42, "input_grid": 4 << 16 | 6, "timesteps": 1000,
             "delay": 7, "decision_mode": 2, "outputs": 10, "image_words": 3}  # fmt: skip

    async def test(bus):
        for name, value in given.items():
            assert await bus.access(at(name)) == value
        assert (bus.ctx.get(bus.dut.input_grid_rows), bus.ctx.get(bus.dut.input_grid_columns)) == (4, 6)

    assert set(given) == set(SETTINGS)
    on_bus(test, registers=given)


@pytest.mark.parametrize(
    ("value", "image", "strobes", "errors"),
    [
        (0, 1, set(), set()),
        (1, 1, {"start"}, set()),
        (5, 1, {"start"}, set()),
        (1, 0, set(), {"start_refused"}),
        (2, 1, {"abort"}, set()),
        (2, 0, {"abort"}, set()),
        (3, 1, {"abort"}, set()),  # giving up wins
        (7, 0, {"abort"}, set()),
        (0xFFFFFFFC, 1, set(), set()),
    ],
)
@pytest.mark.parametrize("busy", [0, 1])
def test_control(value, busy, image, strobes, errors):
    """An abort in the cycle of the acknowledgement, a start from the next one on."""

    async def test(bus):
        await bus.access(at("input_mode"), image)
        bus.set(busy=busy)
        await bus.access(at("control"), value)
        assert bus.strobes == dict.fromkeys(strobes & {"abort"}, WRITE_CYCLES)
        for _ in range(3):
            _, _, start, abort = await bus.cycle()
            assert (start, abort) == ("start" in strobes, 0)
        assert await bus.errors() == errors

    on_bus(test)


def test_a_start_lasts_until_the_inference_begins():
    """What is written meanwhile is refused. The bank comes with it."""

    async def start(bus, value, waits):
        await bus.access(at("control"), value)
        for cycle in range(waits + 1):
            bus.set(started=cycle == waits)
            assert (await bus.cycle())[2] == 1
        bus.set(started=0)
        offset = bus.ctx.get(bus.dut.image_offset)
        assert (await bus.cycle())[2] == 0
        return offset

    async def test(bus):
        await bus.access(at("input_mode"), 1)
        await bus.access(at("image_words"), 3)
        for value, offset in ((1, 0), (5, 3), (5, 3), (1, 0)):
            for waits in (0, 1, 7):
                assert await start(bus, value, waits) == offset
        assert await bus.access(at("status")) == 0
        assert await bus.errors() == set()

        bus.set(busy=1)
        await bus.access(at("control"), 5)
        assert await bus.access(at("status")) == 5  # busy and pending
        await bus.access(at("control"), 1)
        assert await bus.errors() == {"start_refused"}
        bus.set(started=1)
        await bus.cycle()
        bus.set(started=0)
        assert bus.ctx.get(bus.dut.image_offset) == 3  # what was refused changed nothing
        assert await bus.access(at("status")) == 1

    on_bus(test)


def test_a_start_that_is_given_up():
    async def test(bus):
        await bus.access(at("input_mode"), 1)
        bus.set(busy=1)
        await bus.access(at("control"), 1)
        await bus.access(at("control"), 2)
        assert bus.strobes["abort"] == WRITE_CYCLES
        assert (await bus.cycle())[2] == 0
        assert await bus.access(at("status")) == 1
        assert await bus.errors() == set()

    on_bus(test)


# Errors


def test_errors_stay_until_each_is_cleared():
    async def test(bus):
        bus.set(illegal_input=1)
        await bus.cycle()
        bus.set(illegal_input=0)
        await bus.access(at("geometry"), 1)
        await bus.access(word_at("synapses", 0, 1, ODD), 1)
        all_three = ERROR_BITS["input_address"] | ERROR_BITS["bus_address"] | ERROR_BITS["slice_order"]
        assert await bus.access(at("error")) == all_three
        await bus.access(at("error"), ERROR_BITS["bus_address"])
        assert await bus.access(at("error")) == all_three & ~ERROR_BITS["bus_address"]
        await bus.access(at("error"), 0)
        assert await bus.access(at("error")) == all_three & ~ERROR_BITS["bus_address"]
        assert await bus.errors() == {"input_address", "slice_order"}

    on_bus(test)


@pytest.mark.parametrize("cycle", [0, 1, 2])
@pytest.mark.parametrize("cleared", [0, ERROR_BITS["input_address"], ERROR_BITS["bus_address"]])
def test_an_error_while_errors_are_cleared_is_not_lost(cycle, cleared):
    """An illegal input word in any cycle of the access; only one that came before it is acknowledged can be cleared."""

    async def test(bus):
        for now in range(3):
            bus.ask(at("error"), cleared, cyc=now < 2, stb=now < 2)
            bus.set(illegal_input=now == cycle)
            ack, *_ = await bus.cycle()
            assert ack == (now == WRITE_CYCLES)
        bus.set(illegal_input=0)
        lost = cycle < WRITE_CYCLES and cleared == ERROR_BITS["input_address"]
        assert await bus.errors() == (set() if lost else {"input_address"})

    on_bus(test)


def test_nothing_is_left_of_an_inference_that_was_given_up():
    """In any phase of it, the decision that waits to be taken included; seen from the bus of a whole core."""
    config = CoreConfig(lanes=2, max_layers=1, max_connections=1, max_channels=2, potential_words=1, synapse_words=2,
                        current_words=1, queue_words=1, classes=2)  # fmt: skip
    layer = {
        "channel_words": 1, "column_words": 1, "rows": 1, "channels": 2, "columns": 1, "used_lanes": 2, "end_lanes": 2,
        "threshold": 5, "fires": 1, "is_output": 1, "connections": 1,
    }  # fmt: skip
    connection = {"words": 1, "from_input": 1, "synapse_step": 2}
    records = [
        sum(values.get(field.name, 0) << slice_ * BUS_BITS + field.low for slice_, field in record)
        for record, values in ((LAYER_RECORD, layer), (CONNECTION_RECORD, connection))
    ]
    registers = {"input_channels": 2, "outputs": 2}
    core = Core(config, MemoryInit(records[:1], records[1:], [0x0501, 0x0303], registers=registers))
    dones = []

    async def access(ctx, address, value=0, *, write=False):
        put(ctx, core.bus, adr=address, we=write, dat_w=value, cyc=1, stb=1)
        *_, data = await ctx.tick().sample(core.bus.dat_r).until(core.bus.ack)
        ctx.set(core.bus.stb, 0)
        return data

    async def bench(ctx):
        ctx.set(core.spikes.ready, 1)
        for cycles in range(1, 41):
            ctx.set(core.inputs.payload.marker, 1)
            ctx.set(core.inputs.valid, 1)
            await ctx.tick()
            ctx.set(core.inputs.valid, 0)
            await ctx.tick().repeat(cycles)
            dones.append(ctx.get(core.decision.valid))
            await access(ctx, at("control"), 2, write=True)
            assert [await access(ctx, at("status")) for _ in range(2)] == [0, 0], f"given up after {cycles} cycles"
            assert not ctx.get(core.decision.valid)

    simulate(core, bench)
    assert dones == sorted(dones)
    assert set(dones) == {0, 1}
