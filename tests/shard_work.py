"""Work for the tests of shards, in a module of its own: a worker in another process imports it by this name."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from hillock.hw.problems import HillockError


@dataclass(frozen=True)
class Piece:
    """A piece of work that notes in `folder` that it was begun, and `deaths` times kills the process that does it."""

    number: int
    folder: Path
    deaths: int = 0
    signal: int = signal.SIGKILL
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"piece {self.number}"


def times_begun(folder: Path, number: int) -> int:
    return len(list(folder.glob(f"{number}-*")))


def square(piece: Piece) -> int:
    begun = times_begun(piece.folder, piece.number)
    (piece.folder / f"{piece.number}-{begun}").touch()
    time.sleep(piece.seconds)
    if begun < piece.deaths:
        os.kill(os.getpid(), piece.signal)
        time.sleep(10)
    return piece.number**2


def refuse(piece: Piece) -> int:
    raise HillockError("it is too hot")


def fail(piece: Piece) -> int:
    raise ZeroDivisionError("our own making")


def whoami(piece: Piece) -> int:
    time.sleep(piece.seconds)
    return os.getpid()
