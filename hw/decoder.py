"""From a token to the beginning and the extent of its walk, by tables: `docs/walks.md`."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .formats import connection_layout, record_layout, request_layout, token_layout, write_port
from .registers import TABLE_ENTRY, memory_shape

__all__ = ["TABLES", "Decoder", "table_entry_layout"]

TABLES = ("rows", "columns", "channels")


def table_entry_layout(config: CoreConfig) -> data.StructLayout:
    """An entry of a walk table."""
    return record_layout(TABLE_ENTRY, tuple(field.name for _, field in TABLE_ENTRY), config)


class Decoder(wiring.Component):
    """Looks up where the walk of each event of a connection begins and how far it goes.

    Without tables (`config.tables`) a token is a request in the same cycle: the walk of address a begins at synapse
    word `synapse_base + a`. With them a request follows its token by `config.decode_cycles` cycles, one in every
    cycle, as long as requests are taken.

    Tokens are taken while `accepts`; whoever raises it lowers it when it sees the marker being taken, so that the
    tokens behind it are not decoded as if they belonged to the same connection.

    Parameters
    ----------
    tables : mapping
        Initial entries of the tables, by name.

    Members
    -------
    tokens : in stream
        See `formats.token_layout`; in a core without tables, with the lane apart.
    requests : out stream
        See `formats.request_layout`.
    accepts : in
        Whether tokens are taken.
    connection, potential_base : in
        What the tokens belong to: the connection record, and the first potential word of its layer.
    rows_write, columns_write, channels_write : in
        One entry each: enable, address and data.
    """

    def __init__(self, config: CoreConfig, *, tables: dict[str, list[int]] | None = None):
        self._config = config
        self._init = tables or {}
        entry = table_entry_layout(config)
        super().__init__(
            {
                "tokens": In(stream.Signature(token_layout(config, lane_apart=config.lane_apart))),
                "requests": Out(stream.Signature(request_layout(config))),
                "accepts": In(1),
                "connection": In(connection_layout(config)),
                "potential_base": In(range(max(2, config.potential_words))),
                **{f"{name}_write": In(write_port(memory_shape(name, config)[0], entry.size)) for name in TABLES},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._config.tables:
            self._elaborate_tables(m)
            return m
        token, request = self.tokens.payload, self.requests.payload
        m.d.comb += [
            self.tokens.ready.eq(self.accepts & self.requests.ready),
            self.requests.valid.eq(self.accepts & self.tokens.valid),
            request.marker.eq(token.marker),
            request.payload.eq(token.payload),
            request.potential.eq(self.potential_base),
            request.synapse.eq(self.connection.synapse_base),
            request.synapse_offset.eq(token.channel),
            request.synapse_lane.eq(token.lane),
            request.rows.eq(1),
            request.columns.eq(1),
            request.one_row.eq(1),
            request.one_column.eq(1),
        ]
        return m

    def _elaborate_tables(self, m: Module) -> None:
        config, connection = self._config, self.connection
        token, request = self.tokens.payload, self.requests.payload
        # Stage 1: the tables answer. Stage 2: what they said is in registers. Stage 3: two sums, the request. Each
        # stage moves on when the next one does or is empty, so that gaps between tokens close during a walk.
        valid1, valid2, moves1, moves2, moves3 = (Signal(name=name) for name in ("v1", "v2", "m1", "m2", "m3"))
        m.d.comb += [
            moves3.eq(~self.requests.valid | self.requests.ready),
            moves2.eq(~valid2 | moves3),
            moves1.eq(~valid1 | moves2),
            self.tokens.ready.eq(self.accepts & moves1),
        ]
        entries = {
            "rows": self._table(m, "rows", connection.row_base, token.row, moves1, moves2),
            "columns": self._table(m, "columns", connection.column_base, token.column, moves1, moves2),
        }
        if config.grouped:
            entries["channels"] = self._table(m, "channels", connection.channel_base, token.channel, moves1, moves2)
        token1, token2 = Signal.like(token, name="token1"), Signal.like(token, name="token2")
        with m.If(moves1):
            m.d.sync += [valid1.eq(self.accepts & self.tokens.valid), token1.eq(token)]
        with m.If(moves2):
            m.d.sync += [valid2.eq(valid1), token2.eq(token1)]
        row, column = entries["rows"], entries["columns"]
        potential, synapse = self.potential_base, token2.channel
        if config.grouped:
            channel = entries["channels"]
            potential = self.potential_base + Mux(connection.by_channel, channel.potential, 0)
            synapse = Mux(connection.by_channel, channel.synapse, token2.channel)
        nothing = (row.count == 0) | (column.count == 0)
        with m.If(moves3):
            m.d.sync += [
                self.requests.valid.eq(valid2),
                request.marker.eq(token2.marker),
                request.nothing.eq(nothing),
                request.payload.eq(token2.payload),
                request.potential.eq(row.potential + column.potential),
                request.potential_offset.eq(potential),
                request.synapse.eq(row.synapse + column.synapse),
                request.synapse_offset.eq(connection.synapse_base + synapse),
                request.rows.eq(row.count),
                request.columns.eq(column.count),
                request.one_row.eq((row.count == 1) | nothing),
                request.one_column.eq((column.count == 1) | nothing),
            ]

    def _table(self, m: Module, name: str, base: Value, index: Value, moves1: Value, moves2: Value) -> data.View:
        """The entry at `base + index`, in stage 2."""
        layout = table_entry_layout(self._config)
        block = memory.Memory(
            shape=layout.size, depth=max(2, memory_shape(name, self._config)[0]), init=self._init.get(name, [])
        )
        m.submodules[name] = block
        read, write, given = block.read_port(), block.write_port(), getattr(self, f"{name}_write")
        entry = Signal(layout, name=f"{name}_entry")
        m.d.comb += [
            write.en.eq(given.en),
            write.addr.eq(given.addr),
            write.data.eq(given.data),
            read.addr.eq(base + index),
            read.en.eq(moves1),
        ]
        with m.If(moves2):
            m.d.sync += entry.eq(read.data)
        return entry
