"""A queue for words that come late in the cycle: they wait in a register first, and nothing is lost by it."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

__all__ = ["Queue"]


class Queue(wiring.Component):
    """Amaranth's `SyncFIFO`, or `SyncFIFOBuffered`, with the same words on offer in the same cycles.

    Those decide in the cycle in which a word comes what they do with it. Here a register takes it, and the memory has
    it from there. A word for which nothing is waiting goes past the memory.

    Parameters
    ----------
    width, depth : int
        Bits of a word, and how many words may wait.
    buffered : bool
        The memory is a block RAM, which answers a cycle later; beside those that wait, one word is on its output.

    Members
    -------
    w_data, w_en, w_rdy : in, in, out
        A word is written in a cycle in which `w_en` and `w_rdy` are set.
    drop : in
        In the cycle after: it was not meant to be.
    r_data, r_rdy, r_en : out, out, in
        The word that has waited longest, whether there is one, and that it is taken.
    """

    def __init__(self, *, width: int, depth: int, buffered: bool):
        self._depth, self._buffered = depth, buffered
        super().__init__(
            {
                "w_data": In(width),
                "w_en": In(1),
                "w_rdy": Out(1),
                "drop": In(1),
                "r_data": Out(width),
                "r_rdy": Out(1),
                "r_en": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # A word goes past the memory into which it is written: what is read there in that cycle is not used. The word
        # on the output of a block RAM keeps its place there.
        places = 1 << ceil_log2(max(2, self._depth + self._buffered))
        m.submodules.storage = words = memory.Memory(
            shape=len(self.w_data), depth=places, init=[], attrs={"no_rw_check": 1}
        )
        write = words.write_port()
        given, arrived = Signal.like(self.w_data, reset_less=True), Signal()
        comes, waits, goes = Signal(), Signal(), Signal()
        # Where the next word is written, where the first that waits is, and the one after it; one bit more, to tell
        # full from empty. That one goes is known late: it enables counters, and nothing is computed from it.
        bits = len(write.addr) + 1
        behind, first, second = Signal(bits), Signal(bits), Signal(bits, init=1)
        level = (behind - first)[:bits]
        m.d.sync += [given.eq(self.w_data), arrived.eq(self.w_en & self.w_rdy)]
        m.d.comb += [
            comes.eq(arrived & ~self.drop),
            write.en.eq(comes),
            write.addr.eq(behind),
            write.data.eq(given),
            self.w_rdy.eq(~((level == self._depth) | (comes & (level == self._depth - 1)))),
        ]
        with m.If(comes):
            m.d.sync += behind.eq(behind + 1)
        with m.If(goes):
            m.d.sync += [first.eq(second), second.eq(second + 1), waits.eq(Mux(comes, waits, behind != second))]
        with m.Else():
            m.d.sync += waits.eq(waits | comes)

        if not self._buffered:
            read = words.read_port(domain="comb")
            m.d.comb += [
                read.addr.eq(first),
                self.r_rdy.eq(waits | comes),
                self.r_data.eq(Mux(waits, read.data, given)),
                goes.eq(self.r_rdy & self.r_en),
            ]
            return m
        # While the word on the output is not taken it is read again: the memory needs no enable.
        read, output = words.read_port(), Signal.like(write.addr)
        moves, passed, past = Signal(), Signal(), Signal.like(given)
        m.d.comb += [
            moves.eq(~self.r_rdy | self.r_en),
            goes.eq(moves & (waits | comes)),
            read.addr.eq(Mux(moves, first, output)),
            self.r_data.eq(Mux(passed, past, read.data)),
        ]
        m.d.sync += [past.eq(given), passed.eq(moves & ~waits)]
        with m.If(moves):
            m.d.sync += [self.r_rdy.eq(waits | comes), output.eq(first)]
        return m
