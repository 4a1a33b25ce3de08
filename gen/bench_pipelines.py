"""Measures pipelines: the interval between decisions when inferences follow each other at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hillock.hw.problems import HillockError
from hillock.sim import golden, harness
from hillock.sim.compare import compare
from hillock.sim.timing import time_inferences

from .bench_networks import SEED, Net1, bench_network, random_events
from .image import image_writes
from .pipeline import PipelinePlacement, place_pipeline
from .simulate import Step
from .verilog import accelerator_verilog

__all__ = ["CLOCK", "DENSE_LANES", "NET_1_CUTS", "NET_1_LANES", "pipeline_row", "pipeline_rows"]

DENSE_LANES = (128, 8)
"""784-128-10, a layer on each core."""

NET_1_CUTS, NET_1_LANES = (2, 3), (10, 50, 4)
"""Net 1 C as `hillock.gen plan net1-c --cores 2..4 --lanes 64..160 --goal efficiency` chooses it: the encoder and the
first convolution, the second convolution, the rest."""

DENSITY = 0.13
CLOCK = 100.0
"""MHz that images per second are counted with; an assumption until place and route says it."""


def pipeline_rows(net: Net1, inferences: int, cache: Path, step: Step) -> list[dict[str, Any]]:
    """A row for 784-128-10 at an input density of 13 %, and one for Net 1 C on all images of `net`."""
    dense = bench_network()
    rng = np.random.default_rng(SEED)
    events = [{"events": random_events(rng, DENSITY, dense)} for _ in range(inferences)]
    images = [{"image": image} for image in net.images]
    return [
        pipeline_row(place_pipeline(dense, [1], DENSE_LANES), events, cache, step),
        pipeline_row(place_pipeline(net.network, NET_1_CUTS, NET_1_LANES), images, cache, step),
    ]


def pipeline_row(
    placement: PipelinePlacement, given: Sequence[dict[str, Any]], cache: Path, step: Step, clock: float = CLOCK
) -> dict[str, Any]:
    """The figures of inferences streamed through a pipeline, each held against the golden model to the cycle.

    `clock` in MHz.
    """
    network, configs, pipeline = placement.network, placement.configs, placement.pipeline
    done = step(f"{network.name}, pipeline of {len(configs)} cores: gateware", 1)
    program = harness.build(accelerator_verilog(configs), configs, cache)
    done(1)
    done = step(f"{network.name}, pipeline of {len(configs)} cores: inferences", len(given))
    traces = [golden.run(network, **one) for one in given]
    stimulus = harness.Stimulus()
    stimulus.write(placement.bus_writes())
    if network.image_input:
        banks = [image_writes(one["image"], placement.cores[0], at % 2) for at, one in enumerate(given)]
        stimulus.stream_images(banks)
    else:
        stimulus.stream_events([trace.events for trace in traces], network.input, configs[0])
    measured = list(program.run(stimulus).runs(pipeline))
    for trace, got, timeline in zip(traces, measured, time_inferences(pipeline, traces), strict=True):
        comparison = compare(pipeline, trace, got, timeline)
        if not comparison.equal:
            raise HillockError(
                f"{network.name} on {len(configs)} cores differs from the golden model: {comparison.first}"
            )
        done(1)
    decisions = [got.decision_cycle for got in measured]
    interval = (decisions[-1] - decisions[0]) / (len(decisions) - 1)
    sop = sum(trace.sop for trace in traces[1:]) / (len(traces) - 1)
    return {
        "name": network.name,
        "cores": [
            {"layers": [layer.name for layer in core.network.layers], "lanes": core.config.lanes}
            for core in placement.cores
        ],
        "lanes": pipeline.lanes,
        "inferences": len(given),
        "cycles_first_image": decisions[0],
        "interval": round(interval, 1),
        "sop_per_image": round(sop, 1),
        "lane_utilization": round(sop / (pipeline.lanes * interval), 4),
        "images_per_second": round(clock * 1e6 / interval, 1),
    }
