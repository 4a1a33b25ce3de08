"""Clocks: the PLL of each FPGA family that makes the clock asked for of the one that a board has."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from amaranth.hdl import Const, Instance, Module, Signal

from .problems import HillockError

__all__ = ["FAMILIES", "Pll", "choose_pll"]

TOLERANCE = 0.005
"""A clock may be so far from the one asked for: the UART has margins, and nobody counts on the last MHz."""

_Setting = tuple[float, float, dict[str, Any]]
"""Output per input, frequency of the VCO in Hz, and the parameters that make them."""


@dataclass(frozen=True)
class Pll:
    """A PLL of `family` that makes `hz` of `oscillator_hz`, with these `parameters` of its primitive.

    Where it `holds`, its clock stands still until it has locked, so that nothing has to be reset.
    """

    family: str
    oscillator_hz: int
    hz: int
    parameters: dict[str, Any]

    @property
    def holds(self) -> bool:
        """Whether the clock begins when it is right."""
        return self.family == "ecp5"

    def add_to(self, m: Module, source: Signal, made: Signal, locked: Signal) -> None:
        """Put the primitive into `m`, between the pin `source` and the clock `made`."""
        m.submodules.pll = _PRIMITIVES[self.family](self, m, source, made, locked)


def choose_pll(family: str, oscillator_hz: int, clock_hz: int) -> Pll | None:
    """The PLL that comes nearest to `clock_hz`; None where the oscillator has it.

    A `HillockError` names the nearest that there is where none is within `TOLERANCE`.
    """
    if clock_hz == oscillator_hz:
        return None
    settings = list(_SETTINGS[family](oscillator_hz))
    middle = sum(vco for _, vco, _ in settings) / len(settings)  # where a VCO has most room on both sides
    ratio, _, parameters = min(settings, key=lambda one: (abs(oscillator_hz * one[0] - clock_hz), abs(one[1] - middle)))
    hz = oscillator_hz * ratio
    if abs(hz / clock_hz - 1) > TOLERANCE:
        raise HillockError(
            f"clock: the PLL of the {family} makes no {clock_hz / 1e6:g} MHz of the {oscillator_hz / 1e6:g} MHz of the "
            f"board: the nearest is {hz / 1e6:.6g} MHz; ask for that"
        )
    return Pll(family, oscillator_hz, round(hz), parameters)


def _ecp5(source: float) -> Iterator[_Setting]:
    """EHXPLLL, fed back from CLKOP, which leaves CLKOS free to be any part of the VCO.

    Lattice FPGA-TN-02200; phase detector 10 to 400 MHz, VCO 400 to 800 MHz.
    """
    for divider, feedback, output in product(range(1, 9), range(1, 129), range(1, 129)):
        if source / divider >= 10e6 and 400e6 <= (vco := source / divider * feedback) <= 800e6:
            ratio = feedback / divider / output
            yield ratio, vco, {"CLKI_DIV": divider, "CLKFB_DIV": 1, "CLKOP_DIV": feedback, "CLKOS_DIV": output}


def _ice40(source: float) -> Iterator[_Setting]:
    """SB_PLL40_PAD: Lattice FPGA-TN-02052; phase detector 10 to 133 MHz, VCO 533 to 1066 MHz, output 16 to 275 MHz."""
    for divider, feedback, output in product(range(16), range(128), range(1, 7)):
        detector = source / (divider + 1)
        vco = detector * (feedback + 1)
        if 10e6 <= detector <= 133e6 and 533e6 <= vco <= 1066e6 and 16e6 <= vco / 2**output <= 275e6:
            bounds = (17e6, 26e6, 44e6, 66e6, 101e6)
            yield (
                (feedback + 1) / (divider + 1) / 2**output,
                vco,
                {
                    "DIVR": Const(divider, 4),
                    "DIVF": Const(feedback, 7),
                    "DIVQ": Const(output, 3),
                    "FILTER_RANGE": Const(1 + sum(detector >= bound for bound in bounds), 3),
                },
            )


def _gowin(source: float) -> Iterator[_Setting]:
    """The rPLL: Gowin UG286; phase detector 3 to 400 MHz, VCO 500 to 1200 MHz."""
    for divider, feedback, output in product(range(64), range(64), (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)):
        ratio = (feedback + 1) / (divider + 1)
        if source / (divider + 1) >= 3e6 and 500e6 <= (vco := source * ratio * output) <= 1200e6:
            yield ratio, vco, {"IDIV_SEL": divider, "FBDIV_SEL": feedback, "ODIV_SEL": output}


def _xilinx7(source: float) -> Iterator[_Setting]:
    """MMCME2_BASE: Xilinx UG472; phase detector 10 to 450 MHz, VCO 600 to 1200 MHz."""
    for divider, feedback, output in product(range(1, 11), range(2, 65), range(1, 129)):
        if source / divider >= 10e6 and 600e6 <= (vco := source * feedback / divider) <= 1200e6:
            floats = {"CLKFBOUT_MULT_F": float(feedback), "CLKOUT0_DIVIDE_F": float(output)}
            yield feedback / divider / output, vco, {"DIVCLK_DIVIDE": divider, **floats}


def _ecp5_instance(pll: Pll, m: Module, source: Signal, made: Signal, locked: Signal) -> Instance:
    feedback, output = Signal(), Signal()
    m.submodules.clock_gate = Instance("DCCA", i_CLKI=output, i_CE=locked, o_CLKO=made)
    return Instance(
        "EHXPLLL",
        # What Lattice's own tool writes beside a PLL: its loop filter.
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        a_MFG_ENABLE_FILTEROPAMP="1",
        a_MFG_GMCREF_SEL="2",
        p_PLLRST_ENA="DISABLED",
        p_INTFB_WAKE="DISABLED",
        p_STDBY_ENABLE="DISABLED",
        p_DPHASE_SOURCE="DISABLED",
        p_OUTDIVIDER_MUXA="DIVA",
        p_OUTDIVIDER_MUXB="DIVB",
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_CPHASE=pll.parameters["CLKOP_DIV"] // 2,
        p_CLKOP_FPHASE=0,
        p_CLKOS_ENABLE="ENABLED",
        p_CLKOS_CPHASE=0,
        p_CLKOS_FPHASE=0,
        p_FEEDBK_PATH="CLKOP",
        **{f"p_{name}": value for name, value in pll.parameters.items()},
        i_RST=0,
        i_STDBY=0,
        i_CLKI=source,
        i_CLKFB=feedback,
        i_PHASESEL0=0,
        i_PHASESEL1=0,
        i_PHASEDIR=1,
        i_PHASESTEP=1,
        i_PHASELOADREG=1,
        i_PLLWAKESYNC=0,
        i_ENCLKOP=0,
        o_CLKOP=feedback,
        o_CLKOS=output,
        o_LOCK=locked,
    )


def _ice40_instance(pll: Pll, m: Module, source: Signal, made: Signal, locked: Signal) -> Instance:
    return Instance(
        "SB_PLL40_PAD",
        p_FEEDBACK_PATH="SIMPLE",
        p_PLLOUT_SELECT="GENCLK",
        **{f"p_{name}": value for name, value in pll.parameters.items()},
        i_PACKAGEPIN=source,
        i_RESETB=1,
        i_BYPASS=0,
        o_PLLOUTGLOBAL=made,
        o_LOCK=locked,
    )


def _gowin_instance(pll: Pll, m: Module, source: Signal, made: Signal, locked: Signal) -> Instance:
    return Instance(
        "rPLL",
        p_FCLKIN=f"{pll.oscillator_hz / 1e6:g}",
        p_CLKFB_SEL="internal",
        p_DYN_IDIV_SEL="false",
        p_DYN_FBDIV_SEL="false",
        p_DYN_ODIV_SEL="false",
        **{f"p_{name}": value for name, value in pll.parameters.items()},
        i_CLKIN=source,
        i_CLKFB=0,
        i_RESET=0,
        i_RESET_P=0,
        **{f"i_{name}": Const(0, 6) for name in ("FBDSEL", "IDSEL", "ODSEL")},
        **{f"i_{name}": Const(0, 4) for name in ("PSDA", "DUTYDA", "FDLY")},
        o_CLKOUT=made,
        o_LOCK=locked,
    )


def _xilinx7_instance(pll: Pll, m: Module, source: Signal, made: Signal, locked: Signal) -> Instance:
    output, feedback = Signal(), Signal()
    m.submodules.clock_buffer = Instance("BUFG", i_I=output, o_O=made)
    return Instance(
        "MMCME2_BASE",
        p_CLKIN1_PERIOD=1e9 / pll.oscillator_hz,
        **{f"p_{name}": value for name, value in pll.parameters.items()},
        i_CLKIN1=source,
        i_CLKFBIN=feedback,
        i_PWRDWN=0,
        i_RST=0,
        o_CLKFBOUT=feedback,
        o_CLKOUT0=output,
        o_LOCKED=locked,
    )


_SETTINGS: dict[str, Callable[[float], Iterator[_Setting]]] = {
    "ecp5": _ecp5,
    "ice40": _ice40,
    "gowin": _gowin,
    "xilinx7": _xilinx7,
}
_PRIMITIVES = {"ecp5": _ecp5_instance, "ice40": _ice40_instance, "gowin": _gowin_instance, "xilinx7": _xilinx7_instance}
FAMILIES = tuple(_SETTINGS)
"""The FPGA families that have one here."""
