"""The order of everything the core does: which layer, which connection, which pass comes next."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .formats import Operation, connection_layout, descriptor_layout, record_port, request_layout, spread, token_layout
from .neuron_array import NeuronArray

__all__ = ["Phase", "Sequencer"]


class Phase(enum.Enum, shape=2):  # type: ignore[call-arg]
    """What an inference is about: LOAD and LATCH only with static input, then PRELOAD, then the timesteps (RUN)."""

    LOAD = 0
    LATCH = 1
    PRELOAD = 2
    RUN = 3


class Sequencer(wiring.Component):
    """Runs an inference: a preload pass over every layer, then T timesteps of every layer in turn.

    A layer's part of a timestep is the walks of its connections, each up to the marker that closes its tokens, and a
    fire pass, which the last of these markers turns into. From the last word of a pass to the next walk there are as
    many cycles as the layer's record says (`change`), after LOAD `CHANGE_SAME`, and `CHANGE` after a marker that is not
    followed by a pass.

    With static input, a LOAD pass over the first layer, the walk of its connection, and a LATCH pass come before all.

    Members
    -------
    inputs, spikes : in streams
        Tokens from outside, and those of the layer before, or of a layer that is replayed.
    tokens, accepts : out stream, out
        The tokens of the connection at hand, and whether the decoder may take them.
    decoded, requests : in stream, out stream
        What the decoder makes of them, and what the walker is to do: the same, and the passes of layers without tokens.
        A marker waits for room in the queue that the spikes of its pass go to.
    layer, descriptor, connection, pass_kind, one_word_pass, one_row_pass, one_column_pass, one_word_tap : out
        The layer and the connection at hand, and what a pass over the layer does, see `Walker`. While idle, the
        descriptor of `inspected_layer`, three cycles later; when finished, that of the last layer.
    pass_done : in
        Strobe: the last word of a pass is under way.
    replay_begin : out
        Strobe: the connection takes its tokens from the replay memory.
    output_free, output_reserve : in, out
        The output queue has room for a fire pass; strobe when one of the output layer begins.
    image, static_input, layer_count, timesteps : in
        Registers.
    start : in
        An inference of an image may begin.
    layer_write, connection_write : in
        One record each: enable, address and data.
    begin, idle, finished : out
        Strobe at the start of an inference; no inference is under way; all its potentials are written.
    decided : in
        The result of the inference has been taken: go idle.
    """

    CHANGE = 3
    CHANGE_SAME = NeuronArray.WRITE_STAGE

    def __init__(self, config: CoreConfig, *, descriptors: list[int], connections: list[int]):
        self._config = config
        self._descriptors, self._connections = descriptors, connections
        token, queued = token_layout(config), token_layout(config, lane_apart=config.lane_apart)
        descriptor, connection = descriptor_layout(config), connection_layout(config)
        layer = range(max(2, config.max_layers))
        super().__init__(
            {
                "inputs": In(stream.Signature(token)),
                "spikes": In(stream.Signature(queued)),
                "tokens": Out(stream.Signature(queued)),
                "accepts": Out(1),
                "layer": Out(layer),
                "descriptor": Out(descriptor),
                "connection": Out(connection),
                "pass_kind": Out(Operation),
                "one_word_pass": Out(1),
                "one_row_pass": Out(1),
                "one_column_pass": Out(1),
                "one_word_tap": Out(1),
                "decoded": In(stream.Signature(request_layout(config))),
                "requests": Out(stream.Signature(request_layout(config))),
                "pass_done": In(1),
                "replay_begin": Out(1),
                "output_free": In(1),
                "output_reserve": Out(1),
                "image": In(1),
                "static_input": In(1),
                "start": In(1),
                "layer_count": In(config.max_layers.bit_length()),
                "timesteps": In(config.timestep_bits),
                "inspected_layer": In(layer),
                "layer_write": In(record_port(config.max_layers, descriptor, config)),
                "connection_write": In(record_port(config.max_connections, connection, config)),
                "begin": Out(1),
                "idle": Out(1),
                "finished": Out(1),
                "decided": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        descriptor, connection = self.descriptor, self.connection
        layer, next_connection = self.layer, Signal(range(max(2, config.max_connections)))
        records = (
            ("descriptors", config.max_layers, self._descriptors, self.layer_write, layer, descriptor),
            (
                "connections",
                config.max_connections,
                self._connections,
                self.connection_write,
                next_connection,
                connection,
            ),
        )
        arrived = {}
        for name, depth, init, write, index, held in records:
            # A compact core has no registers behind the memory: it answers before anybody needs it.
            attrs = {"ram_style": "block", "no_rw_check": 1} if config.compact else {}
            block = memory.Memory(shape=held.shape().size, depth=max(2, depth), init=init, attrs=attrs)
            m.submodules[name] = block
            unit, enables = spread(write.en, held.shape().size)
            port, read = block.write_port(granularity=unit), block.read_port()
            m.d.comb += [port.en.eq(enables), port.addr.eq(write.addr), port.data.eq(write.data), read.addr.eq(index)]
            arrived[name] = Signal(held.shape(), name=f"{name}_arrived")
            m.d.comb += arrived[name].eq(read.data)
            if config.compact:
                m.d.comb += held.eq(arrived[name])

        phase, timestep = Signal(Phase), Signal(config.timestep_bits)
        runs, walks, fires_outward, last_layer, last_step = Signal(), Signal(), Signal(), Signal(), Signal()
        connections_left = Signal.like(descriptor.connections)
        change_left, fresh, same_layer = Signal(range(self.CHANGE_SAME + 1)), Signal(), Signal()
        marker, ends_layer, marker_taken = Signal(), Signal(), Signal()
        # Registered: nothing here changes in the cycles before a pass ends.
        m.d.sync += [last_layer.eq(layer + 1 == self.layer_count), last_step.eq(timestep == self.timesteps)]
        m.d.comb += [
            runs.eq(phase == Phase.RUN),
            ends_layer.eq(~walks | (connections_left == 1)),
            self.output_reserve.eq(marker_taken & ends_layer & fires_outward),
        ]
        with m.Switch(phase):
            with m.Case(Phase.LOAD):
                m.d.comb += self.pass_kind.eq(Operation.LOAD)
            with m.Case(Phase.LATCH):
                m.d.comb += self.pass_kind.eq(Operation.LATCH)
            with m.Case(Phase.PRELOAD):
                m.d.comb += self.pass_kind.eq(Operation.PRELOAD)
            with m.Case(Phase.RUN):
                m.d.comb += self.pass_kind.eq(Operation.FIRE)

        # The tokens of the connection at hand.
        m.d.comb += [
            *(
                self.tokens.payload[name].eq(
                    Mux(connection.from_input, self.inputs.payload[name], self.spikes.payload[name])
                )
                for name in self.inputs.payload.shape().members
            ),
            self.tokens.valid.eq(Mux(connection.from_input, self.inputs.valid, self.spikes.valid)),
            self.inputs.ready.eq(self.tokens.ready & connection.from_input),
            self.spikes.ready.eq(self.tokens.ready & ~connection.from_input),
        ]

        # What the walker is to do. A marker that does not end the layer is done with when the walk before it is.
        walking, offered, may_end, may_take = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            marker.eq(~walks | self.decoded.payload.marker),
            offered.eq(walking & (~walks | self.decoded.valid)),
            may_end.eq(~ends_layer | ~fires_outward | self.output_free),
            self.requests.payload.eq(self.decoded.payload),
            self.requests.payload.marker.eq(marker),
            self.requests.valid.eq(offered & (~marker | (ends_layer & may_end))),
            may_take.eq(self.requests.ready & (~marker | may_end)),
            # The same as `offered & marker & may_take`: the token is known last.
            marker_taken.eq(
                walking & self.requests.ready & may_end & (~walks | (self.decoded.valid & self.decoded.payload.marker))
            ),
            self.decoded.ready.eq(may_take),
        ]

        def change(cycles: object) -> None:
            m.next = "CHANGE"
            m.d.sync += change_left.eq(cycles)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                m.d.sync += [
                    layer.eq(self.inspected_layer),
                    *([] if config.compact else [descriptor.eq(arrived["descriptors"])]),
                    timestep.eq(0),
                    next_connection.eq(0),
                    phase.eq(Mux(self.static_input, Phase.LOAD, Phase.PRELOAD)),
                ]
                with m.If(Mux(self.image, self.start, self.inputs.valid)):
                    m.d.comb += self.begin.eq(1)
                    m.d.sync += layer.eq(0)
                    change(self.CHANGE - 2)

            with m.State("CHANGE"):
                # The records take two of these cycles to arrive; the rest lets the neuron array finish writing.
                record, found = arrived["descriptors"], arrived["connections"]
                static_layer = self.static_input & (layer == 0)
                walked = Mux(runs, (record.connections != 0) & ~static_layer, phase == Phase.LATCH)
                m.d.sync += [
                    change_left.eq(change_left - 1),
                    *([] if config.compact else [descriptor.eq(record), connection.eq(found)]),
                    self.one_word_pass.eq(record.channel_words == 1),
                    self.one_word_tap.eq(found.words == 1),
                    walks.eq(walked),
                    fires_outward.eq(record.is_output & runs),
                ]
                if config.tables:
                    m.d.sync += [
                        self.one_row_pass.eq(record.rows == 1),
                        self.one_column_pass.eq(record.column_words == 1),
                    ]
                with m.If(change_left == 0):
                    m.d.sync += self.accepts.eq(walked)
                    if config.replay_words:
                        m.d.sync += fresh.eq(walked & found.from_replay)
                    with m.If(~same_layer):
                        m.d.sync += connections_left.eq(record.connections)
                    m.next = "WALK"

            with m.State("WALK"):
                m.d.comb += [walking.eq(1), self.replay_begin.eq(fresh)]
                m.d.sync += fresh.eq(0)
                with m.If(self.tokens.valid & self.tokens.ready & self.tokens.payload.marker):
                    m.d.sync += self.accepts.eq(0)
                with m.If(marker_taken):
                    m.d.sync += same_layer.eq(~ends_layer)
                    if config.max_connections > 1:
                        m.d.sync += next_connection.eq(next_connection + walks)
                    with m.If(ends_layer):
                        m.next = "PASS"
                    with m.Else():
                        m.d.sync += connections_left.eq(connections_left - 1)
                        change(self.CHANGE - 2)

            with m.State("PASS"):
                with m.If(self.pass_done):
                    change(Mux(phase == Phase.LOAD, self.CHANGE_SAME, descriptor.change) - 2)
                    with m.Switch(phase):
                        with m.Case(Phase.LOAD):
                            m.d.sync += phase.eq(Phase.LATCH)
                        with m.Case(Phase.LATCH):
                            m.d.sync += [phase.eq(Phase.PRELOAD), next_connection.eq(0)]
                        with m.Default():
                            m.d.sync += layer.eq(layer + 1)
                            with m.If(last_layer):
                                m.d.sync += [
                                    layer.eq(0),
                                    phase.eq(Phase.RUN),
                                    timestep.eq(timestep + 1),
                                    next_connection.eq(self.static_input),
                                ]
                            with m.If(last_layer & last_step):
                                m.d.sync += [layer.eq(layer), change_left.eq(self.CHANGE_SAME)]
                                m.next = "IDLE" if config.passes_on else "FINISH"

            with m.State("FINISH"):
                m.d.sync += change_left.eq(change_left - 1)
                with m.If(change_left == 1):
                    m.next = "FINISHED"

            with m.State("FINISHED"):
                m.d.comb += self.finished.eq(1)
                with m.If(self.decided):
                    m.next = "IDLE"
        return m
