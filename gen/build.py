"""A network to a bitstream for a board, and everything that belongs to it, in `build/<board>/<model>/`.

What is there already is used again: all of it where the sources, the network, the options and the tools are the same,
and the work of each tool where what it reads is (`build_steps`). The same input gives the same bytes.
"""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from hillock.hw.design_digest import design_digest
from hillock.hw.problems import HillockError, Problems
from hillock.sim.archive import write_file

from .boards import Board, board
from .build_design import Design, design, largest_clock
from .build_flows import REPORT, Flow, flow_of, synthesized, used
from .build_report import RESOURCES, STATE, hops, page, path_in_words, plan_values
from .build_steps import digest_of, run_step
from .c_header import c_header
from .csr_csv import csr_csv
from .manifest import write_images
from .models import Model, load_model
from .planner import MAX_CORES, Goal
from .register_docs import registers_markdown
from .synth import Progress
from .yowasp import YOSYS, read_output, read_placement, tool_version

__all__ = ["Request", "build", "estimate", "folder_of", "prepare"]

_PACKAGES = ("hw", "sim", "gen")
_CODE = (".py", ".html", ".css")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is wanted.

    Attributes
    ----------
    board, model : str
        Names, or paths: see `boards.board` and `models.load_model`.
    cores, lanes : (fewest, most)
        Of a plan; lanes are those of all cores, and at most those that the board's file says if they are not given.
    goal : Goal
    clock : float, optional
        MHz; those that the board's file says if not given.
    baud : int
        Of the UART, in bits per second.
    seed : int, optional
        Of place and route; that of the board's file if not given.
    tries : int
        Placements at most, with one seed after another from `seed` on, until one meets the clock.
    images : int
        Recorded for the plan.
    """

    board: str
    model: str
    cores: tuple[int, int] = (1, MAX_CORES)
    lanes: tuple[int, int] | None = None
    goal: Goal = Goal.SPEED
    clock: float | None = None
    baud: int = 1_000_000
    seed: int | None = None
    tries: int = 1
    images: int = 4

    def target(self) -> Board:
        """The board, at the clock and with the seed that are wanted."""
        found = board(self.board)
        if self.seed is not None:
            found = replace(found, seed=self.seed)
        if self.clock is None:
            return found
        if not (math.isfinite(self.clock) and self.clock > 0):
            raise HillockError(f"clock: it must be more than 0 MHz, not {self.clock:g}")
        return replace(found, clock=self.clock)

    @property
    def command(self) -> str:
        """The command that says all of it."""
        lanes = "" if self.lanes is None else f" --lanes {_span(self.lanes)}"
        clock = "" if self.clock is None else f" --clock {self.clock:g}"
        seed = "" if self.seed is None else f" --seed {self.seed}"
        tries = "" if self.tries == 1 else f" --tries {self.tries}"
        return (
            f"hillock build --board {self.board} --model {self.model} --cores {_span(self.cores)}{lanes}"
            f" --goal {self.goal.value}{clock} --baud {self.baud}{seed}{tries} --images {self.images}"
        )


def folder_of(request: Request, root: Path) -> Path:
    """Where a build goes: `root`/<board>/<model>."""
    return root / request.target().name / load_model(request.model).network.name


def estimate(request: Request, progress: Progress) -> dict[str, Any]:
    """The plan, and what it is predicted to take and to do; nothing is written."""
    with progress.step(1, 1, "plan"):
        return plan_values(_design(request, request.target(), load_model(request.model)))


def prepare(request: Request, root: Path, progress: Progress) -> tuple[Path, Flow]:
    """Write everything that comes before the tools; returns the folder, and what is to be run in it."""
    target, model = request.target(), load_model(request.model)
    flow = flow_of(target, clock=target.clock, seed=target.seed)
    with progress.step(1, 2, "plan"):
        planned = _design(request, target, model)
    folder = root / target.name / model.network.name
    with progress.step(2, 2, "Verilog, scripts, memory images, registers"):
        names = _write_sources(planned, flow, folder)
    _write_manifest(planned, flow, folder, _digests(folder, names))
    return folder, flow


def build(request: Request, root: Path, progress: Progress) -> dict[str, Any]:
    """Build a bitstream; returns what `report.json` has.

    A plan that does not fit, a clock that is missed, and a tool that is missing or fails are a `HillockError` with the
    numbers and the way out. Where the clock is missed there is a report, of the best placement, and no bitstream.
    """
    target, model = request.target(), load_model(request.model)
    flow = flow_of(target, clock=target.clock, seed=target.seed)
    folder = root / target.name / model.network.name
    if not flow.steps:
        raise HillockError(
            f"{target.name}: the tools that make its bitstream are the vendor's: give --no-build, and then run "
            f"'{flow.run}' in {folder}"
        )
    tools = {tool.package: tool_version(tool) for tool in flow.tools}
    inputs = _inputs_digest(request, target, model, tools)
    known = _read_report(folder, inputs)
    if known is not None:
        progress.note(f"taken from {folder / 'report.json'}: neither sources, network, options nor tools have changed")
        _check_clock(known, target)
        return known

    count = len(flow.steps) + 2
    with progress.step(1, count, "plan"):
        planned = _design(request, target, model)
    with progress.step(2, count, "Verilog, scripts, memory images, registers"):
        names = _write_sources(planned, flow, folder)
    seconds: dict[str, float | None] = {}
    *before, _, pack = flow.steps
    for number, step in enumerate(before, 3):
        seconds[step.title] = run_step(step, folder, number=number, count=count, progress=progress)
        if step is before[0]:
            _check_synthesis(planned, folder)
    values, flow = _place(request, planned, folder, seconds, progress)
    if values["clock"]["met"]:
        seconds[pack.title] = run_step(pack, folder, number=count, count=count, progress=progress)
        names = [*names, flow.bitstream]
    else:
        (folder / flow.bitstream).unlink(missing_ok=True)
    digests = _digests(folder, names)
    _write_manifest(planned, flow, folder, digests)
    values |= {
        "bitstream": flow.bitstream,
        "tools": tools,
        "command": request.command,
        "state": STATE,
        "files": {**digests, **_digests(folder, ["manifest.json"])},
        "inputs": inputs,
    }
    write_file(folder / "report.html", page(values).encode())
    write_file(folder / "report.json", _text(values))
    write_file(folder / "seconds.json", _text(seconds))
    _check_clock(values, target)
    return values


def _design(request: Request, target: Board, model: Model) -> Design:
    return design(
        model,
        target,
        cores=request.cores,
        lanes=request.lanes or (1, target.lanes),
        goal=request.goal,
        baud=request.baud,
        images=request.images,
    )


def _write_sources(planned: Design, flow: Flow, folder: Path) -> list[str]:
    """Everything but the manifest, the work of tools and the reports; returns the names."""
    texts = {
        "top.v": planned.verilog(),
        **flow.files,
        "registers.md": registers_markdown(),
        "csr.csv": csr_csv(len(planned.placement.cores)),
        "hillock_registers.h": c_header(),
    }
    for name, text in texts.items():
        _put(folder / name, text.encode())
    for old in (folder / "images").glob("core*"):
        if old.name not in [f"core{number}" for number in range(len(planned.placement.cores))]:
            shutil.rmtree(old)
    images = []
    for number, core in enumerate(planned.placement.cores):
        write_images(core, folder / "images" / f"core{number}")
        images += sorted(path for path in (folder / "images" / f"core{number}").iterdir())
    return [*texts, *(path.relative_to(folder).as_posix() for path in images)]


def _write_manifest(planned: Design, flow: Flow, folder: Path, digests: Mapping[str, str]) -> None:
    manifest = {
        "format": "hillock build",
        "version": 1,
        "board": planned.board.name,
        "device": planned.board.device,
        "network": planned.placement.network.digest(),
        "design": f"{design_digest(planned.placement.configs):#010x}",
        "clock_hz": planned.hz,
        "baud": planned.baud,
        "images": [f"images/core{number}" for number in range(len(planned.placement.cores))],
        "holds_network": planned.holds_network,
        "bitstream": flow.bitstream if flow.bitstream in digests else None,
        "files": dict(digests),
    }
    _put(folder / "manifest.json", _text(manifest))


def _place(
    request: Request, planned: Design, folder: Path, seconds: dict[str, float | None], progress: Progress
) -> tuple[dict[str, Any], Flow]:
    """Place and route with one seed after another until the clock is met; what came of that one, or else of the best.

    `seconds` gets what each took. The script in the folder is that of the last one.
    """
    target, tried, best = planned.board, {}, None
    for seed in range(target.seed, target.seed + request.tries):
        flow = flow_of(target, clock=target.clock, seed=seed)
        for name, text in flow.files.items():
            _put(folder / name, text.encode())
        step = replace(flow.steps[-2], title=flow.steps[-2].title + (f", seed {seed}" if request.tries > 1 else ""))
        count = len(flow.steps) + 2
        seconds[step.title] = run_step(step, folder, number=count - 1, count=count, progress=progress)
        values = _placed(planned, flow, folder) | {"seed": seed}
        reached = tried[str(seed)] = values["clock"]["reached"]
        if best is None or reached > best["clock"]["reached"]:
            best = values
        if values["clock"]["met"]:
            break
        if request.tries > 1:
            progress.note(f"seed {seed} reaches {reached:.1f} MHz")
    assert best is not None
    return best | {"tried": tried}, flow


def _placed(planned: Design, flow: Flow, folder: Path) -> dict[str, Any]:
    """`plan_values`, with what place and route made of it."""
    report, stat = read_output(folder / REPORT, flow.placer), read_output(folder / "cells.json", YOSYS)
    _, fmax, path = read_placement(report)
    taken = used(report, stat, planned.board.family)
    values = plan_values(planned)
    for name, row in values["resources"].items():
        row["used"] = taken.get(name, 0)
    values["clock"] |= {"reached": fmax, "met": fmax >= values["clock"]["made"]}
    return {**values, "critical_path": path_in_words(path), "path": hops(path)}


def _check_synthesis(planned: Design, folder: Path) -> None:
    """Refuse what cannot be placed, before hours are spent on it."""
    target, counted = planned.board, synthesized(read_output(folder / "cells.json", YOSYS), planned.board.family)
    problems = Problems(f"{planned.placement.network.name} on {target.name} ({target.device}), synthesized")
    for name, count in counted.items():
        there = getattr(target, name)
        problems.require(
            count <= there,
            f"{count:,} {RESOURCES[name]} are {count - there:,} more than the {there:,} that there are: take fewer "
            f"lanes than {planned.choice.lanes} (--lanes), or a larger board",
        )
    problems.raise_any()


def _check_clock(values: Mapping[str, Any], target: Board) -> None:
    clock, tried = values["clock"], list(values["tried"])
    if clock["met"]:
        return
    possible = largest_clock(target, clock["reached"])
    lower = f"ask for --clock {possible}, " if possible else ""
    seed, seeds = ("", tried[0]) if len(tried) == 1 else (f" with seed {values['seed']}", f"{tried[0]} to {tried[-1]}")
    raise HillockError(
        f"{values['model']} on {values['board']}: place and route reaches {clock['reached']:.1f} MHz{seed}, and "
        f"{clock['made']:g} are wanted. The longest path is {values['critical_path']}. There is no bitstream: {lower}"
        f"try another --seed than {seeds} (or several, with --tries), or take fewer --lanes than {values['lanes']}"
    )


def _inputs_digest(request: Request, target: Board, model: Model, tools: Mapping[str, str]) -> str:
    """Of everything that a build depends on."""
    here = Path(__file__).resolve().parent.parent
    sources = [path for package in _PACKAGES for path in sorted((here / package).rglob("*")) if path.suffix in _CODE]
    given = {
        "sources": {path.relative_to(here).as_posix(): digest_of(path.read_bytes()) for path in sources},
        "request": {**asdict(request), "goal": request.goal.value},
        "board": asdict(target),
        "model": {name: digest_of((model.folder / name).read_bytes()) for name in ("model.json", "network.hlk")},
        "tools": {**tools, **{name: metadata.version(name) for name in ("amaranth", "numpy")}},
    }
    return digest_of(_text(given))


def _read_report(folder: Path, inputs: str) -> dict[str, Any] | None:
    """The report of a finished build of just these inputs, if all that it lists is there and whole."""
    try:
        values = dict(json.loads((folder / "report.json").read_text()))
        same = values["inputs"] == inputs and values["files"] == _digests(folder, list(values["files"]))
    except (OSError, ValueError, KeyError, TypeError):  # whatever is wrong with it, it is made again
        return None
    return values if same else None


def _digests(folder: Path, names: Sequence[str]) -> dict[str, str]:
    return {name: digest_of((folder / name).read_bytes()) for name in names}


def _put(path: Path, content: bytes) -> None:
    """Write it, and leave an equal file alone."""
    if not path.is_file() or path.read_bytes() != content:
        write_file(path, content)


def _text(values: object) -> bytes:
    return (json.dumps(values, indent=1, sort_keys=True) + "\n").encode()


def _span(ends: tuple[int, int]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]}..{ends[1]}"
