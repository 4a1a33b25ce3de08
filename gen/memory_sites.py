"""Where the memories of a placed ECP5 design are in its bitstream: from Verilog to the words of nextpnr's text.

A memory of the Verilog becomes blocks, cells of Yosys that are called `<memory>.<number>.<number>`: block RAMs (DP16KD,
64 rows of 320 bits, of which each 20 hold 18) or small RAMs (TRELLIS_DPR16X4, 64 bits). In its text (`--textcfg`)
nextpnr gives a block RAM a number, and under it 2,048 words of 9 bits; a small RAM is four lookup tables of a tile.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import verilog
from amaranth.hdl import Module, Signal
from amaranth.lib import memory

from hillock.sim.archive import write_file

from .yowasp import YOSYS, run_tool

__all__ = ["Block", "Memory", "Site", "block_sites", "blocks_of", "read_blocks", "split_memories", "words_at"]

Block = tuple[str, ...]
"""What a block holds: its parameters INITVAL_00 to INITVAL_3F, or INITVAL, as binary digits."""

Site = tuple[str, str]
"""Of words in the text of a bitstream: (".bram_init", number), or (tile, name of a lookup table)."""

_MODULE = re.compile(r"module (?:\\(\S+)|(\w+)) ?\(")
_WORD = re.compile(r"    (\S+)\[(\d+)\] = (\d+)'([hd])([0-9a-f]+);")
_UNCHECKED = re.compile(r"  \(\* no_rw_check = 32'd1 \*\)")
_BEL = re.compile(r"X(\d+)/Y(\d+)/(SLICE[A-D]\.K[01])")
_CELL, _ENTRY = re.compile(r'        "(.*)": \{'), re.compile(r'          +"(NEXTPNR_BEL|WID)": "(.*?)",?')
_TABLE = "$DPRAM_COMB"
_TABLES, _TABLE_BITS = 4, 16


@dataclass(frozen=True)
class Memory:
    """What a memory holds at power-up: `words` of `width` bits. `unchecked`: it has the attribute `no_rw_check`."""

    width: int
    words: tuple[int, ...]
    unchecked: bool


def split_memories(text: str) -> tuple[str, dict[str, Memory]]:
    """(Verilog of Amaranth without what its memories hold, the memories by their path below the top module)."""
    rest: list[str] = []
    found: dict[str, tuple[int, list[int], bool]] = {}
    place, unchecked = "", False
    for line in text.splitlines():
        if module := _MODULE.match(line):
            place = (module[1] or module[2]).partition(".")[2]
        word = _WORD.fullmatch(line)
        if word is None:
            # Of what stands before a memory: its attribute, its declaration, and `initial begin`.
            unchecked = bool(_UNCHECKED.fullmatch(line)) or (unchecked and line.startswith(("  reg ", "  initial")))
            rest.append(line)
            continue
        name, _, width, base, digits = word.groups()
        path = ".".join(filter(None, (place, name.removeprefix("\\"))))
        found.setdefault(path, (int(width), [], unchecked))[1].append(int(digits, 16 if base == "h" else 10))
    return "\n".join(rest), {path: Memory(width, tuple(words), flag) for path, (width, words, flag) in found.items()}


def _alone(memories: Iterable[Memory]) -> tuple[Module, list[Signal]]:
    """Memories and nothing else, each with the ports that those of a core have; and the wires to these."""
    m = Module()
    wires: list[Signal] = []
    for number, held in enumerate(memories):
        attributes = {"no_rw_check": 1} if held.unchecked else {}
        block = memory.Memory(shape=held.width, depth=len(held.words), init=held.words, attrs=attributes)
        m.submodules[f"m{number}"] = block
        write, read = block.write_port(), block.read_port()
        for kind, member in (("we", write.en), ("wa", write.addr), ("wd", write.data), ("ra", read.addr)):
            wires.append(given := Signal.like(member, name=f"{kind}{number}"))
            m.d.comb += member.eq(given)
        wires.append(word := Signal.like(read.data, name=f"rd{number}"))
        m.d.comb += word.eq(read.data)
    return m, wires


def blocks_of(memories: Mapping[str, Memory], folder: Path) -> dict[str, Block]:
    """What each block of these memories holds, by its name. Yosys says it, of the memories alone; it works in `folder`.

    Its way from memories to blocks is that of the whole design, and does not depend on what they hold; a caller that
    knows the blocks of a whole design can compare.
    """
    module, wires = _alone(memories.values())
    text = verilog.convert(module, name="alone", ports=wires, emit_src=False, strip_internal_attrs=True)
    write_file(folder / "alone.v", str(text).encode())
    script = "read_verilog alone.v; synth_ecp5 -top alone -run begin:map_ffram; "
    script += "select alone; write_json -selected alone.json"
    run_tool(YOSYS, ["-q", "-l", "alone.log", "-p", script], folder, "alone.log")
    paths = list(memories)
    found = {}
    for name, block in read_blocks(folder / "alone.json").items():
        number, rest = name.removeprefix("m").split(".", 1)
        found[f"{paths[int(number)]}.{rest}"] = block
    return found


def read_blocks(path: Path) -> dict[str, Block]:
    """What each block of a design holds, by name, from the JSON that Yosys wrote of it."""
    (module,) = (one for one in json.loads(path.read_text())["modules"].values() if not _is_cell(one))
    found = {}
    for name, cell in module["cells"].items():
        values: dict[str, str] = cell["parameters"]
        if cell["type"] == "DP16KD":
            found[name] = tuple(_known(values[f"INITVAL_{row:02X}"]) for row in range(64))
        elif cell["type"] == "TRELLIS_DPR16X4":
            found[name] = (_known(values["INITVAL"]),)
    return found


def _is_cell(module: dict[str, Any]) -> bool:
    """Whether it stands for a cell of the device."""
    return bool({"blackbox", "whitebox"} & set(module["attributes"]))


def _known(digits: str) -> str:
    return digits.replace("x", "0")


def block_sites(path: Path) -> dict[str, Site]:
    """Where nextpnr put each block RAM, and each lookup table of a small RAM, from the JSON that it wrote (`--write`).

    That is large: it is read line by line, as nextpnr writes it.
    """
    found: dict[str, Site] = {}
    name = ""
    with path.open() as lines:
        for line in lines:
            if line.startswith('        "') and (cell := _CELL.match(line)):
                name = cell[1]
            elif entry := _ENTRY.match(line):
                if entry[1] == "WID":
                    found[name] = (".bram_init", str(int(entry[2], 2)))
                elif _TABLE in name and (place := _BEL.fullmatch(entry[2])):
                    found[name] = (f"R{place[2]}C{place[1]}:PLC2", f"{place[3]}.INIT")
    return found


def words_at(name: str, block: Block, sites: Mapping[str, Site]) -> dict[Site, str]:
    """What the text has of a block at its sites; of a small RAM nextpnr leaves out the tables that nothing reads."""
    if len(block) > 1:
        return {sites[name]: _ram_text(block)} if name in sites else {}
    found = {}
    for number in range(_TABLES):
        site = sites.get(f"{name}{_TABLE}{number}")
        if site is not None:
            found[site] = _table_text(block[0], number)
    return found


def _ram_text(block: Block) -> str:
    """2,048 words of 9 bits as hexadecimal numbers, eight on a line."""
    words = []
    for row in block:
        value = int(row, 2)
        for at in range(16):
            pair = value >> (20 * at)
            words += [pair & 0x1FF, (pair >> 9) & 0x1FF]
    lines = (words[first : first + 8] for first in range(0, len(words), 8))
    return "\n".join(" ".join(f"{word:03x}" for word in line) for line in lines)


def _table_text(digits: str, number: int) -> str:
    """Bit `number` of each word of a small RAM as a lookup table, whose inputs 0 and 3 are address bits 3 and 0."""
    bits = digits[::-1]
    table = [""] * _TABLE_BITS
    for address in range(_TABLE_BITS):
        turned = (address & 6) | (address & 1) << 3 | address >> 3
        table[turned] = bits[_TABLES * address + number]
    return "".join(reversed(table))
