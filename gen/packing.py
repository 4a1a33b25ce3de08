"""Memory images: rows of bytes that hold records or packed values, and back.

A memory image is one row of bytes for each memory word: the word as a little-endian number, padded to whole slices of
32 bits. For two neurons with 8-bit weights on two lanes, the synapse word of a presynaptic neuron with the weights
(3, -1) is 0xff03, in bytes 03 ff 00 00: lane 0 in the lowest bits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.hw.registers import BUS_BITS, Field, Record, field_width, slices
from hillock.sim.network import IntArray

__all__ = ["MemoryImage", "pack_records", "pack_values", "unpack_record", "unpack_values"]


@dataclass(frozen=True, eq=False)
class MemoryImage:
    """The contents of one memory: `data[word, byte]`, see the module's docstring; `bits` is the width of a word."""

    name: str
    bits: int
    data: NDArray[np.uint8]

    def words(self) -> list[int]:
        """Every word as an unsigned integer."""
        row = self.data.shape[1]
        content = self.data.tobytes()
        return [int.from_bytes(content[at : at + row], "little") for at in range(0, len(content), row)]


def pack_values(name: str, width: int, values: IntArray) -> MemoryImage:
    """Rows of signed values, `width` bits each, lowest lane in the lowest bits."""
    rows, lanes = values.shape
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    if values.size and (values.min() < low or values.max() > high):
        raise HillockError(f"{name}: values from {values.min()} to {values.max()} do not fit in {width} signed bits")
    octets = values.astype("<i4").view(np.uint8).reshape(rows, lanes, 4)
    bits = np.unpackbits(octets, axis=2, bitorder="little")[:, :, :width]
    padded = np.zeros((rows, slices(lanes * width) * BUS_BITS), np.uint8)
    padded[:, : lanes * width] = bits.reshape(rows, lanes * width)
    return MemoryImage(name, lanes * width, np.packbits(padded, axis=1, bitorder="little"))


def unpack_values(memory: MemoryImage, lanes: int, width: int) -> IntArray:
    """The inverse of `pack_values`."""
    bits = np.unpackbits(memory.data, axis=1, bitorder="little")[:, : lanes * width].reshape(-1, lanes, width)
    octets = np.packbits(
        np.concatenate([bits, np.repeat(bits[:, :, -1:], 32 - width, axis=2)], axis=2), axis=2, bitorder="little"
    )
    values: IntArray = octets.reshape(-1, lanes * 4).view("<i4").astype(np.int64)
    return values


def pack_records(
    name: str, bits: int, record: Record, rows: Sequence[Mapping[str, int]], config: CoreConfig
) -> MemoryImage:
    """One word of `bits` bits for each of `rows`, which give the fields of `record` by name.

    A value takes the lowest bits that its field has; addresses and steps are modulo what they address.
    """
    words = np.zeros((len(rows), slices(bits)), "<u4")
    for position, field in record:
        mask = (1 << field_width(field, config)) - 1
        values = np.array([int(row[field.name]) & mask for row in rows], np.uint64)
        words[:, position] |= (values << np.uint64(field.low)).astype("<u4")
    return MemoryImage(name, bits, words.view(np.uint8))


def unpack_record(word: int, record: Record, config: CoreConfig) -> dict[str, int]:
    """The fields of a record by name."""
    return {field.name: _field_value(word >> (position * BUS_BITS), field, config) for position, field in record}


def _field_value(word: int, field: Field, config: CoreConfig) -> int:
    width = field_width(field, config)
    value = (word >> field.low) & ((1 << width) - 1)
    return value - (1 << width) if field.signed and value >> (width - 1) else value
