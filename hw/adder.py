"""A sum that keeps a module of its own, for synthesis to find."""

from amaranth.hdl import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import ADDER_BITS

__all__ = ["Adder"]


class Adder(wiring.Component):
    """Adds two numbers in the same cycle, modulo `1 << ADDER_BITS`.

    On an FPGA with multipliers that nobody needs, their adders may stand in for it (`gen/build_flows.py`, iCE40).

    Members
    -------
    a, b : in
    total : out
    """

    a: In(signed(ADDER_BITS))
    b: In(signed(ADDER_BITS))
    total: Out(signed(ADDER_BITS))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.total.eq(self.a + self.b)
        return m
