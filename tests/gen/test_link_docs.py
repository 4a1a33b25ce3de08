"""What is written about the link equals what the tables say today."""

import subprocess
import sys
from pathlib import Path

from hillock.gen.link_docs import link_markdown
from hillock.hw.link_registers import LINK_BASE, LINK_REGISTERS, WINDOW_SHIFT, WINDOWS, link_register, link_table_digest
from hillock.hw.registers import REGIONS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]


def section(title: str) -> list[list[str]]:
    return rows(link_markdown().partition(f"\n## {title}\n")[2].partition("\n## ")[0])[1:]


def test_the_page():
    """If not: python -m hillock.gen.link_docs > docs/link.md"""
    assert (DOCS / "link.md").read_text() == link_markdown()
    assert max(len(line) for line in link_markdown().splitlines() if not line.startswith("|")) <= 120
    program = [sys.executable, "-m", "hillock.gen.link_docs"]
    assert subprocess.run(program, capture_output=True, text=True, check=True).stdout == link_markdown()


def test_a_row_for_every_field():
    fields = [(entry, field) for entry in LINK_REGISTERS for field in entry.fields]
    for row, (entry, field) in zip(section("Registers"), fields, strict=True):
        address, in_bytes, name, access, bits, field_name, meaning = row
        if field is entry.fields[0]:
            where = LINK_BASE + entry.offset
            assert (address, in_bytes, name, access) == (
                f"{where:#x}",
                f"{4 * where:#x}",
                f"`{entry.name}`",
                entry.access,
            )
        low, high = field.low, field.low + int(field.width) - 1
        assert bits == (f"{high}:{low}" if high > low else f"{low}")
        assert (field_name, meaning) == (f"`{field.name}`", field.meaning)


def test_a_row_for_every_window_and_command():
    found = section("Addresses")
    assert [row[:2] for row in found[1:]] == [
        [f"{LINK_BASE + (number << WINDOW_SHIFT):#x}", f"`{name}`"] for name, number in WINDOWS.items()
    ]
    assert [row[0] for row in section("Requests")] == [str(command) for command in (1, 2, 3, 4)]


def test_the_digest_is_there():
    assert f"`{link_table_digest():#010x}`" in link_markdown()


def test_no_core_uses_the_region():
    assert all(entry.base != LINK_BASE for entry in REGIONS)


def test_the_table_is_consistent():
    """Offsets count from 0, names differ, fields do not overlap and end within the word."""
    assert [entry.offset for entry in LINK_REGISTERS] == list(range(len(LINK_REGISTERS)))
    assert len({entry.name for entry in LINK_REGISTERS}) == len(LINK_REGISTERS) < 1 << WINDOW_SHIFT
    for entry in LINK_REGISTERS:
        end = 0
        for field in entry.fields:
            assert field.low >= end
            end = field.low + int(field.width)
        assert end <= 32


def test_decisions_are_read_before_their_output():
    """In one request: else a decision that comes between the two would be without its last spikes."""
    assert link_register("decisions_given").offset < link_register("outputs_given").offset
