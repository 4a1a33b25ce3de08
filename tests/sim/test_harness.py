"""The compiled gateware against the golden model and the cycle contract: random networks, one after another."""

from dataclasses import replace

import numpy as np
import pytest

from compiled_cores import BUILD, busy_placement, compiled, load, measured, put
from gateware import at, word_at
from hillock.gen.image import encode, image_writes, memory_init
from hillock.gen.verilog import core_verilog
from hillock.hw.registers import RECORD_SLICES
from hillock.sim import golden, harness
from hillock.sim.compare import Comparison, compare
from hillock.sim.harness import Stimulus
from hillock.sim.stimulus import check_events
from hillock.sim.timing import time_inference, time_inferences
from random_cores import CORES, random_placement
from random_networks import random_input

GRAPHS = {"columns": 250, "wide": 100, "narrow": 100, "dense": 0}
CHAINS = {"columns": 30, "wide": 30, "narrow": 30, "dense": 60}
FREE = (0, 0)


def read(stimulus: Stimulus, *names: str) -> None:
    for name in names:
        stimulus.read(at(name))


def random_stalls(rng: np.random.Generator) -> tuple[int, int]:
    """Chances in 256 to hold back the input and the output."""
    return int(rng.integers(1, 230)), int(rng.integers(1, 230))


def require_activity(total: Comparison, inferences: int, neurons: int, fired: int) -> None:
    """A run in which nothing was compared, or nothing happened, has not shown anything."""
    assert total.equal
    assert total.inferences == inferences
    assert total.spikes_compared == total.potentials_compared == neurons
    assert total.results_compared == 2 * inferences
    assert fired > 10 * inferences


@pytest.mark.parametrize("name", CORES)
def test_random_networks_back_to_back(name, seed):
    """All in one run of the program, each freely with every cycle compared, and with stalls at both ends."""
    stimulus, jobs = Stimulus(), []
    for n in range(GRAPHS[name] + CHAINS[name]):
        rng = np.random.default_rng([seed, n])
        placement = random_placement(rng, CORES[name], graph=n < GRAPHS[name])
        load(stimulus, placement)
        for stalls in (FREE, random_stalls(rng)):
            stimulus.stall(n, *stalls)
            given = random_input(rng, placement.network)
            put(stimulus, placement, **given)
            read(stimulus, "decision", "cycles", "error")
            jobs.append((n, placement, given, stalls))
    items = compiled(name).run(stimulus).items
    assert len(items) == 4 * len(jobs)

    total, held_back, fired, neurons = Comparison(), 0, 0, 0
    for index, (number, placement, given, stalls) in enumerate(jobs):
        item, decision, cycles, error = items[4 * index : 4 * index + 4]
        plan, network = placement.plan, placement.network
        (got,), trace = measured(item, plan), golden.run(network, **given)
        timeline = time_inference(plan, trace)
        one = compare(plan, trace, got, timeline if stalls == FREE else None)
        assert one.equal, f"network {number}, stalls {stalls}: {one.first}"
        assert (decision, error) == (trace.decision, 0), f"network {number}: registers decision and error"
        if stalls == FREE:
            assert cycles == timeline.decision, f"network {number}: register cycles"
            assert one.cycles_compared == network.timesteps * len(network.layers) + len(timeline.output) + 1
        else:
            assert got.decision_cycle >= timeline.decision
            held_back += got.decision_cycle > timeline.decision
        total.add(one)
        fired += sum(int(part.spikes.sum()) for part in trace.layers)
        neurons += network.timesteps * sum(layer.neurons for layer in network.layers)

    require_activity(total, len(jobs), neurons, fired)
    assert held_back > len(jobs) // 8  # of the half with stalls; else nothing was stalled
    networks = [placement.network for _, placement, _, _ in jobs]
    assert {network.image_input for network in networks} == {False, True}
    if GRAPHS[name]:
        assert any(layer.graded for network in networks for layer in network.layers) or name == "wide"
        assert any(network.static_input for network in networks) == (name != "wide")
        assert any(where.is_kept for _, placement, _, _ in jobs for where in placement.layers)
        assert any(where.layout.columns > 1 for _, placement, _, _ in jobs for where in placement.layers) == (
            name == "columns"
        )


@pytest.mark.parametrize("name", ["columns", "dense"])
def test_inferences_in_a_row(name, seed):
    """Events on offer long before, and images loaded while another runs: each begins at once, to the cycle."""
    stimulus, jobs = Stimulus(), []
    config = CORES[name]
    for n in range(40):
        rng = np.random.default_rng([seed, n])
        placement = random_placement(rng, config, graph=name == "columns" and n % 2 == 0)
        network = placement.network
        load(stimulus, placement)
        given = [random_input(rng, network) for _ in range(4)]
        traces = [golden.run(network, **one) for one in given]
        if network.image_input:
            stimulus.stream_images([image_writes(one["image"], placement, k % 2) for k, one in enumerate(given)])
        else:
            stimulus.stream_events([trace.events for trace in traces], network.input, config)
        read(stimulus, "error")
        jobs.append((n, placement, traces))
    items = compiled(name).run(stimulus).items
    total, on_time, fired = Comparison(), 0, 0
    for (number, placement, traces), item, error in zip(jobs, items[::2], items[1::2], strict=True):
        assert error == 0
        timelines = time_inferences(placement.plan, traces)
        results = measured(item, placement.plan)
        assert len(results) == len(traces)
        for trace, got, timeline in zip(traces, results, timelines, strict=True):
            # An image that takes long to load may begin late, but never early.
            loads = placement.network.image_input and got.decision_cycle != timeline.decision
            one = compare(placement.plan, trace, got, None if loads else timeline)
            assert one.equal, f"network {number}: {one.first}"
            assert got.decision_cycle >= timeline.decision
            on_time += not loads
            total.add(one)
            fired += sum(int(part.spikes.sum()) for part in trace.layers)
    assert on_time > total.inferences // 2
    assert total.inferences == 4 * 40
    assert fired > 1000


def test_memories_that_are_initialised_from_images_hold_what_the_bus_would_load():
    """The same network loaded over the bus, and in the Verilog of a core: the same in every word and every cycle."""
    placement, given, trace = busy_placement("dense")
    config, images, network = placement.config, encode(placement), placement.network

    def run_and_look(stimulus: Stimulus) -> Stimulus:
        put(stimulus, placement, **given)
        read(stimulus, "layers", "input_mode", "input_channels", "input_grid", "timesteps", "delay", "decision_mode")
        read(stimulus, "outputs", "image_words")
        parts = {"layers": RECORD_SLICES["layers"], "synapses": config.lanes, "currents": config.lanes}
        for memory, count in parts.items():
            for index in range(len(images[memory].data)):
                for part in range(count):
                    stimulus.read(word_at(memory, index, part, config))
        return stimulus

    initialised = harness.build(core_verilog(config, memory_init(images)), config, BUILD).run(run_and_look(Stimulus()))
    loading = Stimulus()
    load(loading, placement)
    loaded = compiled("dense").run(run_and_look(loading))
    assert np.array_equal(initialised.items[0], loaded.items[0])
    assert initialised.reads() == loaded.reads()
    words = len(images["synapses"].data) + len(images["currents"].data)
    records = RECORD_SLICES["layers"] * len(network.layers)
    assert len(loaded.reads()) == 9 + records + config.lanes * words
    assert loaded.reads()[:9] == images["registers"].words()

    (got,) = measured(initialised.items[0], placement.plan)
    one = compare(placement.plan, trace, got, time_inference(placement.plan, trace))
    assert one.equal, str(one.first)


def test_events_beyond_the_grid_are_dropped():
    """And said so; what is left of the input is what counts."""
    placement, given, trace = busy_placement("dense")
    network = placement.network
    events = check_events(network, given["events"])
    beyond = [[(network.inputs, 1), *step] for step in events]
    stimulus = Stimulus()
    load(stimulus, placement)
    stimulus.run_events(beyond, replace(network.input, channels=network.inputs + 1), placement.config)
    read(stimulus, "error", "error")
    item, error, again = compiled("dense").run(stimulus).items
    (got,) = measured(item, placement.plan)
    assert compare(placement.plan, trace, got, None).equal
    assert error == again == 1  # input_address


def test_a_stimulus_that_does_nothing():
    result = compiled("dense").run(Stimulus())
    assert (result.items, result.cycles) == ([], 2)  # the cycles of the reset
