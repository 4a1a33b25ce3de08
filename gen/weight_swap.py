"""Other weights in a placed ECP5 design: what its memories hold is replaced in the text of the bitstream."""

import re
from collections.abc import Mapping
from pathlib import Path

from hillock.hw.problems import HillockError, Problems

from .memory_sites import Site, block_sites, blocks_of, read_blocks, split_memories, words_at

__all__ = ["swap"]

_SECTION = re.compile(r"^\.(tile|bram_init) (\S+)\n", re.MULTILINE)


def swap(text: str, *, old: str, new: str, netlist: Path, placed: Path, folder: Path) -> str:
    """The text of a bitstream (`--textcfg` of nextpnr) with the memories of another Verilog.

    Parameters
    ----------
    text : of the placed design
    old, new : the Verilog of it, and of the other; nothing else than what memories hold may differ
    netlist : JSON of Yosys, of the placed design
    placed : JSON of nextpnr, of the same
    folder : where Yosys works

    It is what place and route of the other would give with the same placement. Nothing is believed: what is replaced
    must be what `old` has there, else it is a `HillockError`.
    """
    subject = "swap of weights"
    for file in (netlist, placed):
        if not file.is_file():
            raise HillockError(f"{subject}: {file} is not there: build the bitstream again")
    rest_old, before = split_memories(old)
    rest_new, after = split_memories(new)
    if rest_old != rest_new or before.keys() != after.keys():
        raise HillockError(
            f"{subject}: the designs differ in more than what memories hold: {_difference(rest_old, rest_new)}: load "
            f"the network over the link, or build its bitstream"
        )
    changed = [path for path in before if before[path] != after[path]]
    if not changed:
        return text
    there = read_blocks(netlist)
    both = {f"{side} {path}": held[path] for side, held in (("old", before), ("new", after)) for path in changed}
    blocks = blocks_of(both, folder)
    sites = block_sites(placed)
    problems = Problems(subject)
    written: dict[Site, tuple[str, str]] = {}
    for path in changed:
        names = [name for name in there if name.rpartition(".")[0].rpartition(".")[0] == path]
        problems.require(
            bool(names),
            f"{path} lies in no RAM: it is too small for one, and what it holds cannot be found: build the bitstream",
        )
        for name in names:
            alone = blocks.get(f"old {name}")
            problems.require(
                alone == there[name], f"{name} does not hold in the placed design what it must: build the bitstream"
            )
            if alone == there[name]:
                olds, news = words_at(name, alone, sites), words_at(name, blocks[f"new {name}"], sites)
                problems.require(bool(olds), f"{name} is not in {placed}: build the bitstream")
                written |= {site: (olds[site], news[site]) for site in olds}
    problems.raise_any()
    return _replaced(text, written, subject)


def _difference(old: str, new: str) -> str:
    """The first line that differs, as far as it is worth showing."""
    for number, (a, b) in enumerate(zip(old.splitlines(), new.splitlines(), strict=False), 1):
        if a != b:
            return f"line {number} is {b.strip()[:80]!r} and was {a.strip()[:80]!r}"
    return "one is longer"


def _replaced(text: str, written: Mapping[Site, tuple[str, str]], subject: str) -> str:
    """The text with the second of each pair where it has the first."""
    by_section: dict[str, dict[str, tuple[str, str]]] = {}
    for (place, name), pair in written.items():
        head = f"{place} {name}" if place == ".bram_init" else f".tile {place}"
        by_section.setdefault(head, {})[name] = pair
    problems = Problems(subject)
    parts: list[str] = []
    last, done = 0, set()
    heads = list(_SECTION.finditer(text))
    for section, end in zip(heads, [*(one.start() for one in heads[1:]), len(text)], strict=True):
        title = section[0][:-1]
        if title not in by_section:
            continue
        done.add(title)
        body = text[section.end() : end]
        for name, pair in by_section[title].items():
            wanted, given = pair if section[1] == "bram_init" else (f"word: {name} {bits}\n" for bits in pair)
            there = body.count(wanted)
            problems.require(
                there == 1, f"{title} must have what the placed design has in {name}, once: it has it {there} times"
            )
            body = body.replace(wanted, given, 1)
        parts += [text[last : section.end()], body]
        last = end
    for title in by_section.keys() - done:
        problems.require(False, f"{title} is not in the text of the bitstream")
    problems.raise_any()
    return "".join([*parts, text[last:]])
