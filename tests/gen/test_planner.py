"""The planner: as good as trying everything, as exact as the gateware, and clear about what does not fit."""

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hillock.gen.boards import Board, board
from hillock.gen.group_costs import GroupCosts
from hillock.gen.image import image_writes
from hillock.gen.pipeline import place_pipeline
from hillock.gen.plan_search import Candidate, candidates, estimate
from hillock.gen.planner import SHARE, Goal, PlanChoice, choose_plan, shares
from hillock.gen.relays import cuts_with_relays, relayed_trace
from hillock.gen.resources import Resources, predict
from hillock.gen.verilog import accelerator_verilog
from hillock.hw.problems import HillockError
from hillock.sim import golden, harness
from hillock.sim.compare import compare
from hillock.sim.network import INPUT, Connection, Convolution, Dense, Layer, Network, Shape
from hillock.sim.timing import Timeline, time_inferences
from random_networks import random_graph, random_input, random_network

BUILD = Path(__file__).resolve().parents[2] / "build" / "test-harness"
HUGE = Board(name="huge", device="any", lut=10**9, ff=10**9, bram=10**6, dsp=10**6, clock=100.0)


def chain(*sizes: int, timesteps: int = 10, weight: int = 30) -> Network:
    """Fully connected layers, each of which fires at about a third of its neurons in a timestep."""
    rng = np.random.default_rng(4)
    layers, source = [], INPUT
    for number, (inputs, neurons) in enumerate(itertools.pairwise(sizes)):
        weights = rng.integers(-weight, 2 * weight, (inputs, neurons))
        threshold = 16 * weight * inputs // 3 // 4 + 1
        connections = (Connection(source, Dense(weights)),)
        layers.append(
            Layer(
                name=f"layer{number}",
                shape=Shape(neurons),
                threshold=threshold,
                reset_amount=threshold,
                connections=connections,
            )
        )
        source = layers[-1].name
    return Network(name="chain", input=Shape(sizes[0]), layers=tuple(layers), timesteps=timesteps, potential_bits=20)


def images_network() -> Network:
    """12x12 pixels through a rate encoder, to 4 channels of 10x10, to 6 of 4x4, to 5 neurons."""
    rng = np.random.default_rng(5)
    shapes = (Shape(1, 12, 12), Shape(4, 10, 10), Shape(6, 4, 4), Shape(5))
    connections = (
        Connection("encoder", Convolution(rng.integers(-20, 60, (3, 3, 1, 4)))),
        Connection("layer1", Convolution(rng.integers(-20, 50, (2, 2, 4, 6))), pool=(2, 2)),
        Connection("layer2", Dense(rng.integers(-20, 40, (96, 5)))),
    )
    encoder = Layer(name="encoder", shape=shapes[0], threshold=255, reset_amount=255, current_from_image=True)
    others = (
        Layer(name=f"layer{at}", shape=shapes[at], threshold=1600, reset_amount=1600, connections=(connection,))
        for at, connection in enumerate(connections, 1)
    )
    return Network(name="images", input=shapes[0], layers=(encoder, *others), timesteps=6, potential_bits=20)


def traces_of(net: Network, count: int, seed: int = 0) -> list[golden.Trace]:
    rng = np.random.default_rng(seed)
    found: list[Any] = []
    while len(found) < count:
        given = random_input(rng, net)
        if net.image_input or any(given["events"]):
            found.append(golden.run(net, **given))
    return found


def cores_of(choice: PlanChoice) -> list[tuple[list[str], int]]:
    """(layers, lanes) of each core."""
    return [([layer.name for layer in core.network.layers], core.config.lanes) for core in choice.placement.cores]


# Is it the best?


def brute_force(net: Network, traces: list[golden.Trace], cores: int, lanes: int, goal: Goal) -> float:
    """The least cost of all: every cut, every number of lanes, with the layouts that `fit` chooses."""
    streamed = [*traces, traces[0]]
    costs = []
    for cuts in itertools.combinations(cuts_with_relays(net), cores - 1):
        for widths in itertools.product(range(1, lanes), repeat=cores):
            if sum(widths) <= lanes:
                pipeline = place_pipeline(net, cuts, widths).pipeline
                timelines = time_inferences(pipeline, [relayed_trace(one, pipeline.network) for one in streamed])
                interval = (timelines[-1].decision - timelines[0].decision) / len(traces)
                costs.append(interval * (1 if goal is Goal.SPEED else sum(widths)))
    return min(costs)


@pytest.mark.parametrize("goal", Goal)
@pytest.mark.parametrize(("cores", "lanes"), [(1, 9), (2, 9), (3, 9)])
@pytest.mark.parametrize("sizes", [(20, 16, 9, 6), (12, 30, 30, 5)])
def test_as_good_as_trying_everything(sizes, cores, lanes, goal):
    net = chain(*sizes)
    traces = traces_of(net, 2)
    choice = choose_plan(net, HUGE, traces, cores=(cores, cores), lanes=(cores, lanes), goal=goal)
    cost = choice.interval * (1 if goal is Goal.SPEED else choice.lanes)
    best = brute_force(net, traces, cores, lanes, goal)
    assert cost <= 1.01 * best
    assert len(choice.placement.cores) == cores
    assert choice.lanes <= lanes


def test_as_good_as_trying_everything_on_grids():
    net = images_network()
    traces = traces_of(net, 1)
    choice = choose_plan(net, HUGE, traces, cores=(2, 2), lanes=(2, 8))
    assert choice.interval <= 1.01 * brute_force(net, traces, 2, 8, Goal.SPEED)


def test_random_networks_within_a_few_cycles(seed):
    """Of networks that take some hundred cycles the estimate is not so good."""
    rng = np.random.default_rng(seed)
    tried = 0
    while tried < 6:
        net = random_network(rng, max_neurons=24) if tried % 2 else random_graph(rng, max_layers=4)
        if not cuts_with_relays(net):
            continue
        tried += 1
        traces = traces_of(net, 2, seed)
        choice = choose_plan(net, HUGE, traces, cores=(2, 2), lanes=(2, 6))
        assert choice.interval <= 1.1 * brute_force(net, traces, 2, 6, Goal.SPEED) + 10


@pytest.mark.parametrize("net", [chain(20, 40, 40, 12), images_network()], ids=["chain", "grids"])
def test_the_estimate_is_good(net):
    """Of any plan with hundreds of cycles in an image: within 3 %."""
    streamed = traces_of(net, 2) * 2
    found = candidates(GroupCosts(net, streamed), (1, 4), (1, 60))
    cycles = estimate(found, net.timesteps)
    for index in np.random.default_rng(0).choice(len(found), 40, replace=False).tolist():
        exact = np.diff([timeline.decision for timeline in times_of(net, found[index], streamed)]).mean()
        assert abs(cycles[index] / exact - 1) < 0.03


def times_of(net: Network, plan: Candidate, traces: list[golden.Trace]) -> list[Timeline]:
    placement = place_pipeline(net, plan.bounds[1:-1], plan.lanes_of_cores, layouts=plan.layouts)
    assert placement.configs == [group.config for group in plan.groups]
    return time_inferences(placement.pipeline, traces)


# Is it what the gateware does?


@pytest.mark.parametrize(
    ("net", "cores"), [(chain(20, 16, 12, 6), (3, 3)), (images_network(), (2, 2))], ids=["chain", "grids"]
)
def test_the_prediction_is_what_the_gateware_does(net, cores):
    """Every cycle of every inference of the recording, and the decisions."""
    traces = traces_of(net, 2)
    choice = choose_plan(net, board("ulx3s-85f"), traces, cores=cores, lanes=(cores[0], 16))
    placement = choice.placement
    program = harness.build(accelerator_verilog(placement.configs), placement.configs, BUILD)
    stimulus = harness.Stimulus()
    stimulus.write(placement.bus_writes())
    if net.image_input:
        rng = np.random.default_rng(0)
        for bank in range(2):
            stimulus.write(image_writes(random_input(rng, net)["image"], placement.cores[0], bank))
        stimulus.stream_images([np.zeros((0, 2), np.uint32)] * 3)
    else:
        events = [trace.events for trace in choice.traces]
        stimulus.stream_events(events, net.input, placement.configs[0])
    measured = list(program.run(stimulus).runs(placement.pipeline))
    for trace, got, timeline in zip(choice.traces, measured, choice.timelines, strict=True):
        found = compare(placement.pipeline, trace, got, timeline)
        assert found.equal, str(found.first)
    decisions = [got.decision_cycle for got in measured]
    assert choice.latency == decisions[0]
    assert choice.interval == (decisions[2] - decisions[0]) / 2
    assert choice.images_per_second == pytest.approx(75e6 / choice.interval)
    sop = (traces[0].sop + traces[1].sop) / 2
    assert choice.sop == sop
    assert choice.utilization == pytest.approx(sop / (choice.lanes * choice.interval))


def test_one_recorded_inference_is_enough():
    """It follows itself."""
    net = chain(20, 16, 12)
    (trace,) = traces_of(net, 1)
    choice = choose_plan(net, HUGE, [trace], cores=(2, 2), lanes=(2, 8))
    many = time_inferences(choice.placement.pipeline, [trace] * 4)
    assert choice.interval == many[1].decision - many[0].decision == many[3].decision - many[2].decision


# What a plan may be


def test_a_board_sets_the_limits():
    """Of smaller and smaller boards, plans are slower and slower, and always fit."""
    net = chain(40, 60, 60, 10)
    traces = traces_of(net, 2)
    plans = []
    for lut in (60_000, 30_000, 15_000, 8_000):
        here = replace(HUGE, lut=lut, ff=lut, bram=lut // 400)
        choice = choose_plan(net, here, traces)
        for _, needed, there in shares(sum(choice.resources, Resources()), here):
            assert needed <= there
        assert list(choice.resources) == [predict(config) for config in choice.placement.configs]
        plans.append(choice)
    assert all(slow.interval > fast.interval for fast, slow in itertools.pairwise(plans))
    assert all("the nearest plan that is faster needs" in choice.limits for choice in plans)


def test_what_limits():
    net = chain(40, 60, 10)
    traces = traces_of(net, 1)
    free = choose_plan(net, HUGE, traces, cores=(1, 1))
    assert free.limits == "core 0 (layer0, layer1), 60 lanes, is the slowest; more lanes would not make it faster"
    few = choose_plan(net, HUGE, traces, cores=(1, 1), lanes=(1, 21))
    assert few.limits == "core 0 (layer0, layer1), 20 lanes, is the slowest; no more than 21 lanes are allowed"
    lut = int(few.resources[0].lut / SHARE) + 2
    small = choose_plan(net, replace(HUGE, lut=lut), traces, cores=(1, 1))
    assert cores_of(small) == cores_of(few)
    pattern = (
        r"core 0 \(layer0, layer1\), 20 lanes, is the slowest; the nearest plan that is faster needs [\d,]+ LUTs, "
        rf"[\d,]+ more than the {int(lut * SHARE):,} that a plan may use"
    )
    assert re.fullmatch(pattern, small.limits)
    thrifty = choose_plan(net, HUGE, traces, cores=(2, 2), lanes=(2, 80), goal=Goal.EFFICIENCY)
    assert thrifty.limits.endswith("is the slowest; with more lanes, or fewer, they would be used less")


def test_the_most_images_for_each_lane():
    net = chain(40, 60, 10)
    traces = traces_of(net, 2)
    fast, thrifty = (choose_plan(net, HUGE, traces, cores=(1, 1), lanes=(8, 80), goal=goal) for goal in Goal)
    assert thrifty.utilization > fast.utilization
    assert thrifty.interval > fast.interval
    assert thrifty.lanes in (10, 12, 15, 20, 30)  # without an empty lane in the layer that has nearly all the work


def test_of_plans_as_good_as_each_other_it_is_the_smallest():
    """With 30 lanes for the first layer, the core of the second is as good with 4, 6 or 12: it has time enough."""
    net = chain(200, 60, 12)
    choice = choose_plan(net, HUGE, traces_of(net, 2), cores=(2, 2), lanes=(2, 45))
    assert cores_of(choice) == [(["layer0"], 30), (["layer1"], 4)]


@pytest.mark.parametrize(("cores", "lanes"), [((1, 1), (17, 17)), ((2, 2), (19, 19)), ((1, 1), (70, 70))])
def test_lanes_that_are_asked_for_and_of_no_use(cores, lanes):
    """With 16 + 12 neurons, 17 lanes do no more than 16; but 17 are asked for."""
    net = chain(20, 16, 12)
    choice = choose_plan(net, HUGE, traces_of(net, 1), cores=cores, lanes=lanes)
    assert choice.lanes == lanes[0]
    assert len(choice.placement.cores) == cores[0]


def test_a_network_that_cannot_be_cut():
    net = chain(20, 16)
    choice = choose_plan(net, HUGE, traces_of(net, 1))
    assert cores_of(choice) == [(["layer0"], 16)]


def test_static_input():
    rng = np.random.default_rng(1)
    net = random_graph(rng)
    while not (net.static_input and cuts_with_relays(net)):
        net = random_graph(rng)
    choice = choose_plan(net, HUGE, traces_of(net, 2), cores=(2, 2))
    assert choice.placement.configs[0].static_input == 1


# What cannot be


def refused(net: Network, where: Board = HUGE, count: int = 1, **options: Any) -> str:
    with pytest.raises(HillockError) as caught:
        choose_plan(net, where, traces_of(net, count), **options)
    return str(caught.value)


def test_a_network_that_no_board_holds():
    """1.2 million weights of 8 bits are 613 block RAMs, of which 4 bits of each 4.5 are used; the board has 208.

    The last words of the synapse memory may be a bank of few, which go into LUT RAM.
    """
    large, out = Dense(np.ones((784, 1600), int)), Dense(np.ones((1600, 4), int))
    layers = (
        Layer(name="large", shape=Shape(1600), threshold=999, connections=(Connection(INPUT, large),)),
        Layer(name="out", shape=Shape(4), threshold=999, connections=(Connection("large", out),)),
    )
    net = Network(name="n", input=Shape(784), layers=layers, timesteps=1)
    text = refused(net, board("ulx3s-85f"))
    assert re.fullmatch(
        r"network 'n' on ulx3s-85f \(LFE5U-85F\): no plan of 1 to 4 cores with 1 to 512 lanes altogether fits; the "
        r"smallest needs 6\d\d block RAMs, (39|4\d)\d more than the 208 that a plan may use\. Layer 'large' has most "
        r"weights, 1,254,400 of 8 bits: use fewer bits, make it smaller, or take a larger board",
        text,
    )


def test_a_board_that_is_too_small_in_several_ways():
    text = refused(chain(20, 16), replace(HUGE, lut=100, ff=100), cores=(1, 1))
    assert re.search(r"needs [\d,]+ LUTs, [\d,]+ more than the 85 that a plan may use, [\d,]+ flip-flops, ", text)


HEAD = "plan for network 'chain': "


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"count": 0}, "recorded inferences are needed, at least one"),
        ({"cores": (0, 2)}, "cores must be from 1 to 4, the smaller number first, not from 0 to 2"),
        ({"cores": (1, 5)}, "cores must be from 1 to 4, the smaller number first, not from 1 to 5"),
        ({"cores": (3, 2)}, "cores must be from 1 to 4, the smaller number first, not from 3 to 2"),
        ({"lanes": (9, 8)}, "lanes must be from 1 to 512, the smaller number first, not from 9 to 8"),
        ({"lanes": (1, 513)}, "lanes must be from 1 to 512, the smaller number first, not from 1 to 513"),
        (
            {"cores": (3, 4)},
            "3 cores are asked for, and it can be cut into 2 parts at most: a core may begin with 'layer1'",
        ),
        ({"cores": (2, 2), "lanes": (1, 1)}, "2 cores need a lane each, and 1 are allowed: allow more lanes"),
    ],
)
def test_what_cannot_be_asked_for(options, text):
    assert refused(chain(20, 16, 12), **options) == HEAD + text


def test_all_that_is_wrong_is_said_together():
    text = refused(chain(20, 16), cores=(2, 9), lanes=(0, 1))
    assert text.startswith("plan for network 'chain': 2 problems\n")
    text = refused(chain(20, 16), cores=(2, 2), lanes=(1, 1))
    assert text.startswith("plan for network 'chain': 2 problems\n")
    assert "it can be cut into 1 part at most: no layer may begin a core, since events pass all of them" in text


def test_too_many_lanes_for_so_few_cores():
    text = (
        "network 'chain' on huge (any): no core can hold it in a plan of 1 core with 200 to 300 lanes "
        "altogether: allow other numbers of cores or lanes"
    )
    assert refused(chain(20, 16, 12), cores=(1, 1), lanes=(200, 300)) == text
