"""A model of the neuron array that performs one operation after another, and what holds the array against it.

The model knows of cycles only when a result must show. `legal` spaces the operations as the class docstring demands.
"""

from collections import Counter
from typing import Any, NamedTuple

from gateware import put, simulate
from hillock.hw.compact_array import CompactArray
from hillock.hw.config import CoreConfig
from hillock.hw.formats import Operation, fixed_fields, neuron_layout
from hillock.hw.neuron_array import NeuronArray

__all__ = [
    "DRAIN",
    "FIRE",
    "IDLE",
    "INTEGRATE",
    "KINDS",
    "LATCH",
    "LOAD",
    "PRELOAD",
    "WIDTHS",
    "WORDS",
    "WRITES_COINCIDE",
    "Load",
    "Model",
    "Op",
    "hazards",
    "looks",
    "random_steps",
    "run",
    "soonest_pairs",
    "steps_with",
]

INTEGRATE, FIRE, PRELOAD = Operation.INTEGRATE, Operation.FIRE, Operation.PRELOAD
LOAD, LATCH = Operation.LOAD, Operation.LATCH
KINDS: tuple[Any, ...] = (INTEGRATE, FIRE, PRELOAD)
MOVES: tuple[Any, ...] = (LOAD, LATCH)
"""Only with static input."""
DRAIN = NeuronArray.WRITE_STAGE + 1
WRITES_COINCIDE = NeuronArray.WRITES_COINCIDE
LATCH_STAGE = NeuronArray.SPIKE_STAGE

LAYERS, WORDS, SYNAPSES = 4, 6, 16
WIDTHS = {
    "saturating": {"lanes": 3, "weight_bits": 6, "potential_bits": 8, "fraction_bits": 2, "current_bits": 8},
    "static": {"lanes": 3, "weight_bits": 4, "potential_bits": 8, "fraction_bits": 1, "current_bits": 8,
               "payload_bits": 3, "static_input": 1},
    "one_lane": {"lanes": 1},
    "wide": {"lanes": 5, "weight_bits": 16, "potential_bits": 32, "fraction_bits": 8, "current_bits": 32,
             "payload_bits": 8},
    "compact": {"lanes": 4, "weight_bits": 6, "potential_bits": 8, "fraction_bits": 1, "current_bits": 7,
                "leak_shift_bits": 0, "single_port": 1, "compact": 1, "max_height": 1, "max_width": 1,
                "row_entries": 0, "column_entries": 0, "replay_words": 0},
}  # fmt: skip
SIZES = {
    "max_layers": LAYERS, "potential_words": WORDS, "synapse_words": SYNAPSES, "current_words": WORDS,
    "max_channels": 64, "max_height": 4, "max_width": 4, "row_entries": 4, "column_entries": 4, "replay_words": 50,
}  # fmt: skip


class Op(NamedTuple):
    """What is at the port in one cycle. It may not be valid; then `shows` says whether it is a look."""

    kind: Any  # an Operation
    word: int
    layer: int = 0
    synapse: int = 0
    current: int = 0
    payload: int = 1
    valid: bool = True
    shows: bool = False
    lane: int = 0  # the one that a look shows

    @property
    def place(self):
        """(channel, column, row): anything that tells operations apart."""
        return self.word << 2 | self.layer, self.synapse & 3, self.synapse >> 2

    @property
    def ways(self):
        """(to_next, to_replay, to_output)."""
        return self.synapse & 1, self.synapse >> 1 & 1, self.current & 1


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

    def __init__(self, widths, rng, **sizes):
        self.config = config = CoreConfig(**(SIZES | WIDTHS[widths] | sizes))
        self.rng = rng
        self.kinds = KINDS + MOVES * config.static_input
        self.low, self.high = -(1 << config.potential_bits - 1), (1 << config.potential_bits - 1) - 1
        self.neuron_stage = NeuronArray.ADD_STAGE + config.compact
        self.coincide = (CompactArray if config.compact else NeuronArray).WRITES_COINCIDE
        self.depths = {"layer": config.max_layers, "synapse": SYNAPSES, "current": WORDS}
        self.memories = {name: [self.draw(name) for _ in range(words)] for name, words in self.depths.items()}
        busy = {"fires": True, "threshold": 1, "preload": self.high // 2}
        self.memories["layer"][0] |= busy  # one layer at least
        self.potentials = [[0] * config.lanes for _ in range(config.potential_words)]
        # Words that are the last of their layer, and words whose lanes are not all neurons.
        self.last = {1, 3, 5}
        self.used = {1: 1, 2: max(1, config.lanes - 2), 3: max(1, config.lanes - 1)}

    def array(self):
        """The array whose memories hold this when it is configured."""
        raw = {name: [self.raw(name, n) for n in range(len(words))] for name, words in self.memories.items()}
        kind = CompactArray if self.config.compact else NeuronArray
        return kind(self.config, synapses=raw["synapse"], currents=raw["current"], neurons=raw["layer"])

    def draw(self, memory):
        rng, config = self.rng, self.config
        if memory != "layer":
            bits = config.weight_bits if memory == "synapse" else config.current_bits
            low, high = -(1 << bits - 1), (1 << bits - 1) - 1
            return [rng.choice((low, high, *(rng.randint(low, high) for _ in range(6)))) for _ in range(config.lanes)]
        to_value = rng.random() < 0.6
        values = {
            "threshold": rng.choice((0, 1, rng.randint(0, self.high), self.high)),
            "preload": rng.randint(self.low, self.high),
            "reset_amount": 0 if config.compact and to_value else rng.randint(self.low if to_value else 0, self.high),
            "leak_shift": rng.randrange(1 << config.leak_shift_bits),
            "reset_to_value": to_value,
            "reset_always": to_value and rng.random() < 0.4,
            "leak_first": rng.random() < 0.5,
            "fires": rng.random() < 0.8,
            "graded": rng.random() < 0.4,
            "replay_base": rng.randrange(max(1, config.replay_words)),
        }
        return {**values, **{name: fixed for name, fixed in fixed_fields(config).items() if name in values}}

    def raw(self, memory, address):
        """A memory word as the number that is written."""
        value = self.memories[memory][address]
        if memory == "layer":
            layout = neuron_layout(self.config)
            return layout.const({name: value[name] for name in layout.members}).as_bits()
        return integer(value, self.config.weight_bits if memory == "synapse" else self.config.current_bits)

    def neurons(self, word):
        return self.used.get(word, self.config.lanes)

    def seen(self, op):
        """What a look shows, lane by lane."""
        if op.kind is INTEGRATE:
            return [value << self.config.fraction_bits for value in self.memories["synapse"][op.synapse]]
        return list(self.memories["current"][op.current] if op.kind is FIRE else self.potentials[op.word])

    def perform(self, op):
        """The operation's effect on the potentials; returns the payload of every lane that spikes, by lane."""
        layer, potentials = self.memories["layer"][op.layer], self.potentials[op.word]
        weights, currents = self.memories["synapse"][op.synapse], self.memories["current"][op.current]
        amount, spikes = layer["reset_amount"], {}

        def sat(value):
            return min(max(value, self.low), self.high)

        def leak(value):
            return value - (value >> layer["leak_shift"]) if layer["leak_shift"] else value

        def reset(value, spike):
            if layer["reset_to_value"]:
                return amount if spike or layer["reset_always"] else value
            return sat(value - amount) if spike else value

        for lane in range(self.config.lanes):
            v = potentials[lane]
            if op.kind is PRELOAD:
                v = layer["preload"]
            elif op.kind is INTEGRATE:
                v = sat(v + (weights[lane] * op.payload << self.config.fraction_bits))
            elif op.kind is LOAD:
                v = currents[lane]
            elif op.kind is FIRE:
                v = sat(v + currents[lane])
                spike = layer["fires"] and v >= layer["threshold"] and lane < self.neurons(op.word)
                if spike:
                    bits = self.config.payload_bits
                    graded = layer["graded"] and bits > 1
                    spikes[lane] = v >> self.config.fraction_bits & (1 << bits) - 1 if graded else 1
                v = reset(leak(v), spike) if layer["leak_first"] else leak(reset(v, spike))
            potentials[lane] = v
        return spikes

    def legal(self, op, steps):
        """Whether the docstring lets `op` come after `steps`, those of the cycles up to the one before it."""
        for distance, earlier in enumerate(reversed(steps[-(DRAIN - 1) :]), 1):
            if self.config.compact and earlier.valid and op.valid and distance == 1 and op.word == earlier.word:
                return False
            if not earlier.valid or earlier.kind is INTEGRATE:
                continue
            if self.config.one_word:
                leaks = self.memories["layer"][earlier.layer]["leak_shift"] > 0
                if distance < WRITES_COINCIDE + leaks:
                    return False
            elif op.word == earlier.word or (op.kind is INTEGRATE and distance == self.coincide):
                return False
            if earlier.kind is LATCH and op.current == earlier.current:
                return False
        return True


def random_op(model, kind, word):
    """An operation of this kind on this word, all else at random."""
    rng, config = model.rng, model.config
    return Op(
        kind, word, rng.randrange(config.max_layers), rng.randrange(SYNAPSES), rng.randrange(WORDS),
        rng.randrange(1, 1 << config.payload_bits),
    )  # fmt: skip


def random_steps(model, count):
    """Legal operations at random, some not valid; few words at a time, for hazards."""
    rng, config = model.rng, model.config
    steps: list[Any] = []
    while len(steps) < count:
        words = rng.sample(range(config.potential_words), min(config.potential_words, rng.choice((1, 1, 2, 3))))
        mixes = [(INTEGRATE,), model.kinds, model.kinds]
        mixes += [(*[INTEGRATE] * 4, kind) for kind in model.kinds if kind is not INTEGRATE]
        kinds, busy = rng.choice(mixes), rng.choice((0.5, 1.0))
        for _ in range(rng.randint(1, 24)):
            op = random_op(model, rng.choice(kinds), rng.choice(words))
            steps.append(op if rng.random() < busy and model.legal(op, steps) else op._replace(valid=False))
    return steps


def soonest_pairs(model, late):
    """(kind, later kind, distance) on one word: close behind an INTEGRATE, or `late` cycles behind another kind."""
    return [
        (kind, later, distance)
        for kind in model.kinds
        for later in model.kinds
        for distance in (range(1 + model.config.compact, DRAIN) if kind is INTEGRATE else [late])
    ]


def steps_with(model, pairs):
    """Each of these pairs on a word of its own choice, one behind the other."""
    steps: list[Any] = []
    for kind, later, distance in pairs:
        word = model.rng.randrange(model.config.potential_words)
        first, second = random_op(model, kind, word), random_op(model, later, word)
        if kind is LATCH:  # the current that it writes is not there yet
            second = second._replace(current=(first.current + 1) % WORDS)
        steps += [first, *[IDLE] * (distance - 1), second, *[IDLE] * DRAIN]
    return steps


def hazards(steps):
    """How often two operations met on one word: Counter of (kind, later kind, distance)."""
    met: Counter[tuple[Any, Any, int]] = Counter()
    for at, op in enumerate(steps):
        for distance, earlier in enumerate(reversed(steps[max(0, at - DRAIN) : at]), 1):
            if op.valid and earlier.valid and op.word == earlier.word:
                met[earlier.kind, op.kind, distance] += 1
    return met


def looks(model):
    """Steps that see everything there is, after the pipeline has been emptied."""
    lanes, words = model.config.lanes, model.config.potential_words
    every = [Op(INTEGRATE, 0, synapse=n) for n in range(SYNAPSES)]
    every += [Op(FIRE, 0, current=n) for n in range(WORDS)] + [Op(PRELOAD, n) for n in range(words)]
    return [IDLE] * DRAIN + [op._replace(valid=False, shows=True, lane=lane) for op in every for lane in range(lanes)]


def at(steps, cycle):
    """The operation in this cycle."""
    return steps[cycle] if 0 <= cycle < len(steps) and isinstance(steps[cycle], Op) else IDLE


class Expected:
    """What must show, by the cycle in which it must.

    `forgets` are the cycles in which the operations under way are forgotten.
    """

    def __init__(self, model, forgets):
        self.model, self.forgets = model, forgets
        self.parameters, self.seen, self.spikes, self.traced = {}, {}, {}, {}
        self.channel = 0  # of the next word, where the array counts it
        self.begins, self.begun = True, 0  # whether the next valid word is the first of its pass, since when

    def arrives(self, cycle, stage):
        """Whether the operation of this cycle gets as far as this stage."""
        return not any(cycle <= forgotten < cycle + stage for forgotten in self.forgets)

    def first(self, cycle, shows, last):
        """Whether a FIRE whose spikes show now is the first of its pass."""
        forgot = any(self.begun <= forgotten < cycle for forgotten in self.forgets)
        first, self.counted = self.begins or forgot, 0 if forgot else self.channel
        self.channel = 0 if last else self.counted + 1
        self.begins, self.begun = last or (first and not shows), cycle
        return first

    def operation(self, cycle, op, quiet):
        """`quiet`: nothing else is under way."""
        model, array = self.model, NeuronArray
        layer, neurons, last = model.memories["layer"][op.layer], model.neurons(op.word), op.word in model.last
        self.parameters[cycle + model.neuron_stage] = model.raw("layer", op.layer)
        if not op.valid:
            if op.shows and quiet:
                wanted = [value if lane == op.lane else 0 for lane, value in enumerate(model.seen(op))]
                shown = neurons if op.kind is PRELOAD else model.config.lanes
                self.seen[cycle + array.SEEN_STAGE] = (op.kind, wanted[:shown])
            return
        before = list(model.potentials[op.word])
        spikes = model.perform(op)
        if op.kind is FIRE and self.arrives(cycle, array.SPIKE_STAGE):
            shows = bool(spikes) or last
            first = self.first(cycle + array.SPIKE_STAGE, shows, last)
            place = op.place if model.config.tables else (self.counted & 15, 0, 0)
            if shows:
                self.spikes[cycle + array.SPIKE_STAGE] = (
                    spikes, *place, last, first, op.layer, layer["replay_base"], *op.ways
                )  # fmt: skip
        if op.kind is FIRE and self.arrives(cycle, array.WRITE_STAGE):
            mask = sum(1 << lane for lane in spikes)
            values = model.potentials[op.word][:neurons]
            self.traced[cycle + array.WRITE_STAGE] = (op.layer, op.word, mask, values)
        if op.kind is LATCH and self.arrives(cycle, LATCH_STAGE):
            model.memories["current"][op.current] = list(before)
        if not self.arrives(cycle, array.ADD_STAGE if op.kind is INTEGRATE else array.WRITE_STAGE):
            model.potentials[op.word] = before


def run(model, dut, steps, forgets=()):
    """Perform one step in each cycle and compare all that shows, and when. Returns how much of each was compared."""
    steps, config = [IDLE, *steps, *[IDLE] * DRAIN], model.config
    expected = Expected(model, forgets)
    compared: Counter[str] = Counter()

    async def bench(ctx):
        for cycle, step in enumerate(steps):
            before, op, following = (at(steps, cycle + n) for n in (-1, 0, 1))
            channel, column, row = op.place
            to_next, to_replay, to_output = op.ways
            put(ctx, dut, valid=op.valid, shows=op.shows, forget=cycle in forgets, synapse_word=following.synapse,
                seen_lane=before.lane, operation={
                    "kind": op.kind, "layer": op.layer, "potential_word": op.word, "current_word": op.current,
                    "channel": channel, "column": column, "row": row, "last": op.word in model.last,
                    "used_lanes": model.neurons(op.word), "to_next": to_next, "to_replay": to_replay,
                    "to_output": to_output, **({"payload": op.payload} if config.payload_bits > 1 else {}),
                })  # fmt: skip
            expected.operation(cycle, op, not any(step.valid for step in steps[max(0, cycle - DRAIN) : cycle]))
            if isinstance(step, Load):
                if config.compact and step[:2] == ("layer", op.layer):  # whose parameters are read later
                    for late in range(2):
                        expected.parameters.pop(cycle + model.neuron_stage - late, None)
                model.memories[step.memory][step.address] = model.draw(step.memory)
                port = getattr(dut, f"{step.memory}_write")
                put(ctx, port, en=(1 << len(port.en)) - 1, addr=step.address, data=model.raw(*step[:2]))

            (
                _, _, neuron, look, spike_valid, spike, groups, first, layer, base, to_next, to_replay, to_output,
                trace_valid, trace_layer, word, mask, potentials,
            ) = await ctx.tick().sample(
                dut.neuron, dut.seen, dut.spikes_valid, dut.spikes, dut.groups, dut.first, dut.layer, dut.replay_base,
                dut.to_next, dut.to_replay, dut.to_output,
                dut.trace_valid, dut.trace_layer, dut.trace_word, dut.trace_spikes, dut.trace_potentials,
            )  # fmt: skip

            def same(what, got, wanted, cycle=cycle):
                recent = [step for step in steps[max(0, cycle - 9) : cycle + 1] if step is not IDLE]
                assert got == wanted, f"{what} in cycle {cycle}: expected {wanted}, got {got}, after {recent}"
                compared[what] += wanted is not None

            if cycle in expected.parameters:
                same("parameters", neuron.as_bits(), expected.parameters[cycle])
            got = None
            if spike_valid:
                width = config.payload_bits if config.payload_bits > 1 else 0
                payloads = {
                    lane: spike.payloads >> lane * width & (1 << width) - 1 if width else 1
                    for lane in range(config.lanes) if spike.spikes >> lane & 1
                }  # fmt: skip
                got = (payloads, spike.channel, spike.column, spike.row, spike.last, first, layer, base,
                       to_next, to_replay, to_output)  # fmt: skip
                if not config.compact:
                    counts = [(spike.spikes >> lane & 15).bit_count() for lane in range(0, config.lanes, 4)]
                    for shown, least in ((groups.any, 1), (groups.several, 2)):
                        assert shown == sum((count >= least) << group for group, count in enumerate(counts))
            else:
                assert not (to_next | to_replay | to_output)
            same("spikes", got, expected.spikes.get(cycle))
            wanted = expected.traced.get(cycle)
            shown = [potentials[lane] for lane in range(len(wanted[3]) if wanted else 0)]
            same("trace", (trace_layer, word, mask, shown) if trace_valid else None, wanted)
            if cycle in expected.seen:
                kind, values = expected.seen[cycle]
                same(f"look {kind.name}", [look[lane] for lane in range(len(values))], values)
            if isinstance(step, Load):
                put(ctx, getattr(dut, f"{step.memory}_write"), en=0)

    simulate(dut, bench)
    return compared
