"""A stream whose ready comes from a register, so that one pipeline behind another makes no long path."""

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Skid"]


class Skid(wiring.Component):
    """Hands an item on in the cycle in which it is given; one that is not taken in that cycle is kept.

    An item leaves in the same cycle as it would without this, provided that whoever gives has the next one on offer in
    the cycle after the last was taken.

    Parameters
    ----------
    shape : ShapeLike
        Of an item.

    Members
    -------
    given, taken : in stream, out stream
        `given.ready` does not depend on `taken.ready` of the same cycle.
    """

    def __init__(self, shape: ShapeLike):
        super().__init__({"given": In(stream.Signature(shape)), "taken": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        given, taken = self.given, self.taken
        full, kept = Signal(), Signal.like(given.payload, reset_less=True)
        m.d.comb += [
            given.ready.eq(~full),
            taken.valid.eq(given.valid | full),
            taken.payload.eq(Mux(full, kept, given.payload)),
        ]
        with m.If(full):
            m.d.sync += full.eq(~taken.ready)
        with m.Else():
            m.d.sync += [full.eq(given.valid & ~taken.ready), kept.eq(given.payload)]
        return m
