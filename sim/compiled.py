"""Programs that Verilator makes of a design, kept by the digest of all that goes in."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hillock.hw.problems import HillockError

from .tool import find_verilator

__all__ = ["MAIN", "WAIVED", "compiled"]

MAIN = Path(__file__).parent / "verilator"
"""The C++ around the designs."""

WAIVED = ("-Wno-fatal", "-Wno-WIDTHEXPAND", "-Wno-WIDTHTRUNC", "-Wno-UNUSEDSIGNAL")
_FLAGS = ("-O3", "--noassert", "--x-assign", "fast", "--x-initial", "fast")


def compiled(
    name: str,
    *,
    top: str,
    what: str,
    written: Mapping[str, str],
    sources: Sequence[Path],
    folder: Path,
    flags: Sequence[str] = WAIVED,
    make: str = "OPT_FAST=-O2 OPT_SLOW=-O1",
) -> Path:
    """The program `folder`/<digest>/`name`: module `top`, compiled with C++ around it. What is there is used again.

    Parameters
    ----------
    what : str
        What the design is, for errors.
    written : mapping of str to str
        Texts that are written beside the program, by name: Verilog, which is compiled, and headers.
    sources : sequence of Path
        Files that are there, Verilog and C++. Those in `MAIN` may include its headers.
    flags, make : for Verilator, and for its makefile

    A `HillockError` says what Verilator has to say.
    """
    tool = find_verilator()
    texts = [*written.values(), *(path.read_text() for path in (*sources, *sorted(MAIN.glob("*.h"))))]
    identity = "\0".join([*texts, tool.identity, top, make, *flags, *_FLAGS])
    place = folder / hashlib.sha256(identity.encode()).hexdigest()[:16]
    program = place / name
    if program.exists():
        return program
    place.mkdir(parents=True, exist_ok=True)
    for file, text in written.items():
        (place / file).write_text(text)
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        command = [
            *("verilator", "--cc", "--exe", "--build", "-j", "2", "--top-module", top, *_FLAGS, *flags),
            *("-CFLAGS", f"-std=c++17 -I{place.resolve()} -I{MAIN.resolve()}", "-MAKEFLAGS", make),
            *("--Mdir", scratch, "-o", name, *tool.arguments),
            *(str(place.resolve() / file) for file in written if file.endswith(".v")),
            *(str(path.resolve()) for path in sources),
        ]
        log = subprocess.run(command, env=tool.environment(), capture_output=True, text=True, check=False)
        (place / "build.log").write_text(log.stdout + log.stderr)
        if log.returncode:
            errors = [line for line in (log.stdout + log.stderr).splitlines() if "rror" in line]
            raise HillockError(
                f"Verilator ({tool.identity}) could not compile {what}; see {place / 'build.log'}: "
                f"{' / '.join(errors[:3])}"
            )
        os.replace(Path(scratch) / name, program)
    return program
