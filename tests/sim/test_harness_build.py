"""Compiled gateware is kept: what makes a program another, and what is left of a build that failed."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from hillock.gen.verilog import core_verilog
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.sim import compiled, harness, tool
from hillock.sim.tool import find_verilator

BUILD = Path(__file__).resolve().parents[2] / "build" / "test-harness"
CONFIG = CoreConfig(lanes=2, max_layers=1, max_connections=1, max_channels=4, potential_words=2, synapse_words=8,
                    current_words=2, queue_words=2, classes=4)  # fmt: skip


def test_what_is_built_is_not_built_again(monkeypatch):
    """Nothing is run then; the core is the smallest."""
    verilog = core_verilog(CONFIG)
    program = harness.build(verilog, CONFIG, BUILD)
    find_verilator()  # asks Verilator for its version, once
    monkeypatch.setattr(subprocess, "run", None)
    assert harness.build(verilog, CONFIG, BUILD) == program


@pytest.fixture
def calls(monkeypatch):
    """Calls of a Verilator that makes an empty program of anything."""
    commands = []

    def run(command, **options):
        commands.append(command)
        (Path(command[command.index("--Mdir") + 1]) / "harness").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(compiled, "find_verilator", lambda: tool.Verilator(Path("/nowhere"), "Verilator 5.036"))
    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_whatever_goes_into_a_program_makes_it_another(calls, monkeypatch, tmp_path):
    made = set()

    def build(
        verilog: str = "module accelerator;",
        configs: CoreConfig | list[CoreConfig] = CONFIG,
        folder: str = "a",
        waves: bool = False,
    ) -> None:
        made.add(harness.build(verilog, configs, tmp_path / folder, waves=waves).program)

    build()
    assert (len(calls), len(made)) == (1, 1)
    build()
    assert (len(calls), len(made)) == (1, 1)

    build(configs=[CONFIG])
    assert (len(calls), len(made)) == (1, 1)  # a single core is a list of one

    build("module accelerator; ")
    build(configs=replace(CONFIG, lanes=3))
    build(configs=replace(CONFIG, potential_bits=15, current_bits=15))
    build(configs=[CONFIG, CONFIG])
    build(folder="b")
    build(waves=True)
    source = tmp_path / "main.cpp"
    source.write_text(harness._SOURCE.read_text() + "\n")
    monkeypatch.setattr(harness, "_SOURCE", source)
    build()
    monkeypatch.setattr(compiled, "find_verilator", lambda: tool.Verilator(Path("/nowhere"), "Verilator 5.037"))
    build()
    assert len(calls) == len(made) == 9
    assert all(program.exists() for program in made)


def test_only_what_was_built_to_the_end_counts_as_built(calls, monkeypatch, tmp_path):
    def interrupted(*paths):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            harness.build("module accelerator;", CONFIG, tmp_path)
    (place,) = tmp_path.iterdir()
    assert sorted(path.name for path in place.iterdir()) == ["accelerator.v", "build.log", "cores.h"]
    assert harness.build("module accelerator;", CONFIG, tmp_path).program == place / "harness"
    assert len(calls) == 2


def test_verilog_that_does_not_compile(tmp_path):
    for _ in range(2):  # what failed is not taken for built
        with pytest.raises(HillockError) as caught:
            harness.build("module accelerator; this is no Verilog\nendmodule\n", CONFIG, tmp_path)
        (place,) = tmp_path.iterdir()
        assert str(caught.value).startswith(
            f"Verilator ({find_verilator().identity}) could not compile the gateware; see {place / 'build.log'}: "
            f"%Error: {place / 'accelerator.v'}:1:21: syntax error, unexpected this"
        )
        assert sorted(path.name for path in place.iterdir()) == ["accelerator.v", "build.log", "cores.h"]
    assert "syntax error" in (place / "build.log").read_text()
