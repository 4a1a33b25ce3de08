"""What a core costs on an FPGA: synthesis, place and route of the core alone for an LFE5U-85F, with open tools."""

import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.sim.network_file import write_file

from .verilog import core_verilog
from .yowasp import NEXTPNR_ECP5, YOSYS, first_start, run_tool, tool_version

__all__ = ["DEVICE", "SPEED_GRADE", "Hop", "Progress", "SynthesisResult", "read_cells", "read_placement", "synthesize"]

DEVICE = "LFE5U-85F"
PACKAGE = "CABGA756"
SPEED_GRADE = 6

CELLS = ("LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4", "DP16KD", "MULT18X18D")
"""What Yosys counts: lookup tables, carry cells of two bits, registers, RAM of 16 x 4 bits, block RAMs, multipliers."""

PLACED = ("TRELLIS_COMB", "TRELLIS_FF", "TRELLIS_RAMW", "DP16KD", "MULT18X18D")
"""What nextpnr counts; a TRELLIS_COMB is any use of a lookup table: for logic, for half a carry cell, or as RAM."""

_LOGIC_SHARE = 0.45
"""The part of a period that ABC may fill with its idea of the delay, which knows little of routing. It saves area where
there is time; larger values save no more than one LUT in a hundred and cost clock."""


class Progress(Protocol):
    """Where the flow tells what it is doing."""

    def step(self, number: int, count: int, title: str) -> AbstractContextManager[Any]:
        """Step `number` of `count` lasts as long as the context."""

    def note(self, text: str) -> None:
        """Something worth knowing meanwhile."""


class _Silent:
    def step(self, number: int, count: int, title: str) -> AbstractContextManager[Any]:
        return nullcontext()

    def note(self, text: str) -> None:
        pass


@dataclass(frozen=True)
class Hop:
    """One piece of a path: nanoseconds, what takes them (clk-to-q, routing, lut, carry, setup), from and to where."""

    delay: float
    kind: str
    source: str
    sink: str


@dataclass(frozen=True, kw_only=True)
class SynthesisResult:
    """What became of one core.

    Attributes
    ----------
    config : CoreConfig
    seed, frequency : int, float
        Of place and route; the frequency asked for, in MHz.
    tools : dict
        Version of each tool.
    cells, placed : dict
        Counts after synthesis (`CELLS`), and after place and route (`PLACED`).
    fmax : float
        Highest clock frequency in MHz, by nextpnr's timing model, of the paths from register to register.
    path : tuple of Hop
        The slowest of these.
    """

    config: CoreConfig
    seed: int
    frequency: float
    tools: dict[str, str]
    cells: dict[str, int]
    placed: dict[str, int]
    fmax: float
    path: tuple[Hop, ...]

    @property
    def met(self) -> bool:
        """Whether the core runs at the frequency asked for."""
        return self.fmax >= self.frequency

    @property
    def lut4_per_lane(self) -> float:
        """LUT4 of the whole core, divided by its lanes."""
        return self.cells["LUT4"] / self.config.lanes

    @property
    def summary(self) -> str:
        """The critical path in words."""
        routing = sum(hop.delay for hop in self.path if hop.kind == "routing")
        luts = sum(hop.kind == "lut" for hop in self.path)
        chains = sum(hop.kind == "carry" for hop in self.path)
        through = [f"{luts} LUT level{'s' * (luts != 1)}"] if luts or not chains else []
        through += [f"{chains} carry chain{'s' * (chains != 1)}"] if chains else []
        return (f"from {self.path[0].source} through {' and '.join(through)} to {self.path[-1].sink}: "
                f"{sum(hop.delay for hop in self.path) - routing:.1f} ns of logic, {routing:.1f} ns of routing")

    def as_dict(self) -> dict[str, Any]:
        """Everything, as plain values, for reports; derived values included."""
        return {**asdict(self), "config": self.config.as_dict(), "path": [asdict(hop) for hop in self.path],
                "met": self.met, "lut4_per_lane": self.lut4_per_lane, "summary": self.summary}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SynthesisResult":
        """The result that `as_dict` gave these values."""
        kept = {name: values[name] for name in ("seed", "frequency", "tools", "cells", "placed", "fmax")}
        return cls(config=CoreConfig(**values["config"]), path=tuple(Hop(**hop) for hop in values["path"]), **kept)


def synthesize(config: CoreConfig, *, folder: Path, seed: int = 1, frequency: float = 100.0,
               progress: Progress | None = None) -> SynthesisResult:
    """Put the core alone, without trace ports, through Yosys and nextpnr.

    Everything goes to `folder`/<digest of the Verilog, the tools and their options>; a result that is there already
    is used again. A clock that is too slow is a result too, see `met`; a tool that is missing or fails is a
    `HillockError`.
    """
    progress = progress or _Silent()
    tools = {tool.package: tool_version(tool) for tool in (YOSYS, NEXTPNR_ECP5)}
    script = (f"read_verilog core.v; scratchpad -set abc9.D {round(_LOGIC_SHARE * 1e6 / frequency)}; "
              "synth_ecp5 -nowidelut -top core -json core.json; tee -q -o cells.json stat -json")
    options = ["--85k", "--speed", str(SPEED_GRADE), "--package", PACKAGE, "--lpf-allow-unconstrained",
               "--timing-allow-fail", "--seed", str(seed), "--freq", f"{frequency:g}"]
    with progress.step(1, 3, "Verilog"):
        verilog = core_verilog(config, trace=False)
    identity = {"verilog": hashlib.sha256(verilog.encode()).hexdigest(), "config": config.as_dict(), "tools": tools,
                "yosys": script, "nextpnr": options}
    place = folder / hashlib.sha256(_text(identity).encode()).hexdigest()[:16]
    known = _read_report(place / "report.json", identity)
    if known is not None:
        progress.note(f"taken from {place / 'report.json'}: neither the core nor the tools have changed")
        return known

    write_file(place / "core.v", verilog.encode())
    for tool in (YOSYS, NEXTPNR_ECP5):
        if first_start(tool):
            progress.note(f"{tool.name} starts for the first time and is compiled for this machine: up to half a minute")
    with progress.step(2, 3, "synthesis (Yosys)"):
        run_tool(YOSYS, ["-q", "-l", "yosys.log", "-p", script], place, "yosys.log")
    with progress.step(3, 3, "place and route (nextpnr-ecp5)"):
        run_tool(NEXTPNR_ECP5, [*options, "--json", "core.json", "--report", "placement.json", "-q", "--log",
                                "nextpnr.log"], place, "nextpnr.log")
    placed, fmax, path = read_placement(_output(place / "placement.json", NEXTPNR_ECP5.name))
    result = SynthesisResult(
        config=config, seed=seed, frequency=frequency, tools=tools,
        cells=read_cells(_output(place / "cells.json", YOSYS.name)), placed=placed, fmax=fmax, path=path)
    body = {"identity": identity, "result": result.as_dict()}
    write_file(place / "report.json", _text({**body, "checksum": _checksum(body)}).encode())
    return result


def _text(values: Any) -> str:
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


def _checksum(body: Any) -> str:
    return hashlib.sha256(_text(body).encode()).hexdigest()


def _read_report(path: Path, identity: dict[str, Any]) -> SynthesisResult | None:
    """The result in the report at `path`, if it is whole and belongs to `identity`."""
    try:
        report = json.loads(path.read_text())
        body = {"identity": identity, "result": report["result"]}
        return SynthesisResult.from_dict(report["result"]) if report["checksum"] == _checksum(body) else None
    except (OSError, ValueError, KeyError, TypeError):  # whatever is wrong with it, it is made again
        return None


def _output(path: Path, tool: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise HillockError(f"{tool} ended without an error, but {path} cannot be read ({error}): remove {path.parent} "
                           f"and run 'make synth' again") from None
    return dict(values)


def read_cells(stat: dict[str, Any]) -> dict[str, int]:
    """Counts of `CELLS` from what `stat -json` of Yosys printed."""
    counted = stat["design"]["num_cells_by_type"]
    return {name: counted.get(name, 0) for name in CELLS}


def read_placement(report: dict[str, Any]) -> tuple[dict[str, int], float, tuple[Hop, ...]]:
    """(counts of `PLACED`, fmax, critical path) from the report of nextpnr.

    The core's ports are pins here, with delays that mean nothing within a larger design: paths from and to them
    ("<async>") are left out, and fmax is that of the one clock.
    """
    placed = {name: report["utilization"].get(name, {}).get("used", 0) for name in PLACED}
    (clock, figures), = report["fmax"].items()
    paths = [entry["path"] for entry in report["critical_paths"]
             if entry["from"] == entry["to"] == f"posedge {clock}"]
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
            hops.append(Hop(round(piece["delay"], 3), kind, _signal(piece["from"]["cell"]), _signal(piece["to"]["cell"])))
    return tuple(hops)


def _within_chain(piece: dict[str, Any]) -> bool:
    """Whether a piece lies within a carry chain: in a carry cell, or on the fixed wire between two."""
    if piece["type"] == "routing":
        return bool(piece["to"]["port"] == "FCI")
    return piece["type"] == "logic" and "$CCU2_COMB" in piece["from"]["cell"]


def _signal(cell: str) -> str:
    """The signal that gave a cell its name, without what Yosys appends for each cell between it and the next."""
    name = re.split(r"(?:_D[IO])?_(?:LUT4|TRELLIS_|CCU2C|DP16KD|PFUMX|L6MUX)", cell)[0]
    return re.sub(r"\$TRELLIS_\w*$", "", name)
