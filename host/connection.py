"""Exchanges with a board that are proved to have arrived, both ways, or repeated.

The link computes a CRC of every byte that it received and sent since `control.clear`, and so does the host. An exchange
ends with a check of both. Where they differ nothing that was read is given to the caller; and where what was written
may not be what arrived, `Lost` is raised, since it may have gone anywhere: the caller must put the board in order and
load everything again. CRCs begin anew with a number that no earlier answer knows, so that an answer which comes late
is never taken for a new one.
"""

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hillock.hw.link_registers import LINK_BASE, LINK_IDENTITY, LINK_REGISTERS, link_register
from hillock.hw.problems import HillockError

from .uartbone import NoAnswer, Uartbone, write_requests

__all__ = ["Connection", "Limits", "Lost", "Statistics", "at_link", "write"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long and how often: `answer`, `silence` and `inference` in seconds.

    `answer` is beyond the time that its bytes take; `silence` is longer than half a command is kept by the board;
    `inference` is without any output. `attempts` without success are made of anything.
    """

    answer: float = 0.5
    silence: float = 0.2
    inference: float = 60.0
    attempts: int = 8


@dataclass
class Statistics:
    """What happened on a connection: bytes, reads repeated, connections brought in step again, networks loaded again.

    `lost` counts how often what was written may not have been what arrived.
    """

    bytes_out: int = 0
    bytes_in: int = 0
    exchanges: int = 0
    retries: int = 0
    resyncs: int = 0
    lost: int = 0
    reloads: int = 0


class Lost(Exception):
    """What was written since the last load may have gone anywhere."""


def at_link(name: str) -> int:
    """Bus address of a link register."""
    return LINK_BASE + link_register(name).offset


def write(address: int, *values: int) -> bytes:
    """The request that writes words from `address` on."""
    rows = np.array([(address + number, value) for number, value in enumerate(values)], np.uint32)
    return b"".join(write_requests(rows))


_CONTROL = {field.name: 1 << field.low for field in link_register("control").fields}
_ERROR = {field.name: 1 << field.low for field in link_register("error").fields}
_ALL_ERRORS = sum(_ERROR.values())
_CHECK = ("error", "received", "sent")
_CHECKS, _AGREE = 4, 2
"""After a failure: so many checks at most, of which so many must say that everything arrived: no CRC covers those."""
assert [at_link(name) - at_link("error") for name in _CHECK] == [0, 1, 2]


@dataclass(frozen=True)
class _Check:
    """What the link says: that it received what was sent, that it sent what was received, and its errors."""

    received: bool
    sent: bool
    error: int

    @property
    def arrived(self) -> bool:
        """Whether the link performed what was sent, and nothing else."""
        return self.received and not self.error & _ERROR["command"]

    @property
    def good(self) -> bool:
        return self.arrived and self.sent


class Connection:
    """Exchanges over one port, see above."""

    def __init__(self, bone: Uartbone, limits: Limits):
        self.bone, self.name, self.limits = bone, bone.name, limits
        self._statistics = Statistics()
        self._numbers = itertools.count(secrets.randbits(23))

    @property
    def statistics(self) -> Statistics:
        """So far."""
        self._statistics.bytes_out, self._statistics.bytes_in = self.bone.bytes_out, self.bone.bytes_in
        return self._statistics

    def exchange(self, request: bytes = b"", reads: Sequence[tuple[int, int]] = ()) -> list[list[int]]:
        """Send `request`, and return the words of each of `reads`, (address, count): proved.

        Raises `Lost`, or a `HillockError` when the board gives no whole answer.
        """
        self._statistics.exchanges += 1
        for _ in range(self.limits.attempts):
            try:
                if request:
                    self.bone.write(request)
                    request = b""
                values = [self.bone.read(*one) for one in reads]
                check = self._check()
                if check.good and (not check.error or self._proved(check.error)):
                    return values
            except NoAnswer:
                pass
            self._statistics.retries += 1
            self._settle()
        raise HillockError(
            f"port {self.name}: no answer came whole in {self.limits.attempts} attempts: look at the cable, or lower "
            f"the baud rate"
        )

    def resynchronise(self) -> None:
        """Bring both sides in step, whatever was before; a `HillockError` says what is there if it is no link."""
        self.bone.forget()
        for _ in range(self.limits.attempts):
            self.bone.drain()
            if self._begin():
                self._statistics.resyncs += 1
                return
        raise HillockError(f"port {self.name}: {self._what_is_there()}")

    def lost(self) -> None:
        """Count a loss."""
        self._statistics.lost += 1

    def reloaded(self) -> None:
        """Count a load that repeats one."""
        self._statistics.reloads += 1

    def _check(self) -> _Check:
        received, sent = self.bone.received, self.bone.sent
        error, its_received, its_sent = self.bone.read(at_link("error"), len(_CHECK))
        return _Check(its_received == received, its_sent == sent, error)

    def _settle(self) -> None:
        """Go on after a check that failed: everything written has arrived, or `Lost`."""
        said = []
        self.bone.drain()
        for _ in range(_CHECKS):
            try:
                said.append(self._check().arrived)
            except NoAnswer:
                self.bone.drain()
            if said.count(True) == _AGREE:
                break
        else:
            raise Lost
        if not self._begin():
            raise Lost

    def _begin(self) -> bool:
        """Both CRCs begin anew; whether they did, and nothing else happened."""
        self.bone.write(write(at_link("control"), _CONTROL["clear"]))
        self.bone.clear()
        number = next(self._numbers) & 0xFFFFFF
        self.bone.write(write(at_link("error"), number << 8 | _ALL_ERRORS))
        try:
            check = self._check()
        except NoAnswer:
            return False
        return check.good and not check.error

    def _proved(self, error: int) -> bool:
        """Whether errors that the answer of a check shows are not there: no CRC covers that answer."""
        (found,) = self.bone.read(at_link("error"), 1)
        if self._check().good:
            self.refuse(found)
            return True
        return False

    def refuse(self, error: int) -> None:
        """Raise what a proved value of the link's `error` says: `Lost` when a command was not understood."""
        if error & _ERROR["command"]:
            raise Lost
        found = [field for field in link_register("error").fields if error >> field.low & 1]
        if found:
            said = ", ".join(f"{field.name} ({field.meaning})" for field in found)
            raise HillockError(
                f"port {self.name}: the link reports {said}: "
                f"its registers are not those of this version; build the bitstream again with it"
            )

    def _what_is_there(self) -> str:
        """In words, when both sides cannot be brought in step."""
        seen = self.bone.seen
        if not seen:
            return (
                "nothing answers: is the board powered, is its bitstream loaded, is this its port, does no other "
                "program have it open, and is the baud rate (--baud) that of the bitstream?"
            )
        self.bone.drain()
        try:
            found = {self.bone.read(LINK_BASE, 1)[0] for _ in range(3)}
        except NoAnswer:
            found = set()
        self.bone.drain()
        if len(found) == 1 and found != {LINK_IDENTITY}:
            return (
                f"wrong bitstream: what answers speaks uartbone but is no hillock link (identity reads "
                f"{found.pop():#010x}, and must be {LINK_IDENTITY:#010x}): load a bitstream of hillock"
            )
        return (
            f"noise came and no answer ({len(seen)} bytes, the first {seen[:8].hex(' ')}): the baud rate (--baud) is "
            f"not that of the bitstream, it is the port of something else, or the cable is bad"
        )


assert LINK_REGISTERS[0].name == "identity"
