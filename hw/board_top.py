"""What is on a board: clock, reset, pins and LEDs around a `System`."""

from collections.abc import Sequence

from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .core import MemoryInit
from .link import LinkSizes
from .plls import choose_pll
from .system import System

__all__ = ["LEDS", "BoardTop"]

LEDS = ("alive", "busy", "error")
"""What an LED may show: that the clock runs; that something is under way; that the link has an error to report."""


class BoardTop(wiring.Component):
    """A whole bitstream. Nothing runs until the PLL has locked.

    Parameters
    ----------
    configs : list of CoreConfig
    inits : list of MemoryInit, optional
        What the memories of each core hold at power-up.
    family : str
        Of the FPGA, one of `plls.FAMILIES`.
    oscillator_hz, clock_hz, baud : int
        What comes in at `clk`, what the design is to run at, and the UART's.
    leds : list of str
        Those of `LEDS` that there are.
    leds_on : int
        The level at which they are lit.
    sizes : LinkSizes, optional

    What cannot be built raises a `HillockError`.

    Members
    -------
    clk, rx, tx : in, in, out
        Pins.
    alive, busy, error : out
        The LEDs that there are.
    hz : int
        The clock that the PLL makes.
    """

    def __init__(
        self,
        configs: Sequence[CoreConfig],
        inits: Sequence[MemoryInit] | None = None,
        *,
        family: str,
        oscillator_hz: int,
        clock_hz: int,
        baud: int,
        leds: Sequence[str] = LEDS,
        leds_on: int = 1,
        sizes: LinkSizes | None = None,
    ):
        self.pll = choose_pll(family, oscillator_hz, clock_hz)
        self.hz = clock_hz if self.pll is None else self.pll.hz
        self.system = System(configs, inits, clock_hz=self.hz, baud=baud, sizes=sizes)
        self._leds, self._leds_on = leds, leds_on
        super().__init__({"clk": In(1), "rx": In(1, init=1), "tx": Out(1, init=1), **{name: Out(1) for name in leds}})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # A reset reaches every flip-flop, and costs a wide design more of its clock period than anything else.
        holds = self.pll is not None and self.pll.holds
        m.domains.sync = sync = ClockDomain(reset_less=holds)
        locked = Signal()
        if self.pll is None:
            m.d.comb += [sync.clk.eq(self.clk), locked.eq(1)]
        else:
            self.pll.add_to(m, self.clk, sync.clk, locked)
        if not holds:
            m.submodules.reset = ResetSynchronizer(~locked)
        m.submodules.system = system = self.system
        m.d.comb += [system.rx.eq(self.rx), self.tx.eq(system.tx)]
        lit = {"alive": locked, "busy": system.busy, "error": system.error}
        for name in self._leds:
            m.d.comb += getattr(self, name).eq(lit[name] if self._leds_on else ~lit[name])
        return m
