"""What a run measured: the figures of each layer and of the whole, and the one image that the report draws."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hillock.hw.config import CoreConfig
from hillock.sim.compare import Comparison
from hillock.sim.golden import Trace
from hillock.sim.layout import Layout
from hillock.sim.network import IntArray, Network
from hillock.sim.plan import Plan
from hillock.sim.timing import Timeline

from .datasets import Dataset
from .float_network import FloatArray
from .scores import Score

__all__ = ["LayerFigures", "Sample", "Simulation", "add_figures", "figures_of", "write_summary"]


@dataclass
class LayerFigures:
    """What one layer did, summed over all inferences: synaptic operations, cycles of its walks and passes, spikes."""

    name: str
    layout: Layout
    sop: int = 0
    busy_cycles: int = 0
    spikes: int = 0

    @property
    def neurons(self) -> int:
        """How many there are."""
        return self.layout.shape.neurons

    @property
    def utilization(self) -> float:
        """Of the lanes, over the cycles of this layer."""
        return self.sop / (self.layout.lanes * self.busy_cycles)

    def summary(self, inferences: int, timesteps: int) -> dict[str, Any]:
        """The figures by name, for a mean inference."""
        return {
            "name": self.name,
            "grid": str(self.layout.shape),
            "neurons": self.neurons,
            "columns_per_word": self.layout.columns,
            "channels_per_word": self.layout.channels,
            "words": self.layout.words,
            "sop_per_image": self.sop / inferences,
            "cycles_per_image": self.busy_cycles / inferences,
            "spikes_per_image": self.spikes / inferences,
            "activity": round(self.spikes / (inferences * timesteps * self.neurons), 6),
            "lane_utilization": self.utilization,
        }


def figures_of(plan: Plan) -> list[LayerFigures]:
    """Figures of every layer, with nothing done yet."""
    return [LayerFigures(layer.name, layout) for layer, layout in zip(plan.network.layers, plan.layouts, strict=True)]


def add_figures(layers: list[LayerFigures], trace: Trace, timeline: Timeline) -> None:
    """Count an inference in."""
    for figures, layer, busy in zip(layers, trace.layers, timeline.busy, strict=True):
        figures.sop += layer.sop
        figures.spikes += int(layer.spikes.sum())
        figures.busy_cycles += int(busy)


@dataclass(frozen=True, eq=False)
class Sample:
    """One image and all that was done with it. `float_image`: what the float network makes of it, where that counts."""

    pixels: IntArray
    label: int
    trace: Trace
    timeline: Timeline
    float_image: FloatArray | None = None


@dataclass
class Simulation:
    """A finished run. `sample` is the first image, which the report draws; `score` is None where there is none."""

    plan: Plan
    dataset: Dataset
    score: Score | None
    comparison: Comparison = field(default_factory=Comparison)
    layers: list[LayerFigures] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)
    simulated_cycles: int = 0
    simulation_seconds: float = 0.0
    sample: Sample | None = None

    @property
    def network(self) -> Network:
        """What was simulated."""
        return self.plan.network

    @property
    def config(self) -> CoreConfig:
        """The core that it was simulated on."""
        return self.plan.config

    @property
    def images(self) -> int:
        """How many images there were."""
        return len(self.cycles)

    @property
    def sop(self) -> int:
        """Synaptic operations of all images."""
        return sum(layer.sop for layer in self.layers)

    @property
    def utilization(self) -> float:
        """Of the lanes, over all cycles."""
        return self.sop / (self.config.lanes * sum(self.cycles))

    def summary(self) -> dict[str, object]:
        """The figures by name, as `summary.json` has them."""
        return {
            "model": self.network.name,
            "network_digest": self.network.digest(),
            "dataset": self.dataset.name,
            "images": self.images,
            "timesteps": self.network.timesteps,
            **(self.score.summary() if self.score else {}),
            **{name: value for name, value in asdict(self.comparison).items() if name != "first"},
            "first_difference": str(self.comparison.first) if self.comparison.first else None,
            "cycles_per_image": sum(self.cycles) / self.images,
            "cycles_minimum": min(self.cycles),
            "cycles_maximum": max(self.cycles),
            "sop_per_image": self.sop / self.images,
            "lanes": self.config.lanes,
            "lane_utilization": self.utilization,
            "layers": [layer.summary(self.images, self.network.timesteps) for layer in self.layers],
            "config": self.config.as_dict(),
            "simulated_cycles": self.simulated_cycles,
            "simulated_cycles_per_second": round(self.simulated_cycles / self.simulation_seconds),
        }


def write_summary(result: Simulation, folder: Path) -> Path:
    """Write `summary.json`."""
    path = folder / "summary.json"
    path.write_text(json.dumps(result.summary(), indent=2) + "\n")
    return path
