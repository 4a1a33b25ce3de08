"""The signals of the gateware that one wants to see, grouped and in the right format."""

from dataclasses import dataclass

__all__ = ["BEGIN", "GROUPS", "Shown"]


@dataclass(frozen=True)
class Shown:
    """A signal in view. `names`, "states" or "operations": its values have names, which are shown instead.

    An `optional` one is left out where the core has no such thing: places, payloads, tables, replay.
    """

    name: str
    format: str
    names: str | None = None
    optional: bool = False


_TOP = "TOP.accelerator"
_CORE = f"{_TOP}.core0"
BEGIN = f"{_CORE}.sequencer.begin"
"""What is 1 where an inference begins."""


def _all(scope: str, format: str, *names: str, optional: bool = False) -> tuple[Shown, ...]:
    return tuple(Shown(f"{scope}.{name}", format, optional=optional) for name in names)


def _stream(scope: str, name: str) -> tuple[Shown, ...]:
    """A stream of tokens."""
    return (
        *_all(scope, "bin", f"{name}__valid", f"{name}__ready", f"{name}__payload.marker"),
        *_all(scope, "dec", f"{name}__payload.row", f"{name}__payload.column", optional=True),
        *_all(scope, "dec", f"{name}__payload.channel"),
        *_all(scope, "dec", f"{name}__payload.payload", optional=True),
    )


GROUPS: tuple[tuple[str, tuple[Shown, ...]], ...] = (
    (
        "clock and bus",
        (
            *_all("TOP", "bin", "clk", "rst", "bus__stb", "bus__we", "bus__ack"),
            *_all("TOP", "hex", "bus__adr", "bus__dat_w"),
            *_all(f"{_CORE}.control", "bin", "start"),
        ),
    ),
    ("input events", _stream(_TOP, "inputs")),
    (
        "sequencer (timestep 0: before the first)",
        (
            *_all(f"{_CORE}.sequencer", "bin", "begin", "idle"),
            *_all(f"{_CORE}.sequencer", "dec", "timestep", "layer"),
            Shown(f"{_CORE}.sequencer.fsm_state", "dec", "states"),
            Shown(f"{_CORE}.sequencer.pass_kind", "dec", "operations"),
            *_all(f"{_CORE}.sequencer", "bin", "finished"),
        ),
    ),
    ("tokens of the connection at hand", _stream(f"{_CORE}.sequencer", "tokens")),
    (
        "walks",
        (
            *_all(f"{_CORE}.sequencer", "bin", "requests__valid", "requests__ready", "requests__payload.marker"),
            *_all(f"{_CORE}.sequencer", "bin", "requests__payload.nothing"),
            *_all(f"{_CORE}.sequencer", "dec", "requests__payload.rows", "requests__payload.columns"),
        ),
    ),
    (
        "operation",
        (
            *_all(f"{_CORE}.walker", "bin", "valid"),
            Shown(f"{_CORE}.walker.operation.kind", "dec", "operations"),
            *_all(f"{_CORE}.walker", "dec", "operation.layer", "operation.potential_word", "operation.current_word"),
            *_all(f"{_CORE}.walker", "dec", "operation.payload", optional=True),
            *_all(f"{_CORE}.walker", "dec", "synapse_word"),
        ),
    ),
    (
        "lane 0, by pipeline stage",
        (
            *_all(f"{_CORE}.array", "signed", "held2_0", "operand2_0", "sum2_0", "sum3_0", "base3_0", "sum4_0"),
            *_all(f"{_CORE}.array", "signed", "reset4_0", "kept5_0", "leak5_0", "result5_0"),
        ),
    ),
    (
        "parameters of the layer in stage 2",
        (
            *_all(f"{_CORE}.array", "dec", "neuron.threshold", "neuron.leak_shift"),
            *_all(f"{_CORE}.array", "signed", "neuron.preload", "neuron.reset_amount"),
        ),
    ),
    (
        "spikes of a fire pass, from the place of the first lane",
        (
            *_all(f"{_CORE}.array", "bin", "spikes_valid", "to_next", "to_replay", "to_output"),
            *_all(f"{_CORE}.array", "dec", "spikes.row", "spikes.column", optional=True),
            *_all(f"{_CORE}.array", "dec", "spikes.channel"),
            *_all(f"{_CORE}.array", "hex", "spikes.spikes"),
        ),
    ),
    (
        "spikes that were kept",
        (
            *_all(f"{_CORE}.replay", "bin", "replayed_valid", optional=True),
            *_all(f"{_CORE}.replay", "hex", "replayed.spikes", optional=True),
        ),
    ),
    ("spikes to the next walk", _stream(f"{_CORE}.sequencer", "spikes")),
    ("output spikes", _stream(_TOP, "spikes")),
    (
        "trace: what is compared",
        (
            *_all("TOP", "bin", "trace0_valid"),
            *_all("TOP", "dec", "trace0_layer", "trace0_word"),
            *_all("TOP", "hex", "trace0_spikes"),
            *_all(_TOP, "signed", "trace0_potentials[0]"),
        ),
    ),
    (
        "decision",
        (
            *_all("TOP", "bin", "decision__valid", "decision__ready"),
            *_all("TOP", "dec", "decision__payload"),
            *_all(f"{_CORE}.control", "dec", "cycles"),
        ),
    ),
)
"""What is in view, from top to bottom: heading and signals."""
