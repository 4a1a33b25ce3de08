"""The self-test of a board, step by step: what each found, in words."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hillock.host.inference import Wishes
from hillock.host.program import Program, at_core
from hillock.host.uartbone import Rows
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.hw.registers import (
    BUS_ADDRESS_BITS,
    LAYER_RECORD,
    REGISTERS,
    Access,
    field_width,
    memory_shape,
    region,
    slices,
)

from .host_program import host_program, values_read_back
from .host_runs import compared, held_out
from .pipeline import PipelinePlacement

if TYPE_CHECKING:
    from hillock.host.board import Board

__all__ = ["Said", "steps_of"]

Said = tuple[bool, str]
"""Whether a step passed, and what there is to say."""

_ROUNDS = 32


def steps_of(
    placement: PipelinePlacement, model: str, images: int, open_board: Callable[[], "Board"]
) -> Iterator[tuple[str, Said]]:
    """(name, what came of it) of each step; what cannot be tried after a failure is left out."""
    program = host_program(placement)
    inputs, _ = held_out(placement.network, model, images)
    try:
        board = open_board()
    except HillockError as error:
        yield "link", (False, str(error))
        return
    with board:
        yield "link", _try(lambda: _link(board))
        yield "identity", (named := _try(lambda: _identity(board, program)))
        if not named[0]:
            return
        for core, config in enumerate(program.configs):
            yield f"registers of core {core}", _try(partial(_registers, board, core, config))
            for name in ("layers", "synapses", "currents"):
                yield f"{name} of core {core}", _try(partial(_memory, board, core, config, name))
        yield "load the network", (loaded := _try(lambda: _load(board, program)))
        if loaded[0]:

            def run() -> Said:
                results = board.run_many(inputs, wishes=Wishes(potentials=True, overlap=False))
                wrong = [one for one in compared(placement, program, inputs, results) if one]
                cycles = sum(result.cycles or 0 for result in results) // len(results)
                return not wrong, wrong[0] if wrong else f"{len(results)} images, {cycles:,} cycles each: all equal"

            yield "run and compare", _try(run)
        yield "link again", _try(lambda: _statistics(board))


def _try(step: Callable[[], Said]) -> Said:
    try:
        return step()
    except HillockError as error:
        return False, str(error)


def _link(board: "Board") -> Said:
    for _ in range(_ROUNDS):
        board.read(at_core("identity"), 4)
    return True, f"{_ROUNDS} exchanges; {board.statistics.retries} repeated"


def _identity(board: "Board", program: Program) -> Said:
    board.identity.check(program.configs, f"network {program.network.name!r}")
    board.abort()  # whatever was under way: else memories can be neither written nor read
    return True, board.identity.describe()


def _registers(board: "Board", core: int, config: CoreConfig) -> Said:
    """Every register that can be written takes all ones, all zeros and each of two patterns."""
    entries = [entry for entry in REGISTERS if entry.access == Access.RW]
    for pattern in (0xFFFFFFFF, 0xAAAAAAAA, 0x55555555, 0):
        board.write(np.array([(at_core(entry.name, core), pattern) for entry in entries], np.uint32))
        for entry in entries:
            mask = sum(((1 << field_width(field, config)) - 1) << field.low for field in entry.fields)
            (found,) = board.read(at_core(entry.name, core))
            if found != pattern & mask:
                return False, f"{entry.name}: wrote {pattern:#x}, read {found:#x}, and not {pattern & mask:#x}"
    return True, f"{len(entries)} registers, 4 patterns each"


def _memory(board: "Board", core: int, config: CoreConfig, name: str) -> Said:
    """Every word of a memory: first numbers that differ from word to word, then their complements."""
    words, bits = memory_shape(name, config)
    numbers = np.random.default_rng(words).integers(0, 1 << 32, (words, slices(bits)), dtype=np.uint32)
    for values in (numbers, ~numbers):
        written, expected = _pattern(core, config, name, values)
        board.write(written)
        at = 0
        while at < len(expected):
            count = _stretch(expected[at : at + 1000, 0])
            found = np.array(board.read(int(expected[at, 0]), count), np.uint32)
            differs = np.flatnonzero(found != expected[at : at + count, 1])
            if len(differs):
                first = at + int(differs[0])
                address, wanted = expected[first].tolist()
                return False, f"at {address:#x}: read {int(found[first - at]):#x}, and not {wanted:#x}"
            at += count
    return True, f"{words:,} words, 2 patterns"


def _stretch(addresses: np.ndarray) -> int:
    """How many of them follow each other."""
    gaps = np.flatnonzero(np.diff(addresses.astype(np.int64)) != 1)
    return int(gaps[0]) + 1 if len(gaps) else len(addresses)


def _pattern(core: int, config: CoreConfig, name: str, values: NDArray[np.uint32]) -> tuple[Rows, Rows]:
    """(writes, what is then read) of a whole memory that is to hold `values[word, slice]`."""
    index, part = np.indices(values.shape)
    base = core << BUS_ADDRESS_BITS | region(name).base
    writes = np.stack([(base + (index << config.part_bits | part)).reshape(-1), values.reshape(-1)], axis=1)
    if name != "layers":
        return writes.astype(np.uint32), values_read_back(core, config, name, values)
    masks = np.zeros(values.shape[1], np.uint32)
    for position, field in LAYER_RECORD:
        masks[position] |= np.uint32(((1 << field_width(field, config)) - 1) << field.low)
    reads = writes.copy()
    reads[:, 1] = (values & masks).reshape(-1)
    return writes.astype(np.uint32), reads.astype(np.uint32)


def _load(board: "Board", program: Program) -> Said:
    board.load(program)
    return True, f"{len(program.load):,} words written, {len(program.read_back):,} read back"


def _statistics(board: "Board") -> Said:
    found = board.statistics
    return True, f"{found.bytes_out + found.bytes_in:,} bytes, {found.retries} reads and {found.reloads} loads repeated"
