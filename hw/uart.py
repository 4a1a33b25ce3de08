"""Bytes on a wire: 8 data bits, lowest first, no parity, one stop bit."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["LEAST_DIVISOR", "Receiver", "Transmitter"]

LEAST_DIVISOR = 4
"""Fewest clock cycles per bit: below that the middle of a bit cannot be told from its ends."""

_BITS = 8


def _check(divisor: int) -> None:
    if divisor < LEAST_DIVISOR:
        raise ValueError(f"a bit takes at least {LEAST_DIVISOR} clock cycles, not {divisor}")


class Receiver(wiring.Component):
    """Samples each bit in its middle, as counted from the falling edge of the start bit.

    A start bit that is over by its middle was noise. Where the stop bit is low the byte is not delivered, and nothing
    is received until the line is high again.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit.

    Members
    -------
    rx : in
        The wire, of any clock.
    data, valid : out
        A byte, and a strobe when it is there: nothing holds it back.
    framing : out
        Strobe: a byte without a stop bit.
    """

    def __init__(self, divisor: int):
        _check(divisor)
        self._divisor = divisor
        super().__init__({"rx": In(1, init=1), "data": Out(_BITS), "valid": Out(1), "framing": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        level = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, level, init=1)
        wait, left = Signal(range(self._divisor)), Signal(range(_BITS))
        m.d.sync += [self.valid.eq(0), self.framing.eq(0), wait.eq(wait - 1)]
        with m.FSM():
            with m.State("IDLE"):
                # The edge was seen in this cycle, and the next state begins a cycle later.
                m.d.sync += wait.eq(self._divisor // 2 - 1)
                with m.If(~level):
                    m.next = "START"
            with m.State("START"):
                with m.If(wait == 0):
                    m.d.sync += [wait.eq(self._divisor - 1), left.eq(_BITS - 1)]
                    m.next = "DATA"
                    with m.If(level):
                        m.next = "IDLE"
            with m.State("DATA"):
                with m.If(wait == 0):
                    m.d.sync += [wait.eq(self._divisor - 1), left.eq(left - 1), self.data.eq(Cat(self.data[1:], level))]
                    with m.If(left == 0):
                        m.next = "STOP"
            with m.State("STOP"):
                with m.If(wait == 0):
                    m.d.sync += [self.valid.eq(level), self.framing.eq(~level)]
                    m.next = "RECOVER"
            with m.State("RECOVER"):
                with m.If(level):
                    m.next = "IDLE"
        return m


class Transmitter(wiring.Component):
    """Sends one byte after another, without a pause between those that wait.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit.

    Members
    -------
    bytes : in stream
        What to send; the next is taken when the last bit of the one before ends.
    tx : out
        The wire, from a flip-flop.
    busy : out
        Whether a byte is on the wire.
    """

    def __init__(self, divisor: int):
        _check(divisor)
        self._divisor = divisor
        super().__init__({"bytes": In(stream.Signature(_BITS)), "tx": Out(1, init=1), "busy": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits, left, wait = Signal(_BITS + 1), Signal(range(_BITS + 3)), Signal(range(self._divisor))
        ends = Signal()
        m.d.comb += [
            ends.eq((left == 1) & (wait == 0)),
            self.busy.eq(left != 0),
            self.bytes.ready.eq(~self.busy | ends),
        ]
        m.d.sync += wait.eq(wait - 1)
        with m.If(self.bytes.ready):
            m.d.sync += left.eq(0)
            with m.If(self.bytes.valid):
                m.d.sync += [
                    self.tx.eq(0),
                    bits.eq(Cat(self.bytes.payload, 1)),
                    left.eq(_BITS + 2),
                    wait.eq(self._divisor - 1),
                ]
        with m.Elif(wait == 0):
            m.d.sync += [self.tx.eq(bits[0]), bits.eq(bits >> 1), left.eq(left - 1), wait.eq(self._divisor - 1)]
        return m
