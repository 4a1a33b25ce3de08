"""Runs the tools of a flow, each only where its version, its options or what it reads have changed."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from hillock.hw.problems import HillockError
from hillock.sim.archive import write_file

from . import build_fanout
from .build_flows import SPLITTER, Step
from .synth import Progress
from .yowasp import first_start, run_tool, tool_version

__all__ = ["STAMPS", "digest_of", "run_step"]

STAMPS = "steps.json"
"""For each step that is finished: the digest of what went in, and those of what came out."""


def digest_of(content: bytes) -> str:
    """SHA-256, as text."""
    return hashlib.sha256(content).hexdigest()


def run_step(step: Step, folder: Path, *, number: int, count: int, progress: Progress) -> float | None:
    """Run step `number` of `count` in `folder`; returns the seconds it took, None where its work was there already.

    A tool that is missing, that fails, or that does not write what it should is a `HillockError`.
    """
    given = {
        "tool": digest_of(Path(build_fanout.__file__).read_bytes())
        if step.tool is SPLITTER
        else tool_version(step.tool),
        "arguments": step.arguments,
        "reads": {name: digest_of((folder / name).read_bytes()) for name in step.reads},
    }
    key = digest_of(json.dumps(given, sort_keys=True).encode())
    stamps = _read_stamps(folder)
    if stamps.get(step.title) == {"key": key, "writes": _written(step, folder)}:
        progress.note(f"[{number}/{count}] {step.title}: nothing has changed")
        return None
    stamps.pop(step.title, None)
    _write_stamps(folder, stamps)
    for name in step.writes:
        (folder / name).unlink(missing_ok=True)
    if step.tool.program and first_start(step.tool):
        progress.note(f"{step.tool.name} starts for the first time and is compiled for this machine: half a minute")
    began = time.monotonic()
    with progress.step(number, count, step.title):
        if step.tool is SPLITTER:
            build_fanout.split_file(*(folder / name for name in step.arguments))
        else:
            run_tool(step.tool, list(step.arguments), folder, step.log)
    written = _written(step, folder)
    missing = [name for name in step.writes if name not in written]
    if missing:
        raise HillockError(
            f"{step.tool.name} ended without an error, and did not write {', '.join(missing)}; its log is "
            f"{folder / step.log}. The same input fails again: report it with the log and the files beside it"
        )
    _write_stamps(folder, {**stamps, step.title: {"key": key, "writes": written}})
    return time.monotonic() - began


def _written(step: Step, folder: Path) -> dict[str, str]:
    paths = {name: folder / name for name in step.writes}
    return {name: digest_of(path.read_bytes()) for name, path in paths.items() if path.is_file()}


def _read_stamps(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / STAMPS).read_text()))
    except (OSError, ValueError, TypeError):  # whatever is wrong with it, the work is done again
        return {}


def _write_stamps(folder: Path, stamps: dict[str, Any]) -> None:
    write_file(folder / STAMPS, (json.dumps(stamps, indent=1, sort_keys=True) + "\n").encode())
