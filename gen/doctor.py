"""`hillock doctor`: what of all that hillock uses is on this computer, and the way out where something is not.

Nothing is imported to look at it: a version is that of the installed package, and a program is looked for on the path.
"""

import json
import os
import platform
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from hillock.host.ports import group_of, list_ports
from hillock.hw.problems import HillockError
from hillock.sim.tool import find_verilator

from .datasets import DATA_VARIABLE, cache_folder
from .firmware_program import COMPILER
from .yowasp import ECPPACK, NEXTPNR_ECP5, YOSYS, first_start

__all__ = ["Check", "State", "checks", "doctor"]

_ROOT = Path(__file__).resolve().parent.parent
_OLDEST = (3, 11)
_FAILED = 1
_MEBI = 1 << 20
_PROGRAMS = (
    ("g++", "compiles the simulations"),
    ("make", "runs that compiler"),
    ("perl", "is what Verilator's launcher is written in"),
)
_GROUPS = {
    "synth": "bitstreams for ECP5: make synth, or pip install 'hillock[synth]'",
    "boards": "bitstreams for iCE40 and Gowin: make bitstream BOARD=icebreaker, or pip install 'hillock[boards]'",
    "host": "talking to a board: make setup-host, or pip install 'hillock[host]'",
    "firmware": "the processor beside the core: make firmware, or pip install 'hillock[firmware]'",
    "cluster": "test sets on several machines: make setup-cluster, or pip install 'hillock[cluster]'",
    "train": "training: make train, or pip install 'hillock[train]'",
    "test": "the tests: make test, or pip install 'hillock[test]'",
    "lint": "lint and types: make lint, or pip install 'hillock[lint]'",
}


class State(Enum):
    """What came of a check: it is there; it is not, and some commands need it; it is not, and all of them do."""

    PASS = "PASS"
    ABSENT = "absent"
    MISSING = "MISSING"


@dataclass(frozen=True)
class Check:
    """One line: what was looked for, what came of it, and what there is or the way out."""

    name: str
    state: State
    said: str


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON, and nothing else.")] = False,
) -> None:
    """Check tools, versions, caches, data and serial ports: a line for each, with the way out.

    Exit status 1 when something is MISSING, that is, needed by everything. What is absent is needed by some commands.
    """
    found = list(checks())
    failed = [check for check in found if check.state is State.MISSING]
    if as_json:
        lines = [{**asdict(check), "state": check.state.value} for check in found]
        print(json.dumps({"passed": not failed, "checks": lines}, indent=2))
    else:
        width = max(len(check.name) for check in found)
        for check in found:
            print(f"{check.state.value:<7}  {check.name:<{width}}  {check.said}")
        print(f"MISSING: {', '.join(check.name for check in failed)}" if failed else "PASS")
    if failed:
        raise typer.Exit(_FAILED)


def checks(root: Path = _ROOT) -> Iterator[Check]:
    """All of them, in the order in which one thing needs another; `root` is the folder of the project."""
    yield _python()
    for name, does in _PROGRAMS:
        yield _program(name, State.MISSING, f"it {does}: apt-get install {name}")
    yield from _packages(root)
    yield _verilator()
    yield _yowasp()
    yield _compiled(root)
    yield from _data()
    yield from _ports()
    yield _program(
        COMPILER,
        State.ABSENT,
        "it compiles the firmware, of which a compiled one is here: apt-get install gcc-riscv64-unknown-elf "
        "picolibc-riscv64-unknown-elf",
    )
    yield _program("openFPGALoader", State.ABSENT, "it loads a bitstream into a board: apt-get install openfpgaloader")


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if tuple(sys.version_info[:2]) >= _OLDEST:
        return Check("Python", State.PASS, version)
    return Check("Python", State.MISSING, f"{version} is too old: 3.11 or later is needed; make PYTHON=... chooses one")


def _program(name: str, without: State, way_out: str) -> Check:
    found = shutil.which(name)
    return Check(name, State.PASS, found) if found else Check(name, without, f"not on the path; {way_out}")


def _packages(root: Path) -> Iterator[Check]:
    """Those that the project declares, and whether each has the version that was tested."""
    pins = _pins(root / "constraints.txt")
    for group, text in _declared(root / "pyproject.toml"):
        name = re.split(r"[^\w.-]", text, maxsplit=1)[0]
        if "sys_platform" in text and (sys.platform, platform.machine()) != ("linux", "x86_64"):
            continue
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            if group:
                yield Check(name, State.ABSENT, f"not installed; only for {_GROUPS.get(group, group)}")
            else:
                yield Check(name, State.MISSING, "not installed: run 'make setup', or pip install hillock")
            continue
        pin = pins.get(name.lower().replace("_", "-"))
        tested = pin is None or version.partition("+")[0] == pin
        yield Check(name, State.PASS, version if tested else f"{version}; tested is {pin} (constraints.txt)")


def _declared(path: Path) -> list[tuple[str, str]]:
    """(group, empty for the base; requirement) of a source tree, or else of the package that is installed."""
    if path.is_file():
        project = tomllib.loads(path.read_text())["project"]
        groups = {"": project["dependencies"], **project["optional-dependencies"]}
        return [(group, text) for group, texts in groups.items() for text in texts]
    found = []
    for text in metadata.requires("hillock") or []:
        group = re.search(r"extra == ['\"]([\w-]+)['\"]", text)
        found.append((group[1] if group else "", text))
    return found


def _pins(path: Path) -> dict[str, str]:
    """Version by package; none outside of a source tree."""
    if not path.is_file():
        return {}
    lines = path.read_text().splitlines()
    return {name: version for name, _, version in (line.partition("==") for line in lines if "==" in line)}


def _verilator() -> Check:
    try:
        return Check("Verilator", State.PASS, find_verilator().identity)
    except HillockError as error:
        return Check("Verilator", State.MISSING, str(error).removeprefix("Verilator: "))


def _yowasp() -> Check:
    """Whether the tools start at once: YoWASP compiles each for this machine, and keeps that."""
    name, tools = "YoWASP's cache", (YOSYS, NEXTPNR_ECP5, ECPPACK)
    try:
        for tool in tools:
            metadata.version(tool.package)
    except metadata.PackageNotFoundError:
        return Check(name, State.ABSENT, f"its tools are not installed; only for {_GROUPS['synth']}")
    cold = [tool.name for tool in tools if first_start(tool)]
    if cold:
        return Check(
            name, State.ABSENT, f"the first start of {', '.join(cold)} fills it, in half a minute at most each"
        )
    return Check(name, State.PASS, f"{', '.join(tool.name for tool in tools)} start at once")


def _compiled(root: Path) -> Check:
    """What was compiled and is kept."""
    folder = root / "build"
    if not folder.is_dir():
        return Check(
            "compiled gateware", State.ABSENT, f"nothing in {folder} yet: a first run compiles, for a minute or so"
        )
    return Check("compiled gateware", State.PASS, f"{_size(folder)} in {folder}; 'make clean' removes it")


def _size(folder: Path) -> str:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return f"{sum(path.stat().st_size for path in files) / _MEBI:,.0f} MB"


def _data() -> Iterator[Check]:
    """The data sets beside the digits, which come with scikit-learn."""
    given = os.environ.get(DATA_VARIABLE)
    folder = Path(given) if given else cache_folder()
    for name in ("mnist", "cifar10"):
        if (folder / name).is_dir():
            yield Check(name, State.PASS, str(folder / name))
        elif given:
            yield Check(name, State.ABSENT, f"{DATA_VARIABLE} is {given}, and has no folder {name}")
        else:
            yield Check(name, State.ABSENT, f"its first use downloads it to {folder / name}; or set {DATA_VARIABLE}")


def _ports() -> Iterator[Check]:
    """Serial ports, and whether this user may open them."""
    try:
        found = list_ports()
    except HillockError:
        yield Check("serial ports", State.ABSENT, f"pyserial is not installed; only for {_GROUPS['host']}")
        return
    if not found:
        yield Check("serial ports", State.ABSENT, "none: is the board plugged in?")
    for device, text in found:
        if os.access(device, os.R_OK | os.W_OK):
            yield Check(device, State.PASS, text)
        else:
            group = group_of(device)
            yield Check(
                device,
                State.ABSENT,
                f"{text}: you may not open it; it belongs to the group {group}: sudo usermod -aG {group} $USER, and "
                f"log in again",
            )
