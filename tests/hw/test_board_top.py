"""The board design: clock and reset from its pins, LEDs lit at the level that they need, and the link behind them."""

import gc
import re
from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Value
from amaranth.sim import Simulator

from hillock.hw.board_top import LEDS, BoardTop
from hillock.hw.config import CoreConfig
from hillock.hw.link import LinkSizes
from hillock.hw.link_registers import LINK_BASE, LINK_IDENTITY
from hillock.hw.problems import HillockError
from link_bytes import read

SMALL = CoreConfig(
    lanes=2, max_layers=2, max_connections=2, max_channels=9, potential_words=8, synapse_words=32, current_words=8,
    queue_words=4, classes=5, input_queue=4,
)  # fmt: skip
SIZES = LinkSizes(input_depth_log2=5, output_depth_log2=5, decision_depth_log2=1)
DIVISOR = 4
BOARD: dict[str, Any] = {
    "family": "gowin",
    "oscillator_hz": DIVISOR * 1_000_000,
    "clock_hz": DIVISOR * 1_000_000,
    "baud": 1_000_000,
}


def run(dut, bench):
    """Run `bench` with what ticks the pin `clk` so many times; there is no clock but this."""
    ended = []

    async def testbench(ctx):
        async def ticks(count):
            levels = []
            for _ in range(count):
                for level in (1, 0):
                    ctx.set(dut.clk, level)
                    await ctx.delay(1e-7)
                levels.append(ctx.get(dut.tx))
            return levels

        await bench(ctx, ticks)
        ended.append(True)

    simulator = Simulator(dut)
    simulator.add_testbench(testbench)
    simulator.run()
    assert ended


def decoded(levels):
    """The bytes on a wire."""
    found, start = [], 0
    while 0 in levels[start:]:
        start = levels.index(0, start)
        bits = [levels[start + bit * DIVISOR + DIVISOR // 2] for bit in range(10)]
        assert (bits[0], bits[9]) == (0, 1)
        found.append(sum(bit << place for place, bit in enumerate(bits[1:9])))
        start += 10 * DIVISOR - DIVISOR // 2
    return bytes(found)


@pytest.mark.parametrize("leds_on", [0, 1])
def test_it_answers_through_its_pins(leds_on):
    dut = BoardTop([SMALL], leds_on=leds_on, sizes=SIZES, **BOARD)

    async def bench(ctx, ticks):
        def lit():
            return [name for name in LEDS if ctx.get(getattr(dut, name)) == leds_on]

        assert set(await ticks(20)) == {1}
        assert lit() == ["alive"]
        levels = []
        for byte in read(LINK_BASE):
            for bit in (0, *(byte >> place & 1 for place in range(8)), 1):
                ctx.set(dut.rx, bit)
                levels += await ticks(DIVISOR)
        levels += await ticks(10 * DIVISOR)
        assert lit() == ["alive", "busy"]
        levels += await ticks(50 * DIVISOR)
        assert decoded(levels) == LINK_IDENTITY.to_bytes(4, "big")
        await ticks(20)
        assert lit() == ["alive"]

    run(dut, bench)


def test_it_has_the_leds_of_the_board_only():
    dut = BoardTop([SMALL], leds=["busy"], sizes=SIZES, **BOARD)
    assert set(dut.signature.members) == {"clk", "rx", "tx", "busy"}

    async def bench(ctx, ticks):
        await ticks(20)
        assert not ctx.get(dut.busy)

    run(dut, bench)


def test_its_clock_is_that_of_the_pll():
    """The UART divides the clock that there is, not the one asked for."""
    given = BOARD | {"family": "ecp5", "oscillator_hz": 25_000_000, "clock_hz": 99_999_000}
    dut = BoardTop([SMALL], sizes=SIZES, **given)
    assert dut.pll is not None
    assert dut.hz == dut.pll.hz == 100_000_000
    ports = [Value.cast(value) for _path, _member, value in dut.signature.flatten(dut)]
    text = rtlil.convert(dut, ports=ports)
    for cell in ("EHXPLLL", "DCCA"):
        assert len(re.findall(rf"cell \\{cell} ", text)) == 1


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"clock_hz": 900_000_000}, "clock: the PLL of the gowin makes no 900 MHz of the 4 MHz of the board"),
        ({"baud": 2_000_000}, "UART of 2,000,000 baud at a clock of 4,000,000 Hz: a bit must take at least 4"),
    ],
)
def test_what_is_refused(changed, message):
    with pytest.raises(HillockError, match=f"^{re.escape(message)}"):
        BoardTop([SMALL], sizes=SIZES, **(BOARD | changed))
    gc.collect()  # what was refused is never elaborated, of which a later test would hear
