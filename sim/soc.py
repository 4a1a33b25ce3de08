"""The system on chip, compiled: run to the end of its program, and what its console said."""

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hillock.hw.problems import HillockError

from .compiled import MAIN, WAIVED, compiled

__all__ = ["Said", "build_soc", "run_soc"]

_SOURCE = MAIN / "soc.cpp"
_NOT_STOPPED = 3


@dataclass(frozen=True)
class Said:
    """What the console said, and the clock cycles until the processor stopped."""

    lines: tuple[str, ...]
    cycles: int


def build_soc(verilog: str, sources: Sequence[Path], folder: Path) -> Path:
    """Compile `verilog` (module `soc`) and the Verilog files beside it into `folder`/<digest>; returns the program.

    What is there already is used again. A `HillockError` says what Verilator has to say.
    """
    return compiled(
        "soc",
        top="soc",
        what="the system on chip",
        written={"soc.v": verilog},
        sources=[*sources, _SOURCE],
        folder=folder,
        flags=(*WAIVED, "-Wno-CASEINCOMPLETE"),
        make="OPT_FAST=-O2 OPT_SLOW=-O0 OPT_GLOBAL=-O0",
    )


def run_soc(
    simulation: Path,
    words: Sequence[int],
    *,
    divisor: int,
    most_cycles: int,
    said: Callable[[str], None] = lambda line: None,
) -> Said:
    """Run what `build_soc` made, with `words` in the memory of the processor, until it stops.

    Each line goes to `said` when it comes. A `HillockError` when it has not stopped after `most_cycles`.
    """
    lines: list[str] = []
    with tempfile.TemporaryDirectory(dir=simulation.parent) as scratch:
        program = Path(scratch) / "program.bin"
        program.write_bytes(np.array(words, "<u4").tobytes())
        command = [str(simulation), str(divisor), str(most_cycles), str(program)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
        ) as run:
            assert run.stdout is not None
            assert run.stderr is not None
            for line in run.stdout:
                lines.append(line.rstrip("\n"))
                said(lines[-1])
            errors = run.stderr.read().strip()
    if run.returncode == _NOT_STOPPED:
        raise HillockError(
            f"system on chip: its processor had not stopped after {most_cycles:,} clock cycles; the last that it said "
            f"is {(lines or ['nothing'])[-1]!r}: run fewer images, give it more cycles, or look at its program"
        )
    if run.returncode:
        raise HillockError(f"system on chip: the simulation ended with status {run.returncode}: {errors}")
    return Said(tuple(lines), int(errors.splitlines()[-1]))
