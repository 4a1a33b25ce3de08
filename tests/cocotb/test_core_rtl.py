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
CHAINS = {"max_layers": 4, "max_connections": 4, "max_channels": 24, "classes": 24, "queue_words": 24,
          "potential_words": 96, "current_words": 96, "synapse_words": 2400}  # fmt: skip
GRAPHS = {"max_layers": 4, "max_connections": 8, "max_channels": 16, "max_height": 7, "max_width": 7, "classes": 24,
          "queue_words": 256, "potential_words": 2048, "current_words": 2048, "synapse_words": 16384,
          "replay_words": 1024, "row_entries": 256, "column_entries": 256, "channel_entries": 256}  # fmt: skip
CONFIGS = {
    "chains_8": CoreConfig(lanes=8, **CHAINS),
    "chains_1": CoreConfig(lanes=1, weight_bits=16, potential_bits=32, fraction_bits=8, current_bits=32,
                           input_queue=4, **CHAINS),
    "graphs_5": CoreConfig(lanes=5, columns_per_word=5, payload_bits=4, static_input=1, **GRAPHS),
    "graphs_3": CoreConfig(lanes=3, weight_bits=5, potential_bits=13, fraction_bits=3, current_bits=10,
                           leak_shift_bits=2, input_queue=4, **GRAPHS),
    "graphs_16": CoreConfig(lanes=16, potential_bits=20, **GRAPHS | {"synapse_words": 8192}),
}  # fmt: skip
KINDS = {"chains": ["dense"], "graphs": ["convolution", "dense", "transposed_convolution"]}
NETWORKS, LAYERS = 40, 4
"""Random networks for each configuration, 200 in all, and the most layers of each."""


@pytest.mark.parametrize("name", CONFIGS)
def test_core_equals_golden_model(name, seed, monkeypatch):
    config = CONFIGS[name]
    tool = find_verilator()
    folder = BUILD / name
    folder.mkdir(parents=True, exist_ok=True)
    source, answer, job = folder / "accelerator.v", folder / "answer.json", folder / "job.json"
    source.write_text(core_verilog(config))
    answer.unlink(missing_ok=True)
    seeds = [seed + 1000 * config.lanes + n for n in range(NETWORKS)]
    job.write_text(json.dumps({"config": config.as_dict(), "seeds": seeds, "layers": LAYERS, "answer": str(answer)}))

    monkeypatch.setenv("PATH", tool.environment()["PATH"])
    monkeypatch.setenv("HILLOCK_BENCH", str(job))
    for path in (Path(__file__).parent, Path(__file__).parents[1]):
        monkeypatch.syspath_prepend(str(path))  # the runner hands our path on to the simulator
    runner = get_runner("verilator")
    runner.build(
        sources=[source],
        hdl_toplevel="accelerator",
        build_dir=folder / "sim",
        always=True,
        build_args=["-O3", "-Wno-fatal", "-Wno-lint", "--output-split", "0"],
    )
    results = runner.test(
        hdl_toplevel="accelerator", test_module="bench_core", test_dir=folder, results_xml=str(folder / "results.xml")
    )
    ran, failed = get_results(results)
    assert (ran, failed) == (5, 0)

    compared = json.loads(answer.read_text())
    assert compared["inferences"] == 2 * NETWORKS
    assert compared["spikes_compared"] > 1000
    assert compared["potentials_compared"] == compared["spikes_compared"]
    assert compared["cycles_compared"] > 10 * NETWORKS
    assert compared["fired"] > 300
    assert compared["kinds"] == KINDS[name.split("_")[0]]
