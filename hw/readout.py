"""Counts the output spikes of each class and decides."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .formats import token_layout
from .neuron import unsigned
from .neuron_array import NeuronArray
from .trees import or_tree

__all__ = ["Readout"]


class Readout(wiring.Component):
    """Watches the output tokens as they leave, and makes the decision of an inference.

    By count: a spike in a timestep after the first `delay` counts for its class; the highest count wins. By potential:
    when the sequencer has finished, the potentials of the last layer are read one after another and the highest wins.
    With `none` nothing is decided, and 0 is offered as by count.
    Either way a tie goes to the lowest index, and the decision is offered when the marker of the last timestep has
    left the core: by count in the next cycle, by potential `SCAN_LATENCY + outputs - 1` cycles after `finished` at the
    earliest.

    Members
    -------
    token, offered, leaves : in
        An output token, whether there is one, and whether it leaves the core in this cycle.
    begin, finished, potential_base : in
        From the sequencer.
    timesteps, delay, by_potential, none, outputs : in
        Registers.
    look_word, looks : out
        The potential word that the readout wants to see `SCAN_LATENCY - 2` cycles later, and whether it wants to.
    look_lane, lanes : out, in
        The lane that is wanted of the word that was asked for, and the word two cycles later, 0 in all other lanes.
    lane, seen : in, out
        Which lane the bus wants to see while the readout does not look, and the value there four cycles later.
    decision : out stream
        One index for each inference; what was decided last stays in the payload.
    class_index, class_count : in, out
        A counter, for the bus, at most two cycles later.
    """

    SCAN_LATENCY = NeuronArray.SEEN_STAGE + 3

    def __init__(self, config: CoreConfig):
        self._config = config
        channel = range(config.max_channels)
        super().__init__(
            {
                "token": In(token_layout(config)),
                "offered": In(1),
                "leaves": In(1),
                "begin": In(1),
                "finished": In(1),
                "potential_base": In(range(max(2, config.potential_words))),
                "timesteps": In(config.timestep_bits),
                "delay": In(config.timestep_bits),
                "by_potential": In(1),
                "none": In(1),
                "outputs": In(range(config.max_channels + 1)),
                "looks": Out(1),
                "look_lane": Out(range(max(2, config.lanes))),
                "look_word": Out(range(max(2, config.potential_words))),
                "lanes": In(data.ArrayLayout(signed(config.potential_bits), config.lanes)),
                "lane": In(range(max(2, config.lanes))),
                "seen": Out(signed(config.potential_bits)),
                "decision": Out(stream.Signature(channel)),
                "class_index": In(range(max(2, config.classes))),
                "class_count": Out(config.timestep_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        marker = self.leaves & self.token.marker
        event = self.leaves & ~self.token.marker

        timestep = Signal(config.timestep_bits, init=1)
        all_left, counts_now = Signal(), Signal()
        with m.If(self.begin):
            m.d.sync += [timestep.eq(1), all_left.eq(0), counts_now.eq((self.delay == 0) & ~self.none)]
        with m.Elif(marker):
            m.d.sync += [
                timestep.eq(timestep + 1),
                all_left.eq(timestep == self.timesteps),
                counts_now.eq((timestep >= self.delay) & ~self.none),
            ]

        # Counting takes two stages: read in the cycle in which the event leaves, write in the next. The same class
        # cannot follow at once, since a marker lies between two spikes of one neuron.
        m.submodules.counts = counts = memory.Memory(
            shape=config.timestep_bits, depth=max(2, config.classes), init=[], attrs={"no_rw_check": 1}
        )
        write, read = counts.write_port(), counts.read_port()
        touched, was_touched = Signal(config.classes), Signal()
        index = Signal.like(read.addr)
        counted, beyond, counting = Signal(), Signal(), Signal()
        # The bus has time, and is far away.
        shown = Signal.like(self.class_index)
        m.d["comb" if config.compact else "sync"] += shown.eq(self.class_index)
        m.d.comb += [
            read.addr.eq(Mux(self.offered, self.token.channel, shown)),
            was_touched.eq(touched.bit_select(index, 1)),
            self.class_count.eq(Mux(was_touched, read.data, 0)),
        ]
        m.d.sync += [
            counted.eq(event & counts_now),
            beyond.eq(self.token.channel[len(index) :].any()),
            index.eq(read.addr),
        ]
        m.d.comb += counting.eq(counted & ~beyond & (index < config.classes))
        m.d.comb += [write.en.eq(counting), write.addr.eq(index), write.data.eq(Mux(was_touched, read.data + 1, 1))]

        # The best is kept as it was before its last spike, like the count that it is compared with: one comparison of
        # (count, lower index first) decides.
        best_count, best_class, any_counted = Signal(config.timestep_bits), Signal.like(index), Signal()
        best, lower = Cat(~best_class, best_count), (best_count == 0) & (index < best_class)
        better = Signal()
        m.d.comb += better.eq(~any_counted | Mux(was_touched, Cat(~index, read.data) > best, lower))
        with m.If(self.begin):
            m.d.sync += [touched.eq(0), any_counted.eq(0), best_class.eq(0)]
        with m.Elif(counting):
            m.d.sync += [touched.bit_select(index, 1).eq(1), any_counted.eq(1)]
            with m.If(better):
                m.d.sync += [best_count.eq(self.class_count), best_class.eq(index)]

        decided, decision = all_left, best_class
        m.d.sync += self.look_lane.eq(self.lane)
        # In all lanes but that one there are zeros.
        lanes = [Value.cast(self.lanes[lane]).as_unsigned() for lane in range(config.lanes)]
        m.d.sync += self.seen.eq(or_tree(m, "seen", lanes, shaped=not config.compact))
        if not config.compact:
            decided, decision = self._elaborate_scan(m, all_left, best_class)
        waiting = Signal()
        with m.If(self.begin):
            m.d.sync += waiting.eq(1)
        with m.Elif(self.decision.valid & self.decision.ready):
            m.d.sync += waiting.eq(0)
        m.d.comb += [self.decision.valid.eq(decided & waiting), self.decision.payload.eq(decision)]
        return m

    def _elaborate_scan(self, m: Module, all_left: Value, best_class: Value) -> tuple[Value, Value]:
        """Whether it has been decided, and what, where the highest potential may win."""
        config = self._config
        # Asked for in stage 0, compared in the last.
        asked, lane = Signal(range(config.max_channels + 1)), Signal(range(max(2, config.lanes)))
        m.d.comb += self.looks.eq(self.finished & self.by_potential & (asked != self.outputs))
        with m.If(~self.finished):
            m.d.sync += [asked.eq(0), lane.eq(0), self.look_word.eq(self.potential_base)]
        with m.Elif(self.looks):
            m.d.sync += [asked.eq(asked + 1), lane.eq(lane + 1)]
            with m.If(lane == config.lanes - 1):
                m.d.sync += [lane.eq(0), self.look_word.eq(self.look_word + 1)]
        compares, scan_lane = self.looks, lane
        for stage in range(1, self.SCAN_LATENCY):
            behind = Signal(name=f"looks{stage}")
            m.d.sync += behind.eq(compares)
            compares = behind
            if stage <= NeuronArray.SEEN_STAGE - 2:
                lane_behind = Signal.like(lane, name=f"lane{stage}")
                m.d.sync += lane_behind.eq(scan_lane)
                scan_lane = lane_behind
        with m.If(self.finished):
            m.d.sync += self.look_lane.eq(scan_lane)

        best_potential, best_neuron = Signal(signed(config.potential_bits)), Signal(range(config.max_channels))
        compared = Signal(range(config.max_channels + 1))
        with m.If(~self.finished):
            m.d.sync += compared.eq(0)
        with m.Elif(compares):
            m.d.sync += compared.eq(compared + 1)
        with m.If(compares & ((compared == 0) | (unsigned(self.seen) > unsigned(best_potential)))):
            m.d.sync += [best_potential.eq(self.seen), best_neuron.eq(compared)]

        decided = Mux(self.by_potential, self.finished & (compared == self.outputs), 1) & all_left
        return decided, Mux(self.by_potential, best_neuron, best_class)
