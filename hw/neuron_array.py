"""The lanes: potential, synapse and current memories around a pipeline of neurons."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .formats import (
    Operation,
    neuron_layout,
    operation_layout,
    payload_width,
    record_port,
    slice_port,
    spike_groups,
    spike_groups_layout,
    spike_word_layout,
    write_port,
)
from .neuron import CHOICE, choose, decide, saturate, select, settle, settle_control, settle_control_layout
from .synapse_memory import SynapseMemory
from .trees import FOUR, or_tree

__all__ = ["NeuronArray"]

# A word that is read while it is written is never used: the pipeline forwards it, or the sequencer keeps away from it.
# Told so, synthesis leaves out the registers that would otherwise keep the old word for every lane.
_NO_COLLISION = {"no_rw_check": 1}


class NeuronArray(wiring.Component):
    """Performs one operation on one word of potentials in every clock cycle.

    The stages, counted from the cycle in which the operation is at the port: 0 address the memories (the synapse
    memory, the largest, one cycle earlier), 1 capture their words, 2 add (INTEGRATE writes its result here), 3 compare
    with the threshold, 4 reset and select the leak (LATCH writes the current here), 5 leak and write (all others).

    Any operation may follow an INTEGRATE on the same word in any later cycle: the result is forwarded. After any other
    the same word may be addressed `WRITE_STAGE + 1` cycles later, and no INTEGRATE may be issued
    `WRITES_COINCIDE` cycles later, when both would write; the sequencer sees to it. An array of one word
    (`config.one_word`) keeps it in registers: any operation may follow any other after `WRITE_STAGE - ADD_STAGE`
    cycles, or after one more if the layer leaks.

    An operation that is not valid changes nothing and, with `shows`, is how others look into the memories: `seen` has,
    `SEEN_STAGE` cycles later, the potentials (PRELOAD), the weights shifted to the potential's unit (INTEGRATE) or the
    currents (FIRE) of the words addressed.

    Members
    -------
    operation, valid, forget : in
        See `formats.operation_layout`; `forget` makes all operations under way invalid.
    synapse_word : in
        Address of the synapse word of the operation that comes in the next cycle.
    spikes, groups, spikes_valid, first, layer, replay_base, to_next, to_replay, to_output : out
        The spikes of a FIRE, `SPIKE_STAGE` cycles after it; valid for words with a spike and for the last of a layer.
        `groups`: see `formats.spike_groups_layout`. `first` says that no other has been valid in this fire pass.
        `to_next` and so on: strobes, that a valid word goes there.
    seen_lane, seen : in, out
        The lane looked at, two cycles before it shows, and one signed value for each lane, 0 in all but that one.
    neuron : out
        The parameters of the layer of the operation in stage 2.
    trace_* : out
        For benches: layer, potential word, spikes and potentials of every FIRE, at its `WRITE_STAGE`.
    layer_write, synapse_write, current_write : in
        One whole word each: enable, address and data.
    """

    ADD_STAGE = 2
    SEEN_STAGE = 3
    SPIKE_STAGE = 4
    WRITE_STAGE = 5
    WRITES_COINCIDE = WRITE_STAGE - ADD_STAGE

    def __init__(self, config: CoreConfig, *, synapses: list[int], currents: list[int], neurons: list[int]):
        self._config = config
        self._synapses, self._currents, self._neurons = synapses, currents, neurons
        operation = operation_layout(config)
        potentials = data.ArrayLayout(signed(config.potential_bits), config.lanes)
        super().__init__(
            {
                "operation": In(operation),
                "valid": In(1),
                "forget": In(1),
                "shows": In(1),
                "synapse_word": In(range(max(2, config.synapse_words))),
                "spikes": Out(spike_word_layout(config)),
                "groups": Out(spike_groups_layout(config)),
                "spikes_valid": Out(1),
                "first": Out(1),
                "layer": Out(operation["layer"].shape),
                "replay_base": Out(range(max(2, config.replay_words))),
                "to_next": Out(1),
                "to_replay": Out(1),
                "to_output": Out(1),
                "seen_lane": In(range(max(2, config.lanes))),
                "seen": Out(potentials),
                "neuron": Out(neuron_layout(config)),
                "trace_valid": Out(1),
                "trace_layer": Out(operation["layer"].shape),
                "trace_word": Out(operation["potential_word"].shape),
                "trace_spikes": Out(config.lanes),
                "trace_potentials": Out(potentials),
                "layer_write": In(record_port(config.max_layers, neuron_layout(config), config)),
                "synapse_write": In(slice_port(config.synapse_words, config.lanes * config.weight_bits, config)),
                "current_write": In(slice_port(config.current_words, config.lanes * config.current_bits, config)),
            }
        )

    @staticmethod
    def potential_widths(config: CoreConfig) -> list[int]:
        """Bits of the memories that make up a word of potentials, from the lowest on.

        One; but of 1,025 to 2,048 words nine bits each, which is what a block RAM has at that depth. Left alone,
        synthesis takes wider ones, and a multiplexer behind them. Of deeper ones there would be too many.
        """
        width = config.lanes * config.potential_bits
        if not 1024 < config.potential_words <= 2048:
            return [width]
        return [min(9, width - low) for low in range(0, width, 9)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        lanes, bits = config.lanes, config.potential_bits

        def stored(name: str, depth: int, width: int, init: list[int], write: wiring.PureInterface) -> data.View:
            """A memory written through `write`; returns the read port."""
            block = memory.Memory(shape=width, depth=max(2, depth), init=init, attrs=_NO_COLLISION)
            m.submodules[name] = block
            port = block.write_port()
            m.d.comb += [port.en.eq(write.en), port.addr.eq(write.addr), port.data.eq(write.data)]
            return block.read_port()

        m.submodules.synapses = synapse = SynapseMemory(config, self._synapses)
        wiring.connect(m, wiring.flipped(self.synapse_write), synapse.write)
        current_write = slice_port(config.current_words, lanes * config.current_bits, config).create()
        current = stored("currents", config.current_words, lanes * config.current_bits, self._currents, current_write)
        layer = stored("neurons", config.max_layers, neuron_layout(config).size, self._neurons, self.layer_write)
        # The potentials, read at the address of stage 0.
        potential, write = Signal(lanes * bits), write_port(config.potential_words, lanes * bits).create()
        for number, width in enumerate(widths := self.potential_widths(config)):
            here = slice(low := sum(widths[:number]), low + width)
            block = memory.Memory(shape=width, depth=max(2, config.potential_words), init=[], attrs=_NO_COLLISION)
            m.submodules["potentials" if len(widths) == 1 else f"potentials_{number}"] = block
            read, part = block.read_port(), block.write_port()
            m.d.comb += [read.addr.eq(self.operation.potential_word), potential[here].eq(read.data)]
            m.d.comb += [part.en.eq(write.en), part.addr.eq(write.addr), part.data.eq(write.data[here])]

        # Stage 0 is the port itself; op[n] and valid[n] are the operation when it is in stage n.
        op = [self.operation]
        valid = [self.valid]
        for stage in range(1, self.WRITE_STAGE + 1):
            op.append(Signal(self.operation.shape(), name=f"op{stage}"))
            valid.append(Signal(name=f"valid{stage}"))
            m.d.sync += [op[stage].eq(op[stage - 1]), valid[stage].eq(valid[stage - 1] & ~self.forget)]
        m.d.comb += [
            current.addr.eq(op[0].current_word),
            synapse.address.eq(self.synapse_word),
            layer.addr.eq(op[0].layer),
        ]

        # The layer's parameters follow the operation: read in stage 1, prepared in stage 2, used in 3 and 4.
        neuron = self.neuron
        control3, graded3 = Signal(settle_control_layout(config)), Signal()
        leak_shift4 = Signal(config.leak_shift_bits, reset_less=True)
        m.d.sync += [neuron.eq(layer.data), leak_shift4.eq(control3.leak_shift), graded3.eq(neuron.graded)]
        m.d.sync += [control3[name].eq(value) for name, value in settle_control(config, op[2].kind, neuron).items()]
        may_fire3 = self._elaborate_reach(m, op[1], neuron)

        # Forwarding: an INTEGRATE writes at the end of stage 2, too late for the next two reads of the same word.
        integrates2, from_zero2 = Signal(), Signal()
        m.d.comb += from_zero2.eq(settle_control(config, op[2].kind, neuron)["from_zero"])
        repeated1, repeats2, repeated2 = Signal(), Signal(), Signal(lanes)
        m.d.comb += integrates2.eq(valid[2] & (op[2].kind == Operation.INTEGRATE))
        m.d.comb += repeats2.eq((integrates2 & (op[2].potential_word == op[1].potential_word)) | int(config.one_word))
        if config.static_input:
            with m.If(op[1].kind == Operation.LOAD):
                m.d.comb += repeats2.eq(0)
        m.d.sync += repeated1.eq(integrates2 & (op[2].potential_word == op[0].potential_word))

        # What all lanes take in stage 1 is found in stage 0. What `forget` makes invalid may be anything.
        integrates1, no_potential1, no_operand1 = Signal(), Signal(), Signal()
        shows_potential0 = op[0].kind == Operation.PRELOAD
        no_potential0, no_operand0 = ~valid[0] & ~shows_potential0, shows_potential0
        if config.static_input:
            no_potential0 |= op[0].kind == Operation.LOAD
            no_operand0 |= op[0].kind == Operation.LATCH
        m.d.sync += [
            integrates1.eq(op[0].kind == Operation.INTEGRATE),
            no_potential1.eq(no_potential0),
            no_operand1.eq(no_operand0),
        ]
        carried1 = Signal(payload_width(config))
        m.d.comb += carried1.eq(Mux(valid[1], op[1].payload, 1))

        # What is looked at shows in one lane and is 0 in the others: `seen` takes an OR and no multiplexer.
        # The longest path begins with `repeated2`, so each lane has its own. In hidden lanes its value is of no
        # account; there they differ, or else synthesis would make one register of them.
        hidden2, hides1 = Signal(lanes), Cat(self.seen_lane != lane for lane in range(lanes))
        m.d.sync += [
            hidden2.eq(Mux(valid[1], 0, hides1)),
            repeated2.eq(Mux(valid[1], repeats2.replicate(lanes), hides1)),
        ]

        writes5 = Signal()
        m.d.sync += writes5.eq(valid[4] & (op[4].kind != Operation.INTEGRATE) & ~self.forget)
        m.d.comb += [
            write.en.eq(integrates2 | writes5),
            write.addr.eq(Mux(writes5, op[5].potential_word, op[2].potential_word)),
        ]
        shows1, shows2, settles4, settles5 = (Signal(name=name) for name in ("s1", "s2", "settles4", "settles5"))
        leaks = neuron.leak_shift != 0
        m.d.sync += [shows1.eq(self.shows), shows2.eq(shows1)]
        m.d.comb += [
            settles4.eq(valid[4] & (op[4].kind != Operation.INTEGRATE) & ~leaks),
            settles5.eq(valid[5] & (op[5].kind != Operation.INTEGRATE) & leaks),
        ]
        spikes4, spikes5 = Signal(lanes), Signal(lanes)
        m.d.sync += spikes5.eq(spikes4)
        spikes3, seen3, payloads3, sums4, written, results5 = [], [], [], [], [], []
        for lane in range(lanes):
            here = slice(lane * bits, (lane + 1) * bits)
            weight = synapse.word[lane * config.weight_bits : (lane + 1) * config.weight_bits].as_signed()
            if len(carried1):
                weight = weight * carried1
            extra = current.data[lane * config.current_bits : (lane + 1) * config.current_bits].as_signed()

            def register(name: str, lane: int = lane) -> Signal:
                return Signal(signed(bits), name=f"{name}_{lane}", reset_less=True)

            held2, operand2, sum2, sum3, base3, reset4, sum4, kept5, leak5, result5 = map(
                register, ("held2", "operand2", "sum2", "sum3", "base3", "reset4", "sum4", "kept5", "leak5", "result5")
            )
            m.d.sync += [
                held2.eq(Mux(no_potential1, 0, Mux(repeated1, sum3, potential[here]))),
                operand2.eq(Mux(no_operand1, 0, Mux(integrates1, weight << config.fraction_bits, extra))),
                *([] if config.one_word else [sum3.eq(Mux(hidden2[lane], 0, sum2))]),
                base3.eq(Mux(from_zero2, 0, sum2)),
            ]
            added2 = Signal(signed(bits + 1), name=f"added2_{lane}")
            m.d.comb += [added2.eq(Mux(repeated2[lane], sum3, held2) + operand2), sum2.eq(saturate(added2))]
            reaches, reset = decide(sum3, base3, control3)
            spike3, choice4 = Signal(name=f"spike3_{lane}"), Signal(CHOICE, name=f"choice4_{lane}", reset_less=True)
            m.d.comb += spike3.eq(reaches & may_fire3[lane])
            m.d.sync += [choice4[name].eq(value) for name, value in choose(spike3, control3).items()]
            kept, leak = select(sum4, reset4, choice4, leak_shift4)
            m.d.sync += [reset4.eq(reset), sum4.eq(sum3), kept5.eq(kept), leak5.eq(leak)]
            m.d.comb += result5.eq(settle(kept5, leak5))
            if config.one_word:
                # `sum3` holds the potential until the next operation. What settles comes back to it, while nothing is
                # under way in stage 2.
                with m.If(settles4):
                    m.d.sync += sum3.eq(kept)
                with m.Elif(settles5):
                    m.d.sync += sum3.eq(result5)
                with m.Elif(valid[2] | shows2):
                    m.d.sync += sum3.eq(Mux(hidden2[lane], 0, sum2))
            spikes3.append(spike3)
            seen3.append(sum3)
            payloads3.append(Mux(graded3, sum3[config.fraction_bits :][: len(carried1)], 1)[: len(carried1)])
            sums4.append(sum4)
            # Both at once comes with one word only: what is integrated then has what settled in it.
            written.append(Mux(integrates2, sum2, result5) if config.one_word else Mux(writes5, result5, sum2))
            results5.append(result5)

        # Whole words at once: the lanes one by one would make the Verilog of a wide core slow to write.
        m.d.sync += spikes4.eq(Cat(spikes3))
        m.d.comb += [write.data.eq(Cat(written)), self.seen.eq(Cat(seen3)), self.trace_potentials.eq(Cat(results5))]
        # Most of the search for a spike is done where the spikes come from: the queues have little time left for it.
        fires3, fires4, groups4, occupied4 = Signal(), Signal(), Signal(self.groups.shape()), Signal()
        m.d.comb += [
            fires3.eq(valid[3] & (op[3].kind == Operation.FIRE) & ~self.forget),
            occupied4.eq(or_tree(m, "occupied", [op[4].last, *groups4.any])),
        ]
        m.d.sync += fires4.eq(fires3)
        m.d.sync += [groups4[name].eq(value) for name, value in spike_groups(Cat(spikes3)).items()]
        for name in ("to_next", "to_replay", "to_output"):
            goes4 = Signal(name=f"{name}4")
            m.d.sync += goes4.eq(fires3 & op[3][name])
            m.d.comb += getattr(self, name).eq(goes4 & occupied4)
        # Of a layer, the first word that is valid and the layer's place in the replay memory go with it.
        begins4, replay_base3 = Signal(init=1), Signal.like(self.replay_base)
        m.d.sync += [replay_base3.eq(neuron.replay_base), self.replay_base.eq(replay_base3)]
        with m.If(fires4):
            m.d.sync += begins4.eq(op[4].last | (begins4 & ~self.spikes_valid))
        with m.If(self.forget):
            m.d.sync += begins4.eq(1)
        payloads4 = Signal(lanes * len(carried1))
        m.d.sync += payloads4.eq(Cat(payloads3))
        m.d.comb += [
            self.spikes.spikes.eq(spikes4),
            self.spikes.payloads.eq(payloads4),
            self.spikes.channel.eq(op[4].channel),
            self.spikes.column.eq(op[4].column),
            self.spikes.row.eq(op[4].row),
            self.spikes.last.eq(op[4].last),
            self.groups.eq(groups4),
            self.spikes_valid.eq(fires4 & occupied4),
            self.first.eq(begins4),
            self.layer.eq(op[4].layer),
            self.trace_valid.eq(valid[5] & (op[5].kind == Operation.FIRE)),
            self.trace_layer.eq(op[5].layer),
            self.trace_word.eq(op[5].potential_word),
            self.trace_spikes.eq(spikes5),
        ]

        # A current is written by the bus or, with static input, by a LATCH.
        m.d.comb += [
            current_write.en.eq(self.current_write.en),
            current_write.addr.eq(self.current_write.addr),
            current_write.data.eq(self.current_write.data),
        ]
        if config.static_input:
            with m.If(valid[4] & (op[4].kind == Operation.LATCH)):
                m.d.comb += [
                    current_write.en.eq(1),
                    current_write.addr.eq(op[4].current_word),
                    current_write.data.eq(Cat(sums4)),
                ]
        return m

    def _elaborate_reach(self, m: Module, op1: data.View, neuron2: data.View) -> Signal:
        """In stage 3: which lanes may fire. Those of a FIRE that its word uses, if the layer fires at all.

        Found for groups of four lanes, and a stage later for the lanes of each, in one LUT.
        """
        lanes = range(self._config.lanes)
        groups, used = range(-(-len(lanes) // FOUR)), Mux(op1.kind == Operation.FIRE, op1.used_lanes, 0)
        whole2, part2, rest2 = Signal(len(groups)), Signal(len(groups)), Signal(FOUR)
        may_fire3 = Signal(len(lanes))
        m.d.sync += [
            whole2.eq(Cat(used[2:] > group for group in range(len(lanes) // FOUR))),
            part2.eq(Cat(used[2:] == group for group in groups)),
            rest2.eq(Cat(used[:2] > lane for lane in range(min(len(lanes), FOUR - 1)))),
            may_fire3.eq(
                Cat(
                    neuron2.fires & (whole2[lane // FOUR] | (part2[lane // FOUR] & rest2[lane % FOUR]))
                    for lane in lanes
                )
            ),
        ]
        return may_fire3
