"""Pipelines of compiled cores: every cut, streamed inferences, short queues, images in two banks, one-word cores.

The gateware of a few accelerators is compiled once; networks are loaded over the bus, one after another.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateware import ERROR_BITS, at
from hillock.gen.image import image_writes
from hillock.gen.mapping import place
from hillock.gen.partition import partition
from hillock.gen.pipeline import PipelinePlacement
from hillock.gen.relays import cuts_with_relays, with_relays
from hillock.gen.verilog import accelerator_verilog
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.hw.registers import BUS_ADDRESS_BITS
from hillock.sim import golden, harness
from hillock.sim.compare import Comparison, compare
from hillock.sim.harness import Harness, Stimulus
from hillock.sim.measured import measured_runs
from hillock.sim.network import Decision, Network
from hillock.sim.plan import Pipeline
from hillock.sim.timing import Timeline, time_inferences
from hillock.sim.token_stream import TokenStream
from random_networks import random_graph, random_input, random_network

BUILD = Path(__file__).resolve().parents[2] / "build" / "test-harness"
STREAMED = 3
"""Inferences of a network that follow each other at once."""

HOST = 40
"""Cycles in which the host certainly sees that an image has begun, and starts the next."""

GRID = CoreConfig(
    lanes=5,
    payload_bits=4,
    max_layers=8,
    max_connections=16,
    max_channels=64,
    max_height=16,
    max_width=16,
    columns_per_word=5,
    potential_words=1024,
    synapse_words=4096,
    current_words=1024,
    queue_words=256,
    replay_words=512,
    row_entries=128,
    column_entries=128,
    channel_entries=64,
    static_input=1,
    image_banks=2,
    passes_on=1,
    classes=64,
)
LATER = replace(GRID, static_input=0, image_banks=1)
ONE_WORD = CoreConfig(
    lanes=12,
    max_layers=1,
    max_connections=1,
    max_channels=64,
    potential_words=1,
    synapse_words=64,
    current_words=2,
    queue_words=1,
    classes=16,
    image_banks=2,
    input_queue=4,
)
DENSE = CoreConfig(
    lanes=3,
    max_layers=3,
    max_connections=3,
    max_channels=64,
    potential_words=64,
    synapse_words=1024,
    current_words=64,
    queue_words=16,
    passes_on=1,
    input_queue=4,
)
ACCELERATORS = {
    "two": (GRID, replace(LATER, lanes=3, columns_per_word=3, passes_on=0, input_queue=32)),
    "three": (
        replace(GRID, input_queue=4),
        replace(LATER, lanes=7, columns_per_word=7, input_queue=4),
        replace(LATER, lanes=3, columns_per_word=1, passes_on=0, input_queue=4),
    ),
    "one word": (replace(ONE_WORD, passes_on=1), DENSE, replace(ONE_WORD, image_banks=1)),
    "alone": (ONE_WORD,),
    "alone, with more": (
        replace(
            ONE_WORD,
            payload_bits=3,
            leak_shift_bits=2,
            max_connections=2,
            max_height=4,
            max_width=4,
            columns_per_word=4,
            synapse_words=128,
            row_entries=8,
            column_entries=8,
            channel_entries=16,
            static_input=1,
        ),
    ),
}


@pytest.fixture(scope="module")
def programs() -> Iterator[dict[str, Harness]]:
    """Compiled when first asked for. They call it a deadlock a hundred times sooner than others do."""
    text = harness._SOURCE.read_text()
    assert text.count("PATIENCE = 10'000'000;") == 1
    impatient = BUILD / "impatient" / harness._SOURCE.name
    impatient.parent.mkdir(parents=True, exist_ok=True)
    impatient.write_text(text.replace("PATIENCE = 10'000'000;", "PATIENCE = 100'000;"))

    class Programs(dict[str, Harness]):
        def __missing__(self, name: str) -> Harness:
            configs = ACCELERATORS[name]
            self[name] = harness.build(accelerator_verilog(configs), configs, BUILD)
            return self[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness, "_SOURCE", impatient)
        yield Programs()


# Networks


def placed(network: Network, cuts: Sequence[int], name: str) -> PipelinePlacement | None:
    """The network, cut there, on the cores of an accelerator; None if it is too large.

    Nor is it possible where a part is no network of its own: a graded layer with events from another core.
    """
    try:
        network, cuts = with_relays(network, cuts)
        parts = zip(partition(network, cuts), ACCELERATORS[name], strict=True)
        return PipelinePlacement(network, tuple(place(part, config) for part, config in parts))
    except HillockError:
        return None


def graphs(rng: np.random.Generator, name: str, count: int, most: int) -> Iterator[PipelinePlacement]:
    """`count` random graphs on an accelerator, each cut at every place, or at `most` of them.

    In turn they are fed by events, by an image, by static events.
    """
    cores, kinds = len(ACCELERATORS[name]), itertools.cycle([(False, False), (True, False), (False, True)])
    for kind in itertools.islice(kinds, count):
        found: list[PipelinePlacement] = []
        while not found:
            network = random_network(rng, max_neurons=64) if rng.random() < 0.1 else random_graph(rng, max_layers=7)
            if (network.image_input, network.static_input) == kind:
                ways = itertools.combinations(cuts_with_relays(network), cores - 1)
                found = [placement for cuts in ways if (placement := placed(network, cuts, name))]
        order = rng.permutation(len(found))[:most]
        yield from (found[index] for index in order.tolist())


def chain_of_one_word_cores(rng: np.random.Generator) -> PipelinePlacement:
    """A chain whose first and last layers have 5 to 12 neurons, and are alone on one-word cores."""
    while True:
        network = random_network(rng, max_neurons=24, max_layers=5)
        layers = network.layers
        if len(layers) > 2 and all(5 <= layer.neurons <= 12 for layer in (layers[0], layers[-1])):
            placement = placed(network, [1, len(layers) - 1], "one word")
            assert placement
            return placement


# Runs


@dataclass
class Job:
    """Inferences of one network, and the numbers by which to repeat them."""

    placement: PipelinePlacement
    given: list[dict[str, Any]]
    stalls: tuple[int, int]
    tag: object

    @cached_property
    def traces(self) -> list[golden.Trace]:
        return [golden.run(self.placement.network, **one) for one in self.given]

    def put(self, stimulus: Stimulus, seed: int) -> None:
        """Load the network and run the inferences, the images from banks that are written before."""
        first = self.placement.cores[0]
        stimulus.write(self.placement.bus_writes())
        stimulus.stall(seed, *self.stalls)
        if self.placement.network.image_input:
            for bank, one in enumerate(self.given[:2]):
                stimulus.write(image_writes(one["image"], first, bank))
            stimulus.stream_images([nothing()] * len(self.given))
        else:
            events = [trace.events for trace in self.traces]
            stimulus.stream_events(events, self.placement.network.input, first.config)
        for core in range(len(self.placement.cores)):
            stimulus.read(at("error") + (core << BUS_ADDRESS_BITS))

    def in_time(self, timelines: list[Timeline]) -> bool:
        """Whether the host can start each image before the first core has finished with the one before."""
        gaps = np.diff([timeline.fire[0, 0] for timeline in timelines])
        return not self.placement.network.image_input or bool(gaps.min() >= HOST)


def nothing() -> np.ndarray:
    """No bus writes."""
    return np.zeros((0, 2), np.uint32)


def job(rng: np.random.Generator, placement: PipelinePlacement, stalls: tuple[int, int], tag: object) -> Job:
    """Three inferences; of images two, the first of them twice."""
    given = [random_input(rng, placement.network) for _ in range(STREAMED)]
    if placement.network.image_input:
        given[2] = given[0]
    return Job(placement, given, stalls, tag)


def some_stalls(rng: np.random.Generator) -> tuple[int, int]:
    """Chances in 256 of holding back input and output: rarely, often, or one of them not at all."""
    first, second = rng.choice([0, 20, 128, 230], 2).tolist()
    return first, second or 40


def run_all(program: Harness, jobs: list[Job], seed: int) -> tuple[Comparison, list[tuple[Job, list[Timeline]]]]:
    """Run all jobs in one go and compare everything, with cycles where nothing was held back.

    Returns the sum of the comparisons, and the jobs of which the cycles were compared, with their timelines.
    """
    stimulus = Stimulus()
    for number, one in enumerate(jobs):
        one.put(stimulus, seed + number)
    results = program.run(stimulus)
    reads, runs = iter(results.reads()), iter(item for item in results.items if not isinstance(item, int))
    total, timed = Comparison(), []
    for one in jobs:
        pipeline, traces = one.placement.pipeline, one.traces
        measured = list(measured_runs(next(runs), pipeline))
        assert len(measured) == len(traces)
        timelines: Sequence[Timeline | None] = [None] * len(traces)
        exact = time_inferences(pipeline, traces)
        if not any(one.stalls) and one.in_time(exact):
            timelines = exact
            timed.append((one, exact))
        for number, (trace, got, timeline) in enumerate(zip(traces, measured, timelines, strict=True)):
            found = compare(pipeline, trace, got, timeline)
            assert found.equal, f"{one.tag}, inference {number}, stalls {one.stalls}: {found.first}"
            total.add(found)
        assert [next(reads) for _ in pipeline.plans] == [0] * len(pipeline.plans), f"{one.tag}: register error"
    assert total.equal
    assert total.inferences == sum(len(one.given) for one in jobs)
    return total, timed


def is_held_back(one: Job, timelines: list[Timeline]) -> bool:
    """Whether something is later than it would be if the input queues had room for everything."""
    pipeline = one.placement.pipeline
    plans = (replace(plan, config=replace(plan.config, input_queue=4096)) for plan in pipeline.plans)
    freely = time_inferences(Pipeline(pipeline.network, tuple(plans)), one.traces)
    assert all((here.fire >= there.fire).all() for here, there in zip(timelines, freely, strict=True))
    return any((here.fire > there.fire).any() for here, there in zip(timelines, freely, strict=True))


@pytest.fixture
def one_by_one(monkeypatch) -> list[int]:
    """How many tokens there were in each timestep that `TokenStream` took one by one."""
    seen: list[int] = []
    whole = TokenStream._take_one_by_one

    def note(stream: TokenStream, lengths: np.ndarray, *others: int) -> Any:
        seen.append(len(lengths))
        return whole(stream, lengths, *others)

    monkeypatch.setattr(TokenStream, "_take_one_by_one", note)
    return seen


# Every cut


@pytest.mark.parametrize(("name", "networks", "held_back"), [("two", 60, 5), ("three", 40, 20)])
def test_graphs_at_every_cut(programs, one_by_one, seed, name, networks, held_back):
    """Freely, every cycle; queues are full now and then, which is seen to matter: with larger ones it is faster."""
    rng = np.random.default_rng(seed)
    jobs = [
        job(rng, placement, (0, 0), f"seed {seed}, network {number}")
        for number, placement in enumerate(graphs(rng, name, networks, 6))
    ]
    total, timed = run_all(programs[name], jobs, seed)
    assert sum(is_held_back(*one) for one in timed) >= held_back
    assert max(one_by_one) > ACCELERATORS[name][-1].input_queue
    assert total.cycles_compared > 1000
    fired = sum(int(layer.spikes.sum()) for one in jobs for trace in one.traces for layer in trace.layers)
    assert fired > 5000


@pytest.mark.parametrize(("name", "networks"), [("two", 30), ("three", 30)])
def test_graphs_that_are_held_back_at_both_ends(programs, seed, name, networks):
    rng = np.random.default_rng([seed, 1])
    jobs = [
        job(rng, placement, some_stalls(rng), f"seed {seed}, network {number}")
        for number, placement in enumerate(graphs(rng, name, networks, 2))
    ]
    total, _ = run_all(programs[name], jobs, seed)
    assert total.cycles_compared == 0


# Images in two banks


def image_chain(rng: np.random.Generator) -> PipelinePlacement:
    """A chain on two cores that is fed by an image, and at work longer than the bus takes to write one."""
    while True:
        network = random_network(rng, max_neurons=40, max_layers=4)
        long = network.image_input and network.timesteps > 5 and network.inputs > 20 and len(network.layers) > 2
        if long and (placement := placed(network, [len(network.layers) - 1], "two")):
            return placement


def test_images_from_two_banks_in_steady_state(programs, seed):
    """On offer at once, since both banks were written before: every cycle of six inferences."""
    rng = np.random.default_rng([seed, 2])
    jobs = []
    for number in range(4):
        placement = image_chain(rng)
        two = [random_input(rng, placement.network) for _ in range(2)]
        jobs.append(Job(placement, two * 3, (0, 0), f"seed {seed}, network {number}"))
    _, timed = run_all(programs["two"], jobs, seed)
    assert len(timed) == len(jobs)
    for _, timelines in timed:
        intervals = np.diff([timeline.decision for timeline in timelines])
        assert intervals.max() < timelines[0].decision + 40  # no inference waited for the host


@pytest.mark.parametrize("stalls", [(0, 0), (0, 120)])
def test_images_that_are_written_while_others_run(programs, seed, stalls):
    rng = np.random.default_rng([seed, 3])
    placement = image_chain(rng)
    given = [random_input(rng, placement.network) for _ in range(5)]
    stimulus = Stimulus()
    stimulus.write(placement.bus_writes())
    stimulus.stall(seed, *stalls)
    first = placement.cores[0]
    stimulus.stream_images([image_writes(one["image"], first, number % 2) for number, one in enumerate(given)])
    stimulus.read(at("error"))
    results = programs["two"].run(stimulus)
    assert results.reads() == [0]
    runs = list(results.runs(placement.pipeline))
    assert len(runs) == len(given)
    for one, got in zip(given, runs, strict=True):
        found = compare(placement.pipeline, golden.run(placement.network, **one), got, None)
        assert found.equal, f"seed {seed}: {found.first}"


START, BANK = 1, 4
"""Bits of the register `control`."""


def second_image(case: str, placement: PipelinePlacement, image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """What is written while the first image runs from bank 0: the second into bank 1, and what must be refused."""
    first = placement.cores[0]
    good, start = image_writes(image, first, 1), np.array([[at("control"), START | BANK]], np.uint32)
    return {
        "the bank in use": np.concatenate([image_writes(other, first, 0), good]),
        "the bank of a start that is pending": np.concatenate([good, start, image_writes(other, first, 1)]),
        "a register": np.concatenate([[[at("timesteps"), 1]], good]).astype(np.uint32),
    }[case]


@pytest.mark.parametrize(
    ("case", "errors"),
    [
        ("the bank in use", ("load_while_running",)),
        ("the bank of a start that is pending", ("load_while_running", "start_refused")),
        ("a register", ("load_while_running",)),
    ],
)
def test_what_is_refused_while_an_image_runs(programs, case, errors):
    """It sets its error and changes nothing. A start while another is pending is the third, and refused too."""
    rng = np.random.default_rng(11)
    placement = image_chain(rng)
    images = [random_input(rng, placement.network)["image"] for _ in range(3)]
    stimulus = Stimulus()
    stimulus.write(placement.bus_writes())
    stimulus.write(image_writes(images[0], placement.cores[0], 0))
    stimulus.stream_images([nothing(), second_image(case, placement, images[1], images[2])])
    for core in range(2):
        stimulus.read(at("error") + (core << BUS_ADDRESS_BITS))
    results = programs["two"].run(stimulus)
    assert results.reads() == [sum(ERROR_BITS[name] for name in errors), 0]
    runs = list(results.runs(placement.pipeline))
    assert len(runs) == 2
    for image, got in zip(images[:2], runs, strict=True):
        trace = golden.run(placement.network, image=image)
        assert any(layer.spikes.any() for layer in trace.layers)
        found = compare(placement.pipeline, trace, got, None)
        assert found.equal, str(found.first)


# Cores of one word


def single_layer(rng: np.random.Generator, config: CoreConfig) -> Network:
    """One layer of 5 to 12 neurons, with all that such a core has."""
    bits = config.leak_shift_bits
    while True:
        if config.tables and rng.random() < 0.5:
            network = random_graph(
                rng, max_layers=1, max_size=4, max_channels=3, leak_shift_bits=bits, payload_bits=config.payload_bits
            )
        else:
            network = random_network(rng, max_neurons=12, max_layers=1, leak_shift_bits=bits)
            if not network.image_input:
                network = replace(network, payload_bits=int(rng.integers(1, config.payload_bits + 1)))
        if 5 <= network.layers[0].neurons <= 12:
            try:
                place(network, config)
            except HillockError:  # a grid of several rows
                continue
            return network  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["alone", "alone, with more"])
def test_one_word_alone(programs, seed, name):
    """Freely, every cycle; then with gaps of every length between the events, which have to be forwarded."""
    rng = np.random.default_rng([seed, 4])
    (config,) = ACCELERATORS[name]
    jobs = []
    for number in range(60):
        placement = placed(single_layer(rng, config), [], name)
        assert placement
        for stalls in ((0, 0), some_stalls(rng)):
            jobs.append(job(rng, placement, stalls, f"seed {seed}, network {number}"))
    total, timed = run_all(programs[name], jobs, seed)
    networks = [one.placement.network for one in jobs[::2]]
    assert {network.decision for network in networks} >= {Decision.COUNT, Decision.POTENTIAL}
    assert {network.layers[0].leak_shift > 0 for network in networks} == {False, True}
    assert {network.image_input for network in networks} == {False, True}
    assert len(timed) > len(networks) // 2
    assert total.cycles_compared > 1000
    assert sum(int(trace.layers[0].spikes.sum()) for one in jobs for trace in one.traces) > 500


def test_one_word_at_both_ends_of_a_pipeline(programs, one_by_one, seed):
    """The first and the last core have one word, the one between them several layers; queues are of four words."""
    rng = np.random.default_rng([seed, 5])
    jobs = []
    for number in range(30):
        placement = chain_of_one_word_cores(rng)
        for stalls in ((0, 0), some_stalls(rng)):
            jobs.append(job(rng, placement, stalls, f"seed {seed}, network {number}"))
    _, timed = run_all(programs["one word"], jobs, seed)
    assert sum(is_held_back(*one) for one in timed) > 5
    assert len(one_by_one) > 100


# What stands still


@pytest.mark.parametrize("case", ["input", "output", "timesteps"])
def test_a_pipeline_that_stands_still_is_reported(programs, case):
    """No token for the second inference; output that is never taken; a last core that waits for one timestep more."""
    rng = np.random.default_rng(7)
    network = chain_of_one_word_cores(rng).network
    while network.image_input:
        network = chain_of_one_word_cores(rng).network
    placement = placed(network, [1, len(network.layers) - 1], "one word")
    assert placement
    events = golden.run(network, **random_input(rng, network)).events
    stimulus = Stimulus()
    stimulus.write(placement.bus_writes())
    if case == "output":
        stimulus.stall(1, 0, 256)
    if case == "timesteps":
        more = [at("timesteps") + (2 << BUS_ADDRESS_BITS), network.timesteps + 1]
        stimulus.write(np.array([more], np.uint32))
    stimulus.stream_events([events, []] if case == "input" else [events], network.input, placement.cores[0].config)
    text = "the compiled gateware stopped with status 2: harness: nothing has left the gateware for too long: deadlock"
    with pytest.raises(HillockError, match=f"^{text}$"):
        programs["one word"].run(stimulus)
