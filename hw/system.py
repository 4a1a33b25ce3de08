"""The whole board design but for the board: an accelerator between two wires of a UART."""

from collections.abc import Sequence
from dataclasses import replace

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .accelerator import Accelerator
from .config import REGION_SHIFT, CoreConfig
from .control import bus_signature
from .core import MemoryInit
from .design_digest import design_digest
from .formats import token_layout
from .link import Link, LinkSizes
from .link_registers import LINK_BASE
from .problems import Problems
from .registers import BUS_ADDRESS_BITS, BUS_BITS
from .uart import LEAST_DIVISOR, Receiver, Transmitter
from .uart_bone import ADDRESS_BITS, UartBone

__all__ = ["IDLE_SECONDS", "Arbiter", "System", "divisor_of"]

IDLE_SECONDS = 0.1
"""So long a command may stop half-way before it is dropped."""

_LARGEST_DEVIATION = 0.02


def divisor_of(clock_hz: int, baud: int) -> int:
    """Clock cycles per bit; a `HillockError` where the clock cannot make that rate."""
    divisor = max(1, round(clock_hz / baud))
    deviation = abs(clock_hz / divisor / baud - 1)
    problems = Problems(f"UART of {baud:,} baud at a clock of {clock_hz:,} Hz")
    problems.require(
        divisor >= LEAST_DIVISOR,
        f"a bit must take at least {LEAST_DIVISOR} clock cycles, not {clock_hz / baud:.2f}: at most "
        f"{clock_hz // LEAST_DIVISOR:,} baud",
    )
    problems.require(
        deviation <= _LARGEST_DEVIATION,
        f"{divisor} cycles per bit are {100 * deviation:.1f} % off, and at most {100 * _LARGEST_DEVIATION:.0f} % are "
        f"read safely: ask for {clock_hz // max(divisor, LEAST_DIVISOR):,} baud",
    )
    problems.raise_any()
    return divisor


class Arbiter(wiring.Component):
    """Two masters at one bus: the other is let in between two accesses.

    Members
    -------
    first, second : in
        From the masters, which release `cyc` after each acknowledgement.
    bus : out
        To what they share.
    """

    def __init__(self) -> None:
        signature = bus_signature(ADDRESS_BITS)
        super().__init__({"first": In(signature), "second": In(signature), "bus": Out(signature)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        chosen = Signal()
        with m.If(~Mux(chosen, self.second.cyc, self.first.cyc)):
            m.d.sync += chosen.eq(Mux(chosen, ~self.first.cyc, self.second.cyc))
        for number, master in enumerate((self.first, self.second)):
            m.d.comb += master.dat_r.eq(self.bus.dat_r)
            with m.If(chosen == number):
                m.d.comb += [
                    *(getattr(self.bus, name).eq(getattr(master, name)) for name in ("cyc", "stb", "we")),
                    *(getattr(self.bus, name).eq(getattr(master, name)) for name in ("adr", "dat_w")),
                    master.ack.eq(self.bus.ack),
                ]
        return m


class System(wiring.Component):
    """UART, link and accelerator, with one bus for all: `docs/link.md` is how a host sees it.

    Parameters
    ----------
    configs : list of CoreConfig
    inits : list of MemoryInit, optional
        What the memories of each core hold at power-up.
    clock_hz, baud : int
    sizes : LinkSizes, optional
        Where only images feed the first core, the link has no input queue, whatever this says.
    idle_cycles : int, optional
        Clock cycles after which a command that stopped half-way is dropped; those of `IDLE_SECONDS` if not given.
    second_master : bool
        Whether there is a port for another bus master, such as a processor.

    What cannot be built raises a `HillockError`.

    Members
    -------
    rx, tx : in, out
        The wires.
    busy : out
        Whether anything is under way: an access, an answer, or an inference.
    error : out
        Whether the register `error` of the link has a bit set.
    second : in
        The bus of the second master, see `Arbiter`.
    """

    def __init__(
        self,
        configs: Sequence[CoreConfig],
        inits: Sequence[MemoryInit] | None = None,
        *,
        clock_hz: int,
        baud: int,
        sizes: LinkSizes | None = None,
        idle_cycles: int | None = None,
        second_master: bool = False,
    ):
        divisor = divisor_of(clock_hz, baud)
        widths = [token_layout(config).size for config in (configs[0], configs[-1])]
        problems = Problems("link")
        for name, width in zip(("input", "output"), widths, strict=True):
            problems.require(
                width <= BUS_BITS,
                f"an {name} token of {width} bits does not fit in a word of {BUS_BITS}: make max_channels, max_height, "
                f"max_width or payload_bits of that core smaller",
            )
        problems.raise_any()
        self._cores, self._second_master = len(configs), second_master
        self._compact = all(config.compact for config in configs)
        self.receiver, self.transmitter = Receiver(divisor), Transmitter(divisor)
        self.bone = UartBone(int(clock_hz * IDLE_SECONDS) if idle_cycles is None else idle_cycles)
        self.accelerator = Accelerator(list(configs), None if inits is None else list(inits))
        constants = {"design": design_digest(configs), "cores": len(configs), "clock": clock_hz, "divisor": divisor}
        sizes = sizes or LinkSizes()
        self.link = Link(
            sizes if configs[0].input_queue else replace(sizes, input_depth_log2=0),
            input_bits=widths[0],
            output_bits=widths[1],
            decision_bits=len(self.accelerator.decision.payload),
            constants=constants,
            compact=self._compact,
        )
        second = {"second": In(bus_signature(ADDRESS_BITS))} if second_master else {}
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1), "error": Out(1), **second})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        receiver, transmitter, bone, link = self.receiver, self.transmitter, self.bone, self.link
        for name in ("receiver", "transmitter", "bone", "link", "accelerator"):
            m.submodules[name] = getattr(self, name)

        wiring.connect(m, bone.answer, transmitter.bytes)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            bone.data.eq(receiver.data),
            bone.valid.eq(receiver.valid),
            link.received.data.eq(receiver.data),
            link.received.valid.eq(bone.taken),
            link.begins.eq(bone.begins),
            link.refused.eq(bone.refused | receiver.framing),
            link.sent.data.eq(bone.answer.payload),
            link.sent.valid.eq(bone.answer.valid & bone.answer.ready),
        ]
        bus = bone.bus
        if self._second_master:
            m.submodules.arbiter = arbiter = Arbiter()
            wiring.connect(m, bone.bus, arbiter.first)
            wiring.connect(m, wiring.flipped(self.second), arbiter.second)
            bus = arbiter.bus
        self._elaborate_bus(m, bus)

        accelerator = self.accelerator
        m.d.comb += [
            accelerator.inputs.payload.as_value().eq(link.inputs.payload),
            accelerator.inputs.valid.eq(link.inputs.valid),
            link.inputs.ready.eq(accelerator.inputs.ready),
            link.spikes.payload.eq(accelerator.spikes.payload),
            link.spikes.valid.eq(accelerator.spikes.valid),
            accelerator.spikes.ready.eq(link.spikes.ready),
        ]
        wiring.connect(m, accelerator.decision, link.decision)
        computes = Cat(core.control.busy | core.control.start for core in accelerator.cores).any()
        m.d.sync += self.busy.eq(computes | link.waits | bone.works | transmitter.busy)
        m.d.comb += self.error.eq(link.error)
        return m

    def _elaborate_bus(self, m: Module, bus: wiring.PureInterface) -> None:
        """The link in its region of core 0, the cores, and beyond those nothing, which answers 0."""
        accelerator, link = self.accelerator, self.link
        is_link, is_core, nothing_ack = Signal(), Signal(), Signal()
        found_link, found_core = self._found(bus)
        if self._compact:
            m.d.comb += [is_link.eq(found_link), is_core.eq(found_core)]
        else:
            m.d.sync += [is_link.eq(found_link), is_core.eq(found_core)]
            bus = self._elaborate_stage(m, bus)
        m.d.comb += link.absent.eq(nothing_ack)
        for chosen, target in ((is_link, link.bus), (is_core, accelerator.bus)):
            m.d.comb += [
                target.cyc.eq(bus.cyc & chosen),
                target.stb.eq(bus.stb),
                target.we.eq(bus.we),
                target.adr.eq(bus.adr),
                target.dat_w.eq(bus.dat_w),
            ]
            with m.If(chosen):
                m.d.comb += bus.ack.eq(target.ack)
        m.d.comb += bus.dat_r.eq(link.bus.dat_r | accelerator.bus.dat_r)
        m.d.sync += nothing_ack.eq(bus.cyc & bus.stb & ~is_link & ~is_core & ~nothing_ack)
        with m.If(~is_link & ~is_core):
            m.d.comb += bus.ack.eq(nothing_ack)

    def _found(self, bus: wiring.PureInterface) -> tuple[Value, Value]:
        """Whether the address is one of the link, and whether one of a core."""
        is_link: Value = bus.adr[REGION_SHIFT:] == LINK_BASE >> REGION_SHIFT
        number: Value = bus.adr[BUS_ADDRESS_BITS:]
        return is_link, Cat(number == core for core in range(self._cores)).any() & ~is_link

    def _elaborate_stage(self, m: Module, bus: wiring.PureInterface) -> wiring.PureInterface:
        """Registers on the way to the cores, which may lie anywhere, and back: an access takes two cycles more."""
        far = bus_signature(ADDRESS_BITS).create(path=("far",))
        asks = bus.cyc & bus.stb
        m.d.sync += [
            far.cyc.eq(asks & ~far.ack & ~bus.ack),
            far.we.eq(bus.we),
            far.adr.eq(bus.adr),
            far.dat_w.eq(bus.dat_w),
            bus.ack.eq(asks & far.ack),
            bus.dat_r.eq(far.dat_r),
        ]
        m.d.comb += far.stb.eq(far.cyc)
        return far
