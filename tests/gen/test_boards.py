"""Boards: what their FPGA has, by the data sheet, and the text for one that is not there."""

import pytest

from hillock.gen.boards import BOARDS, board
from hillock.hw.problems import HillockError


@pytest.mark.parametrize(
    ("name", "device", "lut", "bram", "dsp"),
    [
        ("ulx3s-85f", "LFE5U-85F", 83640, 208, 156),
        ("ulx3s-45f", "LFE5U-45F", 43848, 108, 72),
        ("ulx3s-25f", "LFE5U-25F", 24288, 56, 28),
    ],
)
def test_ulx3s(name, device, lut, bram, dsp):
    found = board(name)
    assert (found.name, found.device) == (name, device)
    assert (found.lut, found.ff, found.bram, found.dsp) == (lut, lut, bram, dsp)
    assert found.clock == 100


def test_boards_are_found_by_their_name():
    assert all(board(name).name == name for name in BOARDS)


def test_a_board_that_is_not_there():
    text = "board: it must be one of ulx3s-85f, ulx3s-45f, ulx3s-25f, not 'arty'"
    with pytest.raises(HillockError, match=f"^{text}$"):
        board("arty")
