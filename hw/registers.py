"""Everything the bus can reach, once, as data: regions, registers, layer record, errors. Plain Python.

The gateware, the memory images, the C header and `docs/registers.md` are printed from these tables.
"""

import hashlib
from dataclasses import dataclass

from .config import REGION_SHIFT, CoreConfig

__all__ = [
    "BUS_ADDRESS_BITS",
    "BUS_BITS",
    "CONNECTION_RECORD",
    "ERRORS",
    "IDENTITY",
    "LANE_ENTRY",
    "LAYER_RECORD",
    "RECORD_SLICES",
    "REGIONS",
    "REGISTERS",
    "TABLE_ENTRY",
    "Access",
    "Field",
    "Record",
    "Region",
    "Register",
    "field_width",
    "memory_shape",
    "region",
    "register",
    "slices",
    "table_digest",
    "whole",
]

BUS_BITS = 32
"""Data width of the bus; wider memory words are moved in slices of this width, lowest bits first."""

BUS_ADDRESS_BITS = 26
"""Width of a bus address, which counts 32-bit words (multiply by four for bytes)."""

IDENTITY = 0x48494C4B
"""What the register `identity` reads: the letters HILK."""


class Access:
    """Who may write a register: nobody (RO), the host (RW), the host to trigger or clear something (W1)."""

    RO = "read only"
    RW = "read and write"
    W1 = "write one to act"


@dataclass(frozen=True)
class Field:
    """A run of bits of one 32-bit word. `width` is a number, or the name of the `CoreConfig` value that gives it."""

    name: str
    low: int
    width: int | str
    meaning: str
    signed: bool = False


@dataclass(frozen=True)
class Register:
    """One 32-bit register of the region `registers`, at word `offset`."""

    name: str
    offset: int
    access: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Region:
    """A window of the bus, from `number << REGION_SHIFT`.

    `parts` says how an address within it is made up. None: it is the index. Otherwise it is `index << part_bits | part`
    (`CoreConfig.part_bits`), where the index is that of a memory word and the part is a 32-bit slice of it, lowest
    first, or a lane of it: (when written, when read), None where that is not possible.
    """

    name: str
    number: int
    parts: tuple[str | None, str | None] | None
    meaning: str

    @property
    def base(self) -> int:
        """Bus address of the first word."""
        return self.number << REGION_SHIFT


def whole(name: str, width: int | str, meaning: str) -> tuple[Field, ...]:
    """The fields of a register that has one, which has its name."""
    return (Field(name, 0, width, meaning),)


REGIONS = (
    Region("registers", 0, None, "the registers below"),
    Region("layers", 1, ("slice", "slice"), "layer records, in the order in which the core runs the layers"),
    Region("connections", 2, ("slice", None), "connection records, in the order in which the core walks them"),
    Region("synapses", 3, ("slice", "lane"), "weights, `lanes` to a word"),
    Region("currents", 4, ("slice", "lane"), "currents, `lanes` to a word"),
    Region("potentials", 5, (None, "lane"), "membrane potentials, `lanes` to a word"),
    Region("counts", 6, None, "output spikes counted for each class, read only"),
    Region("rows", 7, ("slice", None), "row table, see `TABLE_ENTRY`"),
    Region("columns", 8, ("slice", None), "column table"),
    Region("channels", 9, ("slice", None), "channel table"),
    Region("lanes", 10, ("slice", None), "lane table: entry `layer << lane_bits | lane`, see `LANE_ENTRY`"),
)

REGISTERS = (
    Register("identity", 0, Access.RO, whole("identity", 32, "the letters HILK: there is a hillock core here")),
    Register("table", 1, Access.RO, whole("table", 32, "digest of this register table")),
    Register(
        "geometry",
        2,
        Access.RO,
        (
            Field("lanes", 0, 8, "weights added per clock cycle"),
            Field("weight_bits", 8, 8, "width of a weight"),
            Field("potential_bits", 16, 8, "width of a membrane potential"),
            Field("fraction_bits", 24, 8, "bits of the potential below the weight's unit"),
        ),
    ),
    Register(
        "capacity",
        3,
        Access.RO,
        (
            Field("max_layers", 0, 16, "layer records"),
            Field("classes", 16, 16, "output neurons that have a spike counter"),
        ),
    ),
    Register(
        "control",
        4,
        Access.W1,
        (
            Field(
                "start",
                0,
                1,
                "begin the inference of the image in the currents, after the one under way; refused without image",
            ),
            Field("abort", 1, 1, "give up the inference and forget all waiting input and output"),
            Field("bank", 2, 1, "the bank of currents that holds the image to start with"),
        ),
    ),
    Register(
        "status",
        5,
        Access.RO,
        (
            Field("busy", 0, 1, "an inference is under way"),
            Field("done", 1, 1, "an inference has ended and `decision`, `cycles` and the counts are its result"),
            Field("pending", 2, 1, "a start waits for the end of the inference under way"),
        ),
    ),
    Register("error", 6, Access.W1, whole("error", "errors", "sticky; write ones to clear")),
    Register("layers", 7, Access.RW, whole("layers", "layer_count_bits", "number of layers in use")),
    Register(
        "input_mode",
        8,
        Access.RW,
        (
            Field("image", 0, 1, "0: input events; 1: an image in the currents of the first layer"),
            Field("is_static", 1, 1, "1: input events come once, before the first timestep, and are held as a current"),
        ),
    ),
    Register("input_channels", 9, Access.RW, whole("input_channels", "channel_count_bits", "channels of the input")),
    Register(
        "input_grid",
        10,
        Access.RW,
        (
            Field("columns", 0, "column_count_bits", "columns of the input"),
            Field("rows", 16, "row_count_bits", "rows of the input"),
        ),
    ),
    Register("timesteps", 11, Access.RW, whole("timesteps", 16, "T, timesteps of an inference")),
    Register("delay", 12, Access.RW, whole("delay", 16, "D, timesteps whose output spikes are not counted")),
    Register(
        "decision_mode",
        13,
        Access.RW,
        (
            Field("by_potential", 0, 1, "0: the highest count decides; 1: the highest potential of the last layer"),
            Field("none", 1, 1, "1: nothing is decided, the decision is 0 and says that the inference has ended"),
        ),
    ),
    Register("outputs", 14, Access.RW, whole("outputs", "channel_count_bits", "neurons of a last layer that decides")),
    Register("decision", 15, Access.RO, whole("decision", "channel_bits", "the winner; ties go to the lowest index")),
    Register(
        "image_words",
        16,
        Access.RW,
        whole(
            "image_words",
            "current_address_bits",
            "current words of an image of which there are two, the second behind the first; 0: there is one",
        ),
    ),
    Register("cycles", 17, Access.RO, whole("cycles", 32, "clock cycles from the first input word to the decision")),
)

Record = tuple[tuple[int, Field], ...]
"""The layout of a memory word that is moved in slices: (slice, field) pairs."""

LAYER_RECORD: Record = (
    (0, Field("potential_base", 0, "potential_address_bits", "first potential word")),
    (1, Field("current_base", 0, "current_address_bits", "first current word")),
    (1, Field("current_step", 24, 2, "0: the same current word always; 1: by channel word; 2: by potential word")),
    (2, Field("channel_words", 0, "potential_count_bits", "Wc, potential words of a place")),
    (2, Field("change", 24, 3, "cycles from the end of its pass to what comes next, see docs/cycles.md")),
    (3, Field("column_words", 0, "column_count_bits", "Xw, places of a row, `columns` together")),
    (3, Field("rows", 16, "row_count_bits", "rows of places")),
    (4, Field("channels", 0, "lane_count_bits", "b, channels in a potential word")),
    (4, Field("columns", 8, "lane_count_bits", "Q, columns in a potential word")),
    (4, Field("used_lanes", 16, "lane_count_bits", "lanes that are neurons, in a word that is not an end")),
    (4, Field("end_lanes", 24, "lane_count_bits", "lanes that are neurons, in a word that is an end")),
    (5, Field("threshold", 0, "threshold_bits", "theta: a neuron fires at or above it")),
    (6, Field("preload", 0, "potential_bits", "V0, every potential before the first timestep", signed=True)),
    (
        7,
        Field(
            "reset_amount",
            0,
            "potential_bits",
            "R: subtracted (then not negative), or the value after a reset",
            signed=True,
        ),
    ),
    (8, Field("leak_shift", 0, "leak_shift_bits", "k in V - (V >> k); 0: no leak")),
    (8, Field("reset_to_value", 8, 1, "0: a reset subtracts R; 1: a reset leaves R")),
    (8, Field("reset_always", 9, 1, "0: a spike resets; 1: every timestep does")),
    (8, Field("leak_first", 10, 1, "0: reset, then leak; 1: leak, then reset")),
    (8, Field("fires", 11, 1, "0: a readout layer, which integrates and never fires")),
    (8, Field("graded", 12, 1, "0: events carry 1; 1: the potential")),
    (8, Field("end_is_column", 13, 1, "a word is an end if it is 0: the last of its place; 1: of the last place")),
    (8, Field("is_output", 14, 1, "its spikes leave the core")),
    (8, Field("feeds_next", 15, 1, "the next walk takes its spikes from the queue")),
    (8, Field("is_kept", 16, 1, "its spikes are written to the replay memory")),
    (
        8,
        Field(
            "connections",
            20,
            "connection_count_bits",
            "how many connections it has, the next in the connection records",
        ),
    ),
    (9, Field("replay_base", 0, "replay_address_bits", "where the replay memory takes its spikes")),
    (9, Field("load_base", 16, "current_address_bits", "with static input: first word of the current before it")),
)
"""The record of a layer."""

CONNECTION_RECORD: Record = (
    (0, Field("synapse_base", 0, "synapse_address_bits", "first synapse word")),
    (1, Field("words", 0, "potential_count_bits", "potential words of a tap")),
    (1, Field("from_input", 24, 1, "its events come from outside")),
    (1, Field("from_replay", 25, 1, "its events come from the replay memory (otherwise from the queue, or outside)")),
    (1, Field("is_static", 26, 1, "walked once, before the first timestep")),
    (1, Field("by_channel", 27, 1, "the channel table is used; otherwise the channel is added to the synapse word")),
    (2, Field("row_base", 0, "row_address_bits", "first entry of the row table")),
    (2, Field("column_base", 16, "column_address_bits", "first entry of the column table")),
    (3, Field("channel_base", 0, "channel_address_bits", "first entry of the channel table")),
    (4, Field("replay_base", 0, "replay_address_bits", "where the spikes of its source are in the replay memory")),
    (4, Field("source_layer", 16, "layer_bits", "the layer its events come from")),
    (5, Field("column_step", 0, "potential_address_bits", "from the last potential word of a tap to the next tap's")),
    (6, Field("row_step", 0, "potential_address_bits", "from the first potential word of a row to the next row's")),
    (7, Field("synapse_step", 0, "synapse_address_bits", "from a synapse word to that of the next word of the tap")),
    (8, Field("synapse_column_step", 0, "synapse_address_bits", "as column_step; modulo the memory's address range")),
    (9, Field("synapse_row_step", 0, "synapse_address_bits", "as row_step; modulo the memory's address range")),
)
"""The record of a connection."""

TABLE_ENTRY: Record = (
    (0, Field("synapse", 0, "synapse_address_bits", "added to the first synapse word")),
    (1, Field("potential", 0, "potential_address_bits", "added to the first potential word")),
    (1, Field("count", 24, 8, "target rows or column words; 0: the event reaches nothing")),
)
"""An entry of the row or column table; those of the channel table have no count."""

LANE_ENTRY: Record = (
    (0, Field("channel", 0, "lane_bits", "added to the channel of the word's first lane")),
    (0, Field("column", 8, "lane_bits", "added to the column of the word's first lane")),
)
"""An entry of the lane table."""

RECORD_SLICES = {"layers": 10, "connections": 10, "rows": 2, "columns": 2, "channels": 2, "lanes": 1}
"""32-bit words of one entry of the memories that hold records."""

ERRORS = (
    Field(
        "input_address",
        0,
        1,
        "an input event beyond the grid of the input, or any input where that is an image: dropped",
    ),
    Field("load_while_running", 1, 1, "a write during an inference, unless to the bank that it does not use: ignored"),
    Field("start_refused", 2, 1, "a start while another is pending, or where the input is not an image: ignored"),
    Field("bus_address", 3, 1, "an access beyond a register or memory, or a write to what is read only: ignored"),
    Field("slice_order", 4, 1, "slices of a memory word that did not come in order, lowest first: word not written"),
)


_COMPACT_WIDTHS = {"timesteps": 8, "delay": 8, "outputs": 0, "by_potential": 0, "is_static": 0}
"""Fields of registers that are narrower in a compact core, or of which it has no use."""


def register(name: str) -> Register:
    """The register called `name`."""
    return next(entry for entry in REGISTERS if entry.name == name)


def region(name: str) -> Region:
    """The region called `name`."""
    return next(entry for entry in REGIONS if entry.name == name)


def field_width(field: Field, config: CoreConfig) -> int:
    """Bits of `field` in a core of this configuration."""
    if config.compact and field.name in _COMPACT_WIDTHS:
        return _COMPACT_WIDTHS[field.name]
    if config.compact and not config.input_queue and field.name == "input_channels":
        return 0  # no events come that could be beyond them
    if isinstance(field.width, int):
        return field.width

    def address(words: int) -> int:
        return max(1, (words - 1).bit_length())

    derived: dict[int | str, int] = {
        "errors": len(ERRORS),
        "layer_count_bits": config.max_layers.bit_length(),
        "layer_bits": address(config.max_layers),
        "connection_count_bits": config.max_connections.bit_length(),
        "column_count_bits": config.max_width.bit_length(),
        "row_count_bits": config.max_height.bit_length(),
        "lane_count_bits": config.lanes.bit_length(),
        "lane_bits": address(config.lanes),
        "potential_count_bits": config.potential_words.bit_length(),
        "potential_address_bits": address(config.potential_words),
        "synapse_address_bits": address(config.synapse_words),
        "current_address_bits": address(config.current_words),
        "replay_address_bits": address(config.replay_words),
        "row_address_bits": address(config.row_entries),
        "column_address_bits": address(config.column_entries),
        "channel_address_bits": address(config.channel_entries),
        "threshold_bits": config.potential_bits - 1,
        "potential_bits": config.potential_bits,
        "leak_shift_bits": config.leak_shift_bits,
        "channel_count_bits": config.max_channels.bit_length(),
        "channel_bits": address(config.max_channels),
    }
    # The weights of a dense connection lie a source apart from word to word.
    width = "channel_count_bits" if config.compact and field.name == "synapse_step" else field.width
    return derived[width]


def memory_shape(name: str, config: CoreConfig) -> tuple[int, int]:
    """(words, bits of a word) of a memory that the bus loads; 0 words where the core does not have it."""
    lane_entries = config.max_layers << max(1, (config.lanes - 1).bit_length())
    depth, bits = {
        "layers": (config.max_layers, 0),
        "connections": (config.max_connections, 0),
        "synapses": (config.synapse_words, config.lanes * config.weight_bits),
        "currents": (config.current_words, config.lanes * config.current_bits),
        "rows": (config.row_entries, 0),
        "columns": (config.column_entries, 0),
        "channels": (config.channel_entries, 0),
        "lanes": (lane_entries if config.column_lanes else 0, 0),
    }[name]
    return depth, bits or RECORD_SLICES[name] * BUS_BITS


def slices(bits: int) -> int:
    """Bus words that move one memory word of `bits` bits."""
    return -(-bits // BUS_BITS)


def table_digest() -> int:
    """A 32-bit digest of all tables, so that a host notices a core built from others."""
    tables = repr((REGIONS, REGISTERS, LAYER_RECORD, CONNECTION_RECORD, TABLE_ENTRY, LANE_ENTRY, ERRORS))
    return int.from_bytes(hashlib.sha256(tables.encode()).digest()[:4], "big")


def _check_tables() -> None:
    for registers, field_name in ((REGISTERS, "offset"), (REGIONS, "number")):
        numbers = [getattr(entry, field_name) for entry in registers]
        names = [entry.name for entry in registers]
        if numbers != list(range(len(numbers))) or len(set(names)) != len(names):
            raise AssertionError(f"{field_name}s must count from 0 and names differ: {names}")


_check_tables()
