"""What a host reaches beside the cores: the link's registers, waiting input, and output and decisions kept for it."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import REGION_SHIFT
from .control import bus_signature
from .crc32 import Crc32
from .link_registers import (
    DECISION_WORDS,
    LINK_IDENTITY,
    LINK_REGISTERS,
    WINDOW_SHIFT,
    WINDOWS,
    link_register,
    link_table_digest,
)
from .problems import Problems
from .register_read import meant_registers, read_registers
from .registers import BUS_BITS, Access
from .ring import Ring
from .skid import Skid

__all__ = ["Link", "LinkSizes"]

_MOST_DEPTH_LOG2 = {"input": 15, "output": WINDOW_SHIFT, "decision": WINDOW_SHIFT - 1}


@dataclass(frozen=True, kw_only=True)
class LinkSizes:
    """How much the link keeps, each as a power of two: input tokens (0: it takes none), output tokens and decisions."""

    input_depth_log2: int = 9
    output_depth_log2: int = 10
    decision_depth_log2: int = 4

    def __post_init__(self) -> None:
        problems = Problems("link")
        for name, most in _MOST_DEPTH_LOG2.items():
            value = getattr(self, f"{name}_depth_log2")
            least = int(name != "input")
            problems.require(least <= value <= most, f"{name}_depth_log2 must be from {least} to {most}, not {value}")
        problems.raise_any()


_WRITABLE = [entry.name for entry in LINK_REGISTERS if entry.access != Access.RO]


class Link(wiring.Component):
    """The registers and windows of `link_registers`.

    Every access is acknowledged: a write in the next cycle, a read two cycles after that. What is illegal changes
    nothing, reads as 0 and sets a bit in `error`. Output and decisions that the host has not yet taken are never
    overwritten: where there is no room, `spikes` or `decision` is held back.

    Parameters
    ----------
    sizes : LinkSizes
    input_bits, output_bits, decision_bits : int
        Widths of what passes through, at most `BUS_BITS` each.
    constants : dict
        What the registers `design`, `clock` and `divisor` read, and the number of `cores`.
    compact : bool
        Whether it is to be small rather than fast.

    Members
    -------
    bus : in
        See `control.bus_signature`; addresses from the first link register on.
    inputs, spikes, decision : out, in, in streams
        To and from the accelerator.
    received, sent : in
        Each byte that was received and is part of a command, and each that is sent, in the cycle in which `valid` is 1.
    begins : in
        Strobe: the byte received is the first of a command.
    refused, absent : in
        Strobes: something received was dropped; a bus access that reaches nothing.
    error : out
        Whether any bit of the register is set.
    waits : out
        Whether there is input that the accelerator has not taken.
    """

    def __init__(
        self,
        sizes: LinkSizes,
        *,
        input_bits: int,
        output_bits: int,
        decision_bits: int,
        constants: dict[str, int],
        compact: bool = False,
    ):
        self._sizes, self._constants, self._compact = sizes, constants, compact
        depth = 1 << sizes.input_depth_log2 if sizes.input_depth_log2 else 0
        self._queue = fifo.SyncFIFOBuffered(width=input_bits, depth=depth)
        kept = {"outputs": (sizes.output_depth_log2, 1, output_bits)}
        kept["decisions"] = (sizes.decision_depth_log2, DECISION_WORDS, BUS_BITS)
        self._outputs, self._decisions = (
            Ring(depth=1 << depth, words=words, width=width, latency=1 if compact else 2)
            for depth, words, width in kept.values()
        )
        byte = data.StructLayout({"data": 8, "valid": 1})
        super().__init__(
            {
                "bus": In(bus_signature(REGION_SHIFT)),
                "inputs": Out(stream.Signature(input_bits)),
                "spikes": In(stream.Signature(output_bits)),
                "decision": In(stream.Signature(decision_bits)),
                "received": In(byte),
                "sent": In(byte),
                "begins": In(1),
                "refused": In(1),
                "absent": In(1),
                "error": Out(1),
                "waits": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, queue, outputs, decisions = self.bus, self._queue, self._outputs, self._decisions
        restarts, clear, cycle, takes_next = Signal(), Signal(), Signal(BUS_BITS), Signal()
        restart = Signal()
        m.d.sync += [cycle.eq(cycle + 1), restart.eq(restarts)]
        forget = ResetInserter(restart)
        m.submodules.queue, m.submodules.outputs, m.submodules.decisions = map(forget, (queue, outputs, decisions))
        m.d.comb += [
            queue.r_en.eq(takes_next),
            queue.w_data.eq(bus.dat_w),
            self.waits.eq(self.inputs.valid | (queue.level != 0)),
            outputs.items.payload.as_value().eq(self.spikes.payload),
            outputs.items.valid.eq(self.spikes.valid),
            self.spikes.ready.eq(outputs.items.ready),
            outputs.index.eq(bus.adr),
            decisions.index.eq(bus.adr),
            outputs.taken_value.eq(bus.dat_w),
            decisions.taken_value.eq(bus.dat_w),
        ]

        # A decision is stamped as it leaves the core. What says that it does comes late in the cycle: a register.
        decided, stamped, waits = decisions.items, Signal(decisions.items.payload.shape()), Signal()
        if self._compact:
            m.d.comb += [
                stamped[0].eq(self.decision.payload),
                stamped[1].eq(cycle),
                waits.eq(self.decision.valid),
                self.decision.ready.eq(decided.ready),
            ]
        else:
            m.d.comb += self.decision.ready.eq(~waits)
            with m.If(waits):
                m.d.sync += waits.eq(~decided.ready)
            with m.Else():
                m.d.sync += [waits.eq(self.decision.valid), stamped[0].eq(self.decision.payload), stamped[1].eq(cycle)]
            with m.If(restart):
                m.d.sync += waits.eq(0)
        m.d.comb += [decided.payload.eq(stamped), decided.valid.eq(waits)]

        # What a block RAM gives comes too late for the checks at the input of a core, and that a core takes it too late
        # for the queue.
        given = stream.Signature(self.inputs.payload.shape()).create()
        m.d.comb += takes_next.eq(given.ready | ~given.valid)
        with m.If(takes_next):
            m.d.sync += [given.payload.eq(queue.r_data), given.valid.eq(queue.r_rdy)]
        with m.If(restart):
            m.d.sync += given.valid.eq(0)
        if self._compact:
            wiring.connect(m, given, wiring.flipped(self.inputs))
        else:
            m.submodules.skid = skid = forget(Skid(given.payload.shape()))
            wiring.connect(m, given, skid.given)
            wiring.connect(m, skid.taken, wiring.flipped(self.inputs))

        # Both are seen as they were when the command under way began.
        checks = {}
        for name, byte in (("received", self.received), ("sent", self.sent)):
            m.submodules[name] = crc = Crc32()
            checks[name] = Signal(BUS_BITS, name=f"{name}_before")
            m.d.comb += [crc.data.eq(byte.data), crc.valid.eq(byte.valid), crc.clear.eq(clear)]
            with m.If(self.begins):
                m.d.sync += checks[name].eq(crc.value)

        inputs_put, put, was_put = Signal(BUS_BITS), Signal(), Signal()
        error = Signal(data.StructLayout({field.name: 1 for field in link_register("error").fields}))
        m.d.comb += self.error.eq(error.as_value().any())
        sizes, constants = self._sizes, self._constants
        values: dict[str, list[Value | int]] = {
            "identity": [LINK_IDENTITY],
            "table": [link_table_digest()],
            "design": [constants["design"]],
            "geometry": [
                constants["cores"],
                sizes.input_depth_log2,
                sizes.output_depth_log2,
                sizes.decision_depth_log2,
            ],
            "clock": [constants["clock"]],
            "divisor": [constants["divisor"]],
            "control": [0, 0],
            "error": [error[field.name] for field in link_register("error").fields],
            "received": [checks["received"]],
            "sent": [checks["sent"]],
            "input_space": [queue.depth - queue.level],
            "inputs_put": [inputs_put],
            "outputs_given": [outputs.given],
            "outputs_taken": [outputs.taken],
            "decisions_given": [decisions.given],
            "decisions_taken": [decisions.taken],
            "cycle": [cycle],
        }

        # What an access is about. The address is there a cycle before that matters; what it reads, two cycles after,
        # when the memories have answered.
        meant = meant_registers(m, bus.adr, LINK_REGISTERS, early=not self._compact)
        means_window = {name: Signal(name=f"means_{name}") for name in WINDOWS}
        for name, number in WINDOWS.items():
            m.d["comb" if self._compact else "sync"] += means_window[name].eq(bus.adr[WINDOW_SHIFT:] == number)
        puts, register_value, value = means_window["inputs"], Signal(BUS_BITS), Signal(BUS_BITS)
        m.d.sync += register_value.eq(read_registers(LINK_REGISTERS, meant, values, lambda field: int(field.width)))
        means_register = Cat(meant.values()).any()
        readable = means_register | means_window["outputs"] | means_window["decisions"]
        m.d.comb += value.eq(
            register_value
            | Mux(means_window["outputs"], outputs.word, 0)
            | Mux(means_window["decisions"], decisions.word, 0)
        )

        asks, wrong = bus.cyc & bus.stb, Signal()
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += bus.dat_r.eq(0)
                with m.If(asks):
                    m.next = "WAIT"
                    with m.If(bus.we):
                        m.next = "WRITE"
            with m.State("WAIT"):
                m.next = "READ"
            with m.State("READ"):
                m.d.sync += bus.dat_r.eq(value)
                m.next = "ACKNOWLEDGE"
            with m.State("ACKNOWLEDGE"):
                m.d.comb += [bus.ack.eq(asks), wrong.eq(asks & ~readable)]
                m.next = "IDLE"
            with m.State("WRITE"):
                m.next = "IDLE"
                with m.If(asks):
                    m.d.comb += bus.ack.eq(1)
                    m.d.comb += [
                        restarts.eq(meant["control"] & bus.dat_w[0]),
                        clear.eq(meant["control"] & bus.dat_w[1]),
                        outputs.take.eq(meant["outputs_taken"]),
                        decisions.take.eq(meant["decisions_taken"]),
                        queue.w_en.eq(puts & (queue.depth != 0)),
                        put.eq(queue.w_en & queue.w_rdy),
                        wrong.eq(~puts & ~Cat(meant[name] for name in _WRITABLE).any()),
                    ]
                    with m.If(meant["error"]):
                        m.d.sync += error.eq(error.as_value() & ~bus.dat_w[: len(error.as_value())])
                    with m.If(puts & ~put):
                        m.d.sync += error.input_full.eq(1)
        m.d.sync += [was_put.eq(put), inputs_put.eq(inputs_put + was_put)]
        with m.If(restart):
            m.d.sync += inputs_put.eq(0)
        # Last, so that one that comes while errors are cleared is not lost.
        with m.If(self.refused):
            m.d.sync += error.command.eq(1)
        with m.If(self.absent | wrong):
            m.d.sync += error.address.eq(1)
        return m
