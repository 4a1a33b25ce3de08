"""Whole inferences on the compiled core, with no Python in the loop: build the program, feed it, read its results."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.hw.registers import region, register

from .plan import Plan
from .stimulus import Event
from .synapses import IntArray, Shape
from .timing import Output
from .token_words import pack, unpack
from .tool import find_verilator

__all__ = ["Harness", "Measured", "Results", "Stimulus", "build"]

_END, _WRITE, _READ, _STALL, _RUN_EVENTS, _RUN_IMAGE = range(6)
_SOURCE = Path(__file__).parent / "verilator" / "main.cpp"
_WAIVED = ("-Wno-fatal", "-Wno-WIDTHEXPAND", "-Wno-WIDTHTRUNC", "-Wno-UNUSEDSIGNAL")


@dataclass(frozen=True, eq=False)
class Measured:
    """One inference as it came out of the gateware, to be held against a `golden.Trace` and a `timing.Timeline`.

    `spikes[layer][t, i]`, `potentials[layer][t, i]`; `fire[t, layer]` cycle of word 0 of each fire pass at the trace
    port; `words_late`, true when a later word did not follow in the next cycle; `output`, all that left the core;
    `decision` and the cycle in which it was offered.
    """

    spikes: list[NDArray[np.bool_]]
    potentials: list[IntArray]
    fire: IntArray
    words_late: bool
    output: list[Output]
    decision: int
    decision_cycle: int


class Stimulus:
    """Commands for the program, one after another."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.uint32]] = []
        self.kinds: list[str] = []

    def _add(self, *values: int) -> None:
        self._parts.append(np.array(values, np.uint32))

    def write(self, pairs: NDArray[np.uint32]) -> None:
        """Bus writes: rows of (address, value)."""
        rows = np.empty((len(pairs), 3), np.uint32)
        rows[:, 0] = _WRITE
        rows[:, 1:] = pairs
        self._parts.append(rows.reshape(-1))

    def read(self, address: int) -> None:
        """A bus read."""
        self.kinds.append("read")
        self._add(_READ, address)

    def stall(self, seed: int, inputs: int, outputs: int) -> None:
        """From here on, hold back input and output at random: with chances of `inputs` and `outputs` in 256."""
        self._add(_STALL, seed, inputs, outputs)

    def run_events(self, events: list[list[Event]], shape: Shape, config: CoreConfig) -> None:
        """An inference of a network with event input on a grid of this shape: the events of each step, and its marker.

        They are put in as they are, so that what is beyond the grid or the core can be tried too.
        """
        words = pack(events, shape, config)
        self.kinds.append("run")
        self._add(_RUN_EVENTS, len(words))
        self._parts.append(words.view(np.uint32))

    def run_image(self) -> None:
        """An inference of the image that has been written to the currents."""
        self.kinds.append("run")
        self._add(_RUN_IMAGE, region("registers").base + register("control").offset)

    def to_array(self) -> NDArray[np.uint32]:
        """The whole stimulus as words."""
        return np.concatenate([*self._parts, np.array([_END], np.uint32)])


@dataclass(frozen=True, eq=False)
class Results:
    """What the program wrote: `items` in the order of the stimulus (int for a read, words for a run), all cycles."""

    items: list[int | NDArray[np.uint32]]
    cycles: int

    def runs(self, plan: Plan) -> Iterator[Measured]:
        """The inferences among the items, of the network that `plan` placed."""
        for item in self.items:
            if not isinstance(item, int):
                yield _measured(item, plan)

    def reads(self) -> list[int]:
        """The values read, in order."""
        return [item for item in self.items if isinstance(item, int)]


@dataclass(frozen=True)
class Harness:
    """The compiled program."""

    program: Path

    def run(self, stimulus: Stimulus, waves: Path | None = None) -> Results:
        """Perform `stimulus`; raises `HillockError` with the program's words when it gives up."""
        with tempfile.TemporaryDirectory(dir=self.program.parent) as folder:
            given, got = Path(folder) / "stimulus.bin", Path(folder) / "result.bin"
            stimulus.to_array().astype("<u4").tofile(given)
            command = [str(self.program), str(given), str(got), *([str(waves)] if waves else [])]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise HillockError(f"the compiled core stopped with status {done.returncode}: {done.stderr.strip()}")
            words = np.fromfile(got, "<u4").astype(np.uint32)
        items: list[int | NDArray[np.uint32]] = []
        at = 0
        for kind in stimulus.kinds:
            if kind == "read":
                items.append(int(words[at]))
                at += 1
            else:
                end = at + 5 + int(words[at]) + int(words[at + 1])
                items.append(words[at:end])
                at = end
        return Results(items, int(words[at]) | int(words[at + 1]) << 32)


def build(verilog: str, config: CoreConfig, folder: Path, *, waves: bool = False) -> Harness:
    """Compile `verilog` (module core, with trace ports) into `folder`/<digest>; what is there already is used again."""
    tool = find_verilator()
    defines = f"-DLANES={config.lanes} -DPOTENTIAL_BITS={config.potential_bits}"
    source = _SOURCE.read_text()
    identity = "\0".join([verilog, source, tool.identity, defines, str(waves)])
    place = folder / hashlib.sha256(identity.encode()).hexdigest()[:16]
    program = place / "harness"
    if program.exists():
        return Harness(program)
    place.mkdir(parents=True, exist_ok=True)
    (place / "core.v").write_text(verilog)
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        command = [
            "verilator",
            "--cc",
            "--exe",
            "--build",
            "-j",
            "2",
            "-O3",
            "--x-assign",
            "fast",
            "--x-initial",
            "fast",
            "--noassert",
            "--top-module",
            "core",
            *_WAIVED,
            "-CFLAGS",
            f"-std=c++17 {defines}",
            "-MAKEFLAGS",
            "OPT_FAST=-O2 OPT_SLOW=-O1",
            "--Mdir",
            scratch,
            "-o",
            "harness",
            *(["--trace-vcd"] if waves else []),
            *tool.arguments,
            str((place / "core.v").resolve()),
            str(_SOURCE.resolve()),
        ]
        log = subprocess.run(command, env=tool.environment(), capture_output=True, text=True, check=False)
        (place / "build.log").write_text(log.stdout + log.stderr)
        if log.returncode:
            errors = [line for line in (log.stdout + log.stderr).splitlines() if "rror" in line]
            raise HillockError(
                f"Verilator ({tool.identity}) could not compile the core; see {place / 'build.log'}: "
                f"{' / '.join(errors[:3])}"
            )
        os.replace(Path(scratch) / "harness", program)
    return Harness(program)


def _measured(words: NDArray[np.uint32], plan: Plan) -> Measured:
    network, config = plan.network, plan.config
    lanes, bits, steps = config.lanes, config.potential_bits, network.timesteps
    trace_words, _output_words, decision, decision_cycle, _sent = (int(value) for value in words[:5])
    spike_slices, potential_slices = -(-lanes // 32), -(-lanes * bits // 32)
    trace = words[5 : 5 + trace_words].reshape(-1, 3 + spike_slices + potential_slices)
    spikes = np.unpackbits(
        np.ascontiguousarray(trace[:, 3 : 3 + spike_slices]).view(np.uint8), axis=1, bitorder="little"
    )[:, :lanes].astype(bool)
    raw = np.unpackbits(np.ascontiguousarray(trace[:, 3 + spike_slices :]).view(np.uint8), axis=1, bitorder="little")
    raw = raw[:, : lanes * bits].reshape(-1, lanes, bits)
    values = raw.astype(np.int64) @ (np.int64(1) << np.arange(bits, dtype=np.int64))
    values -= raw[:, :, -1].astype(np.int64) << bits

    all_spikes, all_potentials = [], []
    fire = np.full((steps, len(network.layers)), -1, np.int64)
    late = False
    for index, (layer, layout) in enumerate(zip(network.layers, plan.layouts, strict=True)):
        mine = trace[:, 1] == index
        count = layout.words
        passes = int(mine.sum()) // count
        expected_words = np.tile(plan.potential_bases[index] + np.arange(count), passes)
        if int(mine.sum()) != passes * count or not np.array_equal(trace[mine, 2], expected_words):
            raise HillockError(f"layer {layer.name!r}: the words of its fire passes came in a wrong order")
        shape = (passes, count * lanes)
        fired = spikes[mine].reshape(shape)
        neurons = plan.slots[index]
        all_spikes.append(fired[:, neurons])
        if int(fired.sum()) != int(all_spikes[-1].sum()):
            raise HillockError(f"layer {layer.name!r}: a lane without a neuron fired")
        all_potentials.append(values[mine].reshape(shape)[:, neurons])
        cycles = trace[mine, 0].astype(np.int64).reshape(passes, count)
        fire[: min(passes, steps), index] = cycles[:steps, 0]
        late |= bool((cycles != cycles[:, :1] + np.arange(count)).any())
    output = unpack(words[5 + trace_words :].reshape(-1, 3), network.layers[-1].shape, config)
    return Measured(all_spikes, all_potentials, fire, late, output, decision, decision_cycle)
