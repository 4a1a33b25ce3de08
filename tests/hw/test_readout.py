"""The readout: counts and their delay, both kinds of decision with their ties and cycles, and what the bus sees."""

import random
from collections import Counter, deque

import pytest

from gateware import put
from gateware import simulate as run_bench
from hillock.hw.config import CoreConfig
from hillock.hw.readout import Readout

LANES, CLASSES, NEURONS = 4, 6, 14
CONFIG = CoreConfig(
    lanes=LANES, classes=CLASSES, max_channels=NEURONS, potential_words=8, potential_bits=12, current_bits=12
)
LOW, HIGH = -(1 << 11), (1 << 11) - 1
MARKER = None
WORD_CYCLES, LANE_CYCLES = Readout.SCAN_LATENCY - 2, 2
"""Cycles from `look_word` and from `look_lane` to `lanes`."""


class Bench:
    """Drives a readout cycle by cycle, plays the neuron array to its looks, and counts the cycles.

    `memory` holds the potential words; `shown` is what the outputs were in the last cycle.
    """

    def __init__(self, ctx, dut, memory=()):
        self.ctx, self.dut = ctx, dut
        self.valid = self.index = self.looking = self.seen = self.count = 0
        self.memory = memory
        self.now = 0
        self.words, self.wanted = deque([0] * WORD_CYCLES), deque([0] * LANE_CYCLES)
        self.looks = []

    async def cycle(self):
        ctx, dut = self.ctx, self.dut
        word, lane = self.words.popleft(), self.wanted.popleft()
        if self.memory:
            shown = self.memory[word % len(self.memory)]
            ctx.set(dut.lanes, [value if n == lane else 0 for n, value in enumerate(shown)])
        _, _, self.valid, self.index, self.looking, word, lane, self.seen, self.count = await ctx.tick().sample(
            dut.decision.valid, dut.decision.payload, dut.looks, dut.look_word, dut.look_lane, dut.seen, dut.class_count
        )
        self.words.append(word)
        self.wanted.append(lane)
        if self.looking:
            self.looks.append(word)
        self.now += 1

    async def pulse(self, name):
        self.ctx.set(getattr(self.dut, name), 1)
        await self.cycle()
        self.ctx.set(getattr(self.dut, name), 0)

    def registers(self, *, timesteps, delay=0, outputs=CLASSES, by_potential=False, none=False, potential_base=0):
        put(self.ctx, self.dut, timesteps=timesteps, delay=delay, outputs=outputs, by_potential=by_potential, none=none,
            potential_base=potential_base)  # fmt: skip

    async def send(self, token, gap=0):
        """`gap` cycles in which a token waits to leave, then the one in which it does."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.token, {"channel": 0 if token is MARKER else token, "marker": token is MARKER})
        ctx.set(dut.offered, 1)
        for _ in range(gap):
            await self.cycle()
        ctx.set(dut.leaves, 1)
        await self.cycle()
        ctx.set(dut.leaves, 0)
        ctx.set(dut.offered, 0)

    async def counts(self):
        values = []
        for n in range(CLASSES):
            self.ctx.set(self.dut.class_index, n)
            for _ in range(3):  # it is there two cycles after it was asked for
                await self.cycle()
            values.append(self.count)
        return values

    async def take(self):
        """Take the decision, which must be on offer in this cycle and gone in the next; returns it."""
        self.ctx.set(self.dut.decision.ready, 1)
        await self.cycle()
        assert self.valid
        self.ctx.set(self.dut.decision.ready, 0)
        index = self.index
        await self.cycle()
        assert not self.valid
        assert self.index == index  # what was decided last stays
        return index


def simulate(test, memory=()):
    """Run `test(bench)`, a coroutine, on a fresh readout."""
    dut = Readout(CONFIG)
    run_bench(dut, lambda ctx: test(Bench(ctx, dut, memory)))


def decided(counts):
    """The highest count, ties to the lowest index."""
    return max(range(CLASSES), key=lambda n: (counts[n], -n))


@pytest.mark.parametrize("gaps", [0, 3], ids=["back_to_back", "gaps"])
def test_counts_and_decides_like_a_model(gaps, seed):
    """Inferences one after another: the decision comes in the cycle after the last marker, and waits to be taken."""
    rng = random.Random(seed)
    ties: Counter[bool] = Counter()

    async def test(bench):
        for _ in range(60):
            timesteps = rng.randint(1, 8)
            delay = rng.randrange(timesteps)
            chances = [rng.choice([0.0, 0.2, 0.8, 1.0]) for _ in range(NEURONS)]
            steps = [[n for n in range(NEURONS) if rng.random() < chances[n]] for _ in range(timesteps)]
            counts = [sum(n in step for step in steps[delay:]) for n in range(CLASSES)]
            ties[counts.count(max(counts)) > 1] += 1

            bench.registers(timesteps=timesteps, delay=delay)
            await bench.pulse("begin")
            assert not bench.valid
            for step in steps:
                for token in [*step, MARKER]:
                    await bench.send(token, rng.randint(0, gaps))
                    assert not bench.valid
            for _ in range(rng.choice([1, 1, 5])):
                await bench.cycle()
                assert bench.valid
                assert bench.index == decided(counts)
            assert await bench.take() == decided(counts)
            assert await bench.counts() == counts

    simulate(test)
    assert min(ties[True], ties[False]) > 0


@pytest.mark.parametrize(
    ("steps", "delay", "counts", "decision"),
    [
        ([[]], 0, [0, 0, 0, 0, 0, 0], 0),
        ([[5]], 0, [0, 0, 0, 0, 0, 1], 5),
        ([[2, 4]], 0, [0, 0, 1, 0, 1, 0], 2),
        ([[4], [2]], 0, [0, 0, 1, 0, 1, 0], 2),  # the lower index, though it came second
        ([[4], [4], [2], [2]], 0, [0, 0, 2, 0, 2, 0], 2),
        ([[1], [1], [3]], 2, [0, 0, 0, 1, 0, 0], 3),  # what came before is not counted
        ([[1], [1], [3]], 1, [0, 1, 0, 1, 0, 0], 1),
        ([[1], [1], [3]], 3, [0, 0, 0, 0, 0, 0], 0),
        ([[6, 13], [7, 8], [5, 13]], 0, [0, 0, 0, 0, 0, 1], 5),  # without a counter: not counted, not decided for
        ([[0], [0], [0, 1], [1], [1], [1]], 0, [3, 4, 0, 0, 0, 0], 1),
        ([[3]] * 300, 0, [0, 0, 0, 300, 0, 0], 3),
    ],
)
def test_count(steps, delay, counts, decision):
    async def test(bench):
        bench.registers(timesteps=len(steps), delay=delay)
        await bench.pulse("begin")
        for step in steps:
            for token in [*step, MARKER]:
                await bench.send(token)
        await bench.cycle()
        assert bench.valid
        assert await bench.take() == decision
        assert await bench.counts() == counts

    simulate(test)


def test_when_nothing_is_decided_the_end_is_still_offered(seed):
    """Nothing is counted, and 0 is offered in the cycle after the last marker, also after inferences that decided."""
    rng = random.Random(seed)

    async def test(bench):
        for none in (1, 0, 1, 1):
            steps = [[3, rng.randrange(4, NEURONS)] for _ in range(4)]
            bench.registers(timesteps=len(steps), none=none)
            await bench.pulse("begin")
            for step in steps:
                for token in [*step, MARKER]:
                    await bench.send(token)
                    assert not bench.valid
            await bench.cycle()
            assert bench.valid
            counts = await bench.counts()
            assert await bench.take() == (0 if none else 3)
            assert any(counts) != none

    simulate(test)


def test_begin_clears_what_was_counted():
    """A silent inference behind two others too: no counts, and the lowest index."""

    async def test(bench):
        bench.registers(timesteps=1)
        for tokens, decision in (([1, 3], 1), ([5], 5), ([], 0)):
            await bench.pulse("begin")
            assert await bench.counts() == [0] * CLASSES
            for token in [*tokens, MARKER]:
                await bench.send(token)
            await bench.cycle()
            assert await bench.take() == decision
            assert await bench.counts() == [int(n in tokens) for n in range(CLASSES)]

    simulate(test)


def test_a_decision_waits_and_is_offered_once():
    async def test(bench):
        bench.registers(timesteps=1)
        await bench.pulse("begin")
        for token in [2, MARKER]:
            await bench.send(token)
        for _ in range(50):
            await bench.cycle()
            assert (bench.valid, bench.index) == (1, 2)
        await bench.take()
        bench.ctx.set(bench.dut.decision.ready, 1)
        for _ in range(20):
            await bench.cycle()
            assert not bench.valid

    simulate(test)


def words_of(potentials, base, lanes=LANES):
    """The memory that holds these potentials from word `base`; HIGH, which would win, everywhere else."""
    padded = [HIGH] * (base * lanes) + potentials
    padded += [HIGH] * (8 * lanes - len(padded))
    return [padded[n : n + lanes] for n in range(0, len(padded), lanes)]


POTENTIALS = [
    [0],
    [-5],
    [LOW],
    [LOW] * 5,
    [-3, -2, -9],
    [7, 7, 7],
    [-1, -1],
    [LOW, LOW + 1],
    [-1, 0, -1],
    [LOW, HIGH, HIGH],
    [-9, -8, -8, -7, -10, -7, -9, -7],
    [0] * 13 + [1],
    [5, *[4] * 13],
]


@pytest.mark.parametrize("marker_first", [True, False], ids=["marker_first", "marker_late"])
def test_decides_by_potential(marker_first, seed):
    """The highest, ties to the lowest index, in the first cycle that it can be; one inference after another."""
    rng = random.Random(seed)
    drawn = [
        [rng.choice((LOW, HIGH, rng.randint(LOW, HIGH), -1, 0, 1)) for _ in range(rng.randint(1, NEURONS))]
        for _ in range(40)
    ]

    async def test(bench):
        dut = bench.dut
        for potentials in [*POTENTIALS, *drawn]:
            outputs, base = len(potentials), rng.randrange(4)
            bench.memory = words_of(potentials, base)
            bench.registers(timesteps=1, outputs=outputs, by_potential=True, potential_base=base)
            await bench.pulse("begin")
            for _ in range(3):
                await bench.cycle()
            bench.looks.clear()
            if marker_first:
                await bench.send(MARKER)
            bench.ctx.set(dut.finished, 1)
            for _ in range(dut.SCAN_LATENCY + outputs - 1):
                await bench.cycle()
                assert not bench.valid
            if not marker_first:
                for _ in range(rng.randint(0, 9)):
                    await bench.cycle()
                    assert not bench.valid
                await bench.send(MARKER)
            await bench.cycle()
            assert bench.valid
            assert bench.looks == [base + n // LANES for n in range(outputs)]
            best = max(range(outputs), key=lambda n: (potentials[n], -n))
            assert await bench.take() == best, potentials
            bench.ctx.set(dut.finished, 0)

    simulate(test, memory=[[0] * LANES])


def test_the_bus_sees_a_lane_four_cycles_later(seed):
    rng = random.Random(seed)
    values = [-7, LOW, HIGH, 12]
    asked: deque[int] = deque()

    async def test(bench):
        for _ in range(60):
            asked.append(rng.randrange(LANES))
            bench.ctx.set(bench.dut.lane, asked[-1])
            await bench.cycle()
            assert not bench.looking
            if len(asked) > 4:
                assert bench.seen == values[asked.popleft()]

    simulate(test, memory=[values])


def test_a_decision_by_count_does_not_look():
    async def test(bench):
        bench.registers(timesteps=1)
        await bench.pulse("begin")
        await bench.send(MARKER)
        bench.ctx.set(bench.dut.finished, 1)
        for _ in range(30):
            await bench.cycle()
        assert bench.looks == []

    simulate(test, memory=[[0] * LANES])
