"""The CRC of the gateware is that of zlib."""

import zlib

import numpy as np

from gateware import put, simulate
from hillock.hw.crc32 import Crc32


def test_it_is_the_usual_one():
    """Of all prefixes of bytes that come with and without gaps; `clear` begins anew, and wins over a byte."""
    rng = np.random.default_rng(4)
    dut = Crc32()

    async def bench(ctx):
        for gaps in (0.0, 0.5):
            seen = b""
            for byte in [*range(256), *rng.integers(0, 256, 200).tolist()]:
                while rng.random() < gaps:
                    put(ctx, dut, valid=0, data=int(rng.integers(0, 256)))
                    await ctx.tick()
                put(ctx, dut, valid=1, data=byte)
                assert ctx.get(dut.value) == zlib.crc32(seen)
                await ctx.tick()
                seen += bytes([byte])
                assert ctx.get(dut.value) == zlib.crc32(seen)
            put(ctx, dut, clear=1, valid=1)
            await ctx.tick()
            put(ctx, dut, clear=0, valid=0)
            assert ctx.get(dut.value) == zlib.crc32(b"") == 0

    simulate(dut, bench)
