"""PLLs: what they make is what was asked for, within the limits of the data sheets; what they cannot is said."""

import pytest

from hillock.hw.plls import FAMILIES, TOLERANCE, choose_pll
from hillock.hw.problems import HillockError


def value(parameter):
    return getattr(parameter, "value", parameter)


def made(pll):
    """(output, VCO, phase detector) in Hz, computed from the parameters by the formulas of the data sheets."""
    of, source = {name: value(parameter) for name, parameter in pll.parameters.items()}, pll.oscillator_hz
    if pll.family == "ecp5":
        vco = source / of["CLKI_DIV"] * of["CLKFB_DIV"] * of["CLKOP_DIV"]
        return vco / of["CLKOS_DIV"], vco, source / of["CLKI_DIV"]
    if pll.family == "ice40":
        detector = source / (of["DIVR"] + 1)
        return detector * (of["DIVF"] + 1) / 2 ** of["DIVQ"], detector * (of["DIVF"] + 1), detector
    if pll.family == "gowin":
        out = source / (of["IDIV_SEL"] + 1) * (of["FBDIV_SEL"] + 1)
        return out, out * of["ODIV_SEL"], source / (of["IDIV_SEL"] + 1)
    vco = source / of["DIVCLK_DIVIDE"] * of["CLKFBOUT_MULT_F"]
    return vco / of["CLKOUT0_DIVIDE_F"], vco, source / of["DIVCLK_DIVIDE"]


LIMITS = {
    "ecp5": ((400e6, 800e6), (10e6, 400e6)),
    "ice40": ((533e6, 1066e6), (10e6, 133e6)),
    "gowin": ((500e6, 1200e6), (3e6, 400e6)),
    "xilinx7": ((600e6, 1200e6), (10e6, 450e6)),
}
"""VCO and phase detector, in Hz."""


@pytest.mark.parametrize(
    ("family", "oscillator", "clock"),
    [
        *(("ecp5", 25e6, clock * 1e6) for clock in (40, 83, 90, 100, 105, 112.5, 125)),
        *(("ice40", 12e6, clock * 1e6) for clock in (18, 24, 30, 36)),
        *(("gowin", 27e6, clock * 1e6) for clock in (24, 33.75, 40.5, 54, 81)),
        *(("xilinx7", 100e6, clock * 1e6) for clock in (50, 80, 90, 120)),
    ],
)
def test_clock_is_made_within_the_limits(family, oscillator, clock):
    pll = choose_pll(family, round(oscillator), round(clock))
    assert pll is not None
    out, vco, detector = made(pll)
    assert out == pytest.approx(pll.hz, abs=1)
    assert abs(out / clock - 1) <= TOLERANCE
    (least_vco, most_vco), (least, most) = LIMITS[family]
    assert least_vco <= vco <= most_vco
    assert least <= detector <= most


@pytest.mark.parametrize("family", FAMILIES)
def test_the_clock_of_the_oscillator_needs_none(family):
    assert choose_pll(family, 25_000_000, 25_000_000) is None


def test_only_one_family_holds_its_clock():
    plls = [choose_pll(family, 50_000_000, 100_000_000) for family in FAMILIES]
    assert [pll.family for pll in plls if pll and pll.holds] == ["ecp5"]


def test_the_filter_of_an_ice40_follows_its_phase_detector():
    """FILTER_RANGE 1 up to 17 MHz: Lattice FPGA-TN-02052, as icepll has it."""
    pll = choose_pll("ice40", 12_000_000, 24_000_000)
    assert pll is not None
    assert {name: value(parameter) for name, parameter in pll.parameters.items()} == {
        "DIVR": 0,
        "DIVF": 63,
        "DIVQ": 5,
        "FILTER_RANGE": 1,
    }


@pytest.mark.parametrize(("family", "oscillator", "clock"), [("ecp5", 25, 900), ("ice40", 12, 8), ("gowin", 27, 2)])
def test_a_clock_that_cannot_be_made(family, oscillator, clock):
    with pytest.raises(HillockError) as caught:
        choose_pll(family, oscillator * 10**6, clock * 10**6)
    assert str(caught.value).startswith(
        f"clock: the PLL of the {family} makes no {clock} MHz of the {oscillator} MHz of the "
    )
    assert "nearest" in str(caught.value)
