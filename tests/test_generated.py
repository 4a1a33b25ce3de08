"""What is generated and committed equals what the generator prints today."""

from pathlib import Path

from hillock.gen.register_docs import EXAMPLE, registers_markdown
from hillock.hw.config import CoreConfig
from hillock.hw.registers import (
    CONNECTION_RECORD,
    ERRORS,
    LANE_ENTRY,
    LAYER_RECORD,
    REGIONS,
    REGISTERS,
    TABLE_ENTRY,
    Field,
    Region,
    memory_shape,
)

DOCS = Path(__file__).parent.parent / "docs"
RECORDS = {
    "Layer record": LAYER_RECORD,
    "Connection record": CONNECTION_RECORD,
    "Table entry": TABLE_ENTRY,
    "Lane entry": LANE_ENTRY,
}


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")]


def test_registers():
    """If not: python -m hillock.gen registers > docs/registers.md"""
    assert (DOCS / "registers.md").read_text() == registers_markdown()


def test_registers_has_a_row_for_everything():
    found = rows(registers_markdown())
    things: list[Field | Region] = [*REGIONS, *ERRORS]
    for thing in (*things, *(field for entry in REGISTERS for field in entry.fields)):
        assert any(
            f"| `{thing.name}` |" in row and row.endswith(f"| {thing.meaning.replace('|', chr(92) + '|')} |")
            for row in found
        ), thing.name
    for entry in REGISTERS:
        assert any(
            f"| {entry.offset:#x} |" in row and f"| `{entry.name}` | {entry.access} |" in row for row in found
        ), entry


def test_registers_has_a_table_of_every_record():
    """A row for each field, in its order, with its slice, lowest bit, name and meaning."""
    sections = {section.split("\n")[0]: rows(section)[1:] for section in registers_markdown().split("\n## ")[1:]}
    for title, record in RECORDS.items():
        for row, (position, field) in zip(sections[title], record, strict=True):
            number, bits, _, name, signed, meaning = (cell.strip() for cell in row.strip("|").split("|"))
            assert (number, bits.split(":")[-1], name) == (str(position), str(field.low), f"`{field.name}`")
            assert (signed, meaning) == ("signed" if field.signed else "", field.meaning)


def test_the_widths_of_registers_are_all_explained():
    section = registers_markdown().partition("\n## Widths\n")[2]
    explained = {row.split("`")[1] for row in rows(section)[1:]}
    fields = [field for entry in REGISTERS for field in entry.fields]
    fields += [field for record in RECORDS.values() for _, field in record]
    assert explained == {field.width for field in fields if isinstance(field.width, str)} | {"part_bits"}


def test_the_core_of_the_page_has_every_memory():
    named = {entry.name for entry in REGIONS} - {"registers", "potentials", "counts"}
    assert [name for name in named if not memory_shape(name, EXAMPLE)[0]] == []
    for name, value in EXAMPLE.as_dict().items():
        changed = value != getattr(CoreConfig(), name)
        text = " ".join(registers_markdown().split())
        assert (f"{name} = {value}" in text) == changed, name
