"""The queue offers what Amaranth's queues offer, in the same cycles, though the memory has a word a cycle later."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import fifo
from hypothesis import example, given
from hypothesis import strategies as st

from gateware import simulate
from hillock.hw.queue import Queue

CYCLES = st.lists(st.tuples(*[st.sampled_from([False, True, True])] * 2), min_size=1, max_size=80)


def both(depth, buffered):
    """A queue and the one it is to equal, of `depth` words in memory."""
    like = fifo.SyncFIFOBuffered(width=8, depth=depth + 1) if buffered else fifo.SyncFIFO(width=8, depth=depth)
    m = Module()
    m.submodules.queue = queue = Queue(width=8, depth=depth, buffered=buffered)
    m.submodules.like = like
    return m, queue, like


@pytest.mark.parametrize("buffered", [False, True])
@example(depth=4, cycles=[(True, False)] * 12 + [(True, True)] * 9 + [(False, True)] * 9)
@given(depth=st.integers(1, 9), cycles=CYCLES)
def test_offers_the_same_in_the_same_cycles(buffered, depth, cycles):
    """`cycles`: whether a word comes, if there is room, and whether one is taken."""
    m, queue, like = both(depth, buffered)

    async def bench(ctx):
        for number, (comes, takes) in enumerate(cycles):
            for each in (queue, like):
                ctx.set(each.w_data, number)
                ctx.set(each.w_en, comes)
                ctx.set(each.r_en, takes)
            assert ctx.get(queue.w_rdy) == ctx.get(like.w_rdy)
            assert ctx.get(queue.r_rdy) == ctx.get(like.r_rdy)
            if ctx.get(like.r_rdy):
                assert ctx.get(queue.r_data) == ctx.get(like.r_data)
            await ctx.tick()

    simulate(m, bench)


@pytest.mark.parametrize("buffered", [False, True])
@given(depth=st.integers(1, 5), cycles=st.lists(st.tuples(*[st.booleans()] * 3), min_size=1, max_size=60))
def test_a_dropped_word_was_never_there(buffered, depth, cycles):
    """`cycles`: whether a word comes, whether it is dropped in the next cycle, and whether one is taken."""
    dut = Queue(width=8, depth=depth, buffered=buffered)
    kept: list[int] = []
    seen: list[int] = []

    async def bench(ctx):
        was_written = False
        for number, (comes, drops, takes) in enumerate(cycles + [(False, False, True)] * (depth + 3)):
            ctx.set(dut.drop, drops)
            ctx.set(dut.w_data, number)
            ctx.set(dut.w_en, comes)
            ctx.set(dut.r_en, takes)
            if was_written and not drops:
                kept.append(number - 1)
            assert ctx.get(dut.w_rdy) or len(kept) - len(seen) >= depth
            was_written = comes and ctx.get(dut.w_rdy)
            if takes and ctx.get(dut.r_rdy):
                seen.append(ctx.get(dut.r_data))
            await ctx.tick()

    simulate(dut, bench)
    assert seen == kept
