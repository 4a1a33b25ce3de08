"""What is generated and committed equals what the generator prints today."""

from pathlib import Path

from hillock.gen.register_docs import registers_markdown
from hillock.hw.registers import ERRORS, LAYER_RECORD, REGIONS, REGISTERS, Field, Region

DOCS = Path(__file__).parent.parent / "docs"


def test_registers():
    """If not: python -m hillock.gen registers > docs/registers.md"""
    assert (DOCS / "registers.md").read_text() == registers_markdown()


def test_registers_has_a_row_for_everything():
    rows = [line for line in registers_markdown().splitlines() if line.startswith("| ")]
    things: list[Field | Region] = [*REGIONS, *ERRORS, *(field for _, field in LAYER_RECORD)]
    for thing in (*things, *(field for entry in REGISTERS for field in entry.fields)):
        assert any(f"| `{thing.name}` |" in row and row.endswith(f"| {thing.meaning} |") for row in rows), thing.name
    for entry in REGISTERS:
        assert any(f"| {entry.offset:#x} |" in row and f"| `{entry.name}` | {entry.access} |" in row for row in rows), (
            entry
        )
