"""The lowest spike: every word of up to twelve lanes, and random words of wide ones."""

import random

import pytest

from gateware import put, simulate
from hillock.hw.config import CoreConfig
from hillock.hw.lowest_spike import LowestSpike


def groups(spikes, lanes):
    return sum(bool(spikes >> lane & 15) << lane // 4 for lane in range(0, lanes, 4))


def words(lanes, rng):
    if lanes <= 12:
        return range(1 << lanes)
    sparse = [sum(1 << lane for lane in rng.sample(range(lanes), count)) for count in range(6) for _ in range(50)]
    return sparse + [rng.getrandbits(lanes) for _ in range(200)] + [(1 << lanes) - 1]


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 5, 8, 12, 16, 50, 64, 120, 128])
def test_every_word(lanes, seed):
    dut = LowestSpike(CoreConfig(lanes=lanes))

    async def bench(ctx):
        for spikes in words(lanes, random.Random(f"{seed} {lanes}")):
            put(ctx, dut, spikes=spikes, some=groups(spikes, lanes))
            left = spikes & (spikes - 1)
            if spikes:
                assert ctx.get(dut.lane) == (spikes ^ left).bit_length() - 1
            assert ctx.get(dut.spikes_left) == left
            assert ctx.get(dut.some_left) == groups(left, lanes)
            assert ctx.get(dut.several_left) == (left.bit_count() >= 2)

    simulate(dut, bench)
