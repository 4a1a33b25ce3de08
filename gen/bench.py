"""Measures the core: cycles and lane utilization of 784-128-10 and of Net 1 C, and how fast we simulate."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hillock.hw.problems import HillockError
from hillock.sim import golden, harness
from hillock.sim.batch import run_batch
from hillock.sim.compare import compare
from hillock.sim.timing import time_inference

from .bench_networks import SEED, Net1, bench_network, net_1_c, random_events, random_images
from .bench_pipelines import pipeline_rows
from .figures import add_figures, figures_of
from .image import bus_writes, encode
from .mapping import Placement, fit, place
from .simulate import BATCH, Step, in_silence, put
from .verilog import core_verilog

__all__ = ["DENSITIES", "IMAGES", "LANES", "NET_1_LANES", "run_bench"]

LANES = (8, 16, 32, 64, 128)
NET_1_LANES = (10, 16, 20)
DENSITIES = (0.02, 0.13, 0.25, 0.5, 1.0)
INFERENCES = 4
IMAGES = 4
"""Images of Net 1 C."""

STREAMED = 50
"""Inferences of 784-128-10 through a pipeline."""

IMAGES_PLAIN, IMAGES_FAST = 20, 2000

PEER = {
    "name": "Spiker+ 2.0.3",
    "lanes": 138,
    "density": "any",
    "cycles_per_image": 23641,
    "source": "its generated VHDL, run in GHDL 2.0.0 by the hillock team in November 2026; quoted, not run here",
}
"""The same network and T on the closest peer, which steps over every input whether it is silent or not."""


def run_bench(
    folder: Path,
    *,
    lanes: Sequence[int] = LANES,
    net_1_lanes: Sequence[int] = NET_1_LANES,
    images: int = IMAGES,
    inferences: int = STREAMED,
    densities: Sequence[float] = DENSITIES,
    step: Step = in_silence,
) -> dict[str, Any]:
    """Measure, write `folder`/summary.json, and return what is in it. Every inference is compared as in `make sim`.

    `lanes` are those of the cores that run 784-128-10, `net_1_lanes` of those that run `images` images of Net 1 C.
    `inferences` of 784-128-10 follow each other at once through a pipeline.
    """
    cache = folder.parent / "verilator"
    network = bench_network()
    net = net_1_c(max(2, images))
    rows, speeds = _dense_rows(lanes, densities, cache, step)
    result = {
        "network": network.name,
        "timesteps": network.timesteps,
        "inferences_per_row": INFERENCES,
        "rows": rows,
        "net_1": _net_1_rows(net, net_1_lanes, cache, step),
        "pipelines": pipeline_rows(net, max(2, inferences), cache, step),
        "simulation": speeds,
        **_golden_speeds(step),
        "peer": PEER,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


def _dense_rows(
    lanes: Sequence[int], densities: Sequence[float], cache: Path, step: Step
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(rows of 784-128-10, speeds of the simulation)."""
    network, encoded = bench_network(), bench_network(encoder=True)
    rows: list[dict[str, Any]] = []
    speeds: list[dict[str, Any]] = []
    for count in lanes:
        config = fit(encoded, count)
        done = step(f"784-128-10, {count} lanes: gateware", 1)
        program = harness.build(core_verilog(config), config, cache)
        done(1)
        done = step(f"784-128-10, {count} lanes: inferences", len(densities) + 1)
        cycles, seconds = 0, 0.0
        for density in densities:
            rng = np.random.default_rng(SEED)
            given: list[dict[str, Any]] = [{"events": random_events(rng, density, network)} for _ in range(INFERENCES)]
            row = _measure(place(network, config), program, given)
            rows.append({"name": network.name, "lanes": count, "density": density, **row})
            cycles, seconds = cycles + row["simulated_cycles"], seconds + row["simulation_seconds"]
            done(1)
        row = _measure(place(encoded, config), program, [{"image": image} for image in random_images(INFERENCES)])
        rows.append({"name": "784-128-10 behind the rate encoder", "lanes": count, "density": 0.13, **row})
        speeds.append({"lanes": count, "simulated_cycles_per_second": round(cycles / seconds)})
        done(1)
    return rows, speeds


def _net_1_rows(net: Net1, lanes: Sequence[int], cache: Path, step: Step) -> dict[str, Any]:
    """What Net 1 C is made of, and a row for each number of lanes."""
    rows = []
    for count in lanes:
        done = step(f"Net 1 C, {count} lanes: gateware", 1)
        placement = place(net.network, fit(net.network, count))
        program = harness.build(core_verilog(placement.config), placement.config, cache)
        done(1)
        done = step(f"Net 1 C, {count} lanes: images", len(net.images))
        row = _measure(placement, program, [{"image": image} for image in net.images], done)
        rows.append({"lanes": count, **row})
    return {
        "network": net.network.name,
        "timesteps": net.network.timesteps,
        "weights": net.weights,
        "data": net.data,
        "images": len(net.images),
        "rows": rows,
    }


def _golden_speeds(step: Step) -> dict[str, float]:
    """Images per second of the golden model and of its fast form, 784-128-10 behind the encoder."""
    encoded, images = bench_network(encoder=True), random_images(IMAGES_FAST)
    done = step("golden model", 2)
    began = time.perf_counter()
    for image in images[:IMAGES_PLAIN]:
        golden.run(encoded, image=image)
    plain = IMAGES_PLAIN / (time.perf_counter() - began)
    done(1)
    began = time.perf_counter()
    run_batch(encoded, images)
    fast = IMAGES_FAST / (time.perf_counter() - began)
    done(1)
    return {"golden_images_per_second_plain": round(plain, 1), "golden_images_per_second_fast": round(fast, 1)}


def _measure(
    placement: Placement,
    program: harness.Harness,
    given: Sequence[dict[str, Any]],
    done: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """The figures of some inferences, each held against the golden model; `given`: arguments of `golden.run`."""
    network, config, plan = placement.network, placement.config, placement.plan
    layers = figures_of(plan)
    cycles: list[int] = []
    simulated, seconds = 0, 0.0
    loads = bus_writes(encode(placement), config)
    for start in range(0, len(given), BATCH):
        some = given[start : start + BATCH]
        stimulus = harness.Stimulus()
        stimulus.write(loads)
        for one in some:
            put(stimulus, placement, **one)
        began = time.perf_counter()
        results = program.run(stimulus)
        seconds += time.perf_counter() - began
        simulated += results.cycles
        for one, measured in zip(some, results.runs(plan), strict=True):
            trace = golden.run(network, **one)
            timeline = time_inference(plan, trace)
            comparison = compare(plan, trace, measured, timeline)
            if not comparison.equal:
                raise HillockError(
                    f"{network.name} on {config.lanes} lanes differs from the golden model: {comparison.first}"
                )
            add_figures(layers, trace, timeline)
            cycles.append(measured.decision_cycle)
            done(1)
    sop, count = sum(layer.sop for layer in layers), len(cycles)
    return {
        "cycles_per_image": sum(cycles) / count,
        "cycles_minimum": min(cycles),
        "cycles_maximum": max(cycles),
        "sop_per_image": sop / count,
        "lane_utilization": round(sop / (config.lanes * sum(cycles)), 4),
        "layers": [layer.summary(count, network.timesteps) for layer in layers],
        "simulated_cycles": simulated,
        "simulation_seconds": round(seconds, 3),
    }
