"""The C header says what the tables say, the committed copy is what is printed today, and a compiler takes it."""

import re
import subprocess
import sys

import pytest

from hillock.gen import cli
from hillock.gen.c_header import HEADER, c_header
from hillock.gen.firmware_program import FIRMWARE
from hillock.hw.link_registers import LINK_BASE, LINK_REGISTERS, WINDOW_SHIFT, WINDOWS, link_table_digest
from hillock.hw.registers import (
    CONNECTION_RECORD,
    ERRORS,
    LANE_ENTRY,
    LAYER_RECORD,
    REGIONS,
    REGISTERS,
    TABLE_ENTRY,
    table_digest,
)

RECORDS = {"LAYER": LAYER_RECORD, "CONNECTION": CONNECTION_RECORD, "TABLE": TABLE_ENTRY, "LANE": LANE_ENTRY}


@pytest.fixture(scope="module")
def defined():
    found = re.findall(r"^#define HILLOCK_(\w+) (\w+)u\b", c_header(), re.MULTILINE)
    values = {name: int(value, 0) for name, value in found}
    assert len(values) == len(found)
    return values


def test_the_committed_header():
    """If not: hillock registers --header > firmware/include/hillock_registers.h"""
    assert (FIRMWARE / HEADER).read_text() == c_header()


def test_digests_and_bases(defined):
    assert defined["TABLE_DIGEST"] == table_digest()
    assert defined["LINK_TABLE_DIGEST"] == link_table_digest()
    assert {entry.name: defined[f"{entry.name.upper()}_BASE"] for entry in REGIONS} == {
        entry.name: entry.number << defined["REGION_SHIFT"] for entry in REGIONS
    }
    assert defined["LINK_BASE"] == LINK_BASE
    for name, number in WINDOWS.items():
        assert defined[f"LINK_{name.upper()}_BASE"] == LINK_BASE + (number << WINDOW_SHIFT)


@pytest.mark.parametrize(("prefix", "registers"), [("", REGISTERS), ("LINK_", LINK_REGISTERS)])
def test_every_register_and_field(defined, prefix, registers):
    for entry in registers:
        assert defined[f"{prefix}{entry.name}_OFFSET".upper()] == entry.offset
        for field in entry.fields:
            single = len(entry.fields) == 1 and field.name == entry.name
            name = f"{prefix}{entry.name}".upper() if single else f"{prefix}{entry.name}_{field.name}".upper()
            check_field(defined, name, field)


@pytest.mark.parametrize("name", RECORDS)
def test_every_record(defined, name):
    covered: dict[int, int] = {}
    for position, field in RECORDS[name]:
        full = f"{name}_RECORD_{field.name.upper()}"
        assert defined[f"{full}_SLICE"] == position < defined[f"{name}_RECORD_SLICES"]
        mask = check_field(defined, full, field)
        assert covered.get(position, 0) & mask == 0
        covered[position] = covered.get(position, 0) | mask


def check_field(defined, name, field):
    mask = defined[f"{name}_MASK"]
    assert defined[f"{name}_SHIFT"] == field.low
    assert mask >> field.low << field.low == mask < 1 << 32
    if isinstance(field.width, int):
        assert mask >> field.low == (1 << field.width) - 1
    else:
        assert mask >> field.low & 1
    return mask


def test_every_error(defined):
    assert {field.name: defined[f"ERROR_{field.name.upper()}"] for field in ERRORS} == {
        field.name: 1 << field.low for field in ERRORS
    }
    texts = re.findall(r"X\(HILLOCK_ERROR_(\w+), \\\n +\"(.*)\"\)", c_header())
    assert texts == [(field.name.upper(), field.meaning) for field in ERRORS]


def test_a_compiler_takes_it(tmp_path):
    """Each constant in an expression, with all warnings; and each line has its place on a screen."""
    names = re.findall(r"^#define (HILLOCK_\w+) \w+u\b", c_header(), re.MULTILINE)
    (tmp_path / "registers.h").write_text(c_header())
    uses = "".join(f"    sum ^= {name};\n" for name in names)
    text = f'#include "registers.h"\nunsigned sum_of(void);\nunsigned sum_of(void)\n{{\n    unsigned sum = 0u;\n{uses}'
    (tmp_path / "use.c").write_text(f"{text}    return sum;\n}}\n")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic", "-ffreestanding"]
    subprocess.run(["gcc", *flags, "-c", "use.c", "-o", "use.o"], cwd=tmp_path, check=True)
    assert max(map(len, c_header().splitlines())) <= 120


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["hillock", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code or 0, *capsys.readouterr()

    return call


def test_the_command(run):
    assert run("registers", "--header") == (0, c_header(), "")
    code, out, err = run("registers", "--header", "--csr")
    assert (code, out) == (2, "")
    assert err == "hillock: registers: --csr and --header are two files: ask for one of them\n"
