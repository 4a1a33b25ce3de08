"""The spike queue, cycle by cycle: {gaps between words or not} x {back-pressure or not} x lanes x kinds of queues.

The model is one sentence: a token is on offer `latency` cycles after its word, or in the cycle after the token before
it was taken, whichever is later. A lane table is one more stage, in which a token waits for the one before it.
"""

import random
from collections import deque
from typing import NamedTuple

import pytest

from gateware import put, simulate
from hillock.hw.config import CoreConfig
from hillock.hw.registers import memory_shape
from hillock.hw.spike_queue import SpikeQueue, lane_entry_layout

MARKER = None
LAYERS = 3
GRIDS = {"max_height": 8, "max_width": 40, "max_channels": 128, "row_entries": 1, "column_entries": 1}
KINDS = {
    "shallow": {"queue_words": 7},
    "lane_apart": {"queue_words": 7, "row_entries": 0, "column_entries": 0, "max_height": 1, "max_width": 1},
    "deep": {"queue_words": 17},
    "payloads": {"queue_words": 7, "payload_bits": 3},
    "columns": {"queue_words": 7, "columns_per_word": 2},
    "deep_columns": {"queue_words": 20, "columns_per_word": 2, "payload_bits": 4},
}


class Word(NamedTuple):
    """A spike word: what each lane that fires carries, the place of the first lane, and whether it is the last."""

    payloads: dict[int, int]
    channel: int = 0
    column: int = 0
    row: int = 0
    last: bool = False


def config_of(kind, lanes):
    return CoreConfig(lanes=lanes, max_layers=LAYERS, **(GRIDS | KINDS[kind]))


def lane_table(config, rng):
    """(channel, column) of each lane of each layer, at random; none without lanes over columns."""
    if not config.column_lanes:
        return None
    return [(rng.randrange(config.lanes), rng.randrange(config.columns_per_word)) for _ in
            range(memory_shape("lanes", config)[0])]  # fmt: skip


def tokens_of(word, layer, table, config):
    """The tokens of a word: lowest lane first, then the marker if it is the last."""
    tokens = []
    for lane, payload in sorted(word.payloads.items()):
        channel, column = lane, 0
        if table:
            channel, column = table[layer << max(1, (config.lanes - 1).bit_length()) | lane]
        tokens.append((word.channel + channel, word.column + column, word.row, payload))
    return tokens + [MARKER] * word.last


class Expected:
    """When each token that waits is on offer, and when the queue is free."""

    def __init__(self, config):
        self.latency, self.stages = SpikeQueue.latency(config), int(config.column_lanes)
        self.waiting: deque[tuple[int, tuple[int, ...] | None]] = deque()
        self.taken = self.shown = -1  # when the token before was taken, and since when it was on offer
        self.free = True

    def picked(self):
        """When the first token that waits gets to the stage before the lane table, if there is one."""
        entered = self.waiting[0][0] + self.latency - self.stages
        return max(entered, self.shown if self.stages else self.taken + 1)

    def due(self):
        """When the first token that waits is on offer."""
        return max(self.picked() + 1, self.taken + 1) if self.stages else self.picked()

    def offered(self, now):
        """The token on offer, or "nothing"."""
        return self.waiting[0][1] if self.waiting and self.due() <= now else "nothing"

    def frees(self, now):
        """Whether the marker of the pass left the words in the last cycle: it is picked now."""
        picked = {}
        if self.waiting:
            picked[0] = self.picked()
        if self.stages and len(self.waiting) > 1:  # the token before it is on offer
            picked[1] = max(self.waiting[1][0] + self.latency - self.stages, self.due())
        return any(self.waiting[n][1] is MARKER and now == at for n, at in picked.items())

    def take(self, now):
        self.shown = self.due()
        self.taken = now
        return self.waiting.popleft()[1]


def run(config, passes, rng, *, gaps=0.0, stalls=0.0, table=None, loaded=False):
    """Send fire passes through a queue and compare `tokens` and `free` in every cycle.

    A pass is (layer, words); what is silent is left out, as the neuron array does. `gaps` and `stalls` are the chances
    of a cycle without a word and without `ready`. With `loaded` the lane table is written through the port, rather than
    initial. Returns (cycle, token) of each token taken.
    """
    entry = lane_entry_layout(config)
    apart = config.lane_apart
    lanes = [entry.const({"channel": channel, "column": column}).as_bits() for channel, column in table or []]
    dut = SpikeQueue(config, lanes=None if loaded else lanes, lane_apart=apart)
    expected = Expected(config)
    width = config.payload_bits if config.payload_bits > 1 else 0
    log: list[tuple[int, tuple[int, ...] | None]] = []

    async def bench(ctx):
        now = layer = 0
        left = deque(passes)
        for n, value in enumerate(lanes if loaded else []):
            put(ctx, dut.lane_write, en=1, addr=n, data=value)
            await ctx.tick()
        put(ctx, dut.lane_write, en=0)

        async def cycle(layer=0, word=None, reserve=False):
            """One clock cycle, with a word entering or not."""
            nonlocal now
            put(ctx, dut, reserve=reserve, valid=word is not None, layer=layer)
            if word is not None:
                payloads = sum(payload << lane * width for lane, payload in word.payloads.items()) if width else 0
                values = {name: getattr(word, name) for name in ("channel", "column", "row", "last")}
                spikes = sum(1 << lane for lane in word.payloads)
                counts = [(spikes >> lane & 15).bit_count() for lane in range(0, config.lanes, 4)]
                groups = {
                    name: sum((count >= least) << group for group, count in enumerate(counts))
                    for name, least in (("any", 1), ("several", 2))
                }
                put(ctx, dut, word={"spikes": spikes, "payloads": payloads, **values}, groups=groups)
                expected.waiting.extend((now, token) for token in tokens_of(word, layer, table, config))
            ready = rng.random() >= stalls
            put(ctx, dut.tokens, ready=ready)
            _, _, valid, token, is_free = await ctx.tick().sample(dut.tokens.valid, dut.tokens.payload, dut.free)

            wanted = expected.offered(now)
            got: object = "nothing"
            if valid:
                payload = token.payload if width else 1
                channel = token.channel + token.lane if apart else token.channel
                got = MARKER if token.marker else (channel, token.column, token.row, payload)
            assert got == wanted, f"cycle {now}, taken so far: {log}"
            expected.free = expected.free or expected.frees(now)
            assert is_free == expected.free, f"cycle {now}, taken so far: {log}"
            expected.free = expected.free and not reserve
            if wanted != "nothing" and ready:
                log.append((now, expected.take(now)))
            now += 1

        while left or expected.waiting:
            while left and (not expected.free or (expected.waiting and left[0][0] != layer)):
                await cycle()
            if left:
                layer, words = left.popleft()
                await cycle(reserve=True)
                for word in words:
                    while rng.random() < gaps:
                        await cycle()
                    if word.payloads or word.last:
                        await cycle(layer, word)
                    else:
                        await cycle()
            elif expected.waiting:
                await cycle()
        for _ in range(expected.latency + 2):
            await cycle()

    simulate(dut, bench)
    return log


def random_pass(rng, config):
    """(layer, words), each word at a place of its own."""
    density, count = rng.choice([0.0, 0.1, 0.5, 1.0]), rng.choice([1, 2, rng.randint(1, 7), 7])
    top = (1 << config.payload_bits) - 1
    return rng.randrange(LAYERS), [
        Word(
            {lane: rng.randint(1, top) for lane in range(config.lanes) if rng.random() < density},
            rng.randrange(config.max_channels - config.lanes), rng.randrange(max(1, config.max_width - 2)),
            rng.randrange(config.max_height), n == count - 1,
        )
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "lanes"), [(kind, lanes) for kind in KINDS for lanes in (1, 2, 5, 16, 70)
                                             if lanes > 1 or "columns_per_word" not in KINDS[kind]])  # fmt: skip
@pytest.mark.parametrize("stalls", [0.0, 0.6], ids=["ready", "stalls"])
@pytest.mark.parametrize("gaps", [0.0, 0.5], ids=["back_to_back", "gaps"])
def test_tokens_leave_in_order_and_in_their_cycles(kind, lanes, gaps, stalls, seed):
    rng = random.Random(f"{seed} {kind} {lanes} {gaps} {stalls}")
    config = config_of(kind, lanes)
    table = lane_table(config, rng)
    passes = [random_pass(rng, config) for _ in range(20)]
    log = run(config, passes, rng, gaps=gaps, stalls=stalls, table=table, loaded=rng.random() < 0.5)

    wanted = [token for layer, words in passes for word in words for token in tokens_of(word, layer, table, config)]
    assert [token for _, token in log] == wanted
    assert wanted.count(MARKER) == len(passes)


def full_pass(config, words):
    """Every lane of so many words fires; in channel order."""
    return [Word(dict.fromkeys(range(config.lanes), 1), channel=n * config.lanes, last=n == words - 1)
            for n in range(words)]  # fmt: skip


@pytest.mark.parametrize("words", [1, 2, 3, 8, 9, 16, 17, 33])
def test_a_full_pass_leaves_without_a_bubble(words, seed):
    """The largest layer, every neuron of it firing: the queue holds it all, even if nothing is taken for long."""
    config = CoreConfig(lanes=4, queue_words=words, max_channels=256)
    wanted = [*((channel, 0, 0, 1) for channel in range(4 * words)), MARKER]
    first = 1 + SpikeQueue.latency(config)  # the reservation takes cycle 0
    whole = 0, full_pass(config, words)
    assert run(config, [whole], random.Random(seed)) == list(enumerate(wanted, first))
    log = run(config, [whole] * 3, random.Random(seed), stalls=0.95)
    assert [token for _, token in log] == wanted * 3


@pytest.mark.parametrize(("words", "columns", "cycles"), [(16, 1, 3), (17, 1, 4), (16, 2, 4), (17, 2, 5)])
def test_latency(words, columns, cycles, seed):
    """A queue of few words is a LUT RAM, and a cycle faster; lanes over columns cost one."""
    config = CoreConfig(lanes=4, queue_words=words, columns_per_word=columns, **GRIDS)
    assert SpikeQueue.latency(config) == cycles
    table = [(0, 0)] * memory_shape("lanes", config)[0]
    log = run(config, [(0, [Word({}, last=True)])], random.Random(seed), table=table if columns > 1 else None)
    assert log == [(1 + cycles, MARKER)]


def test_silent_words_cost_nothing(seed):
    """Of eight words only two have spikes: each token leaves `latency` after its word, the marker behind the last."""
    config = CoreConfig(lanes=4, queue_words=17, max_channels=64)

    def cycles(masks):
        words = [
            Word({lane: 1 for lane in range(4) if mask >> lane & 1}, channel=4 * n, last=n == len(masks) - 1)
            for n, mask in enumerate(masks)
        ]
        return run(config, [(0, words)], random.Random(seed))

    log = cycles([0b1000, 0, 0, 0b0001, 0, 0, 0, 0])
    assert log == [(5, (3, 0, 0, 1)), (8, (12, 0, 0, 1)), (12, MARKER)]
    log = cycles([0b1111, 0, 0, 0b0001, 0, 0, 0, 0b1000])
    assert [cycle for cycle, _ in log] == [5, 6, 7, 8, 9, 12, 13]


def test_a_pass_of_silence_is_a_marker(seed):
    config = CoreConfig(lanes=4, queue_words=17)
    silence = 0, [Word({}, last=True)]
    assert run(config, [silence] * 2, random.Random(seed)) == [(5, MARKER), (11, MARKER)]
