"""The synapse memory: with two ports, as block RAMs have them, or with one, as the large RAMs of small FPGAs."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
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

_DEEP = 8192
"""A memory of more words is made of several, of `_SLICE_BITS` bits of each word: the fewer bits a block RAM has the
deeper it is, and the fewer of them there are to choose from. Left alone, synthesis takes wide ones."""

_SLICE_BITS = 4


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

    @staticmethod
    def widths(config: CoreConfig) -> list[int]:
        """Bits of the memories that make up a word, from the lowest on."""
        width = config.lanes * config.weight_bits
        if config.synapse_words <= _DEEP or config.single_port or config.compact:
            return [width]
        return [min(_SLICE_BITS, width - low) for low in range(0, width, _SLICE_BITS)]

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
        written, read = self.write.addr, self.address
        if config.single_port:
            # One address for both, as a port has it. It waits a cycle, and not the word, which is wider.
            address, shared = Signal.like(self.address), Signal.like(self.address)
            m.d.sync += address.eq(self.address)
            m.d.comb += shared.eq(Mux(self.write.en.any(), self.write.addr, address))
            written = read = shared
        found: list[Value] = []  # what each memory answers
        for number, width in enumerate(widths := self.widths(config)):
            low = sum(widths[:number])
            block = memory.Memory(
                shape=width,
                depth=max(2, config.synapse_words),
                init=[word >> low & (1 << width) - 1 for word in self._words],
                attrs={"ram_style": HUGE} if config.single_port else _NO_COLLISION,
            )
            m.submodules["words" if len(widths) == 1 else f"words_{number}"] = block
            unit, enables = spread(self.write.en, width)
            write_port, read_port = block.write_port(granularity=unit), block.read_port()
            m.d.comb += [
                write_port.en.eq(enables),
                write_port.addr.eq(written),
                write_port.data.eq(self.write.data[low : low + width]),
                read_port.addr.eq(read),
            ]
            if config.single_port:
                m.d.comb += read_port.en.eq(~self.write.en.any())
            found.append(read_port.data)
        word = Cat(found)
        if not config.single_port:
            word = Signal(len(self.word), reset_less=True)
            m.d.sync += word.eq(Cat(found))
        m.d.comb += self.word.eq(word)
        return m
