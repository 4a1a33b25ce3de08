"""The synapse memory: with two ports, as block RAMs have them, or with one, as the large RAMs of small FPGAs."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .config import CoreConfig
from .formats import slice_port, spread
from .trees import or_tree

__all__ = ["HUGE", "SynapseMemory"]

HUGE = "huge"
"""What `ram_style` says of a memory that is to lie in large RAMs: by it Yosys takes the SPRAM of an iCE40 UltraPlus."""

# A word that is read while it is written is never used: the bus writes between two inferences only. Told so, synthesis
# leaves out the registers that would otherwise keep the old word.
_NO_COLLISION = {"no_rw_check": 1}

_DEEP = 8192
"""A memory of more words is made of several, of `_BANK` words and `_SLICE_BITS` bits of each: a block RAM of an ECP5.
Left alone, synthesis takes wide ones, of which there are more to choose from, and chooses before the register."""

_BANK, _SLICE_BITS = 4096, 4


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
    def parts(config: CoreConfig) -> tuple[list[int], list[int]]:
        """What it is made of: the words of each bank, from the first on; the bits of each slice, from the lowest."""
        words, width = config.synapse_words, config.lanes * config.weight_bits
        if words <= _DEEP or config.single_port or config.compact:
            return [words], [width]
        return _cut(words, _BANK), _cut(width, _SLICE_BITS)

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
        banks, slices = self.parts(config)
        found = [self._elaborate_bank(m, number, banks, slices, written, read) for number in range(len(banks))]
        if config.single_port:
            m.d.comb += self.word.eq(found[0])
            return m
        # Each bank has a register, which is 0 in all but the one that was asked.
        words = [Signal(len(self.word), name=f"word_{number}", reset_less=True) for number in range(len(banks))]
        asked = Signal(ceil_log2(len(banks)))
        m.d.sync += asked.eq(read[ceil_log2(_BANK) :])
        for number, word in enumerate(words):
            m.d.sync += word.eq(Mux(asked == number, found[number], 0))
        m.d.comb += self.word.eq(or_tree(m, "word", words, shaped=False))
        return m

    def _elaborate_bank(
        self, m: Module, number: int, banks: list[int], slices: list[int], written: Value, read: Value
    ) -> Value:
        """One bank, with a memory for each slice; returns what they answer."""
        config, first, found = self._config, sum(banks[:number]), []
        for position, width in enumerate(slices):
            low = sum(slices[:position])
            block = memory.Memory(
                shape=width,
                depth=max(2, banks[number]),
                init=[word >> low & (1 << width) - 1 for word in self._words[first : first + banks[number]]],
                attrs={"ram_style": HUGE} if config.single_port else _NO_COLLISION,
            )
            m.submodules["words" if len(banks) == len(slices) == 1 else f"words_{number}_{position}"] = block
            unit, enables = spread(self.write.en, width)
            write_port, read_port = block.write_port(granularity=unit), block.read_port()
            if len(banks) > 1:
                enables = enables & (written[ceil_log2(_BANK) :] == number)
            m.d.comb += [
                write_port.en.eq(enables),
                write_port.addr.eq(written),
                write_port.data.eq(self.write.data[low : low + width]),
                read_port.addr.eq(read),
            ]
            if config.single_port:
                m.d.comb += read_port.en.eq(~self.write.en.any())
            found.append(read_port.data)
        return Cat(found)


def _cut(total: int, part: int) -> list[int]:
    """`total` in parts of `part`, and what is left."""
    return [min(part, total - at) for at in range(0, total, part)]
