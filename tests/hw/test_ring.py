"""What the ring keeps, when it holds back, and that nothing is lost or overwritten."""

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal

from gateware import put, simulate
from hillock.hw.ring import Ring


@pytest.mark.parametrize("patience", [1.0, 0.1, 0.02])
@pytest.mark.parametrize(("depth", "words"), [(2, 1), (8, 1), (2, 2), (8, 2), (4, 4)])
def test_everything_is_there_until_it_is_taken(depth, words, patience):
    """The host reads what is there and takes some of it, quickly or slowly; items come as fast as they may."""
    dut = Ring(depth=depth, words=words, width=7)
    rng = np.random.default_rng(depth + words)
    given: list[list[int]] = []
    taken, full = 0, 0
    asked: int | None = None

    async def bench(ctx):
        nonlocal taken, full, asked
        item = rng.integers(0, 128, words).tolist()
        offered = False
        for _ in range(3000):
            offered = offered or rng.random() < 0.8
            put(ctx, dut.items, valid=offered)
            for number, value in enumerate(item):
                ctx.set(dut.items.payload[number], value)
            there = len(given) - taken
            take = there and rng.random() < patience
            ctx.set(dut.take, take)
            if take:
                taken += int(rng.integers(1, there + 1))
                ctx.set(dut.taken_value, taken)
            # An item whose last words are still being written is not asked for.
            settled = range(max(taken, len(given) - depth), len(given) - 1)
            wanted = None
            if settled:
                number, word = int(rng.choice(settled)), int(rng.integers(words))
                wanted = given[number][word]
                ctx.set(dut.index, (number * words + word) % (depth * words))
            _, _, accepted = await ctx.tick().sample(dut.items.ready)
            if asked is not None:
                assert ctx.get(dut.word) == asked
            asked = wanted
            if offered and accepted:
                given.append(item)
                item, offered = rng.integers(0, 128, words).tolist(), False
            assert ctx.get(dut.given) == len(given)
            assert ctx.get(dut.taken) == taken
            assert len(given) - taken <= depth
            full += len(given) - taken == depth

    simulate(dut, bench)
    assert len(given) > 10 * depth * patience
    assert full or patience == 1.0


def test_it_holds_just_its_depth():
    dut = Ring(depth=4, words=1, width=8)

    async def bench(ctx):
        put(ctx, dut.items, valid=1)
        for _ in range(20):
            await ctx.tick()
        assert ctx.get(dut.given) == 4
        put(ctx, dut, take=1, taken_value=1)
        await ctx.tick()
        put(ctx, dut, take=0)
        for _ in range(20):
            await ctx.tick()
        assert ctx.get(dut.given) == 5

    simulate(dut, bench)


def test_more_taken_than_given_opens_nothing():
    """A number that no host writes: nothing is overwritten."""
    dut = Ring(depth=4, words=1, width=8)

    async def bench(ctx):
        put(ctx, dut, take=1, taken_value=3)
        await ctx.tick()
        put(ctx, dut, take=0)
        put(ctx, dut.items, valid=1)
        await ctx.tick()
        await ctx.tick()
        given = ctx.get(dut.given)
        for _ in range(20):
            await ctx.tick()
        assert ctx.get(dut.given) == given <= 2

    simulate(dut, bench)


def test_restart():
    """The numbers begin at 0 again, in the middle of an item too."""
    restart = Signal()
    ring = Ring(depth=4, words=2, width=8)

    async def bench(ctx):
        for cycles in range(1, 12):
            put(ctx, ring.items, valid=1)
            for _ in range(cycles):
                await ctx.tick()
            put(ctx, ring.items, valid=0)
            ctx.set(restart, 1)
            await ctx.tick()
            ctx.set(restart, 0)
            assert (ctx.get(ring.given), ctx.get(ring.taken)) == (0, 0)
            for value in (11, 22):
                put(ctx, ring.items, valid=1)
                ctx.set(ring.items.payload[0], value)
                ctx.set(ring.items.payload[1], value + 1)
                ready = False
                while not ready:
                    _, _, ready = await ctx.tick().sample(ring.items.ready)
            put(ctx, ring.items, valid=0)
            await ctx.tick()
            for index, value in enumerate((11, 12, 22, 23)):
                ctx.set(ring.index, index)
                await ctx.tick()
                await ctx.tick()
                assert ctx.get(ring.word) == value

    simulate(ResetInserter(restart)(ring), bench)
