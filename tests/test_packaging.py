"""What is declared equals what is there: packages, data, dependencies, pins, targets; and no path of one machine."""

import fnmatch
import importlib.metadata
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hillock.hw

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, SETUPTOOLS = PYPROJECT["project"], PYPROJECT["tool"]["setuptools"]
DECLARED = [
    Requirement(text)
    for text in sum(
        PROJECT["optional-dependencies"].values(), PROJECT["dependencies"] + PYPROJECT["build-system"]["requires"]
    )
]
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
)
BEFORE_3_12 = {"importlib-metadata", "zipp"}  # what dask needs on an older Python
OF_CUDA = re.compile("nvidia-|cuda-|triton")  # what torch brings along depends on its build; torch pins it itself


def files(entry):
    """The files of an entry of the root, which may itself be one."""
    inside = (ROOT / entry).rglob("*") if (ROOT / entry).is_dir() else [ROOT / entry]
    return [path for path in sorted(inside) if path.is_file() and "__pycache__" not in path.parts]


def test_packages_equal_folders():
    folders = {path.parent for folder in ("hw", "gen", "host", "sim") for path in files(folder) if path.suffix == ".py"}
    names = {"hillock." + ".".join(folder.relative_to(ROOT).parts): folder for folder in folders}
    assert sorted(SETUPTOOLS["packages"]) == sorted(names)
    assert [name for name, folder in names.items() if not (folder / "__init__.py").exists()] == []
    assert SETUPTOOLS["package-dir"] == {f"hillock.{folder}": folder for folder in ("hw", "gen", "host", "sim")}


def test_package_data_covers_every_other_file():
    patterns = [
        f"{package.removeprefix('hillock.').replace('.', '/')}/{pattern}"
        for package, listed in SETUPTOOLS["package-data"].items()
        for pattern in listed
    ]
    others = [path.relative_to(ROOT).as_posix() for folder in ("hw", "gen", "host", "sim") for path in files(folder)]
    others = [path for path in others if not path.endswith((".py", ".md"))]
    assert [path for path in others if not any(fnmatch.fnmatch(path, pattern) for pattern in patterns)] == []


def test_the_design_names_every_module():
    """Those of hw as files, those of the others in the tables of all modules."""
    text = (ROOT / "docs" / "design.md").read_text()
    named = {folder: set(re.findall(rf"`{folder}/(\w+)\.py`", text)) for folder in ("hw", "host")}
    for table in text.partition("## All modules")[2].partition("\n## ")[0].split("\n\n"):
        if head := re.match(r"\| `(\w+)/` \|", table.strip()):
            cells = re.findall(r"^\|([^|]*)\|", table, re.MULTILINE)
            named.setdefault(head[1], set()).update(re.findall(r"`(\w+)`", " ".join(cells)))
    for folder in ("hw", "gen", "host", "sim"):
        there = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__", "__main__"}
        assert (folder, sorted(there - named[folder]), sorted(named[folder] - there)) == (folder, [], [])


def test_every_dependency_has_its_reason():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    wanted = {line for value in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()) for line in value}
    bare = set()
    for above, line in itertools.pairwise(lines):
        if (entry := re.match(r' *"([^"]+)",', line)) and entry[1] in wanted:
            wanted.remove(entry[1])
            if not (re.search(r'",\s*# \w', line) or above.strip().startswith("# ")):
                bare.add(line.strip())
    assert (wanted, bare) == (set(), set())


def test_versions_are_pinned_in_the_constraints_and_only_there():
    assert [str(requirement) for requirement in DECLARED if "==" in str(requirement.specifier)] == []
    assert [
        str(r) for r in DECLARED if not r.specifier.contains(PINS[canonicalize_name(r.name)], prereleases=True)
    ] == []
    pins = [f"{name}=={version}" for name, version in PINS.items()]
    assert list(PINS) == sorted(PINS)
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][0-9a-z.]*", pin)] == []


def test_what_is_installed_is_what_is_pinned():
    """Also for what the declared packages bring along."""
    wanted = [(requirement, "") for requirement in DECLARED]
    seen: dict[str, set[str]] = {}
    while wanted:
        requirement, extra = wanted.pop()
        name = canonicalize_name(requirement.name)
        if (requirement.marker and not requirement.marker.evaluate({"extra": extra})) or OF_CUDA.match(name):
            continue
        new = {"", *requirement.extras} - seen.setdefault(name, set())
        seen[name] |= new
        inner = [Requirement(text) for text in importlib.metadata.requires(name) or []]
        wanted += [(needed, extra) for needed in inner for extra in new]
    installed = {name: importlib.metadata.version(name).partition("+")[0] for name in seen}
    not_here = BEFORE_3_12 if sys.version_info >= (3, 12) else set()
    assert installed == {name: version for name, version in PINS.items() if name not in not_here}


def test_what_is_installed_is_this_tree():
    """A tree that was copied with its .venv would import the one it was copied from."""
    assert Path(hillock.hw.__file__ or "").parent.resolve() == (ROOT / "hw").resolve()


def test_the_console_script_starts_the_command_line():
    (script,) = importlib.metadata.distribution("hillock").entry_points.select(group="console_scripts")
    assert PROJECT["scripts"] == {script.name: script.value} == {"hillock": "hillock.gen.cli:main"}
    assert callable(script.load())


def make(*arguments):
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, text=True, capture_output=True, check=True
    ).stdout


def test_make_alone_lists_every_target():
    (phony,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"^  ([a-z-]+) +\S", make(), re.MULTILINE) == phony.split()
    assert max(map(len, make().splitlines())) <= 80


@pytest.mark.parametrize(
    ("target", "groups"),
    [
        ("sim", []),
        ("verify", []),
        ("verify ARGS=--scheduler=tcp://there:8786", ["cluster"]),
        ("setup-host", ["host"]),
        ("setup-cluster", ["cluster"]),
        ("board-sim", []),
        ("bench", []),
        ("lint", ["lint"]),
        ("synth", ["synth"]),
        ("bitstream", ["synth"]),
        ("bitstream BOARD=ulx3s-25f", ["synth"]),
        ("bitstream BOARD=icebreaker", ["synth", "boards"]),
        ("train", ["train"]),
        ("firmware", ["firmware"]),
        ("test", ["lint", "test", "synth", "train", "boards", "host", "firmware", "cluster"]),
        ("setup", ["lint", "test", "synth", "boards", "host", "firmware", "cluster", "train"]),
    ],
)
def test_a_target_installs_only_what_it_needs(target, groups):
    shown = make("--dry-run", "--always-make", *target.split())
    assert re.findall(r"--editable '?\.\[?(\w*)", shown) == ["", *groups]


def test_no_path_of_one_machine():
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}
    tools = {entry.name for entry in ROOT.glob(".*/")} - {".ci"}  # caches, editors, git
    found = []
    for path in itertools.chain.from_iterable(files(e) for e in ROOT.iterdir() if e.name not in ignored | tools):
        for match in re.finditer(rb"(?<![\w.~])/(work|tmp|root|home)/[!-~]*", path.read_bytes()):
            found.append(f"{path.relative_to(ROOT)}: {match[0].decode()}")
    assert found == []
