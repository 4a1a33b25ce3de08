"""The committed program is that of the sources; where its compiler is, it compiles to the same bytes."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hillock.gen import firmware_program
from hillock.gen.firmware_program import COMPILER, PREBUILT, compile_program, compiler_version, prebuilt, sources
from hillock.hw.problems import HillockError

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "firmware.md"
AS_COMMITTED = json.loads(PREBUILT.read_text())["compiler"]


def test_the_committed_program_is_that_of_the_sources():
    """If not: hillock firmware --compile"""
    program = prebuilt()
    assert program.sizes["program"] == 4 * len(program.words)
    assert {path.name for path in sources() if path.suffix in (".c", ".S")} == program.sizes.keys() - {"program"}


def test_the_sizes_in_the_document():
    sizes = prebuilt().sizes
    program = sizes.pop("program")
    rows = re.findall(r"^\| `(\w+\.[cS])` \| ([\d,]+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert {name: int(size.replace(",", "")) for name, size in rows} == sizes
    assert f"| the program of the system on chip | {program:,} |" in DOCUMENT.read_text()


def test_the_example_in_the_document_compiles(tmp_path):
    (example,) = re.findall(r"^```c\n(#include.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "example.c").write_text(example)
    (tmp_path / "network.h").write_text("static const uint32_t network[] = {0x48494d47u};\n")
    flags = ["-std=c99", "-ffreestanding", "-Wall", "-Wextra", "-Werror", f"-I{firmware_program.FIRMWARE / 'include'}"]
    subprocess.run(["gcc", *flags, "-c", "example.c", "-o", "example.o"], cwd=tmp_path, check=True)


@pytest.mark.skipif(compiler_version() is None, reason=f"there is no {COMPILER}: the committed program is used")
def test_it_compiles():
    """To the same bytes, unless by another version, which may find other instructions."""
    program = compile_program()
    if program.compiler != AS_COMMITTED:
        pytest.skip(f"the committed program was compiled by {AS_COMMITTED}, and here is {program.compiler}")
    assert program == prebuilt()


@pytest.fixture
def copy(tmp_path):
    for suffix in (".json", ".hex"):
        shutil.copy(PREBUILT.with_suffix(suffix), tmp_path / f"soc{suffix}")
    return tmp_path / "soc.json"


def test_a_changed_source(copy, tmp_path, monkeypatch):
    firmware = tmp_path / "firmware"
    shutil.copytree(firmware_program.FIRMWARE, firmware)
    monkeypatch.setattr(firmware_program, "FIRMWARE", firmware)
    assert prebuilt(copy).words
    with (firmware / "src" / "hillock.c").open("a") as file:
        file.write("\n")
    with pytest.raises(HillockError) as caught:
        prebuilt(copy)
    assert str(caught.value) == (
        f"firmware: {copy} was compiled from other sources than those in {firmware}: compile it with "
        f"'hillock firmware --compile'"
    )


def test_a_changed_program(copy):
    path = copy.with_suffix(".hex")
    text = path.read_text()
    path.write_text(text.replace(text[:8], "00000013", 1))
    with pytest.raises(HillockError) as caught:
        prebuilt(copy)
    assert str(caught.value) == (
        f"firmware: {path} was changed after it was compiled: compile it with 'hillock firmware --compile'"
    )


@pytest.mark.parametrize("content", ["", "{}", '{"sizes": 3}'])
def test_a_program_that_is_none(copy, content):
    copy.write_text(content)
    with pytest.raises(HillockError, match=r"^firmware: .*soc\.json cannot be read \(.*\): compile it with "):
        prebuilt(copy)


def test_no_compiler(monkeypatch):
    monkeypatch.setattr(firmware_program, "COMPILER", "no-such-gcc")
    with pytest.raises(HillockError) as caught:
        compile_program()
    assert str(caught.value) == (
        "firmware: no-such-gcc is not on the path: on Debian or Ubuntu, apt-get install gcc-riscv64-unknown-elf; "
        f"without it the program that lies in {PREBUILT.parent} is used"
    )


@pytest.mark.skipif(compiler_version() is None, reason=f"there is no {COMPILER}: the committed program is used")
def test_what_the_compiler_says(tmp_path, monkeypatch):
    firmware = tmp_path / "firmware"
    shutil.copytree(firmware_program.FIRMWARE, firmware)
    monkeypatch.setattr(firmware_program, "FIRMWARE", firmware)
    with (firmware / "soc" / "console.c").open("a") as file:
        file.write("int wrong(void) { unsigned char x = 1000; return x; }\n")
    with pytest.raises(HillockError, match=r"(?s)^firmware: riscv64-unknown-elf-gcc ended with status 1: .*Werror"):
        compile_program()
