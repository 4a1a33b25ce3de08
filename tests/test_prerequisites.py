"""The check before the set-up: what it says, in full, when something is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "setup" / "check-prerequisites.sh"
PYTHON = "python3"


def doctored(change=""):
    """A Python that has carried out `change` before it runs the code it is given."""
    return f"""#!/bin/sh\nexec "{sys.executable}" -c '{change}\nexec(__import__("sys").argv[2])' "$@"\n"""


TOOLS = {"g++": "#!/bin/sh\n", "make": "#!/bin/sh\n", "perl": "#!/bin/sh\n", PYTHON: doctored()}
TOO_OLD = doctored("import sys; sys.version_info = (3, 9, 2)")
NO_VENV = doctored('import sys; sys.modules["ensurepip"] = None')
NO_LIBRARY = doctored('import sys; sys.modules["ctypes"] = None')
BROKEN = '#!/bin/sh\necho "python3: no version is selected"\necho "See the manual."\nexit 127\n'

GXX = "  - g++, which compiles the simulations (Debian: g++)\n"
MAKE = "  - make, which runs that compiler (Debian: make)\n"
PERL = "  - perl, in which Verilator's launcher is written (Debian: perl)\n"


def check(folder, tools, *arguments):
    """(exit status, everything printed) where PATH holds just these tools."""
    for name, text in tools.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    command = ["/bin/sh", str(SCRIPT), *arguments]
    done = subprocess.run(
        command, env={"PATH": str(folder)}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.returncode, done.stdout


def missing(lines, packages):
    apt = f"On Debian or Ubuntu: apt-get install {packages}\n" if packages else ""
    return 1, f"hillock cannot be set up yet. Missing:\n{lines}{apt}"


def test_silent_when_nothing_is_missing(tmp_path):
    status, printed = check(tmp_path, TOOLS)
    assert status == 0
    assert printed == "" or printed.startswith("Note: ")  # the note depends on the machine; it is tested below


@pytest.mark.parametrize(
    ("absent", "lines", "packages"),
    [
        (["g++"], GXX, "g++"),
        (["make"], MAKE, "make"),
        (["perl"], PERL, "perl"),
        (
            [PYTHON],
            "  - python3: Python 3.11 or newer, with its venv module (Debian: python3 python3-venv)\n",
            "python3 python3-venv",
        ),
        (
            list(TOOLS),
            f"{GXX}{MAKE}{PERL}"
            "  - python3: Python 3.11 or newer, with its venv module (Debian: python3 python3-venv)\n",
            "g++ make perl python3 python3-venv",
        ),
    ],
    ids=["g++", "make", "perl", "python3", "everything"],
)
def test_absent(tmp_path, absent, lines, packages):
    assert check(tmp_path, {name: TOOLS[name] for name in TOOLS if name not in absent}) == missing(lines, packages)


@pytest.mark.parametrize(
    ("python", "line", "packages"),
    [
        (
            TOO_OLD,
            "  - Python 3.11 or newer: python3 is 3.9.2 (Debian 12 has it; make PYTHON=... chooses another one)\n",
            "",
        ),
        (NO_VENV, "  - the venv module of python3 (Debian: python3-venv)\n", "python3-venv"),
        (BROKEN, "  - a python3 that runs (this one says: python3: no version is selected)\n", ""),
    ],
    ids=["too old", "no venv", "broken"],
)
def test_unfit_python(tmp_path, python, line, packages):
    assert check(tmp_path, TOOLS | {PYTHON: python}) == missing(line, packages)
    only = {PYTHON: python}
    for name in TOOLS.keys() - only.keys():
        (tmp_path / name).unlink()
    assert check(tmp_path, only) == missing(f"{GXX}{MAKE}{PERL}{line}", f"g++ make perl {packages}".strip())


@pytest.mark.parametrize(("name", "package"), [("python3.12", "python3.12-venv"), ("pypy", "python3-venv")])
def test_names_the_package_of_the_python_that_was_chosen(tmp_path, name, package):
    tools = TOOLS | {name: NO_VENV}
    assert check(tmp_path, tools, name) == missing(f"  - the venv module of {name} (Debian: {package})\n", package)


def test_a_missing_shared_library_is_only_noted(tmp_path):
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    note = f"Note: make test will also need libpython{version}.so (Debian: libpython{version}).\n"
    assert check(tmp_path, TOOLS | {PYTHON: NO_LIBRARY}) == (0, note)
