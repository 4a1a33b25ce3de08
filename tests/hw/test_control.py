"""The bus: its protocol, every register of the table, slices of memory words, what is refused, and the error bits."""

import random

import pytest
from amaranth.sim import Simulator

from hillock.hw.config import REGION_SHIFT, CoreConfig
from hillock.hw.control import _READ_CYCLES, Control
from hillock.hw.core import Core, MemoryInit
from hillock.hw.registers import (
    BUS_BITS,
    ERRORS,
    IDENTITY,
    LAYER_RECORD,
    LAYER_RECORD_SLICES,
    REGIONS,
    REGISTERS,
    Access,
    field_width,
    memory_shape,
    region,
    register,
    slices,
    table_digest,
)

CONFIGS = {
    "default": CoreConfig(),
    "odd": CoreConfig(lanes=5, weight_bits=15, potential_bits=27, current_bits=26, max_layers=3, max_neurons=77,
                      potential_words=9, synapse_words=21, classes=6),
    "one_lane": CoreConfig(lanes=1, max_layers=1, max_neurons=1, potential_words=1, synapse_words=1, classes=1),
}  # fmt: skip
ODD = CONFIGS["odd"]
WRITE_CYCLES, READ_CYCLES = 1, _READ_CYCLES + 1
"""Cycles from the access to its acknowledgement."""
MEMORIES = ("layers", "synapses", "currents")
INPUTS = ("busy", "done", "decision", "cycles", "record", "lane_value", "count")
BITS = {field.name: 1 << field.low for field in ERRORS}


def at(name):
    """Bus address of a register."""
    return region("registers").base + register(name).offset


def word_at(name, index, part, config=ODD):
    """Bus address of a slice or lane of a memory word."""
    return region(name).base + (index << config.part_bits | part)


class Bus:
    """Accesses a `Control`; `cycles` is how long the last access took, `strobes` when `start` and `abort` came."""

    def __init__(self, ctx, dut):
        self.ctx, self.dut = ctx, dut
        self.cycles, self.strobes = 0, {}
        self.words = []

    def set(self, **values):
        for name, value in values.items():
            self.ctx.set(getattr(self.dut, name), value)

    async def cycle(self):
        """One clock cycle; (acknowledged, data, start, abort). Notes memory words that are written."""
        bus, dut = self.dut.bus, self.dut
        ports = [getattr(dut, f"write_{name}") for name in MEMORIES]
        _, _, ack, data, start, abort, *writes = await self.ctx.tick().sample(
            bus.ack,
            bus.dat_r,
            dut.start,
            dut.abort,
            *(value for port in ports for value in (port.en, port.addr, port.data)),
        )
        for n, name in enumerate(MEMORIES):
            enable, address, value = writes[3 * n : 3 * n + 3]
            if enable:
                self.words.append((name, address, value))
        return ack, data, start, abort

    async def access(self, address, value=None, *, release=True):
        """A write (with `value`) or a read of what is returned. Without `release` the next access follows at once."""
        bus = self.dut.bus
        for port, driven in ((bus.adr, address), (bus.we, value is not None), (bus.dat_w, value or 0)):
            self.ctx.set(port, driven)
        self.ctx.set(bus.cyc, 1)
        self.ctx.set(bus.stb, 1)
        self.cycles, self.strobes = -1, {}
        ack = False
        while not ack:
            ack, data, start, abort = await self.cycle()
            self.cycles += 1
            assert self.cycles < 20, "no acknowledgement"
            self.strobes |= {name: self.cycles for name, strobe in (("start", start), ("abort", abort)) if strobe}
        if release:
            self.ctx.set(bus.cyc, 0)
            self.ctx.set(bus.stb, 0)
        return data

    async def errors(self):
        """The names in `error`, which is cleared."""
        found = await self.access(at("error"))
        assert await self.access(at("error")) == found, "reading clears nothing"
        await self.access(at("error"), found)
        assert await self.access(at("error")) == 0
        return {name for name, bit in BITS.items() if found & bit}


def simulate(test, config=ODD, registers=None):
    """Run `test(bus)`, a coroutine, on a fresh `Control`."""
    dut = Control(config, registers=registers or {})
    ran = []

    async def testbench(ctx):
        await test(Bus(ctx, dut))
        ran.append(True)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert ran == [True]


ADDRESSES = {
    "register": at("identity"),
    "record": word_at("layers", 1, 3),
    "weight": word_at("synapses", 2, 1),
    "current": word_at("currents", 3, 4),
    "potential": word_at("potentials", 3, 4),
    "count": region("counts").base + 2,
    "no_register": region("registers").base + len(REGISTERS),
    "no_region": 7 << REGION_SHIFT,
}


def test_every_access_takes_the_same_cycles():
    async def test(bus):
        for address in ADDRESSES.values():
            await bus.access(address)
            assert bus.cycles == READ_CYCLES == 7
            await bus.access(address, 0)
            assert bus.cycles == WRITE_CYCLES == 1

    simulate(test)


def test_accesses_back_to_back(seed):
    """With `cyc` and `stb` high throughout, each access is answered in its own time, with its own data."""
    rng = random.Random(seed)

    async def test(bus):
        held = dict.fromkeys(("timesteps", "delay", "inputs"), 0)
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

    simulate(test)


@pytest.mark.parametrize(("cyc", "stb"), [(1, 0), (0, 1), (0, 0)])
@pytest.mark.parametrize("we", [0, 1])
def test_no_access_without_cyc_and_stb(cyc, stb, we):
    async def test(bus):
        await bus.access(at("inputs"), 0)
        for address in (at("control"), at("timesteps"), at("geometry"), word_at("synapses", 0, 0), 7 << REGION_SHIFT):
            for port, value in ((bus.dut.bus.adr, address), (bus.dut.bus.we, we), (bus.dut.bus.dat_w, 3)):
                bus.ctx.set(port, value)
            bus.ctx.set(bus.dut.bus.cyc, cyc)
            bus.ctx.set(bus.dut.bus.stb, stb)
            for _ in range(2 * READ_CYCLES):
                ack, _, start, abort = await bus.cycle()
                assert (ack, start, abort) == (0, 0, 0)
        assert await bus.access(at("timesteps")) == 1
        assert await bus.errors() == set()
        assert bus.words == []

    simulate(test)


def random_inputs(rng, config):
    """A value for each input that the registers show."""
    return {"busy": rng.randrange(2), "done": rng.randrange(2), "cycles": rng.getrandbits(32),
            "decision": rng.getrandbits(config.address_bits)}  # fmt: skip


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
        written = {"layers": 1, "inputs": 1, "timesteps": 1, "delay": 0, "decision_mode": 0, "outputs": 1}
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
                "control": {"start": 0, "abort": 0},
                "status": {"busy": shown["busy"], "done": shown["done"]},
                "error": {"error": 0},
                "decision": {"decision": shown["decision"]},
                "cycles": {"cycles": shown["cycles"]},
                **{name: {register(name).fields[0].name: value} for name, value in written.items()},
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
                    (field,) = entry.fields
                    written[entry.name] = value & (1 << field_width(field, config)) - 1
                    port = bus.dut.by_potential if entry.name == "decision_mode" else getattr(bus.dut, entry.name)
                    assert bus.ctx.get(port) == written[entry.name]
                elif entry.access == Access.RO:
                    assert await bus.access(at(entry.name)) == before
                assert await bus.errors() == ({"bus_address"} if entry.access == Access.RO else set()), entry.name

    assert IDENTITY == 0x48494C4B
    simulate(test, config)


def test_registers_begin_with_what_the_core_is_made_with():
    given = {"layers": 3, "inputs": 42, "timesteps": 1000, "delay": 7, "decision_mode": 1, "outputs": 10}

    async def test(bus):
        for name, value in given.items():
            assert await bus.access(at(name)) == value

    simulate(test, registers=given)


@pytest.mark.parametrize(
    ("value", "busy", "inputs", "strobes", "errors"),
    [
        (0, 0, 0, set(), set()),
        (1, 0, 0, {"start"}, set()),
        (1, 1, 0, set(), {"start_refused"}),
        (1, 0, 5, set(), {"start_refused"}),
        (1, 1, 5, set(), {"start_refused"}),
        (2, 0, 0, {"abort"}, set()),
        (2, 1, 5, {"abort"}, set()),
        (3, 0, 0, {"abort"}, set()),  # giving up wins
        (3, 1, 5, {"abort"}, set()),
        (0xFFFFFFFC, 0, 0, set(), set()),
    ],
)
def test_control(value, busy, inputs, strobes, errors):
    """Strobes of one cycle, that of the acknowledgement."""

    async def test(bus):
        await bus.access(at("inputs"), inputs)
        bus.set(busy=busy)
        await bus.access(at("control"), value)
        assert bus.strobes == dict.fromkeys(strobes, WRITE_CYCLES)
        assert await bus.errors() == errors

    simulate(test)


def test_while_busy_nothing_is_written():
    async def test(bus):
        bus.set(busy=1, record=(1 << 256) - 1, lane_value=5, count=5, done=1, cycles=77)
        for entry in REGISTERS:
            if entry.access == Access.RW:
                before = await bus.access(at(entry.name))
                await bus.access(at(entry.name), 0xFFFF)
                assert await bus.access(at(entry.name)) == before
                assert await bus.errors() == {"load_while_running"}
        for name in MEMORIES:
            for part in range(slices(memory_shape(name, ODD)[1])):
                await bus.access(word_at(name, 0, part), 0xFFFF)
                assert await bus.errors() == {"load_while_running"}
        for address in (at("geometry"), region("counts").base, region("potentials").base, 7 << REGION_SHIFT):
            await bus.access(address, 1)
            assert await bus.errors() == {"bus_address"}
        assert bus.words == []

    simulate(test)


def test_while_busy_the_registers_can_be_read_and_the_memories_read_as_0():
    async def test(bus):
        bus.set(record=(1 << 256) - 1, lane_value=5, count=5, cycles=77)
        wanted = {"record": 0xFFFFFFFF, "weight": 5, "current": 5, "potential": 5, "count": 5}
        for busy in (0, 1):
            bus.set(busy=busy)
            assert await bus.access(at("cycles")) == 77
            assert await bus.access(at("status")) == busy
            for name, value in wanted.items():
                assert await bus.access(ADDRESSES[name]) == (0 if busy else value)
            assert await bus.errors() == set()

    simulate(test)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_slices_make_words(config, seed):
    """Each word is written once, in the cycle after its last slice was acknowledged; registers may come in between."""
    rng = random.Random(seed)

    async def test(bus):
        for name in MEMORIES:
            words, bits = memory_shape(name, config)
            for index in {0, words - 1, rng.randrange(words)}:
                parts = [rng.getrandbits(BUS_BITS) for _ in range(slices(bits))]
                for part, value in enumerate(parts):
                    assert bus.words == []
                    if rng.random() < 0.5:
                        await bus.access(at("timesteps"), 9)
                    assert bus.words == []
                    await bus.access(word_at(name, index, part, config), value)
                assert bus.words == []
                await bus.cycle()
                whole = sum(value << n * BUS_BITS for n, value in enumerate(parts)) & (1 << bits) - 1
                assert bus.words == [(name, index, whole)]
                await bus.cycle()
                bus.words.clear()
        assert await bus.errors() == set()

    simulate(test, config)


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
            await bus.access(word_at("synapses", index, part), 100 + part)
            errors += await bus.errors() == {"slice_order"}
            assert n < len(accesses) - 1 or errors == refused
        whole = sum((100 + part) << part * BUS_BITS for part in range(3))
        assert bus.words == [("synapses", 2, whole)] * written

    simulate(test)


def test_slices_of_two_memories_do_not_mix():
    """The same word and slice number, in another memory."""

    async def test(bus):
        await bus.access(word_at("synapses", 2, 0), 1)
        await bus.access(word_at("currents", 2, 1), 1)
        assert await bus.errors() == {"slice_order"}
        assert bus.words == []

    simulate(test)


def test_beyond_what_there_is():
    """Reads as 0, changes nothing, and says so."""
    beyond = [
        at("identity") + len(REGISTERS),
        at("identity") + (1 << REGION_SHIFT) - 1,
        region("counts").base + ODD.classes,
    ]
    beyond += [number << REGION_SHIFT for number in range(len(REGIONS), 8)]
    for name in MEMORIES:
        words, bits = memory_shape(name, ODD)
        beyond += [word_at(name, words, 0), word_at(name, (1 << REGION_SHIFT - ODD.part_bits) - 1, 0)]
        beyond += [] if slices(bits) == 8 else [word_at(name, 0, 7)]
    beyond += [word_at("potentials", ODD.potential_words, 0), word_at("potentials", 0, ODD.lanes)]

    async def test(bus):
        bus.set(record=(1 << 256) - 1, lane_value=5, count=5)
        for address in beyond:
            assert await bus.access(address) == 0
            assert await bus.errors() == {"bus_address"}
            await bus.access(address, 1)
            assert await bus.errors() == {"bus_address"}
        # What can be read, but not written, or only in other parts.
        for address in (
            region("counts").base,
            word_at("potentials", 0, 0),
            word_at("synapses", 0, 3),
            word_at("currents", 0, 5),
        ):
            await bus.access(address, 1)
            assert await bus.errors() == {"bus_address"}
        assert bus.words == []

    simulate(test)


def test_reads_what_is_there_in_the_last_cycle(seed):
    """The index and the lane are there at once; what belongs to them has `_READ_CYCLES` cycles to arrive."""
    rng = random.Random(seed)

    async def test(bus):
        dut = bus.dut
        for name, target, part in (
            ("layers", "record", 2),
            ("synapses", "lane_value", 4),
            ("currents", "lane_value", 3),
            ("potentials", "lane_value", 1),
            ("counts", "count", None),
        ):
            index = rng.randrange(2)
            address = region(name).base + index if part is None else word_at(name, index, part)
            for port, value in ((dut.bus.adr, address), (dut.bus.we, 0), (dut.bus.cyc, 1), (dut.bus.stb, 1)):
                bus.ctx.set(port, value)
            for cycle in range(READ_CYCLES):
                assert bus.ctx.get(dut.index) == index
                assert part is None or name == "layers" or bus.ctx.get(dut.lane) == part
                value = 1000 + cycle
                bus.ctx.set(getattr(dut, target), value << BUS_BITS * part if part and target == "record" else value)
                ack, *_ = await bus.cycle()
                assert not ack
            bus.ctx.set(getattr(dut, target), 0)
            ack, data, *_ = await bus.cycle()
            assert (ack, data) == (1, 1000 + _READ_CYCLES)
            bus.ctx.set(dut.bus.cyc, 0)
            await bus.cycle()

    simulate(test)


def test_every_slice_of_a_layer_record():
    async def test(bus):
        bus.set(record=sum((100 + n) << n * BUS_BITS for n in range(LAYER_RECORD_SLICES)))
        for n in range(LAYER_RECORD_SLICES):
            assert await bus.access(word_at("layers", 0, n)) == 100 + n

    simulate(test)


def test_errors_stay_until_each_is_cleared():
    async def test(bus):
        bus.set(illegal_input=1)
        await bus.cycle()
        bus.set(illegal_input=0)
        await bus.access(at("geometry"), 1)
        await bus.access(word_at("synapses", 0, 1), 1)
        both = BITS["input_address"] | BITS["bus_address"] | BITS["slice_order"]
        assert await bus.access(at("error")) == both
        await bus.access(at("error"), BITS["bus_address"])
        assert await bus.access(at("error")) == both & ~BITS["bus_address"]
        await bus.access(at("error"), 0)
        assert await bus.access(at("error")) == both & ~BITS["bus_address"]
        assert await bus.errors() == {"input_address", "slice_order"}

    simulate(test)


@pytest.mark.parametrize("cycle", [0, 1, 2])
@pytest.mark.parametrize("cleared", [0, BITS["input_address"], BITS["bus_address"]])
def test_an_error_while_errors_are_cleared_is_not_lost(cycle, cleared):
    """An illegal input word in any cycle of the access; only one that came before it is acknowledged can be cleared."""

    async def test(bus):
        dut = bus.dut
        for port, value in ((dut.bus.adr, at("error")), (dut.bus.we, 1), (dut.bus.dat_w, cleared)):
            bus.ctx.set(port, value)
        for now in range(3):
            bus.set(illegal_input=now == cycle)
            bus.ctx.set(dut.bus.cyc, now < 2)
            bus.ctx.set(dut.bus.stb, now < 2)
            ack, *_ = await bus.cycle()
            assert ack == (now == WRITE_CYCLES)
        bus.set(illegal_input=0)
        lost = cycle < WRITE_CYCLES and cleared == BITS["input_address"]
        assert await bus.errors() == (set() if lost else {"input_address"})

    simulate(test)


def test_nothing_is_left_of_an_inference_that_was_given_up():
    """In any phase of it, the decision that waits to be taken included; seen from the bus of a whole core."""
    config = CoreConfig(lanes=2, max_layers=1, max_neurons=2, potential_words=1, synapse_words=2, classes=2)
    layer = {"inputs": 2, "words": 1, "last_lanes": 2, "threshold": 5, "fires": 1, "has_input": 1, "is_output": 1}
    record = sum(layer.get(field.name, 0) << at * BUS_BITS + field.low for at, field in LAYER_RECORD)
    core = Core(config, MemoryInit([record], [0x0501, 0x0303], registers={"inputs": 2, "outputs": 2}))
    dones = []

    async def access(ctx, address, value=0, *, write=False):
        for port, driven in ((core.bus.adr, address), (core.bus.we, write), (core.bus.dat_w, value)):
            ctx.set(port, driven)
        ctx.set(core.bus.cyc, 1)
        ctx.set(core.bus.stb, 1)
        *_, data = await ctx.tick().sample(core.bus.dat_r).until(core.bus.ack)
        ctx.set(core.bus.stb, 0)
        return data

    async def testbench(ctx):
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

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert dones == sorted(dones)
    assert set(dones) == {0, 1}
