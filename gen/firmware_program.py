"""The program of the system on chip: compiled from `firmware/`, or as it was compiled and committed.

A machine without the compiler takes the committed one, which says what it was made of: the digest of its sources.
"""

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hillock.hw.problems import HillockError
from hillock.sim.network_file import write_file

__all__ = ["COMPILER", "FIRMWARE", "FLAGS", "SocProgram", "compile_program", "compiler_version", "prebuilt", "sources"]

FIRMWARE = Path(__file__).resolve().parent.parent / "firmware"
PREBUILT = FIRMWARE / "prebuilt" / "soc.json"

COMPILER = "riscv64-unknown-elf-gcc"
FLAGS = (
    *("-march=rv32i", "-mabi=ilp32", "-Os", "-std=c99", "-ffreestanding", "-ffunction-sections"),
    *("-fno-tree-loop-distribute-patterns",),  # a loop stays one: there is no memset or memcpy to call
    *("-Wall", "-Wextra", "-Werror", "-Wconversion"),
)
_LINK = ("-nostdlib", "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments")
_WAY_OUT = "compile it with 'hillock firmware --compile'"


@dataclass(frozen=True)
class SocProgram:
    """A program from address 0 on.

    Attributes
    ----------
    words : tuple of int
    sizes : dict
        Bytes of each source file as compiled, constants included, by name; and of the whole, `program`.
    compiler : str
        Its first line about itself.
    """

    words: tuple[int, ...]
    sizes: dict[str, int]
    compiler: str

    def write(self, path: Path = PREBUILT) -> None:
        """Write what `prebuilt` reads."""
        text = self._hex()
        about = {
            "compiler": self.compiler,
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "sizes": self.sizes,
            "sources": sources_digest(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path.with_suffix(".hex"), text.encode())
        write_file(path, (json.dumps(about, indent=2, sort_keys=True) + "\n").encode())

    def _hex(self) -> str:
        return "".join(f"{word:08x}\n" for word in self.words)


def sources() -> list[Path]:
    """All that the program is made of, by name."""
    return sorted(path for folder in ("include", "src", "soc") for path in (FIRMWARE / folder).iterdir())


def sources_digest() -> str:
    """The SHA-256 of all sources, their names and the flags of the compiler."""
    digest = hashlib.sha256("\0".join((*FLAGS, *_LINK)).encode())
    for path in sources():
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(FIRMWARE).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def compiler_version() -> str | None:
    """What the compiler says of itself; None where there is none."""
    if shutil.which(COMPILER) is None:
        return None
    return subprocess.run([COMPILER, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def compile_program() -> SocProgram:
    """The program from its sources; a `HillockError` without the compiler, or with what it says."""
    version = compiler_version()
    if version is None:
        raise HillockError(
            f"firmware: {COMPILER} is not on the path: on Debian or Ubuntu, apt-get install gcc-riscv64-unknown-elf; "
            f"without it the program that lies in {PREBUILT.parent} is used"
        )
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        sizes: dict[str, int] = {}
        objects = []
        for path in sources():
            if path.suffix in (".c", ".S"):
                made = place / f"{path.stem}.o"
                include = [f"-I{FIRMWARE / folder}" for folder in ("include", "soc")]
                _run([COMPILER, *FLAGS, *include, "-c", str(path), "-o", str(made)])
                text, data, bss = _run(["riscv64-unknown-elf-size", str(made)]).splitlines()[1].split()[:3]
                sizes[path.name] = int(text) + int(data) + int(bss)
                objects.append(str(made))
        elf, binary = place / "program.elf", place / "program.bin"
        link = [*_LINK, "-T", str(FIRMWARE / "soc" / "link.ld")]
        _run([COMPILER, *FLAGS, *link, *objects, "-lgcc", "-o", str(elf)])
        _run(["riscv64-unknown-elf-objcopy", "-O", "binary", str(elf), str(binary)])
        symbols = _run(["riscv64-unknown-elf-nm", str(elf)])
        found = re.search(r"^([0-9a-f]+) \w program_end$", symbols, re.MULTILINE)
        assert found is not None
        content = binary.read_bytes()
        end = int(found[1], 16)
    content += bytes(end - len(content))
    sizes["program"] = end
    words = tuple(int.from_bytes(content[at : at + 4], "little") for at in range(0, end, 4))
    return SocProgram(words, sizes, version)


def prebuilt(path: Path = PREBUILT) -> SocProgram:
    """The program that is committed; a `HillockError` when it is not that of the sources, or was changed."""
    try:
        about = json.loads(path.read_text())
        text = path.with_suffix(".hex").read_text()
        program = SocProgram(tuple(int(line, 16) for line in text.split()), about["sizes"], about["compiler"])
        wanted, made_of = about["sha256"], about["sources"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HillockError(f"firmware: {path} cannot be read ({error}): {_WAY_OUT}") from None
    if made_of != sources_digest():
        raise HillockError(f"firmware: {path} was compiled from other sources than those in {FIRMWARE}: {_WAY_OUT}")
    if hashlib.sha256(text.encode()).hexdigest() != wanted:
        raise HillockError(f"firmware: {path.with_suffix('.hex')} was changed after it was compiled: {_WAY_OUT}")
    return program


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HillockError(f"firmware: {command[0]} ended with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout
