"""Copies of what drives too many cells, so that each may lie close to those that it drives.

Yosys makes one cell of all that compute the same, and place and route do not divide it again: a signal that goes to all
lanes of a wide core takes most of a clock period to reach them. A copy gives the same value in the same cycle, so
nothing that the design does depends on it.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

__all__ = ["MOST", "split", "split_file"]

MOST = 96
"""Inputs that a cell may drive."""

_COPIED = re.compile(r"LUT4$|TRELLIS_FF$")
_NOT_COUNTED = ("CLK",)
_LANE = re.compile(r"\.array\.[a-z]+\d*_(\d+)(?=_|$)")
_NUMBER = re.compile(r"(\d+)")

_Sink = tuple[str, str, int]
"""Cell, port, and place in it."""


def split(module: dict[str, Any], most: int = MOST) -> int:
    """Change a module of a netlist that `write_json` of Yosys wrote; returns how many cells are new.

    What drives more than `most` inputs is copied, and what drives those copies in turn. Inputs go to the copies in the
    order of the lanes that they belong to, and then of their names. From `most` = 12 on this ends for any netlist: a
    copy takes at least half of `most` inputs off what it is a copy of, and has five inputs at most itself.
    """
    cells = module["cells"]
    drivers: dict[int, str] = {}
    sinks: dict[int, list[_Sink]] = {}
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            for place, bit in enumerate(bits):
                if not isinstance(bit, int):
                    continue
                if cell["port_directions"][port] == "output":
                    drivers[bit] = name
                elif port not in _NOT_COUNTED:
                    sinks.setdefault(bit, []).append((name, port, place))
    outside = {bit for port in module["ports"].values() for bit in port["bits"] if isinstance(bit, int)}
    named = (bit for net in module["netnames"].values() for bit in net["bits"] if isinstance(bit, int))
    free = 1 + max([*outside, *drivers, *sinks, *named], default=0)
    made = 0
    while many := [
        bit for bit in sinks if len(sinks[bit]) > most and bit not in outside and _copied(cells, drivers, bit)
    ]:
        # Copies of a LUT are more inputs for the register that drives it.
        for bit in sorted(many, key=lambda bit: "FF" in cells[drivers[bit]]["type"]):
            name, driven = drivers[bit], sorted(sinks[bit], key=_order)
            count = -(-len(driven) // most)
            shares = [driven[len(driven) * at // count : len(driven) * (at + 1) // count] for at in range(count)]
            sinks[bit] = shares[0]
            for share in shares[1:]:
                made += 1
                copy, cell = f"{name}$copy{made}", cells[name]
                cells[copy] = {**cell, "connections": {port: list(bits) for port, bits in cell["connections"].items()}}
                module["netnames"][f"{copy}$out"] = {"hide_name": 1, "bits": [free], "attributes": {}}
                for port, bits in cells[copy]["connections"].items():
                    for place, one in enumerate(bits):
                        if cell["port_directions"][port] == "output":
                            bits[place] = free
                        elif isinstance(one, int) and port not in _NOT_COUNTED:
                            sinks.setdefault(one, []).append((copy, port, place))
                for sink, port, place in share:
                    cells[sink]["connections"][port][place] = free
                drivers[free], sinks[free] = copy, share
                free += 1
    return made


def _copied(cells: dict[str, Any], drivers: dict[int, str], bit: int) -> bool:
    return bit in drivers and bool(_COPIED.match(cells[drivers[bit]]["type"]))


def _order(sink: _Sink) -> tuple[int, list[Any], str, int]:
    name, port, place = sink
    lane = _LANE.search(name)
    parts = [int(part) if part.isdigit() else part for part in _NUMBER.split(name)]
    return int(lane[1]) if lane else -1, parts, port, place


def split_file(source: Path, result: Path) -> int:
    """The same for the module `top` of a file, written to another."""
    netlist = json.loads(source.read_text())
    made = split(netlist["modules"]["top"])
    result.write_text(json.dumps(netlist))
    return made


if __name__ == "__main__":
    print(f"{split_file(*map(Path, sys.argv[1:]))} copies")
