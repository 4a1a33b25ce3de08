"""The C driver, compiled for this machine, against a mock of the registers: every status by its code and its words."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hillock.gen.firmware_image import crc, firmware_image
from hillock.gen.firmware_program import FIRMWARE
from hillock.gen.host_program import host_program
from hillock.gen.pipeline import place_pipeline
from hillock.hw.config import CoreConfig
from hillock.hw.registers import LAYER_RECORD, REGISTERS, Access, field_width, memory_shape, region
from link_networks import small

HERE = Path(__file__).parent
TESTS = re.findall(r"^TEST\((\w+)\)", (HERE / "test_driver.c").read_text(), re.MULTILINE)
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-pedantic")
DRIVER = sorted((FIRMWARE / "src").glob("*.c"))
PIXELS = np.array([0, 1, 2, 128, 254, 255])


def array(name, words):
    return f"static const uint32_t {name}[] = {{{', '.join(f'{int(word):#x}u' for word in np.ravel(words))}}};\n"


def keeps(record, config: CoreConfig, slices):
    masks = [0] * slices
    for position, field in record:
        masks[position] |= ((1 << field_width(field, config)) - 1) << field.low
    return masks


def networks_header() -> str:
    """Images of two networks of few bytes, what the first writes, and the widths of its core."""
    placements = [place_pipeline(small(kind), [], [5]) for kind in ("image", "events")]
    image, program, config = firmware_image(placements[0]), host_program(placements[0]), placements[0].configs[0]
    writable = [entry for entry in REGISTERS if entry.access == Access.RW]
    masks = [(e.offset, sum(((1 << field_width(f, config)) - 1) << f.low for f in e.fields)) for e in writable]
    words = {name: memory_shape(name, config)[0] for name in ("layers", "synapses", "currents")}
    words["potentials"] = config.potential_words
    return "".join(
        (
            "#include <stdint.h>\n",
            '#pragma GCC diagnostic ignored "-Wunused-variable"\n',
            array("IMAGE_NETWORK", image),
            array("EVENT_NETWORK", firmware_image(placements[1])),
            array("IMAGE_WRITES", program.load),
            array("IMAGE_PIXELS", program.image_writes(PIXELS, 0)),
            array("MOCK_LAYER_KEEPS", keeps(LAYER_RECORD, config, 16)),
            array("MOCK_REGISTERS", masks),
            array("MOCK_WORDS", [(region(name).base, count) for name, count in words.items()]),
            f"#define IMAGE_CRC {crc(image):#x}u\n",
            f"#define MOCK_LANES {config.lanes}u\n",
            f"#define MOCK_PART_BITS {config.part_bits}u\n",
            f"#define MOCK_WEIGHT_BITS {config.weight_bits}u\n",
            f"#define MOCK_CURRENT_BITS {config.current_bits}u\n",
            f"#define MOCK_POTENTIAL_BITS {config.potential_bits}u\n",
        )
    )


def compiled(folder: Path, *flags: str) -> Path:
    (folder / "networks.h").write_text(networks_header())
    (folder / "tests.h").write_text("".join(f"ENTRY({name})\n" for name in TESTS))
    program = folder / "driver"
    include = [f"-I{place}" for place in (FIRMWARE / "include", HERE, folder)]
    for source in DRIVER:  # as everywhere else: freestanding, with all warnings
        command = ["gcc", "-std=c99", "-ffreestanding", "-O1", "-g", *WARNINGS, *flags, *include]
        subprocess.run([*command, "-c", str(source), "-o", str(folder / f"{source.stem}.o")], check=True)
    objects = [str(folder / f"{source.stem}.o") for source in DRIVER]
    tests = [str(HERE / "mock.c"), str(HERE / "test_driver.c")]
    command = ["gcc", "-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *flags, *include, *tests, *objects]
    subprocess.run([*command, "-o", str(program)], check=True)
    return program


@pytest.fixture(scope="module", params=["plain", "sanitized"])
def driver(request, tmp_path_factory):
    sanitizers = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    return compiled(tmp_path_factory.mktemp("driver"), *(sanitizers if request.param == "sanitized" else ()))


@pytest.mark.parametrize("name", TESTS)
def test_driver(driver, name):
    done = subprocess.run([str(driver), name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "passed\n", "")


def test_a_test_that_fails_is_seen(driver):
    done = subprocess.run([str(driver), "none"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "there is no such test\n")


def test_the_driver_needs_no_library(tmp_path):
    """What its objects lack is in another of them, and they keep nothing."""
    compiled(tmp_path)
    objects = [str(tmp_path / f"{source.stem}.o") for source in DRIVER]
    symbols = subprocess.run(["nm", *objects], capture_output=True, text=True, check=True).stdout
    kinds = re.findall(r"([A-Za-z]) (\w+)$", symbols, re.MULTILINE)
    defined = {name for kind, name in kinds if kind == "T"}
    assert {"hillock_open", "hillock_run_image"} <= defined
    assert {name for kind, name in kinds if kind == "U"} - {"_GLOBAL_OFFSET_TABLE_"} <= defined
    assert {name for kind, name in kinds if kind in "BbDdC"} == set()
