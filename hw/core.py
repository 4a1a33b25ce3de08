"""The core: every block, wired together. It has no behaviour of its own beyond the checks at its ports."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from amaranth.hdl import Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from .compact_array import CompactArray
from .config import REGION_SHIFT, CoreConfig
from .control import Control, bus_signature
from .decoder import TABLES, Decoder, table_entry_layout
from .formats import (
    Operation,
    connection_layout,
    descriptor_layout,
    fixed_fields,
    from_record,
    neuron_layout,
    operation_layout,
    record_bits,
    spike_groups,
    token_layout,
)
from .neuron_array import NeuronArray
from .queue import Queue
from .readout import Readout
from .registers import BUS_BITS, CONNECTION_RECORD, LANE_ENTRY, LAYER_RECORD, TABLE_ENTRY, Record, field_width, region
from .replay import Replay
from .sequencer import Sequencer
from .skid import Skid
from .spike_queue import SpikeQueue, lane_entry_layout
from .walker import Walker

__all__ = ["Core", "MemoryInit"]


@dataclass(frozen=True)
class MemoryInit:
    """What the memories and registers of a core hold when it is configured: words as unsigned integers."""

    layers: list[int] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)
    synapses: list[int] = field(default_factory=list)
    currents: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)
    lanes: list[int] = field(default_factory=list)
    registers: Mapping[str, int] = field(default_factory=dict)


def _records(record: Record, layout: data.StructLayout, words: list[int]) -> list[int]:
    return [from_record(record, layout, word) for word in words]


class Core(wiring.Component):
    """Runs whole inferences of a spiking network, driven by events.

    An inference begins with the first input word (registers say how many input addresses there are), or for an image
    in the currents with a write to `control.start`. `docs/cycles.md` gives the clock cycle of everything that leaves.

    Parameters
    ----------
    config : CoreConfig
    init : MemoryInit
        What memories and registers hold at power-up.
    inner : bool
        Whether another core gives the input.

    Members
    -------
    bus : in
        Wishbone, see `control`.
    inputs : in stream
        Spike events, and a marker after each timestep. An event beyond the first layer sets `error.input_address`, and
        is taken and dropped; by an inner core, which hears of it too late, it is not dropped.
    spikes : out stream
        Spike events of the last layer, and a marker after each timestep.
    decision : out stream
        The winner of each inference; the next inference begins after it was taken.
    trace_* : out
        For benches, see `NeuronArray`.
    """

    INPUT_LATENCY = 2

    def __init__(self, config: CoreConfig, init: MemoryInit | None = None, *, inner: bool = False):
        self._config, self._inner = config, inner
        init = init or MemoryInit()
        self.sequencer = Sequencer(
            config,
            descriptors=_records(LAYER_RECORD, descriptor_layout(config), init.layers),
            connections=_records(CONNECTION_RECORD, connection_layout(config), init.connections),
        )
        entry = table_entry_layout(config)
        self.decoder = Decoder(
            config, tables={name: _records(TABLE_ENTRY, entry, getattr(init, name)) for name in TABLES}
        )
        self.walker = Walker(config)
        self.array = (CompactArray if config.compact else NeuronArray)(
            config,
            synapses=init.synapses,
            currents=init.currents,
            neurons=_records(LAYER_RECORD, neuron_layout(config), init.layers),
        )
        lanes = _records(LANE_ENTRY, lane_entry_layout(config), init.lanes)
        self.next_queue = SpikeQueue(config, lanes=lanes, lane_apart=config.lane_apart)
        self.output_queue = SpikeQueue(config, lanes=lanes)
        self.replay = Replay(config) if config.replay_words else None
        self.control = Control(config, registers=dict(init.registers))
        token = token_layout(config)
        trace = {name: member for name, member in self.array.signature.members.items() if name.startswith("trace_")}
        super().__init__(
            {
                "bus": In(bus_signature()),
                "inputs": In(stream.Signature(token)),
                "spikes": Out(stream.Signature(token)),
                "decision": Out(stream.Signature(range(config.max_channels))),
                **trace,
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        control, sequencer, walker, array = self.control, self.sequencer, self.walker, self.array
        readout = Readout(config)

        m.submodules.control = control
        aborts = Signal()
        m.d.sync += aborts.eq(control.abort)
        forget = ResetInserter(aborts)
        m.submodules.sequencer = forget(sequencer)
        m.submodules.decoder = forget(self.decoder)
        m.submodules.walker = forget(walker)
        m.submodules.array = array
        m.submodules.next_queue = forget(self.next_queue)
        m.submodules.output_queue = forget(self.output_queue)
        m.submodules.readout = forget(readout)
        wiring.connect(m, wiring.flipped(self.bus), control.bus)

        image = control.input_mode_image
        if config.input_queue:
            self._elaborate_input(m, forget)
        else:
            m.d.comb += [self.inputs.ready.eq(1), control.illegal_input.eq(self.inputs.valid)]
        self._elaborate_walks(m, forget)
        m.d.comb += [
            array.forget.eq(aborts),
            sequencer.image.eq(image),
            sequencer.static_input.eq(control.input_mode_is_static if config.static_input else 0),
            sequencer.start.eq(control.start),
            control.started.eq(sequencer.begin),
            walker.image_offset.eq(Mux(image & (sequencer.layer == 0), control.image_offset, 0)),
            sequencer.layer_count.eq(control.layers),
            sequencer.timesteps.eq(control.timesteps),
        ]
        for name in self.signature.members:
            if name.startswith("trace_"):
                m.d.comb += getattr(self, name).eq(getattr(array, name))

        # The result.
        m.d.comb += [
            readout.token.eq(self.spikes.payload),
            readout.offered.eq(self.spikes.valid),
            readout.leaves.eq(self.spikes.valid & self.spikes.ready),
            readout.begin.eq(sequencer.begin),
            readout.finished.eq(sequencer.finished),
            readout.potential_base.eq(sequencer.descriptor.potential_base),
            readout.timesteps.eq(control.timesteps),
            readout.delay.eq(control.delay),
            readout.by_potential.eq(control.decision_mode_by_potential),
            readout.none.eq(control.decision_mode_none),
            readout.outputs.eq(control.outputs),
            readout.lanes.eq(array.seen),
            array.seen_lane.eq(readout.look_lane),
            sequencer.decided.eq(self.decision.valid & self.decision.ready),
        ]
        wiring.connect(m, readout.decision, wiring.flipped(self.decision))
        cycles, done, busy = Signal(32), Signal(), Signal()
        m.d.comb += busy.eq(~sequencer.idle)
        with m.If(sequencer.begin):
            m.d.sync += [cycles.eq(Mux(image, 2, self.INPUT_LATENCY + 1)), done.eq(0)]
        with m.Elif(busy & ~self.decision.valid & ~done):
            m.d.sync += cycles.eq(cycles + 1)
        with m.If(aborts):
            m.d.sync += done.eq(0)
        with m.Elif(self.decision.valid):
            m.d.sync += done.eq(1)
        m.d.comb += [
            control.busy.eq(busy),
            control.done.eq(done),
            control.cycles.eq(cycles),
            control.decision.eq(self.decision.payload),
        ]

        # What the bus and the readout look at, and what the bus loads.
        looked_at, value = Signal(operation_layout(config)), Signal(signed(BUS_BITS))
        number = control.bus.adr[REGION_SHIFT:]
        sees_weight = (number == region("synapses").number) & ~readout.looks
        sees_current = (number == region("currents").number) & ~readout.looks
        m.d.comb += [
            looked_at.kind.eq(
                Mux(sees_weight, Operation.INTEGRATE, Mux(sees_current, Operation.FIRE, Operation.PRELOAD))
            ),
            looked_at.layer.eq(control.index),
            looked_at.potential_word.eq(Mux(readout.looks, readout.look_word, control.index)),
            looked_at.current_word.eq(control.index),
            walker.idle.eq(sequencer.idle | sequencer.finished),
            walker.inspected.eq(looked_at),
            walker.inspected_synapse_word.eq(control.index),
            sequencer.inspected_layer.eq(control.index),
            readout.lane.eq(control.lane),
            readout.class_index.eq(control.index),
            value.eq(Mux(sees_weight, readout.seen >> config.fraction_bits, readout.seen)),
            control.lane_value.eq(value),
            control.count.eq(readout.class_count),
        ]
        for position, entry in LAYER_RECORD:
            if entry.name in fixed_fields(config):
                low = position * BUS_BITS + entry.low
                m.d.comb += control.record[low : low + field_width(entry, config)].eq(fixed_fields(config)[entry.name])
        wiring.connect(m, control.write_synapses, array.synapse_write)
        wiring.connect(m, control.write_currents, array.current_write)
        for queue in (self.next_queue, self.output_queue):
            self._load(m, control.write_lanes, LANE_ENTRY, queue.lane_write, lane_entry_layout(config))
        for name in TABLES:
            write = getattr(self.decoder, f"{name}_write")
            self._load(m, getattr(control, f"write_{name}"), TABLE_ENTRY, write, table_entry_layout(config))
        self._load(
            m, control.write_connections, CONNECTION_RECORD, sequencer.connection_write, connection_layout(config)
        )
        for write, held in ((array.layer_write, array.neuron), (sequencer.layer_write, sequencer.descriptor)):
            self._load(m, control.write_layers, LAYER_RECORD, write, held.shape())
            for name, low, width in record_bits(LAYER_RECORD, held.shape()):
                m.d.comb += control.record[low : low + width].eq(held[name])
        return m

    def _elaborate_input(self, m: Module, forget: ResetInserter) -> None:
        """Input: what is beyond its grid goes no further than this.

        What another core gives comes late in the cycle, and is beyond the grid only if the two were loaded with what
        does not belong together: that is an error all the same, of which the other side of the queue tells.
        """
        config, control, sequencer = self._config, self.control, self.sequencer
        tokens = stream.Signature(token_layout(config)).create()
        checked = tokens if self._inner else self.inputs
        token, legal = checked.payload, Signal()
        m.d.comb += legal.eq(
            ~control.input_mode_image
            & (
                token.marker
                | (
                    (token.channel < control.input_channels)
                    & (token.column < control.input_grid_columns)
                    & (token.row < control.input_grid_rows)
                )
            )
        )
        width, accepts = token_layout(config).size, legal | self._inner
        queue: Queue | fifo.SyncFIFOBuffered
        if config.compact:
            queue = fifo.SyncFIFOBuffered(width=width, depth=config.input_queue)
            m.d.comb += queue.w_en.eq(self.inputs.valid & accepts)
        else:
            queue = Queue(width=width, depth=config.input_queue - 1, buffered=True)
            m.d.comb += queue.w_en.eq(self.inputs.valid)
            m.d.sync += queue.drop.eq(~accepts)
        m.submodules.input_queue = forget(queue)
        m.d.comb += [
            self.inputs.ready.eq(queue.w_rdy),
            queue.w_data.eq(self.inputs.payload),
            tokens.payload.eq(queue.r_data),
            tokens.valid.eq(queue.r_rdy),
            queue.r_en.eq(tokens.ready),
        ]
        chosen = m.d["comb" if config.compact else "sync"]
        chosen += control.illegal_input.eq(checked.valid & checked.ready & ~legal)
        self._offer(m, "input_skid", forget, tokens, sequencer.inputs)

    def _offer(
        self, m: Module, name: str, forget: ResetInserter, given: stream.Interface, taken: stream.Interface
    ) -> None:
        """Tokens out of a queue. Whether they are taken is known late, and a queue wants to know early."""
        if self._config.compact:
            wiring.connect(m, given, taken)
            return
        m.submodules[name] = skid = forget(Skid(given.payload.shape()))
        wiring.connect(m, given, skid.given)
        wiring.connect(m, skid.taken, taken)

    def _elaborate_walks(self, m: Module, forget: ResetInserter) -> None:
        """From tokens to walks, to spikes, and back to tokens."""
        sequencer, decoder, walker, array = self.sequencer, self.decoder, self.walker, self.array
        wiring.connect(m, sequencer.tokens, decoder.tokens)
        wiring.connect(m, decoder.requests, sequencer.decoded)
        wiring.connect(m, sequencer.requests, walker.requests)
        m.d.comb += [
            decoder.accepts.eq(sequencer.accepts),
            decoder.connection.eq(sequencer.connection),
            decoder.potential_base.eq(sequencer.descriptor.potential_base),
            walker.layer.eq(sequencer.layer),
            walker.descriptor.eq(sequencer.descriptor),
            walker.connection.eq(sequencer.connection),
            walker.pass_kind.eq(sequencer.pass_kind),
            walker.one_word_pass.eq(sequencer.one_word_pass),
            walker.one_row_pass.eq(sequencer.one_row_pass),
            walker.one_column_pass.eq(sequencer.one_column_pass),
            walker.one_word_tap.eq(sequencer.one_word_tap),
            sequencer.pass_done.eq(walker.done),
            array.operation.eq(walker.operation),
            array.valid.eq(walker.valid),
            array.shows.eq(walker.shows),
            array.synapse_word.eq(walker.synapse_word),
        ]
        next_queue, output_queue = self.next_queue, self.output_queue
        m.d.comb += [
            next_queue.word.eq(array.spikes),
            next_queue.groups.eq(array.groups),
            next_queue.layer.eq(array.layer),
            next_queue.valid.eq(array.to_next),
            output_queue.word.eq(array.spikes),
            output_queue.groups.eq(array.groups),
            output_queue.layer.eq(array.layer),
            output_queue.valid.eq(array.to_output),
            output_queue.reserve.eq(sequencer.output_reserve),
            sequencer.output_free.eq(output_queue.free),
        ]
        self._offer(m, "next_skid", forget, next_queue.tokens, sequencer.spikes)
        self._offer(m, "output_skid", forget, output_queue.tokens, wiring.flipped(self.spikes))
        if self.replay is not None:
            replay = self.replay
            m.submodules.replay = forget(replay)
            m.d.comb += [
                replay.word.eq(array.spikes),
                replay.valid.eq(array.to_replay),
                replay.first.eq(array.first),
                replay.write_base.eq(array.replay_base),
                replay.begin.eq(sequencer.replay_begin),
                replay.read_base.eq(sequencer.connection.replay_base),
            ]
            with m.If(replay.replayed_valid):
                m.d.comb += [
                    next_queue.word.eq(replay.replayed),
                    *(next_queue.groups[name].eq(bits) for name, bits in spike_groups(replay.replayed.spikes).items()),
                    next_queue.layer.eq(sequencer.connection.source_layer),
                    next_queue.valid.eq(1),
                ]

    def _load(
        self,
        m: Module,
        given: wiring.PureInterface,
        record: Record,
        write: wiring.PureInterface,
        layout: data.StructLayout,
    ) -> None:
        """Write the fields of `layout` in a record that the bus gives."""
        written, enables = Signal(layout), Signal(layout)
        for name, low, width in record_bits(record, layout):
            enable = given.en[low // BUS_BITS] if len(given.en) > 1 else given.en
            m.d.comb += [written[name].eq(given.data[low : low + width]), enables[name].eq(enable.replicate(width))]
        m.d.comb += [write.addr.eq(given.addr), write.data.eq(written)]
        m.d.comb += write.en.eq(enables if len(write.en) > 1 else given.en)
