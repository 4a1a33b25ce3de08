"""Bit layouts that travel between the blocks of the core."""

from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import Out

from .config import CoreConfig

__all__ = [
    "Operation",
    "descriptor_layout",
    "neuron_layout",
    "operation_layout",
    "spike_word_layout",
    "token_layout",
    "write_port",
]


class Operation(enum.Enum, shape=2):  # type: ignore[call-arg]
    """What the neuron array does to one word of potentials."""

    INTEGRATE = 0
    FIRE = 1
    PRELOAD = 2


def token_layout(config: CoreConfig) -> data.StructLayout:
    """A spike event, or the marker that closes a timestep (its `address` is then ignored)."""
    return data.StructLayout({"address": config.address_bits, "marker": 1})


def spike_word_layout(config: CoreConfig) -> data.StructLayout:
    """The spikes of one potential word: bit i is the neuron `word * lanes + i` of its layer."""
    return data.StructLayout({"spikes": config.lanes, "word": range(max(2, config.max_words)), "last": 1})


def operation_layout(config: CoreConfig) -> data.StructLayout:
    """One access of the neuron array to a potential word.

    `word` counts the words of the layer from 0, `potential_word` those of the whole memory; `last` marks the last
    word of a layer, of which only the first `last_lanes` lanes are neurons. `to_next` and `to_output` say where the
    spikes of FIRE go.
    """
    return data.StructLayout(
        {
            "kind": Operation,
            "layer": range(max(2, config.max_layers)),
            "word": range(max(2, config.max_words)),
            "potential_word": range(max(2, config.potential_words)),
            "last": 1,
            "last_lanes": range(config.lanes + 1),
            "to_next": 1,
            "to_output": 1,
        }
    )


def descriptor_layout(config: CoreConfig) -> data.StructLayout:
    """The fields of a layer record that the sequencer works with; their meaning is in `registers.LAYER_RECORD`."""
    return data.StructLayout(
        {
            "inputs": range(config.max_neurons + 1),
            "words": range(config.max_words + 1),
            "last_lanes": range(config.lanes + 1),
            "potential_base": range(max(2, config.potential_words)),
            "synapse_base": range(max(2, config.synapse_words)),
            "has_input": 1,
            "is_output": 1,
        }
    )


def neuron_layout(config: CoreConfig) -> data.StructLayout:
    """The fields of a layer record that the neurons work with; their meaning is in `registers.LAYER_RECORD`."""
    return data.StructLayout(
        {
            "threshold": config.potential_bits - 1,
            "preload": config.potential_bits,
            "reset_amount": config.potential_bits,
            "leak_shift": config.leak_shift_bits,
            "reset_to_value": 1,
            "leak_first": 1,
            "fires": 1,
        }
    )


def write_port(words: int, bits: int) -> wiring.Signature:
    """What writes one word of a memory of `words` words: enable, address and data."""
    return wiring.Signature({"en": Out(1), "addr": Out(range(max(2, words))), "data": Out(bits)})
