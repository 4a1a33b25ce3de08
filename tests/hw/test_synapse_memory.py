"""The synapse memory: the same in every cycle with one port and with two, and how a word is written in slices."""

import random

import pytest

from gateware import put, simulate
from hillock.hw.config import CoreConfig
from hillock.hw.formats import slice_port
from hillock.hw.synapse_memory import SynapseMemory

SIZES = {"lanes": 4, "weight_bits": 11, "synapse_words": 11}
KINDS = {
    "two_ports": CoreConfig(**SIZES),
    "deep": CoreConfig(**SIZES | {"synapse_words": 8193}),
    "deep_and_narrow": CoreConfig(lanes=1, weight_bits=4, synapse_words=8193),
    "one_port": CoreConfig(**SIZES, single_port=1),
    "compact": CoreConfig(**SIZES, compact=1, leak_shift_bits=0),
    "compact_one_port": CoreConfig(**SIZES, compact=1, leak_shift_bits=0, single_port=1),
}
WIDTH = SIZES["lanes"] * SIZES["weight_bits"]
SLICES = (0xFFFFFFFF, ((1 << WIDTH) - 1) & ~0xFFFFFFFF)


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_words_come_after_their_latency(config, seed):
    """What was written before the address came is there; what is read around a write is of no account."""
    rng, width = random.Random(seed), config.lanes * config.weight_bits
    words = [rng.getrandbits(width) for _ in range(config.synapse_words)]
    dut = SynapseMemory(config, list(words))

    async def bench(ctx):
        asked: list[int | None] = [None] * (SynapseMemory.LATENCY - 1)
        compared = written = 0
        for _ in range(2000):
            writes, address = rng.random() < 0.2, rng.randrange(len(words))
            put(ctx, dut, address=address)
            if writes:
                index, value = rng.randrange(len(words)), rng.getrandbits(width)
                enables = rng.randrange(1, 1 << len(dut.write.en))
                put(ctx, dut.write, en=enables, addr=index, data=value)
                asked = [None] * len(asked)
            expected = asked.pop(0)
            asked.append(None if writes else address)
            await ctx.tick()
            if writes:
                mask = -1 if len(dut.write.en) == 1 else sum(m for n, m in enumerate(SLICES) if enables >> n & 1)
                words[index] = words[index] & ~mask | value & mask
                put(ctx, dut.write, en=0)
                written += 1
            if expected is not None:
                assert ctx.get(dut.word) == words[expected]
                compared += 1
        assert compared > 800
        assert written > 200

    simulate(dut, bench)


def test_slices_of_a_compact_core_have_an_enable_each():
    ports = {name: slice_port(11, WIDTH, config).create() for name, config in KINDS.items()}
    assert {name: len(port.en) for name, port in ports.items()} == {
        "two_ports": 1,
        "deep": 1,
        "deep_and_narrow": 1,
        "one_port": 1,
        "compact": 2,
        "compact_one_port": 2,
    }


@pytest.mark.parametrize(("words", "parts"), [(8192, ([8192], [18])), (8193, ([4096, 4096, 1], [4, 4, 4, 4, 2]))])
def test_a_deep_memory_is_made_of_narrow_ones(words, parts):
    assert SynapseMemory.parts(CoreConfig(lanes=3, weight_bits=6, synapse_words=words)) == parts
