"""Bytes: requests of LiteX's uartbone protocol, and CRCs of all that goes either way."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import HillockError

__all__ = [
    "BITS_OF_A_BYTE",
    "MOST_WORDS",
    "NoAnswer",
    "Port",
    "Rows",
    "Uartbone",
    "fixed_write",
    "read_request",
    "write_requests",
]

MOST_WORDS = 255
"""Words of a request."""

_WRITE, _READ, _WRITE_FIXED = 1, 2, 3
_DRAIN = 4096
_MOST_DRAINS = 256

BITS_OF_A_BYTE = 10
"""On the wire, with start and stop bit."""
"""On the wire, start and stop bit included."""

Rows = NDArray[np.uint32]
"""Bus writes, or what is expected to be read: rows of (address, value)."""


class NoAnswer(Exception):
    """Fewer bytes came than an answer has."""


class Port(Protocol):
    """What is needed of pyserial: `read` returns fewer bytes than asked for after `timeout` seconds."""

    timeout: float | None

    def read(self, size: int, /) -> bytes: ...

    def write(self, data: bytes, /) -> int | None: ...

    def close(self) -> None: ...


def _request(command: int, address: int, words: int) -> bytes:
    return bytes((command, words)) + address.to_bytes(4, "big")


def read_request(address: int, count: int) -> bytes:
    """The request that reads `count` words from `address` on."""
    return _request(_READ, address, count)


def fixed_write(address: int, values: Sequence[int]) -> bytes:
    """Requests that write all `values` to one address, in order."""
    data = np.asarray(values, ">u4").tobytes()
    parts = (data[at : at + 4 * MOST_WORDS] for at in range(0, len(data), 4 * MOST_WORDS))
    return b"".join(_request(_WRITE_FIXED, address, len(part) // 4) + part for part in parts)


def write_requests(rows: Rows) -> Iterator[bytes]:
    """Requests that write rows of (address, value) in order, as long as addresses follow each other."""
    addresses = rows[:, 0].astype(np.int64)
    data = rows[:, 1].astype(">u4").tobytes()
    ends = [*(np.flatnonzero(np.diff(addresses) != 1) + 1).tolist(), len(rows)]
    first = 0
    for end in ends:
        while first < end:
            last = min(end, first + MOST_WORDS)
            yield _request(_WRITE, int(addresses[first]), last - first) + data[4 * first : 4 * last]
            first = last


class Uartbone:
    """Sends requests and reads answers, with the CRC-32 that each side should have of them.

    Parameters
    ----------
    port : Port
    name : str
        For messages.
    baud, slowness : int
        Bits per second, and how many times longer than at that rate requests and answers may take.
    answer, silence : float
        Seconds: without an answer beyond that time; after which half a command is dropped.

    `received` and `sent` are named as the registers of the link that they are held against. `seen` is what came since
    `forget`.
    """

    def __init__(self, port: Port, name: str, *, baud: int, slowness: int, answer: float, silence: float):
        self.name = name
        self._port, self._baud, self._slowness = port, baud, slowness
        self._answer, self._silence = answer, silence
        self._timeout: float | None = None
        self._on_their_way = 0  # bytes that were given to the port, and may have to wait for the wire
        self.received = self.sent = 0
        self.bytes_out = self.bytes_in = 0
        self.seen = b""

    def forget(self) -> None:
        """Nothing has been seen from here on."""
        self.seen = b""

    def clear(self) -> None:
        """Both CRCs begin anew, as they do on the board after `control.clear`."""
        self.received = self.sent = 0

    def write(self, request: bytes) -> None:
        """Send requests that have no answer."""
        with _Ends(self.name):
            self._port.write(request)
        self.received = zlib.crc32(request, self.received)
        self.bytes_out += len(request)
        self._on_their_way += len(request)

    def read(self, address: int, count: int) -> list[int]:
        """The words from `address` on; `NoAnswer` when they do not come."""
        words: list[int] = []
        while count:
            part = min(count, MOST_WORDS)
            self.write(read_request(address, part))
            answer = self._take(4 * part, self._answer + self._seconds(4 * part))
            if len(answer) < 4 * part:
                raise NoAnswer
            words += np.frombuffer(answer, ">u4").tolist()
            address, count = address + part, count - part
        return words

    def drain(self) -> None:
        """Wait until nothing has come for `silence` seconds: the board has then dropped what stopped half-way."""
        for _ in range(_MOST_DRAINS):
            if not self._take(_DRAIN, self._silence):
                return
        raise HillockError(
            f"port {self.name}: it does not stop sending ({_MOST_DRAINS} times {self._silence} s): it is not a "
            f"hillock board, or its baud rate is another than {self._baud:,}: look at the port and give its rate with "
            f"--baud"
        )

    def close(self) -> None:
        """Close the port."""
        self._port.close()

    def _seconds(self, count: int) -> float:
        """How long bytes may take."""
        return BITS_OF_A_BYTE * count * self._slowness / self._baud

    def _take(self, count: int, timeout: float) -> bytes:
        """At most `count` bytes, and fewer when `timeout` seconds have gone by since all that was written has left."""
        timeout += self._seconds(self._on_their_way)
        with _Ends(self.name):
            if timeout != self._timeout:
                self._port.timeout = self._timeout = timeout
            got = self._port.read(count)
        self._on_their_way = 0
        self.sent = zlib.crc32(got, self.sent)
        self.bytes_in += len(got)
        if len(self.seen) < _DRAIN:
            self.seen += got
        return got


class _Ends:
    """A port that is gone is an error of the user's; pyserial's own is an OSError."""

    def __init__(self, name: str):
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError):
            raise HillockError(
                f"port {self._name}: it is gone ({error}): plug the board in again, or start the virtual board again"
            ) from None
