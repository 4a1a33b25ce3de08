"""A board without a board: the whole design, compiled, with its UART at a TCP port or a pseudo-terminal."""

import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from hillock.hw.problems import HillockError

from .compiled import MAIN, compiled

__all__ = ["VirtualBoard", "build_board"]

_SOURCE = MAIN / "board.cpp"
_PATIENCE = 5
"""Seconds that the program is given to end."""


def build_board(verilog: str, folder: Path) -> Path:
    """Compile `verilog` (module `system`) into `folder`/<digest>, and return the program.

    What is there already is used again. A `HillockError` says what Verilator has to say.
    """
    return compiled(
        "board", top="system", what="the board design", written={"system.v": verilog}, sources=[_SOURCE], folder=folder
    )


class VirtualBoard:
    """A running board: a context manager. It ends with the process that started it.

    Parameters
    ----------
    program : Path
        What `build_board` returned.
    divisor, idle_cycles : int
        Those that the design was generated with.
    tcp : int, optional
        The port on this machine that takes one client at a time; 0 is any that is free, None is none.
    pty : bool
        Whether there is a pseudo-terminal.

    `tcp_url` and `pty_path` are where to connect, and `url` is the first of them: pyserial opens all of these.
    """

    def __init__(self, program: Path, *, divisor: int, idle_cycles: int, tcp: int | None = 0, pty: bool = False):
        if tcp is None and not pty:
            raise HillockError("virtual board: there must be a TCP port or a pseudo-terminal to connect to")
        if tcp is not None and not 0 <= tcp < 1 << 16:
            raise HillockError(f"virtual board: a TCP port must be from 0 (any that is free) to 65535, not {tcp}")
        places = [*([] if tcp is None else ["tcp", str(tcp)]), *(["pty"] if pty else [])]
        self._command = [str(program), str(divisor), str(idle_cycles), str(os.getpid()), *places]
        self._process: subprocess.Popen[str] | None = None
        self.tcp_url: str | None = None
        self.pty_path: str | None = None

    @property
    def url(self) -> str:
        """Where to connect."""
        found = self.tcp_url or self.pty_path
        if found is None:
            raise HillockError("virtual board: it is not running")
        return found

    @property
    def process_id(self) -> int:
        """Of the running program."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == "ready":
                return self
            if line.startswith("socket:"):
                self.tcp_url = line.strip()
            else:
                self.pty_path = line.strip()
        _, said = self._process.communicate()
        self._process = None
        raise HillockError(f"virtual board: it did not start: {said.strip()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def wait(self) -> int:
        """Wait for its end, and return the exit status."""
        assert self._process is not None
        return self._process.wait()

    def stop(self) -> None:
        """End it; a `HillockError` with its words where it had ended by itself, unless by a signal as ours."""
        process, self._process = self._process, None
        self.tcp_url = self.pty_path = None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            _, said = process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise HillockError("virtual board: it did not end when it was told to") from None
        if process.returncode:
            raise HillockError(f"virtual board: it ended with status {process.returncode}: {said.strip()}")
