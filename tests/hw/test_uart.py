"""Bytes over a wire and back: at several rates, with jitter, noise and wrong stop bits."""

import gc

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gateware import put, simulate
from hillock.hw.uart import LEAST_DIVISOR, Receiver, Transmitter

DIVISORS = [4, 5, 7, 8, 16, 27]


def frame(byte: int, *, stop: int = 1) -> list[int]:
    """The bits of a byte on the wire."""
    return [0, *(byte >> bit & 1 for bit in range(8)), stop]


def random_bytes(count: int, seed: int = 1) -> list[int]:
    return [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, *np.random.default_rng(seed).integers(0, 256, count).tolist()]


def received(divisor: int, levels: list[int]) -> tuple[list[int], int]:
    """What a receiver makes of the levels of the wire, cycle by cycle: bytes, and framing errors."""
    dut = Receiver(divisor)
    got, errors = [], []

    async def bench(ctx):
        for level in [1] * 5 + levels + [1] * 12 * divisor:
            ctx.set(dut.rx, level)
            _, _, valid, data, framing = await ctx.tick().sample(dut.valid, dut.data, dut.framing)
            assert not (valid and framing)
            if valid:
                got.append(data)
            errors.append(framing)

    simulate(dut, bench)
    return got, sum(errors)


class LoopBack(wiring.Component):  # type: ignore[misc]
    """A transmitter wired to a receiver."""

    def __init__(self, divisor):
        self.transmitter, self.receiver = Transmitter(divisor), Receiver(divisor)
        super().__init__({"data": In(8), "valid": In(1), "ready": Out(1), "tx": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.transmitter, m.submodules.receiver = self.transmitter, self.receiver
        m.d.comb += [
            self.transmitter.bytes.payload.eq(self.data),
            self.transmitter.bytes.valid.eq(self.valid),
            self.ready.eq(self.transmitter.bytes.ready),
            self.receiver.rx.eq(self.transmitter.tx),
            self.tx.eq(self.transmitter.tx),
        ]
        return m


@pytest.mark.parametrize("gaps", [0.0, 0.8])
@pytest.mark.parametrize("divisor", DIVISORS)
def test_what_is_sent_arrives(divisor, gaps):
    """Also back to back, where it takes just ten bits a byte."""
    dut, given = LoopBack(divisor), random_bytes(20)
    got: list[int] = []
    rng = np.random.default_rng(2)
    times: list[int] = []

    async def bench(ctx):
        waiting = list(given)
        offered = False
        for cycle in range(len(given) * divisor * 30):
            offered = offered or (bool(waiting) and rng.random() >= gaps)
            put(ctx, dut, valid=offered, data=waiting[0] if offered else 0)
            _, _, ready, valid, data, framing = await ctx.tick().sample(
                dut.ready, dut.receiver.valid, dut.receiver.data, dut.receiver.framing
            )
            if offered and ready:
                del waiting[0]
                offered = False
                times.append(cycle)
            if valid:
                got.append(data)
            assert not framing
            if len(got) == len(given):
                return

    simulate(dut, bench)
    assert got == given
    if not gaps:
        assert set(np.diff(times)) == {10 * divisor}


@pytest.mark.parametrize("divisor", DIVISORS)
def test_the_wire_is_the_bits(divisor):
    dut = LoopBack(divisor)

    async def bench(ctx):
        put(ctx, dut, valid=1, data=0xC5)
        assert ctx.get(dut.tx) == 1
        await ctx.tick()
        put(ctx, dut, valid=0)
        for bit in [*frame(0xC5), 1, 1]:
            for _ in range(divisor):
                assert ctx.get(dut.tx) == bit
                await ctx.tick()
        assert not ctx.get(dut.transmitter.busy)

    simulate(dut, bench)


@pytest.mark.parametrize("divisor", DIVISORS)
def test_edges_that_come_early_or_late(divisor):
    """By less than a fourth of a bit each; the next byte begins as soon as its stop bit could be over."""
    rng = np.random.default_rng(divisor)
    most = (divisor - 1) // 4
    given = random_bytes(30, divisor)
    levels: list[int] = []
    for byte in given:
        start = len(levels)
        for number, bit in enumerate(frame(byte), 1):
            end = start + number * divisor + int(rng.integers(-most, most + 1))
            levels += [bit] * (end - len(levels))
    assert received(divisor, levels) == (given, 0)


@pytest.mark.parametrize(("divisor", "sender"), [(50, 48), (50, 52), (16, 15.6), (16, 16.4)])
def test_another_clock(divisor, sender):
    """Some percent faster or slower than ours."""
    given = random_bytes(30)
    bits = [bit for byte in given for bit in frame(byte)]
    levels = [bits[int(cycle / sender)] for cycle in range(int(len(bits) * sender))]
    assert received(divisor, levels) == (given, 0)


@pytest.mark.parametrize("divisor", [4, 16])
def test_a_byte_without_a_stop_bit(divisor):
    """It is not delivered; the next is, once the line was high again."""

    def wire(bits):
        return [bit for bit in bits for _ in range(divisor)]

    levels = wire([*frame(0x12), *frame(0x34, stop=0), 1, *frame(0x56)])
    assert received(divisor, levels) == ([0x12, 0x56], 1)
    held_low = wire([*frame(0x12), *[0] * 45, 1, *frame(0x56)])
    assert received(divisor, held_low) == ([0x12, 0x56], 1)


@pytest.mark.parametrize("divisor", [8, 16])
def test_noise_is_no_start_bit(divisor):
    levels = [0] * (divisor // 2 - 1) + [1] * divisor + [bit for bit in frame(0x7E) for _ in range(divisor)]
    assert received(divisor, levels) == ([0x7E], 0)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("component", [Receiver, Transmitter])
def test_a_bit_of_too_few_cycles(component):
    with pytest.raises(ValueError, match=r"^a bit takes at least 4 clock cycles, not 3$"):
        component(LEAST_DIVISOR - 1)
    gc.collect()
