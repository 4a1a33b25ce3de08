"""Verification of whole test sets: what is counted, what outlives a run, and what becomes of a difference."""

import contextlib
import dataclasses
import functools
import itertools
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hillock.gen import cli, verification_record, verify_job, verify_shard
from hillock.gen.datasets import Dataset, digits
from hillock.gen.models import MODELS, load_model
from hillock.gen.verification_record import RECORDS, read_records, record_of, records_table, write_record
from hillock.gen.verify import Verification, verify
from hillock.gen.verilog import accelerator_verilog
from hillock.gen.workers import Workers, processes
from hillock.hw.problems import HillockError
from hillock.sim import golden, harness
from hillock.sim.compare import compare
from hillock.sim.network import Network
from hillock.sim.timing import time_inference

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "test-sim"
IMAGES = 7


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return digits()


@pytest.fixture(scope="module")
def network() -> Network:
    return load_model("digits").network


@functools.cache
def written(configs):
    """The Verilog of cores, which takes a second to write."""
    return accelerator_verilog(configs)


@pytest.fixture(autouse=True)
def quicker(monkeypatch):
    monkeypatch.setattr("hillock.gen.verify.accelerator_verilog", lambda configs: written(tuple(configs)))


@pytest.fixture
def run(network, dataset, tmp_path):
    """Verifies some digits within this process, where its parts can be replaced; shards of 3."""

    def call(**options: Any) -> Verification:
        given = {"images": IMAGES, "shard": 3, "folder": tmp_path / "verify", "cache": BUILD / "verilator"} | options
        verify_job.make_ready.cache_clear()
        with ThreadPoolExecutor(1) as executor:
            return verify(network, dataset, Workers(executor, lambda: 1), **given)

    return call


@pytest.fixture
def begun(monkeypatch) -> list[int]:
    """The first image of every shard that is run."""
    firsts: list[int] = []

    def run_shard(shard):
        firsts.append(shard.first)
        return verify_shard.run_shard(shard)

    monkeypatch.setattr("hillock.gen.verify.run_shard", run_shard)
    return firsts


def defect(monkeypatch, images):
    """One potential that the gateware got wrong in each of `images`, by their numbers."""
    measure, wrong = verify_shard._measure, digits().test_images[images]

    def measure_wrong(ready, pixels):
        for image, measured in zip(pixels, measure(ready, pixels), strict=True):
            if (image == wrong).all(axis=1).any():
                measured.potentials[1][3, 7] += 1
            yield measured

    monkeypatch.setattr(verify_shard, "_measure", measure_wrong)


# What is counted


def test_everything_is_compared(run, network, dataset):
    """Against the golden model once more, image by image."""
    result = run()
    plan = result.placement.pipeline
    traces = [golden.run(network, image=image) for image in dataset.test_images[:IMAGES]]
    timelines = [time_inference(plan, trace) for trace in traces]
    found = result.comparison
    assert result.equal
    assert (result.images, found.inferences, result.differing, result.difference) == (IMAGES, IMAGES, 0, "")
    assert found.spikes_compared == found.potentials_compared == IMAGES * 25 * (64 + 128 + 10)
    assert found.cycles_compared == sum(25 * 3 + len(timeline.output) + 1 for timeline in timelines)
    assert found.results_compared == 2 * IMAGES
    assert result.cycles == [timeline.decision for timeline in timelines]
    for at, layer in enumerate(result.layers):
        assert layer.sop == sum(trace.layers[at].sop for trace in traces)
        assert layer.spikes == sum(int(trace.layers[at].spikes.sum()) for trace in traces)
        assert layer.busy_cycles == sum(int(timeline.busy[at]) for timeline in timelines)
    sop = sum(trace.sop for trace in traces)
    assert result.utilization == sop / (16 * sum(timeline.decision for timeline in timelines))
    right = sum(trace.decision == label for trace, label in zip(traces, dataset.test_labels.tolist(), strict=False))
    assert result.score == ("accuracy", right / IMAGES)


def test_processes_give_the_same(run, network, dataset, tmp_path):
    here = run()
    with processes(2) as workers:
        folder, cache = tmp_path / "other", BUILD / "verilator"
        there = verify(network, dataset, workers, images=IMAGES, shard=2, folder=folder, cache=cache)
    assert there.comparison == here.comparison
    assert (there.cycles, there.layers, there.score) == (here.cycles, here.layers, here.score)


def test_a_pipeline(run, network):
    result = run(lanes=[16, 4], cuts=["output"], images=3)
    assert result.equal
    assert [config.lanes for config in result.placement.configs] == [16, 4]
    assert [[layer.name for layer in core.network.layers] for core in result.placement.cores] == [
        ["encoder", "hidden"],
        ["output"],
    ]
    assert (result.lanes, result.images) == (20, 3)
    assert [layer.name for layer in result.layers] == [layer.name for layer in network.layers]


def test_progress(run):
    steps, counts = [], []

    def step(text, total):
        steps.append((text, total))
        return lambda done: None

    run(step=step, count=lambda *numbers: counts.append(numbers))
    assert steps == [("gateware (Amaranth to Verilog)", 1), ("compiled gateware (Verilator)", 1)]
    assert counts[0] == (0, IMAGES, 0)
    assert counts[-1] == (IMAGES, IMAGES, 0)
    assert sorted(later[0] - before[0] for before, later in itertools.pairwise(counts)) == [1, 3, 3]


# What outlives a run


def test_what_is_finished_is_not_done_again(run, begun):
    """Neither by the same run once more, nor by one of more images; the figures are those of one run."""
    first = run(images=6)
    assert sorted(begun) == [0, 3]
    begun.clear()
    again = run(images=6)
    assert begun == []
    assert (again.comparison, again.cycles, again.layers, again.score) == (
        first.comparison,
        first.cycles,
        first.layers,
        first.score,
    )
    longer = run(images=10)
    assert sorted(begun) == [6, 9]
    assert longer.comparison.inferences == len(longer.cycles) == 10
    begun.clear()
    assert run(images=10, anew=True).cycles == longer.cycles
    assert sorted(begun) == [0, 3, 6, 9]


def test_an_interrupted_run_goes_on(run, begun, monkeypatch):
    """Interrupted in its second shard: the first is not done again, the others are."""

    def interrupted(done, images, differing):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(count=interrupted)
    kept = begun[0]
    begun.clear()
    seen = []
    assert run(count=lambda *numbers: seen.append(numbers)).equal
    assert seen[0] == (3, IMAGES, 0)
    assert sorted(begun) == sorted({0, 3, 6} - {kept})


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"first": 3, "cycles": [1, 2, 3], "comparison": {"inferences": 3}}', "\0"]
)
def test_a_damaged_shard_is_done_again(content, run, begun):
    result = run()
    begun.clear()
    (result.folder / "shards" / "00003-00005.json").write_text(content)
    assert run().cycles == result.cycles
    assert begun == [3]


def test_a_shard_that_says_it_differs_is_done_again(run, begun):
    result = run()
    begun.clear()
    path = result.folder / "shards" / "00000-00002.json"
    values = json.loads(path.read_text())
    values["comparison"]["spike_mismatches"] = 1
    path.write_text(json.dumps(values))
    assert run().equal
    assert begun == [0]


def test_another_network_core_dataset_or_version_begins_anew(run, network, dataset, tmp_path, monkeypatch):
    options: dict[str, Any] = {"images": 1, "cache": BUILD / "verilator", "folder": tmp_path / "verify"}
    folders = [run(images=1).folder, run(images=1, lanes=[5]).folder]
    last = dataclasses.replace(network.layers[-1], preload=network.layers[-1].preload + 1)
    with ThreadPoolExecutor(1) as executor:
        workers = Workers(executor, lambda: 1)
        other = dataclasses.replace(network, layers=(*network.layers[:-1], last))
        folders.append(verify(other, dataset, workers, **options).folder)
        fewer = dataclasses.replace(dataset, test_images=dataset.test_images[:9], test_labels=dataset.test_labels[:9])
        folders.append(verify(network, fewer, workers, **options).folder)
        sources = tmp_path / "sim"
        sources.mkdir()
        (sources / "__init__.py").write_text("# another version\n")
        monkeypatch.setattr("hillock.sim.__file__", str(sources / "__init__.py"))
        verify_job.make_ready.cache_clear()
        folders.append(verify(network, dataset, workers, **options).folder)
    assert len(set(folders)) == 5
    assert all(re.fullmatch(r"digits-[0-9a-f]{12}", folder.name) for folder in folders)


# A difference


def test_a_difference_is_named_and_what_repeats_it_kept(run, monkeypatch, dataset, tmp_path):
    """In images 4 and 5: the first of them is named. The program, given what was kept, shows image 4 as its second."""
    defect(monkeypatch, [4, 5])
    result = run()
    timeline = time_inference(
        result.placement.pipeline, golden.run(load_model("digits").network, image=dataset.test_images[4])
    )
    assert not result.equal
    assert result.differing == 2
    assert result.comparison.potential_mismatches == 2
    assert result.comparison.inferences == IMAGES
    place = f"image 4: potential at layer hidden, timestep 4, neuron 7, cycle {timeline.fire[3, 1]}: expected "
    assert result.difference.startswith(place)
    assert result.difference.endswith(f"(kept in {result.folder / 'mismatches'})")
    kept = result.folder / "mismatches" / "image-00004"
    assert [path.name for path in (result.folder / "mismatches").iterdir()] == ["image-00004"]
    assert json.loads((kept / "difference.json").read_text()) == {
        "image": 4,
        "first_image_of_the_stimulus": 3,
        "difference": result.difference.partition(" (kept")[0],
    }

    program = harness.build(
        (result.folder / "accelerator.v").read_text(), result.placement.configs, BUILD / "verilator"
    ).program
    got = tmp_path / "result.bin"
    subprocess.run([str(program), str(kept / "stimulus.bin"), str(got)], check=True)
    words = np.fromfile(got, "<u4")
    decisions = []
    at = 0
    while at < len(words) - 2:
        decisions.append(tuple(words[at + int(words[at]) - 1 : at + int(words[at]) + 1].tolist()))
        at += int(words[at]) + 1
    traces = [golden.run(load_model("digits").network, image=dataset.test_images[image]) for image in (3, 4)]
    assert decisions == [
        (trace.decision, time_inference(result.placement.pipeline, trace).decision) for trace in traces
    ]


def test_a_shard_with_a_difference_is_done_again(run, begun):
    with pytest.MonkeyPatch.context() as patch:
        defect(patch, [4])
        assert not run().equal
    begun.clear()
    result = run()
    assert result.equal
    assert begun == [3]
    assert not (result.folder / "mismatches").exists()


def test_a_gateware_that_gives_up(run, monkeypatch):
    """In the second shard, whichever image it was."""

    class Stops:
        def __init__(self, program):
            self.program = program

        def run(self, stimulus):
            if len(stimulus.kinds) == 1:
                raise HillockError("the compiled gateware stopped with status 2: harness: deadlock")
            return self.program.run(stimulus)

    built = verify_job.build
    monkeypatch.setattr(verify_job, "build", lambda *arguments: Stops(built(*arguments)))
    result = run()
    assert not result.equal
    assert result.difference == (
        f"images 6 to 6: the compiled gateware stopped with status 2: harness: deadlock "
        f"(kept in {result.folder / 'mismatches'})"
    )
    assert (result.folder / "mismatches" / "images-00006" / "stimulus.bin").stat().st_size > 0
    assert (result.differing, result.comparison.inferences) == (1, 6)


def test_results_that_are_missing(run, monkeypatch):
    class Loses:
        def __init__(self, program):
            self.program = program

        def run(self, stimulus):
            results = self.program.run(stimulus)
            return dataclasses.replace(results, items=results.items[1:])

    built = verify_job.build
    monkeypatch.setattr(verify_job, "build", lambda *arguments: Loses(built(*arguments)))
    result = run(images=3)
    assert not result.equal
    assert result.comparison.inferences < 3


def test_nothing_compared_is_not_equal(run, monkeypatch):
    monkeypatch.setattr(verify_shard, "compare", lambda *arguments: type(compare(*arguments))())
    result = run(images=1)
    assert not result.equal
    assert result.difference.startswith("image 0: nothing was compared (kept in ")


def test_a_worker_of_another_version(network, dataset, tmp_path, monkeypatch):
    """As one is that was not started again."""
    built = verify_job.identity_of
    monkeypatch.setattr(verify_job, "identity_of", lambda *arguments: "f" + built(*arguments)[1:])
    verify_job.make_ready.cache_clear()
    text = (
        r"^images 0 to 0: the worker on .* has another version of hillock \(identity f[0-9a-f]{11}, not [0-9a-f]{12}\)"
        r": install the same there, and start the worker again$"
    )
    with ThreadPoolExecutor(1) as executor, pytest.raises(HillockError, match=text):
        verify(network, dataset, Workers(executor, lambda: 1), images=1, folder=tmp_path, cache=BUILD / "verilator")


# What is refused before anything is built


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"images": 446}, "images must be from 1 to 445, as many as digits holds out, not 446"),
        ({"images": 0}, "images must be from 1 to 445, as many as digits holds out, not 0"),
        ({"shard": 0}, "a shard must have at least 1 image, not 0"),
        (
            {"lanes": [8, 8]},
            "network 'digits' on 2 cores: --lanes must be given for each core, and a layer to --cut before for each "
            "but the first, not 2 lanes and 0 layers",
        ),
        (
            {"lanes": [8, 8], "cuts": ["hiden"]},
            "network 'digits' on 2 cores: cut before 'hiden': it must be one of its layers, encoder, hidden, output",
        ),
    ],
)
def test_refuses(options, text, run, tmp_path):
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        run(**options)
    assert list(tmp_path.iterdir()) == []


# The record


def test_the_record(run, network, dataset):
    result = run()
    record = record_of(result, "a machine")
    assert record["model"] == record["dataset"] == "digits"
    assert (record["network_digest"], record["dataset_digest"]) == (network.digest(), dataset.digest)
    assert record["gateware_digest"] == result.gateware_digest
    assert (record["images"], record["held_out_images"], record["timesteps"]) == (IMAGES, 445, 25)
    for kind in ("spike", "potential", "cycle", "result"):
        assert record[f"{kind}s_compared"] == getattr(result.comparison, f"{kind}s_compared") > 0
        assert record[f"{kind}_mismatches"] == 0
    assert record["cycles_per_image"] == {
        "mean": round(sum(result.cycles) / IMAGES, 3),
        "minimum": min(result.cycles),
        "maximum": max(result.cycles),
    }
    assert (record["lanes"], record["lane_utilization"]) == ([16], round(result.utilization, 6))
    assert [layer["name"] for layer in record["layers"]] == ["encoder", "hidden", "output"]
    assert record["command"] == f'make verify MODEL=digits ARGS="--images {IMAGES}"'
    of_folder = record_of(result, "a machine", "build/digits")
    assert of_folder == record | {"command": f'make verify MODEL=build/digits ARGS="--images {IMAGES}"'}
    assert (record["first_difference"], record["images_that_differ"], record["machine"]) == (None, 0, "a machine")
    assert "Verilator" in record["simulator"] or "verilator" in record["simulator"]


def test_the_record_says_how_to_repeat_it(run):
    record = record_of(run(lanes=[16, 4], cuts=["output"], images=3), "")
    assert record["command"] == 'make verify MODEL=digits ARGS="--images 3 --lanes 16 --lanes 4 --cut output"'
    assert record["lanes"] == [16, 4]


def test_the_record_and_its_table_are_written(run, tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "README.md").write_text(
        "# Title\n\nbefore\n\n"
        "<!-- generated by `make verify`: begin -->\nold\n<!-- generated by `make verify`: end -->\n\nafter\n"
    )
    result = run(images=6)
    path = write_record(result, "a machine", folder)
    assert path is not None
    assert path == folder / "digits.json"
    assert read_records(folder) == [record_of(result, "a machine")]
    cells = [
        "[digits](digits.json)",
        "the first 6",
        "**0**",
        "30,300",
        "30,300",
        f"{result.comparison.cycles_compared:,}",
        f"{100 * result.score[1]:.2f} %" if result.score else "",
        f"{sum(result.cycles) / 6:,.0f} ({min(result.cycles):,} to {max(result.cycles):,})",
        "16",
        f"{result.utilization:.3f}",
        f"`{result.placement.network.digest()[:12]}`",
        f"`{result.gateware_digest[:12]}`",
    ]
    text = (folder / "README.md").read_text()
    assert text.splitlines()[-5] == f"| {' | '.join(cells)} |"
    assert text.startswith("# Title\n\nbefore\n")
    assert text.endswith("\n\nafter\n")
    assert "old" not in text

    # One of fewer images does not take its place, one of more does.
    written = path.read_bytes()
    assert write_record(run(images=3), "", folder) is None
    assert path.read_bytes() == written
    assert write_record(run(images=7), "", folder) == path
    assert read_records(folder)[0]["images"] == 7
    # And one of another gateware does, whatever its images.
    assert write_record(run(images=1, lanes=[5]), "", folder) == path
    assert read_records(folder)[0]["lanes"] == [5]


def test_no_record_of_a_run_with_a_difference(run, monkeypatch, tmp_path):
    defect(monkeypatch, [0])
    text = "^a record is of a run in which everything is equal, and in this one image 0: potential at layer hidden, "
    with pytest.raises(HillockError, match=text):
        write_record(run(images=1), "", tmp_path / "records")
    assert not (tmp_path / "records").exists()


def test_a_document_without_markers(run, tmp_path):
    (tmp_path / "README.md").write_text("# Verification\n")
    text = (
        f"{tmp_path / 'README.md'}: a marker of the generated table is gone: put '<!-- generated by `make verify`: "
        f"begin -->' before where it shall stand, and '<!-- generated by `make verify`: end -->' behind it"
    )
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        write_record(run(images=1), "", tmp_path)


def test_a_record_that_is_none(tmp_path):
    (tmp_path / "digits.json").write_text('{"format": "x", "version": 1}')
    text = (
        f"{tmp_path / 'digits.json'}: it must be a record of version 1 that `make verify` wrote (ValueError: it is "
        f"'x', version 1): remove it, and verify the model again"
    )
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        read_records(tmp_path)


def test_the_committed_table_is_that_of_the_records():
    """If not: any `make verify` writes it anew."""
    assert records_table(read_records(ROOT / RECORDS)) in (ROOT / RECORDS / "README.md").read_text()


def digests_of(name: str) -> list[str]:
    """Of the network that is called so: one in `models`, or one that an experiment wrote."""
    if (MODELS / name).is_dir():
        return [load_model(name).network.digest()]
    records = [json.loads(path.read_text()) for path in (ROOT / "docs/experiments").glob("*/delay.json")]
    return [record["written"][name]["digest"] for record in records if name in record["written"]]


@pytest.mark.parametrize("record", read_records(ROOT / RECORDS), ids=lambda record: record["model"])
def test_a_committed_record_is_of_the_committed_network(record):
    """If not, the network was trained again, or an experiment has written another: run the command of the record."""
    assert record["network_digest"] in digests_of(record["model"])
    assert [record[f"{kind}_mismatches"] for kind in verification_record.KINDS] == [0] * 4
    assert (record["first_difference"], record["images_that_differ"]) == (None, 0)
    steps, neurons = record["timesteps"], sum(layer["neurons"] for layer in record["layers"])
    assert record["spikes_compared"] == record["potentials_compared"] == record["images"] * steps * neurons
    assert record["results_compared"] == 2 * record["images"]


# The command line


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """`verify` in this process, workers included; returns exit status, standard output and standard error."""

    @contextlib.contextmanager
    def threads(jobs, scheduler):
        with ThreadPoolExecutor(1) as executor:
            yield Workers(executor, lambda: 1, words="one thread")

    def call(*arguments: object) -> tuple[int, str, str]:
        verify_job.make_ready.cache_clear()
        options = ["--folder", BUILD / "verify", "--records", tmp_path / "records", "--anew"]
        monkeypatch.setattr(sys, "argv", ["hillock", "verify", *map(str, [*options, *arguments])])
        monkeypatch.setattr("hillock.gen.workers.open_workers", threads)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        code = caught.value.code
        assert isinstance(code, int | None)
        return code or 0, captured.out, captured.err

    return call


def test_the_command_line(command, tmp_path):
    code, out, err = command("digits", "--images", 2)
    assert code == 0
    for text in ("digits: 2 of 445 images, 0 mismatches", "spikes compared", "10,100", "all equal", "accuracy"):
        assert text in out
    assert out.splitlines()[-1] == f"written: {tmp_path / 'records' / 'digits.json'}"
    assert "2/2 0 differ" in err
    assert read_records(tmp_path / "records")[0]["machine"] == "one thread"


def test_the_record_on_standard_output(command, tmp_path):
    code, out, err = command("--images", 2, "--json", "--machine", "a desk")
    assert (code, err) == (0, "")
    assert [json.loads(out)] == read_records(tmp_path / "records")
    assert json.loads(out)["machine"] == "a desk"


def test_the_command_line_with_a_difference(command, monkeypatch, tmp_path):
    defect(monkeypatch, [1])
    code, out, err = command("--images", 2, "--json")
    assert code == 1
    record = json.loads(out)
    assert (record["potential_mismatches"], record["images_that_differ"]) == (1, 1)
    assert record["first_difference"].startswith("image 1: potential at layer hidden, timestep 4, neuron 7, cycle ")
    assert err == f"hillock: the gateware differs from the golden model: {record['first_difference']}\n"
    assert not (tmp_path / "records").exists()
    code, out, err = command("--images", 2)
    assert code == 1
    assert "digits: 2 of 445 images, 1 mismatch " in out
    assert "1 differ" in err
    assert "written:" not in out


def test_the_command_line_keeps_a_larger_record(command):
    assert command("--images", 2)[0] == 0
    code, out, _ = command("--images", 1)
    assert code == 0
    assert out.splitlines()[-1] == "the record that is there has more images: left as it is"
