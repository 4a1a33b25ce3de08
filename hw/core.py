"""The core: every block, wired together. It has no behaviour of its own beyond the checks at its ports."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from amaranth.hdl import Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import REGION_SHIFT, CoreConfig
from .control import Control, bus_signature
from .formats import Operation, descriptor_layout, neuron_layout, operation_layout, token_layout
from .neuron_array import NeuronArray
from .readout import Readout
from .registers import BUS_BITS, LAYER_RECORD, region
from .sequencer import Sequencer
from .spike_queue import SpikeQueue

__all__ = ["Core", "MemoryInit"]


@dataclass(frozen=True)
class MemoryInit:
    """What the memories and registers of a core hold when it is configured: words as unsigned integers."""

    layers: list[int] = field(default_factory=list)
    synapses: list[int] = field(default_factory=list)
    currents: list[int] = field(default_factory=list)
    registers: Mapping[str, int] = field(default_factory=dict)


def _record_bits(layout: data.StructLayout) -> list[tuple[str, int, int]]:
    """(field, lowest bit of the layer record, width) for the fields that a layout takes from the layer record."""
    return [
        (entry.name, position * BUS_BITS + entry.low, layout[entry.name].width)
        for position, entry in LAYER_RECORD
        if entry.name in layout.members
    ]


def _from_record(layout: data.StructLayout, record: int) -> int:
    """The bits of `layout` for a layer record of the memory image."""
    result = 0
    for name, low, width in _record_bits(layout):
        result |= ((record >> low) & ((1 << width) - 1)) << layout[name].offset
    return result


class Core(wiring.Component):
    """Runs whole inferences of a spiking network, driven by events.

    An inference begins with the first input word (registers say how many input addresses there are), or for an image
    in the currents with a write to `control.start`. `docs/cycles.md` gives the clock cycle of everything that leaves.

    Parameters
    ----------
    config : CoreConfig
    init : MemoryInit
        What memories and registers hold at power-up.

    Members
    -------
    bus : in
        Wishbone, see `control`.
    inputs : in stream
        Spike events, and a marker after each timestep. An event beyond the first layer is taken and dropped, and sets
        `error.input_address`.
    spikes : out stream
        Spike events of the last layer, and a marker after each timestep.
    decision : out stream
        The winner of each inference; the next inference begins after it was taken.
    trace_* : out
        For benches, see `NeuronArray`.
    """

    INPUT_LATENCY = 2

    def __init__(self, config: CoreConfig, init: MemoryInit | None = None):
        self._config = config
        init = init or MemoryInit()
        self.sequencer = Sequencer(
            config, descriptors=[_from_record(descriptor_layout(config), record) for record in init.layers]
        )
        self.array = NeuronArray(
            config,
            synapses=init.synapses,
            currents=init.currents,
            neurons=[_from_record(neuron_layout(config), record) for record in init.layers],
        )
        self.control = Control(config, registers=dict(init.registers))
        token = token_layout(config)
        trace = {name: member for name, member in self.array.signature.members.items() if name.startswith("trace_")}
        super().__init__(
            {
                "bus": In(bus_signature()),
                "inputs": In(stream.Signature(token)),
                "spikes": Out(stream.Signature(token)),
                "decision": Out(stream.Signature(config.address_bits)),
                **trace,
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        control, sequencer, array = self.control, self.sequencer, self.array
        next_queue, output_queue, readout = SpikeQueue(config), SpikeQueue(config), Readout(config)
        token = token_layout(config)
        input_queue = fifo.SyncFIFOBuffered(width=token.size, depth=config.input_queue)

        m.submodules.control = control
        aborts = Signal()
        m.d.sync += aborts.eq(control.abort)
        forget = ResetInserter(aborts)
        m.submodules.sequencer = forget(sequencer)
        m.submodules.array = array
        m.submodules.input_queue = forget(input_queue)
        m.submodules.next_queue = forget(next_queue)
        m.submodules.output_queue = forget(output_queue)
        m.submodules.readout = forget(readout)
        wiring.connect(m, wiring.flipped(self.bus), control.bus)

        # Input: what is beyond the first layer goes no further than this.
        legal = self.inputs.payload.marker | (self.inputs.payload.address < control.inputs)
        image = control.inputs == 0
        m.d.comb += [
            self.inputs.ready.eq(input_queue.w_rdy),
            input_queue.w_data.eq(self.inputs.payload),
            input_queue.w_en.eq(self.inputs.valid & legal & ~image),
            control.illegal_input.eq(self.inputs.valid & self.inputs.ready & (~legal | image)),
            sequencer.inputs.payload.eq(input_queue.r_data),
            sequencer.inputs.valid.eq(input_queue.r_rdy),
            input_queue.r_en.eq(sequencer.inputs.ready),
        ]

        # The walk, the lanes, and back.
        m.d.comb += [
            array.operation.eq(sequencer.operation),
            array.valid.eq(sequencer.valid),
            array.forget.eq(aborts),
            array.synapse_word.eq(sequencer.synapse_word),
            next_queue.word.eq(array.spikes),
            next_queue.valid.eq(array.spikes_valid & array.to_next),
            output_queue.word.eq(array.spikes),
            output_queue.valid.eq(array.spikes_valid & array.to_output),
            sequencer.output_free.eq(output_queue.free),
            output_queue.reserve.eq(sequencer.output_reserve),
            sequencer.image.eq(image),
            sequencer.start.eq(control.start),
            sequencer.layer_count.eq(control.layers),
            sequencer.timesteps.eq(control.timesteps),
        ]
        wiring.connect(m, next_queue.tokens, sequencer.spikes)
        wiring.connect(m, output_queue.tokens, wiring.flipped(self.spikes))
        for name in self.signature.members:
            if name.startswith("trace_"):
                m.d.comb += getattr(self, name).eq(getattr(array, name))

        # The result.
        m.d.comb += [
            readout.token.eq(output_queue.tokens.payload),
            readout.offered.eq(self.spikes.valid),
            readout.leaves.eq(self.spikes.valid & self.spikes.ready),
            readout.begin.eq(sequencer.begin),
            readout.finished.eq(sequencer.finished),
            readout.potential_base.eq(sequencer.descriptor.potential_base),
            readout.timesteps.eq(control.timesteps),
            readout.delay.eq(control.delay),
            readout.by_potential.eq(control.by_potential),
            readout.outputs.eq(control.outputs),
            readout.lanes.eq(array.seen),
            array.seen_lane.eq(readout.look_lane),
            sequencer.decided.eq(self.decision.valid & self.decision.ready),
        ]
        wiring.connect(m, readout.decision, wiring.flipped(self.decision))
        cycles, done = Signal(32), Signal()
        with m.If(sequencer.begin):
            m.d.sync += [cycles.eq(Mux(image, 1, self.INPUT_LATENCY + 1)), done.eq(0)]
        with m.Elif(sequencer.busy & ~self.decision.valid & ~done):
            m.d.sync += cycles.eq(cycles + 1)
        with m.If(aborts):
            m.d.sync += done.eq(0)
        with m.Elif(self.decision.valid):
            m.d.sync += done.eq(1)
        m.d.comb += [
            control.busy.eq(sequencer.busy),
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
            sequencer.inspected_synapse_word.eq(control.index),
            sequencer.inspected.eq(looked_at),
            readout.lane.eq(control.lane),
            readout.class_index.eq(control.index),
            value.eq(Mux(sees_weight, readout.seen >> config.fraction_bits, readout.seen)),
            control.lane_value.eq(value),
            control.count.eq(readout.class_count),
        ]
        wiring.connect(m, control.write_synapses, array.synapse_write)
        wiring.connect(m, control.write_currents, array.current_write)
        for write, held in ((array.layer_write, array.neuron), (sequencer.layer_write, sequencer.descriptor)):
            record = control.write_layers
            written = Signal(held.shape())
            for name, low, width in _record_bits(held.shape()):
                m.d.comb += written[name].eq(record.data[low : low + width])
                m.d.comb += control.record[low : low + width].eq(held[name])
            m.d.comb += [write.en.eq(record.en), write.addr.eq(record.addr), write.data.eq(written)]
        return m
