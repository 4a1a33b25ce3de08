"""Boards, and what their FPGA has: a new one is an entry here."""

from dataclasses import dataclass

from hillock.hw.problems import HillockError

__all__ = ["BOARDS", "Board", "board"]


@dataclass(frozen=True, kw_only=True)
class Board:
    """An FPGA on a board.

    Attributes
    ----------
    name, device : str
    lut, ff, bram, dsp : int
        LUT4, flip-flops, block RAMs of 18 kbit, multipliers of 18 bits, from the data sheet.
    clock : float
        MHz that a plan counts with. What place and route reaches is another matter (`docs/silicon.md`).
    """

    name: str
    device: str
    lut: int
    ff: int
    bram: int
    dsp: int
    clock: float


# Lattice ECP5 family data sheet (FPGA-DS-02012), table 1.1. A flip-flop sits beside each LUT.
BOARDS = {
    entry.name: entry
    for entry in (
        Board(name="ulx3s-85f", device="LFE5U-85F", lut=83640, ff=83640, bram=208, dsp=156, clock=100.0),
        Board(name="ulx3s-45f", device="LFE5U-45F", lut=43848, ff=43848, bram=108, dsp=72, clock=100.0),
        Board(name="ulx3s-25f", device="LFE5U-25F", lut=24288, ff=24288, bram=56, dsp=28, clock=100.0),
    )
}


def board(name: str) -> Board:
    """The board called `name`; `HillockError` if there is none."""
    if name not in BOARDS:
        raise HillockError(f"board: it must be one of {', '.join(BOARDS)}, not {name!r}")
    return BOARDS[name]
