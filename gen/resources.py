"""What a core takes of an ECP5, predicted from its configuration alone.

Block RAMs and multipliers are counted as Yosys maps them. LUTs (as nextpnr counts them, TRELLIS_COMB) and flip-flops
are a sum over what a core is made of, with factors fitted by least squares to 49 syntheses of an earlier version of the
cores, dense and convolutional, of 4 to 128 lanes: within 7 and 4 %. Of 23 syntheses of the present version, up to 16
lanes, they are within 9 and 6 % (`tests/data/resources.json`), and of whole boards: `docs/boards.md`.
"""

from dataclasses import dataclass

from amaranth.utils import ceil_log2

from hillock.hw.config import CoreConfig
from hillock.hw.decoder import table_entry_layout
from hillock.hw.formats import connection_layout, descriptor_layout, neuron_layout, spike_word_layout, token_layout
from hillock.hw.neuron_array import NeuronArray
from hillock.hw.registers import memory_shape
from hillock.hw.spike_queue import lane_entry_layout, queue_word_layout
from hillock.hw.synapse_memory import SynapseMemory

__all__ = ["Resources", "predict"]


@dataclass(frozen=True)
class Resources:
    """LUT4 of all uses, flip-flops, block RAMs of 18 kbit, multipliers of 18 bits."""

    lut: int = 0
    ff: int = 0
    bram: int = 0
    dsp: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(self.lut + other.lut, self.ff + other.ff, self.bram + other.bram, self.dsp + other.dsp)


FACTORS: dict[str, tuple[float, float]] = {
    "one": (243.37, 878.75),
    "lanes": (68.23, 35.23),
    "lane potential bits": (13.13, 6.87),
    "lane weight bits": (-1.68, 2.07),
    "memory multiplexers": (0.86, -0.03),
    "further weight banks' bits": (0.86, 1),
    "potential bits": (37.69, 6.54),
    "address bits": (28.2, 13.08),
    "tables": (217.33, -293.84),
    "tables' address bits": (7.91, 28.92),
    "column lanes": (-0.06, -6.61),
    "grouped": (38.33, -34.11),
    "replay": (96.4, 88.45),
    "LUT RAMs": (5.68, 1.36),
    "lane payload bits": (5.68, 9.94),
    "static lanes' current bits": (1.52, 0.62),
    "one word's potential bits": (2.27, 0.29),
}
"""LUTs and flip-flops for each unit of what `_parts` counts."""


def predict(config: CoreConfig) -> Resources:
    """What a core of this configuration takes."""
    memories = [_mapping(depth, width, sync, check) for depth, width, sync, check in _memories(config)]
    parts = _parts(config, memories)
    lut = sum(FACTORS[name][0] * count for name, count in parts.items())
    ff = sum(FACTORS[name][1] * count for name, count in parts.items())
    bram = sum(memory.blocks for memory in memories if memory.kind == "block")
    return Resources(round(lut), round(ff), bram, config.lanes if config.payload_bits > 1 else 0)


@dataclass(frozen=True)
class _Memory:
    kind: str
    blocks: int
    banks: int
    width: int


def _parts(config: CoreConfig, memories: list[_Memory]) -> dict[str, float]:
    lanes, bits = config.lanes, config.potential_bits
    address_bits = sum(
        (words - 1).bit_length() for words in (config.potential_words, config.synapse_words, config.current_words)
    )
    return {
        "one": 1,
        "lanes": lanes,
        "lane potential bits": lanes * bits,
        "lane weight bits": lanes * config.weight_bits,
        "memory multiplexers": sum((m.banks - 1) * m.width for m in memories if m.kind != "registers"),
        "further weight banks' bits": (len(SynapseMemory.parts(config)[0]) - 1) * lanes * config.weight_bits,
        "potential bits": bits,
        "address bits": address_bits,
        "tables": config.tables,
        "tables' address bits": config.tables * address_bits,
        "column lanes": lanes * config.column_lanes,
        "grouped": config.grouped,
        "replay": config.replay_words > 0,
        "LUT RAMs": sum(m.blocks for m in memories if m.kind == "lut"),
        "lane payload bits": lanes * config.payload_bits if config.payload_bits > 1 else 0,
        "static lanes' current bits": config.static_input * lanes * config.current_bits,
        "one word's potential bits": config.one_word * lanes * bits,
    }


def _memories(config: CoreConfig) -> list[tuple[int, int, bool, bool]]:
    """(words, bits, answers in the next cycle, may be read while it is written) of every memory of a core."""
    lanes, (banks, slices) = config.lanes, SynapseMemory.parts(config)
    found = [
        *((words, bits, True, False) for words in banks for bits in slices),
        (config.current_words, lanes * config.current_bits, True, False),
        (config.max_layers, neuron_layout(config).size, True, False),
        *((config.potential_words, bits, True, False) for bits in NeuronArray.potential_widths(config)),
        (config.max_layers, descriptor_layout(config).size, True, True),
        (config.max_connections, connection_layout(config).size, True, True),
        (1 << ceil_log2(max(2, config.input_queue)), token_layout(config).size, True, False),
        (config.classes, config.timestep_bits, True, False),
    ]
    for _ in range(2):
        shallow = config.queue_words <= 16
        found.append((1 << ceil_log2(config.queue_words), queue_word_layout(config).size, not shallow, False))
        if config.column_lanes:
            found.append((memory_shape("lanes", config)[0], lane_entry_layout(config).size, False, True))
    if config.replay_words:
        found.append((config.replay_words, spike_word_layout(config).size, True, True))
    entry = table_entry_layout(config).size
    found += [(words, entry, True, True) for words in (config.row_entries, config.column_entries) if words]
    if config.grouped:
        found.append((config.channel_entries, entry, True, True))
    return [(max(2, words), bits, sync, check) for words, bits, sync, check in found]


def _mapping(depth: int, width: int, sync: bool, check: bool) -> _Memory:
    """What Yosys makes of a memory: the cheapest by the costs of its library of ECP5 memories (`memory_libmap`)."""
    banks = -(-depth // 16)
    blocks = banks * -(-width // 4)
    lut = 4 * blocks + 0.5 * (banks - 1) * width + (0.5 * banks if banks > 1 else 0) + 2
    options: list[tuple[float, _Memory]] = []
    if sync:
        options.append(_block(depth, width, 7 if check else 1))
    options.append((lut, _Memory("lut", blocks, banks, width)))
    best, cost = _Memory("registers", 0, depth, width), depth * width
    for price, memory in options:
        if int(price) < cost:
            best, cost = memory, int(price)
    return best


def _block(depth: int, width: int, emulated: int) -> tuple[float, _Memory]:
    best: tuple[float, _Memory] | None = None
    for shapes in ((1, 2, 4, 9, 18), (9, 18, 36)):
        for unit in shapes:
            words = (1 << 14) >> {1: 0, 2: 1, 4: 2, 9: 3, 18: 4, 36: 5}[unit]
            banks, byte = -(-depth // words), min(unit, 9)
            blocks = -(-banks * -(-width // byte) * byte // unit)
            cost = 128 * blocks + 0.5 * (banks - 1) * width + (0.5 * banks if banks > 1 else 0) + 2 * emulated
            if best is None or cost < best[0]:
                best = cost, _Memory("block", blocks, banks, width)
    assert best
    return best
