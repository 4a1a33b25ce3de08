"""The neuron: the arithmetic of one potential, as pure functions, and their combinational composition."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .formats import Operation, neuron_layout

__all__ = [
    "CHOICE",
    "NeuronUpdate",
    "choose",
    "decide",
    "saturate",
    "select",
    "settle",
    "settle_control",
    "settle_control_layout",
    "unsigned",
]


CHOICE = data.StructLayout({"resets": 1, "leaks_reset": 1, "leaks_potential": 1})
"""What one lane does with its potential: replace it, and take the leak from the new or the old one, or from neither."""


def settle_control_layout(config: CoreConfig) -> data.StructLayout:
    """What all lanes share when an operation settles: the layer's parameters, prepared once for all of them.

    `subtrahend` is what a neuron that resets subtracts from its potential, or from 0 with `from_zero`. `leak_reset` and
    `leak_original` say what the leak of a neuron that resets is taken from: the potential after the reset, before it,
    or (neither) nothing. `force` resets every neuron: a preload is a reset to the value V0, and some layers reset in
    every timestep.
    """
    return data.StructLayout(
        {
            "threshold": config.potential_bits - 1,
            "subtrahend": signed(config.potential_bits),
            "leak_shift": config.leak_shift_bits,
            "from_zero": 1,
            "leak_reset": 1,
            "leak_original": 1,
            "leak_idle": 1,
            "fires": 1,
            "force": 1,
        }
    )


def settle_control(config: CoreConfig, kind: Value, neuron: data.View) -> dict[str, Value]:
    """The fields of `settle_control_layout` for an operation of this kind on a layer with these parameters.

    A negative R with `reset_to_value` off is outside the contract (the generator refuses it); its sign is ignored, so
    that even then nothing wraps: V >= theta >= 0 and R >= 0 keep V - R in range without a saturating subtractor.
    """
    preloads = kind == Operation.PRELOAD
    # Potentials that are moved neither fire nor settle.
    moves = (kind == Operation.LOAD) | (kind == Operation.LATCH) if config.static_input else Const(0)
    to_value = preloads | neuron.reset_to_value
    amount = Mux(neuron.reset_to_value, neuron.reset_amount[-1], 0)
    value = Mux(preloads, neuron.preload, Cat(neuron.reset_amount[:-1], amount)).as_signed()
    leaks = (neuron.leak_shift != 0) & ~moves
    return {
        "threshold": neuron.threshold,
        "subtrahend": Mux(to_value, -value, value)[: config.potential_bits].as_signed(),
        "leak_shift": neuron.leak_shift,
        "from_zero": to_value,
        "leak_reset": leaks & ~preloads & ~neuron.leak_first,
        "leak_original": leaks & ~preloads & neuron.leak_first & ~neuron.reset_to_value,
        "leak_idle": leaks,
        "fires": neuron.fires & ~moves,
        "force": preloads | (neuron.reset_always & ~moves),
    }


def saturate(total: Value) -> Value:
    """`total` in one bit less: clamped to the ends of the range."""
    overflow = total[-1] ^ total[-2]
    clamped = Cat((~total[-1]).replicate(len(total) - 2), total[-1])
    return Mux(overflow, clamped, total[:-1]).as_signed()


def unsigned(potential: Value) -> Value:
    """The same order without a sign, for which a comparison is a carry chain and nothing behind it."""
    return Cat(potential[:-1], ~potential[-1])


def decide(potential: Value, base: Value, control: data.View) -> tuple[Value, Value]:
    """(whether the potential is at the threshold, the potential if it is reset). Equation: s = V >= theta.

    `base` is the potential, or 0 with `control.from_zero`.
    """
    reaches = unsigned(potential) >= Cat(control.threshold, Const(1))
    return reaches, (base - control.subtrahend)[: len(potential)].as_signed()


def choose(fires: Value, control: data.View) -> dict[str, Value]:
    """The fields of `CHOICE` for a neuron that fires, or does not."""
    resets = fires | control.force
    return {
        "resets": resets,
        "leaks_reset": resets & control.leak_reset,
        "leaks_potential": Mux(resets, control.leak_original, control.leak_idle),
    }


def select(potential: Value, reset: Value, choice: data.View, leak_shift: Value) -> tuple[Value, Value]:
    """(potential before the leak, what the leak takes away).

    Leak then reset by subtraction, V - (V >> k) - R, is computed as (V - R) - (V >> k): the same integers, and one
    subtractor serves both orders.
    """
    bits = len(potential)
    kept = Mux(choice.resets, reset, potential)
    # Three signals and one gate for each bit; nested multiplexers would take two.
    leak_from = (reset & choice.leaks_reset.replicate(bits)) | (potential & choice.leaks_potential.replicate(bits))
    return kept.as_signed(), (leak_from[:bits].as_signed() >> leak_shift)[:bits].as_signed()


def settle(kept: Value, leak: Value) -> Value:
    """The potential after reset and leak."""
    return (kept - leak)[: len(kept)].as_signed()


class NeuronUpdate(wiring.Component):
    """One whole operation on one neuron: combinational, no state, zero latency.

    INTEGRATE gives `sat(potential + operand)`; FIRE adds the operand likewise, fires, resets and leaks (DESIGN,
    integer contract); PRELOAD gives V0; LOAD and LATCH give `sat(potential + operand)` too, with a potential or an
    operand of 0. The neuron array runs the same functions with registers between them.

    Members
    -------
    kind, potential, operand, neuron : in
        The operation, the potential before it, the weight or current to add, the layer's parameters.
    result, spike : out
        The potential after it, and whether the neuron fired (FIRE only).
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        bits = config.potential_bits
        super().__init__(
            {
                "kind": In(Operation),
                "potential": In(signed(bits)),
                "operand": In(signed(bits)),
                "neuron": In(neuron_layout(config)),
                "result": Out(signed(bits)),
                "spike": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        added, total = Signal(signed(config.potential_bits + 1)), Signal(signed(config.potential_bits))
        control = Signal(settle_control_layout(config))
        m.d.comb += [added.eq(self.potential + self.operand), total.eq(saturate(added))]
        m.d.comb += [control[name].eq(value) for name, value in settle_control(config, self.kind, self.neuron).items()]
        choice = Signal(CHOICE)
        reaches, reset = decide(total, Mux(control.from_zero, 0, total), control)
        fires = control.fires & reaches
        m.d.comb += [choice[name].eq(value) for name, value in choose(fires, control).items()]
        kept, leak = select(total, reset, choice, control.leak_shift)
        with m.If(self.kind == Operation.INTEGRATE):
            m.d.comb += self.result.eq(total)
        with m.Else():
            m.d.comb += self.result.eq(settle(kept, leak))
            m.d.comb += self.spike.eq(fires & (self.kind == Operation.FIRE))
        return m
