"""From words of spikes to one event after another: a queue, and the compaction that never steps over silence."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .config import CoreConfig
from .formats import (
    any_and_several,
    record_layout,
    spike_groups,
    spike_groups_layout,
    spike_word_layout,
    token_layout,
    write_port,
)
from .lowest_spike import LowestSpike
from .queue import Queue
from .registers import LANE_ENTRY, memory_shape

__all__ = ["SpikeQueue", "lane_entry_layout", "queue_word_layout"]


def lane_entry_layout(config: CoreConfig) -> data.StructLayout:
    """An entry of the lane table: what a lane adds to the channel and the column of its word."""
    return record_layout(LANE_ENTRY, ("channel", "column"), config)


def queue_word_layout(config: CoreConfig) -> data.StructLayout:
    """A word in the queue, with whether it has a spike, and whether several: who takes it has no time to find out.

    `some` says of every group of four lanes whether it has one. In a compact core there is time, and no room.
    """
    flag, groups = 0 if config.compact else 1, spike_groups_layout(config)["any"].shape
    return data.StructLayout({"word": spike_word_layout(config), "any": flag, "several": flag, "some": groups})


def _shallow(config: CoreConfig) -> bool:
    """Whether the queue is a LUT RAM, which answers a cycle earlier, rather than a block RAM."""
    return config.queue_words <= 16


class SpikeQueue(wiring.Component):
    """Queues the spike words of one fire pass and hands their spikes out as tokens, lowest lane first.

    A word that enters is offered as a token `latency(config)` cycles later; from then on a token leaves in every cycle
    in which it is taken, without a gap between words. After the spikes of a word with `last` comes the marker. A word
    without spikes must not enter unless it is the last.

    The queue holds the words of one fire pass of the largest layer, and has no back-pressure: whoever starts a fire
    pass waits until the queue is `free` and then reserves it.

    Parameters
    ----------
    config : CoreConfig
    lanes : list of int
        Initial content of the lane table, on a core that has one.
    lane_apart : bool
        The tokens have the channel of their word, and their lane beside it: adding the two is left to whoever adds
        more to them.

    Members
    -------
    word, groups, layer, valid : in
        A spike word, what `formats.spike_groups` found in it, the layer it comes from, and whether there is one in this
        cycle.
    tokens : out stream
        Events and markers, see `formats.token_layout`.
    reserve : in
        Strobe: a fire pass into this queue begins.
    free : out
        From the cycle after the marker of the last fire pass left the words, until the next `reserve`.
    lane_write : in
        One entry of the lane table: enable, address and data.
    """

    def __init__(self, config: CoreConfig, *, lanes: list[int] | None = None, lane_apart: bool = False):
        self._config = config
        self._lanes = lanes or []
        self._token = token_layout(config, lane_apart=lane_apart)
        super().__init__(
            {
                "word": In(spike_word_layout(config)),
                "groups": In(spike_groups_layout(config)),
                "layer": In(range(max(2, config.max_layers))),
                "valid": In(1),
                "tokens": Out(stream.Signature(self._token)),
                "reserve": In(1),
                "free": Out(1, init=1),
                "lane_write": In(write_port(memory_shape("lanes", config)[0], lane_entry_layout(config).size)),
            }
        )

    @staticmethod
    def latency(config: CoreConfig) -> int:
        """Cycles from a word entering an empty queue to its first token being on offer."""
        return 3 + (not _shallow(config)) + config.column_lanes

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        layout = queue_word_layout(config)
        shallow, depth = _shallow(config), 1 << ceil_log2(config.queue_words)
        words: Queue | fifo.SyncFIFO | fifo.SyncFIFOBuffered
        if not config.compact:
            words = Queue(width=layout.size, depth=config.queue_words if shallow else depth - 1, buffered=not shallow)
        elif shallow:
            words = fifo.SyncFIFO(width=layout.size, depth=config.queue_words)
        else:
            words = fifo.SyncFIFOBuffered(width=layout.size, depth=1 + depth)
        m.submodules.words = words
        given, following = Signal(layout), Signal(layout)
        if config.compact:
            any_following, several_following = any_and_several(m, "given", spike_groups(following.word.spikes))
        else:
            found = {name: self.groups[name] for name in self.groups.shape().members}
            any_following, several_following = following.any, following.several
            m.d.comb += Cat(given.any, given.several).eq(Cat(any_and_several(m, "given", found)))
            m.d.comb += given.some.eq(self.groups.any)
        m.d.comb += [
            given.word.eq(self.word),
            words.w_data.eq(given),
            words.w_en.eq(self.valid),
            following.eq(words.r_data),
        ]

        # The word under compaction. It is kept apart from the queue, whose block RAM answers late in the cycle.
        head, loaded, any_left, several = Signal(spike_word_layout(config)), Signal(), Signal(), Signal()
        m.submodules.lowest = lowest = LowestSpike(config)
        some = Signal.like(lowest.some)
        spent, moves = Signal(), Signal()
        picked_valid, picked_ready = Signal(), Signal()
        m.d.comb += [
            lowest.spikes.eq(head.spikes),
            lowest.some.eq(some),
            spent.eq(Mux(head.last, ~any_left, ~several)),
            moves.eq(loaded & (~picked_valid | picked_ready)),
            words.r_en.eq(~loaded | (moves & spent)),
        ]
        with m.If(moves):
            m.d.sync += [
                head.spikes.eq(lowest.spikes_left),
                some.eq(lowest.some_left),
                any_left.eq(several),
                several.eq(lowest.several_left),
            ]
            with m.If(~any_left):
                m.d.sync += self.free.eq(1)
        with m.If(self.reserve):
            m.d.sync += self.free.eq(0)
        with m.If(words.r_en):
            m.d.sync += [
                loaded.eq(words.r_rdy),
                head.eq(following.word),
                some.eq(following.some),
                any_left.eq(any_following),
                several.eq(several_following),
            ]

        # The spike that was picked, and its lane.
        picked, lane = Signal(self._token), Signal.like(lowest.lane)
        with m.If(moves):
            m.d.sync += [
                picked_valid.eq(1),
                picked.marker.eq(~any_left),
                picked.row.eq(head.row),
                picked.column.eq(head.column),
                picked.channel.eq(Cat(lowest.lane, head.channel) if config.compact else head.channel),
                lane.eq(lowest.lane),
            ]
            if width := len(picked.payload):
                m.d.sync += picked.payload.eq(head.payloads.word_select(lowest.lane, width))
        with m.Elif(picked_ready):
            m.d.sync += picked_valid.eq(0)
        if config.column_lanes:
            self._elaborate_lanes(m, picked, lane, picked_valid, picked_ready)
        else:
            m.d.comb += [
                self.tokens.valid.eq(picked_valid),
                self.tokens.payload.eq(picked),
                picked_ready.eq(self.tokens.ready),
            ]
            if len(picked.lane):
                m.d.comb += self.tokens.payload.lane.eq(lane)
            elif not config.compact:
                m.d.comb += self.tokens.payload.channel.eq(picked.channel + lane)
        return m

    def _elaborate_lanes(
        self, m: Module, picked: data.View, lane: Signal, picked_valid: Signal, picked_ready: Signal
    ) -> None:
        """One stage more: the lane table says what the lane adds to the place of its word."""
        layout = lane_entry_layout(self._config)
        m.submodules.lane_table = table = memory.Memory(
            shape=layout.size, depth=memory_shape("lanes", self._config)[0], init=self._lanes
        )
        write, read = table.write_port(), table.read_port(domain="comb")
        layer, entry = Signal.like(self.layer), Signal(layout)
        with m.If(self.valid):
            m.d.sync += layer.eq(self.layer)
        m.d.comb += [
            write.en.eq(self.lane_write.en),
            write.addr.eq(self.lane_write.addr),
            write.data.eq(self.lane_write.data),
            read.addr.eq(Cat(lane, layer)),
            entry.eq(read.data),
            picked_ready.eq(~self.tokens.valid | self.tokens.ready),
        ]
        with m.If(picked_ready):
            m.d.sync += [
                self.tokens.valid.eq(picked_valid),
                self.tokens.payload.eq(picked),
                self.tokens.payload.channel.eq(picked.channel + entry.channel),
                self.tokens.payload.column.eq(picked.column + entry.column),
            ]
