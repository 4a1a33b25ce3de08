"""Runs of many images through a network, kept in parts: one that was interrupted goes on, one that is done is read."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from hillock.gen.byte_product import byte_product
from hillock.gen.datasets import ImageArray
from hillock.gen.float_network import FloatArray
from hillock.gen.latency import output_counts
from hillock.sim.archive import write_file
from hillock.sim.batch import run_batch
from hillock.sim.network import IntArray, Network

__all__ = ["Run", "run_images"]

_PART = 100
"""Images in a part: what an interruption costs."""

_FORMAT = 1
"""Of a part, and of what the golden model makes of a network: with another one, all is run again."""


@dataclass(frozen=True, eq=False)
class Run:
    """What a network without delay did with some images.

    `output` [image, t, byte] has the spikes of the last layer (`BatchResult.output`); `sop_at` [t, layer] are the
    synaptic operations, and `spikes_at` [t, layer] the spikes, of the mean image in each timestep.
    """

    network: Network
    output: NDArray[np.uint8]
    sop_at: FloatArray
    spikes_at: FloatArray

    @cached_property
    def decisions_at(self) -> IntArray:
        """What would be decided, by count, if each timestep were the last, [image, t]."""
        decisions = np.empty(self.output.shape[:2], np.int64)
        for start in range(0, len(decisions), _PART):
            some = slice(start, start + _PART)
            decisions[some] = output_counts(self.output[some], self.network.layers[-1].neurons)[:, 1:].argmax(axis=2)
        return decisions

    def operations_until(self, timestep: int) -> float:
        """Synaptic operations of the mean image in the timesteps 1..`timestep`."""
        return float(self.sop_at[:timestep].sum())


def run_images(
    network: Network, images: ImageArray, cache: Path, progress: Callable[[int], None] = lambda done: None
) -> Run:
    """Run `images` through `network`; `progress` is told of images done since it was last told.

    A part is a file in `cache`, in a folder named after the digests of the network and of the images before it, so that
    a run of more images takes up the parts of one of fewer.
    """
    folder = cache / "runs" / f"{network.digest()[:16]}-{_FORMAT}"
    outputs, sop, spikes = [], [], []
    digest = hashlib.sha256()
    for start in range(0, len(images), _PART):
        some = images[start : start + _PART]
        digest.update(some.tobytes())
        path = folder / f"{start:05}-{len(some)}-{digest.hexdigest()[:16]}.npz"
        part = _read(path) or _run_part(network, some, path)
        outputs.append(part["output"])
        sop.append(part["sop_at"])
        spikes.append(part["spikes_at"])
        progress(len(some))
    return Run(
        network, np.concatenate(outputs), np.sum(sop, axis=0) / len(images), np.sum(spikes, axis=0) / len(images)
    )


def _read(path: Path) -> dict[str, NDArray[Any]] | None:
    """The arrays of a part; None where it is not there, or is none."""
    try:
        with path.open("rb") as file, np.load(file) as archive:
            return {name: archive[name] for name in ("output", "sop_at", "spikes_at")}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _run_part(network: Network, images: ImageArray, path: Path) -> dict[str, NDArray[Any]]:
    result = run_batch(network, images.astype(np.int64), product=byte_product())
    part: dict[str, NDArray[Any]] = {
        "output": result.output,
        "sop_at": result.sop_at.sum(axis=0),
        "spikes_at": result.spikes.sum(axis=0),
    }
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **part)
    write_file(path, content.getvalue())
    return part
