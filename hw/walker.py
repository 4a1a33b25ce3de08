"""Walks: one operation on one potential word in every cycle, by additions alone. `docs/walks.md`."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .formats import Operation, connection_layout, descriptor_layout, operation_layout, request_layout

__all__ = ["Walker"]


class Walker(wiring.Component):
    """Turns requests into operations: an event into the INTEGRATEs of its walk, a marker into a pass over the layer.

    A request that is taken in cycle x puts its first operation out in cycle x + `LATENCY`, and one in every cycle from
    then on; the next is taken when the last word of the one before is under way, so that there is no gap between them.

    Members
    -------
    requests : in stream
        See `formats.request_layout`.
    layer, descriptor, connection : in
        What the requests belong to. They must not change while a walk is under way.
    pass_kind, one_word_pass, one_row_pass, one_column_pass, one_word_tap : in
        What a pass does; whether a place of the layer has one potential word, the layer one row, a row one word of
        columns; and whether a tap has one word.
    done : out
        Strobe: the last word of a pass is under way.
    operation, valid, shows : out
        To the neuron array.
    synapse_word : out
        Synapse word of the operation in the next cycle.
    idle, inspected, inspected_synapse_word : in
        While `idle`, `inspected` is put out instead, with `shows` and not `valid`.
    image_offset : in
        Added to the first current word of a pass.
    """

    LATENCY = 2

    def __init__(self, config: CoreConfig):
        self._config = config
        operation = operation_layout(config)
        super().__init__(
            {
                "requests": In(stream.Signature(request_layout(config))),
                "layer": In(range(max(2, config.max_layers))),
                "descriptor": In(descriptor_layout(config)),
                "connection": In(connection_layout(config)),
                "pass_kind": In(Operation),
                "one_word_pass": In(1),
                "one_row_pass": In(1),
                "one_column_pass": In(1),
                "one_word_tap": In(1),
                "done": Out(1),
                "operation": Out(operation),
                "valid": Out(1),
                "shows": Out(1),
                "synapse_word": Out(range(max(2, config.synapse_words))),
                "idle": In(1),
                "inspected": In(operation),
                "inspected_synapse_word": In(range(max(2, config.synapse_words))),
                "image_offset": In(range(max(2, config.current_words))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        descriptor, connection = self.descriptor, self.connection
        request = self.requests.payload
        loads, marker, nothing = Signal(), request.marker, Signal()
        m.d.comb += nothing.eq(request.nothing & ~marker)

        # Three loops, one within the other: words of a tap (of a place), taps of a row, rows. `last_word` and so on:
        # the word under way is the last of its loop; `ends_row` and `last`, of two of them and of all. All are computed
        # a cycle ahead, and on a core without tables there is one loop. What a request says is loaded whenever it could
        # be taken: whether there is one is known late, and matters only to `active`.
        grids = self._config.tables
        active, empty, is_pass = Signal(), Signal(), Signal()
        last_word, last_column, last_row = Signal(), Signal(init=1), Signal(init=1)
        ends_row, last = Signal(), Signal()
        next_word, next_column, next_row = Signal(), Signal(init=1), Signal(init=1)
        words_left = Signal.like(descriptor.channel_words)
        m.d.comb += [loads.eq(~active | last), self.requests.ready.eq(loads), self.done.eq(active & is_pass & last)]
        for_pass = Signal()
        m.d.comb += for_pass.eq(Mux(loads, marker, is_pass))
        with m.If(loads | last_word):
            m.d.comb += next_word.eq(Mux(for_pass, self.one_word_pass, self.one_word_tap) | (loads & nothing))
            m.d.sync += words_left.eq(Mux(for_pass, descriptor.channel_words, connection.words))
        with m.Else():
            m.d.comb += next_word.eq(words_left == 2)
            m.d.sync += words_left.eq(words_left - 1)
        if grids:
            self._elaborate_grid(m, loads, last_word, ends_row, (last_column, last_row), (next_column, next_row))
        m.d.sync += [
            last_word.eq(next_word),
            ends_row.eq(next_word & next_column),
            last.eq(next_word & next_column & next_row),
        ]
        with m.If(loads):
            m.d.sync += [active.eq(self.requests.valid), empty.eq(nothing), is_pass.eq(marker)]

        # Potential words of a pass follow one another; those of an event's walk skip what the event does not reach.
        potential, synapse = Signal.like(request.potential), Signal.like(request.synapse)
        next_potential, next_synapse = Signal.like(potential), Signal.like(synapse)
        potential_from, synapse_from, potential_step, synapse_step = (
            potential,
            synapse,
            Const(1),
            connection.synapse_step,
        )
        if grids:
            potential_row, synapse_row = Signal.like(potential), Signal.like(synapse)
            potential_step, synapse_step = Signal.like(potential), Signal.like(synapse)
            m.d.sync += [
                potential_step.eq(
                    Mux(~next_word | for_pass, 1, Mux(next_column, connection.row_step, connection.column_step))
                ),
                synapse_step.eq(
                    Mux(
                        ~next_word,
                        connection.synapse_step,
                        Mux(next_column, connection.synapse_row_step, connection.synapse_column_step),
                    )
                ),
            ]
            with m.If(loads | (ends_row & ~is_pass)):
                m.d.sync += [potential_row.eq(next_potential), synapse_row.eq(next_synapse)]
            potential_from = Mux(ends_row & ~is_pass, potential_row, potential)
            synapse_from = Mux(ends_row, synapse_row, synapse)
        m.d.comb += [
            next_potential.eq(
                Mux(loads, Mux(marker, descriptor.potential_base, request.potential), potential_from)
                + Mux(loads, Mux(marker, 0, request.potential_offset), potential_step)
            ),
            # What is looked at while idle goes through the sum too: nothing is to stand between it and its register.
            next_synapse.eq(
                Mux(self.idle, self.inspected_synapse_word, Mux(loads, request.synapse, synapse_from))
                + Mux(self.idle, 0, Mux(loads, request.synapse_offset, synapse_step))
                + Mux(loads & ~self.idle, request.synapse_lane, 0)
            ),
        ]
        m.d.sync += [potential.eq(next_potential), synapse.eq(next_synapse)]
        m.d.comb += self.synapse_word.eq(synapse)

        # Of a pass: the place of the first lane, and the current word.
        op = Signal(operation_layout(self._config))
        payload, current_word = Signal.like(request.payload), Signal.like(op.current_word)
        channel, column, row = Signal.like(op.channel), Signal.like(op.column), Signal.like(op.row)
        first_current = descriptor.current_base
        if self._config.static_input:
            first_current = Mux(self.pass_kind == Operation.LOAD, descriptor.load_base, descriptor.current_base)
        with m.If(loads):
            m.d.sync += [
                payload.eq(request.payload),
                row.eq(0),
                column.eq(0),
                channel.eq(0),
                current_word.eq(first_current + self.image_offset),
            ]
        with m.Else():
            m.d.sync += [
                channel.eq(Mux(last_word, 0, channel + descriptor.channels)),
                current_word.eq(
                    Mux(
                        (descriptor.current_step == 1) & last_word,
                        descriptor.current_base,
                        current_word + descriptor.current_step.any(),
                    )
                ),
            ]
            if grids:
                with m.If(last_word):
                    m.d.sync += column.eq(Mux(last_column, 0, column + descriptor.columns))
            with m.If(ends_row):
                m.d.sync += row.eq(row + 1)
        fires = is_pass & (self.pass_kind == Operation.FIRE)
        m.d.comb += [
            op.kind.eq(Mux(is_pass, self.pass_kind, Operation.INTEGRATE)),
            op.layer.eq(self.layer),
            op.potential_word.eq(potential),
            op.current_word.eq(current_word),
            op.payload.eq(payload),
            op.channel.eq(channel),
            op.column.eq(column),
            op.row.eq(row),
            op.last.eq(last),
            op.used_lanes.eq(
                Mux(Mux(descriptor.end_is_column, last_column, last_word), descriptor.end_lanes, descriptor.used_lanes)
            ),
            op.to_next.eq(fires & descriptor.feeds_next),
            op.to_replay.eq(0 if self._config.compact else fires & descriptor.is_kept),
            op.to_output.eq(fires & descriptor.is_output),
        ]
        m.d.sync += [
            self.operation.eq(Mux(self.idle, self.inspected, op)),
            self.valid.eq(active & ~empty & ~self.idle),
            self.shows.eq(self.idle),
        ]
        return m

    def _elaborate_grid(
        self,
        m: Module,
        loads: Value,
        last_word: Value,
        ends_row: Value,
        last: tuple[Signal, Signal],
        following: tuple[Signal, Signal],
    ) -> None:
        """The outer two loops: whether column and row of the word under way, and of the next one, are the last."""
        request, descriptor = self.requests.payload, self.descriptor
        columns_left = Signal(max(8, len(descriptor.column_words)))
        rows_left = Signal(max(8, len(descriptor.rows)))
        columns, rows = Signal.like(columns_left), Signal.like(rows_left)
        started, one_column, one_started = Signal.like(columns), Signal(), Signal()
        m.d.comb += [
            one_column.eq(Mux(request.marker, self.one_column_pass, request.one_column)),
            columns.eq(Mux(loads, Mux(request.marker, descriptor.column_words, request.columns), started)),
            rows.eq(Mux(request.marker, descriptor.rows, request.rows)),
            Cat(following).eq(Cat(last)),
        ]
        with m.If(loads):
            m.d.comb += following[1].eq(Mux(request.marker, self.one_row_pass, request.one_row))
            m.d.sync += [rows_left.eq(rows), started.eq(columns), one_started.eq(one_column)]
        with m.Elif(ends_row):
            m.d.comb += following[1].eq(rows_left == 2)
            m.d.sync += rows_left.eq(rows_left - 1)
        with m.If(loads | ends_row):
            m.d.comb += following[0].eq(Mux(loads, one_column, one_started))
            m.d.sync += columns_left.eq(columns)
        with m.Elif(last_word):
            m.d.comb += following[0].eq(columns_left == 2)
            m.d.sync += columns_left.eq(columns_left - 1)
        m.d.sync += Cat(last).eq(Cat(following))
