"""What all shards of a verification have in common, by value, and how a worker makes it ready to run.

The worker may be another process or another machine: it builds the gateware for itself, and sees to it that it is of
the version of hillock that the run was begun with.
"""

import fcntl
import hashlib
import os
import socket
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import hillock.sim
from hillock.hw.problems import HillockError
from hillock.sim import harness, network_file
from hillock.sim.network import Network
from hillock.sim.plan import Pipeline

from .datasets import ImageArray
from .pipeline import PipelinePlacement, place_pipeline
from .simulate import inference_of, put

__all__ = ["Job", "Ready", "build", "identity_of", "make_ready", "place_cores"]


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
    score: Literal["accuracy", "mse"] | None
    cache: Path | None


@dataclass(frozen=True, eq=False)
class Ready:
    """A job, made ready to run in this process."""

    placement: PipelinePlacement
    program: harness.Harness

    @property
    def network(self) -> Network:
        """What is run, on all cores together."""
        return self.placement.network

    @cached_property
    def pipeline(self) -> Pipeline:
        """What the simulation must know of it."""
        return self.placement.pipeline

    @cached_property
    def _load(self) -> NDArray[np.uint32]:
        return self.placement.bus_writes()

    def stimulus(self, images: ImageArray) -> harness.Stimulus:
        """What loads the network and runs `images`, one after another."""
        stimulus = harness.Stimulus()
        stimulus.write(self._load)
        for pixels in images:
            put(stimulus, self.placement.cores[0], **inference_of(self.network, pixels.astype(np.int64)))
        return stimulus


def place_cores(network: Network, cuts: tuple[int, ...], lanes: tuple[int, ...]) -> PipelinePlacement:
    """The network on the cores of a run. An image is put in when the one before it is out: one bank is enough."""
    return place_pipeline(network, cuts, lanes, image_banks=1)


def identity_of(placement: PipelinePlacement, verilog: str) -> str:
    """sha256 over what is run and what it is held against: gateware, network, and the source of the simulation."""
    digest = hashlib.sha256(verilog.encode())
    digest.update(placement.network.digest().encode())
    digest.update(placement.bus_writes().astype("<u4").tobytes())
    simulation, here = Path(hillock.sim.__file__).parent, Path(__file__).parent
    sources = [path for path in simulation.rglob("*") if path.suffix in (".py", ".cpp", ".h")]
    for path in sorted([*sources, *here.glob("verify_*.py")], key=lambda path: (path.parent.name, path.name)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def build(job: Job, verilog: str, placement: PipelinePlacement) -> harness.Harness:
    """The compiled gateware of a run; two workers of one machine do not compile it both."""
    cache = job.cache or _user_cache() / "verilator"
    with _locked(cache / f"{job.identity[:16]}.lock"):
        return harness.build(verilog, placement.configs, cache)


@lru_cache(maxsize=1)
def make_ready(job: Job) -> Ready:
    """Unpack and build it; a `HillockError` when this is not the version of hillock that the run was begun with."""
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
    return Ready(placement, build(job, verilog, placement))


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hillock"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        yield
