"""Walks: one operation on one potential word in every cycle, by additions alone. `docs/walks.md`."""

from amaranth.hdl import Module, Mux, Signal
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
    pass_kind : in
        What a pass does.
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
        loads, marker = Signal(), request.marker

        # Three loops, one within the other: words of a tap (of a place), taps of a row, rows. `last_word` and so on:
        # the word under way is the last of its loop. What a request says is loaded whenever it could be taken: whether
        # there is one is known late, and matters only to `active`.
        active, empty, is_pass = Signal(), Signal(), Signal()
        last_word, last_column, last_row, last = Signal(), Signal(), Signal(), Signal()
        words_left = Signal.like(descriptor.channel_words)
        columns_left = Signal(max(8, len(descriptor.column_words)))
        rows_left = Signal(max(8, len(descriptor.rows)))
        words, columns = Signal.like(words_left), Signal.like(columns_left)
        m.d.comb += [
            last.eq(last_word & last_column & last_row),
            loads.eq(~active | last),
            self.requests.ready.eq(loads),
            self.done.eq(active & is_pass & last),
            words.eq(Mux(Mux(loads, marker, is_pass), descriptor.channel_words, connection.words)),
        ]
        started_columns = Signal.like(columns)
        m.d.comb += columns.eq(Mux(loads, Mux(marker, descriptor.column_words, request.columns), started_columns))
        with m.If(loads):
            rows = Mux(marker, descriptor.rows, request.rows)
            m.d.sync += [
                active.eq(self.requests.valid),
                empty.eq(request.nothing & ~marker),
                is_pass.eq(marker),
                started_columns.eq(columns),
                rows_left.eq(rows),
                last_row.eq((rows == 1) | (request.nothing & ~marker)),
            ]
        with m.Elif(last_word & last_column):
            m.d.sync += [rows_left.eq(rows_left - 1), last_row.eq(rows_left == 2)]

        with m.If(loads | (last_word & last_column)):
            m.d.sync += [columns_left.eq(columns), last_column.eq(columns == 1)]
        with m.Elif(last_word):
            m.d.sync += [columns_left.eq(columns_left - 1), last_column.eq(columns_left == 2)]
        with m.If(loads | last_word):
            m.d.sync += [words_left.eq(words), last_word.eq(words == 1)]
        with m.Else():
            m.d.sync += [words_left.eq(words_left - 1), last_word.eq(words_left == 2)]
        with m.If(loads & request.nothing & ~marker):
            m.d.sync += [last_column.eq(1), last_word.eq(1)]

        # Potential words of a pass follow one another; those of an event's walk skip what the event does not reach.
        potential, potential_row = Signal.like(request.potential), Signal.like(request.potential)
        synapse, synapse_row = Signal.like(request.synapse), Signal.like(request.synapse)
        next_row = last_word & last_column & ~is_pass
        potential_step = Mux(
            loads,
            Mux(marker, 0, request.potential_offset),
            Mux(~last_word | is_pass, 1, Mux(last_column, connection.row_step, connection.column_step)),
        )
        potential_from = Mux(loads, Mux(marker, descriptor.potential_base, request.potential), potential)
        synapse_step = Mux(
            loads,
            request.synapse_offset,
            Mux(
                ~last_word,
                connection.synapse_step,
                Mux(last_column, connection.synapse_row_step, connection.synapse_column_step),
            ),
        )
        next_potential, next_synapse = Signal.like(potential), Signal.like(synapse)
        m.d.comb += [
            next_potential.eq(Mux(~loads & next_row, potential_row, potential_from) + potential_step),
            next_synapse.eq(Mux(loads, request.synapse, Mux(next_row, synapse_row, synapse)) + synapse_step),
        ]
        m.d.sync += [potential.eq(next_potential), synapse.eq(next_synapse)]
        with m.If(loads | next_row):
            m.d.sync += [potential_row.eq(next_potential), synapse_row.eq(next_synapse)]
        with m.If(self.idle):
            m.d.sync += synapse.eq(self.inspected_synapse_word)
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
            with m.If(last_word):
                m.d.sync += column.eq(Mux(last_column, 0, column + descriptor.columns))
            with m.If(last_word & last_column):
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
            op.to_replay.eq(fires & descriptor.is_kept),
            op.to_output.eq(fires & descriptor.is_output),
        ]
        m.d.sync += [
            self.operation.eq(Mux(self.idle, self.inspected, op)),
            self.valid.eq(active & ~empty & ~self.idle),
            self.shows.eq(self.idle),
        ]
        return m
