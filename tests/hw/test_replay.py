"""The replay memory: regions written and read again in any order, also at the same time, and when the words come."""

import random
from typing import NamedTuple

import pytest

from gateware import put, simulate
from hillock.hw.config import CoreConfig
from hillock.hw.replay import Replay

GRIDS = {"max_channels": 16, "max_height": 4, "max_width": 4, "row_entries": 1, "column_entries": 1}
CONFIG = CoreConfig(lanes=3, replay_words=40, payload_bits=2, **GRIDS)
REGIONS = {0: 7, 7: 1, 8: 12, 20: 20}
"""First word and length of each."""


class Word(NamedTuple):
    spikes: int
    payloads: int
    channel: int
    column: int
    row: int
    last: bool


def random_pass(rng, most):
    """The words of a fire pass that are worth keeping; as many as fit, or fewer."""
    count = rng.choice([1, most, rng.randint(1, most)])
    return [
        Word(rng.randrange(8), rng.randrange(64), rng.randrange(16), rng.randrange(4), rng.randrange(4), n == count - 1)
        for n in range(count)
    ]


class Writing:
    """A pass on its way into a region: a word in each cycle, with gaps."""

    def __init__(self, base, words):
        self.base, self.words, self.put = base, words, 0

    @property
    def done(self):
        return self.put == len(self.words)


def run(rng, cycles, gaps):
    """Write and read at random and compare what is put out in every cycle; returns how many words came back.

    A region is not written while it is read, nor read while it is written.
    """
    dut = Replay(CONFIG)
    kept: dict[int, list[Word]] = {}
    came = []

    async def bench(ctx):
        expected: dict[int, Word] = {}
        writing, reading = None, None  # reading: (region, cycle of its last word)
        for now in range(cycles):
            if reading and now > reading[1]:
                reading = None
            put(ctx, dut, valid=0, begin=0, first=rng.randrange(2), read_base=rng.randrange(40))
            if writing is None and rng.random() < 0.3:
                base = rng.choice([base for base in REGIONS if not reading or reading[0] != base])
                kept.pop(base, None)
                writing = Writing(base, random_pass(rng, REGIONS[base]))
            if writing and rng.random() >= gaps:
                word = writing.words[writing.put]
                put(ctx, dut, valid=1, first=writing.put == 0, word=word._asdict(), write_base=(
                    writing.base if writing.put == 0 else rng.randrange(40)
                ))  # fmt: skip
                writing.put += 1
            if reading is None and kept and rng.random() < 0.5:
                base = rng.choice(list(kept))
                put(ctx, dut, begin=1, read_base=base)
                expected |= dict(enumerate(kept[base], now + Replay.LATENCY))
                reading = base, now + Replay.LATENCY + len(kept[base]) - 1
            if writing and writing.done:
                kept[writing.base], writing = writing.words, None

            _, _, valid, word = await ctx.tick().sample(dut.replayed_valid, dut.replayed)
            got = Word(*(getattr(word, name) for name in Word._fields)) if valid else None
            assert got == expected.get(now), f"cycle {now}"
            if valid:
                came.append(got)

    simulate(dut, bench)
    return came


@pytest.mark.parametrize("gaps", [0.0, 0.5], ids=["back_to_back", "gaps"])
def test_what_was_kept_comes_back_and_nothing_else(gaps, seed):
    came = run(random.Random(f"{seed} {gaps}"), 3000, gaps)
    assert len(came) > 500
    assert sum(word.last for word in came) > 100


def test_one_region_is_read_again_and_again():
    """Reading changes nothing, and the next may begin in the cycle behind the last word."""
    words = [Word(n, n, n, 0, 0, n == 4) for n in range(5)]
    dut = Replay(CONFIG)

    async def bench(ctx):
        for n, word in enumerate(words):
            put(ctx, dut, valid=1, first=n == 0, write_base=8, word=word._asdict())
            await ctx.tick()
        put(ctx, dut, valid=0)
        for _ in range(3):
            shown = []
            for cycle in range(Replay.LATENCY + len(words)):
                put(ctx, dut, begin=cycle == 0, read_base=8)
                _, _, valid, word = await ctx.tick().sample(dut.replayed_valid, dut.replayed)
                assert valid == (cycle >= Replay.LATENCY)
                shown += [word.spikes] if valid else []
            assert shown == [word.spikes for word in words]

    simulate(dut, bench)
