"""`docs/registers.md`: everything that the bus reaches, printed from the tables in `hw/registers.py`."""

import textwrap
from collections.abc import Iterable, Sequence

from hillock.hw.config import REGION_SHIFT, CoreConfig
from hillock.hw.registers import (
    BUS_BITS,
    CONNECTION_RECORD,
    ERRORS,
    IDENTITY,
    LANE_ENTRY,
    LAYER_RECORD,
    RECORD_SLICES,
    REGIONS,
    REGISTERS,
    TABLE_ENTRY,
    Access,
    Field,
    Record,
    Region,
    field_width,
    memory_shape,
    region,
    register,
    slices,
    table_digest,
)

__all__ = ["EXAMPLE", "registers_markdown"]

EXAMPLE = CoreConfig(
    payload_bits=4,
    max_connections=12,
    max_height=32,
    max_width=32,
    columns_per_word=16,
    potential_words=2048,
    current_words=2048,
    queue_words=1024,
    replay_words=2048,
    row_entries=256,
    column_entries=256,
    channel_entries=256,
    static_input=1,
    image_banks=2,
)
"""A core with every memory that there can be: its numbers are those of the page."""

_BYTES = BUS_BITS // 8

_WIDTHS = {
    "errors": "the errors above",
    "layer_count_bits": "a number up to `max_layers`",
    "layer_bits": "a number below `max_layers`",
    "connection_count_bits": "a number up to `max_connections`",
    "channel_count_bits": "a number up to `max_channels`",
    "channel_bits": "a number below `max_channels`",
    "column_count_bits": "a number up to `max_width`",
    "row_count_bits": "a number up to `max_height`",
    "lane_count_bits": "a number up to `lanes`",
    "lane_bits": "a number below `lanes`",
    "potential_count_bits": "a number up to `potential_words`",
    "potential_address_bits": "a number below `potential_words`",
    "synapse_address_bits": "a number below `synapse_words`",
    "current_address_bits": "a number below `current_words`",
    "replay_address_bits": "a number below `replay_words`",
    "row_address_bits": "a number below `row_entries`",
    "column_address_bits": "a number below `column_entries`",
    "channel_address_bits": "a number below `channel_entries`",
    "threshold_bits": "a membrane potential that is not negative",
    "potential_bits": "a membrane potential",
    "leak_shift_bits": "a leak shift",
}
"""What the widths given by name hold."""


_RECORDS = (
    ("Layer record", LAYER_RECORD, "layers", "One for each layer, in the order in which the core runs them"),
    (
        "Connection record",
        CONNECTION_RECORD,
        "connections",
        "One for each connection, in the order in which the core walks them: first those of the first layer",
    ),
    (
        "Table entry",
        TABLE_ENTRY,
        "rows",
        "One for each row, column or channel of the source of a connection, beginning at its `row_base`, `column_base` "
        "or `channel_base`; [walks.md](walks.md) says what for. In the channel table there is no `count`",
    ),
    (
        "Lane entry",
        LANE_ENTRY,
        "lanes",
        "One for each lane of each layer, at `layer << lane_bits | lane`: which neuron of a potential word it is",
    ),
)
"""Of each record: its name, what it is made of, the memory it lies in, and what there is one for."""


def registers_markdown() -> str:
    """The whole document. Numbers that depend on the configuration are those of `EXAMPLE`."""
    config = EXAMPLE
    changed = (f"{name} = {value}" for name, value in config.as_dict().items() if value != getattr(CoreConfig(), name))
    return "\n\n".join(
        (
            "# Registers",
            "<!-- Printed by `python -m hillock.gen registers` from hw/registers.py; change it there. -->",
            _introduction(),
            textwrap.fill(
                "Numbers that depend on the configuration of the core (`hw/config.py`) are those of one that has every "
                f"memory: the default with {', '.join(changed)}.",
                120,
            ),
            "## How to use it",
            _guide(config),
            "## Regions",
            _regions(config),
            "## Registers",
            _registers(config),
            *(_record(*record, config) for record in _RECORDS),
            "## Errors",
            "The bits of the register `error`. Each stays until a one is written to it.",
            _table(("bit", "error", "set by"), ((field.low, f"`{field.name}`", field.meaning) for field in ERRORS)),
            "## Widths",
            "What depends on the configuration of the core.",
            _widths(config),
        )
    ) + "\n"  # fmt: skip


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    first, *rest = (" | ".join(str(cell).replace("|", r"\|") for cell in line) for line in (head, *rows))
    return "\n".join((f"| {first} |", "|" + "---|" * len(head), *(f"| {line} |" for line in rest)))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _address(name: str) -> str:
    """Bus address of a register, for the text."""
    return f"{region('registers').base + register(name).offset:#x}"


def _introduction() -> str:
    return f"""\
What a host reads and writes over the bus of a core: Wishbone classic, {BUS_BITS} bits, without byte selects. Addresses
count {BUS_BITS}-bit words; on a bus that counts bytes, multiply them by {_BYTES}. A write is acknowledged in the next
cycle, a read eight cycles after it began. Every access is acknowledged: what is illegal changes nothing, reads as 0,
and sets a bit in `error`. An access that is given up before that has no effect.

These tables have the digest `{table_digest():#010x}`, which a core built from them shows in `table`."""


def _guide(config: CoreConfig) -> str:
    synapses, part = region("synapses").base, config.part_bits
    of_synapse, of_current = (slices(memory_shape(name, config)[1]) for name in ("synapses", "currents"))
    example = ", ".join(f"`{synapses + (5 << part | s):#x}`" for s in range(of_synapse))
    return f"""\
**Find the core.** Read `identity` ({_address("identity")}): it must be {IDENTITY:#x}. Read `table`: it must be the
digest that the program was built with. `geometry` and `capacity` say what the core can hold.

**Load a network**, while `status.busy` is 0 and no events are sent. The order of the steps does not matter, that of the
slices does. Memories that the core was generated without are left out.

1. Layers, connections, rows, columns, channels and lanes: the records below.
2. Synapses: {of_synapse} slices for each word of {config.lanes} weights, lane 0 in the lowest bits, in the order
   of [walks.md](walks.md).
3. Currents: {of_current} slices for each word.
4. Registers: {", ".join(f"`{entry.name}`" for entry in REGISTERS if entry.access == Access.RW)}.
5. Read `error`: it must be 0.

The slices of a memory word are written lowest first; the word takes effect with its last slice. (In a
[compact core](contract.md#what-a-compact-core-leaves-out) it does so slice by slice.) Slice `s` of word `i` of the
synapses is at `{synapses:#x} + (i << {part} | s)`: word 5 is written at {example}.

Before the first load the memories and registers hold what the core was generated with. An inference with `layers` or
`timesteps` 0 does not end; `control.abort` ends it.

**Run an inference on events.** With `input_mode` 0, an inference begins with the first word at the port `inputs`, which
takes the events of a timestep, then a marker, for each of the `timesteps`. With `input_mode.is_static` it takes events
and a marker once. A word is, from its lowest bits, channel, column, row, payload (where `payload_bits` is more than 1)
and marker. The bus has no part in it.

**Run an inference on an image.** With `input_mode.image`, write the pixels into the current words of the first layer,
one to a lane, then 1 to `control` ({_address("control")}). Where there are two banks of images, `image_words` is the
length of one, and `control.bank` says which holds the image: the next image can be written into the other, and
started, while an inference runs. It then begins when that has ended; until it does, `status.pending` is 1, and neither
bank can be written.

**Wait.** Poll `status` ({_address("status")}) until `done` is 1 and `busy` is 0. `done` rises with the decision, and
`busy` falls when the decision has been taken at the port `decision`: if nothing listens there, tie its `ready` high.
The `done` of an inference stays until the next one begins.

**Read the result.** `decision` is the winner, `cycles` the length of the inference in clock cycles, and the region
`counts` the output spikes of each class. They stay until the next inference begins; with events that is when its first
word arrives, so read before you send on. The final potentials are in the region `potentials`.

**While an inference runs** the registers can be read; the other regions read as 0. Writes are refused and set
`load_while_running`, but for the next image and its start, and for two more: `control.abort` gives up the inference,
with all input and output that waits and a start that is pending, and a write to `error` ({_address("error")}) clears
the bits that are written as ones."""


def _regions(config: CoreConfig) -> str:
    def access(entry: Region, way: int) -> str:
        """How the region is written (0) or read (1), with the number of parts of a word."""
        if entry.parts is None:
            return "see below" if entry.name == "registers" else ("no", "whole")[way]
        kind = entry.parts[way]
        if kind is None:
            return "no"
        count = config.lanes if kind == "lane" else slices(memory_shape(entry.name, config)[1])
        return _count(count, kind)

    sizes = {"registers": len(REGISTERS), "potentials": config.potential_words, "counts": config.classes}
    sizes |= {entry.name: memory_shape(entry.name, config)[0] for entry in REGIONS if entry.name not in sizes}
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
record."""
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


def _record(title: str, record: Record, name: str, about: str, config: CoreConfig) -> str:
    rows = [
        (position, _bits(field, config), _width(field, config), f"`{field.name}`", "signed" if field.signed else "",
         field.meaning)
        for position, field in record
    ]  # fmt: skip
    ignored = "ignored, and reads as 0" if name == "layers" else "ignored"
    text = f"{about}. Each takes {_count(RECORD_SLICES[name], 'slice')}; what is not listed is {ignored}."
    table = _table(("slice", "bits", "width", "field", "", "meaning"), rows)
    return f"## {title}\n\n{textwrap.fill(text, 120)}\n\n{table}"


def _widths(config: CoreConfig) -> str:
    fields = [field for entry in REGISTERS for field in entry.fields]
    fields += [field for record in (LAYER_RECORD, CONNECTION_RECORD, TABLE_ENTRY, LANE_ENTRY) for _, field in record]
    named = {str(field.width): field_width(field, config) for field in fields if isinstance(field.width, str)}
    rows = [(f"`{name}`", bits, _WIDTHS[name]) for name, bits in named.items()]
    rows.append(("`part_bits`", config.part_bits, "a number below `lanes`, and below 16"))
    return _table(("width", "here", "holds"), rows)
