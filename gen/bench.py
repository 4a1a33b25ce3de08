"""Measures the core on 784-128-10: cycles and lane utilization against input density and lanes, and our own speed."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from hillock.hw.problems import HillockError
from hillock.sim import golden, harness
from hillock.sim.batch import run_batch
from hillock.sim.compare import compare
from hillock.sim.network import INPUT, Connection, Dense, Layer, Network
from hillock.sim.timing import time_inference

from .image import bus_writes, encode, image_writes
from .mapping import fit, place
from .verilog import core_verilog

__all__ = ["DENSITIES", "LANES", "bench_network", "bench_table", "random_events", "run_bench"]

LANES = (8, 16, 32, 64, 128)
DENSITIES = (0.02, 0.13, 0.25, 0.5, 1.0)
INFERENCES = 4
SEED = 2026
IMAGES_PLAIN, IMAGES_FAST = 20, 2000

PEER = {
    "name": "Spiker+ 2.0.3",
    "lanes": 138,
    "density": "any",
    "cycles_per_image": 23641,
    "source": "its generated VHDL, run in GHDL 2.0.0 by the hillock team in November 2026; quoted, not run here",
}
"""The same network and T on the closest peer, which steps over every input whether it is silent or not."""


def bench_network(*, encoder: bool = False) -> Network:
    """784-128-10 with weights drawn from a fixed seed, T = 25; with `encoder`, behind a rate encoder on the core.

    Without a leak the firing rate follows the mean of the weights: the thresholds are such that the hidden layer fires
    in 10 % of the timesteps at an input density of 13 %.
    """
    rng = np.random.default_rng(SEED)
    hidden, output = rng.integers(-90, 111, (784, 128)), rng.integers(-90, 111, (128, 10))
    threshold = round(0.13 * 784 * hidden.mean() / 0.10)
    first = Layer(name="encoder", neurons=784, threshold=255, reset_amount=255, preload=128, current_from_image=True)
    layers = (
        Layer(
            name="hidden",
            neurons=128,
            threshold=threshold,
            reset_amount=threshold,
            preload=threshold // 2,
            connections=(Connection("encoder" if encoder else INPUT, Dense(hidden)),),
        ),
        Layer(
            name="output",
            neurons=10,
            threshold=1000,
            reset_amount=1000,
            preload=500,
            connections=(Connection("hidden", Dense(output)),),
        ),
    )
    return Network(
        name="784-128-10",
        inputs=784,
        layers=(first, *layers) if encoder else layers,
        weight_bits=8,
        potential_bits=20,
        fraction_bits=0,
        timesteps=25,
    )


def random_events(rng: np.random.Generator, density: float, network: Network) -> list[list[int]]:
    """Every input fires in every timestep with a chance of `density`: rate coding with independent spikes."""
    return [np.flatnonzero(rng.random(network.inputs) < density).tolist() for _ in range(network.timesteps)]


def run_bench(
    folder: Path,
    *,
    lanes: tuple[int, ...] = LANES,
    step: Callable[[str, int], Callable[[int], None]] = lambda text, total: lambda done: None,
    densities: tuple[float, ...] = DENSITIES,
) -> dict[str, Any]:
    """Measure, write `folder`/summary.json, and return what is in it. Every inference is compared as in `make sim`."""
    network, encoded = bench_network(), bench_network(encoder=True)
    rows: list[dict[str, Any]] = []
    speeds: list[dict[str, Any]] = []
    for count in lanes:
        config = fit(encoded, count)
        done = step(f"{count} lanes: gateware", 1)
        program = harness.build(core_verilog(config), config, folder.parent / "verilator")
        done(1)
        done = step(f"{count} lanes: inferences", len(densities) + 1)
        cycles, seconds = 0, 0.0
        for density in densities:
            rng = np.random.default_rng(SEED)
            given: list[dict[str, Any]] = [{"events": random_events(rng, density, network)} for _ in range(INFERENCES)]
            row, simulated, took = _measure(network, count, program, config, given)
            rows.append({"name": network.name, "lanes": count, "density": density, **row})
            cycles, seconds = cycles + simulated, seconds + took
            done(1)
        pixels = np.random.default_rng(SEED).integers(0, 67, (INFERENCES, 784))
        row, _, _ = _measure(encoded, count, program, config, [{"image": image} for image in pixels])
        rows.append({"name": "784-128-10 behind the rate encoder", "lanes": count, "density": 0.13, **row})
        speeds.append({"lanes": count, "simulated_cycles_per_second": round(cycles / seconds)})
        done(1)

    done = step("golden model", 2)
    images = np.random.default_rng(SEED).integers(0, 67, (IMAGES_FAST, 784))
    began = time.perf_counter()
    for image in images[:IMAGES_PLAIN]:
        golden.run(encoded, image=image)
    plain = IMAGES_PLAIN / (time.perf_counter() - began)
    done(1)
    began = time.perf_counter()
    run_batch(encoded, images)
    fast = IMAGES_FAST / (time.perf_counter() - began)
    done(1)

    result = {
        "network": network.name,
        "timesteps": network.timesteps,
        "inferences_per_row": INFERENCES,
        "rows": rows,
        "simulation": speeds,
        "golden_images_per_second_plain": round(plain, 1),
        "golden_images_per_second_fast": round(fast, 1),
        "peer": PEER,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


def _measure(
    network: Network, lanes: int, program: harness.Harness, config: Any, given: list[dict[str, Any]]
) -> tuple[dict[str, Any], int, float]:
    """(figures, simulated cycles, seconds) of some inferences, each held against the golden model."""
    stimulus = harness.Stimulus()
    stimulus.write(bus_writes(encode(place(network, config)), config))
    for one in given:
        if "image" in one:
            stimulus.write(image_writes(one["image"], config))
            stimulus.run_image()
        else:
            stimulus.run_events(harness.tokens(one["events"]))
    began = time.perf_counter()
    results = program.run(stimulus)
    seconds = time.perf_counter() - began
    cycles = sop = spikes = inputs = 0
    for one, measured in zip(given, results.runs(network, config), strict=True):
        trace = golden.run(network, **one)
        comparison = compare(network, trace, measured, time_inference(network, trace, lanes))
        if not comparison.equal:
            raise HillockError(f"{network.name} on {lanes} lanes differs from the golden model: {comparison.first}")
        cycles += measured.decision_cycle
        sop += trace.sop
        hidden = trace.layers[-2].spikes
        spikes += int(hidden.sum())
        inputs += hidden.size
    count = len(given)
    figures = {
        "cycles_per_image": cycles / count,
        "sop_per_image": sop / count,
        "lane_utilization": round(sop / (lanes * cycles), 4),
        "hidden_activity": round(spikes / inputs, 4),
    }
    return figures, results.cycles, seconds


def bench_table(result: dict[str, Any]) -> list[Table]:
    """The figures as tables for a terminal of 80 columns."""
    cycles = Table(title=f"{result['network']}, T = {result['timesteps']}: cycles per image, and lane utilization")
    cycles.add_column("lanes", justify="right")
    events = [row for row in result["rows"] if row["name"] == result["network"]]
    densities = sorted({row["density"] for row in events})
    for density in densities:
        cycles.add_column(f"{density:.0%}", justify="right")
    cycles.add_column("13 %, encoder", justify="right")
    for lanes in sorted({row["lanes"] for row in events}):
        mine = {(row["name"], row["density"]): row for row in result["rows"] if row["lanes"] == lanes}
        encoded = next(row for (name, _), row in mine.items() if name != result["network"])
        shown = [*(mine[result["network"], density] for density in densities), encoded]
        cycles.add_row(str(lanes), *(f"{row['cycles_per_image']:,.0f}\n{row['lane_utilization']:.3f}" for row in shown))
    peer = result["peer"]
    cycles.add_section()
    cycles.add_row(str(peer["lanes"]), f"{peer['cycles_per_image']:,}", *["same"] * (len(densities) - 1), "")
    cycles.caption = f"Last row: {peer['name']} ({peer['source']})."

    speed = Table(title="speed on this machine")
    speed.add_column("what")
    speed.add_column("per second", justify="right")
    for row in result["simulation"]:
        speed.add_row(f"simulated cycles, {row['lanes']} lanes", f"{row['simulated_cycles_per_second']:,}")
    speed.add_row("golden model, images, plain", f"{result['golden_images_per_second_plain']:,}")
    speed.add_row("golden model, images, fast", f"{result['golden_images_per_second_fast']:,}")
    return [cycles, speed]
