"""Keeps the spikes of a layer for a later layer of the same timestep, so that a network can be a graph."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .formats import spike_word_layout

__all__ = ["Replay"]


class Replay(wiring.Component):
    """A memory of spike words, with a region for each layer that is kept; the generator gives out the regions.

    A word is put behind the one before it; the first of a fire pass goes to `write_base`. Reading begins in the cycle
    of `begin` at `read_base` and puts out a word in every cycle from `LATENCY` cycles later, up to and with the last of
    the layer. A region is not read before it has been written.

    Members
    -------
    word, valid, first, write_base : in
        A spike word, whether there is one, whether it is the first of its fire pass, and its layer's region.
    begin, read_base : in
        Strobe, and where to read.
    replayed, replayed_valid : out
        The words that were kept.
    """

    LATENCY = 2

    def __init__(self, config: CoreConfig):
        self._config = config
        word, address = spike_word_layout(config), range(max(2, config.replay_words))
        super().__init__(
            {
                "word": In(word),
                "valid": In(1),
                "first": In(1),
                "write_base": In(address),
                "begin": In(1),
                "read_base": In(address),
                "replayed": Out(word),
                "replayed_valid": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        layout = spike_word_layout(config)
        m.submodules.words = words = memory.Memory(shape=layout.size, depth=max(2, config.replay_words), init=[])
        write, read = words.write_port(), words.read_port()
        put = Signal.like(write.addr)
        m.d.comb += [
            write.addr.eq(Mux(self.first, self.write_base, put)),
            write.data.eq(self.word),
            write.en.eq(self.valid),
        ]
        with m.If(self.valid):
            m.d.sync += put.eq(write.addr + 1)

        # The word that the memory answers with is `arrived`; behind the last of the layer nothing more is put out.
        get, reads, arrives, arrived = Signal.like(read.addr), Signal(), Signal(), Signal(layout)
        m.d.comb += [read.addr.eq(Mux(self.begin, self.read_base, get)), arrived.eq(read.data)]
        m.d.sync += [
            get.eq(read.addr + 1),
            arrives.eq(self.begin | (reads & ~(arrives & arrived.last))),
            self.replayed.eq(arrived),
            self.replayed_valid.eq(arrives),
        ]
        with m.If(self.begin):
            m.d.sync += reads.eq(1)
        with m.Elif(arrives & arrived.last):
            m.d.sync += reads.eq(0)
        return m
