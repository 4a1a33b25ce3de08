"""The spike queue, cycle by cycle: {gaps between words or not} x {back-pressure or not} x lanes.

The model is one sentence: a token is on offer `LATENCY` cycles after its word, or in the cycle after the token before
it was taken, whichever is later.
"""

import random
from collections import deque

import pytest
from amaranth.sim import Simulator

from hillock.hw.config import CoreConfig
from hillock.hw.spike_queue import SpikeQueue

MARKER = None


def config_of(lanes, words):
    return CoreConfig(lanes=lanes, max_neurons=lanes * words)


def tokens_of(word, spikes, last, lanes):
    """The tokens of a word: lowest neuron first, then the marker if it is the last."""
    return [word * lanes + lane for lane in range(lanes) if spikes >> lane & 1] + [MARKER] * last


def run(config, passes, rng, *, gaps=0.0, stalls=0.0):
    """Send fire passes through a queue and compare `tokens` and `free` in every cycle.

    A pass is a list of the spikes of each word; what is silent is left out, as the neuron array does. `gaps` and
    `stalls` are the chances of a cycle without a word and without `ready`. Returns (cycle, token) of each token taken.
    """
    dut = SpikeQueue(config)
    waiting: deque[tuple[int, int | None]] = deque()  # (cycle in which its word entered, token), in order
    taken = -1
    log: list[tuple[int, int | None]] = []

    async def bench(ctx):
        nonlocal taken
        now, free = 0, True
        left = deque(passes)

        async def cycle(word=None, reserve=False):
            """One clock cycle, with a word entering or not."""
            nonlocal now, free, taken
            ctx.set(dut.reserve, reserve)
            ctx.set(dut.valid, word is not None)
            if word is not None:
                index, spikes, last = word
                ctx.set(dut.word, {"spikes": spikes, "word": index, "last": last})
                waiting.extend((now, token) for token in tokens_of(index, spikes, last, config.lanes))
            ready = rng.random() >= stalls
            ctx.set(dut.tokens.ready, ready)
            _, _, valid, payload, is_free = await ctx.tick().sample(dut.tokens.valid, dut.tokens.payload, dut.free)

            due = max(waiting[0][0] + dut.LATENCY, taken + 1) if waiting else now + 1
            offered = now >= due
            got = (MARKER if payload.marker else payload.address) if valid else "nothing"
            assert got == (waiting[0][1] if offered else "nothing"), f"cycle {now}, taken so far: {log}"
            free = free or (now == due and waiting[0][1] is MARKER)
            assert is_free == free, f"cycle {now}, taken so far: {log}"
            free = free and not reserve
            if offered and ready:
                log.append((now, waiting.popleft()[1]))
                taken = now
            now += 1

        while left or waiting:
            while left and not free:
                await cycle()
            if left:
                words = left.popleft()
                await cycle(reserve=True)
                for n, spikes in enumerate(words):
                    while rng.random() < gaps:
                        await cycle()
                    last = n == len(words) - 1
                    await cycle((n, spikes, last) if spikes or last else None)
            elif waiting:
                await cycle()
        for _ in range(dut.LATENCY + 2):
            await cycle()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return log


@pytest.mark.parametrize("lanes", [1, 2, 5, 16])
@pytest.mark.parametrize("stalls", [0.0, 0.6], ids=["ready", "stalls"])
@pytest.mark.parametrize("gaps", [0.0, 0.5], ids=["back_to_back", "gaps"])
def test_tokens_leave_in_order_and_in_their_cycles(lanes, gaps, stalls, seed):
    rng = random.Random(f"{seed} {lanes} {gaps} {stalls}")
    config = config_of(lanes, 7)
    passes = []
    for _ in range(25):
        density = rng.choice([0.0, 0.1, 0.5, 1.0])
        words = rng.choice([1, 2, rng.randint(1, 7), 7])
        passes.append([sum((rng.random() < density) << lane for lane in range(lanes)) for _ in range(words)])
    log = run(config, passes, rng, gaps=gaps, stalls=stalls)

    wanted = [
        token for words in passes for n, word in enumerate(words)
        for token in tokens_of(n, word, n == len(words) - 1, lanes)
    ]  # fmt: skip
    assert [token for _, token in log] == wanted
    assert wanted.count(MARKER) == len(passes)


@pytest.mark.parametrize("words", [1, 2, 3, 8, 9])
def test_a_full_pass_leaves_without_a_bubble(words, seed):
    """The largest layer, every neuron of it firing: the queue holds it all, even if nothing is taken for long."""
    lanes = 4
    wanted = [*range(lanes * words), MARKER]
    first = 1 + SpikeQueue.LATENCY  # the reservation takes cycle 0
    log = run(config_of(lanes, words), [[15] * words], random.Random(seed))
    assert log == list(enumerate(wanted, first))
    log = run(config_of(lanes, words), [[15] * words] * 3, random.Random(seed), stalls=0.95)
    assert [token for _, token in log] == wanted * 3


def test_silent_words_cost_nothing(seed):
    """Of eight words only two have spikes: each token leaves `LATENCY` after its word, the marker behind the last."""
    log = run(config_of(4, 8), [[0b1000, 0, 0, 0b0001, 0, 0, 0, 0]], random.Random(seed))
    enters = [1 + word + SpikeQueue.LATENCY for word in range(8)]
    assert log == [(enters[0], 3), (enters[3], 12), (enters[7], MARKER)]
    log = run(config_of(4, 8), [[0b1111, 0, 0, 0b0001, 0, 0, 0, 0b1000]], random.Random(seed))
    assert [cycle for cycle, _ in log] == [5, 6, 7, 8, 9, 12, 13]


def test_a_pass_of_silence_is_a_marker(seed):
    assert run(config_of(4, 1), [[0]] * 2, random.Random(seed)) == [(5, MARKER), (11, MARKER)]
