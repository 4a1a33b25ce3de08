"""Whole inferences on the compiled gateware, with no Python in the loop: build the program, feed it, read it."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.hw.registers import region, register

from .compiled import MAIN, WAIVED, compiled
from .measured import Measured, measured_runs
from .plan import Pipeline, Plan, as_pipeline
from .stimulus import Event
from .synapses import Shape
from .token_words import pack

__all__ = ["Harness", "Measured", "Results", "Stimulus", "build"]

_END, _WRITE, _READ, _STALL, _RUN_EVENTS, _RUN_IMAGES = range(6)
_SOURCE = MAIN / "main.cpp"


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
        self.stream_events([events], shape, config)

    def stream_events(self, inferences: Sequence[list[list[Event]]], shape: Shape, config: CoreConfig) -> None:
        """Several inferences, each input word on offer as soon as the one before it was taken; `config` of core 0."""
        words = np.concatenate([pack(events, shape, config) for events in inferences])
        self.kinds.append("run")
        self._add(_RUN_EVENTS, len(inferences), len(words))
        self._parts.append(words.view(np.uint32))

    def run_image(self) -> None:
        """An inference of the image that has been written to the currents."""
        self.stream_images([np.zeros((0, 2), np.uint32)])

    def stream_images(self, images: Sequence[NDArray[np.uint32]]) -> None:
        """Several inferences, each started while the one before it runs; `images`: the bus writes of each.

        They take turns at the two banks of the first core, from bank 0 on. A single one may have been written before.
        """
        self.kinds.append("run")
        registers = region("registers").base
        self._add(_RUN_IMAGES, len(images), *(registers + register(name).offset for name in ("control", "status")))
        for writes in images:
            self._add(len(writes))
            self._parts.append(np.asarray(writes, np.uint32).reshape(-1))

    def to_array(self) -> NDArray[np.uint32]:
        """The whole stimulus as words."""
        return np.concatenate([*self._parts, np.array([_END], np.uint32)])


@dataclass(frozen=True, eq=False)
class Results:
    """What the program wrote: `items` in the order of the stimulus (int for a read, words for a run), all cycles."""

    items: list[int | NDArray[np.uint32]]
    cycles: int

    def runs(self, plan: Plan | Pipeline) -> Iterator[Measured]:
        """The inferences among the items, of the network that `plan` placed."""
        for item in self.items:
            if not isinstance(item, int):
                yield from measured_runs(item, as_pipeline(plan))

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
                raise HillockError(
                    f"the compiled gateware stopped with status {done.returncode}: {done.stderr.strip()}"
                )
            words = np.fromfile(got, "<u4").astype(np.uint32)
        items: list[int | NDArray[np.uint32]] = []
        at = 0
        for kind in stimulus.kinds:
            if kind == "read":
                items.append(int(words[at]))
                at += 1
            else:
                end = at + 1 + int(words[at])
                items.append(words[at + 1 : end])
                at = end
        return Results(items, int(words[at]) | int(words[at + 1]) << 32)


def build(verilog: str, configs: CoreConfig | Sequence[CoreConfig], folder: Path, *, waves: bool = False) -> Harness:
    """Compile `verilog` (module `accelerator`, with trace ports) into `folder`/<digest>.

    What is there already is used again. `configs` are those of its cores.
    """
    cores = [configs] if isinstance(configs, CoreConfig) else list(configs)
    listed = " ".join(f"X({number}, {core.lanes}, {core.potential_bits})" for number, core in enumerate(cores))
    # Registers that take both edges make one evaluation of a cycle, where a clock that rises and falls needs two. For
    # waves it stays the clock that people know.
    written = {
        "accelerator.v": verilog if waves else verilog.replace("@(posedge clk)", "@(edge clk)"),
        "cores.h": f"// number, lanes and potential bits of each core\n#define CORES(X) {listed}\n",
    }
    flags = (*WAIVED, *(["--trace-vcd"] if waves else []))
    program = compiled(
        "harness",
        top="accelerator",
        what="the gateware",
        written=written,
        sources=[_SOURCE],
        folder=folder,
        flags=flags,
    )
    return Harness(program)
