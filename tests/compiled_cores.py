"""Compiled cores of `random_cores`, built once for all tests, and a run of random networks on one of them."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hillock.gen.image import bus_writes, encode
from hillock.gen.mapping import Placement
from hillock.gen.simulate import put
from hillock.gen.verilog import core_verilog
from hillock.sim import golden, harness
from hillock.sim.harness import Harness, Measured, Results, Stimulus
from hillock.sim.plan import Plan
from random_cores import CORES, random_placement
from random_networks import random_input

__all__ = ["BUILD", "busy_placement", "compiled", "load", "measured", "put"]

BUILD = Path(__file__).resolve().parents[1] / "build" / "test-harness"


@cache
def compiled(name: str) -> Harness:
    """The program of one of `CORES`."""
    return harness.build(core_verilog(CORES[name]), CORES[name], BUILD)


def load(stimulus: Stimulus, placement: Placement) -> None:
    """Write a whole network into a core."""
    stimulus.write(bus_writes(encode(placement), placement.config))


def measured(item: Any, plan: Plan) -> list[Measured]:
    """The inferences of one item of the results."""
    return list(Results([item], 0).runs(plan))


def busy_placement(name: str, *, image: bool = False) -> tuple[Placement, dict[str, Any], golden.Trace]:
    """A chain of at least two layers with spikes at its output: where it lies, its input, and what it does."""
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        placement = random_placement(rng, CORES[name], graph=False)
        network = placement.network
        if network.image_input is image and len(network.layers) > 1 and network.timesteps > 2:
            given = random_input(rng, network)
            trace = golden.run(network, **given)
            if trace.layers[-1].spikes.any():
                return placement, given, trace
    raise AssertionError("no network is busy")
