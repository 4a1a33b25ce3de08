"""What a worker of a verification does: some images through the compiled gateware, all held against the golden model.

The worker may be another process or another machine. Everything comes to it by value, and it sees to it that it is of
the version that the run was begun with.
"""

import fcntl
import hashlib
import os
import socket
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hillock.sim
from hillock.hw.problems import HillockError
from hillock.sim import golden, harness, network_file
from hillock.sim.compare import Comparison, compare
from hillock.sim.network import IntArray, Network
from hillock.sim.plan import Pipeline
from hillock.sim.timing import time_inference

from .datasets import ImageArray
from .figures import LayerFigures, add_figures, figures_of
from .pipeline import PipelinePlacement, place_pipeline
from .scores import Score
from .simulate import inference_of, put

__all__ = [
    "Job",
    "Mismatch",
    "Shard",
    "ShardResult",
    "build",
    "identity_of",
    "layer_figures",
    "place_cores",
    "run_shard",
]


@dataclass(frozen=True)
class Job:
    """What all shards of a run have in common.

    Attributes
    ----------
    network : bytes
        A network file.
    cuts, lanes : tuple of int
        As `place_pipeline` takes them.
    verilog : bytes
        Of the gateware, compressed by zlib.
    identity : str
        What `identity_of` must give where the work is done.
    score : str or None
        The name of a `Score`.
    cache : Path or None
        Where the gateware is compiled; None: in the cache of the user that the worker belongs to.
    """

    network: bytes
    cuts: tuple[int, ...]
    lanes: tuple[int, ...]
    verilog: bytes
    identity: str
    score: Any
    cache: Path | None


@dataclass(frozen=True, eq=False)
class Shard:
    """Images to run, of which the first has the number `first` in its dataset; `pixels[image, pixel]`."""

    job: Job
    first: int
    pixels: ImageArray
    labels: IntArray

    def __str__(self) -> str:
        return f"images {self.first} to {self.first + len(self.pixels) - 1}"


@dataclass(frozen=True)
class Mismatch:
    """The first difference in a shard.

    `image` is None when the gateware gave up on the way; `text` says where and what. `stimulus` is what the compiled
    program was given, up to and with that image: run again, it shows the same.
    """

    image: int | None
    text: str
    stimulus: bytes


@dataclass
class ShardResult:
    """What was compared and measured: `cycles` of each image, and sums over the images.

    `sop`, `busy_cycles` and `spikes` are of each layer; `score` sums what `Score` does; `differing` counts images.
    """

    first: int
    cycles: list[int] = field(default_factory=list)
    comparison: Comparison = field(default_factory=Comparison)
    sop: list[int] = field(default_factory=list)
    busy_cycles: list[int] = field(default_factory=list)
    spikes: list[int] = field(default_factory=list)
    score: float = 0.0
    differing: int = 0
    mismatch: Mismatch | None = None

    def as_dict(self) -> dict[str, Any]:
        """Of a shard without a mismatch, for a file."""
        return {name: value for name, value in asdict(self).items() if name not in ("differing", "mismatch")}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ShardResult":
        """The inverse of `as_dict`; KeyError or TypeError for anything else."""
        return cls(**{**values, "comparison": Comparison(**values["comparison"])})


def run_shard(shard: Shard) -> ShardResult:
    """Run all images of a shard, and compare everything. A gateware that gives up is a mismatch too."""
    ready = _ready(shard.job)
    result, layers = ShardResult(shard.first), layer_figures(ready.pipeline)
    score = Score(shard.job.score, np.zeros(ready.network.timesteps), None) if shard.job.score else None
    try:
        for number, measured in enumerate(_measure(ready, shard.pixels)):
            pixels = shard.pixels[number].astype(np.int64)
            trace = golden.run(ready.network, **inference_of(ready.network, pixels))
            timeline = time_inference(ready.pipeline, trace)
            found = compare(ready.pipeline, trace, measured, timeline)
            result.comparison.add(found)
            result.cycles.append(measured.decision_cycle)
            add_figures(layers, trace, timeline)
            if score:
                counts = measured.spikes[-1][ready.network.delay :].sum(axis=0)
                label = int(shard.labels[number])
                score.add(ready.network, trace, pixels, label, decision=measured.decision, counts=counts)
            if not found.equal:
                result.differing += 1
                what = str(found.first or "nothing was compared")
                result.mismatch = result.mismatch or _mismatch(ready, shard, number, what)
    except HillockError as error:
        result.differing = max(1, result.differing)
        result.mismatch = result.mismatch or _mismatch(ready, shard, None, str(error))
    result.sop = [layer.sop for layer in layers]
    result.busy_cycles = [layer.busy_cycles for layer in layers]
    result.spikes = [layer.spikes for layer in layers]
    result.score = float(score.total_at[-1]) if score else 0.0
    return result


def place_cores(network: Network, cuts: tuple[int, ...], lanes: tuple[int, ...]) -> PipelinePlacement:
    """The network on the cores of a run. An image is put in when the one before it is out: one bank is enough."""
    return place_pipeline(network, cuts, lanes, image_banks=1)


def layer_figures(pipeline: Pipeline) -> list[LayerFigures]:
    """Figures of all layers, with nothing done yet."""
    return [figures for plan in pipeline.plans for figures in figures_of(plan)]


def identity_of(placement: PipelinePlacement, verilog: str) -> str:
    """sha256 over what is run and what it is held against: gateware, network, and the source of the simulation."""
    digest = hashlib.sha256(verilog.encode())
    digest.update(placement.network.digest().encode())
    digest.update(placement.bus_writes().astype("<u4").tobytes())
    folder = Path(hillock.sim.__file__).parent
    for path in [*sorted(folder.rglob("*.py")), *sorted(folder.rglob("*.cpp")), Path(__file__)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def build(job: Job, verilog: str, placement: PipelinePlacement) -> harness.Harness:
    """The compiled gateware of a run; two workers of one machine do not compile it both."""
    cache = job.cache or _user_cache() / "verilator"
    with _locked(cache / f"{job.identity[:16]}.lock"):
        return harness.build(verilog, placement.configs, cache)


@dataclass(frozen=True, eq=False)
class _Ready:
    """A job, made ready to run in this process."""

    placement: PipelinePlacement
    program: harness.Harness

    @property
    def network(self) -> Network:
        return self.placement.network

    @cached_property
    def pipeline(self) -> Pipeline:
        return self.placement.pipeline

    @cached_property
    def load(self) -> NDArray[np.uint32]:
        return self.placement.bus_writes()

    def stimulus(self, images: ImageArray) -> harness.Stimulus:
        """What loads the network and runs `images`, one after another."""
        stimulus = harness.Stimulus()
        stimulus.write(self.load)
        for pixels in images:
            put(stimulus, self.placement.cores[0], **inference_of(self.network, pixels.astype(np.int64)))
        return stimulus


@lru_cache(maxsize=1)
def _ready(job: Job) -> _Ready:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.hlk"
        path.write_bytes(job.network)
        network = network_file.load(path)
    placement, verilog = place_cores(network, job.cuts, job.lanes), zlib.decompress(job.verilog).decode()
    found = identity_of(placement, verilog)
    if found != job.identity:
        raise HillockError(
            f"the worker on {socket.gethostname()} has another version of hillock (identity {found[:12]}, not "
            f"{job.identity[:12]}): install the same there, and start the worker again"
        )
    return _Ready(placement, build(job, verilog, placement))


def _measure(ready: _Ready, images: ImageArray) -> Iterator[harness.Measured]:
    """The images, one after another, as they come out of the gateware; a `HillockError` when one does not."""
    number = 0
    for measured in ready.program.run(ready.stimulus(images)).runs(ready.pipeline):
        number += 1
        yield measured
    if number != len(images):
        raise HillockError(f"{len(images)} images went into the gateware and {number} results came out")


def _mismatch(ready: _Ready, shard: Shard, number: int | None, text: str) -> Mismatch:
    image = None if number is None else shard.first + number
    given = shard.pixels if number is None else shard.pixels[: number + 1]
    where = str(shard) if image is None else f"image {image}"
    return Mismatch(image, f"{where}: {text}", ready.stimulus(given).to_array().astype("<u4").tobytes())


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hillock"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        yield
