"""Runs the cocotb benches of the core with Verilator, and checks that they compared what they should have."""

import json
from pathlib import Path

import pytest
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from hillock.gen.verilog import core_verilog
from hillock.hw.config import CoreConfig
from hillock.sim.tool import find_verilator

BUILD = Path(__file__).resolve().parents[2] / "build" / "cocotb"
SMALL = {"max_layers": 4, "max_neurons": 24, "classes": 24, "potential_words": 96, "synapse_words": 2400}
CONFIGS = [
    CoreConfig(lanes=4, **SMALL),
    CoreConfig(lanes=1, weight_bits=4, potential_bits=12, fraction_bits=2, current_bits=10, **SMALL),
    CoreConfig(lanes=3, weight_bits=5, potential_bits=13, fraction_bits=3, current_bits=13, leak_shift_bits=2, **SMALL),
    CoreConfig(lanes=16, weight_bits=16, potential_bits=32, fraction_bits=8, current_bits=32, **SMALL),
    CoreConfig(lanes=2, weight_bits=8, potential_bits=20, input_queue=4, **SMALL),
]
NETWORKS = 40
"""Random networks for each configuration: 200 in all."""


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.lanes}_lanes")
def test_core_equals_golden_model(config, seed, monkeypatch):
    tool = find_verilator()
    folder = BUILD / f"{config.lanes}_lanes"
    folder.mkdir(parents=True, exist_ok=True)
    source, answer, job = folder / "core.v", folder / "answer.json", folder / "job.json"
    source.write_text(core_verilog(config))
    answer.unlink(missing_ok=True)
    seeds = [seed + 1000 * config.lanes + n for n in range(NETWORKS)]
    job.write_text(json.dumps({"config": config.as_dict(), "seeds": seeds, "answer": str(answer)}))

    monkeypatch.setenv("PATH", tool.environment()["PATH"])
    monkeypatch.setenv("HILLOCK_BENCH", str(job))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))  # the runner hands our path on to the simulator
    runner = get_runner("verilator")
    runner.build(
        sources=[source],
        hdl_toplevel="core",
        build_dir=folder / "sim",
        always=True,
        build_args=["-O3", "-Wno-fatal", "-Wno-lint", "--output-split", "0"],
    )
    results = runner.test(
        hdl_toplevel="core", test_module="bench_core", test_dir=folder, results_xml=str(folder / "results.xml")
    )
    ran, failed = get_results(results)
    assert (ran, failed) == (4, 0)

    compared = json.loads(answer.read_text())
    assert compared["inferences"] == 2 * NETWORKS
    assert compared["spikes_compared"] > 1000
    assert compared["potentials_compared"] == compared["spikes_compared"]
    assert compared["cycles_compared"] > 10 * NETWORKS
