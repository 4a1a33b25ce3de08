"""A board: opened, identified, loaded, and put to work. What is damaged on the way is noticed, and done again."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

import numpy as np

from hillock.hw.problems import HillockError
from hillock.hw.registers import ERRORS, register

from .connection import Connection, Limits, Lost, Statistics, at_link, write
from .identity import Identity, identify
from .inference import Batch, Wishes
from .ports import BAUD, open_port, slowness
from .program import Program, at_core
from .results import Inputs, Result
from .uartbone import Port, Rows, Uartbone, write_requests

__all__ = ["Board", "Step"]

T = TypeVar("T")

Step = Callable[[str, int], Callable[[int], None]]
"""Called at each step with a text and how many units of work it has; returns what takes the units done."""

_CHUNK = 4096
"""Bytes of an exchange that loads: how much is sent before it is checked."""

_READ_BACK = 1000
_RESTART = 1
_ABORT = next(1 << field.low for field in register("control").fields if field.name == "abort")
_ALL_ERRORS = sum(1 << field.low for field in ERRORS)


def _in_silence(text: str, total: int) -> Callable[[int], None]:
    return lambda done: None


class Board:
    """A board at a port that is open; `open` makes one, and `with` closes it.

    Parameters
    ----------
    port : Port
        A serial object of pyserial, or what behaves as one.
    name : str
        For messages.
    """

    def __init__(self, port: Port, name: str, *, baud: int = BAUD, limits: Limits | None = None):
        limits = limits or Limits()
        self._limits = limits
        self._bone = Uartbone(
            port, name, baud=baud, slowness=slowness(name), answer=limits.answer, silence=limits.silence
        )
        self.connection = Connection(self._bone, limits)
        self._program: Program | None = None
        self._cores = 1
        self.connection.resynchronise()
        self.identity: Identity = self._safely(lambda: identify(self.connection))
        self._cores = len(self.identity.geometry)

    @classmethod
    def open(cls, name: str, *, baud: int = BAUD, limits: Limits | None = None) -> Self:
        """The board at the port `name`, a device or a URL; a `HillockError` says why there is none."""
        port = open_port(name, baud)
        try:
            return cls(port, name, baud=baud, limits=limits)
        except BaseException:
            port.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the port."""
        self._bone.close()

    @property
    def statistics(self) -> Statistics:
        """What happened on the connection so far."""
        return self.connection.statistics

    def load(self, program: Program, step: Step = _in_silence, *, read_back: bool = True) -> None:
        """Load a network, and see that it is there: by the CRC of all bytes, and by reading what can be read.

        A `HillockError` when it was made for other cores, or a memory does not hold what was written.
        """
        self.identity.check(program.configs, f"network {program.network.name!r}")
        self._program = program
        loaded = step("load the network", len(program.load))
        self._safely(lambda: self._load(loaded), restored=True)
        if read_back:
            read = step("read the memories back", len(program.read_back))
            self._safely(lambda: self._read_back(program, read))

    def run(self, *, potentials: bool = False, **inputs: object) -> Result:
        """One inference of an `image`, or of `events`, as `golden.run` takes them, and all that is known of it."""
        return self.run_many([inputs], wishes=Wishes(potentials=potentials))[0]

    def run_many(
        self, inputs: Sequence[Inputs], step: Step = _in_silence, *, wishes: Wishes | None = None
    ) -> list[Result]:
        """Inferences one after another, where there is room each is loaded while the one before it is at work.

        Every result is proved to be what the board gave for just this input. Then `error` of every core must be 0.
        """
        if self._program is None:
            raise HillockError(f"port {self.connection.name}: no network is loaded: load one first")
        batch = Batch(
            self.connection, self.identity, self._program, inputs, wishes or Wishes(), step("inferences", len(inputs))
        )
        failures, so_far = 0, -1
        while not batch.finished:
            failures = 0 if len(batch.results) > so_far else failures
            so_far = len(batch.results)
            try:
                batch.run()
            except Lost:
                failures += 1
                self._restore(failures)
            except HillockError:
                with suppress(HillockError):  # the first is what the caller must know
                    self.abort()
                raise
        self._refuse(self.errors())
        return batch.results

    def read(self, address: int, count: int = 1) -> list[int]:
        """Words of the bus, proved to be what is there."""
        return self._safely(lambda: self.connection.exchange(reads=[(address, count)])[0])

    def write(self, rows: Rows) -> None:
        """Write rows of (address, value), proved to have arrived; repeated from the first where they may not have."""
        self._safely(lambda: self._write(rows, lambda done: None))

    def errors(self) -> list[int]:
        """The register `error` of each core."""
        reads = [(at_core("error", core), 1) for core in range(self._cores)]
        return self._safely(lambda: [value for (value,) in self.connection.exchange(reads=reads)])

    def abort(self) -> None:
        """Give up what is under way on all cores, forget waiting input and output, and clear all errors."""
        self._safely(self._abort)

    # How it is done. These raise `Lost`.

    def _abort(self) -> None:
        request = write(at_link("control"), _RESTART)  # nothing goes on into a core that was just aborted
        for core in range(self._cores):
            request += write(at_core("control", core), _ABORT) + write(at_core("error", core), _ALL_ERRORS)
        self.connection.exchange(request + write(at_link("control"), _RESTART))

    def _write(self, rows: Rows, done: Callable[[int], None]) -> None:
        request, count = b"", 0
        for one in write_requests(rows):
            request += one
            count += (len(one) - 6) // 4
            if len(request) >= _CHUNK:
                self.connection.exchange(request)
                done(count)
                request, count = b"", 0
        self.connection.exchange(request)
        done(count)

    def _load(self, done: Callable[[int], None]) -> None:
        assert self._program is not None
        self._abort()
        self._write(self._program.load, done)
        reads = [(at_core("error", core), 1) for core in range(self._cores)]
        self._refuse([value for (value,) in self.connection.exchange(reads=reads)])

    def _read_back(self, program: Program, done: Callable[[int], None]) -> None:
        rows = program.read_back
        ends = [*(np.flatnonzero(np.diff(rows[:, 0].astype(np.int64)) != 1) + 1).tolist(), len(rows)]
        reads: list[tuple[int, int, int]] = []
        first = 0
        for end in ends:
            while first < end:
                last = min(end, first + _READ_BACK)
                reads.append((int(rows[first, 0]), first, last))
                first = last
        for address, first, last in reads:
            (values,) = self.connection.exchange(reads=[(address, last - first)])
            differs = np.flatnonzero(np.array(values, np.uint32) != rows[first:last, 1])
            if len(differs):
                at = first + int(differs[0])
                raise HillockError(
                    f"port {self.connection.name}: what was written at {rows[at, 0]:#x} reads "
                    f"{values[at - first]:#x}, and must read {rows[at, 1]:#x}: self-test the board; if that fails "
                    f"too, its clock is too fast or its memory is bad"
                )
            done(last - first)

    def _safely(self, action: Callable[[], T], *, restored: bool = False) -> T:
        """What `action` gives; after a loss all is loaded again, unless the action does so, and it is repeated."""
        for failures in range(1, self._limits.attempts + 1):
            try:
                return action()
            except Lost:
                if restored:
                    self.connection.lost()
                    self.connection.resynchronise()
                else:
                    self._restore(failures)
        raise self._hopeless()

    def _restore(self, failures: int) -> None:
        """After a loss: in step, idle, and with the network in its memories again."""
        self.connection.lost()
        for _ in range(failures, self._limits.attempts):
            self.connection.resynchronise()
            try:
                if self._program is None:
                    self._abort()
                else:
                    self._load(lambda done: None)
                    self.connection.reloaded()
            except Lost:
                self.connection.lost()
                continue
            return
        raise self._hopeless()

    def _hopeless(self) -> HillockError:
        return HillockError(
            f"port {self.connection.name}: what was sent was damaged {self._limits.attempts} times in a row: look at "
            f"the cable and its ground, or lower the baud rate of the bitstream"
        )

    def _refuse(self, errors: Sequence[int]) -> None:
        """Raise what the cores report."""
        said = [
            f"core {core} reports {field.name} ({field.meaning})"
            for core, error in enumerate(errors)
            for field in ERRORS
            if error >> field.low & 1
        ]
        if said:
            raise HillockError(f"port {self.connection.name}: {'; '.join(said)}: load the network again")
