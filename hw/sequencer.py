"""Takes tokens and turns each into the operations of its layer: the order of everything the core does."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .formats import Operation, descriptor_layout, operation_layout, token_layout, write_port
from .neuron_array import NeuronArray

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Runs an inference: a preload pass over every layer, then T timesteps of every layer in turn.

    A layer's part of a timestep is a sequence of tokens. An event is walked: one INTEGRATE for each potential word of
    the layer, from synapse word `synapse_base + address`, `inputs` apart. The marker is walked too: one FIRE for each
    potential word. A walk issues one operation in every cycle and the next walk follows without a gap; after a marker
    the layer is changed, which takes `CHANGE` cycles, or `CHANGE_SAME` when the core has one layer only, whose words
    must be written before they are read again.

    The first layer takes its tokens from `inputs`, or, when it has no input (an image is in the currents), one marker
    in every timestep; the others take theirs from `spikes`.

    Members
    -------
    inputs, spikes : in streams
        Tokens from outside, and those of the layer before.
    operation, valid : out
        To the neuron array. While idle, `inspected` is passed on, with `valid` low.
    synapse_word : out
        Synapse word of the operation in the next cycle; while idle, of that in the same cycle.
    inspected, inspected_synapse_word : in
        What the bus looks at while the core is idle.
    output_free, output_reserve : in, out
        The output queue has room for a fire pass; strobe when one of the last layer begins, which waits for room.
    image, start : in
        The input is an image; begin with it.
    layer_count, timesteps : in
        Registers.
    layer_write : in
        One layer descriptor: enable, address and data.
    begin, busy, finished : out
        Strobe at the start of an inference; an inference is under way; all its potentials are written.
    decided : in
        The result of the inference has been taken: go idle.
    descriptor : out
        While idle, that of `inspected.layer`, three cycles later; when finished, that of the last layer.
    """

    CHANGE = 3
    CHANGE_SAME = NeuronArray.WRITE_STAGE

    def __init__(self, config: CoreConfig, *, descriptors: list[int]):
        self._config = config
        self._descriptors = descriptors
        token = token_layout(config)
        operation = operation_layout(config)
        super().__init__(
            {
                "inputs": In(stream.Signature(token)),
                "spikes": In(stream.Signature(token)),
                "operation": Out(operation),
                "valid": Out(1),
                "synapse_word": Out(range(max(2, config.synapse_words))),
                "inspected": In(operation),
                "inspected_synapse_word": In(range(max(2, config.synapse_words))),
                "output_free": In(1),
                "output_reserve": Out(1),
                "image": In(1),
                "start": In(1),
                "layer_count": In(config.max_layers.bit_length()),
                "timesteps": In(16),
                "layer_write": In(write_port(config.max_layers, descriptor_layout(config).size)),
                "begin": Out(1),
                "busy": Out(1),
                "finished": Out(1),
                "decided": In(1),
                "descriptor": Out(descriptor_layout(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        layout = descriptor_layout(config)
        m.submodules.descriptors = block = memory.Memory(
            shape=layout.size, depth=max(2, config.max_layers), init=self._descriptors
        )
        write, read = block.write_port(), block.read_port()
        m.d.comb += [
            write.en.eq(self.layer_write.en),
            write.addr.eq(self.layer_write.addr),
            write.data.eq(self.layer_write.data),
        ]

        layer = Signal(range(max(2, config.max_layers)))
        timestep = Signal(16)
        preloading = Signal()
        descriptor = self.descriptor
        m.d.comb += [read.addr.eq(layer), preloading.eq(timestep == 0)]

        # The token that the layer would take now. A preload pass, and a layer without input, make their own markers.
        makes_marker, takes_input, takes_spikes, fires_outward = Signal(), Signal(), Signal(), Signal()
        token = Signal(token_layout(config))
        offered, taken, takes, waits = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            # `ready` looks at no more than it must: it is the beginning of the longest path through a queue.
            waits.eq(fires_outward & ~self.output_free),
            self.inputs.ready.eq(takes & takes_input & ~(self.inputs.payload.marker & waits)),
            self.spikes.ready.eq(takes & takes_spikes & ~(self.spikes.payload.marker & waits)),
            taken.eq(offered & ~(token.marker & waits)),
        ]
        with m.If(makes_marker):
            m.d.comb += [offered.eq(takes), token.marker.eq(1)]
        with m.Elif(takes_input):
            m.d.comb += [offered.eq(takes & self.inputs.valid), token.eq(self.inputs.payload)]
        with m.Else():
            m.d.comb += [offered.eq(takes & self.spikes.valid), token.eq(self.spikes.payload)]

        op = self.operation
        remaining = Signal(range(config.max_words + 1))
        change_left = Signal(range(self.CHANGE_SAME + 1))
        last_layer, last_step, walks_marker = Signal(), Signal(), Signal()
        one_word, two_words, ends = Signal(), Signal(), Signal()
        # Registered: nothing here changes in the cycle before a walk ends.
        m.d.sync += [last_layer.eq(layer + 1 == self.layer_count), last_step.eq(timestep == self.timesteps)]
        m.d.comb += self.busy.eq(1)
        m.d.sync += self.valid.eq(0)
        # The next synapse word: `stride` on from the one before, or the first one of the token that may be taken now.
        walked, stride = Signal.like(self.synapse_word), Signal.like(descriptor.inputs)
        address = Mux(takes_input, self.inputs.payload.address, self.spikes.payload.address)
        m.d.comb += self.synapse_word.eq(Mux(takes, descriptor.synapse_base, walked) + Mux(takes, address, stride))
        m.d.sync += walked.eq(self.synapse_word)

        def end_walk(marker: Value) -> None:
            """The last operation of a walk is issued: on to the next token, or after a marker to the next layer."""
            m.next = "TAKE"
            with m.If(marker):
                m.d.sync += [
                    layer.eq(Mux(last_layer, 0, layer + 1)),
                    timestep.eq(timestep + last_layer),
                    change_left.eq(Mux(self.layer_count == 1, self.CHANGE_SAME, self.CHANGE) - 1),
                ]
                m.next = "CHANGE"
                with m.If(last_layer & last_step):
                    m.d.sync += [layer.eq(layer), change_left.eq(self.CHANGE_SAME)]
                    m.next = "FINISH"

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += [
                    walked.eq(self.inspected_synapse_word),
                    stride.eq(0),
                    op.eq(self.inspected),
                    layer.eq(self.inspected.layer),
                    descriptor.eq(read.data),
                    timestep.eq(0),
                ]
                with m.If(Mux(self.image, self.start, self.inputs.valid)):
                    m.d.comb += self.begin.eq(1)
                    m.d.sync += [layer.eq(0), change_left.eq(self.CHANGE - 1)]
                    m.next = "CHANGE"

            with m.State("CHANGE"):
                # The descriptor takes two of these cycles to arrive; the rest lets the neuron array finish writing.
                arrived = data.View(layout, read.data)
                m.d.sync += [
                    change_left.eq(change_left - 1),
                    descriptor.eq(arrived),
                    stride.eq(arrived.inputs),
                    one_word.eq(arrived.words == 1),
                    two_words.eq(arrived.words == 2),
                    makes_marker.eq(preloading | ~arrived.has_input),
                    takes_input.eq((layer == 0) & ~preloading & arrived.has_input),
                    takes_spikes.eq((layer != 0) & ~preloading & arrived.has_input),
                    fires_outward.eq(arrived.is_output & ~preloading),
                ]
                with m.If(change_left == 0):
                    m.next = "TAKE"

            with m.State("TAKE"):
                m.d.comb += takes.eq(1)
                m.d.comb += self.output_reserve.eq(taken & token.marker & fires_outward)
                # Before there is a token this prepares an operation for nothing, and marks it as not valid.
                m.d.sync += [
                    self.valid.eq(taken),
                    walks_marker.eq(token.marker),
                    op.layer.eq(layer),
                    op.kind.eq(
                        Mux(token.marker, Mux(preloading, Operation.PRELOAD, Operation.FIRE), Operation.INTEGRATE)
                    ),
                    op.word.eq(0),
                    op.potential_word.eq(descriptor.potential_base),
                    op.last.eq(one_word),
                    ends.eq(two_words),
                    op.last_lanes.eq(descriptor.last_lanes),
                    op.to_next.eq(~descriptor.is_output),
                    op.to_output.eq(descriptor.is_output),
                    remaining.eq(descriptor.words - 1),
                ]
                with m.If(taken):
                    with m.If(one_word):
                        end_walk(token.marker)
                    with m.Else():
                        m.next = "WALK"

            with m.State("WALK"):
                m.d.sync += [
                    self.valid.eq(1),
                    op.word.eq(op.word + 1),
                    op.potential_word.eq(op.potential_word + 1),
                    op.last.eq(ends),
                    ends.eq(remaining == 2),
                    remaining.eq(remaining - 1),
                ]
                with m.If(ends):
                    end_walk(walks_marker)

            with m.State("FINISH"):
                with m.If(change_left != 0):
                    m.d.sync += change_left.eq(change_left - 1)
                with m.Else():
                    m.d.comb += self.finished.eq(1)
                    m.d.sync += op.eq(self.inspected)
                    with m.If(self.decided):
                        m.next = "IDLE"
        return m
