"""Bit layouts that travel between the blocks of the core."""

from math import gcd

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import Out

from .config import CoreConfig
from .registers import BUS_BITS, CONNECTION_RECORD, LAYER_RECORD, Record, field_width, slices

__all__ = [
    "Operation",
    "any_and_several",
    "connection_layout",
    "descriptor_layout",
    "fixed_fields",
    "from_record",
    "neuron_layout",
    "operation_layout",
    "payload_width",
    "record_bits",
    "record_layout",
    "record_port",
    "request_layout",
    "slice_port",
    "spike_groups",
    "spike_groups_layout",
    "spike_word_layout",
    "spread",
    "token_layout",
    "write_port",
]


class Operation(enum.Enum, shape=3):  # type: ignore[call-arg]
    """What the neuron array does to one word of potentials.

    INTEGRATE adds weights; FIRE adds currents, fires and settles; PRELOAD sets them to V0. For static input, LOAD sets
    them to the current, and LATCH makes a current of them.
    """

    INTEGRATE = 0
    FIRE = 1
    PRELOAD = 2
    LOAD = 3
    LATCH = 4


def _place(config: CoreConfig) -> dict[str, object]:
    return {"channel": range(config.max_channels), "column": range(config.max_width), "row": range(config.max_height)}


def payload_width(config: CoreConfig) -> int:
    """Bits that an event spends on what it carries: none when that is always 1."""
    return config.payload_bits if config.payload_bits > 1 else 0


def token_layout(config: CoreConfig, *, lane_apart: bool = False) -> data.StructLayout:
    """An event and its place, or the marker that closes a timestep (nothing else of it then matters).

    `lane_apart`: a lane is still to be added to the channel, see `SpikeQueue`.
    """
    lane = range(max(2, config.lanes)) if lane_apart else 0
    return data.StructLayout({**_place(config), "lane": lane, "payload": payload_width(config), "marker": 1})


def spike_word_layout(config: CoreConfig) -> data.StructLayout:
    """The spikes of one potential word, by lane, and the place of its first lane; `last` of its layer.

    In a compact core `channel` counts words: there are as many channels in each as there are lanes.
    """
    place = _place(config)
    if config.compact:
        place["channel"] = range(-(-config.max_channels // config.lanes))
    payloads = payload_width(config) * config.lanes
    return data.StructLayout({"spikes": config.lanes, "payloads": payloads, **place, "last": 1})


def spike_groups_layout(config: CoreConfig) -> data.StructLayout:
    """Of every four lanes of a spike word, whether one has a spike, and whether several have: see `spike_groups`.

    In a compact core nobody needs to know so early.
    """
    groups = 0 if config.compact else -(-config.lanes // 4)
    return data.StructLayout({"any": groups, "several": groups})


def spike_groups(spikes: Value) -> dict[str, Value]:
    """The fields of `spike_groups_layout`: four lanes fit in a LUT."""
    groups = [spikes[lane : lane + 4] for lane in range(0, len(spikes), 4)]
    return {
        "any": Cat(group.any() for group in groups),
        "several": Cat((group & (group - 1)[: len(group)]).any() for group in groups),
    }


def any_and_several(m: Module, name: str, found: dict[str, Value]) -> tuple[Value, Value]:
    """Whether there is a spike, and whether several, from what `spike_groups` found: four groups at a time."""
    several = [found["several"]]
    while len(found["any"]) > 1:
        found = spike_groups(found["any"])
        several.append(found["several"])
        above = Signal(len(found["any"]), name=f"{name}{len(found['any'])}")
        m.d.comb += above.eq(found["any"])
        found = {"any": above}
    return found["any"][0], Cat(several).any()


def request_layout(config: CoreConfig) -> data.StructLayout:
    """A walk that may begin: the parts of the first potential word and synapse word, and its extent.

    `synapse_lane` is a third part, where a token has its lane apart. `marker`: a fire pass instead. `nothing`: an event
    that reaches no neuron. `one_row`, `one_column`: the walk has no second, or `nothing`.
    """
    potential, synapse = range(max(2, config.potential_words)), range(max(2, config.synapse_words))
    return data.StructLayout(
        {
            "marker": 1,
            "nothing": 1,
            "payload": payload_width(config),
            "potential": potential,
            "potential_offset": potential,
            "synapse": synapse,
            "synapse_offset": synapse,
            "synapse_lane": range(max(2, config.lanes)) if config.lane_apart else 0,
            "rows": 8,
            "columns": 8,
            "one_row": 1,
            "one_column": 1,
        }
    )


def operation_layout(config: CoreConfig) -> data.StructLayout:
    """One access of the neuron array to a potential word.

    `last` marks the last word of a layer; only the first `used_lanes` lanes of the word are neurons.
    The place is that of the first lane (FIRE). `to_next`, `to_replay` and `to_output` say where the spikes of FIRE go.
    """
    return data.StructLayout(
        {
            "kind": Operation,
            "layer": range(max(2, config.max_layers)),
            "potential_word": range(max(2, config.potential_words)),
            "current_word": range(max(2, config.current_words)),
            "payload": payload_width(config),
            **_place(config),
            "last": 1,
            "used_lanes": range(config.lanes + 1),
            "to_next": 1,
            "to_replay": 1,
            "to_output": 1,
        }
    )


def record_layout(record: Record, names: tuple[str, ...], config: CoreConfig) -> data.StructLayout:
    """The fields `names` of a record."""
    widths = {field.name: field_width(field, config) for _, field in record}
    return data.StructLayout({name: widths[name] for name in names})


_COMPACT = {
    "column_words": 1,
    "rows": 1,
    "columns": 1,
    "is_kept": 0,
    "load_base": 0,
    "replay_base": 0,
    "graded": 0,
    "leak_first": 0,
}


def fixed_fields(config: CoreConfig) -> dict[str, int]:
    """The fields of a layer record that read as these, whatever was written: a compact core can use no others."""
    return _COMPACT if config.compact else {}


def descriptor_layout(config: CoreConfig) -> data.StructLayout:
    """The fields of a layer record that the sequencer works with; their meaning is in `registers.LAYER_RECORD`."""
    names = (
        "potential_base",
        "current_base",
        "current_step",
        "channel_words",
        "change",
        "column_words",
        "rows",
        "channels",
        "columns",
        "used_lanes",
        "end_lanes",
        "end_is_column",
        "is_output",
        "feeds_next",
        "is_kept",
        "connections",
        "load_base",
    )
    return record_layout(LAYER_RECORD, tuple(name for name in names if name not in fixed_fields(config)), config)


def neuron_layout(config: CoreConfig) -> data.StructLayout:
    """The fields of a layer record that the neurons work with; their meaning is in `registers.LAYER_RECORD`."""
    names = (
        "threshold",
        "preload",
        "reset_amount",
        "leak_shift",
        "reset_to_value",
        "reset_always",
        "leak_first",
        "fires",
        "graded",
        "replay_base",
    )
    return record_layout(LAYER_RECORD, tuple(name for name in names if name not in fixed_fields(config)), config)


def connection_layout(config: CoreConfig) -> data.StructLayout:
    """The fields of a connection record that the core uses; their meaning is in `registers.CONNECTION_RECORD`."""
    names = tuple(field.name for _, field in CONNECTION_RECORD)
    if config.compact:
        names = ("synapse_base", "words", "from_input", "synapse_step")
    return record_layout(CONNECTION_RECORD, names, config)


def record_bits(record: Record, layout: data.StructLayout) -> list[tuple[str, int, int]]:
    """(field, lowest bit of the record, width) of the fields that `layout` takes from a record."""
    return [
        (field.name, position * BUS_BITS + field.low, layout[field.name].width)
        for position, field in record
        if field.name in layout.members
    ]


def from_record(record: Record, layout: data.StructLayout, word: int) -> int:
    """The bits of `layout` for a record as it is in the memory image."""
    result = 0
    for name, low, width in record_bits(record, layout):
        result |= ((word >> low) & ((1 << width) - 1)) << layout[name].offset
    return result


def write_port(words: int, bits: int, enables: int = 1) -> wiring.Signature:
    """What writes one word of a memory of `words` words: enable, or one for each of its parts, address and data."""
    return wiring.Signature({"en": Out(enables), "addr": Out(range(max(2, words))), "data": Out(bits)})


def slice_port(words: int, bits: int, config: CoreConfig) -> wiring.Signature:
    """`write_port` of a memory whose words the bus moves in slices: in a compact core each slice has its enable."""
    return write_port(words, bits, slices(bits) if config.compact else 1)


def record_port(words: int, layout: data.StructLayout, config: CoreConfig) -> wiring.Signature:
    """`write_port` of a memory of records: in a compact core each bit has its enable."""
    return write_port(words, layout.size, layout.size if config.compact else 1)


def spread(enables: Value, bits: int) -> tuple[int, Value]:
    """(bits that share an enable, the enables) of the port of a memory that a `slice_port` or `record_port` writes."""
    if len(enables) in (1, bits):
        return bits // len(enables), enables
    unit = gcd(BUS_BITS, bits)
    return unit, Cat(enables[low // BUS_BITS] for low in range(0, bits, unit))
