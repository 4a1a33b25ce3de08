"""The link's protocol in plain Python, for tests: requests as bytes, and what a request parser should make of bytes."""

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hillock.hw.link_registers import LINK_BASE, WINDOW_SHIFT, WINDOWS, link_register

__all__ = ["Parser", "at_link", "read", "window", "write", "write_rows"]

WRITE_INCREMENTED, READ_INCREMENTED, WRITE_FIXED, READ_FIXED = 1, 2, 3, 4


def at_link(name: str) -> int:
    """Bus address of a register of the link."""
    return LINK_BASE + link_register(name).offset


def window(name: str, index: int = 0) -> int:
    """Bus address of a word of a window of the link."""
    return LINK_BASE + (WINDOWS[name] << WINDOW_SHIFT) + index


def write(address: int, *words: int, fixed: bool = False) -> bytes:
    """A request to write up to 256 words."""
    command = WRITE_FIXED if fixed else WRITE_INCREMENTED
    return struct.pack(f">BBI{len(words)}I", command, len(words) % 256, address, *words)


def read(address: int, count: int = 1, *, fixed: bool = False) -> bytes:
    """A request to read up to 256 words."""
    return struct.pack(">BBI", READ_FIXED if fixed else READ_INCREMENTED, count % 256, address)


def write_rows(rows: Any) -> bytes:
    """Requests that write rows of (address, value), neighbours together."""
    runs: list[tuple[int, list[int]]] = []
    for address, value in np.asarray(rows).tolist():
        if not runs or address != runs[-1][0] + len(runs[-1][1]) or len(runs[-1][1]) == 256:
            runs.append((address, []))
        runs[-1][1].append(value)
    return b"".join(write(address, *values) for address, values in runs)


@dataclass
class Parser:
    """What a board does with bytes: `accesses` of the bus as (address, value written or None), and what it refuses.

    `refused` counts commands that do not exist; `silence` ends one that stopped half-way.
    """

    accesses: list[tuple[int, int | None]] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    refused: int = 0
    _bytes: bytes = b""
    _count: int = 0

    def take(self, given: bytes) -> None:
        """More bytes."""
        for byte in given:
            if not self._bytes:
                self.begun.append(self._count)
            self._count += 1
            self._bytes += bytes([byte])
            if len(self._bytes) >= 6:
                self._end()

    def silence(self) -> None:
        """A long time without a byte."""
        if self._bytes:
            self.refused += 1
        self._bytes = b""

    def _end(self) -> None:
        command, count, address = struct.unpack_from(">BBI", self._bytes)
        count, step = count or 256, command in (WRITE_INCREMENTED, READ_INCREMENTED)
        if command in (READ_INCREMENTED, READ_FIXED):
            self.accesses += [((address + i * step) % 2**32, None) for i in range(count)]
        elif command in (WRITE_INCREMENTED, WRITE_FIXED):
            # Each word is written as soon as it is there.
            words, rest = divmod(len(self._bytes) - 6, 4)
            if words and not rest:
                (value,) = struct.unpack(">I", self._bytes[-4:])
                self.accesses.append(((address + (words - 1) * step) % 2**32, value))
            if words < count:
                return
        else:
            self.refused += 1
        self._bytes = b""
