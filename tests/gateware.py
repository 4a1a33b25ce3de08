"""What the benches of the gateware share: running one in Amaranth's simulator, and the addresses of the bus."""

from collections.abc import Awaitable, Callable
from typing import Any

from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from hillock.hw.config import CoreConfig
from hillock.hw.registers import ERRORS, region, register

__all__ = ["ERROR_BITS", "Bench", "at", "put", "simulate", "word_at"]

ERROR_BITS = {field.name: 1 << field.low for field in ERRORS}

Bench = Callable[[Any], Awaitable[None]]
"""A coroutine that is given the simulator's context."""


def at(name: str) -> int:
    """Bus address of a register."""
    return region("registers").base + register(name).offset


def word_at(name: str, index: int, part: int, config: CoreConfig) -> int:
    """Bus address of a slice or lane of a memory word."""
    return region(name).base + (index << config.part_bits | part)


def put(ctx: Any, component: Any, **values: Any) -> None:
    """Set ports of a component, or members of an interface."""
    for name, value in values.items():
        ctx.set(getattr(component, name), value)


def simulate(dut: Any, bench: Bench) -> None:
    """Run `bench` to its end on a component with one clock; one that does not get there fails."""
    ended = []

    async def testbench(ctx: Any) -> None:
        await bench(ctx)
        ended.append(True)

    top = Module()
    top.domains.sync = ClockDomain()  # there is a clock even where the component uses none
    top.submodules.dut = dut
    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert ended
