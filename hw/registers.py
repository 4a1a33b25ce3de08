"""Everything the bus can reach, once, as data: regions, registers, layer record, errors. Plain Python.

The gateware, the memory images, the C header and `docs/registers.md` are printed from these tables.
"""

import hashlib
from dataclasses import dataclass

from .config import REGION_SHIFT, CoreConfig

__all__ = [
    "BUS_ADDRESS_BITS",
    "BUS_BITS",
    "ERRORS",
    "IDENTITY",
    "LAYER_RECORD",
    "LAYER_RECORD_SLICES",
    "REGIONS",
    "REGISTERS",
    "Access",
    "Field",
    "Region",
    "Register",
    "field_width",
    "memory_shape",
    "region",
    "register",
    "slices",
    "table_digest",
]

BUS_BITS = 32
"""Data width of the bus; wider memory words are moved in slices of this width, lowest bits first."""

BUS_ADDRESS_BITS = 24
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


def _whole(name: str, width: int | str, meaning: str) -> tuple[Field, ...]:
    return (Field(name, 0, width, meaning),)


REGIONS = (
    Region("registers", 0, None, "the registers below"),
    Region("layers", 1, ("slice", "slice"), "layer records, in the order in which the core runs the layers"),
    Region("synapses", 2, ("slice", "lane"), "weights, `lanes` to a word"),
    Region("currents", 3, ("slice", "lane"), "currents, `lanes` to a word, one word for each potential word"),
    Region("potentials", 4, (None, "lane"), "membrane potentials, `lanes` to a word"),
    Region("counts", 5, None, "output spikes counted for each class, read only"),
)

REGISTERS = (
    Register("identity", 0, Access.RO, _whole("identity", 32, "the letters HILK: there is a hillock core here")),
    Register("table", 1, Access.RO, _whole("table", 32, "digest of this register table")),
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
            Field("start", 0, 1, "begin the inference of the image in the currents; refused when `inputs` is not 0"),
            Field("abort", 1, 1, "give up the inference and forget all waiting input and output"),
        ),
    ),
    Register(
        "status",
        5,
        Access.RO,
        (
            Field("busy", 0, 1, "an inference is under way"),
            Field("done", 1, 1, "an inference has ended and `decision`, `cycles` and the counts are its result"),
        ),
    ),
    Register("error", 6, Access.W1, _whole("error", "errors", "sticky; write ones to clear")),
    Register("layers", 7, Access.RW, _whole("layers", "layer_count_bits", "number of layers in use")),
    Register(
        "inputs",
        8,
        Access.RW,
        _whole("inputs", "neuron_count_bits", "input addresses; 0 when the input is an image in the currents"),
    ),
    Register("timesteps", 9, Access.RW, _whole("timesteps", 16, "T, timesteps of an inference")),
    Register("delay", 10, Access.RW, _whole("delay", 16, "D, timesteps whose output spikes are not counted")),
    Register(
        "decision_mode",
        11,
        Access.RW,
        (Field("by_potential", 0, 1, "0: the highest count decides; 1: the highest potential of the last layer"),),
    ),
    Register("outputs", 12, Access.RW, _whole("outputs", "neuron_count_bits", "neurons of the last layer")),
    Register("decision", 13, Access.RO, _whole("decision", "address_bits", "the winner; ties go to the lowest index")),
    Register("cycles", 14, Access.RO, _whole("cycles", 32, "clock cycles from the first input word to the decision")),
)

LAYER_RECORD = (
    (
        0,
        Field(
            "inputs",
            0,
            "neuron_count_bits",
            "presynaptic addresses, and the stride from a synapse word of an event to its next",
        ),
    ),
    (1, Field("words", 0, "word_count_bits", "potential words of the layer")),
    (1, Field("last_lanes", 24, "lane_count_bits", "neurons in the last potential word")),
    (2, Field("potential_base", 0, "potential_address_bits", "first potential word and first current word")),
    (3, Field("synapse_base", 0, "synapse_address_bits", "synapse word of address 0 and potential word 0")),
    (4, Field("threshold", 0, "threshold_bits", "theta: a neuron fires at or above it")),
    (5, Field("preload", 0, "potential_bits", "V0, every potential before the first timestep", signed=True)),
    (
        6,
        Field(
            "reset_amount",
            0,
            "potential_bits",
            "R: subtracted (then not negative), or the value after a spike",
            signed=True,
        ),
    ),
    (7, Field("leak_shift", 0, "leak_shift_bits", "k in V - (V >> k); 0: no leak")),
    (7, Field("reset_to_value", 8, 1, "0: a spike subtracts R; 1: a spike leaves R")),
    (7, Field("leak_first", 9, 1, "0: reset, then leak; 1: leak, then reset")),
    (7, Field("fires", 10, 1, "0: a readout layer, which integrates and never fires")),
    (7, Field("has_input", 16, 1, "0: no synapses, only currents (the rate encoder)")),
    (7, Field("is_output", 17, 1, "its spikes leave the core")),
)
"""The layer record as (slice, field) pairs."""

LAYER_RECORD_SLICES = 8
"""32-bit words of one layer record."""

ERRORS = (
    Field("input_address", 0, 1, "an input event beyond the first layer, or any input while `inputs` is 0: dropped"),
    Field("load_while_running", 1, 1, "a write to a memory or a register during an inference: ignored"),
    Field("start_refused", 2, 1, "a start during an inference or with `inputs` not 0: ignored"),
    Field("bus_address", 3, 1, "an access beyond a register or memory, or a write to what is read only: ignored"),
    Field("slice_order", 4, 1, "slices of a memory word that did not come in order, lowest first: word not written"),
)


def register(name: str) -> Register:
    """The register called `name`."""
    return next(entry for entry in REGISTERS if entry.name == name)


def region(name: str) -> Region:
    """The region called `name`."""
    return next(entry for entry in REGIONS if entry.name == name)


def field_width(field: Field, config: CoreConfig) -> int:
    """Bits of `field` in a core of this configuration."""
    if isinstance(field.width, int):
        return field.width
    derived = {
        "errors": len(ERRORS),
        "layer_count_bits": config.max_layers.bit_length(),
        "neuron_count_bits": config.max_neurons.bit_length(),
        "word_count_bits": config.max_words.bit_length(),
        "lane_count_bits": config.lanes.bit_length(),
        "potential_address_bits": max(1, (config.potential_words - 1).bit_length()),
        "synapse_address_bits": max(1, (config.synapse_words - 1).bit_length()),
        "threshold_bits": config.potential_bits - 1,
        "potential_bits": config.potential_bits,
        "leak_shift_bits": config.leak_shift_bits,
        "address_bits": config.address_bits,
    }
    return derived[field.width]


def memory_shape(name: str, config: CoreConfig) -> tuple[int, int]:
    """(words, bits of a word) of a memory that the bus loads."""
    return {
        "layers": (config.max_layers, LAYER_RECORD_SLICES * BUS_BITS),
        "synapses": (config.synapse_words, config.lanes * config.weight_bits),
        "currents": (config.potential_words, config.lanes * config.current_bits),
    }[name]


def slices(bits: int) -> int:
    """Bus words that move one memory word of `bits` bits."""
    return -(-bits // BUS_BITS)


def table_digest() -> int:
    """A 32-bit digest of all tables, so that a host notices a core built from others."""
    tables = repr((REGIONS, REGISTERS, LAYER_RECORD, ERRORS))
    return int.from_bytes(hashlib.sha256(tables.encode()).digest()[:4], "big")


def _check_tables() -> None:
    for registers, field_name in ((REGISTERS, "offset"), (REGIONS, "number")):
        numbers = [getattr(entry, field_name) for entry in registers]
        names = [entry.name for entry in registers]
        if numbers != list(range(len(numbers))) or len(set(names)) != len(names):
            raise AssertionError(f"{field_name}s must count from 0 and names differ: {names}")


_check_tables()
