"""The registers and windows of the link, one by one, against their table."""

import zlib

import numpy as np
import pytest

from gateware import put, simulate
from hillock.hw.link import Link, LinkSizes
from hillock.hw.link_registers import (
    LINK_BASE,
    LINK_IDENTITY,
    LINK_REGISTERS,
    WINDOW_SHIFT,
    WINDOWS,
    link_register,
    link_table_digest,
)
from hillock.hw.problems import HillockError
from hillock.hw.registers import Access
from link_bytes import at_link, window

SIZES = LinkSizes(input_depth_log2=3, output_depth_log2=2, decision_depth_log2=1)
CONSTANTS = {"design": 0x12345678, "cores": 3, "clock": 25_000_000, "divisor": 25}
ERRORS = {field.name: 1 << field.low for field in link_register("error").fields}


class Host:
    """Accesses the bus of a link, and counts cycles; by itself nothing comes in or goes out.

    `ahead`: words that have left the queue before the core takes any.
    """

    def __init__(self, ctx, dut, compact):
        self.ctx, self.dut, self.compact, self.cycles = ctx, dut, compact, 0
        self.ahead = 1 if compact else 2

    async def cycle(self):
        self.cycles += 1
        return await self.ctx.tick().sample(self.dut.bus.ack, self.dut.bus.dat_r)

    async def access(self, address, value=None):
        put(self.ctx, self.dut.bus, adr=address - LINK_BASE, we=value is not None, dat_w=value or 0, cyc=1, stb=1)
        for cycles in range(5):
            _, _, ack, data = await self.cycle()
            if ack:
                put(self.ctx, self.dut.bus, cyc=0, stb=0)
                assert cycles == (3 if value is None else 1)
                await self.cycle()
                return data
        raise AssertionError("no acknowledgement")

    async def get(self, name):
        return await self.access(at_link(name))

    async def errors(self):
        """The names in `error`, which is cleared."""
        found = await self.get("error")
        assert self.ctx.get(self.dut.error) == bool(found)
        await self.access(at_link("error"), found)
        assert await self.get("error") == 0
        return {name for name, bit in ERRORS.items() if found & bit}

    async def give(self, port, value):
        """An item of the stream `port`; whether it was taken within some cycles."""
        put(self.ctx, getattr(self.dut, port), valid=1, payload=value)
        taken = False
        for _ in range(6):
            taken = bool(self.ctx.get(getattr(self.dut, port).ready))
            await self.cycle()
            if taken:
                break
        put(self.ctx, getattr(self.dut, port), valid=0)
        return taken


def on_link(test, sizes=SIZES):
    """A small link and a fast one."""
    for compact in (False, True):
        dut = Link(sizes, input_bits=9, output_bits=11, decision_bits=4, constants=CONSTANTS, compact=compact)
        simulate(dut, lambda ctx, dut=dut, compact=compact: test(Host(ctx, dut, compact)))


def test_what_it_is():
    async def test(host):
        assert await host.get("identity") == LINK_IDENTITY
        assert await host.get("table") == link_table_digest()
        assert await host.get("design") == 0x12345678
        assert await host.get("geometry") == 3 | 3 << 8 | 2 << 16 | 1 << 24
        assert (await host.get("clock"), await host.get("divisor")) == (25_000_000, 25)
        first = await host.get("cycle")
        before = host.cycles
        await host.get("control")
        assert await host.get("cycle") - first == host.cycles - before
        assert not await host.errors()

    on_link(test)


def test_every_register_is_there_and_nothing_else():
    """What is read only refuses a write; beyond the registers and the windows there is nothing."""

    async def test(host):
        for entry in LINK_REGISTERS:
            await host.access(LINK_BASE + entry.offset)
            assert not await host.errors()
            before = await host.access(LINK_BASE + entry.offset)
            await host.access(LINK_BASE + entry.offset, 0)
            assert await host.errors() == ({"address"} if entry.access == Access.RO else set()), entry.name
            if entry.access == Access.RO and entry.name != "cycle":
                assert await host.access(LINK_BASE + entry.offset) == before
        beyond = [LINK_BASE + len(LINK_REGISTERS), window("inputs") - 1, LINK_BASE | (len(WINDOWS) + 1) << WINDOW_SHIFT]
        for address in (*beyond, LINK_BASE | (1 << 22) - 1):
            for value in (None, 1):
                assert await host.access(address, value) in ((0,) if value is None else range(2**32))
                assert await host.errors() == {"address"}
        for address in (window("outputs"), window("decisions", 3)):
            await host.access(address, 5)
            assert await host.errors() == {"address"}
        assert await host.access(window("inputs")) == 0
        assert await host.errors() == {"address"}

    on_link(test)


@pytest.mark.parametrize("strobe", ["refused", "absent"])
def test_errors_from_outside(strobe):
    """One bit is cleared without the other, and one that comes just then stays."""
    name = {"refused": "command", "absent": "address"}[strobe]

    async def test(host):
        ctx, dut = host.ctx, host.dut
        put(ctx, dut, refused=1, absent=1)
        await host.cycle()
        put(ctx, dut, refused=0, absent=0)
        await host.access(at_link("error"), ERRORS[name])
        assert await host.errors() == {"command", "address"} - {name}
        put(ctx, dut, **{strobe: 1})
        await host.access(at_link("error"), ERRORS[name])
        put(ctx, dut, **{strobe: 0})
        assert await host.errors() == {name}

    on_link(test)


def test_input_goes_to_the_accelerator():
    """In order, from any address of the window; its upper bits are no part of a token."""

    async def test(host):
        ctx, dut = host.ctx, host.dut
        assert not ctx.get(dut.waits)
        for number in range(5):
            await host.access(window("inputs", number * 777), 0x800 | 300 + number)
        assert (await host.get("input_space"), await host.get("inputs_put")) == (3 + host.ahead, 5)
        assert ctx.get(dut.waits)
        for number in range(5):
            assert ctx.get(dut.inputs.valid)
            assert ctx.get(dut.inputs.payload) == 300 + number
            ctx.set(dut.inputs.ready, 1)
            await host.cycle()
            ctx.set(dut.inputs.ready, 0)
            await host.cycle()
        assert not ctx.get(dut.inputs.valid)
        assert not ctx.get(dut.waits)
        assert (await host.get("input_space"), await host.get("inputs_put")) == (8, 5)
        assert not await host.errors()

    on_link(test)


def test_input_beyond_the_space_is_refused():
    async def test(host):
        for number in range(8 + host.ahead):
            assert await host.get("input_space") == min(8, 8 + host.ahead - number)
            await host.access(window("inputs"), number)
        assert not await host.errors()
        await host.access(window("inputs"), 9)
        assert (await host.get("input_space"), await host.get("inputs_put")) == (0, 8 + host.ahead)
        assert await host.errors() == {"input_full"}
        await host.access(at_link("control"), 1)
        assert (await host.get("input_space"), await host.get("inputs_put")) == (8, 0)
        assert not host.ctx.get(host.dut.inputs.valid)

    on_link(test)


@pytest.mark.parametrize("patience", [1.0, 0.3])
def test_input_is_a_stream(patience):
    """Each token is offered once and stays until it is taken, however the core takes."""
    rng = np.random.default_rng(2)

    async def test(host):
        ctx, dut = host.ctx, host.dut
        taken: list[int] = []
        number, offered = 0, None
        for _ in range(400):
            ready = bool(rng.random() < patience)
            ctx.set(dut.inputs.ready, ready)
            writes = bool(rng.random() < 0.5 and number < min(40, len(taken) + 8))  # never more than fit
            put(ctx, dut.bus, adr=window("inputs") - LINK_BASE, we=1, dat_w=number, cyc=writes, stb=writes)
            while True:
                _, _, ack, valid, payload = await ctx.tick().sample(dut.bus.ack, dut.inputs.valid, dut.inputs.payload)
                assert offered in (None, payload if valid else -1)
                offered = payload if valid and not ready else None
                if valid and ready:
                    taken.append(payload)
                if ack or not writes:
                    break
            number += writes
        assert await host.get("inputs_put") == 40
        assert taken == list(range(40))

    on_link(test)


def test_output_waits_for_the_host():
    """Four tokens, then those behind are held back until some are taken; the window repeats."""

    async def test(host):
        for number in range(4):
            assert await host.give("spikes", 0x400 | number)
        assert not await host.give("spikes", 0x7FF)
        assert await host.get("outputs_given") == 4
        for index in (0, 1, 2, 3, 4, 4095):
            assert await host.access(window("outputs", index)) == 0x400 | index % 4
        await host.access(at_link("outputs_taken"), 2)
        assert await host.get("outputs_taken") == 2
        for number in (4, 5):
            assert await host.give("spikes", number)
        assert not await host.give("spikes", 6)
        assert await host.get("outputs_given") == 6
        assert [await host.access(window("outputs", index)) for index in range(4)] == [4, 5, 0x402, 0x403]
        await host.access(at_link("control"), 1)
        assert (await host.get("outputs_given"), await host.get("outputs_taken")) == (0, 0)
        assert await host.give("spikes", 9)
        assert await host.access(window("outputs")) == 9
        assert not await host.errors()

    on_link(test)


def test_decisions_wait_for_the_host():
    """Each with the cycle in which it came."""

    async def test(host):
        cycle_of = host.cycles
        now = await host.get("cycle")
        cycles = []
        offset = now - cycle_of
        for number in range(2):
            assert await host.give("decision", 3 + number)
            cycles.append(host.cycles + offset)
        taken = await host.give("decision", 5)
        assert taken == (not host.compact)  # a fast link has a register before the ring
        assert not await host.give("decision", 6)
        assert await host.get("decisions_given") == 2
        kept = [await host.access(window("decisions", index)) for index in range(4)]
        assert kept[::2] == [3, 4]
        assert kept[3] - kept[1] == cycles[1] - cycles[0]
        assert abs(kept[1] - cycles[0]) <= 3
        assert await host.access(window("decisions", 4 + 1)) == kept[1]
        await host.access(at_link("decisions_taken"), 1)
        assert await host.get("decisions_taken") == 1
        if not taken:
            assert await host.give("decision", 5)
        assert await host.get("decisions_given") == 3
        assert await host.access(window("decisions")) == 5
        await host.access(at_link("control"), 1)
        assert (await host.get("decisions_given"), await host.get("decisions_taken")) == (0, 0)
        assert not await host.errors()

    on_link(test)


def test_both_checks():
    """Of all bytes since `clear`, as they were when the command under way began."""
    rng = np.random.default_rng(3)

    async def byte(host, port, value, *, begins=False):
        put(host.ctx, getattr(host.dut, port), data=value, valid=1)
        host.ctx.set(host.dut.begins, begins)
        await host.cycle()
        put(host.ctx, getattr(host.dut, port), valid=0)
        host.ctx.set(host.dut.begins, 0)

    async def test(host):
        for _ in range(3):
            received, sent = b"", b""
            for _ in range(5):
                for number in range(int(rng.integers(1, 9))):
                    value = int(rng.integers(256))
                    if number == 0:
                        before = zlib.crc32(received), zlib.crc32(sent)
                    await byte(host, "received", value, begins=number == 0)
                    received += bytes([value])
                assert (await host.get("received"), await host.get("sent")) == before
                for _ in range(int(rng.integers(0, 6))):
                    value = int(rng.integers(256))
                    await byte(host, "sent", value)
                    sent += bytes([value])
                assert (await host.get("received"), await host.get("sent")) == before
            await host.access(at_link("control"), 2)

    on_link(test)


def test_a_link_without_input_queue_refuses_every_token():
    async def test(host):
        assert (await host.get("geometry")) >> 8 & 0xFF == 0
        for value in (1, 2):
            await host.access(window("inputs"), value)
            assert await host.errors() == {"input_full"}
        for _ in range(5):
            assert not host.ctx.get(host.dut.inputs.valid)
            assert not host.ctx.get(host.dut.waits)
            await host.cycle()
        assert (await host.get("input_space"), await host.get("inputs_put")) == (0, 0)

    on_link(test, LinkSizes(input_depth_log2=0, output_depth_log2=2, decision_depth_log2=1))


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ({"input_depth_log2": 16}, "link: input_depth_log2 must be from 0 to 15, not 16"),
        ({"output_depth_log2": 13}, "link: output_depth_log2 must be from 1 to 12, not 13"),
        (
            {"input_depth_log2": -1, "decision_depth_log2": 12},
            "link: 2 problems\n  - input_depth_log2 must be from 0 to 15, not -1"
            "\n  - decision_depth_log2 must be from 1 to 11, not 12",
        ),
    ],
)
def test_sizes(sizes, text):
    with pytest.raises(HillockError) as caught:
        LinkSizes(**sizes)
    assert str(caught.value) == text
