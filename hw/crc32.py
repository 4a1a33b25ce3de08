"""The usual CRC-32 (that of zlib), a byte in each clock cycle."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Crc32", "next_crc"]

_POLYNOMIAL = 0xEDB88320
_BITS = 32


def next_crc(state: Value, byte: Value) -> Value:
    """The state of the register (reflected, not inverted) after another byte."""
    for bit in range(len(byte)):
        fed_back = state[0] ^ byte[bit]
        state = Cat(state[1:], Const(0, 1)) ^ Mux(fed_back, _POLYNOMIAL, 0)
    return state[:_BITS]


class Crc32(wiring.Component):
    """The CRC-32 of all bytes since the last `clear`.

    Members
    -------
    data, valid : in
        A byte, and whether there is one in this cycle.
    clear : in
        Strobe: forget all bytes, that of this cycle too.
    value : out
        Of the bytes before this cycle; 0 when there was none.
    """

    data: In(8)
    valid: In(1)
    clear: In(1)
    value: Out(_BITS)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state = Signal(_BITS, init=(1 << _BITS) - 1)
        m.d.comb += self.value.eq(~state)
        with m.If(self.clear):
            m.d.sync += state.eq(state.init)
        with m.Elif(self.valid):
            m.d.sync += state.eq(next_crc(state, self.data))
        return m
