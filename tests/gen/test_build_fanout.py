"""Copies of cells that drive many: none drives more than it may, and without the copies the netlist is what it was."""

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hillock.gen.build_fanout import split, split_file

IN, OUT = "input", "output"
KINDS = {
    "LUT4": {"A": IN, "B": IN, "Z": OUT},
    "TRELLIS_FF": {"CLK": IN, "DI": IN, "LSR": IN, "Q": OUT},
    "CCU2C": {"A0": IN, "S0": OUT},
}
CLOCK = 2


def netlist(cells: Any, outputs=()):
    """(kind, inputs, output) by name; bits are numbers from 3 on."""
    made = {}
    for name, (kind, inputs, output) in cells.items():
        ports = [port for port, way in KINDS[kind].items() if way == IN and port != "CLK"]
        connections = {port: [bit] for port, bit in zip(ports, inputs, strict=True)} | {list(KINDS[kind])[-1]: [output]}
        connections |= {"CLK": [CLOCK]} if "CLK" in KINDS[kind] else {}
        made[name] = {"type": kind, "parameters": {}, "port_directions": KINDS[kind], "connections": connections}
    bits = {bit for cell in made.values() for bits in cell["connections"].values() for bit in bits}
    return {
        "ports": {
            "clk": {"direction": IN, "bits": [CLOCK]},
            **{f"out{bit}": {"direction": OUT, "bits": [bit]} for bit in outputs},
        },
        "cells": made,
        "netnames": {
            f"n{bit}": {"hide_name": 0, "bits": [bit], "attributes": {}} for bit in bits if isinstance(bit, int)
        },
    }


def fanouts(module):
    """Inputs by the bit that drives them, clocks left out."""
    found: dict[int, int] = {}
    for cell in module["cells"].values():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == IN and port != "CLK":
                for bit in bits:
                    found[bit] = found.get(bit, 0) + 1
    return found


def driver(module, bit):
    for name, cell in module["cells"].items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == OUT and bit in bits:
                return name
    return None


def without_copies(module):
    """The netlist in which what each copy drives is driven by the cell that it is a copy of."""
    module = copy.deepcopy(module)
    copies = {name: name.partition("$copy")[0] for name in module["cells"] if "$copy" in name}
    instead = {}
    for name, first in copies.items():
        (port,) = (port for port, way in module["cells"][name]["port_directions"].items() if way == OUT)
        instead[module["cells"][name]["connections"][port][0]] = module["cells"][first]["connections"][port][0]
    for name in copies:
        original, cell = module["cells"][copies[name]], module["cells"][name]
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == IN:
                same = [instead.get(bit, bit) for bit in original["connections"][port]]
                assert [instead.get(bit, bit) for bit in bits] == same
        assert {**cell, "connections": 0} == {**original, "connections": 0}
        del module["cells"][name], module["netnames"][f"{name}$out"]
    for cell in module["cells"].values():
        for port, bits in cell["connections"].items():
            cell["connections"][port] = [instead.get(bit, bit) for bit in bits]
    return module


def test_a_register_that_drives_ten():
    cells = {f"lane{at}": ("LUT4", [5, "0"], 10 + at) for at in range(10)} | {"source": ("TRELLIS_FF", [6, "0"], 5)}
    module = netlist(cells)
    before = copy.deepcopy(module)
    assert split(module, 4) == 2
    assert sorted(fanouts(module).values(), reverse=True)[:4] == [13, 4, 3, 3]  # the first is the constant
    assert without_copies(module) == before


def test_inputs_of_a_lane_stay_together():
    """Whatever their names begin with."""
    names = [f"core0.array.{signal}_{lane}_x_Q" for signal in ("held2", "sum3") for lane in range(20)]
    cells = {name: ("LUT4", [5, "0"], 10 + at) for at, name in enumerate(names)} | {"s": ("TRELLIS_FF", ["0", "0"], 5)}
    module = netlist(cells)
    assert split(module, 10) == 3
    shares: dict[int, set[int]] = {}
    for name in names:
        shares.setdefault(module["cells"][name]["connections"]["A"][0], set()).add(int(name.split("_")[1]))
    assert sorted(map(sorted, shares.values())) == [list(range(at, at + 5)) for at in (0, 5, 10, 15)]


def test_what_cannot_be_copied_is_left_alone():
    """Carry cells, and what goes to a pin."""
    cells: dict[str, Any] = {f"to{at}": ("LUT4", [5, 6], 10 + at) for at in range(9)}
    others = {"carry": ("CCU2C", ["0"], 5), "pin": ("TRELLIS_FF", ["0", "0"], 6)}
    module = netlist(cells | others, outputs=[6])
    before = copy.deepcopy(module)
    assert split(module, 4) == 0
    assert module == before


@given(st.data(), st.integers(12, 20))
def test_any_netlist(data, most):
    """Loops too, and cells that drive themselves."""
    count = data.draw(st.integers(1, 60))
    kinds = data.draw(st.lists(st.sampled_from(["LUT4", "TRELLIS_FF", "CCU2C"]), min_size=count, max_size=count))
    few = st.integers(3, 2 + min(3, count))  # so that some drive many
    bit = st.one_of(few, st.integers(3, 2 + count), st.sampled_from(["0", "1", "x"]))
    cells = {}
    for at, kind in enumerate(kinds):
        inputs = sum(way == IN and port != "CLK" for port, way in KINDS[kind].items())
        cells[f"c{at}"] = (kind, [data.draw(bit) for _ in range(inputs)], 3 + at)
    outputs = data.draw(st.sets(few, max_size=1))
    module = netlist(cells, outputs)
    before = copy.deepcopy(module)
    made = split(module, most)
    assert made == len(module["cells"]) - count
    assert without_copies(module) == before
    for one, total in fanouts(module).items():
        name = driver(module, one) if isinstance(one, int) else None
        if name and one not in outputs and module["cells"][name]["type"] != "CCU2C":
            assert total <= most


def test_a_file(tmp_path):
    cells = {f"to{at}": ("LUT4", [5, "1"], 10 + at) for at in range(200)} | {"s": ("TRELLIS_FF", ["0", "0"], 5)}
    module = netlist(cells)
    (tmp_path / "a.json").write_text(json.dumps({"creator": "Yosys", "modules": {"top": module}}))
    assert split_file(tmp_path / "a.json", tmp_path / "b.json") == 2
    written = json.loads((tmp_path / "b.json").read_text())
    assert written["creator"] == "Yosys"
    assert without_copies(written["modules"]["top"]) == module
