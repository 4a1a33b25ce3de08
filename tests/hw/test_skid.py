"""A skid: the same items in the same cycles as without it, from whoever always has the next one ready."""

from hypothesis import given
from hypothesis import strategies as st

from gateware import simulate
from hillock.hw.skid import Skid


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_hands_on_in_the_same_cycle(cycles):
    """`cycles`: whether there may be a new item, and whether an item is taken."""
    dut = Skid(8)
    seen, readies = [], []

    async def bench(ctx):
        number, offered, waiting = 0, False, 0
        for may_give, takes in cycles:
            offered = offered or may_give
            ctx.set(dut.given.valid, offered)
            ctx.set(dut.given.payload, number)
            ctx.set(dut.taken.ready, takes)
            ready = ctx.get(dut.given.ready)
            ctx.set(dut.taken.ready, not takes)
            assert ctx.get(dut.given.ready) == ready
            ctx.set(dut.taken.ready, takes)
            readies.append(ready)
            assert ctx.get(dut.taken.valid) == (offered or waiting > 0)
            if ctx.get(dut.taken.valid) and takes:
                seen.append(ctx.get(dut.taken.payload))
            await ctx.tick()
            came, went = offered and ready, (offered or waiting > 0) and takes
            waiting += came - went
            assert 0 <= waiting <= 1
            assert waiting == 0 or came or not ready
            if came:
                number, offered = number + 1, False

    simulate(dut, bench)
    assert seen == list(range(len(seen)))
    assert readies[0]


def test_takes_one_in_every_cycle():
    dut = Skid(8)

    async def bench(ctx):
        ctx.set(dut.given.valid, 1)
        ctx.set(dut.taken.ready, 1)
        for number in range(20):
            ctx.set(dut.given.payload, number)
            assert ctx.get(dut.given.ready)
            assert ctx.get(dut.taken.payload) == number
            await ctx.tick()

    simulate(dut, bench)
