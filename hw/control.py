"""The bus: registers, and slices of memory words. One Wishbone target, elaborated from the register table."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .config import REGION_SHIFT, CoreConfig
from .formats import slice_port
from .register_read import meant_registers, read_registers
from .registers import (
    BUS_ADDRESS_BITS,
    BUS_BITS,
    ERRORS,
    IDENTITY,
    RECORD_SLICES,
    REGIONS,
    REGISTERS,
    Access,
    Field,
    Register,
    field_width,
    memory_shape,
    region,
    slices,
    table_digest,
)

__all__ = ["Control", "bus_signature"]

_LOADABLE = ("layers", "connections", "synapses", "currents", "rows", "columns", "channels", "lanes")
_DEFAULTS = {"layers": 1, "input_channels": 1, "input_grid": 1 << 16 | 1, "timesteps": 1, "outputs": 1}
_READ_CYCLES = 7


def _writable() -> list[tuple[Register, Field, str]]:
    """(register, field, port) of everything that the bus sets; a register of one field gives the port its name."""
    return [
        (entry, field, entry.name if len(entry.fields) == 1 else f"{entry.name}_{field.name}")
        for entry in REGISTERS
        if entry.access == Access.RW
        for field in entry.fields
    ]


def bus_signature(address_bits: int = BUS_ADDRESS_BITS) -> wiring.Signature:
    """Wishbone B4 classic, 32 bits, word addresses, without `sel`: a word is written whole.

    What is not asked has 0 in `dat_r`, from the second cycle after its last acknowledgement on: so several share a bus
    by OR.
    """
    return wiring.Signature(
        {
            "cyc": Out(1),
            "stb": Out(1),
            "we": Out(1),
            "adr": Out(address_bits),
            "dat_w": Out(BUS_BITS),
            "dat_r": In(BUS_BITS),
            "ack": In(1),
        }
    )


@dataclass(frozen=True)
class _Place:
    """What an address goes to: number of the region, the word in it, and its slice or lane."""

    number: Value
    index: Value
    part: Value


class Control(wiring.Component):
    """Answers the bus.

    A memory is written word by word, a word wider than the bus slice by slice, lowest first: it takes effect with its
    last slice. It is read lane by lane (layer records: slice by slice). While an inference runs, every write is refused
    except `abort` and the clearing of errors, and the memories read as 0. What is refused or illegal sets its bit in
    `error` and changes nothing else. Every access is acknowledged: a write in the next cycle, a read
    `_READ_CYCLES + 1` cycles later. One that is given up before that is not, and does nothing.

    Parameters
    ----------
    registers : dict
        Initial values of the writable registers, by name.

    Members
    -------
    bus : in
        See `bus_signature`.
    busy, done, decision, cycles : in
        What the status registers show.
    illegal_input : in
        Strobe: an input word was dropped.
    start, started, image_offset : out, in, out
        An inference of an image may begin; strobe: it does. Where the current words of its bank begin, from the next
        cycle on.
    abort : out
        Strobe, in the cycle of the acknowledgement.
    layers, input_mode_image, timesteps, ... : out
        The writable registers, see `_writable`.
    index, lane : out
        The memory word, and the lane of a potential, that the bus reads.
    record, lane_value, count : in
        The layer record, the value in a lane, or the counter, that is there; at most `_READ_CYCLES` cycles later, the
        record one cycle sooner.
    write_layers, write_connections, ... : out
        One whole word of each memory that can be loaded: enable, address and data.
    """

    def __init__(self, config: CoreConfig, *, registers: dict[str, int]):
        self._config = config
        self._init = registers
        self._pending, self._bank, self._active_bank = Signal(), Signal(), Signal()
        parts = 1 if config.compact else max(slices(memory_shape(name, config)[1]) for name in _LOADABLE)
        self._staged_bits = parts * BUS_BITS
        super().__init__(
            {
                "bus": In(bus_signature()),
                "busy": In(1),
                "done": In(1),
                "decision": In(range(config.max_channels)),
                "cycles": In(32),
                "illegal_input": In(1),
                "start": Out(1),
                "started": In(1),
                "image_offset": Out(range(max(2, config.current_words))),
                "abort": Out(1),
                **{
                    port: Out(
                        width := field_width(field, config),
                        init=registers.get(entry.name, _DEFAULTS.get(entry.name, 0)) >> field.low & ((1 << width) - 1),
                    )
                    for entry, field, port in _writable()
                },
                "index": Out(REGION_SHIFT),
                "lane": Out(range(max(2, config.lanes))),
                "record": In(RECORD_SLICES["layers"] * BUS_BITS),
                "lane_value": In(BUS_BITS),
                "count": In(BUS_BITS),
                **{f"write_{name}": Out(slice_port(*memory_shape(name, config), config)) for name in _LOADABLE},
            }
        )

    def _register_values(self, error: Value) -> dict[str, list[Value | int]]:
        """What each register reads, field by field."""
        config = self._config
        writable: dict[str, list[Value | int]] = {}
        for entry, _, port in _writable():
            writable.setdefault(entry.name, []).append(getattr(self, port))
        return {
            **writable,
            "identity": [IDENTITY],
            "table": [table_digest()],
            "geometry": [config.lanes, config.weight_bits, config.potential_bits, config.fraction_bits],
            "capacity": [config.max_layers, config.classes],
            "control": [0, 0, 0],
            "status": [self.busy, self.done, self._pending],
            "error": [error],
            "decision": [self.decision],
            "cycles": [self.cycles],
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, bus = self._config, self.bus
        number, offset = Signal(BUS_ADDRESS_BITS - REGION_SHIFT), Signal(REGION_SHIFT)
        m.d.comb += [offset.eq(bus.adr[:REGION_SHIFT]), number.eq(bus.adr[REGION_SHIFT:])]

        error = Signal(data.StructLayout({field.name: 1 for field in ERRORS}))

        # What the access goes to: the word of a region, its slice or lane, and whether there is such a thing. The
        # address is there a cycle before it matters, so what follows from it is taken from registers.
        part, last_part, exists = Signal(config.part_bits), Signal(), Signal()
        is_there, is_last_part, spare_bank = Signal(), Signal(), Signal()
        bound, part_bound = Signal(REGION_SHIFT + 1), Signal(config.part_bits + 1)
        m.d.comb += [part.eq(offset[: config.part_bits]), self.lane.eq(part)]
        m.d.sync += [exists.eq(is_there), last_part.eq(is_last_part), spare_bank.eq(self._spare_bank(number))]
        with m.Switch(number):
            for entry in REGIONS:
                with m.Case(entry.number):
                    if entry.parts is None:
                        count = len(REGISTERS) if entry.name == "registers" else config.classes
                        m.d.comb += [self.index.eq(offset), bound.eq(count), part_bound.eq(1 << config.part_bits)]
                        continue
                    m.d.comb += self.index.eq(offset[config.part_bits :])
                    words, slice_count = config.potential_words, 0
                    if entry.name in _LOADABLE:
                        words, bits = memory_shape(entry.name, config)
                        slice_count = slices(bits)
                    counts = {None: 0, "slice": slice_count, "lane": config.lanes}
                    written, read = (counts[name] for name in entry.parts)
                    m.d.comb += [bound.eq(words), part_bound.eq(Mux(bus.we, written, read))]
                    m.d.comb += is_last_part.eq(part == slice_count - 1)
        m.d.comb += is_there.eq((self.index < bound) & (part < part_bound))

        # A start is remembered until the inference begins, and so is the bank of its image.
        m.d.comb += self.start.eq(self._pending)
        with m.If(self.started):
            m.d.sync += [self._active_bank.eq(self._bank), self.image_offset.eq(Mux(self._bank, self.image_words, 0))]

        coming = _Place(number, self.index, part)
        place = _Place(*(Signal.like(value, name=f"{name}_held") for name, value in vars(coming).items()))
        m.d.sync += [held.eq(vars(coming)[name]) for name, held in vars(place).items()]

        early = not config.compact
        meant = meant_registers(m, offset if early else place.index, REGISTERS, early=early)
        read_value = Signal(BUS_BITS)
        with m.If(exists & ((place.number == region("registers").number) | ~self.busy)):
            self._elaborate_read(m, place, meant, error, read_value)

        slice_stb = Signal()
        self._elaborate_slice_write(m, slice_stb, part, place, last_part, error)

        wait, asks = Signal(range(_READ_CYCLES + 1)), bus.cyc & bus.stb
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [wait.eq(_READ_CYCLES - 1), bus.dat_r.eq(0)]
                with m.If(asks):
                    with m.If(bus.we):
                        m.next = "WRITE"
                    with m.Else():
                        m.next = "READ"
            with m.State("READ"):
                m.d.sync += [wait.eq(wait - 1), bus.dat_r.eq(read_value)]
                with m.If(~asks):
                    m.next = "IDLE"
                with m.Elif(wait == 0):
                    m.next = "ACKNOWLEDGE"
            with m.State("ACKNOWLEDGE"):
                m.d.comb += bus.ack.eq(asks)
                with m.If(asks & ~exists):
                    m.d.sync += error.bus_address.eq(1)
                m.next = "IDLE"
            with m.State("WRITE"):
                m.next = "IDLE"
                with m.If(asks):
                    m.d.comb += bus.ack.eq(1)
                    with m.If(~exists):
                        m.d.sync += error.bus_address.eq(1)
                    with m.Elif(place.number == region("registers").number):
                        self._elaborate_register_write(m, meant, error)
                    with m.Elif(place.number == region("counts").number):
                        m.d.sync += error.bus_address.eq(1)
                    with m.Elif(self.busy & ~spare_bank):
                        m.d.sync += error.load_while_running.eq(1)
                    with m.Else():
                        m.d.comb += slice_stb.eq(1)

        with m.If(self.started | self.abort):
            m.d.sync += self._pending.eq(0)
        # Last, so that one that comes while errors are cleared is not lost.
        with m.If(self.illegal_input):
            m.d.sync += error.input_address.eq(1)
        return m

    def _spare_bank(self, number: Value) -> Value:
        """Whether the bus writes a current of the image that the inference under way does not use."""
        index = self.index[: len(self.image_words)]  # no more of it, since the word exists
        second = index >= self.image_words
        is_image = (number == region("currents").number) & (index >> 1 < self.image_words)
        return is_image & (second != self._active_bank) & ~self._pending

    def _elaborate_read(
        self, m: Module, place: _Place, meant: dict[str, Signal], error: Value, read_value: Value
    ) -> None:
        """`read_value`: what the address holds."""
        chosen = m.d["comb" if self._config.compact else "sync"]
        register_value, slice_value = Signal(BUS_BITS), Signal(BUS_BITS)
        chosen += register_value.eq(
            read_registers(
                REGISTERS, meant, self._register_values(error), lambda field: field_width(field, self._config)
            )
        )
        with m.Switch(place.part):
            for i in range(RECORD_SLICES["layers"]):
                with m.Case(i):
                    chosen += slice_value.eq(self.record.word_select(i, BUS_BITS))
        with m.Switch(place.number):
            with m.Case(region("registers").number):
                m.d.comb += read_value.eq(register_value)
            with m.Case(region("layers").number):
                m.d.comb += read_value.eq(slice_value)
            with m.Case(*(region(name).number for name in ("synapses", "currents", "potentials"))):
                m.d.comb += read_value.eq(self.lane_value)
            with m.Case(region("counts").number):
                m.d.comb += read_value.eq(self.count)

    def _elaborate_register_write(self, m: Module, meant: dict[str, Signal], error: Value) -> None:
        written = self.bus.dat_w
        with m.If(meant["control"]):
            m.d.comb += self.abort.eq(written[1])
            with m.If(written[0] & ~written[1]):
                with m.If(self._pending | ~self.input_mode_image):
                    m.d.sync += error.start_refused.eq(1)
                with m.Else():
                    m.d.sync += [self._pending.eq(1), self._bank.eq(written[2])]
        with m.If(meant["error"]):
            m.d.sync += error.eq(error.as_value() & ~written[: len(ERRORS)])
        with m.If(Cat(meant[entry.name] for entry in REGISTERS if entry.access == Access.RO).any()):
            m.d.sync += error.bus_address.eq(1)
        with m.If(Cat(meant[entry.name] for entry in REGISTERS if entry.access == Access.RW).any() & self.busy):
            m.d.sync += error.load_while_running.eq(1)
        for entry, field, port in _writable():
            with m.If(meant[entry.name] & ~self.busy):
                m.d.sync += getattr(self, port).eq(written[field.low :])

    def _elaborate_slice_write(
        self, m: Module, slice_stb: Value, coming_part: Value, place: _Place, last_part: Value, error: Value
    ) -> None:
        """Shift the slices of one word in; the last one writes it, two cycles after the acknowledgement.

        In a compact core each slice is written by itself, in the cycle of its acknowledgement.
        """
        staged, given = Signal(self._staged_bits, reset_less=True), Signal(BUS_BITS, reset_less=True)
        takes = Signal()
        depth = max(memory_shape(name, self._config)[0] for name in _LOADABLE)
        # No more of the index, since the word exists; and straight from the address, since it has slices.
        index = self.bus.adr[self._config.part_bits : REGION_SHIFT][: ceil_log2(max(2, depth))]
        coming_word = Cat(index, self.bus.adr[REGION_SHIFT:])
        next_part, staged_for, in_order = Signal.like(coming_part), Signal(len(coming_word), reset_less=True), Signal()
        m.d.sync += in_order.eq((coming_part == 0) | ((coming_part == next_part) & (staged_for == coming_word)))
        with m.If(slice_stb & in_order):
            m.d.sync += [next_part.eq(place.part + 1), staged_for.eq(coming_word)]
        with m.If(slice_stb & ~in_order):
            m.d.sync += error.slice_order.eq(1)
        # Found out late, and all of a wide word depends on it: the slice is shifted in a cycle later.
        m.d.sync += [given.eq(self.bus.dat_w), takes.eq(slice_stb & in_order)]
        with m.If(takes):
            m.d.sync += staged.eq(Cat(staged[BUS_BITS:], given))
        for name in _LOADABLE:
            word, width = getattr(self, f"write_{name}"), memory_shape(name, self._config)[1]
            written = slice_stb & in_order & (place.number == region(name).number)
            if self._config.compact:
                m.d.comb += [
                    word.addr.eq(place.index),
                    word.data.eq(self.bus.dat_w.replicate(slices(width))),
                    word.en.eq(Mux(written, 1 << place.part[: slices(width).bit_length()], 0)),
                ]
            else:
                m.d.comb += [word.addr.eq(staged_for), word.data.eq(staged[-slices(width) * BUS_BITS :])]
                ends = Signal(name=f"ends_{name}")
                m.d.sync += [ends.eq(written & last_part), word.en.eq(ends)]
