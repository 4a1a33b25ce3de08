"""From Verilog to a bitstream for each family of FPGAs: constraints, scripts, and the tools with their options.

All of it is text and lists: nothing is run here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from .boards import Board
from .yowasp import ECPPACK, GOWIN_PACK, ICEPACK, NEXTPNR_ECP5, NEXTPNR_GOWIN, NEXTPNR_ICE40, YOSYS, Tool

__all__ = [
    "ICE40_ADDER",
    "MARGIN",
    "PLACED",
    "REPORT",
    "SPLITTER",
    "TOP",
    "Flow",
    "Step",
    "flow_of",
    "synthesized",
    "used",
]

TOP = "top"
"""Name of the module, and of the files."""

_ICE40_LOGIC_SHARE = 0.75
"""Of a period of an iCE40: what ABC thinks of its delays is nearer to the truth, and area is what is short there."""

_ICE40_ROUTER = ("--router", "router2")
"""With nextpnr's default two nets may take the same wire from each other for ever, where every block RAM is taken."""

_ECP5_PLACER = ("--placer", "static")
"""Of wide cores it lets fewer paths be long than nextpnr's default: docs/boards.md."""

MARGIN = 1.12
"""Place and route is asked for so much more than the clock that is wanted, since it stops when it has enough."""

REPORT = "placement.json"
"""What nextpnr reports."""

PLACED = "placed.json"
"""The netlist with a place for every cell; of an ECP5, `hillock swap` reads it."""

SPLITTER = Tool("copies of cells that drive many", "hillock", "split_file", inside="gen.build_fanout")
"""Ours."""

ICE40_ADDER = """\
(* techmap_celltype = "$add" *)
module lane_adder(A, B, Y);
  parameter A_SIGNED = 0, B_SIGNED = 0, A_WIDTH = 1, B_WIDTH = 1, Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  wire [31:0] a, b, total;
  \\$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(32)) extend_a (.A(A), .Y(a));
  \\$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(32)) extend_b (.A(B), .Y(b));
  \\$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(32), .Y_WIDTH(Y_WIDTH)) extend_y (.A(total), .Y(Y));
  SB_MAC16 #(
    .TOPOUTPUT_SELECT(2'b00), .TOPADDSUB_LOWERINPUT(2'b00), .TOPADDSUB_UPPERINPUT(1'b1), .TOPADDSUB_CARRYSELECT(2'b11),
    .BOTOUTPUT_SELECT(2'b00), .BOTADDSUB_LOWERINPUT(2'b00), .BOTADDSUB_UPPERINPUT(1'b1), .BOTADDSUB_CARRYSELECT(2'b00)
  ) adder (
    .A(a[31:16]), .B(a[15:0]), .C(b[31:16]), .D(b[15:0]), .O(total), .CI(1'b0),
    .AHOLD(1'b0), .BHOLD(1'b0), .CHOLD(1'b0), .DHOLD(1'b0), .OHOLDTOP(1'b0), .OHOLDBOT(1'b0),
    .IRSTTOP(1'b0), .IRSTBOT(1'b0), .ORSTTOP(1'b0), .ORSTBOT(1'b0), .OLOADTOP(1'b0), .OLOADBOT(1'b0),
    .ADDSUBTOP(1'b0), .ADDSUBBOT(1'b0), .ACCUMCI(1'b0), .SIGNEXTIN(1'b0)
  );
endmodule
"""
"""For Yosys: a sum of at most 32 bits, out of a multiplier of an iCE40 UltraPlus that does not multiply (Lattice
FPGA-TN-02007)."""

_LOGIC_SHARE = 0.45
"""Of a period, for ABC: see `synth`."""


@dataclass(frozen=True)
class Step:
    """One tool's turn: what it is given, the files that it reads and writes, and where its log is."""

    title: str
    tool: Tool
    arguments: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    log: str

    @property
    def command(self) -> str:
        """The same on a command line, with the programs as pip installs them."""
        name = f"yowasp-{self.tool.name.lower()}" if self.tool.program else self.tool.name
        if self.tool is SPLITTER:
            name = f"python -m {SPLITTER.module}"
        return " ".join([name, *(f"'{word}'" if " " in word else word for word in self.arguments)])


@dataclass(frozen=True)
class Flow:
    """What is written beside the Verilog, by name of the file; the tools' turns; and the bitstream's name.

    Without steps, it is the project of a vendor's tool, and `run` is the command that people give.
    """

    files: Mapping[str, str]
    steps: tuple[Step, ...]
    bitstream: str
    run: str

    @property
    def tools(self) -> list[Tool]:
        """Those of others that it takes, once each."""
        return list(dict.fromkeys(step.tool for step in self.steps if step.tool is not SPLITTER))

    @property
    def placer(self) -> Tool:
        """The one whose report is `REPORT`."""
        return next(step.tool for step in self.steps if REPORT in step.writes)


def flow_of(board: Board, *, clock: float, seed: int) -> Flow:
    """The flow for a board; `clock` in MHz is what the design is to reach, `seed` that of place and route."""
    return _FLOWS[board.family](board, clock, seed)


def _open_flow(
    board: Board,
    *,
    constraints: tuple[str, str],
    synthesis: Sequence[str],
    place: tuple[Tool, Sequence[str], Sequence[str]],
    pack: tuple[Tool, Sequence[str], str],
    splits: bool = False,
) -> Flow:
    """Yosys, nextpnr and a packer: (file, text), lines for Yosys, and twice (tool, arguments, what it writes).

    What nextpnr writes, beside its report, begins with what the packer reads.

    Where it `splits`, what drives many cells is copied in between, see `build_fanout`.
    """
    script = "\n".join([f"read_verilog {TOP}.v", *synthesis, "tee -q -o cells.json stat -json", ""])
    (placer, options, placed), (packer, packing, made) = place, pack
    netlist = "split.json" if splits else f"{TOP}.json"
    nextpnr = (*options, "--json", netlist, "--report", REPORT, "-q", "--log", "nextpnr.log")
    names = (f"{TOP}.json", "split.json")
    splitting = Step(SPLITTER.name, SPLITTER, names, names[:1], names[1:], "split.log")
    steps = (
        Step(
            "synthesis (Yosys)",
            YOSYS,
            ("-q", "-l", "yosys.log", "-s", "synthesis.ys"),
            (f"{TOP}.v", "synthesis.ys"),
            (f"{TOP}.json", "cells.json"),
            "yosys.log",
        ),
        *([splitting] if splits else []),
        Step(
            f"place and route ({placer.name})",
            placer,
            (*board.nextpnr, *nextpnr),
            (netlist, constraints[0]),
            (*placed, REPORT),
            "nextpnr.log",
        ),
        Step(f"bitstream ({packer.name})", packer, tuple(packing), (placed[0],), (made,), f"{packer.name}.log"),
    )
    lines = ["#!/bin/sh", "set -e", *(step.command for step in steps), ""]
    files = dict([constraints, ("synthesis.ys", script), ("build.sh", "\n".join(lines))])
    return Flow(files, steps, made, "sh build.sh")


def _ecp5(board: Board, clock: float, seed: int) -> Flow:
    lpf = "".join(
        f'LOCATE COMP "{pin}" SITE "{site}";\nIOBUF PORT "{pin}" IO_TYPE={standard};\n'
        for pin, (site, standard) in _pins(board)
    )
    frequency = clock * MARGIN
    files = ("--lpf", f"{TOP}.lpf", "--textcfg", f"{TOP}.config", "--write", PLACED)
    options = (*files, *_ECP5_PLACER, *_placing(frequency, seed))
    return _open_flow(
        board,
        constraints=(f"{TOP}.lpf", lpf),
        synthesis=(_for_abc(frequency), f"synth_ecp5 -nowidelut -top {TOP} -json {TOP}.json"),
        place=(NEXTPNR_ECP5, options, (f"{TOP}.config", PLACED)),
        pack=(ECPPACK, (*board.pack, "--compress", f"{TOP}.config", f"{TOP}.bit"), f"{TOP}.bit"),
        splits=True,
    )


def _ice40(board: Board, clock: float, seed: int) -> Flow:
    # No memory of the design is read where it is written in the same cycle, or what it then answers is not used: the
    # queues' own are empty then, the rings' items have not been given, and the others say so themselves. Without
    # `-no-rw-check` Yosys keeps the old words for them all the same, in some hundred and fifty logic cells.
    pcf = "".join(f"set_io {pin} {site}\n" for pin, (site, _) in _pins(board))
    frequency = clock * MARGIN
    options = ("--pcf", f"{TOP}.pcf", "--asc", f"{TOP}.asc", *_ICE40_ROUTER, *_placing(frequency, seed))
    return _open_flow(
        board,
        constraints=(f"{TOP}.pcf", pcf),
        synthesis=(
            _for_abc(frequency, _ICE40_LOGIC_SHARE),
            *_adders_of_multipliers(board),
            f"synth_ice40 -device u -spram -no-rw-check -top {TOP} -json {TOP}.json",
        ),
        place=(NEXTPNR_ICE40, options, (f"{TOP}.asc",)),
        pack=(ICEPACK, (*board.pack, f"{TOP}.asc", f"{TOP}.bin"), f"{TOP}.bin"),
    )


def _adders_of_multipliers(board: Board) -> tuple[str, ...]:
    """Lines for Yosys: the lanes' adders (`hw.adder`) become those of multipliers.

    Nothing else takes any: with `-dsp`, Yosys would also take these for products, and remake them.
    """
    sums = " ".join(f"*.array.adder_{lane}/t:$add" for lane in range(board.dsp))
    read = ("design -push", "read_verilog -icells <<EOT", ICE40_ADDER.rstrip(), "EOT", "design -stash lane_adder")
    return (*read, "design -pop", f"techmap -map %lane_adder {sums}")


def _gowin(board: Board, clock: float, seed: int) -> Flow:
    cst = "".join(
        f'IO_LOC "{pin}" {site};\nIO_PORT "{pin}" IO_TYPE={standard};\n' for pin, (site, standard) in _pins(board)
    )
    options = ("--vopt", f"cst={TOP}.cst", "--write", PLACED, *_placing(clock * MARGIN, seed))
    return _open_flow(
        board,
        constraints=(f"{TOP}.cst", cst),
        synthesis=(f"synth_gowin -top {TOP} -json {TOP}.json",),
        place=(NEXTPNR_GOWIN, options, (PLACED,)),
        pack=(GOWIN_PACK, (*board.pack, "-o", f"{TOP}.fs", PLACED), f"{TOP}.fs"),
    )


def _xilinx7(board: Board, clock: float, seed: int) -> Flow:
    """A project for Vivado, which nothing here runs; `clock` and `seed` are of no account to it."""
    period = 1000 / board.oscillator
    xdc = "".join(
        f"set_property -dict {{PACKAGE_PIN {site} IOSTANDARD {standard}}} [get_ports {pin}]\n"
        for pin, (site, standard) in _pins(board)
    )
    tcl = [
        f"read_verilog {TOP}.v",
        f"read_xdc {TOP}.xdc",
        f"synth_design -top {TOP} -part {board.device}",
        "opt_design",
        "place_design",
        "phys_opt_design",
        "route_design",
        "report_utilization -file utilization.rpt",
        "report_timing_summary -file timing.rpt",
        f"write_bitstream -force {TOP}.bit",
        "",
    ]
    xdc += f"create_clock -period {period:g} [get_ports clk]\n"
    files = {f"{TOP}.xdc": xdc, "build.tcl": "\n".join(tcl)}
    return Flow(files, (), f"{TOP}.bit", "vivado -mode batch -source build.tcl")


_FLOWS: dict[str, Callable[[Board, float, int], Flow]] = {
    "ecp5": _ecp5,
    "ice40": _ice40,
    "gowin": _gowin,
    "xilinx7": _xilinx7,
}


def _pins(board: Board) -> list[tuple[str, tuple[str, str]]]:
    return [(pin, board.site(pin)) for pin in board.pins]


def _placing(frequency: float, seed: int) -> tuple[str, ...]:
    return ("--timing-allow-fail", "--seed", str(seed), "--freq", f"{frequency:g}")


def _for_abc(frequency: float, share: float = _LOGIC_SHARE) -> str:
    return f"scratchpad -set abc9.D {round(share * 1e6 / frequency)}"


_CELLS: dict[str, dict[str, dict[str, int]]] = {
    "ecp5": {
        "lut": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 8},
        "ff": {"TRELLIS_FF": 1},
        "bram": {"DP16KD": 1},
        "dsp": {"MULT18X18D": 1},
    },
    "ice40": {
        "lut": {"SB_LUT4": 1},
        "ff": {"SB_DFF*": 1},
        "bram": {"SB_RAM40_4K*": 1},
        "dsp": {"SB_MAC16": 1},
        "spram": {"SB_SPRAM256KA": 1},
    },
    "gowin": {
        "lut": {"LUT[1-4]": 1, "ALU": 1, "RAM16S*": 8},
        "ff": {"DFF*": 1},
        "bram": {"*DPB": 1, "*DPX9B": 1, "SP": 1, "SPX9": 1, "pROM*": 1},
        "dsp": {"MULT18X18": 1},
    },
}
"""How much of what a board has a cell of Yosys takes, at least."""

_PLACED_NAMES = {
    "ecp5": {"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "bram": "DP16KD", "dsp": "MULT18X18D"},
    "ice40": {"lut": "ICESTORM_LC", "bram": "ICESTORM_RAM", "dsp": "ICESTORM_DSP", "spram": "ICESTORM_SPRAM"},
    "gowin": {"lut": "LUT4", "ff": "DFF", "bram": "BSRAM", "dsp": "MULT18X18"},
}
"""What nextpnr calls it. A logic cell of an iCE40 is a LUT with its flip-flop, and counted as one of the former."""


def synthesized(stat: dict[str, Any], family: str) -> dict[str, int]:
    """What a design takes of a board at least, from what `stat -json` of Yosys printed."""
    counted = stat["design"]["num_cells_by_type"]
    return {
        name: sum(
            count * units
            for cell, count in counted.items()
            for pattern, units in patterns.items()
            if fnmatchcase(cell, pattern)
        )
        for name, patterns in _CELLS[family].items()
    }


def used(report: dict[str, Any], stat: dict[str, Any], family: str) -> dict[str, int]:
    """What it takes when it is placed, from the report of nextpnr; what that does not count, as Yosys does."""
    placed = report["utilization"]
    names = _PLACED_NAMES[family]
    counted = synthesized(stat, family)
    return {name: placed.get(names[name], {}).get("used", 0) if name in names else counted[name] for name in counted}
