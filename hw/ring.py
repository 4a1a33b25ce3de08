"""Keeps what leaves the accelerator until the host has taken it: block RAM, and two counters."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .registers import BUS_BITS

__all__ = ["Ring"]


class Ring(wiring.Component):
    """The last `depth` items. What was not yet taken is never overwritten: the stream is held back instead.

    Parameters
    ----------
    depth, words, width : int
        Items, words of an item, bits of a word; `depth` and `words` are powers of two.
    latency : int
        Cycles from `index` to `word`: 1, or 2 since a block RAM answers late in the cycle.

    Members
    -------
    items : in stream
        Words of an item, the first at the lowest bits.
    index, word : in, out
        The word `index` that is there: word k of item i at `(i * words + k) mod (depth * words)`, `latency` cycles
        later.
    given, taken : out
        Items that came in, and that were taken, mod 2^32.
    take, taken_value : in
        Strobe: from the next cycle on `taken` is this, which must be from `given - depth` to `given`.
    """

    def __init__(self, *, depth: int, words: int, width: int, latency: int = 2):
        self._depth, self._words, self._width, self._latency = depth, words, width, latency
        super().__init__(
            {
                "items": In(stream.Signature(data.ArrayLayout(width, words))),
                "index": In(range(depth * words)),
                "word": Out(width),
                "given": Out(BUS_BITS),
                "taken": Out(BUS_BITS),
                "take": In(1),
                "taken_value": In(BUS_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = kept = memory.Memory(shape=self._width, depth=self._depth * self._words, init=[])
        write, read = kept.write_port(), kept.read_port()
        m.d.comb += read.addr.eq(self.index)
        if self._latency == 1:
            m.d.comb += self.word.eq(read.data)
        else:
            m.d.sync += self.word.eq(read.data)

        # `held` is given - taken. It is counted, and subtracted anew only where some were taken: nothing comes in then.
        item_bits = ceil_log2(self._depth)
        accepted, room, held, settles = Signal(), Signal(), Signal(item_bits + 1), Signal()
        last_place = held[:item_bits] == self._depth - 1
        m.d.comb += accepted.eq(self.items.valid & self.items.ready)
        m.d.sync += [
            self.given.eq(self.given + accepted),
            held.eq(held + accepted),
            settles.eq(self.take),
            room.eq(~held[item_bits] & ~(accepted & last_place) & ~self.take & ~settles),
        ]
        with m.If(self.take):
            m.d.sync += self.taken.eq(self.taken_value)
        with m.If(settles):
            m.d.sync += held.eq(self.given[: len(held)] - self.taken[: len(held)])

        # The last word is written as the item comes in, those before it from a register in the cycles after.
        if self._words == 1:
            m.d.comb += [self.items.ready.eq(room), write.en.eq(accepted)]
            m.d.comb += [write.addr.eq(self.given), write.data.eq(self.items.payload.as_value())]
            return m
        position, rest = Signal(range(self._words)), Signal(self._width * (self._words - 1))
        item = Signal(item_bits)
        m.d.comb += [
            self.items.ready.eq(room & (position == 0)),
            write.en.eq(accepted | (position != 0)),
            write.addr.eq(Cat(~position, item)),
            item.eq(self.given),
            write.data.eq(self.items.payload[self._words - 1]),
        ]
        with m.If(accepted):
            m.d.sync += [position.eq(1), rest.eq(self.items.payload.as_value())]
        with m.If(position != 0):
            m.d.comb += [write.data.eq(rest[-self._width :]), item.eq(self.given - 1)]
            m.d.sync += [position.eq(position + 1), rest.eq(rest << self._width)]
        return m
