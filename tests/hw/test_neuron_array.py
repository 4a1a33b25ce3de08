"""The lanes against a model that performs one operation after another: hazards, spikes, trace, looks, loading.

The model knows of cycles only when a result must show. `legal` spaces the operations as the class docstring demands.
"""

import itertools
import random
from collections import Counter
from typing import Any, NamedTuple

import pytest
from amaranth.sim import Simulator

from hillock.hw.config import CoreConfig
from hillock.hw.formats import Operation, neuron_layout
from hillock.hw.neuron_array import NeuronArray

INTEGRATE, FIRE, PRELOAD = Operation.INTEGRATE, Operation.FIRE, Operation.PRELOAD
KINDS: tuple[Any, ...] = (INTEGRATE, FIRE, PRELOAD)
DRAIN = NeuronArray.WRITE_STAGE + 1
WRITES_COINCIDE = NeuronArray.WRITE_STAGE - NeuronArray.ADD_STAGE

LAYERS, WORDS, SYNAPSES = 4, 6, 16
WIDTHS = {
    "saturating": {"lanes": 3, "weight_bits": 6, "potential_bits": 8, "fraction_bits": 2, "current_bits": 8},
    "one_lane": {"lanes": 1},
    "wide": {"lanes": 5, "weight_bits": 16, "potential_bits": 32, "fraction_bits": 15, "current_bits": 32},
}


class Op(NamedTuple):
    """What is at the port in one cycle. Without `valid` it is a look."""

    kind: Any  # an Operation
    word: int
    layer: int = 0
    synapse: int = 0
    valid: bool = True
    lane: int = 0  # the one that a look shows


class Load(NamedTuple):
    """A cycle in which one word of a memory is written, while the pipeline idles."""

    memory: str
    address: int
    valid: bool = False


IDLE = Op(PRELOAD, 0, valid=False)


def integer(value, bits):
    """A list of signed values as the number that a memory word is."""
    return sum((one & (1 << bits) - 1) << lane * bits for lane, one in enumerate(value))


class Model:
    """What the memories hold, drawn at random, and what the operations make of it."""

    def __init__(self, widths, rng):
        depths = {"max_layers": LAYERS, "potential_words": WORDS, "synapse_words": SYNAPSES}
        self.config = config = CoreConfig(**WIDTHS[widths], **depths, max_neurons=WORDS * WIDTHS[widths]["lanes"])
        self.rng = rng
        self.low, self.high = -(1 << config.potential_bits - 1), (1 << config.potential_bits - 1) - 1
        depth = {"layer": LAYERS, "synapse": SYNAPSES, "current": WORDS}
        self.memories = {name: [self.draw(name) for _ in range(words)] for name, words in depth.items()}
        self.potentials = [[0] * config.lanes for _ in range(WORDS)]
        # Words that are the last of their layer, and how many neurons are in them.
        self.last = {1: 1, 3: max(1, config.lanes - 1), 5: config.lanes}

    def array(self):
        """The array whose memories hold this when it is configured."""
        raw = {name: [self.raw(name, n) for n in range(len(words))] for name, words in self.memories.items()}
        return NeuronArray(self.config, synapses=raw["synapse"], currents=raw["current"], neurons=raw["layer"])

    def draw(self, memory):
        rng, config = self.rng, self.config
        if memory != "layer":
            bits = config.weight_bits if memory == "synapse" else config.current_bits
            low, high = -(1 << bits - 1), (1 << bits - 1) - 1
            return [rng.choice((low, high, *(rng.randint(low, high) for _ in range(6)))) for _ in range(config.lanes)]
        to_value = rng.random() < 0.5
        return {
            "threshold": rng.choice((0, 1, rng.randint(0, self.high), self.high)),
            "preload": rng.randint(self.low, self.high),
            "reset_amount": rng.randint(self.low if to_value else 0, self.high),
            "leak_shift": rng.randrange(1 << config.leak_shift_bits),
            "reset_to_value": to_value,
            "leak_first": rng.random() < 0.5,
            "fires": rng.random() < 0.8,
        }

    def raw(self, memory, address):
        """A memory word as the number that is written."""
        value = self.memories[memory][address]
        if memory == "layer":
            return neuron_layout(self.config).const(value).as_bits()
        return integer(value, self.config.weight_bits if memory == "synapse" else self.config.current_bits)

    def neurons(self, word):
        return self.last.get(word, self.config.lanes)

    def seen(self, op):
        """What a look shows, lane by lane."""
        if op.kind is INTEGRATE:
            return [value << self.config.fraction_bits for value in self.memories["synapse"][op.synapse]]
        return list(self.memories["current"][op.word] if op.kind is FIRE else self.potentials[op.word])

    def perform(self, op):
        """The operation's effect on the potentials; returns its spikes, lane 0 in the lowest bit."""
        layer, potentials = self.memories["layer"][op.layer], self.potentials[op.word]
        amount, spikes = layer["reset_amount"], 0

        def sat(value):
            return min(max(value, self.low), self.high)

        def leak(value):
            return value - (value >> layer["leak_shift"]) if layer["leak_shift"] else value

        for lane in range(self.neurons(op.word)):
            v = potentials[lane]
            if op.kind is PRELOAD:
                v = layer["preload"]
            elif op.kind is INTEGRATE:
                v = sat(v + (self.memories["synapse"][op.synapse][lane] << self.config.fraction_bits))
            else:
                v = sat(v + self.memories["current"][op.word][lane])
                spike = layer["fires"] and v >= layer["threshold"]
                v = leak(v) if layer["leak_first"] else v
                if spike:
                    v = amount if layer["reset_to_value"] else sat(v - amount)
                v = v if layer["leak_first"] else leak(v)
                spikes |= spike << lane
            potentials[lane] = v
        return spikes


def legal(op, steps):
    """Whether the docstring lets `op` come after `steps`, those of the cycles up to the one before it."""
    for distance, earlier in enumerate(reversed(steps[-(DRAIN - 1) :]), 1):
        late = earlier.valid and earlier.kind is not INTEGRATE
        if late and (op.word == earlier.word or (op.kind is INTEGRATE and distance == WRITES_COINCIDE)):
            return False
    return True


def random_steps(rng, count):
    """Legal operations at random, some not valid; few words at a time, for hazards."""
    steps: list[Op] = []
    while len(steps) < count:
        words = rng.sample(range(WORDS), rng.choice((1, 1, 2, 3)))
        kinds = rng.choice(((INTEGRATE,), (*[INTEGRATE] * 4, FIRE), (*[INTEGRATE] * 4, PRELOAD), KINDS, KINDS))
        busy = rng.choice((0.5, 1.0))
        for _ in range(rng.randint(1, 24)):
            op = Op(rng.choice(kinds), rng.choice(words), rng.randrange(LAYERS), rng.randrange(SYNAPSES))
            steps.append(op if rng.random() < busy and legal(op, steps) else op._replace(valid=False))
    return steps


def hazards(steps):
    """How often two operations met on one word: Counter of (kind, later kind, distance)."""
    met: Counter[tuple[Any, Any, int]] = Counter()
    for at, op in enumerate(steps):
        for distance, earlier in enumerate(reversed(steps[max(0, at - DRAIN) : at]), 1):
            if op.valid and earlier.valid and op.word == earlier.word:
                met[earlier.kind, op.kind, distance] += 1
    return met


def looks(lanes):
    """Steps that see everything there is, after the pipeline has been emptied."""
    every = [Op(INTEGRATE, 0, synapse=n) for n in range(SYNAPSES)]
    every += [Op(kind, n) for kind in (FIRE, PRELOAD) for n in range(WORDS)]
    return [IDLE] * DRAIN + [op._replace(valid=False, lane=lane) for op in every for lane in range(lanes)]


def at(steps, cycle):
    """The operation in this cycle."""
    return steps[cycle] if 0 <= cycle < len(steps) and isinstance(steps[cycle], Op) else IDLE


def run(model, dut, steps, forgets=()):
    """Perform one step in each cycle and compare all that shows, and when. Returns how much of each was compared.

    `forgets` are the cycles in which the operations under way are forgotten; the first step is in cycle 1.
    """
    steps, lanes = [IDLE, *steps, *[IDLE] * DRAIN], model.config.lanes
    parameters, seen, spikes, traced = {}, {}, {}, {}  # by the cycle in which they must show
    compared: Counter[str] = Counter()

    def arrives(cycle, stage):
        """Whether the operation of this cycle gets as far as this stage."""
        return not any(cycle <= forgotten < cycle + stage for forgotten in forgets)

    def expect(cycle, op):
        parameters[cycle + dut.ADD_STAGE] = model.raw("layer", op.layer)
        word, neurons, last = WORDS - 1 - op.word, model.neurons(op.word), op.word in model.last
        if op.valid:
            before = list(model.potentials[op.word])
            mask = model.perform(op)
            if op.kind is FIRE:
                if (mask or last) and arrives(cycle, dut.SPIKE_STAGE):
                    spikes[cycle + dut.SPIKE_STAGE] = (mask, word, last, op.synapse & 1, op.synapse >> 1 & 1)
                if arrives(cycle, dut.WRITE_STAGE):
                    traced[cycle + dut.WRITE_STAGE] = (op.layer, word, mask, model.potentials[op.word][:neurons])
            if not arrives(cycle, dut.ADD_STAGE if op.kind is INTEGRATE else dut.WRITE_STAGE):
                model.potentials[op.word] = before
        elif not any(step.valid for step in steps[max(0, cycle - DRAIN) : cycle]):
            wanted = [value if lane == op.lane else 0 for lane, value in enumerate(model.seen(op))]
            seen[cycle + dut.SEEN_STAGE] = (op.kind, wanted[:neurons] if op.kind is PRELOAD else wanted)

    async def bench(ctx):
        for cycle, step in enumerate(steps):
            before, op, following = (at(steps, cycle + n) for n in (-1, 0, 1))
            ctx.set(dut.valid, op.valid)
            ctx.set(dut.forget, cycle in forgets)
            ctx.set(dut.synapse_word, following.synapse)
            ctx.set(dut.seen_lane, before.lane)
            ctx.set(dut.operation, {
                "kind": op.kind, "layer": op.layer, "word": WORDS - 1 - op.word, "potential_word": op.word,
                "last": op.word in model.last, "last_lanes": model.last.get(op.word, op.layer % lanes),
                "to_next": op.synapse & 1, "to_output": op.synapse >> 1 & 1,
            })  # fmt: skip
            expect(cycle, op)
            if isinstance(step, Load):
                model.memories[step.memory][step.address] = model.draw(step.memory)
                port = getattr(dut, f"{step.memory}_write")
                for member, value in (("en", 1), ("addr", step.address), ("data", model.raw(*step[:2]))):
                    ctx.set(getattr(port, member), value)

            _, _, neuron, look, spike_valid, spike, next_, output, trace_valid, layer, word, mask, potentials = (
                await ctx.tick().sample(
                    dut.neuron, dut.seen, dut.spikes_valid, dut.spikes, dut.to_next, dut.to_output, dut.trace_valid,
                    dut.trace_layer, dut.trace_word, dut.trace_spikes, dut.trace_potentials,
                )
            )  # fmt: skip

            def same(what, got, wanted, cycle=cycle):
                recent = [step for step in steps[max(0, cycle - 9) : cycle + 1] if step is not IDLE]
                assert got == wanted, f"{what} in cycle {cycle}: expected {wanted}, got {got}, after {recent}"
                compared[what] += wanted is not None

            if cycle in parameters:
                same("parameters", neuron.as_bits(), parameters[cycle])
            got = (spike.spikes, spike.word, spike.last, next_, output) if spike_valid else None
            same("spikes", got, spikes.get(cycle))
            wanted = traced.get(cycle)
            shown = [potentials[lane] for lane in range(len(wanted[3]) if wanted else 0)]
            same("trace", (layer, word, mask, shown) if trace_valid else None, wanted)
            if cycle in seen:
                kind, values = seen[cycle]
                same(f"look {kind.name}", [look[lane] for lane in range(len(values))], values)
            if isinstance(step, Load):
                ctx.set(getattr(dut, f"{step.memory}_write").en, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return compared


@pytest.mark.parametrize("widths", WIDTHS)
def test_any_legal_sequence_equals_one_operation_after_another(widths, seed):
    rng = random.Random(f"{seed} {widths}")
    model = Model(widths, rng)
    first, second = random_steps(rng, 4000), random_steps(rng, 500)
    depths = {"layer": LAYERS, "synapse": SYNAPSES, "current": WORDS}
    loads = [Load(memory, n) for memory, depth in depths.items() for n in range(depth) if rng.random() < 0.7]
    rng.shuffle(loads)
    all_looks = looks(model.config.lanes)
    steps = [*first, *all_looks, *loads, *all_looks, *second, *all_looks]
    compared = run(model, model.array(), steps)

    # Nothing of all this may have been left out by chance.
    met = hazards(first)
    soon = itertools.product((INTEGRATE,), KINDS, range(1, DRAIN))
    late = itertools.product((FIRE, PRELOAD), KINDS, (DRAIN,))
    assert [hazard for hazard in (*soon, *late) if not met[hazard]] == []
    assert not any(
        met[kind, later, distance] for kind in (FIRE, PRELOAD) for later in KINDS for distance in range(1, DRAIN)
    )
    assert min(compared[f"look {kind.name}"] for kind in KINDS) >= 3 * WORDS
    assert compared["spikes"] > 100
    assert compared["trace"] == sum(step.valid and step.kind is FIRE for step in first + second)
    assert compared["parameters"] > len(steps)


@pytest.mark.parametrize("distance", range(1, DRAIN + 1))
@pytest.mark.parametrize("kind", [INTEGRATE, FIRE])
def test_a_result_is_forwarded_at_every_distance(kind, distance, seed):
    """Chains of INTEGRATE on one word, this far apart and with other words in between, then `kind`."""
    rng = random.Random(f"{seed} {kind} {distance}")
    model = Model("saturating", rng)
    between = [Op(INTEGRATE, 1 + n % 2, synapse=n) for n in range(distance - 1)]
    chain = [step for n in range(6) for step in (Op(INTEGRATE, 4, synapse=n + 7), *between)]
    compared = run(model, model.array(), [*chain, Op(kind, 4), *looks(model.config.lanes)])
    assert compared["look PRELOAD"] >= WORDS
    assert compared["trace"] == (kind is FIRE)


def test_what_is_forgotten_is_as_if_it_had_not_come(seed):
    """After `forget` nothing of the operations before shows, or is written; the next may come at once."""
    rng = random.Random(seed)
    model = Model("saturating", rng)
    steps: list[Op] = []
    forgets = []
    for _ in range(60):
        steps += random_steps(rng, rng.randint(1, 20))
        forgets.append(len(steps))
    compared = run(model, model.array(), [*steps, *looks(model.config.lanes)], forgets)
    assert 0 < compared["trace"] < sum(step.valid and step.kind is FIRE for step in steps)
    assert compared["look PRELOAD"] > WORDS
