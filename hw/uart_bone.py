"""From bytes to bus accesses: LiteX's uartbone protocol, so that its tools speak to us."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from .control import bus_signature
from .registers import BUS_BITS

__all__ = ["ADDRESS_BITS", "Command", "UartBone"]

ADDRESS_BITS = 32
_BYTES = BUS_BITS // 8


class Command(enum.IntEnum):
    """First byte of a request. Incremented: each word to the next address; fixed: all to the same."""

    WRITE_INCREMENTED = 1
    READ_INCREMENTED = 2
    WRITE_FIXED = 3
    READ_FIXED = 4


class UartBone(wiring.Component):
    """Performs requests: command, number of words (0 is 256), word address, then the words of a write.

    Address and words are 4 bytes each, highest first. A read is answered with its words, a write with nothing. A
    command that does not exist is dropped after its address. One that stops half-way is dropped after `idle_cycles`
    without a byte, and the next byte is a command again. A byte that comes while an answer is under way is dropped.

    Parameters
    ----------
    idle_cycles : int
        Clock cycles, at least 2.

    Members
    -------
    data, valid : in
        A byte that was received, and whether there is one in this cycle.
    answer : out stream
        Bytes to send.
    bus : out
        See `control.bus_signature`; the address has `ADDRESS_BITS`.
    begins, taken : out
        Strobes: the byte of this cycle is the first of a request; it is part of a request.
    refused : out
        Strobe: something was dropped.
    works : out
        Whether a bus access or an answer is under way.
    """

    def __init__(self, idle_cycles: int):
        if idle_cycles < 2:
            raise ValueError(f"a request may stop for at least 2 clock cycles, not {idle_cycles}")
        self._idle_cycles = idle_cycles
        super().__init__(
            {
                "data": In(8),
                "valid": In(1),
                "answer": Out(stream.Signature(8)),
                "bus": Out(bus_signature(ADDRESS_BITS)),
                "begins": Out(1),
                "taken": Out(1),
                "refused": Out(1),
                "works": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, byte = self.bus, self.data
        command, left, position = Signal(8), Signal(8), Signal(range(_BYTES))
        word = Signal(BUS_BITS)
        silence, expired, unknown = Signal(range(self._idle_cycles)), Signal(), Signal()
        listens, within = Signal(), Signal()
        last_byte, last_word = position == _BYTES - 1, left == 1
        increments = (command == Command.WRITE_INCREMENTED) | (command == Command.READ_INCREMENTED)
        writes = (command == Command.WRITE_INCREMENTED) | (command == Command.WRITE_FIXED)
        reads = (command == Command.READ_INCREMENTED) | (command == Command.READ_FIXED)
        m.d.comb += [
            bus.dat_w.eq(word),
            self.answer.payload.eq(word[-8:]),
            self.taken.eq(self.valid & listens),
            self.works.eq(~listens),
            expired.eq((silence == self._idle_cycles - 1) & ~self.valid),
            self.refused.eq((self.valid & ~listens) | expired | unknown),
        ]
        m.d.sync += silence.eq(Mux(within & ~self.valid & ~expired, silence + 1, 0))

        with m.FSM() as fsm:
            m.d.comb += within.eq(listens & ~fsm.ongoing("COMMAND"))
            with m.State("COMMAND"):
                m.d.comb += [listens.eq(1), self.begins.eq(self.valid)]
                m.d.sync += position.eq(0)
                with m.If(self.valid):
                    m.d.sync += command.eq(byte)
                    m.next = "LENGTH"
            with m.State("LENGTH"):
                m.d.comb += listens.eq(1)
                with m.If(self.valid):
                    m.d.sync += left.eq(byte)
                    m.next = "ADDRESS"
                with m.Elif(expired):
                    m.next = "COMMAND"
            with m.State("ADDRESS"):
                m.d.comb += listens.eq(1)
                with m.If(self.valid):
                    m.d.sync += [bus.adr.eq(Cat(byte, bus.adr)), position.eq(position + 1)]
                    with m.If(last_byte):
                        m.next = "COMMAND"
                        with m.If(writes):
                            m.next = "DATA"
                        with m.Elif(reads):
                            m.next = "READ"
                        with m.Else():
                            m.d.comb += unknown.eq(1)
                with m.Elif(expired):
                    m.next = "COMMAND"
            with m.State("DATA"):
                m.d.comb += listens.eq(1)
                with m.If(self.valid):
                    m.d.sync += [word.eq(Cat(byte, word)), position.eq(position + 1)]
                    with m.If(last_byte):
                        m.next = "WRITE"
                with m.Elif(expired):
                    m.next = "COMMAND"
            with m.State("WRITE"):
                m.d.comb += [bus.cyc.eq(1), bus.stb.eq(1), bus.we.eq(1)]
                with m.If(bus.ack):
                    m.d.sync += [left.eq(left - 1), bus.adr.eq(bus.adr + increments)]
                    m.next = "DATA"
                    with m.If(last_word):
                        m.next = "COMMAND"
            with m.State("READ"):
                m.d.comb += [bus.cyc.eq(1), bus.stb.eq(1)]
                m.d.sync += word.eq(bus.dat_r)
                with m.If(bus.ack):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.answer.valid.eq(1)
                with m.If(self.answer.ready):
                    m.d.sync += [word.eq(word << 8), position.eq(position + 1)]
                    with m.If(last_byte):
                        m.d.sync += [left.eq(left - 1), bus.adr.eq(bus.adr + increments)]
                        m.next = "READ"
                        with m.If(last_word):
                            m.next = "COMMAND"
        return m
