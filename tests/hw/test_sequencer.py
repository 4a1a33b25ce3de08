"""The sequencer, cycle by cycle: the order of operations, the addresses of a walk, the gaps between layers, the waits.

The model is a list of tokens in the order in which the contract runs them, and three rules: a token is taken when it is
on offer and the walk before it has ended; its operations follow one in each cycle; after a marker the layer changes.
"""

import itertools
import random
from collections import deque
from math import inf
from typing import Any, NamedTuple

import pytest
from amaranth.sim import Simulator

from hillock.hw.config import CoreConfig
from hillock.hw.formats import Operation, descriptor_layout
from hillock.hw.neuron_array import NeuronArray
from hillock.hw.sequencer import Sequencer

CONFIG = CoreConfig(lanes=4, max_layers=4, max_neurons=20, potential_words=32, synapse_words=256)
MARKER = None
GO = 1 + Sequencer.CHANGE
"""Cycles from `begin` to the first walk."""


class Descriptor(NamedTuple):
    inputs: int
    words: int
    last_lanes: int
    potential_base: int
    synapse_base: int
    has_input: int = 1
    is_output: int = 0

    def raw(self):
        return descriptor_layout(CONFIG).const(self._asdict()).as_bits()


HIDDEN = Descriptor(inputs=7, words=3, last_lanes=2, potential_base=4, synapse_base=100)
OUTPUT = Descriptor(inputs=10, words=2, last_lanes=1, potential_base=9, synapse_base=21, is_output=1)
ENCODER = Descriptor(inputs=0, words=2, last_lanes=4, potential_base=0, synapse_base=0, has_input=0)
SMALL = Descriptor(inputs=5, words=1, last_lanes=3, potential_base=31, synapse_base=251, is_output=1)


class Token(NamedTuple):
    """A token that is taken: from `source`, or (None) a marker that the sequencer makes itself."""

    layer: int
    kind: Any  # an Operation
    address: int | None
    source: str | None


def tokens_of(layers, events):
    """All tokens of an inference; `events[t][layer]` are addresses, in the order in which they arrive."""
    tokens = [Token(layer, Operation.PRELOAD, MARKER, None) for layer in range(len(layers))]
    for step in events:
        for layer, (record, addresses) in enumerate(zip(layers, step, strict=True)):
            source = ("inputs" if layer == 0 else "spikes") if record.has_input else None
            tokens += [Token(layer, Operation.INTEGRATE, address, source) for address in addresses]
            tokens.append(Token(layer, Operation.FIRE, MARKER, source))
    return tokens


FIELDS = ("kind", "layer", "word", "potential_word", "last", "last_lanes", "to_next", "to_output")


def walk(record, token):
    """(operation, synapse word or None) for each word."""
    return [
        (
            {
                "kind": token.kind, "layer": token.layer, "word": n, "potential_word": record.potential_base + n,
                "last": n == record.words - 1, "last_lanes": record.last_lanes,
                "to_next": not record.is_output, "to_output": record.is_output,
            },
            None if token.address is MARKER else record.synapse_base + token.address + n * record.inputs,
        )
        for n in range(record.words)
    ]  # fmt: skip


def infer(layers, events, rng, *, stalls=0.0, blocked=0.0, image=False, loaded=False):
    """Run two inferences and compare every output in every cycle; returns the cycles of the first one's operations.

    `stalls` is the chance that a stream holds back in a cycle, `blocked` that the output queue is not free. With
    `loaded` the descriptors are written through the port, rather than initial.
    """
    dut = Sequencer(CONFIG, descriptors=[] if loaded else [record.raw() for record in layers])
    change = dut.CHANGE_SAME if len(layers) == 1 else dut.CHANGE
    performed: list[int] = []  # cycles, of each inference from its own beginning
    first: list[int] = []

    async def inference(ctx):
        tokens = deque(tokens_of(layers, events))
        waiting = {name: deque(t.address for t in tokens if t.source == name) for name in ("inputs", "spikes")}
        offering = dict.fromkeys(waiting, False)
        begun, ready, finished = False, inf, inf  # the next token may be taken; all is written
        operations, synapses = {}, {}  # by cycle
        idle = rng.randint(1, 4)
        now = 0
        while True:
            for name, left in waiting.items():
                offering[name] = bool(left) and (offering[name] or rng.random() >= stalls) and now >= idle
                stream = getattr(dut, name)
                ctx.set(stream.valid, offering[name])
                address = left[0] if offering[name] else 0
                ctx.set(stream.payload, {"address": address or 0, "marker": address is MARKER})
            free = rng.random() >= blocked
            ctx.set(dut.output_free, free)
            ctx.set(dut.start, image and now == idle)
            decided = now >= finished + 3
            ctx.set(dut.decided, decided)
            inspected = (now - 1) % CONFIG.potential_words  # in the last cycle
            ctx.set(dut.inspected.potential_word, now % CONFIG.potential_words)

            # What must happen in this cycle.
            busy, begins = begun, not begun and (now == idle if image else offering["inputs"])
            taken, reserves = None, False
            if tokens and now >= ready:
                token, record = tokens[0], layers[tokens[0].layer]
                outward = token.kind is Operation.FIRE and record.is_output
                if (token.source is None or offering[token.source]) and (free or not outward):
                    taken, reserves = tokens.popleft(), outward
                    for n, (operation, synapse) in enumerate(walk(record, token), now + 1):
                        operations[n] = operation
                        synapses[n - 1] = synapse
                    ready = now + record.words + (change if token.address is MARKER else 0)
                    if not tokens:
                        finished = now + record.words + dut.CHANGE_SAME
            if begins:
                begun, ready = True, now + GO
            done = now >= finished

            _, _, valid, operation, synapse, *got = await ctx.tick().sample(
                dut.valid, dut.operation, dut.synapse_word, dut.begin, dut.busy, dut.finished, dut.output_reserve,
                dut.inputs.ready, dut.spikes.ready, dut.descriptor,
            )  # fmt: skip
            descriptor = got.pop()
            got[-2:] = (readies and offering[name] for name, readies in zip(offering, got[-2:], strict=True))
            accepts = [taken is not None and taken.source == name for name in offering]
            about = f"cycle {now}, {len(tokens)} tokens left"
            assert got == [begins, busy, done, reserves, *accepts], about
            performs = {name: operation[name] for name in FIELDS} if valid else None
            assert performs == operations.get(now), about
            if synapses.get(now) is not None:
                assert synapse == synapses[now], about
            if valid:
                performed.append(now)
            if done:
                assert descriptor.as_bits() == layers[-1].raw(), about
                assert now == finished or operation.potential_word == inspected, about
            if taken and taken.source:
                waiting[taken.source].popleft()
                offering[taken.source] = False
            now += 1
            if decided:
                break
        assert not any(waiting.values())
        assert max(operations) < finished

    async def bench(ctx):
        ctx.set(dut.layer_count, len(layers))
        ctx.set(dut.timesteps, len(events))
        ctx.set(dut.image, image)
        if loaded:
            for n, record in enumerate(layers):
                for member, value in (("en", 1), ("addr", n), ("data", record.raw())):
                    ctx.set(getattr(dut.layer_write, member), value)
                await ctx.tick()
            ctx.set(dut.layer_write.en, 0)
        await inference(ctx)
        first.extend(performed)
        await inference(ctx)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(performed) == 2 * len(first)
    return first


def random_events(layers, timesteps, rng):
    """Addresses below the inputs of each layer, ascending, some or none."""
    return [
        [sorted(rng.sample(range(record.inputs), rng.randint(0, record.inputs))) for record in layers]
        for _ in range(timesteps)
    ]


NETWORKS = {
    "two_layers": [HIDDEN, OUTPUT],
    "one_layer": [SMALL],
    "one_wide_layer": [OUTPUT],
    "image": [ENCODER, HIDDEN._replace(inputs=8), OUTPUT],
    "image_of_one_layer": [ENCODER._replace(is_output=1)],
    "four_layers": [HIDDEN, HIDDEN._replace(potential_base=20, words=5), SMALL._replace(is_output=0), OUTPUT],
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("stalls", [0.0, 0.7], ids=["free", "stalls"])
@pytest.mark.parametrize("blocked", [0.0, 0.8], ids=["room", "blocked"])
def test_every_cycle_of_random_inferences(network, stalls, blocked, seed):
    rng = random.Random(f"{seed} {network} {stalls} {blocked}")
    layers = NETWORKS[network]
    events = random_events(layers, rng.randint(1, 5), rng)
    image = not layers[0].has_input
    loaded = rng.random() < 0.5
    performed = infer(layers, events, rng, stalls=stalls, blocked=blocked, image=image, loaded=loaded)
    walks = sum(record.words * (1 + sum(len(step[n]) + 1 for step in events)) for n, record in enumerate(layers))
    assert len(performed) == walks


def gaps(performed):
    """Idle cycles between operations, where there are any."""
    return [later - earlier - 1 for earlier, later in itertools.pairwise(performed) if later > earlier + 1]


def test_walks_follow_each_other_without_a_gap(seed):
    """Preload of both layers, then events and marker of each: only changes of the layer cost cycles."""
    performed = infer([HIDDEN, OUTPUT], [[[0, 3, 6], [1, 9]]] * 2, random.Random(seed))
    assert len(performed) == (3 + 2) + 2 * (3 * 4 + 2 * 3)
    assert gaps(performed) == [Sequencer.CHANGE] * 5


def test_one_layer_waits_until_its_potentials_are_written(seed):
    performed = infer([SMALL], [[[0, 4]]] * 3, random.Random(seed))
    assert len(performed) == 1 + 3 * 3
    assert gaps(performed) == [Sequencer.CHANGE_SAME] * 3
    assert Sequencer.CHANGE_SAME + 1 == NeuronArray.WRITE_STAGE + 1  # as the array demands between operations on a word


def test_a_change_of_layer_keeps_clear_of_the_late_write():
    """After a marker no INTEGRATE may come `WRITE_STAGE - ADD_STAGE` cycles later; the gap is longer."""
    assert Sequencer.CHANGE + 1 > NeuronArray.WRITE_STAGE - NeuronArray.ADD_STAGE


def test_an_image_needs_no_input(seed):
    """The encoder makes one marker in each timestep; the layer behind it walks its events and the marker."""
    layers = [ENCODER, OUTPUT._replace(inputs=8)]
    performed = infer(layers, [[[], [2]], [[], []]], random.Random(seed), image=True)
    assert len(performed) == (2 + 2) + (2 + 4) + (2 + 2)
    assert gaps(performed) == [Sequencer.CHANGE] * 5


def test_an_image_begins_with_start_only():
    """Input words in image mode begin nothing, nor does `start` without an image."""
    dut = Sequencer(CONFIG, descriptors=[ENCODER.raw(), OUTPUT.raw()])

    async def bench(ctx):
        ctx.set(dut.layer_count, 2)
        ctx.set(dut.timesteps, 1)
        for image in (1, 0):
            ctx.set(dut.image, image)
            ctx.set(dut.inputs.valid, image)
            ctx.set(dut.start, not image)
            for _ in range(5):
                _, _, begin, busy = await ctx.tick().sample(dut.begin, dut.busy)
                assert (begin, busy) == (0, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_while_idle_it_shows_what_the_bus_inspects(seed):
    """Operation (not valid) and synapse word in the next cycle, the descriptor two cycles after them."""
    rng = random.Random(seed)
    layers = [HIDDEN, OUTPUT, ENCODER, SMALL]
    dut = Sequencer(CONFIG, descriptors=[record.raw() for record in layers])

    async def bench(ctx):
        inspected = []
        for cycle in range(40):
            layer, word, synapse = rng.randrange(4), rng.randrange(32), rng.randrange(256)
            inspected.append((layer, word, synapse))
            ctx.set(dut.inspected, {"kind": Operation.FIRE, "layer": layer, "potential_word": word})
            ctx.set(dut.inspected_synapse_word, synapse)
            _, _, valid, operation, synapse, descriptor = await ctx.tick().sample(
                dut.valid, dut.operation, dut.synapse_word, dut.descriptor
            )
            assert not valid
            if cycle >= 1:
                assert operation.kind is Operation.FIRE
                assert (operation.layer, operation.potential_word, synapse) == inspected[cycle - 1]
            if cycle >= 3:
                assert descriptor.as_bits() == layers[inspected[cycle - 3][0]].raw()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
