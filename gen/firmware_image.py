"""A network as words for the driver in `firmware/`: all that is loaded, what must then be read, and what can be tried.

`HEADER` first, then sections, each `kind << 24 | words of its body` and its body:

LOAD        address, run, step, runs, then runs * run words: word j of run i is written at address + i * step + j
CHECK       address, words, CRC-32 of what these words must read once all is loaded
INPUT       address, bank_step, step, current_bits, words, lanes, then for each lane of each word the pixel that it
            takes (`NO_PIXEL`: none), two to a word: how an image becomes current words; bank b is at + b * bank_step
REGISTERS   core, then (offset, bits that can be written) of each register
MEMORY      core, base, step, words, slices, lanes, lane_bits, then for each slice the bits that it keeps: a memory that
            can be read, by slices where lane_bits is 0, and otherwise by lanes of so many bits
POTENTIALS  core, words, lanes, step, bits, count, preload slice, then (address, value) of count writes, the first of
            which are the slices of a layer record: a network without synapses that leaves its preload in all potentials

CRCs are those of zlib, of words as four bytes each, the lowest first. `firmware/include/hillock_image.h` has the same
numbers for C.
"""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hillock.host.program import Program
from hillock.host.uartbone import Rows
from hillock.hw.config import CoreConfig
from hillock.hw.design_digest import design_digest
from hillock.hw.formats import token_layout
from hillock.hw.link_registers import link_table_digest
from hillock.hw.problems import HillockError
from hillock.hw.registers import (
    BUS_ADDRESS_BITS,
    BUS_BITS,
    LAYER_RECORD,
    REGISTERS,
    Access,
    field_width,
    memory_shape,
    region,
    register,
    slices,
    table_digest,
)
from hillock.sim.network import Decision

from .host_program import host_program
from .mapping import Placement
from .packing import pack_records
from .pipeline import PipelinePlacement

__all__ = [
    "CHECK",
    "HEADER",
    "INPUT",
    "INPUT_EVENTS",
    "INPUT_IMAGE",
    "INPUT_STATIC",
    "LOAD",
    "MAGIC",
    "MEMORY",
    "NO_PIXEL",
    "POTENTIALS",
    "REGISTERS_OF",
    "VERSION",
    "crc",
    "firmware_image",
]

MAGIC = 0x48494D47
"""The first word: the letters HIMG."""

VERSION = 1
HEADER = (
    *("magic", "words", "crc", "version", "table", "link_table", "design"),
    *("cores", "timesteps", "classes", "marker_bit", "input"),
)
"""What each word of the header is: `words` counts all, and `crc` is that of all behind it.

`classes` counts the spike counters of the last core in use (0: the decision is not by count), `marker_bit` is that of
an output token, and `input` one of those below.
"""

INPUT_EVENTS, INPUT_IMAGE, INPUT_STATIC = range(3)
LOAD, CHECK, INPUT, REGISTERS_OF, MEMORY, POTENTIALS = range(1, 7)
NO_PIXEL = 0xFFFF
_CHECKED = 256
"""Words of a CHECK, so that one that fails says roughly where."""

_READABLE = ("layers", "synapses", "currents")

Words = NDArray[np.uint32]


def crc(words: Words) -> int:
    """The CRC-32 of words."""
    return zlib.crc32(np.asarray(words, "<u4").tobytes())


def firmware_image(placement: Placement | PipelinePlacement) -> Words:
    """All words of a placed network; `HillockError` for an image of more pixels than a section can name."""
    pipeline = placement
    if isinstance(pipeline, Placement):
        pipeline = PipelinePlacement(pipeline.network, (pipeline,))
    program, network = host_program(pipeline), pipeline.network
    body = [*_loads(program.load)]
    body += _checks(np.concatenate([_register_rows(program), program.read_back]))
    if network.image_input:
        body += _input(pipeline.cores[0])
    for number, core in enumerate(pipeline.cores):
        body += _self_test(number, core.config)
    last = pipeline.configs[-1]
    fields = {
        "version": VERSION,
        "table": table_digest(),
        "link_table": link_table_digest(),
        "design": design_digest(pipeline.configs),
        "cores": len(pipeline.cores),
        "timesteps": network.timesteps,
        "classes": network.layers[-1].neurons if network.decision is Decision.COUNT else 0,
        "marker_bit": token_layout(last).size - 1,
        "input": INPUT_IMAGE if network.image_input else INPUT_STATIC if network.static_input else INPUT_EVENTS,
    }
    covered = np.array([*(fields[name] for name in HEADER[3:]), *body], np.uint32)
    return np.concatenate([np.array([MAGIC, len(covered) + 3, crc(covered)], np.uint32), covered])


def _section(kind: int, body: Sequence[int]) -> list[int]:
    return [kind << 24 | len(body), *body]


def _stretches(addresses: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(first, end) of the stretches of addresses that follow each other."""
    ends = [*(np.flatnonzero(np.diff(addresses) != 1) + 1).tolist(), len(addresses)]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _loads(rows: Rows) -> Iterator[int]:
    """LOAD sections of writes, in their order: stretches of equal length and distance are one section."""
    addresses, values = rows[:, 0].astype(np.int64), rows[:, 1].tolist()
    stretches = _stretches(addresses)
    at = 0
    while at < len(stretches):
        first, end = stretches[at]
        run, base = end - first, int(addresses[first])
        step, count = 0, 1
        while at + count < len(stretches):
            next_first, next_end = stretches[at + count]
            distance = int(addresses[next_first]) - base
            step = step or distance
            if next_end - next_first != run or distance != count * step or step <= 0:
                break
            count += 1
        last = stretches[at + count - 1][1]
        yield from _section(LOAD, [base, run, step if count > 1 else 0, count, *values[first:last]])
        at += count


def _checks(rows: Rows) -> Iterator[int]:
    """CHECK sections of what must be read."""
    addresses = rows[:, 0].astype(np.int64)
    for first, end in _stretches(addresses):
        for at in range(first, end, _CHECKED):
            part = rows[at : min(end, at + _CHECKED), 1]
            yield from _section(CHECK, [int(addresses[at]), len(part), crc(part)])


def _register_rows(program: Program) -> Rows:
    """The writes of `program` to registers, which read as they were written."""
    offset = program.load[:, 0] & np.uint32((1 << BUS_ADDRESS_BITS) - 1)
    return program.load[offset < region("layers").base]


def _input(core: Placement) -> list[int]:
    where, config = core.layers[0], core.config
    layout = where.layout
    slots = layout.slots()
    if len(slots) >= NO_PIXEL:
        raise HillockError(
            f"firmware image: an image has at most {NO_PIXEL - 1} pixels, not {len(slots)}: the driver names a pixel "
            f"by 16 bits; take an input of fewer pixels, or one of events"
        )
    pixels = np.full(-(-layout.words * config.lanes // 2) * 2, NO_PIXEL, np.int64)
    pixels[slots] = np.arange(len(slots))
    step = 1 << config.part_bits
    head = [
        region("currents").base + where.current_base * step,
        layout.words * step if core.has_two_images else 0,
        *(step, config.current_bits, layout.words, config.lanes),
    ]
    return _section(INPUT, head + (pixels[::2] | pixels[1::2] << 16).tolist())


def _self_test(number: int, config: CoreConfig) -> list[int]:
    """What can be tried of a core."""
    writable = [entry for entry in REGISTERS if entry.access == Access.RW]
    masks = [sum(((1 << field_width(f, config)) - 1) << f.low for f in entry.fields) for entry in writable]
    pairs = [value for entry, mask in zip(writable, masks, strict=True) for value in (entry.offset, mask)]
    body = _section(REGISTERS_OF, [number, *pairs])
    for name in _READABLE:
        words, bits = memory_shape(name, config)
        lane_bits = {"synapses": config.weight_bits, "currents": config.current_bits}.get(name, 0)
        keeps = [(1 << min(BUS_BITS, bits - low)) - 1 for low in range(0, bits, BUS_BITS)]
        if name == "layers":
            keeps = [0] * slices(bits)
            for position, field in LAYER_RECORD:
                keeps[position] |= ((1 << field_width(field, config)) - 1) << field.low
        lanes = config.lanes if lane_bits else 0
        base = number << BUS_ADDRESS_BITS | region(name).base
        body += _section(MEMORY, [number, base, 1 << config.part_bits, words, slices(bits), lanes, lane_bits, *keeps])
    return body + _potentials(number, config)


def _potentials(number: int, config: CoreConfig) -> list[int]:
    """One layer over all potentials that neither integrates nor fires, on an image of one current word of zeros."""
    layer = dict.fromkeys((field.name for _, field in LAYER_RECORD), 0) | {
        "channel_words": config.potential_words,
        **dict.fromkeys(("column_words", "rows", "columns", "threshold", "is_output"), 1),
        **dict.fromkeys(("channels", "used_lanes", "end_lanes"), config.lanes),
        "change": 6,
    }
    record = pack_records("layers", memory_shape("layers", config)[1], LAYER_RECORD, [layer], config)
    core = number << BUS_ADDRESS_BITS
    writes = [(core | region("layers").base + i, value) for i, value in enumerate(record.data.view("<u4")[0].tolist())]
    for i in range(slices(memory_shape("currents", config)[1])):
        writes.append((core | region("currents").base + i, 0))
    settings = {"layers": 1, "input_mode": 1, "timesteps": 1, "delay": 0, "decision_mode": 2, "image_words": 0}
    writes += [(core | register(name).offset, value) for name, value in settings.items()]
    ((preload, low),) = [(position, field.low) for position, field in LAYER_RECORD if field.name == "preload"]
    assert low == 0
    head = [number, config.potential_words, config.lanes, 1 << config.part_bits, config.potential_bits]
    return _section(POTENTIALS, [*head, len(writes), preload, *(value for row in writes for value in row)])
