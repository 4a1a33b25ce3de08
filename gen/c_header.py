"""The register map as a C header, for the driver in `firmware/`: `hillock registers --header`.

Addresses count 32-bit words, as everywhere; a bus that counts bytes multiplies them by `HILLOCK_WORD_BYTES`. A mask
covers every bit that a field can have in any core: what a core has less of reads as 0 and is ignored when written.
"""

from collections.abc import Iterator, Sequence

from hillock.hw.config import REGION_SHIFT
from hillock.hw.link_registers import (
    DECISION_WORDS,
    LINK_BASE,
    LINK_IDENTITY,
    LINK_REGISTERS,
    WINDOW_SHIFT,
    WINDOWS,
    link_table_digest,
)
from hillock.hw.registers import (
    BUS_ADDRESS_BITS,
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
    Register,
    table_digest,
)

__all__ = ["HEADER", "c_header"]

HEADER = "include/hillock_registers.h"
"""Where the copy of the driver lies, below `firmware/`."""

_RECORDS = (
    ("LAYER", LAYER_RECORD, "layers"),
    ("CONNECTION", CONNECTION_RECORD, "connections"),
    ("TABLE", TABLE_ENTRY, "rows"),
    ("LANE", LANE_ENTRY, "lanes"),
)
"""Of each record: its name in C, what it is made of, and a memory of such records."""

_WIDTH = 120
_ACCESS = {Access.RO: "ro", Access.RW: "rw", Access.W1: "w1"}


def c_header() -> str:
    """The whole file."""
    return "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    yield "/* The registers of hillock: every address, field and error, and the digests of their tables."
    yield " *"
    yield " * Printed by `hillock registers --header` from hw/registers.py and hw/link_registers.py; change them there."
    yield " *"
    yield " * Addresses count 32-bit words. A mask lies where its field does, and covers every bit that it can have in"
    yield " * any core. `ro`: read only; `rw`: read and write; `w1`: write one to act."
    yield " */"
    yield "#ifndef HILLOCK_REGISTERS_H"
    yield "#define HILLOCK_REGISTERS_H"

    yield from _section("Digests and identities: what the registers `table` and `identity` must read")
    yield _define("TABLE_DIGEST", table_digest())
    yield _define("LINK_TABLE_DIGEST", link_table_digest())
    yield _define("IDENTITY_VALUE", IDENTITY)
    yield _define("LINK_IDENTITY_VALUE", LINK_IDENTITY)

    yield from _section("The bus: the number of the core stands above the bits of its own addresses")
    yield _number("WORD_BYTES", BUS_BITS // 8)
    yield _number("CORE_SHIFT", BUS_ADDRESS_BITS)
    yield _number("REGION_SHIFT", REGION_SHIFT)

    yield from _section("Regions of a core: word `i`, part `p` is at base + (i << part_bits | p)")
    for entry in REGIONS:
        yield _define(f"{entry.name}_BASE", entry.base, entry.meaning)

    yield from _section("Registers of a core, from HILLOCK_REGISTERS_BASE on")
    yield from _registers("", REGISTERS)

    yield from _section("Bits of the register `error` of a core")
    for field in ERRORS:
        yield _define(f"ERROR_{field.name}", _mask(field, ERRORS), field.meaning)
    yield "#define HILLOCK_ERRORS(X) \\"
    texts = [f'    X(HILLOCK_ERROR_{field.name.upper()}, \\\n      "{_quoted(field.meaning)}")' for field in ERRORS]
    yield " \\\n".join(texts)

    yield from _section("The link, from HILLOCK_LINK_BASE on: registers, and windows that repeat what they have")
    yield _define("LINK_BASE", LINK_BASE)
    yield _number("LINK_WINDOW_SHIFT", WINDOW_SHIFT)
    yield _number("LINK_DECISION_WORDS", DECISION_WORDS)
    for window, number in WINDOWS.items():
        yield _define(f"LINK_{window}_BASE", LINK_BASE + (number << WINDOW_SHIFT))
    yield from _registers("LINK_", LINK_REGISTERS)

    for name, record, memory in _RECORDS:
        yield from _section(f"{name.capitalize()} record: slice, place and mask of each field")
        yield _number(f"{name}_RECORD_SLICES", RECORD_SLICES[memory])
        for position, field in record:
            beside = [other for where, other in record if where == position]
            yield _number(f"{name}_RECORD_{field.name}_SLICE", position)
            yield from _field(f"{name}_RECORD_{field.name}", field, beside)
    yield ""
    yield "#endif"


def _section(title: str) -> Iterator[str]:
    yield ""
    yield f"/* {title} */"


def _define(name: str, value: int, comment: str = "") -> str:
    """One line, or two where the comment is long."""
    line = f"#define HILLOCK_{name.upper()} {value:#x}u"
    if not comment:
        return line
    beside = f"{line} /* {comment} */"
    return beside if len(beside) <= _WIDTH else f"/* {comment} */\n{line}"


def _number(name: str, value: int) -> str:
    return f"#define HILLOCK_{name.upper()} {value}u"


def _registers(prefix: str, registers: Sequence[Register]) -> Iterator[str]:
    for entry in registers:
        yield _define(f"{prefix}{entry.name}_OFFSET", entry.offset, _ACCESS[entry.access])
        for field in entry.fields:
            alone = len(entry.fields) == 1 and field.name == entry.name
            name = entry.name if alone else f"{entry.name}_{field.name}"
            yield from _field(f"{prefix}{name}", field, entry.fields)


def _field(name: str, field: Field, beside: Sequence[Field]) -> Iterator[str]:
    yield _number(f"{name}_SHIFT", field.low)
    yield _define(f"{name}_MASK", _mask(field, beside), f"signed: {field.meaning}" if field.signed else field.meaning)


def _mask(field: Field, beside: Sequence[Field]) -> int:
    """All bits of a field; where the core decides how many, those up to the next field."""
    end = min([BUS_BITS, *(other.low for other in beside if other.low > field.low)])
    width = field.width if isinstance(field.width, int) else end - field.low
    return ((1 << width) - 1) << field.low


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
