"""The lanes of a core that is to be small: what they do as `NeuronArray` does it, with fewer registers and LUTs."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import memory, wiring

from .adder import Adder
from .formats import Operation, spread
from .neuron import unsigned
from .neuron_array import NeuronArray
from .synapse_memory import SynapseMemory

__all__ = ["CompactArray"]

_IN_BLOCK_RAM = {"no_rw_check": 1, "ram_style": "block"}


class CompactArray(NeuronArray):
    """A `NeuronArray` for neurons without a leak, on which a reset subtracts or leaves 0.

    Ports and times are the same. Within, what settles is computed and written a stage earlier, from the potential
    itself: a reset to 0 clears the register behind the adder, and a PRELOAD adds to a potential that was never read.
    One adder has the reset and the choice whether there is one, in one LUT a bit.

    So `neuron` comes a cycle later, `WRITES_COINCIDE` differs (no INTEGRATE comes that soon after a pass, see
    `Sequencer.CHANGE`), and an operation must not follow an INTEGRATE on the same word in the next cycle: the generator
    sees to it that every tap has two words.
    """

    _SETTLE_STAGE = 4
    WRITES_COINCIDE = _SETTLE_STAGE - NeuronArray.ADD_STAGE

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        lanes, bits = config.lanes, config.potential_bits

        def stored(name: str, depth: int, width: int, init: list[int], given: wiring.PureInterface) -> Any:
            """A memory written through `given`; returns the read port."""
            m.submodules[name] = block = memory.Memory(shape=width, depth=max(2, depth), init=init, attrs=_IN_BLOCK_RAM)
            unit, enables = spread(given.en, width)
            port = block.write_port(granularity=unit)
            m.d.comb += [port.en.eq(enables), port.addr.eq(given.addr), port.data.eq(given.data)]
            return block.read_port()

        m.submodules.synapses = synapse = SynapseMemory(config, self._synapses)
        wiring.connect(m, wiring.flipped(self.synapse_write), synapse.write)
        current = stored(
            "currents", config.current_words, lanes * config.current_bits, self._currents, self.current_write
        )
        layer = stored("neurons", config.max_layers, self.neuron.shape().size, self._neurons, self.layer_write)
        m.submodules.potentials = block = memory.Memory(
            shape=lanes * bits, depth=config.potential_words, init=[], attrs=_IN_BLOCK_RAM
        )
        potential, write = block.read_port(), block.write_port()

        # Stage 0 is the port itself; op[n] and valid[n] are the operation when it is in stage n.
        op, valid, is_pass = [self.operation], [self.valid], [self.operation.kind != Operation.INTEGRATE]
        for stage in range(1, self.WRITE_STAGE + 1):
            op.append(Signal(self.operation.shape(), name=f"op{stage}"))
            valid.append(Signal(name=f"valid{stage}"))
            m.d.sync += [op[stage].eq(op[stage - 1]), valid[stage].eq(valid[stage - 1] & ~self.forget)]
            is_pass.append(op[stage].kind != Operation.INTEGRATE)
        preloads = [one.kind == Operation.PRELOAD for one in op]
        neuron = self.neuron
        m.d.comb += [
            potential.addr.eq(op[0].potential_word),
            current.addr.eq(op[0].current_word),
            synapse.address.eq(self.synapse_word),
            layer.addr.eq(op[2].layer),
            neuron.eq(layer.data),
        ]

        # For all lanes: what a reset adds (with a carry, since it is the complement of what it subtracts).
        addend3, subtracts3, force3, clears3, in_layer3 = Signal(bits), Signal(), Signal(), Signal(), Signal(lanes)
        m.d.comb += [
            addend3.eq(Mux(preloads[3], neuron.preload, ~neuron.reset_amount)),
            subtracts3.eq(~preloads[3]),
            force3.eq(preloads[3] | neuron.reset_always),
            clears3.eq(neuron.reset_to_value & ~preloads[3]),
        ]
        m.d.sync += in_layer3.eq(
            Mux(op[2].kind == Operation.FIRE, Cat(lane < op[2].used_lanes for lane in range(lanes)), 0)
        )

        # Forwarding: an INTEGRATE writes at the end of stage 2, too late for the next two reads of the same word. The
        # next operation but one takes its sum; the next one is never on the same word.
        integrates2, repeated1 = Signal(), Signal()
        m.d.comb += integrates2.eq(valid[2] & ~is_pass[2])
        m.d.sync += repeated1.eq(integrates2 & (op[2].potential_word == op[0].potential_word))
        # A PRELOAD takes neither potential nor operand. What is looked at is one of them, and hidden in other lanes.
        no_potential1, hidden2 = Signal(), Signal(lanes)
        m.d.comb += no_potential1.eq(valid[1] == preloads[1])
        m.d.sync += hidden2.eq(Mux(valid[1], 0, Cat(self.seen_lane != lane for lane in range(lanes))))

        settles3, writes4 = Signal(), Signal()
        m.d.comb += settles3.eq(valid[3] & is_pass[3] & ~self.forget)
        m.d.sync += writes4.eq(settles3)
        m.d.comb += [
            write.en.eq(integrates2 | (writes4 & ~self.forget)),
            write.addr.eq(Mux(writes4, op[self._SETTLE_STAGE].potential_word, op[2].potential_word)),
        ]
        spikes3, seen3, kept, written = [], [], [], []
        for lane in range(lanes):

            def register(name: str, lane: int = lane) -> Signal:
                return Signal(signed(bits), name=f"{name}_{lane}", reset_less=True)

            held2, operand2, sum3, kept4 = map(register, ("held2", "operand2", "sum3", "kept4"))
            read = potential.data[lane * bits :][:bits]
            weight = synapse.word[lane * config.weight_bits :][: config.weight_bits].as_signed()
            extra = current.data[lane * config.current_bits :][: config.current_bits].as_signed()
            m.d.sync += [
                held2.eq(Mux(no_potential1, 0, Mux(repeated1, sum3, read))),
                operand2.eq(Mux(preloads[1], 0, Mux(is_pass[1], extra, weight << config.fraction_bits))),
            ]
            m.submodules[f"adder_{lane}"] = adder = Adder()
            added2 = adder.total[: bits + 1]
            m.d.comb += [adder.a.eq(held2), adder.b.eq(operand2)]
            # Beyond the range all bits below the sign are set, or all cleared. Sum and word to be written each do it
            # for themselves: then it is a part of their own LUT. What settles is joined by OR, for the same reason.
            above, below = ~added2[-1] & added2[-2], added2[-1] & ~added2[-2]

            def clamped(
                hidden: Any, lane: int = lane, above: Any = above, below: Any = below, total: Any = added2
            ) -> Any:
                ones, zeros = Signal(name=f"ones_{lane}"), Signal(name=f"zeros_{lane}")
                m.d.comb += [ones.eq(above & ~hidden), zeros.eq(below | hidden)]
                return Cat(
                    total[: bits - 1] & ~zeros.replicate(bits - 1) | ones.replicate(bits - 1), total[-1] & ~hidden
                )

            m.d.sync += sum3.eq(clamped(hidden2[lane]))
            written.append((kept4 | clamped(writes4))[:bits])

            spike3, resets3 = Signal(name=f"spike3_{lane}"), Signal(name=f"resets3_{lane}")
            m.d.comb += [
                spike3.eq(neuron.fires & in_layer3[lane] & (unsigned(sum3) >= Cat(neuron.threshold, Const(1)))),
                resets3.eq(spike3 | force3),
            ]
            reset = (Cat(subtracts3, sum3) + Cat(subtracts3, addend3))[1 : bits + 1]
            m.d.sync += kept4.eq(Mux(settles3 & ~(resets3 & clears3), Mux(resets3, reset, sum3), 0))
            spikes3.append(spike3)
            seen3.append(sum3)
            kept.append(kept4)

        spikes4, fires4, begins4 = Signal(lanes), Signal(), Signal(init=1)
        traced5 = Signal(lanes * bits)
        m.d.sync += [
            spikes4.eq(Cat(spikes3)),
            fires4.eq(valid[3] & (op[3].kind == Operation.FIRE) & ~self.forget),
            self.trace_spikes.eq(spikes4),
            traced5.eq(Cat(kept)),
        ]
        # The words of a pass are counted where that is needed.
        channel4 = Signal.like(self.spikes.channel)
        with m.If(fires4):
            m.d.sync += begins4.eq(op[4].last | (begins4 & ~self.spikes_valid))
            m.d.sync += channel4.eq(Mux(op[4].last, 0, channel4 + 1))
        with m.If(self.forget):
            m.d.sync += [begins4.eq(1), channel4.eq(0)]
        m.d.comb += [
            write.data.eq(Cat(written)),
            self.seen.eq(Cat(seen3)),
            self.spikes.spikes.eq(spikes4),
            self.spikes.channel.eq(channel4),
            self.spikes.last.eq(op[4].last),
            self.spikes_valid.eq(fires4 & (op[4].last | spikes4.any())),
            self.first.eq(begins4),
            self.layer.eq(op[4].layer),
            self.to_next.eq(self.spikes_valid & op[4].to_next),
            self.to_replay.eq(self.spikes_valid & op[4].to_replay),
            self.to_output.eq(self.spikes_valid & op[4].to_output),
            self.trace_valid.eq(valid[5] & (op[5].kind == Operation.FIRE)),
            self.trace_layer.eq(op[5].layer),
            self.trace_word.eq(op[5].potential_word),
            self.trace_potentials.eq(traced5),
        ]
        return m
