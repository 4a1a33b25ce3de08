"""Boards: what their FPGA has, by the data sheet; files of other boards; and the text for what is wrong with one."""

import re

import pytest

from hillock.gen.boards import BOARDS, board, read_board
from hillock.hw.plls import choose_pll
from hillock.hw.problems import HillockError

GOOD = """
device = "LFE5U-12F"
family = "ecp5"
nextpnr = ["--12k"]
oscillator = 48.0
clock = 96.0
lanes = 4
flash = "dfu-util -D {bitstream}"
[has]
lut = 12000
ff = 12000
bram = 32
dsp = 28
[pins]
clk = "A1"
rx = "B2"
tx = "C3 LVCMOS18"
busy = "D4"
[link]
output_depth_log2 = 6
"""


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
    assert (found.name, found.device, found.family) == (name, device, "ecp5")
    assert (found.lut, found.ff, found.bram, found.dsp) == (lut, lut, bram, dsp)
    assert found.clock == 75


def test_every_board_is_whole():
    """Found by its name, with a clock that its PLL makes, and told how it is flashed."""
    names = sorted(path.stem for path in BOARDS.glob("*.toml"))
    assert {"ulx3s-85f", "icebreaker", "tang-nano-9k", "tang-nano-20k", "arty-a7-35"} <= set(names)
    for name in names:
        found = board(name)
        assert found.name == name
        assert found.leds
        assert "{bitstream}" in found.flash
        choose_pll(found.family, round(found.oscillator * 1e6), round(found.clock * 1e6))


def test_a_board_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    found = board(str(path))
    assert (found.name, found.device, found.lut, found.spram) == ("mine", "LFE5U-12F", 12000, 0)
    assert found.site("rx") == ("B2", "LVCMOS33")
    assert found.site("tx") == ("C3", "LVCMOS18")
    assert found.leds == ("busy",)
    assert found.leds_on == 1
    assert found.link == {"output_depth_log2": 6}


@pytest.mark.parametrize(
    ("given", "meant"), [("tang-nano-9", "; did you mean 'tang-nano-9k'?"), ("arty", ""), ("", "")]
)
def test_a_board_that_is_not_there(given, meant):
    names = ", ".join(sorted(path.stem for path in BOARDS.glob("*.toml")))
    text = f"board: it must be one of {names}, or the path of a file that ends in .toml, not {given!r}{meant}"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        board(given)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('device = "LFE5U-12F"', "", "device is missing: a text"),
        ("lanes = 4", 'lanes = "4"', "lanes must be a number, not '4'"),
        ("lanes = 4", "lanes = 0", "lanes must be more than 0, not 0"),
        ("lanes = 4", "lanes = 4\nspeed = 6", "speed means nothing: it may have device, family"),
        ('"ecp5"', '"max10"', "family must be one of ecp5, ice40, gowin, xilinx7, not 'max10'"),
        ("[has]", "[has]\nluts = 1", "has.luts must be one of the counts lut, ff, bram, dsp and spram"),
        ("bram = 32", "", "has.bram must be one of the counts"),
        ('rx = "B2"', "", "pins.rx must be one of clk, rx, tx, alive, busy, error"),
        ('rx = "B2"', 'rx = "B2"\nreset = "R1"', "pins.reset must be one of clk, rx"),
        ('rx = "B2"', "rx = 2", "as the text of a site, or of a site and an electrical standard, not 2"),
        ("lanes = 4", "lanes = 4\nleds_on = 2", "leds_on must be 0 or 1, not 2"),
        ("[link]", "[core]\nsize = 1\n[link]", "core.size must be a field of CoreConfig: lanes, weight_bits"),
        ("output_depth_log2 = 6", "output_depth_log2 = 60", "output_depth_log2 must be from 1 to"),
        (
            "output_depth_log2 = 6",
            "outputs = 6",
            "it may have input_depth_log2, output_depth_log2, decision_depth_log2",
        ),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, old, new, message):
    assert GOOD.count(old) == 1
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(HillockError) as caught:
        read_board(path)
    assert str(caught.value).startswith(f"board file {path}: ")
    assert message in str(caught.value)


def test_all_that_is_wrong_comes_together(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace("clock = 96.0", "").replace("dsp = 28", "dsp = -1"))
    with pytest.raises(HillockError, match=r"2 problems\n.*clock is missing: a number of MHz\n.*has\.dsp must"):
        read_board(path)


def test_what_is_no_file_of_a_board(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("device = ")
    with pytest.raises(HillockError, match=r"mine\.toml: it cannot be read \(.*\): see docs/boards\.md for one"):
        board(str(path))
