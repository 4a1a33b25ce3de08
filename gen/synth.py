"""What a core costs on an FPGA: synthesis, place and route of the core alone for an LFE5U-85F, with open tools."""

import hashlib
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.sim.network_file import write_file

from .verilog import core_verilog, without_contents
from .yowasp import (
    NEXTPNR_ECP5,
    YOSYS,
    Hop,
    first_start,
    read_cells,
    read_output,
    read_placement,
    run_tool,
    tool_version,
)

__all__ = ["DEVICE", "FREQUENCY", "SPEED_GRADE", "Progress", "SynthesisResult", "synthesize"]

DEVICE = "LFE5U-85F"
PACKAGE = "CABGA756"
SPEED_GRADE = 6

FREQUENCY = 112.0
"""Asked for by default, in MHz: more than the 100 that the core is to reach, since tools stop when they have enough."""

_LOGIC_SHARE = 0.45
"""The part of a period that ABC may fill with its idea of the delay, which knows little of routing. It saves area where
there is time; larger values save no more than one LUT in a hundred and cost clock."""


class Progress:
    """What the flow is doing: on a console a line for each step, with the time that it took; without one, nothing."""

    def __init__(self, console: Console | None = None):
        self._console = console

    @contextmanager
    def step(self, number: int, count: int, title: str) -> Iterator[None]:
        """Step `number` of `count` lasts as long as the context."""
        if self._console is None:
            yield
            return
        head = rf"\[{number}/{count}] {title}"
        began = time.monotonic()
        with self._console.status(head):
            yield
        self._console.print(f"{head}  {time.monotonic() - began:.1f} s", highlight=False)

    def note(self, text: str) -> None:
        """Something worth knowing meanwhile."""
        if self._console is not None:
            self._console.print(text, highlight=False, markup=False)


@dataclass(frozen=True, kw_only=True)
class SynthesisResult:
    """What became of one core.

    Attributes
    ----------
    config : CoreConfig
    made_for : str
        The model whose network the core fits, or "any" where its sizes were given.
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
    made_for: str
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
        return (
            f"from {self.path[0].source} through {' and '.join(through)} to {self.path[-1].sink}: "
            f"{sum(hop.delay for hop in self.path) - routing:.1f} ns of logic, {routing:.1f} ns of routing"
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything, as plain values, for reports; derived values included."""
        return {
            **asdict(self),
            "config": self.config.as_dict(),
            "path": [asdict(hop) for hop in self.path],
            "met": self.met,
            "lut4_per_lane": self.lut4_per_lane,
            "summary": self.summary,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SynthesisResult":
        """The result that `as_dict` gave these values."""
        kept = {name: values[name] for name in ("made_for", "seed", "frequency", "tools", "cells", "placed", "fmax")}
        return cls(config=CoreConfig(**values["config"]), path=tuple(Hop(**hop) for hop in values["path"]), **kept)


def synthesize(
    config: CoreConfig,
    *,
    made_for: str = "any",
    folder: Path,
    seed: int = 1,
    frequency: float = FREQUENCY,
    progress: Progress | None = None,
) -> SynthesisResult:
    """Put the core alone, without trace ports, through Yosys and nextpnr.

    Everything goes to `folder`/<digest of the Verilog, the tools and their options>; a result that is there already
    is used again. A clock that is too slow is a result too, see `met`; a tool that is missing or fails is a
    `HillockError`.
    """
    if not (math.isfinite(frequency) and frequency > 0):
        raise HillockError(f"frequency: it must be more than 0 MHz, not {frequency:g}")
    progress = progress or Progress()
    tools = {tool.package: tool_version(tool) for tool in (YOSYS, NEXTPNR_ECP5)}
    script = (
        f"read_verilog core.v; scratchpad -set abc9.D {round(_LOGIC_SHARE * 1e6 / frequency)}; "
        "synth_ecp5 -nowidelut -top accelerator -json core.json; tee -q -o cells.json stat -json"
    )
    options = [
        "--85k",
        "--speed",
        str(SPEED_GRADE),
        "--package",
        PACKAGE,
        "--lpf-allow-unconstrained",
        "--timing-allow-fail",
        "--seed",
        str(seed),
        "--freq",
        f"{frequency:g}",
    ]
    with progress.step(1, 3, "Verilog"):
        verilog = without_contents(core_verilog(config, trace=False), zeros=True)
    identity = {
        "verilog": hashlib.sha256(verilog.encode()).hexdigest(),
        "config": config.as_dict(),
        "made_for": made_for,
        "tools": tools,
        "yosys": script,
        "nextpnr": options,
    }
    place = folder / hashlib.sha256(_text(identity).encode()).hexdigest()[:16]
    known = _read_report(place / "report.json", identity)
    if known is not None:
        progress.note(f"taken from {place / 'report.json'}: neither the core nor the tools have changed")
        return known

    write_file(place / "core.v", verilog.encode())
    for tool in (YOSYS, NEXTPNR_ECP5):
        if first_start(tool):
            progress.note(f"{tool.name} starts for the first time and is compiled for this machine: half a minute")
    with progress.step(2, 3, "synthesis (Yosys)"):
        run_tool(YOSYS, ["-q", "-l", "yosys.log", "-p", script], place, "yosys.log")
    with progress.step(3, 3, "place and route (nextpnr-ecp5)"):
        run_tool(
            NEXTPNR_ECP5,
            [*options, "--json", "core.json", "--report", "placement.json", "-q", "--log", "nextpnr.log"],
            place,
            "nextpnr.log",
        )
    placed, fmax, path = read_placement(read_output(place / "placement.json", NEXTPNR_ECP5))
    result = SynthesisResult(
        config=config,
        made_for=made_for,
        seed=seed,
        frequency=frequency,
        tools=tools,
        cells=read_cells(read_output(place / "cells.json", YOSYS)),
        placed=placed,
        fmax=fmax,
        path=path,
    )
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
