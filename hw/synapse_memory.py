"""The synapse memory: with two ports, as block RAMs have them, or with one, as the large RAMs of small FPGAs."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .formats import slice_port, spread

__all__ = ["HUGE", "SynapseMemory"]

HUGE = "huge"
"""What `ram_style` says of a memory that is to lie in large RAMs: by it Yosys takes the SPRAM of an iCE40 UltraPlus."""

# A word that is read while it is written is never used: the bus writes between two inferences only. Told so, synthesis
# leaves out the registers that would otherwise keep the old word.
_NO_COLLISION = {"no_rw_check": 1}


class SynapseMemory(wiring.Component):
    """Words of one weight for each lane.

    With `config.single_port` the memory has one port: a word that is written takes it for its cycle, and what was to
    be read from the cycle before on is then undefined. Nothing else tells the two apart, in any cycle.

    Parameters
    ----------
    config : CoreConfig
    words : list of int
        Initial content. The large RAMs have none: on an FPGA they must be written before they are read.

    Members
    -------
    address, word : in, out
        The word at an address, `LATENCY` cycles later.
    write : in
        One word: enable, address and data.
    """

    LATENCY = 2

    def __init__(self, config: CoreConfig, words: list[int]):
        self._config, self._words = config, words
        width = config.lanes * config.weight_bits
        super().__init__(
            {
                "address": In(range(max(2, config.synapse_words))),
                "word": Out(width),
                "write": In(slice_port(config.synapse_words, width, config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.words = words = memory.Memory(
            shape=len(self.word),
            depth=max(2, config.synapse_words),
            init=self._words,
            attrs={"ram_style": HUGE} if config.single_port else _NO_COLLISION,
        )
        unit, enables = spread(self.write.en, len(self.word))
        write, read = words.write_port(granularity=unit), words.read_port()
        m.d.comb += [write.en.eq(enables), write.data.eq(self.write.data)]
        if not config.single_port:
            kept = Signal(len(self.word), reset_less=True)
            m.d.sync += kept.eq(read.data)
            m.d.comb += [write.addr.eq(self.write.addr), read.addr.eq(self.address), self.word.eq(kept)]
            return m
        # One address for both, as a port has it. It waits a cycle, and not the word, which is wider.
        address, shared = Signal.like(self.address), Signal.like(self.address)
        m.d.sync += address.eq(self.address)
        m.d.comb += [
            shared.eq(Mux(self.write.en.any(), self.write.addr, address)),
            write.addr.eq(shared),
            read.addr.eq(shared),
            read.en.eq(~self.write.en.any()),
            self.word.eq(read.data),
        ]
        return m
