"""The direction of imports: hw <- nothing of ours; sim <- three plain modules of hw; host <- five, sim; gen <- all."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("hw", "sim", "host", "gen")
PLAIN = ("hillock.hw.config", "hillock.hw.problems", "hillock.hw.registers")
LINK = ("hillock.hw.design_digest", "hillock.hw.link_registers")

# folder: what of ours it may import, and what of others' it must not
ALLOWED = {
    "hw": ("hillock.hw",),
    "sim": ("hillock.sim", *PLAIN),
    "host": ("hillock.host", "hillock.sim", *PLAIN, *LINK),
    "gen": ("hillock.gen", "hillock.host", "hillock.hw", "hillock.sim"),
    "tests": ("hillock",),
}
FORBIDDEN = {"hw": ("torch",), "sim": ("amaranth", "torch"), "host": ("amaranth", "torch"), "gen": (), "tests": ()}


def is_within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def imports(path: str, source: str) -> Iterator[tuple[int, str, list[str]]]:
    """(line, module, names taken from it), with relative modules made absolute, of each import in the file `path`."""
    package = ["hillock", *Path(path).parts[:-1]]
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield node.lineno, module, [alias.name for alias in node.names]


def violations(path: str, source: str) -> list[str]:
    """What the file `path` (relative to the root) imports and must not, as "path:line: reason"."""
    folder = Path(path).parts[0]
    allowed, forbidden = ALLOWED[folder], FORBIDDEN[folder]
    if is_plain := f"hillock.{path.removesuffix('.py').replace('/', '.')}" in (*PLAIN, *LINK):
        allowed, forbidden = PLAIN, ("amaranth", *forbidden)
    found = []
    for line, module, names in imports(path, source):
        targets = [f"{module}.{name}" for name in names] or [module]
        if is_within(module, FOLDERS):
            found.append(f"{path}:{line}: {module} must be imported as hillock.{module}")
        elif module == "__future__" and folder == "hw" and "annotations" in names:
            found.append(f"{path}:{line}: postponed annotations hide the ports of a component")
        elif is_within(module, forbidden):
            found.append(f"{path}:{line}: {'a plain module' if is_plain else folder} must not import {module}")
        elif is_within(module, ("hillock",)) and not is_within(module, allowed):
            bad = [target for target in targets if not is_within(target, allowed)]
            found += [f"{path}:{line}: {'a plain module' if is_plain else folder} must not import {x}" for x in bad]
    return found


def test_the_tree_keeps_the_direction():
    files = [path for folder in ALLOWED for path in sorted((ROOT / folder).rglob("*.py"))]
    assert {path.relative_to(ROOT).parts[0] for path in files} == set(ALLOWED)
    assert [text for path in files for text in violations(path.relative_to(ROOT).as_posix(), path.read_text())] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("hw/core.py", "from amaranth.hdl import Signal\nfrom .config import CoreConfig\nimport hillock.hw.neuron"),
        ("hw/board/ulx3s.py", "from ..core import Core\nfrom .. import core"),
        ("sim/golden.py", "from hillock.hw.config import CoreConfig\nfrom hillock.hw import config, registers"),
        ("sim/golden.py", "from . import network\nfrom .network import Network\nimport hillock.sim.network"),
        ("sim/golden.py", "import numpy as np\nimport simpy, hwloc, generic"),
        ("host/board.py", "import hillock.sim.golden\nfrom hillock.hw import design_digest, link_registers, registers"),
        ("hw/link_registers.py", "from .config import REGION_SHIFT\nfrom .registers import Field"),
        (
            "gen/build.py",
            "from hillock import host, hw, sim\nfrom hillock.hw.core import Core\nfrom .errors import Oops",
        ),
        ("tests/test_x.py", "from amaranth.sim import Simulator\nfrom hillock.gen import cli\nimport torch"),
    ],
)
def test_accepts(path, source):
    assert violations(path, source) == []


@pytest.mark.parametrize(
    ("path", "source", "reason"),
    [
        ("hw/core.py", "import hillock.sim.golden", "hw must not import hillock.sim.golden"),
        ("hw/core.py", "from hillock.gen.image import encode", "hw must not import hillock.gen.image.encode"),
        ("hw/core.py", "from hillock import gen", "hw must not import hillock.gen"),
        ("hw/core.py", "from ..sim import golden", "hw must not import hillock.sim.golden"),
        ("hw/core.py", "from __future__ import annotations", "postponed annotations hide the ports of a component"),
        ("hw/core.py", "import hw.config", "hw.config must be imported as hillock.hw.config"),
        ("hw/config.py", "from amaranth.lib import data", "a plain module must not import amaranth.lib"),
        ("hw/config.py", "from .core import Core", "a plain module must not import hillock.hw.core.Core"),
        ("hw/link_registers.py", "from amaranth.lib import data", "a plain module must not import amaranth.lib"),
        ("hw/config.py", "from . import design_digest", "a plain module must not import hillock.hw.design_digest"),
        ("hw/core.py", "from hillock.host import board", "hw must not import hillock.host.board"),
        ("sim/golden.py", "import hillock.host.board", "sim must not import hillock.host.board"),
        ("sim/golden.py", "from hillock.hw import link_registers", "sim must not import hillock.hw.link_registers"),
        ("sim/golden.py", "from hillock.hw.neuron import settle", "sim must not import hillock.hw.neuron.settle"),
        ("sim/golden.py", "from hillock.hw import config, core", "sim must not import hillock.hw.core"),
        ("sim/golden.py", "import hillock.hw", "sim must not import hillock.hw"),
        ("sim/golden.py", "from ..hw.core import Core", "sim must not import hillock.hw.core.Core"),
        ("sim/bench/x.py", "from ... import gen", "sim must not import hillock.gen"),
        ("sim/golden.py", "from hillock.hw.configuration import X", "sim must not import hillock.hw.configuration.X"),
        ("sim/golden.py", "def f():\n    import amaranth.hdl", "sim must not import amaranth.hdl"),
        ("sim/golden.py", "import torch", "sim must not import torch"),
        ("host/board.py", "from hillock.gen.image import x", "host must not import hillock.gen.image.x"),
        ("host/board.py", "from hillock.hw.link import Link", "host must not import hillock.hw.link.Link"),
        ("host/board.py", "import amaranth", "host must not import amaranth"),
        ("host/board.py", "import torch.nn", "host must not import torch.nn"),
        ("gen/build.py", "from sim import golden", "sim must be imported as hillock.sim"),
        ("tests/test_x.py", "from gen.image import encode", "gen.image must be imported as hillock.gen.image"),
    ],
)
def test_refuses(path, source, reason):
    assert violations(path, source) == [f"{path}:{source.count(chr(10)) + 1}: {reason}"]
