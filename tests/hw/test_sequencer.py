"""The sequencer with decoder and walker, cycle by cycle: what comes after what, the gaps in between, and the waits."""

import itertools
import random
from dataclasses import replace

import pytest

from gateware import put, simulate
from hillock.hw.neuron_array import NeuronArray
from hillock.hw.sequencer import Sequencer
from sequencer_model import ONE, Connection, Layer, Walks, config_of, infer

CONFIG = config_of()
TABLES = config_of(max_height=5, max_width=5, row_entries=5, column_entries=5, static_input=1)
PASSES_ON = config_of(passes_on=1)
INPUT, SPIKES = "inputs", "spikes"
CHAIN = [Layer(3, (Connection(INPUT, 3, 100),)), Layer(2, (Connection(SPIKES, 2, 7),), is_output=True)]
RESIDUAL = [
    Layer(2, (Connection(INPUT, 2),)),
    Layer(4, (Connection(SPIKES, 1, 9),)),
    Layer(1, (Connection(SPIKES, 1, 50), Connection(SPIKES, 3, 90, replays=True))),
    Layer(2),
    Layer(3, (Connection(SPIKES, 3, 3, replays=True), Connection(SPIKES, 1, 200, replays=True)), is_output=True),
]
NETWORKS = {
    "chain": (CHAIN, {}),
    "one_layer": ([Layer(1, (Connection(INPUT, 1, 20),), is_output=True, change=5)], {}),
    "one_wide_layer": ([Layer(9, (Connection(INPUT, 9),), is_output=True)], {}),
    "two_connections_of_one_layer": ([Layer(2, (Connection(INPUT, 2), Connection(SPIKES, 1)), True, 4)], {}),
    "quick": ([Layer(1, (Connection(INPUT, 1),), True, change=2)], {}),
    "image": (
        [Layer(2), Layer(3, (Connection(SPIKES, 3),)), Layer(2, (Connection(SPIKES, 2),), True)],
        {"image": True},
    ),
    "image_of_one_layer": ([Layer(2, is_output=True, change=4)], {"image": True}),
    "residual": (RESIDUAL, {}),
    "static": ([*CHAIN[:1], Layer(1, (Connection(SPIKES, 1, 9, replays=True),), True)], {"static": True}),
    "static_of_one_layer": ([Layer(2, (Connection(INPUT, 2, 77),), True, change=4)], {"static": True}),
}


def random_tokens(rng):
    """Events at random places, some or none."""
    return [(rng.randrange(5), rng.randrange(5), rng.randrange(40)) for _ in range(rng.choice([0, 0, 1, 2, 7]))]


def cases():
    for name, (_, options) in NETWORKS.items():
        for config in (CONFIG, TABLES, PASSES_ON):
            if config.static_input or not options.get("static"):
                kind = {CONFIG: "plain", TABLES: "tables", PASSES_ON: "passes_on"}[config]
                yield pytest.param(name, config, id=f"{name}-{kind}")


@pytest.mark.parametrize(("network", "config"), list(cases()))
@pytest.mark.parametrize(("stalls", "blocked"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.8), (0.6, 0.6)])
def test_every_cycle_of_random_inferences(network, config, stalls, blocked, seed):
    rng = random.Random(f"{seed} {network} {config} {stalls} {blocked}")
    layers, options = NETWORKS[network]
    if network == "quick":
        config = replace(config, **ONE)
    performed = infer(
        config, layers, lambda: random_tokens(rng), rng.randint(1, 4), rng, stalls=stalls, blocked=blocked,
        loaded=rng.random() < 0.5, **options,
    )  # fmt: skip
    assert performed


def gaps(performed):
    """Idle cycles between operations, where there are any."""
    return [later - earlier - 1 for earlier, later in itertools.pairwise(performed) if later > earlier + 1]


def test_walks_follow_each_other_without_a_gap(seed):
    """Preload of both layers, then events and marker of each: only changes of the layer cost cycles."""
    performed = infer(CONFIG, CHAIN, lambda: [(0, 0, 3), (0, 0, 6)], 2, random.Random(seed))
    assert len(performed) == (3 + 2) + 2 * (3 * 3 + 2 * 3)
    assert gaps(performed) == [Sequencer.CHANGE] * 5


@pytest.mark.parametrize("change", [2, 3, 4, 5])
def test_the_record_says_how_long_a_change_takes(change, seed):
    layer = Layer(1, (Connection(INPUT, 1),), is_output=True, change=change)
    config = replace(CONFIG, **ONE) if change == 2 else CONFIG
    performed = infer(config, [layer], lambda: [(0, 0, 1)], 3, random.Random(seed))
    assert gaps(performed) == [change] * 3


def test_a_connection_more_costs_a_change(seed):
    """Its tokens are taken behind the marker of the one before."""
    layers = [Layer(4, (Connection(INPUT, 4), Connection(SPIKES, 4)), is_output=True)]
    performed = infer(CONFIG, layers, lambda: [(0, 0, 1)], 1, random.Random(seed))
    assert gaps(performed) == [Sequencer.CHANGE, Sequencer.CHANGE]  # after the preload, and between the two events
    assert len(performed) == 4 * 4


def test_an_image_needs_no_input(seed):
    """The encoder makes one marker in each timestep; the layer behind it walks its events and the marker."""
    layers = [Layer(2), Layer(2, (Connection(SPIKES, 2),), is_output=True)]
    performed = infer(CONFIG, layers, lambda: [(0, 0, 1)], 2, random.Random(seed), image=True)
    assert len(performed) == (2 + 2) + 2 * (2 + 4)
    assert gaps(performed) == [Sequencer.CHANGE] * 5


def test_changes_keep_clear_of_what_the_array_writes_late():
    """After a marker no INTEGRATE may come `WRITE_STAGE - ADD_STAGE` cycles later; after LOAD comes the same word."""
    assert Sequencer.CHANGE + 1 > NeuronArray.WRITE_STAGE - NeuronArray.ADD_STAGE
    assert Sequencer.CHANGE_SAME + 1 == NeuronArray.WRITE_STAGE + 1


def test_an_image_begins_with_start_only():
    """Input words in image mode begin nothing, nor does `start` without an image."""
    dut = Walks(CONFIG, CHAIN, loaded=False)

    async def bench(ctx):
        put(ctx, dut.sequencer, layer_count=2, timesteps=1)
        for image in (1, 0):
            put(ctx, dut.sequencer, image=image, start=not image)
            put(ctx, dut.sequencer.inputs, valid=image)
            for _ in range(5):
                _, _, begin, idle = await ctx.tick().sample(dut.sequencer.begin, dut.sequencer.idle)
                assert (begin, idle) == (0, 1)

    simulate(dut, bench)


def test_while_idle_it_shows_the_record_that_the_bus_inspects(seed):
    """Three cycles later."""
    rng = random.Random(seed)
    dut = Walks(CONFIG, RESIDUAL, loaded=False)

    async def bench(ctx):
        inspected = []
        for cycle in range(40):
            inspected.append(rng.randrange(len(RESIDUAL)))
            put(ctx, dut.sequencer, inspected_layer=inspected[-1])
            *_, descriptor = await ctx.tick().sample(dut.sequencer.descriptor)
            if cycle >= 3:
                assert descriptor.as_bits() == dut.records["layer"][inspected[cycle - 3]]

    simulate(dut, bench)
