"""The command `plan`: the table and the JSON, which say the same, and what is said where there is no plan."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from hillock.gen import cli, planner
from hillock.gen.boards import BOARDS, board
from hillock.gen.datasets import digits
from hillock.gen.models import MODELS, load_model
from hillock.gen.pipeline import PipelinePlacement, place_pipeline
from hillock.gen.plan_tables import plan_dict
from hillock.gen.planner import SHARE
from hillock.gen.relays import relayed_trace
from hillock.gen.resources import predict
from hillock.gen.simulate import inference_of
from hillock.sim import golden
from hillock.sim.timing import time_inferences

SMALL = ("--images", 2, "--cores", 2, "--lanes", "2..9")
NAMES = sorted(path.stem for path in BOARDS.glob("*.toml"))
HEADINGS = ["core", "layers", "lanes", "LUTs", "flops", "RAMs", "pliers"]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs `plan` in this process, in 80 columns; returns exit status, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr(sys, "argv", ["hillock", "plan", "--folder", str(tmp_path), *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        code = caught.value.code
        assert isinstance(code, int | None)
        return code or 0, captured.out, captured.err

    return call


@pytest.fixture
def figures(run):
    """Runs `plan --json`; returns the figures."""

    def call(*arguments: object) -> dict[str, Any]:
        code, out, err = run(*arguments, "--json")
        assert (code, err) == (0, "")
        plan: dict[str, Any] = json.loads(out)
        return plan

    return call


def rebuilt(plan: dict[str, Any]) -> PipelinePlacement:
    """The pipeline of a plan, from its figures alone."""
    network = load_model(plan["network"]).network
    own = [layer.name for layer in network.layers]
    layers = [[name for name in core["layers"] if name in own] for core in plan["cores"]]
    layouts = {name: tuple(layout) for core in plan["cores"] for name, layout in core["layouts"].items()}
    return place_pipeline(
        network,
        [own.index(names[0]) for names in layers[1:]],
        [core["lanes"] for core in plan["cores"]],
        layouts=layouts,
    )


# What a plan says


@pytest.mark.parametrize("model", ["digits", "digits-residual"])
def test_the_figures_are_those_of_the_pipeline_that_they_describe(figures, model):
    """The residual network has a relay on its second core, and none where it is not cut."""
    plan = figures(model, *SMALL)
    placement = rebuilt(plan)
    network = load_model(model).network
    streamed = [golden.run(network, **inference_of(network, digits().test_images[image])) for image in (0, 1, 0)]
    times = time_inferences(
        placement.pipeline, [relayed_trace(trace, placement.pipeline.network) for trace in streamed]
    )
    assert plan["cycles_first_image"] == times[0].decision
    assert plan["interval"] == (times[2].decision - times[0].decision) / 2
    assert plan["images_recorded"] == 2
    assert plan["images_per_second"] == pytest.approx(75e6 / plan["interval"], abs=0.1)
    assert [core["resources"] for core in plan["cores"]] == [vars(predict(config)) for config in placement.configs]
    assert [core["layers"] for core in plan["cores"]] == [
        [layer.name for layer in core.network.layers] for core in placement.cores
    ]
    assert plan["lanes"] == sum(core["lanes"] for core in plan["cores"]) <= 9
    relayed = [relayed_trace(trace, placement.pipeline.network).sop for trace in streamed[:2]]
    used = sum(relayed) / 2 / (plan["lanes"] * plan["interval"])
    assert plan["lane_utilization"] == pytest.approx(used, abs=1e-4)
    assert (plan["board"], plan["goal"], plan["clock"]) == ("ulx3s-85f", "speed", 75)


def test_the_plan_is_kept_and_the_same_each_time(figures, tmp_path):
    plan = figures(*SMALL)
    path = tmp_path / "digits" / "plan.json"
    text = path.read_text()
    assert json.loads(text) == plan
    assert figures("digits", *SMALL) == plan
    assert path.read_text() == text


@pytest.fixture
def both(run, figures):
    """Table and figures of one plan: (lines of the table, figures)."""

    def call(*arguments: object) -> tuple[list[str], dict[str, Any]]:
        plan = figures(*arguments)
        code, out, err = run(*arguments)
        assert (code, err) == (0, "")
        lines = [line.rstrip() for line in out.splitlines()]
        assert max(map(len, lines[:-1])) <= 80  # the last one names a file, however long
        return lines, plan

    return call


def test_the_table_says_what_the_figures_say(both, tmp_path):
    lines, plan = both("digits", *SMALL)
    assert lines[0].strip() == "digits on ulx3s-85f (LFE5U-85F), for speed"
    assert next(line for line in lines if "core" in line).split() == HEADINGS
    for number, core in enumerate(plan["cores"]):
        counts = [core["lanes"], *core["resources"].values()]
        row = " ".join([str(number), ", ".join(core["layers"]), *(f"{count:,}" for count in counts)])
        assert row in [" ".join(line.split()) for line in lines]
    sums = [sum(core["resources"][name] for core in plan["cores"]) for name in ("lut", "ff", "bram", "dsp")]
    counted = f"all, of what may be {plan['lanes']} " + " ".join(f"{count:,}" for count in sums)
    assert counted in [" ".join(line.split()) for line in lines]
    assert "used of 71,094 of 71,094 of 208 of 156" in [" ".join(line.split()) for line in lines]
    text = " ".join(" ".join(lines).split())
    assert (
        f"First image {plan['cycles_first_image']:,} cycles, then one every {plan['interval']:,.0f}, lane utilization "
        f"{plan['lane_utilization']:.3f}: exact for 2 recorded images. {plan['images_per_second']:,.1f} images a "
        f"second at 75 MHz; clock and resources are estimates. Limit: {plan['limits']}."
    ) in text
    assert lines[-1] == f"written: {tmp_path / 'digits' / 'plan.json'}"


def test_names_stay_whole_in_the_table(both):
    lines, plan = both("digits-residual", "--images", 1, "--cores", 2, "--lanes", "2..6")
    names = [name for core in plan["cores"] for name in core["layers"]]
    assert any(name.endswith("_relay") for name in names)
    table = "\n".join(lines[: next(at for at, line in enumerate(lines) if line.startswith("First image"))])
    assert [name for name in names if not re.search(rf"\b{name}\b", table)] == []
    assert "exact for 1 recorded image." in " ".join(" ".join(lines).split())


# What limits, and what is asked for


def test_what_limits_names_the_layers_of_the_plan(figures):
    """No relay that is not in it."""
    plan = figures("digits-residual", *SMALL)
    found = re.match(r"core (\d) \((.*?)\), (\d+) lanes, is the slowest; no more than 9 lanes", plan["limits"])
    assert found
    core = plan["cores"][int(found[1])]
    assert (found[2].split(", "), int(found[3])) == (core["layers"], core["lanes"])


def test_a_core_that_is_as_wide_as_cores_are(figures):
    plan = figures("digits", "--images", 1, "--cores", 1)
    assert plan["limits"] == "core 0 (encoder, hidden, output), 128 lanes, is the slowest; no core has more lanes"


def test_a_smaller_board_limits(figures):
    plan = figures("digits", "--images", 1, "--cores", 1, "--board", "ulx3s-25f")
    assert re.fullmatch(
        r"core 0 \(encoder, hidden, output\), \d+ lanes, is the slowest; the nearest plan that is faster needs [\d,]+ "
        r"LUTs, [\d,]+ more than the 20,644 that a plan may use",
        plan["limits"],
    )
    assert plan["cores"][0]["resources"]["lut"] <= int(board("ulx3s-25f").lut * SHARE) == 20644


def test_more_for_each_lane(figures):
    options = ("digits", "--images", 1, "--cores", 1, "--lanes", "4..60")
    fast, thrifty = (figures(*options, "--goal", goal) for goal in ("speed", "efficiency"))
    assert (fast["goal"], thrifty["goal"]) == ("speed", "efficiency")
    assert thrifty["lane_utilization"] > fast["lane_utilization"]
    assert thrifty["interval"] > fast["interval"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((), ((1, planner.MAX_CORES), (1, planner.MAX_LANES))),
        (("--cores", "3", "--lanes", "70"), ((3, 3), (70, 70))),
        (("--cores", "2..4", "--lanes", "64..160"), ((2, 4), (64, 160))),
    ],
)
def test_how_numbers_are_given(run, monkeypatch, given, wanted):
    asked = {}

    def note(*arguments, **options):
        asked.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(planner, "choose_plan", note)
    assert run("--images", 1, *given)[0] == 130
    assert (asked["cores"], asked["lanes"]) == wanted


def test_one_that_was_chosen_in_python(figures):
    """The figures are those of `plan_dict`, whoever chose the plan."""
    network = load_model("digits").network
    traces = [golden.run(network, **inference_of(network, image)) for image in digits().test_images[:2]]
    choice = planner.choose_plan(network, board("ulx3s-85f"), traces, cores=(2, 2), lanes=(2, 9))
    assert plan_dict(choice) == figures("digits", *SMALL)


# What cannot be: status 2, one message, and nothing on standard output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            "--board ulx3s",
            f"board: it must be one of {', '.join(NAMES)}, or the path of a "
            "file that ends in .toml, not 'ulx3s'; did you mean 'ulx3s-85f'?",
        ),
        ("--cores x", "cores: it must be a number or two as 1..4, not 'x'"),
        ("--cores 0", "cores: it must be a number or two as 1..4, not '0'"),
        ("--cores ²", "cores: it must be a number or two as 1..4, not '²'"),
        ("--cores 1..", "cores: it must be a number or two as 1..4, not '1..'"),
        ("--lanes 1..2..3", "lanes: it must be a number or two as 1..4, not '1..2..3'"),
        ("--lanes -8", "lanes: it must be a number or two as 1..4, not '-8'"),
        (
            "--cores 2..1",
            "plan for network 'digits': cores must be from 1 to 4, the smaller number first, not from 2 to 1",
        ),
        (
            "--cores 5",
            "plan for network 'digits': cores must be from 1 to 4, the smaller number first, not from 5 to 5",
        ),
        (
            "--lanes 9..8",
            "plan for network 'digits': lanes must be from 1 to 512, the smaller number first, not from 9 to 8",
        ),
        (
            "--cores 4",
            "plan for network 'digits': 4 cores are asked for, and it can be cut into 3 parts at most: a core may "
            "begin with 'hidden', 'output'",
        ),
        (
            "--cores 3 --lanes 2",
            "plan for network 'digits': 3 cores need a lane each, and 2 are allowed: allow more lanes",
        ),
    ],
)
def test_what_cannot_be_asked_for(run, tmp_path, arguments, text):
    assert run("digits", "--images", 1, *arguments.split()) == (2, "", f"hillock: {text}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("images", [0, 446])
def test_a_number_of_images_that_there_are_not(run, images):
    text = f"images must be from 1 to 445, as many as digits holds out, not {images}"
    assert run("digits", "--images", images) == (2, "", f"hillock: {text}\n")


def test_a_model_that_is_not_there(run):
    code, out, err = run("digit")
    assert (code, out) == (2, "")
    assert err.startswith("hillock: model 'digit': must be one of digits, ")
    assert err.endswith("; did you mean 'digits'?\n")


def test_a_goal_that_there_is_not(run):
    code, out, err = run("--goal", "fast")
    assert (code, out) == (2, "")
    assert "Usage:" in err


def test_more_lanes_than_the_board_has_room_for(run):
    code, out, err = run("--images", 1, "--board", "ulx3s-25f", "--cores", 1, "--lanes", 128)
    assert (code, out) == (2, "")
    found = re.fullmatch(
        r"hillock: network 'digits' on ulx3s-25f \(LFE5U-25F\): no plan of 1 core with 128 lanes "
        r"altogether fits; the smallest needs ([\d,]+) LUTs, ([\d,]+) more than the 20,644 that a plan may use, "
        r"([\d,]+) flip-flops, ([\d,]+) more than the 20,644 that a plan may use\. Layer 'hidden' has most weights, "
        r"8,192 of 8 bits: allow fewer lanes or cores, use fewer bits, make it smaller, or take a larger board\n",
        err,
    )
    assert found
    lut, missing, ff, missing_ff = (int(group.replace(",", "")) for group in found.groups())
    assert (lut - missing, ff - missing_ff) == (20644, 20644)


def test_a_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "digits").write_text("")
    code, out, err = run("digits", "--images", 1, "--cores", 1, "--lanes", 4)
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"hillock: {re.escape(str(tmp_path))}/digits/plan\.json cannot be written \(.*\)\n", err)


def test_a_folder_of_the_same_name_hides_no_model(run, monkeypatch, tmp_path):
    """Such as the one that an earlier plan was written to."""
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run("digits", "--images", 1, "--cores", 1, "--lanes", 4)[0] == 0


def test_a_model_in_a_folder(figures, tmp_path):
    shutil.copytree(MODELS / "digits", tmp_path / "mine")
    plan = figures(tmp_path / "mine", "--images", 1, "--cores", 1, "--lanes", 4)
    assert plan == figures("digits", "--images", 1, "--cores", 1, "--lanes", 4)
    assert Path(tmp_path / "digits" / "plan.json").is_file()
