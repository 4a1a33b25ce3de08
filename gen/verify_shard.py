"""What a worker of a verification does: images through the compiled gateware, all held against the golden model."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hillock.hw.problems import HillockError
from hillock.sim import golden, harness
from hillock.sim.compare import Comparison, compare
from hillock.sim.network import IntArray
from hillock.sim.plan import Pipeline
from hillock.sim.timing import time_inference

from .datasets import ImageArray
from .figures import LayerFigures, add_figures, figures_of
from .scores import Score
from .simulate import inference_of
from .verify_job import Job, Ready, make_ready

__all__ = ["Mismatch", "Shard", "ShardResult", "layer_figures", "run_shard"]


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
    ready = make_ready(shard.job)
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


def layer_figures(pipeline: Pipeline) -> list[LayerFigures]:
    """Figures of all layers, with nothing done yet."""
    return [figures for plan in pipeline.plans for figures in figures_of(plan)]


def _measure(ready: Ready, images: ImageArray) -> Iterator[harness.Measured]:
    """The images, one after another, as they come out of the gateware; a `HillockError` when one does not."""
    number = 0
    for measured in ready.program.run(ready.stimulus(images)).runs(ready.pipeline):
        number += 1
        yield measured
    if number != len(images):
        raise HillockError(f"{len(images)} images went into the gateware and {number} results came out")


def _mismatch(ready: Ready, shard: Shard, number: int | None, text: str) -> Mismatch:
    image = None if number is None else shard.first + number
    given = shard.pixels if number is None else shard.pixels[: number + 1]
    where = str(shard) if image is None else f"image {image}"
    return Mismatch(image, f"{where}: {text}", ready.stimulus(given).to_array().astype("<u4").tobytes())
