"""Serial ports of this computer, and URLs that pyserial opens as such; what is wrong with one in words."""

import errno
import os
import re
from contextlib import suppress
from typing import cast

from hillock.hw.problems import HillockError

from .uartbone import Port

__all__ = ["BAUD", "group_of", "list_ports", "open_port", "slowness"]

BAUD = 1_000_000
"""Bits per second of a board, unless it says otherwise."""

_SLOWNESS_OF_URL = 200
_NEEDED = "talking to a board needs pyserial: install it with pip install 'hillock[host]'"


def list_ports() -> list[tuple[str, str]]:
    """(device, what it says of itself) of each serial port."""
    try:
        from serial.tools.list_ports import comports
    except ImportError:
        raise HillockError(_NEEDED) from None
    return sorted((found.device, found.description or "") for found in comports())


def slowness(name: str) -> int:
    """How many times longer than at its baud rate bytes may take: what is at a URL may be a slow simulation."""
    return _SLOWNESS_OF_URL if "://" in name else 1


def open_port(name: str, baud: int) -> Port:
    """The port `name`, a device or a URL such as socket://127.0.0.1:4000; a `HillockError` says why not."""
    try:
        import serial
    except ImportError:
        raise HillockError(_NEEDED) from None
    about = f"port {name}"
    try:
        options = {} if "://" in name else {"exclusive": True}
        port = serial.serial_for_url(name, baud, write_timeout=30, **options)
    except (OSError, ValueError) as error:  # serial.SerialException is an OSError
        raise HillockError(f"{about}: {_reason(name, baud, error)}") from None
    with suppress(AttributeError, NotImplementedError, OSError, ValueError):  # only some adapters have it
        port.set_low_latency_mode(True)  # else they keep a short answer back, for 16 ms as a rule
    return cast(Port, port)


def _reason(name: str, baud: int, error: Exception) -> str:
    number = getattr(error, "errno", None) or int((re.search(r"\[Errno (\d+)\]", str(error)) or [0, 0])[1])
    if "://" in name:
        if number == errno.ECONNREFUSED:
            return "nobody listens there: start the virtual board (make board-sim), and take the address it prints"
        return f"it cannot be opened ({error}): it must be a device, or a URL as socket://127.0.0.1:4000"
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        there = ", ".join(device for device, _ in list_ports()) or "none at all: is the board plugged in?"
        return f"there is no such port; there are {there}"
    if number in (errno.EACCES, errno.EPERM):
        return (
            f"permission denied: it belongs to the group {group_of(name)}; add yourself with `sudo usermod -aG "
            f"{group_of(name)} $USER`, and log in again"
        )
    if number in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK):
        return "another program has it open: end that (litex_server, a terminal), and try again"
    return f"it cannot be opened at {baud:,} baud ({error})"


def group_of(name: str) -> str:
    """The group that the device belongs to."""
    try:
        import grp

        found = grp.getgrgid(os.stat(name).st_gid).gr_name
    except (ImportError, OSError, KeyError):
        return "dialout"
    return "dialout" if found == "root" else found
