"""`docs/registers.md`: everything that the bus reaches, printed from the tables in `hw/registers.py`."""

from collections.abc import Iterable, Sequence

from hillock.hw.config import REGION_SHIFT, CoreConfig
from hillock.hw.registers import (
    BUS_BITS,
    ERRORS,
    IDENTITY,
    LAYER_RECORD,
    LAYER_RECORD_SLICES,
    REGIONS,
    REGISTERS,
    Field,
    Region,
    field_width,
    memory_shape,
    region,
    register,
    slices,
    table_digest,
)

__all__ = ["registers_markdown"]

_BYTES = BUS_BITS // 8

_WIDTHS = {
    "errors": "the errors below",
    "layer_count_bits": "a number up to `max_layers`",
    "neuron_count_bits": "a number up to `max_neurons`",
    "word_count_bits": "a number up to `max_neurons / lanes`, rounded up",
    "lane_count_bits": "a number up to `lanes`",
    "potential_address_bits": "a number below `potential_words`",
    "synapse_address_bits": "a number below `synapse_words`",
    "threshold_bits": "a membrane potential that is not negative",
    "potential_bits": "a membrane potential",
    "leak_shift_bits": "a leak shift",
    "address_bits": "a number below `max_neurons`",
}
"""What the widths given by name hold."""


def registers_markdown() -> str:
    """The whole document. Numbers that depend on the configuration are those of the default one."""
    config = CoreConfig()
    return "\n\n".join(
        (
            "# Registers",
            "<!-- Printed by `python -m hillock.gen registers` from hw/registers.py; change it there. -->",
            _introduction(),
            "## How to use it",
            _guide(config),
            "## Regions",
            _regions(config),
            "## Registers",
            _registers(config),
            "## Layer record",
            "One for each layer, in the order in which the core runs them: "
            f"{LAYER_RECORD_SLICES} slices. What is not listed is ignored, and reads as 0.",
            _layer_record(config),
            "## Errors",
            "The bits of the register `error`. Each stays until a one is written to it.",
            _table(("bit", "error", "set by"), ((field.low, f"`{field.name}`", field.meaning) for field in ERRORS)),
            "## Widths",
            "What depends on the configuration of the core (`hw/config.py`), with its value in the default one.",
            _widths(config),
        )
    ) + "\n"  # fmt: skip


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    first, *rest = (" | ".join(str(cell).replace("|", r"\|") for cell in line) for line in (head, *rows))
    return "\n".join((f"| {first} |", "|" + "---|" * len(head), *(f"| {line} |" for line in rest)))


def _address(name: str) -> str:
    """Bus address of a register, for the text."""
    return f"{region('registers').base + register(name).offset:#x}"


def _introduction() -> str:
    return f"""\
What a host reads and writes over the bus of a core: Wishbone classic, {BUS_BITS} bits, without byte selects. Addresses
count {BUS_BITS}-bit words; on a bus that counts bytes, multiply them by {_BYTES}. A write is acknowledged in the next
cycle, a read seven cycles after it began. Every access is acknowledged: what is illegal changes nothing, reads as 0,
and sets a bit in `error`.

These tables have the digest `{table_digest():#010x}`, which a core built from them shows in `table`."""


def _guide(config: CoreConfig) -> str:
    synapses, part = region("synapses").base, config.part_bits
    of_synapse, of_current = (slices(memory_shape(name, config)[1]) for name in ("synapses", "currents"))
    example = ", ".join(f"`{synapses + (5 << part | s):#x}`" for s in range(of_synapse))
    return f"""\
Addresses and numbers in this section are those of the default configuration.

**Find the core.** Read `identity` ({_address("identity")}): it must be {IDENTITY:#x}. Read `table`: it must be the
digest that the program was built with. `geometry` and `capacity` say what the core can hold.

**Load a network**, while `status.busy` is 0 and no events are sent. The order of the steps does not matter, that of the
slices does.

1. Layers: {LAYER_RECORD_SLICES} slices for each layer record.
2. Synapses: {of_synapse} slices for each word of {config.lanes} weights, lane 0 in the lowest bits. The word of the
   event from address `a` for potential word `n` of a layer is `synapse_base + a + n * inputs`.
3. Currents: {of_current} slices for each word, one word for each potential word, 0 where there is no current.
4. Registers: `layers`, `inputs`, `timesteps`, `delay`, `decision_mode`, `outputs`.
5. Read `error`: it must be 0.

The slices of a memory word are written lowest first; the word takes effect with its last slice. Slice `s` of word `i`
of the synapses is at `{synapses:#x} + (i << {part} | s)`: word 5 is written at {example}.

Before the first load the memories and registers hold what the core was generated with. An inference with `layers` or
`timesteps` 0 does not end; `control.abort` ends it.

**Run an inference on events.** With `inputs` not 0, an inference begins with the first word at the port `inputs`, which
takes the events of a timestep, then a marker, for each of the `timesteps`. The bus has no part in it.

**Run an inference on an image.** With `inputs` 0, write the pixels into the current words of the first layer, one to a
lane, then 1 to `control` ({_address("control")}).

**Wait.** Poll `status` ({_address("status")}) until `done` is 1 and `busy` is 0. `done` rises with the decision, and
`busy` falls when the decision has been taken at the port `decision`: if nothing listens there, tie its `ready` high.
The `done` of an inference stays until the next one begins.

**Read the result.** `decision` is the winner, `cycles` the length of the inference in clock cycles, and the region
`counts` the output spikes of each class. They stay until the next inference begins; with events that is when its first
word arrives, so read before you send on. The final potentials are in the region `potentials`.

**While an inference runs** the registers can be read; the other regions read as 0. Writes are refused and set
`load_while_running`, but for two: `control.abort` gives up the inference, with all input and output that waits, and a
write to `error` ({_address("error")}) clears the bits that are written as ones."""


def _regions(config: CoreConfig) -> str:
    def access(entry: Region, way: int) -> str:
        """How the region is written (0) or read (1), with the number of parts of a word."""
        if entry.parts is None:
            return "see below" if entry.name == "registers" else ("no", "whole")[way]
        kind = entry.parts[way]
        if kind is None:
            return "no"
        count = config.lanes if kind == "lane" else slices(memory_shape(entry.name, config)[1])
        return f"{count} {kind}s"

    sizes = {
        "registers": len(REGISTERS),
        "layers": config.max_layers,
        "synapses": config.synapse_words,
        "currents": config.potential_words,
        "potentials": config.potential_words,
        "counts": config.classes,
    }
    rows = [
        (
            f"`{entry.name}`", f"{entry.base:#x}", f"{entry.base * _BYTES:#x}", f"{sizes[entry.name]:,}",
            "`i`" if entry.parts is None else f"`i << {config.part_bits} | part`",
            access(entry, 0), access(entry, 1), entry.meaning,
        )
        for entry in REGIONS
    ]  # fmt: skip
    head = ("region", "base", "in bytes", "words", "word `i` is at base +", "written in", "read in", "content")
    about = f"""\
Each is a window of {1 << REGION_SHIFT:#x} addresses. The part of an address is a {BUS_BITS}-bit slice of a memory word,
lowest first, or one lane of it, sign-extended. It is `part_bits` wide: enough for the lanes, and for the slices of a
layer record."""
    return f"{about}\n\n{_table(head, rows)}"


def _bits(field: Field, config: CoreConfig) -> str:
    high = field.low + field_width(field, config) - 1
    return f"{high}:{field.low}" if high > field.low else f"{high}"


def _width(field: Field, config: CoreConfig) -> str:
    return f"`{field.width}`" if isinstance(field.width, str) else f"{field.width}"


def _registers(config: CoreConfig) -> str:
    base = region("registers").base
    rows = [
        (
            f"{base + entry.offset:#x}" if first else "",
            f"{(base + entry.offset) * _BYTES:#x}" if first else "",
            f"`{entry.name}`" if first else "",
            entry.access if first else "",
            _bits(field, config), _width(field, config), f"`{field.name}`", field.meaning,
        )
        for entry in REGISTERS
        for first, field in ((field is entry.fields[0], field) for field in entry.fields)
    ]  # fmt: skip
    head = ("address", "in bytes", "register", "access", "bits", "width", "field", "meaning")
    return "Bits that are not listed read as 0, and are ignored when written.\n\n" + _table(head, rows)


def _layer_record(config: CoreConfig) -> str:
    rows = [
        (position, _bits(field, config), _width(field, config), f"`{field.name}`", "signed" if field.signed else "",
         field.meaning)
        for position, field in LAYER_RECORD
    ]  # fmt: skip
    return _table(("slice", "bits", "width", "field", "", "meaning"), rows)


def _widths(config: CoreConfig) -> str:
    fields = [field for entry in REGISTERS for field in entry.fields] + [field for _, field in LAYER_RECORD]
    named = {str(field.width): field_width(field, config) for field in fields if isinstance(field.width, str)}
    rows = [(f"`{name}`", bits, _WIDTHS[name]) for name, bits in named.items()]
    rows.append(("`part_bits`", config.part_bits, f"a number below `lanes`, and below {LAYER_RECORD_SLICES}"))
    return _table(("width", "default", "holds"), rows)
