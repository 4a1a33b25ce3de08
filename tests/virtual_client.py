"""A client of a virtual board that knows nothing but bytes: for tests."""

import os
import select
import socket
import time
from contextlib import suppress

from link_bytes import at_link, read, write

__all__ = ["PATIENCE", "Client", "cpu_seconds"]

PATIENCE = 60.0
"""Seconds: much, on a machine that has other things to do too; only a failure waits for so long."""


class Client:
    """Bytes to and from a board: `place` is a URL socket://... or the path of a terminal."""

    def __init__(self, place: str):
        if place.startswith("socket://"):
            host, _, port = place.removeprefix("socket://").partition(":")
            self._socket: socket.socket | None = socket.create_connection((host, int(port)))
            self._file = self._socket.fileno()
        else:
            self._socket, self._file = None, os.open(place, os.O_RDWR | os.O_NOCTTY)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket:
            self._socket.close()
        else:
            os.close(self._file)

    def send(self, request: bytes) -> None:
        while request:
            request = request[os.write(self._file, request) :]

    def bytes(self, count: int) -> bytes:
        """So many, or fewer where they do not come."""
        got, until = b"", time.monotonic() + PATIENCE
        while len(got) < count and (left := until - time.monotonic()) > 0:
            if select.select([self._file], [], [], left)[0]:
                with suppress(BlockingIOError):
                    got += os.read(self._file, count - len(got))
        return got

    def ask(self, address: int, count: int = 1, **options: bool) -> list[int]:
        """The words that are read there."""
        self.send(read(address, count, **options))
        answer = self.bytes(4 * count)
        assert len(answer) == 4 * count, f"{len(answer)} bytes came"
        return [int.from_bytes(answer[i : i + 4], "big") for i in range(0, len(answer), 4)]

    def get(self, address: int) -> int:
        (value,) = self.ask(address)
        return value

    def errors(self) -> int:
        """The errors of the link, which are cleared."""
        found = self.get(at_link("error"))
        self.send(write(at_link("error"), found))
        return found


def cpu_seconds(process: int) -> float:
    """What a process has used so far."""
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
