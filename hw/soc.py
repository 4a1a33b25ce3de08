"""A small system on chip: a processor with memory and a console, at the bus of the cores, with nobody outside."""

from collections.abc import Sequence

from amaranth.hdl import ClockSignal, Instance, Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .core import MemoryInit
from .link import LinkSizes
from .problems import Problems
from .registers import BUS_ADDRESS_BITS, BUS_BITS
from .system import System, divisor_of
from .uart import Transmitter

__all__ = ["MOST_RAM_WORDS", "SOC_CORES", "Soc"]

SOC_CORES = 1 << (29 - BUS_ADDRESS_BITS)
"""Cores that the processor reaches: half of its addresses are those of the bus."""

MOST_RAM_WORDS = 1 << 18
_LEAST_RAM_WORDS = 256

# Bits 31:30 of an address of the processor, see firmware/soc/soc.h: memory, console, and above these the bus.
_MEMORY, _CONSOLE = 0, 1


class Soc(wiring.Component):
    """PicoRV32 (Verilog module `picorv32`, from the package pythondata-cpu-picorv32), with a `System` as its bus.

    The memory answers in the cycle after a request, the bus in the one after its acknowledgement. An access to nothing
    stops the processor.

    Parameters
    ----------
    configs, inits, clock_hz, baud, sizes, idle_cycles
        See `System`; at most `SOC_CORES` cores. `baud` is that of both UARTs.
    program : list of int, optional
        What the memory holds at power-up, from address 0; without it, only what `load` writes.
    ram_words : int
        Words of the memory, a power of two. The stack begins at its end.

    What cannot be built raises a `HillockError`.

    Members
    -------
    load_en, load_address, load_data : in
        Write a word of the memory: the processor is held in reset meanwhile, and begins its program afterwards.
    tx : out
        The console, which the program writes to.
    link_rx, link_tx : in, out
        The wires of the link, for a host beside the processor; a 1 where there is none.
    halted : out
        Whether the processor has stopped, at the end of its program or because it could not go on, and the console has
        sent all.
    error : out
        See `System`.
    """

    def __init__(
        self,
        configs: Sequence[CoreConfig],
        inits: Sequence[MemoryInit] | None = None,
        *,
        program: Sequence[int] = (),
        ram_words: int,
        clock_hz: int,
        baud: int,
        sizes: LinkSizes | None = None,
        idle_cycles: int | None = None,
    ):
        problems = Problems("system on chip")
        problems.require(
            len(configs) <= SOC_CORES,
            f"the processor reaches at most {SOC_CORES} cores, not {len(configs)}: cut the network into fewer",
        )
        problems.require(
            _LEAST_RAM_WORDS <= ram_words <= MOST_RAM_WORDS and ram_words.bit_count() == 1,
            f"ram_words must be a power of two from {_LEAST_RAM_WORDS} to {MOST_RAM_WORDS:,}, not {ram_words:,}",
        )
        problems.require(
            len(program) < ram_words,
            f"a program of {len(program):,} words needs more than ram_words = {ram_words:,}: give more, or load fewer "
            f"images",
        )
        problems.raise_any()
        self._ram_words = ram_words
        self._memory = Memory(shape=BUS_BITS, depth=ram_words, init=program)
        self.system = System(
            configs, inits, clock_hz=clock_hz, baud=baud, sizes=sizes, idle_cycles=idle_cycles, second_master=True
        )
        self._console = Transmitter(divisor_of(clock_hz, baud))
        super().__init__(
            {
                "load_en": In(1),
                "load_address": In(range(ram_words)),
                "load_data": In(BUS_BITS),
                "tx": Out(1, init=1),
                "link_rx": In(1, init=1),
                "link_tx": Out(1, init=1),
                "halted": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.system = system = self.system
        m.submodules.memory = memory = self._memory
        m.submodules.console = console = self._console
        read, write = memory.read_port(), memory.write_port(granularity=8)

        # The processor holds a request until it is told that it is done.
        asks, done, stopped, trap = Signal(), Signal(), Signal(), Signal()
        address, written, enables = Signal(BUS_BITS), Signal(BUS_BITS), Signal(4)
        value, found = Signal(BUS_BITS), Signal(BUS_BITS)
        m.submodules.processor = Instance(
            "picorv32",
            p_ENABLE_COUNTERS=0,
            p_ENABLE_COUNTERS64=0,
            p_BARREL_SHIFTER=1,
            p_STACKADDR=4 * self._ram_words,
            i_clk=ClockSignal(),
            i_resetn=~(ResetSignal() | self.load_en),
            o_trap=trap,
            o_mem_valid=asks,
            i_mem_ready=done,
            o_mem_addr=address,
            o_mem_wdata=written,
            o_mem_wstrb=enables,
            i_mem_rdata=value,
            **{f"i_{name}": 0 for name in ("pcpi_wr", "pcpi_rd", "pcpi_wait", "pcpi_ready", "irq")},
        )
        begins, is_write, place = Signal(), Signal(), address[30:]
        m.d.comb += [begins.eq(asks & ~done), is_write.eq(enables.any())]

        bus = system.second
        m.d.comb += [
            read.addr.eq(address[2:]),
            write.addr.eq(Mux(self.load_en, self.load_address, address[2:])),
            write.data.eq(Mux(self.load_en, self.load_data, written)),
            console.bytes.payload.eq(written),
            bus.we.eq(is_write),
            bus.adr.eq(address[2:31]),
            bus.dat_w.eq(written),
            bus.cyc.eq(bus.stb),
        ]
        m.d.sync += done.eq(0)
        from_memory = Signal()
        m.d.sync += from_memory.eq(place == _MEMORY)
        m.d.comb += value.eq(Mux(from_memory, read.data, found))
        with m.If(begins):
            with m.If(address[31]):
                m.d.comb += bus.stb.eq(1)
                m.d.sync += [done.eq(bus.ack), found.eq(bus.dat_r)]
                # Slices and registers are written whole; less than a word would be more than was asked for.
                with m.If(is_write & ~enables.all()):
                    m.d.comb += bus.stb.eq(0)
                    m.d.sync += stopped.eq(1)
            with m.Elif(place == _CONSOLE):
                m.d.comb += console.bytes.valid.eq(is_write)
                m.d.sync += [done.eq(1), found.eq(console.bytes.ready)]
            with m.Elif(address[2:30] < self._ram_words):
                m.d.comb += write.en.eq(enables)
                m.d.sync += done.eq(1)
            with m.Else():
                m.d.sync += stopped.eq(1)

        with m.If(self.load_en):
            m.d.comb += write.en.eq(0b1111)

        m.d.comb += [
            self.tx.eq(console.tx),
            system.rx.eq(self.link_rx),
            self.link_tx.eq(system.tx),
            self.error.eq(system.error),
        ]
        m.d.sync += self.halted.eq((trap | stopped) & ~console.busy)
        return m
