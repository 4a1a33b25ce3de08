"""Accesses to a `Control` by itself, cycle by cycle: for `hw/test_control.py` and `hw/test_bus_memories.py`."""

from gateware import ERROR_BITS, at, put, simulate, word_at
from hillock.hw.config import CoreConfig
from hillock.hw.control import _READ_CYCLES, Control
from hillock.hw.registers import memory_shape

__all__ = [
    "COMPACT",
    "CONFIGS",
    "MEMORIES",
    "ODD",
    "READ_CYCLES",
    "WRITE_CYCLES",
    "Bus",
    "memories_of",
    "on_bus",
    "word_at",
]

GRIDS = {"max_height": 5, "max_width": 6, "row_entries": 9, "column_entries": 11}
CONFIGS = {
    "default": CoreConfig(),
    "odd": CoreConfig(lanes=5, weight_bits=15, potential_bits=27, current_bits=26, max_layers=3, max_connections=4,
                      max_channels=77, potential_words=9, synapse_words=21, current_words=8, classes=6,
                      columns_per_word=2, channel_entries=13, payload_bits=2, **GRIDS),
    "one_lane": CoreConfig(lanes=1, max_layers=1, max_connections=1, max_channels=1, potential_words=1, synapse_words=1,
                           current_words=1, classes=1),
    "many_lanes": CoreConfig(lanes=17, columns_per_word=6, **GRIDS),
}  # fmt: skip
ODD = CONFIGS["odd"]
COMPACT = CoreConfig(lanes=8, weight_bits=9, potential_bits=20, current_bits=13, leak_shift_bits=0, max_layers=3,
                     max_connections=4, max_channels=77, potential_words=9, synapse_words=21, current_words=8,
                     image_banks=2, classes=6, compact=1, input_queue=0)  # fmt: skip
WRITE_CYCLES, READ_CYCLES = 1, _READ_CYCLES + 1
"""Cycles from the access to its acknowledgement."""
MEMORIES = ("layers", "connections", "synapses", "currents", "rows", "columns", "channels", "lanes")


def memories_of(config):
    """The memories that a core has."""
    return [name for name in MEMORIES if memory_shape(name, config)[0]]


class Bus:
    """Accesses a `Control`; `cycles` is how long the last access took, `strobes` when `start` and `abort` came.

    `words` are the memory words written so far: (memory, index, word); `enables` are those of the last.
    """

    def __init__(self, ctx, dut):
        self.ctx, self.dut = ctx, dut
        self.cycles, self.strobes = 0, {}
        self.words, self.enables = [], 0

    def set(self, **values):
        put(self.ctx, self.dut, **values)

    def ask(self, address, value=None, *, cyc=1, stb=1):
        """Begin an access: a write (with `value`) or a read."""
        put(self.ctx, self.dut.bus, adr=address, we=value is not None, dat_w=value or 0, cyc=cyc, stb=stb)

    def release(self):
        put(self.ctx, self.dut.bus, cyc=0, stb=0)

    async def cycle(self):
        """One clock cycle; (acknowledged, data, start, abort). Notes memory words that are written."""
        bus, dut = self.dut.bus, self.dut
        ports = [getattr(dut, f"write_{name}") for name in MEMORIES]
        _, _, ack, data, start, abort, *writes = await self.ctx.tick().sample(
            bus.ack,
            bus.dat_r,
            dut.start,
            dut.abort,
            *(value for port in ports for value in (port.en, port.addr, port.data)),
        )
        for n, name in enumerate(MEMORIES):
            enable, address, value = writes[3 * n : 3 * n + 3]
            if enable:
                self.words.append((name, address, value))
                self.enables = enable
        return ack, data, start, abort

    async def access(self, address, value=None, *, release=True):
        """A write (with `value`) or a read of what is returned. Without `release` the next access follows at once."""
        self.ask(address, value)
        self.cycles, self.strobes = -1, {}
        ack = False
        while not ack:
            ack, data, start, abort = await self.cycle()
            self.cycles += 1
            assert self.cycles < 20, "no acknowledgement"
            self.strobes |= {name: self.cycles for name, strobe in (("start", start), ("abort", abort)) if strobe}
        if release:
            self.release()
        return data

    async def errors(self):
        """The names in `error`, which is cleared."""
        found = await self.access(at("error"))
        assert await self.access(at("error")) == found, "reading clears nothing"
        await self.access(at("error"), found)
        assert await self.access(at("error")) == 0
        return {name for name, bit in ERROR_BITS.items() if found & bit}


def on_bus(test, config=ODD, registers=None):
    """Run `test(bus)`, a coroutine, on a fresh `Control`."""
    dut = Control(config, registers=registers or {})
    simulate(dut, lambda ctx: test(Bus(ctx, dut)))
