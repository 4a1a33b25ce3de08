"""Verification: a whole test set through the compiled gateware, everything compared, in shards that outlive the run.

Each shard that is done is a file in the folder of the run, and a run that was interrupted goes on with the others. The
name of the folder has the digest of all that the result depends on: another network, core, dataset or version of the
simulation begins anew.
"""

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hillock.hw.problems import HillockError
from hillock.sim import network_file
from hillock.sim.archive import write_file
from hillock.sim.compare import Comparison
from hillock.sim.network import Network

from .datasets import Dataset
from .figures import LayerFigures
from .pipeline import PipelinePlacement, cut_indices
from .scores import score_of
from .shards import cut, run_shards
from .simulate import Step, check_images, in_silence
from .verify_job import Job, build, identity_of, place_cores
from .verify_shard import Mismatch, Shard, ShardResult, layer_figures, run_shard
from .verilog import accelerator_verilog
from .workers import Workers

__all__ = ["SHARD", "Count", "Verification", "verify"]

SHARD = 25
"""Images in a shard: what a lost worker costs, and how often the progress bar moves."""

Count = Callable[[int, int, int], None]
"""Called with the numbers of images that are done, that there are, and that differ."""


@dataclass(frozen=True, eq=False)
class Verification:
    """A finished run. `folder` has its shards; `first_mismatch` is that with the lowest image."""

    placement: PipelinePlacement
    dataset: Dataset
    gateware_digest: str
    folder: Path
    images: int
    comparison: Comparison
    layers: list[LayerFigures]
    cycles: list[int]
    score: tuple[str, float] | None
    differing: int = 0
    first_mismatch: Mismatch | None = field(default=None)

    @property
    def equal(self) -> bool:
        """Whether every image was compared, and nothing differed."""
        return self.comparison.equal and self.comparison.inferences == self.images and self.first_mismatch is None

    @property
    def difference(self) -> str:
        """What differs, and where what repeats it is kept; "" when nothing does."""
        if self.first_mismatch is None:
            return "" if self.equal else "not everything was compared"
        return f"{self.first_mismatch.text} (kept in {self.folder / 'mismatches'})"

    @property
    def lanes(self) -> int:
        """Of all cores."""
        return self.placement.pipeline.lanes

    @property
    def utilization(self) -> float:
        """Of the lanes, over all cycles of all images."""
        return sum(layer.sop for layer in self.layers) / (self.lanes * sum(self.cycles))


def verify(
    network: Network,
    dataset: Dataset,
    workers: Workers,
    *,
    lanes: Sequence[int] = (16,),
    cuts: Sequence[str] = (),
    images: int | None = None,
    folder: Path = Path("build/verify"),
    cache: Path = Path("build/verilator"),
    shard: int = SHARD,
    anew: bool = False,
    step: Step = in_silence,
    count: Count = lambda done, images, differing: None,
) -> Verification:
    """Run the held-out images of `dataset` through the gateware of `network`, and compare everything.

    Parameters
    ----------
    lanes, cuts
        Lanes of each core, and the layers with which the second and later cores begin.
    images : int, optional
        Only the first so many.
    folder, cache : Path
        Where the folder of the run is made, and where the gateware is compiled for `workers` of this machine.
    shard : int
        Images in a shard.
    anew : bool
        Do the finished shards of an earlier run again.
    """
    number = len(dataset.test_images) if images is None else images
    check_images(network, dataset, number)
    if shard < 1:
        raise HillockError(f"a shard must have at least 1 image, not {shard}")
    indices = tuple(cut_indices(network, cuts, lanes))
    placement = place_cores(network, indices, tuple(lanes))
    done = step("gateware (Amaranth to Verilog)", 1)
    verilog = accelerator_verilog(placement.configs)
    done(1)

    run = _Run(network, dataset, placement, verilog, folder, anew)
    job = run.job(indices, tuple(lanes), cache if workers.local else None)
    if workers.local:  # or else each of them would wait for the first to have done it
        done = step("compiled gateware (Verilator)", 1)
        build(job, verilog, placement)
        done(1)
    finished, left = run.resume(cut(number, shard), job)
    count(sum(len(result.cycles) for result in finished), number, 0)
    for one, result in run_shards(run_shard, left, workers):
        finished.append(result)
        run.keep(one, result)
        count(sum(len(result.cycles) for result in finished), number, sum(result.differing for result in finished))
    return run.total(finished, number)


class _Run:
    """The folder of a run, and what is in it."""

    def __init__(
        self, network: Network, dataset: Dataset, placement: PipelinePlacement, verilog: str, folder: Path, anew: bool
    ):
        self.network, self.dataset, self.placement = network, dataset, placement
        self.verilog, self.identity = verilog, identity_of(placement, verilog)
        self.gateware = hashlib.sha256(verilog.encode()).hexdigest()
        score = score_of(network, dataset, None, None)
        self.score = score.name if score else None
        digest = hashlib.sha256(f"{self.identity} {dataset.digest}".encode()).hexdigest()
        self.folder = folder / f"{network.name}-{digest[:12]}"
        if anew:
            shutil.rmtree(self.folder / "shards", ignore_errors=True)
        shutil.rmtree(self.folder / "mismatches", ignore_errors=True)  # what differed is done again
        network_file.save(network, self.folder / "network.hlk")
        write_file(self.folder / "accelerator.v", verilog.encode())
        about = {
            "network_digest": network.digest(),
            "gateware_digest": self.gateware,
            "dataset_digest": dataset.digest,
            "configs": [config.as_dict() for config in placement.configs],
        }
        _write_json(self.folder / "run.json", about)

    def job(self, cuts: tuple[int, ...], lanes: tuple[int, ...], cache: Path | None) -> Job:
        """What all shards have in common."""
        content, verilog = (self.folder / "network.hlk").read_bytes(), zlib.compress(self.verilog.encode())
        return Job(content, cuts, lanes, verilog, self.identity, self.score, cache)

    def resume(self, ranges: list[range], job: Job) -> tuple[list[ShardResult], list[Shard]]:
        """(results of the shards that are done, the other shards)."""
        finished, left = [], []
        for some in ranges:
            part = slice(some.start, some.stop)
            shard = Shard(job, some.start, self.dataset.test_images[part], self.dataset.test_labels[part])
            result = self._finished(shard)
            if result is None:
                left.append(shard)
            else:
                finished.append(result)
        return finished, left

    def keep(self, shard: Shard, result: ShardResult) -> None:
        """Write a shard that was done; of one with a mismatch, what repeats it."""
        mismatch = result.mismatch
        if mismatch is None:
            _write_json(self._path(shard), result.as_dict())
            return
        name = f"images-{shard.first:05}" if mismatch.image is None else f"image-{mismatch.image:05}"
        write_file(self.folder / "mismatches" / name / "stimulus.bin", mismatch.stimulus)
        about = {"image": mismatch.image, "first_image_of_the_stimulus": shard.first, "difference": mismatch.text}
        _write_json(self.folder / "mismatches" / name / "difference.json", about)

    def total(self, results: list[ShardResult], images: int) -> Verification:
        """All shards together."""
        comparison, layers = Comparison(), layer_figures(self.placement.pipeline)
        results = sorted(results, key=lambda result: result.first)
        for result in results:
            comparison.add(result.comparison)
            for at, layer in enumerate(layers):
                layer.sop += result.sop[at]
                layer.busy_cycles += result.busy_cycles[at]
                layer.spikes += result.spikes[at]
        return Verification(
            self.placement,
            self.dataset,
            self.gateware,
            self.folder,
            images,
            comparison,
            layers,
            [cycles for result in results for cycles in result.cycles],
            (self.score, sum(result.score for result in results) / images) if self.score else None,
            sum(result.differing for result in results),
            next((result.mismatch for result in results if result.mismatch), None),
        )

    def _path(self, shard: Shard) -> Path:
        return self.folder / "shards" / f"{shard.first:05}-{shard.first + len(shard.pixels) - 1:05}.json"

    def _finished(self, shard: Shard) -> ShardResult | None:
        """What an earlier run wrote; nothing when it is not there, or not what was written."""
        try:
            result = ShardResult.from_dict(json.loads(self._path(shard).read_text()))
            whole = result.comparison.equal and len(result.cycles) == result.comparison.inferences == len(shard.pixels)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return result if whole else None


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_file(path, (json.dumps(values, indent=1) + "\n").encode())
