"""From words of spikes to one event after another: a queue, and the compaction that never steps over silence."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .config import CoreConfig
from .formats import spike_word_layout, token_layout

__all__ = ["SpikeQueue"]


def _any_and_several(m: Module, bits: Value) -> tuple[Value, Value]:
    """Whether a bit is set, and whether two or more are: four at a time, which is quick, and small in LUTs of four."""
    some, several = bits, []
    while len(some) > 1:
        groups = [some[i : i + 4] for i in range(0, len(some), 4)]
        several += [(group & (group - 1)[: len(group)]).any() for group in groups if len(group) > 1]
        above = Signal(len(groups), name=f"some{len(groups)}")
        m.d.comb += above.eq(Cat(group.any() for group in groups))
        some = above
    return some[0], Cat(several).any() if several else Const(0)


class SpikeQueue(wiring.Component):
    """Queues the spike words of one fire pass and hands their spikes out as tokens, lowest neuron first.

    A word that enters is offered as a token `LATENCY` cycles later; from then on a token leaves in every cycle in
    which it is taken, without a gap between words. After the spikes of a word with `last` comes the marker. A word
    without spikes must not enter unless it is the last.

    The queue holds the words of one fire pass of the largest layer, and has no back-pressure: whoever starts a fire
    pass waits until the queue is `free` and then reserves it.

    Members
    -------
    word, valid : in
        A spike word, and whether there is one in this cycle.
    tokens : out stream
        Events and markers, see `formats.token_layout`.
    reserve : in
        Strobe: a fire pass into this queue begins.
    free : out
        From the cycle in which the marker of the last fire pass is offered, until the next `reserve`.
    """

    LATENCY = 4

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "word": In(spike_word_layout(config)),
                "valid": In(1),
                "tokens": Out(stream.Signature(token_layout(config))),
                "reserve": In(1),
                "free": Out(1, init=1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        layout = spike_word_layout(config)
        m.submodules.words = words = fifo.SyncFIFOBuffered(
            width=layout.size, depth=1 + (1 << ceil_log2(config.max_words))
        )
        m.d.comb += [words.w_data.eq(self.word), words.w_en.eq(self.valid)]

        # The word under compaction. It is kept apart from the queue, whose block RAM answers late in the cycle.
        head, loaded = Signal(layout), Signal()
        lowest = Signal(range(max(2, config.lanes)))
        remaining = Signal(config.lanes)
        any_left, spent, moves = Signal(), Signal(), Signal()
        # Subtracting one clears the lowest spike, by a carry chain: what is set before and clear after is the lowest.
        cleared = Signal(config.lanes)
        m.d.comb += cleared.eq(head.spikes - 1)
        for bit in range(len(lowest)):
            candidates = [lane for lane in range(config.lanes) if lane >> bit & 1]
            m.d.comb += lowest[bit].eq(Cat(head.spikes[lane] & ~cleared[lane] for lane in candidates).any())
        any_spike, several = _any_and_several(m, head.spikes)
        m.d.comb += [
            remaining.eq(head.spikes & cleared),
            any_left.eq(any_spike),
            spent.eq(Mux(head.last, ~any_spike, ~several)),
            moves.eq(loaded & (~self.tokens.valid | self.tokens.ready)),
            words.r_en.eq(~loaded | (moves & spent)),
        ]
        with m.If(moves):
            m.d.sync += [
                self.tokens.valid.eq(1),
                self.tokens.payload.marker.eq(~any_left),
                self.tokens.payload.address.eq(head.word * config.lanes + lowest),
                head.spikes.eq(remaining),
            ]
            with m.If(~any_left):
                m.d.sync += self.free.eq(1)
        with m.Elif(self.tokens.ready):
            m.d.sync += self.tokens.valid.eq(0)
        with m.If(self.reserve):
            m.d.sync += self.free.eq(0)
        with m.If(words.r_en):
            m.d.sync += [loaded.eq(words.r_rdy), head.eq(words.r_data)]
        return m
