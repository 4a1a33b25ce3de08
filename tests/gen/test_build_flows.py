"""The flow of each family: constraints for its pins, tools in their order, and what is counted in their reports."""

import json

import pytest

from hillock.gen.boards import board
from hillock.gen.build_flows import flow_of, synthesized, used

ECP5 = 'LOCATE COMP "clk" SITE "G2";\nIOBUF PORT "clk" IO_TYPE=LVCMOS33;\n'


@pytest.mark.parametrize(
    ("name", "constraints", "text", "bitstream"),
    [
        ("ulx3s-85f", "top.lpf", ECP5, "top.bit"),
        ("icebreaker", "top.pcf", "set_io clk 35\n", "top.bin"),
        ("tang-nano-9k", "top.cst", 'IO_LOC "busy" 11;\nIO_PORT "busy" IO_TYPE=LVCMOS18;\n', "top.fs"),
        ("arty-a7-35", "top.xdc", "create_clock -period 10 [get_ports clk]\n", "top.bit"),
    ],
)
def test_constraints(name, constraints, text, bitstream):
    flow = flow_of(board(name), clock=100, seed=1)
    assert text in flow.files[constraints]
    assert flow.bitstream == bitstream
    assert all(
        f"{word}" in flow.files[constraints] for pin in board(name).pins for word in (pin, board(name).site(pin)[0])
    )


@pytest.mark.parametrize(
    ("name", "tools", "options"),
    [
        ("ulx3s-85f", ["Yosys", "nextpnr-ecp5", "ecppack"], ["--85k", "--package", "CABGA381", "--speed", "6"]),
        ("icebreaker", ["Yosys", "nextpnr-ice40", "icepack"], ["--up5k", "--package", "sg48"]),
        (
            "tang-nano-20k",
            ["Yosys", "nextpnr-himbaechel-gowin", "gowin_pack"],
            ["--device", "GW2AR-LV18QN88C8/I7", "--vopt", "family=GW2A-18C", "--vopt", "cst=top.cst"],
        ),
    ],
)
def test_steps(name, tools, options):
    """Each reads what another wrote, or what is written beside the Verilog; place and route is asked for 12 % more."""
    flow = flow_of(board(name), clock=50, seed=7)
    assert [tool.name for tool in flow.tools] == tools
    (place,) = (step for step in flow.steps if step.tool is flow.placer)
    assert list(place.arguments[: len(options)]) == options
    given = dict(zip(place.arguments, place.arguments[1:], strict=False))
    assert given["--seed"] == "7"
    assert float(given["--freq"]) == pytest.approx(56)
    there = {"top.v", *flow.files}
    for step in flow.steps:
        assert set(step.reads) <= there
        there |= set(step.writes)
    assert flow.bitstream in there
    script = flow.files["build.sh"].splitlines()
    assert script[:2] == ["#!/bin/sh", "set -e"]
    assert script[2:] == [step.command for step in flow.steps]


def test_the_seed_is_for_place_and_route_alone():
    first, second = (flow_of(board("ulx3s-85f"), clock=100, seed=seed) for seed in (1, 2))
    assert [one == other for one, other in zip(first.steps, second.steps, strict=True)] == [True, True, False, True]


STAT = {"LUT1": 5, "LUT4": 30, "ALU": 7, "RAM16SDP4": 2, "DFF": 3, "DFFRE": 4, "SDPX9B": 1, "SP": 1, "MUX2_LUT5": 9}


def test_what_yosys_counts():
    stat = {"design": {"num_cells_by_type": STAT}}
    assert synthesized(stat, "gowin") == {"lut": 5 + 30 + 7 + 16, "ff": 7, "bram": 2, "dsp": 0}
    stat = {"design": {"num_cells_by_type": {"LUT4": 10, "CCU2C": 3, "TRELLIS_DPR16X4": 1, "MULT18X18D": 2}}}
    assert synthesized(stat, "ecp5") == {"lut": 10 + 6 + 8, "ff": 0, "bram": 0, "dsp": 2}


def test_what_nextpnr_counts():
    """And Yosys where nextpnr does not: a logic cell of an iCE40 has a LUT and a flip-flop."""
    stat = {"design": {"num_cells_by_type": {"SB_LUT4": 10, "SB_DFFE": 3, "SB_DFFSR": 4}}}
    report = {"utilization": {"ICESTORM_LC": {"used": 12, "available": 5280}, "ICESTORM_SPRAM": {"used": 4}}}
    report = json.loads(json.dumps(report))
    assert used(report, stat, "ice40") == {"lut": 12, "ff": 7, "bram": 0, "dsp": 0, "spram": 4}
