"""The board design of a placed network: as Verilog, and compiled as a virtual board."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from amaranth.back import verilog
from amaranth.hdl import Value

from hillock.hw.config import CoreConfig
from hillock.hw.core import MemoryInit
from hillock.hw.link import LinkSizes
from hillock.hw.problems import HillockError
from hillock.hw.system import System
from hillock.hw.uart import LEAST_DIVISOR
from hillock.sim.virtual_board import VirtualBoard, build_board

from .mapping import Placement
from .pipeline import PipelinePlacement

__all__ = ["VIRTUAL_BAUD", "VIRTUAL_IDLE_CYCLES", "system_verilog", "virtual_board"]

VIRTUAL_BAUD = 1_000_000
"""What a virtual board claims; its clock is as many times faster as a bit has cycles."""

VIRTUAL_IDLE_CYCLES = 50_000
"""After so many without a byte a command is dropped: some 0.1 s of the client's, as a board that waits runs slowly."""

_MOST_DIVISOR = 1000


def system_verilog(
    configs: Sequence[CoreConfig],
    inits: Sequence[MemoryInit] | None = None,
    *,
    clock_hz: int,
    baud: int,
    sizes: LinkSizes | None = None,
    idle_cycles: int | None = None,
) -> str:
    """Verilog of module `system`, see `hw.system.System`."""
    system = System(configs, inits, clock_hz=clock_hz, baud=baud, sizes=sizes, idle_cycles=idle_cycles)
    ports = [Value.cast(value) for _path, _member, value in system.signature.flatten(system)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Source locations would put absolute paths of this machine into the text.
        return str(verilog.convert(system, name="system", ports=ports, emit_src=False, strip_internal_attrs=True))


def virtual_board(
    placement: Placement | PipelinePlacement,
    *,
    cache: Path,
    divisor: int = LEAST_DIVISOR,
    loaded: bool = True,
    sizes: LinkSizes | None = None,
    tcp: int | None = 0,
    pty: bool = False,
) -> VirtualBoard:
    """The board design of a placed network, compiled below `cache`; `with` starts it.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit of its UART.
    loaded : bool
        Whether the memories hold the network at power-up; else they must be loaded over the link.
    sizes, tcp, pty
        See `hw.link.LinkSizes` and `sim.virtual_board.VirtualBoard`.
    """
    if not LEAST_DIVISOR <= divisor <= _MOST_DIVISOR:
        raise HillockError(f"virtual board: divisor must be from {LEAST_DIVISOR} to {_MOST_DIVISOR}, not {divisor}")
    pipeline = placement
    if isinstance(pipeline, Placement):
        pipeline = PipelinePlacement(pipeline.network, (pipeline,))
    text = system_verilog(
        pipeline.configs,
        pipeline.memory_inits() if loaded else None,
        clock_hz=divisor * VIRTUAL_BAUD,
        baud=VIRTUAL_BAUD,
        sizes=sizes,
        idle_cycles=VIRTUAL_IDLE_CYCLES,
    )
    program = build_board(text, cache)
    return VirtualBoard(program, divisor=divisor, idle_cycles=VIRTUAL_IDLE_CYCLES, tcp=tcp, pty=pty)
