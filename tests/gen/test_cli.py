"""The command line: what it prints where, and the exit status that scripts go by."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hillock.gen import bench, cli, models, simulate, synth, train
from hillock.gen.mapping import fit
from hillock.hw.config import CoreConfig
from hillock.sim.compare import Comparison, compare

BUILD = Path(__file__).resolve().parents[2] / "build" / "test-sim"  # as the end-to-end test, for the compiled core
KEYS = {
    "model",
    "dataset",
    "images",
    "timesteps",
    "accuracy",
    "float_accuracy",
    "spikes_compared",
    "spike_mismatches",
    "potential_mismatches",
    "cycle_mismatches",
    "cycles_per_image",
    "sop_per_image",
    "lanes",
    "lane_utilization",
    "simulated_cycles_per_second",
}


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command line in this process; returns exit status, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hillock", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        code = caught.value.code
        assert isinstance(code, int | None)
        return code or 0, captured.out, captured.err

    return call


@pytest.fixture
def defect(monkeypatch):
    """One potential that the gateware got wrong in each image."""

    def compare_wrong(plan, trace, measured, timeline):
        potentials = [values.copy() for values in measured.potentials]
        potentials[1][3, 7] += 1
        return compare(plan, trace, dataclasses.replace(measured, potentials=potentials), timeline)

    monkeypatch.setattr(simulate, "compare", compare_wrong)


# It works: status 0


def test_figures_as_json(run):
    """Standard output is JSON and nothing else; standard error is empty."""
    code, out, err = run("sim", "digits", "--images", 3, "--folder", BUILD / "cli", "--json")
    assert (code, err) == (0, "")
    figures = json.loads(out)
    assert figures.keys() >= KEYS
    assert (figures["model"], figures["dataset"], figures["images"], figures["lanes"]) == ("digits", "digits", 3, 16)
    assert figures["spikes_compared"] == 3 * 25 * (64 + 128 + 10)
    for kind in ("spike", "potential", "cycle", "result"):
        assert figures[f"{kind}_mismatches"] == 0
    assert figures["float_accuracy"] == models.load_model("digits").float_accuracy
    assert figures["simulated_cycles_per_second"] > 0
    # 3 inferences of 4,000 to 6,000 cycles: less would be too good to be true, and more a core that stands still.
    assert 4000 < figures["cycles_per_image"] < 6000
    assert 0.5 < figures["lane_utilization"] < 1
    assert json.loads((BUILD / "cli" / "summary.json").read_text()) == figures


def test_figures_as_tables(run):
    code, out, err = run("sim", "--images", 2, "--folder", BUILD / "cli")
    assert code == 0
    assert "2 images, 10,100 spikes compared, 0 mismatches" in out
    for figure in ("accuracy", "cycles", "synaptic operations", "lane utilization", "simulation speed"):
        assert figure in out
    written = [line.removeprefix("written: ") for line in out.splitlines() if line.startswith("written: ")]
    assert written
    assert written[0] == str(BUILD / "cli" / "summary.json")
    assert all(Path(path).is_file() for path in written)
    # The steps are progress: they go to standard error.
    for number, step in enumerate(("memory images", "gateware", "compiled gateware", "images through the gateware"), 1):
        assert f"[{number}] {step}" in err
        assert f"[{number}]" not in out


def test_a_model_in_a_folder_and_other_lanes(run):
    folder = models.MODELS / "digits"
    code, out, _ = run("sim", folder, "--lanes", 5, "--images", 1, "--folder", BUILD / "cli", "--json")
    assert code == 0
    assert json.loads(out)["lanes"] == 5


def test_a_network_that_gives_back_the_image(run):
    code, out, err = run("sim", "digits-autoencoder", "--images", 2, "--folder", BUILD / "cli", "--json")
    assert (code, err) == (0, "")
    figures = json.loads(out)
    assert not any("accuracy" in key for key in figures)
    about = json.loads((models.MODELS / "digits-autoencoder" / "model.json").read_text())
    assert figures["float_mse"] == about["float"]["mse"]
    assert figures["mse"] == figures["mse_at_timestep"][-1]
    assert figures["float_mse"] < figures["mse"] < 0.02
    last = figures["layers"][-1]
    assert (last["grid"], last["neurons"]) == ("8x8x1", 64)
    assert last["columns_per_word"] * last["channels_per_word"] <= 16


def test_figures_of_the_bench(run, monkeypatch, tmp_path):
    asked = {}

    def measure(folder, **options):
        asked.update(options)
        return {"network": "784-128-10"}

    monkeypatch.setattr(bench, "run_bench", measure)
    code, out, err = run("bench", "--lanes", 16, "--net-1-lanes", 10, "--net-1-lanes", 20, "--images", 7, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"network": "784-128-10"}
    assert (asked["lanes"], asked["net_1_lanes"], asked["images"]) == ([16], [10, 20], 7)
    run("bench", "--json")
    assert (asked["lanes"], asked["net_1_lanes"], asked["images"]) == (bench.LANES, bench.NET_1_LANES, bench.IMAGES)


@pytest.fixture
def synthesized(monkeypatch):
    """What `synthesize` was asked for, instead of its result: (configuration, what it is made for)."""
    asked = []

    def note(config, *, made_for, **options):
        asked.append((config, made_for))
        return SimpleNamespace(as_dict=lambda: {"made_for": made_for, "lanes": config.lanes})

    monkeypatch.setattr(synth, "synthesize", note)
    return asked


def test_cores_of_given_sizes_are_synthesized(run, synthesized):
    code, out, _ = run("synth", "--lanes", 4, "--lanes", 8, "--depth", 2048, "--json")
    assert code == 0
    assert json.loads(out) == [{"made_for": "any", "lanes": 4}, {"made_for": "any", "lanes": 8}]
    assert synthesized[1][0] == CoreConfig(lanes=8, synapse_words=2048)
    synthesized.clear()
    run("synth", "--json")
    assert synthesized == [(CoreConfig(lanes=16, synapse_words=1024, potential_bits=16), "any")]
    assert not synthesized[0][0].tables


def test_cores_that_fit_models_are_synthesized(run, synthesized):
    code, _, _ = run("synth", "--model", "digits", "--model", "digits-residual", "--lanes", 4, "--lanes", 10, "--json")
    assert code == 0
    assert synthesized == [
        (fit(models.load_model(name).network, lanes), name)
        for name in ("digits", "digits-residual")
        for lanes in (4, 10)
    ]
    assert [config.tables for config, _ in synthesized] == [False, False, True, True]


@pytest.mark.parametrize("size", ["--depth", "--potential-bits"])
def test_a_model_and_sizes_exclude_each_other(run, synthesized, size):
    refuses(
        run("synth", "--model", "digits", size, 20, "--json"),
        "synth: a model says its sizes itself: give --model, or --depth and --potential-bits",
    )


@pytest.fixture
def trained(monkeypatch):
    """What `train_model` was asked for: (name, seed)."""
    asked = []
    monkeypatch.setattr(train, "train_model", lambda name, *, seed: asked.append((name, seed)))
    return asked


def test_a_network_is_trained(run, trained):
    assert run("train") == (0, "", "")
    assert run("train", "mnist", "--seed", 7) == (0, "", "")
    assert trained == [("digits", None), ("mnist", 7)]


@pytest.mark.parametrize("seed", [-1, 2**32, "x"])
def test_a_seed_that_is_none(run, trained, seed):
    code, out, err = run("train", "--seed", seed)
    assert (code, out, trained) == (2, "", [])
    assert "Usage:" in err


def test_help_of_a_new_process():
    plain = {**os.environ, "_TYPER_FORCE_DISABLE_TERMINAL": "1"}  # else it is coloured on a CI machine
    command = [sys.executable, "-m", "hillock.gen", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=plain)
    assert (done.returncode, done.stderr) == (0, "")
    places = [
        done.stdout.find(f" {name} ")
        for name in ("sim", "verify", "plan", "bench", "synth", "train", "convert", "registers")
    ]
    assert -1 not in places
    assert places == sorted(places)  # as they are used: what needs nothing else comes first


# The gateware differs: status 1


@pytest.mark.usefixtures("defect")
def test_gateware_that_differs(run):
    code, out, err = run("sim", "digits", "--images", 2, "--folder", BUILD / "cli", "--json")
    assert code == 1
    figures = json.loads(out)
    assert figures["potential_mismatches"] == 2
    first = figures["first_difference"]
    assert first.startswith("potential at layer hidden, timestep 4, neuron 7, cycle ")
    assert err == f"hillock: the gateware differs from the golden model: {first}\n"


@pytest.mark.usefixtures("defect")
def test_gateware_that_differs_in_a_table(run):
    code, out, err = run("sim", "digits", "--images", 1, "--folder", BUILD / "cli")
    assert code == 1
    assert "1 image, 5,050 spikes compared, 1 mismatch" in out
    lines = [line for line in err.splitlines() if line.startswith("hillock: ")]
    assert len(lines) == 1
    assert lines[0].startswith("hillock: the gateware differs from the golden model: potential at layer hidden, ")


def test_nothing_compared_is_a_difference(run, monkeypatch):
    monkeypatch.setattr(simulate, "compare", lambda *arguments: Comparison())
    code, _, err = run("sim", "digits", "--images", 1, "--folder", BUILD / "cli", "--json")
    assert code == 1
    assert err == "hillock: the gateware differs from the golden model: nothing was compared\n"


# What was given cannot be used: status 2, one message, and nothing on standard output


def refuses(result: tuple[int, str, str], text: str) -> None:
    assert result == (2, "", f"hillock: {text}\n")


def test_a_model_that_is_not_there(run, tmp_path):
    known = ", ".join(sorted(path.parent.name for path in models.MODELS.glob("*/model.json")))
    text = f"must be one of {known}, or a folder with a model.json"
    refuses(run("sim", "digit", "--json"), f"model 'digit': {text}; did you mean 'digits'?")
    refuses(run("sim", tmp_path, "--json"), f"model '{tmp_path}': {text}")


@pytest.mark.parametrize("images", [0, 446])
def test_a_number_of_images_that_there_are_not(run, tmp_path, images):
    result = run("sim", "digits", "--images", images, "--folder", tmp_path / "sim", "--json")
    refuses(result, f"images must be from 1 to 445, as many as digits holds out, not {images}")


@pytest.mark.parametrize("lanes", [0, 129])
def test_a_number_of_lanes_that_no_core_has(run, tmp_path, lanes):
    result = run("sim", "digits", "--lanes", lanes, "--folder", tmp_path / "sim", "--json")
    refuses(
        result,
        f"core configuration: lanes (weights added per clock cycle) must be an integer from 1 to 128, not {lanes}",
    )


@pytest.mark.parametrize(
    "arguments", ["sim --lanes many", "sim --images 1.5", "sim digits mnist", "similar", "sim --wave"]
)
def test_arguments_that_make_no_sense(run, arguments):
    code, out, err = run(*arguments.split())
    assert (code, out) == (2, "")
    assert "Usage:" in err


def test_the_message_of_a_new_process():
    command = [sys.executable, "-m", "hillock.gen", "sim", "digit"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("hillock: model 'digit': must be one of ")
    assert done.stderr.endswith("; did you mean 'digits'?\n")
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").write_text("")
    result = run("sim", "digits", "--images", 1, "--folder", tmp_path / "file", "--json")
    refuses(result, f"{tmp_path / 'file' / 'images' / 'layers.bin'} cannot be written (Not a directory)")


# Other ends


def test_an_interruption(run, monkeypatch):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(models, "load_model", interrupted)
    assert run("sim", "digits") == (130, "", "hillock: interrupted\n")


def test_an_error_of_our_own_making_is_not_hidden(monkeypatch):
    def broken(name):
        raise ZeroDivisionError

    monkeypatch.setattr(models, "load_model", broken)
    monkeypatch.setattr(sys, "argv", ["hillock", "sim"])
    with pytest.raises(ZeroDivisionError):
        cli.main()
