"""Boards: a file for each in `gen/board_files/`, or anywhere; `docs/boards.md` says how one is written."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hillock.hw.board_top import LEDS
from hillock.hw.config import RANGES
from hillock.hw.link import LinkSizes
from hillock.hw.plls import FAMILIES
from hillock.hw.problems import HillockError, Problems

__all__ = ["BOARDS", "SUFFIX", "Board", "board", "read_board"]

BOARDS = Path(__file__).parent / "board_files"
"""Folder of the boards that come with the project."""

SUFFIX = ".toml"

_COUNTS = ("lut", "ff", "bram", "dsp")
_NEEDED_PINS = ("clk", "rx", "tx")
_STANDARD = "LVCMOS33"


@dataclass(frozen=True, kw_only=True)
class Board:
    """An FPGA on a board.

    Attributes
    ----------
    name, device : str
    family : str
        One of `hw.plls.FAMILIES`: which tools make its bitstream.
    lut, ff, bram, dsp, spram : int
        LUT4, flip-flops, block RAMs (of 18 kbit; of an iCE40 4 kbit), multipliers of 18 bits, and single-port RAMs of
        256 kbit, from the data sheet.
    oscillator, clock : float
        MHz of what is at the pin `clk`, and of what a design runs at where nothing else is asked for. What place and
        route reaches is another matter.
    lanes, seed : int
        Of a plan, at most, and of place and route, where nothing else is asked for.
    nextpnr, pack : tuple of str
        What the tools are told of the device.
    pins : dict
        Site, and electrical standard where it is not LVCMOS33, of `clk`, `rx` and `tx`, and of any of `LEDS`.
    leds_on : int
        The level at which an LED is lit.
    link : dict
        Fields of `LinkSizes`, where its defaults are too large.
    core : dict
        Fields of the one `CoreConfig`, on a board that has `spram`.
    flash : str
        The command that loads `{bitstream}`, for people.
    """

    name: str
    device: str
    family: str = "ecp5"
    lut: int
    ff: int
    bram: int
    dsp: int
    spram: int = 0
    oscillator: float = 25.0
    clock: float
    lanes: int = 64
    seed: int = 1
    nextpnr: tuple[str, ...] = ()
    pack: tuple[str, ...] = ()
    pins: Mapping[str, str] = field(default_factory=dict)
    leds_on: int = 1
    link: Mapping[str, int] = field(default_factory=dict)
    core: Mapping[str, int] = field(default_factory=dict)
    flash: str = ""

    def site(self, pin: str) -> tuple[str, str]:
        """(site, electrical standard) of a pin."""
        site, _, standard = self.pins[pin].partition(" ")
        return site, standard or _STANDARD

    @property
    def leds(self) -> tuple[str, ...]:
        """The `LEDS` that it has."""
        return tuple(name for name in LEDS if name in self.pins)


def board(name: str) -> Board:
    """The board called `name`, or the one that the file of that path describes; `HillockError` if there is none."""
    path = Path(name) if name.endswith(SUFFIX) else BOARDS / f"{name}{SUFFIX}"
    if path.is_file() and (name.endswith(SUFFIX) or Path(name).name == name):
        return read_board(path)
    known = sorted(path.stem for path in BOARDS.glob(f"*{SUFFIX}"))
    close = get_close_matches(name.lower(), known, 1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    raise HillockError(
        f"board: it must be one of {', '.join(known)}, or the path of a file that ends in {SUFFIX}, not {name!r}{meant}"
    )


def read_board(path: Path) -> Board:
    """The board that a file describes; everything that is wrong with it is one `HillockError`."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HillockError(f"board file {path}: it cannot be read ({error}): see docs/boards.md for one") from None
    problems = Problems(f"board file {path}")
    values = _checked(given, problems)
    problems.raise_any()
    return Board(name=path.stem, **values)


_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "device": (str, "a text"),
    "family": (str, "a text"),
    "nextpnr": (list, "a list of texts"),
    "pack": (list, "a list of texts"),
    "flash": (str, "a text"),
    "oscillator": ((int, float), "a number of MHz"),
    "clock": ((int, float), "a number of MHz"),
    "lanes": (int, "a number"),
    "seed": (int, "a number"),
    "leds_on": (int, "0 or 1"),
    "has": (dict, "a table of counts"),
    "pins": (dict, "a table of sites"),
    "link": (dict, "a table of sizes"),
    "core": (dict, "a table of sizes"),
}
_OPTIONAL = ("seed", "nextpnr", "pack", "flash", "leds_on", "link", "core")


def _checked(given: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """The arguments of `Board` in what a file says."""
    for name in given:
        problems.require(name in _KINDS, f"{name} means nothing: it may have {', '.join(_KINDS)}")
    values: dict[str, Any] = {}
    for name, (kind, words) in _KINDS.items():
        value = given.get(name)
        if value is None:
            problems.require(name in _OPTIONAL, f"{name} is missing: {words}")
            continue
        right = isinstance(value, kind) and not isinstance(value, bool)
        if kind is list:
            right = right and all(isinstance(entry, str) for entry in value)
        problems.require(right, f"{name} must be {words}, not {value!r}")
        if right:
            values[name] = tuple(value) if kind is list else value
    family = values.get("family", FAMILIES[0])
    problems.require(family in FAMILIES, f"family must be one of {', '.join(FAMILIES)}, not {family!r}")
    for name in ("oscillator", "clock", "lanes", "seed"):
        problems.require(values.get(name, 1) > 0, f"{name} must be more than 0, not {values.get(name)}")
    problems.require(values.get("leds_on", 0) in (0, 1), f"leds_on must be 0 or 1, not {values.get('leds_on')}")
    try:
        LinkSizes(**values.get("link", {}))
    except (HillockError, TypeError) as error:
        problems.require(False, f"link: {error}: it may have {', '.join(vars(LinkSizes()))}")
    for name in values.get("core", {}):
        problems.require(name in RANGES, f"core.{name} must be a field of CoreConfig: {', '.join(RANGES)}")
    counts, pins = values.pop("has", {}), values.get("pins", {})
    for name in dict.fromkeys((*_COUNTS, *counts)):
        there = counts.get(name)
        problems.require(
            name in (*_COUNTS, "spram") and type(there) is int and there >= 0,
            f"has.{name} must be one of the counts {', '.join(_COUNTS)} and spram, as a whole number, not {there!r}",
        )
    for name in dict.fromkeys((*_NEEDED_PINS, *pins)):
        site = pins.get(name)
        problems.require(
            name in (*_NEEDED_PINS, *LEDS) and isinstance(site, str) and len(site.split()) in (1, 2),
            f"pins.{name} must be one of {', '.join((*_NEEDED_PINS, *LEDS))}, as the text of a site, or of a site and "
            f"an electrical standard, not {site!r}",
        )
    return {**values, **counts}
