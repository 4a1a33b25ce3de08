"""The system on chip, compiled: run to the end of its program, and what its console said."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hillock.hw.problems import HillockError

from .tool import find_verilator

__all__ = ["Said", "build_soc", "run_soc"]

_SOURCE = Path(__file__).parent / "verilator" / "soc.cpp"
_WAIVED = ("-Wno-fatal", *(f"-Wno-{name}" for name in ("WIDTHEXPAND", "WIDTHTRUNC", "UNUSEDSIGNAL", "CASEINCOMPLETE")))
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
    tool = find_verilator()
    identity = "\0".join([verilog, *(path.read_text() for path in sources), _SOURCE.read_text(), tool.identity])
    place = folder / hashlib.sha256(identity.encode()).hexdigest()[:16]
    program = place / "soc"
    if program.exists():
        return program
    place.mkdir(parents=True, exist_ok=True)
    (place / "soc.v").write_text(verilog)
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        command = [
            *("verilator", "--cc", "--exe", "--build", "-j", "2", "-O3", "--noassert", "--top-module", "soc"),
            *("--x-assign", "fast", "--x-initial", "fast", *_WAIVED),
            *("-CFLAGS", "-std=c++17", "-MAKEFLAGS", "OPT_FAST=-O2 OPT_SLOW=-O0 OPT_GLOBAL=-O0"),
            *("--Mdir", scratch, "-o", "soc", *tool.arguments),
            *(str(path.resolve()) for path in (place / "soc.v", *sources, _SOURCE)),
        ]
        log = subprocess.run(command, env=tool.environment(), capture_output=True, text=True, check=False)
        (place / "build.log").write_text(log.stdout + log.stderr)
        if log.returncode:
            errors = [line for line in (log.stdout + log.stderr).splitlines() if "rror" in line]
            raise HillockError(
                f"Verilator ({tool.identity}) could not compile the system on chip; see {place / 'build.log'}: "
                f"{' / '.join(errors[:3])}"
            )
        os.replace(Path(scratch) / "soc", program)
    return program


def run_soc(
    compiled: Path,
    words: Sequence[int],
    *,
    divisor: int,
    most_cycles: int,
    said: Callable[[str], None] = lambda line: None,
) -> Said:
    """Run with `words` in the memory of the processor until it stops; each line goes to `said` when it comes.

    A `HillockError` when it has not stopped after `most_cycles`.
    """
    lines: list[str] = []
    with tempfile.TemporaryDirectory(dir=compiled.parent) as scratch:
        program = Path(scratch) / "program.bin"
        program.write_bytes(np.array(words, "<u4").tobytes())
        command = [str(compiled), str(divisor), str(most_cycles), str(program)]
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
