"""Experiments: what is measured equals the golden model, runs go on where they stopped, pages say what records say."""

import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from hillock.gen import cli
from hillock.gen.delay_search import DelayChoice
from hillock.gen.experiments import runs as runs_module
from hillock.gen.experiments.all import EXPERIMENTS
from hillock.gen.experiments.experiment import Options, TextTable
from hillock.gen.experiments.index import index_of, renew_index
from hillock.gen.experiments.latency import best_global, change, compared_runs
from hillock.gen.experiments.network import write_network
from hillock.gen.experiments.preloads import GLOBAL, LAYER_WISE, networks, search
from hillock.gen.experiments.record import page_of, read_records
from hillock.gen.experiments.runs import run_images
from hillock.gen.experiments.scores import REFERENCE, measure_of
from hillock.gen.experiments.setting import open_setting
from hillock.gen.models import MODELS, load_model
from hillock.gen.preload_search import with_preloads
from hillock.gen.simulate import in_silence
from hillock.hw.problems import HillockError
from hillock.sim import golden, network_file
from hillock.sim.batch import run_batch

PAGES = Path(__file__).parents[2] / "docs" / "experiments"
IMAGES, TIMESTEPS = 40, 14


@pytest.fixture(scope="module")
def setting():
    return open_setting("digits", images=IMAGES, timesteps=TIMESTEPS)


@pytest.fixture(scope="module")
def autoencoder():
    return open_setting("digits-autoencoder", images=12, timesteps=40)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return Options(search_images=10, bits=(4, 8), cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def records(setting, options):
    """What each experiment with digits measures, but the one that compiles gateware."""
    return {
        one.name: {"command": "", "about": setting.about()} | one.measure(setting, options, in_silence)
        for one in EXPERIMENTS
        if one.suits(setting) and one.name != "board"
    }


def test_the_network_is_that_of_the_model_but_for_preload_and_width(setting):
    own = load_model("digits").network
    assert [layer.preload for layer in setting.network.layers] == [0, 0, 0]
    widened = dataclasses.replace(own, timesteps=TIMESTEPS, potential_bits=setting.network.potential_bits)
    fractions = {layer.name: 0.0 for layer in own.layers}
    assert setting.network.digest() == with_preloads(widened, fractions).digest()
    assert (setting.network.timesteps, setting.network.delay, len(setting.images)) == (TIMESTEPS, 0, IMAGES)
    assert setting.float_accuracy == np.mean(setting.float_network.decisions(setting.images) == setting.labels)


def test_a_run_equals_the_golden_model(setting, options):
    network = networks(setting, {layer.name: 0.3 for layer in setting.network.layers})["0.4"]
    run = run_images(network, setting.images, options.cache)
    traces = [golden.run(network, image=image.astype(np.int64)) for image in setting.images]
    for t in (1, 5, TIMESTEPS):
        ended = dataclasses.replace(network, timesteps=t)
        decided = [golden.run(ended, image=image.astype(np.int64)).decision for image in setting.images]
        assert run.decisions_at[:, t - 1].tolist() == decided
    spikes = np.mean([[layer.spikes.sum(axis=1) for layer in trace.layers] for trace in traces], axis=0)
    np.testing.assert_allclose(run.spikes_at, spikes.T)
    assert run.operations_until(TIMESTEPS) == pytest.approx(np.mean([trace.sop for trace in traces]))


def test_a_run_takes_up_the_parts_that_are_there(setting, tmp_path, monkeypatch):
    monkeypatch.setattr(runs_module, "_PART", 10)
    ran = []

    def counted(network, images, product):
        ran.append(len(images))
        return run_batch(network, images, product=product)

    monkeypatch.setattr(runs_module, "run_batch", counted)
    told: list[int] = []
    whole = run_images(setting.network, setting.images[:30], tmp_path, told.append)
    assert (ran, told) == ([10, 10, 10], [10, 10, 10])
    part = sorted(tmp_path.rglob("*.npz"))[1]
    part.write_bytes(part.read_bytes()[:100])  # as an interrupted copy would leave it
    ran.clear()
    again = run_images(setting.network, setting.images[:40], tmp_path)
    assert ran == [10, 10]  # the damaged one, and the one that is new
    assert np.array_equal(again.output[:30], whole.output)
    ran.clear()
    run_images(setting.network, setting.images[5:15], tmp_path)
    assert ran == [10]  # other images
    run_images(networks(setting, {})["0.2"], setting.images[:10], tmp_path)
    assert ran == [10, 10]  # another network


def test_every_preload_is_compared(setting, options):
    runs, found = compared_runs(setting, options, in_silence)
    assert list(runs) == [*(f"{fraction:.1f}" for fraction in GLOBAL), LAYER_WISE]
    for fraction in GLOBAL:
        layers = runs[f"{fraction:.1f}"].network.layers
        assert [layer.preload for layer in layers] == [round(fraction * layer.threshold) for layer in layers]
    for layer in runs[LAYER_WISE].network.layers:
        assert layer.preload == round(found["fractions"][layer.name] * layer.threshold)


def test_a_search_is_made_once(setting, options, monkeypatch):
    first = search(setting, options)
    monkeypatch.setattr("hillock.gen.experiments.preloads.optimise_preloads", None)
    told: list[int] = []
    assert search(setting, options, progress=told.append) == first
    assert told == [len(setting.network.layers)]
    with pytest.raises(TypeError):
        search(setting, dataclasses.replace(options, search_images=11))
    with pytest.raises(TypeError):
        search(setting, dataclasses.replace(options, search_timesteps=7))


def test_latency_is_when_the_accuracy_is_first_good_enough(setting, options, records):
    record = records["latency"]
    runs, _ = compared_runs(setting, options, in_silence)
    for name, one in record["preloads"].items():
        right = runs[name].decisions_at == setting.labels[:, None]
        assert one["score"] == [round(float(share), 6) for share in right.mean(axis=0)]
        for criterion, percent in (("t99.0", 99.0), ("t99.5", 99.5), ("t99.9", 99.9)):
            good = [
                t + 1 for t in range(TIMESTEPS) if right[:, t].mean() >= percent / 100 * setting.float_accuracy - 1e-12
            ]
            assert one["first_at"][criterion] == (good[0] if good else None)
            if good:
                assert one["sop"][criterion] == round(float(runs[name].sop_at[: good[0]].sum()), 1)
    assert any(one["first_at"]["t99.0"] for one in record["preloads"].values())


def test_delays_are_those_of_the_network_with_that_delay(setting, options, records):
    runs, _ = compared_runs(setting, options, in_silence)
    for name, one in records["delay"]["preloads"].items():
        half = str(max(1, round(0.5 * TIMESTEPS)))
        for delay, score in enumerate(one["score_at"][half]):
            network = dataclasses.replace(runs[name].network, delay=delay, timesteps=int(half))
            decided = [golden.run(network, image=image.astype(np.int64)).decision for image in setting.images]
            assert score == round(float(np.mean(np.array(decided) == setting.labels)), 6)
        for choice in filter(None, one["chosen"].values()):
            assert choice["delay"] < choice["first_at"] <= TIMESTEPS


def test_the_soonest_network_runs_on_the_other_images(setting, options, records):
    """As the golden model does with its delay; and the float network is right where it is."""
    record, delays = records["unseen"], records["delay"]
    criterion = record["criterion"]
    assert f"digits-{criterion}" == list(delays["written"])[-1]
    network = network_file.load(options.cache / "networks" / f"digits-{criterion}" / "network.hlk")
    assert (network.timesteps, network.delay) == (record["timesteps"], record["delay"])
    images, labels = setting.dataset.test_images[IMAGES:], setting.dataset.test_labels[IMAGES:]
    assert record["images"] == len(images) == 405
    result = run_batch(network, images.astype(np.int64))
    assert record["accuracy"] == round(float((result.decisions == labels).mean()), 6)
    assert record["sop_per_image"] == pytest.approx(result.sop.sum() / 405, abs=0.1)
    right = (setting.float_network.decisions(images) == labels).mean()
    assert record["float_accuracy"] == round(float(right), 6)


def test_rates_are_spikes_over_what_the_activations_ask_for(setting, options, records):
    network = networks(setting, search(setting, options)["fractions"])["0.5"]
    counts = np.zeros((2, TIMESTEPS))
    for image in setting.images:
        layers = golden.run(network, image=image.astype(np.int64)).layers
        counts += [layers[0].spikes.sum(axis=1), layers[-1].spikes.sum(axis=1)]
    asked = np.array([(setting.images / 255).sum(), setting.rates.sum()])[:, None] * np.arange(1, TIMESTEPS + 1)
    given = records["rates"]["normalised_rate"]["0.5"]
    np.testing.assert_allclose([given["encoder"], given["output"]], counts.cumsum(axis=1) / asked, atol=1e-5)


def test_correlations_are_pearsons(setting, options, records):
    network = networks(setting, {})["0.5"]
    spikes = [golden.run(network, image=image.astype(np.int64)).layers[-1].spikes for image in setting.images]
    for t, given in zip(
        records["rates"]["correlation_timesteps"], records["rates"]["correlation"]["0.5"]["output"], strict=True
    ):
        counts = np.array([one[:t].sum(axis=0) for one in spikes])
        assert given == pytest.approx(np.corrcoef(counts.ravel(), setting.rates.ravel())[0, 1], abs=1e-4)


def test_weights_of_fewer_bits(setting, options, records):
    assert list(records["bits"]["bits"]) == ["4", "8"]
    eight = records["latency"]["preloads"]["0.5"]
    assert records["bits"]["bits"]["8"]["accuracy"] == eight["score"]
    assert records["bits"]["bits"]["4"]["accuracy"] != eight["score"]


def test_the_cost_is_lowest_where_the_search_says(records):
    record = records["cost"]
    for layer, costs in record["costs"].items():
        assert min(costs, key=lambda pair: (pair[1], pair[0]))[0] == record["algorithm_1"]["fractions"][layer]
    assert record["bracketing"]["fractions"] == record["algorithm_1"]["fractions"]
    assert record["less_work"]["synaptic_operations"] > 4


def test_an_autoencoder_is_measured_by_its_error(autoencoder, options):
    known = {one.name: one for one in EXPERIMENTS}
    suited = [one.name for one in EXPERIMENTS if one.suits(autoencoder)]
    assert suited == ["latency", "cost", "delay", "rates", "restored"]
    runs, _ = compared_runs(autoencoder, options, in_silence)
    measured = measure_of(autoencoder, runs["0.0"])
    counts = np.array(
        [golden.run(autoencoder.network, image=image.astype(np.int64)).counts for image in autoencoder.images]
    )
    error = float(((counts / 40 - autoencoder.float_network.outputs(autoencoder.images).clip(0, 1)) ** 2).mean())
    assert measured.wanted == {REFERENCE: pytest.approx(error)}
    latency = known["latency"].measure(autoencoder, options, in_silence)
    assert latency["measure"] == "mse"
    assert latency["preloads"]["0.0"]["first_at"][REFERENCE] <= 40
    assert latency["preloads"]["0.5"]["first_at"][REFERENCE] < latency["preloads"]["0.0"]["first_at"][REFERENCE]
    restored = known["restored"].measure(autoencoder, options, in_silence)
    record = {"command": "", "about": autoencoder.about()} | restored
    assert restored["errors"]["0.0"][-1] == round(error, 6)
    (content, _), *others = known["restored"].figures(record).values()
    assert not others
    assert content.count(b"<image") == 2 * 3 * 7


def test_the_board_runs_each_network_until_the_criterion(setting, options, tmp_path, monkeypatch):
    """Compiles nothing: the rows of a pipeline are tested with it."""
    known = {one.name: one for one in EXPERIMENTS}
    asked = []

    def row(placement, given, cache, step, clock):
        asked.append((placement, len(given)))
        return {"interval": 10.0, "images_per_second": 5.0, "sop_per_image": 3.0, "lane_utilization": 0.5}

    monkeypatch.setattr("hillock.gen.experiments.board.pipeline_row", row)
    small = dataclasses.replace(options, lanes=(4, 12), streamed=3, criterion="t99.0")
    record = known["board"].measure(setting, small, in_silence)
    first = known["latency"].measure(setting, options, in_silence)["preloads"]
    assert {name: one["timesteps"] for name, one in record["preloads"].items()} == {
        name: first[name]["first_at"]["t99.0"] for name in record["preloads"]
    }
    placements = [placement for placement, _ in asked]
    assert {count for _, count in asked} == {3}
    assert len({tuple(config.lanes for config in placement.configs) for placement in placements}) == 1
    assert len({placement.network.potential_bits for placement in placements}) == 1
    assert 4 <= sum(record["lanes"]) <= 12
    with pytest.raises(HillockError, match=r"criterion: it must be one of t99.0, t99.5, t99.9, not 't98'"):
        known["board"].measure(setting, dataclasses.replace(small, criterion="t98"), in_silence)
    never = open_setting("digits", images=IMAGES, timesteps=1)
    with pytest.raises(HillockError, match=r"preload 0.0.* does not reach t99.0 within 1 timesteps: give more of them"):
        known["board"].measure(never, small, in_silence)


def test_the_network_that_is_written_is_what_verify_takes(setting, options, tmp_path):
    network = networks(setting, {})["0.3"]
    written = write_network(setting, network, "t99.5", DelayChoice(delay=2, latency=9), tmp_path)
    model = load_model(str(tmp_path / "networks" / "digits-t99.5"))
    assert model.network.digest() == written.digest()
    assert (model.network.name, model.network.delay, model.network.timesteps) == ("digits-t99.5", 2, 9)
    assert model.network.potential_bits < setting.network.potential_bits
    image = setting.images[0].astype(np.int64)
    wide = dataclasses.replace(network, delay=2, timesteps=9)
    assert golden.run(model.network, image=image).counts.tolist() == golden.run(wide, image=image).counts.tolist()


def test_change_and_best():
    assert (change(5, 10), change(12, 10), change(None, 10), change(3, None)) == ("-50 %", "+20 %", "-", "-")
    preloads = {
        "0.0": {"first_at": {"t": 9}, "sop": {"t": 9.0}},
        "0.1": {"first_at": {"t": 5}, "sop": {"t": 6.0}},
        "0.2": {"first_at": {"t": 5}, "sop": {"t": 5.5}},
        "0.3": {"first_at": {"t": None}, "sop": {"t": None}},
        LAYER_WISE: {"first_at": {"t": 1}, "sop": {"t": 1.0}},
    }
    assert best_global(preloads, "t") == "0.2"
    assert best_global({"0.3": preloads["0.3"]}, "t") is None


def test_tables():
    table = TextTable("Title", ["a", "b"], [["1", "2"]])
    assert table.markdown() == "Title:\n\n| a | b |\n| --- | ---: |\n| 1 | 2 |"


@pytest.mark.parametrize("page", sorted(PAGES.glob("*/README.md")), ids=lambda path: path.parent.name)
def test_pages_say_what_their_records_say(page):
    """If not: run an experiment of the page again; what it has run before is not run anew."""
    records = read_records(page.parent, EXPERIMENTS)
    assert page.read_text() == page_of(records, EXPERIMENTS)
    for one in EXPERIMENTS:
        if one.name in records:
            assert [name for name in one.figures(records[one.name]) if not (page.parent / name).is_file()] == []


def test_the_table_of_all_models_is_that_of_the_records():
    """If not: any `make experiment` writes it anew."""
    page = PAGES / "README.md"
    assert index_of(PAGES).markdown() in page.read_text()


def test_the_table_is_renewed_between_its_marks(tmp_path):
    def one(t: int | None) -> dict[str, object]:
        return {"first_at": {"t99.0": t}, "sop": {"t99.0": t and 10.0 * t}}

    latency = {
        "wanted": {"t99.0": 0.9},
        "preloads": {"0.0": one(10), "0.5": one(7), "0.4": one(None), LAYER_WISE: one(5)},
    }
    delay = {"preloads": {LAYER_WISE: {"chosen": {"t99.0": {"delay": 2, "first_at": 4, "sop": 40.0}}}}}
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "latency.json").write_text(json.dumps(latency))
    renew_index(tmp_path)
    assert not (tmp_path / "README.md").exists()
    marks = [f"<!-- generated by `make experiment`: {mark} -->" for mark in ("begin", "end")]
    (tmp_path / "README.md").write_text(f"head\n\n{marks[0]}\nold\n{marks[1]}\n\ntail\n")
    renew_index(tmp_path)
    row = "| [net](net/README.md) | t99.0 | 10 | 7 (-30 %, 0.5) | 5 (-50 %) | - | 100.0 | -30 % | -50 % | - |"
    text = (tmp_path / "README.md").read_text()
    assert row in text
    assert (text.startswith(f"head\n\n{marks[0]}\n"), text.endswith(f"{marks[1]}\n\ntail\n")) == (True, True)
    assert "old" not in text
    (tmp_path / "net" / "delay.json").write_text(json.dumps(delay))
    renew_index(tmp_path)
    assert "| 5 (-50 %) | 4 (-60 %, D = 2) | 100.0 | -30 % | -50 % | -60 % |" in (tmp_path / "README.md").read_text()


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs `experiment` in this process; returns exit status, standard output and standard error."""

    def call(*arguments: object) -> tuple[object, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["hillock", "experiment", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return call


def test_command(run, tmp_path):
    arguments = ("digits", "latency", "--images", 20, "--timesteps", 6, "--search-images", 5)
    code, out, _ = run(*arguments, "--folder", "pages", "--json")
    assert not code
    shown = json.loads(out)["latency"]
    assert shown == json.loads((tmp_path / "pages/digits/latency.json").read_text())
    assert shown["command"] == "hillock experiment digits latency --images 20 --timesteps 6 --search-images 5"
    page, figure = tmp_path / "pages/digits/README.md", tmp_path / "pages/digits/latency.svg"
    before = page.read_bytes(), figure.read_bytes()
    shutil.rmtree(tmp_path / "pages")
    code, out, _ = run(*arguments, "--folder", "pages")
    assert not code
    assert "Timesteps until a criterion is reached" in out
    assert (page.read_bytes(), figure.read_bytes()) == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("digits", "speed", "cots"), r"there is no 'speed': there are latency, cost, .*\n.*there is no 'cots'"),
        (("digits", "restored"), "'restored' is not for 'digits' so: it needs a network that gives back an image"),
        (("digits-autoencoder", "bits"), "'bits' is not for 'digits-autoencoder' so: it needs a network"),
        (("digits", "unseen", "--images", 445), "'unseen' is not for 'digits' so: .* fewer --images than"),
        (("digits", "--images", 446), "images must be from 1 to 445, those of digits, not 446"),
        (
            ("digits", "--timesteps", 0, "--images", 0),
            r"images must .* not 0\n.*timesteps must be from 1 to 65535, not 0",
        ),
        (("digits", "--percentile", 0), "percentile must be above 0 and at most 100, not 0"),
        (("digits", "--bits", "4,x"), "--bits: it must be integers with commas between them, not '4,x'"),
        (("digits", "--lanes", "x"), "lanes: it must be a number or two as 1..4, not 'x'"),
        (("digts",), "did you mean 'digits'"),
    ],
)
def test_what_is_wrong_is_said(run, arguments, text):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert re.search(text, err), err
    assert "Traceback" not in err


def test_a_model_without_its_float_network(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(MODELS / "digits", folder)
    (folder / "float.npz").unlink()
    with pytest.raises(HillockError, match=r"needs the float\.npz and model\.json that `train` or `convert` write"):
        open_setting(str(folder))
