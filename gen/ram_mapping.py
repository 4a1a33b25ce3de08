"""How Yosys lays a memory into the RAMs of an ECP5, so that block RAMs can be counted before synthesis."""

from dataclasses import dataclass

__all__ = ["Mapping", "map_memory"]

_BLOCK_BITS = 1 << 14  # of a DP16KD, without the parity bits
_BLOCK_COST, _LUT_RAM_COST = 128, 4
_LUT_RAM_WORDS, _LUT_RAM_BITS = 16, 4
_READ_PORT, _OLD_WORD = 1, 6  # Yosys' points for logic beside a RAM, each as dear as 2 in cost


@dataclass(frozen=True)
class Mapping:
    """What a memory becomes.

    Attributes
    ----------
    kind : str
        "block" (DP16KD), "lut" (TRELLIS_DPR16X4) or "registers".
    rams : int
        Cells of that kind.
    banks : int
        Parts of the address range; where there are several, a multiplexer chooses between their words.
    """

    kind: str
    rams: int
    banks: int


def map_memory(words: int, bits: int, *, clocked: bool = True, keeps_old: bool = True) -> Mapping:
    """What Yosys makes of a memory with one write and one read port: the cheapest by its own costs.

    This is the rule of its pass `memory_libmap` with the libraries `brams_16kd` and `lutrams_trellis`. As there, a RAM
    of another kind must be cheaper by a whole point of cost.

    Parameters
    ----------
    clocked : whether the word comes a cycle after its address; only then it can be a block RAM
    keeps_old : whether a word that is read while it is written must be the old one, which takes logic beside a block
    """
    options = [_lut_rams(words, bits)]
    if clocked:
        options.insert(0, min(_blocks(words, bits, keeps_old), key=lambda option: option[0]))
    best, least = Mapping("registers", 0, words), words * bits
    for cost, mapping in options:
        if int(cost) < least:
            best, least = mapping, int(cost)
    return best


def _lut_rams(words: int, bits: int) -> tuple[float, Mapping]:
    banks = -(-words // _LUT_RAM_WORDS)
    rams = banks * -(-bits // _LUT_RAM_BITS)
    return _LUT_RAM_COST * rams + _logic_cost(banks, bits) + 2 * _READ_PORT, Mapping("lut", rams, banks)


def _blocks(words: int, bits: int, keeps_old: bool) -> list[tuple[float, Mapping]]:
    """Every shape of a block RAM, narrowest first; bytes are of 9 bits, and may lie across the blocks."""
    options = []
    for log, width in enumerate((1, 2, 4, 9, 18, 36)):
        banks = -(-words // (_BLOCK_BITS >> log))
        byte = min(width, 9)
        rams = -(-banks * byte * -(-bits // byte) // width)
        cost = _BLOCK_COST * rams + _logic_cost(banks, bits) + 2 * (_READ_PORT + _OLD_WORD * keeps_old)
        options.append((cost, Mapping("block", rams, banks)))
    return options


def _logic_cost(banks: int, bits: int) -> float:
    """Of the multiplexer behind the banks, and of the choice of the bank that is written."""
    return 0.5 * (banks - 1) * bits + (0.5 * banks if banks > 1 else 0)
