"""When everything leaves the accelerator, to the clock cycle: `docs/cycles.md` in NumPy.

What is on that page is written here, in `core_clock` and in `token_stream` and not taken from the gateware, and the
regression compares the two on every run.
Cycle 0 is the one in which the first input word is accepted (for an image: the write to `control.start` acknowledged).
Input is on offer in every cycle from then on, and output is taken as soon as it is offered.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .core_clock import CoreClock, Output
from .golden import Trace
from .network import IntArray
from .plan import Pipeline, Plan, as_pipeline
from .token_stream import TokenStream

__all__ = ["Output", "Timeline", "time_inference", "time_inferences"]


@dataclass(frozen=True, eq=False)
class Timeline:
    """Cycles of one inference.

    Attributes
    ----------
    fire : array [T, layers]
        When word 0 of a layer's fire pass is at the trace port; word n follows n cycles later.
    output : list of Output
        When each output spike leaves, and the marker that closes each timestep.
    decision : int
        When the decision is available. Of the first inference, its cycles.
    busy : array [layers]
        Cycles that the walks and fire passes of each layer take, over the whole inference.
    """

    fire: IntArray
    output: list[Output]
    decision: int
    busy: IntArray


def time_inference(plan: Plan | Pipeline, trace: Trace) -> Timeline:
    """When everything happens in the inference `trace`."""
    return time_inferences(plan, [trace])[0]


def time_inferences(plan: Plan | Pipeline, traces: Sequence[Trace]) -> list[Timeline]:
    """When everything happens in inferences that follow each other at once: each is on offer before it can begin."""
    pipeline = as_pipeline(plan)
    network, plans = pipeline.network, pipeline.plans
    outside = 1  # nothing is ever held back there
    streams = [TokenStream(plan.config.input_queue, looks_ahead=not plan.config.compact) for plan in plans]
    streams.append(TokenStream(outside))
    cores = [
        CoreClock(plan, given, taken, last=plan is plans[-1])
        for plan, given, taken in zip(plans, streams[:-1], streams[1:], strict=True)
    ]
    timelines = []
    for trace in traces:
        for core, layers in zip(cores, pipeline.split(trace.layers), strict=True):
            core.load(layers)
        for step in range(network.timesteps):
            if step < len(trace.events) and not network.image_input:
                addresses = np.array([address for address, _ in trace.events[step]], np.int64)
                streams[0].give(addresses, np.zeros(len(addresses) + 1, np.int64))
            for core in cores:
                core.step(step)
        decision = cores[-1].decide()
        fire = np.concatenate([core.fire for core in cores], axis=1)
        busy = np.concatenate([core.busy for core in cores])
        timelines.append(Timeline(fire, cores[-1].output, decision, busy))
    return timelines
