"""The system on chip: what is refused. What it does is seen with its processor in tests/firmware/test_soc.py."""

import gc

import pytest

from hillock.gen.firmware_soc import soc_verilog
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.hw.soc import SOC_CORES, Soc

CONFIG = CoreConfig(lanes=4, synapse_words=64, potential_words=8, current_words=8)
FITTING = {"ram_words": 512, "clock_hz": 4_000_000, "baud": 1_000_000}


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("cores", "changed", "message"),
    [
        (SOC_CORES + 1, {}, "system on chip: the processor reaches at most 8 cores, not 9: cut the network into fewer"),
        (1, {"ram_words": 768}, "system on chip: ram_words must be a power of two from 256 to 262,144, not 768"),
        (
            1,
            {"program": [0] * 512},
            "system on chip: a program of 512 words needs more than ram_words = 512: give more, or load fewer images",
        ),
        (
            1,
            {"baud": 2_000_000},
            "UART of 2,000,000 baud at a clock of 4,000,000 Hz: a bit must take at least 4 clock cycles, not 2.00: at "
            "most 1,000,000 baud",
        ),
    ],
)
def test_what_is_refused(cores, changed, message):
    with pytest.raises(HillockError) as caught:
        Soc([CONFIG] * cores, **(FITTING | changed))
    assert str(caught.value) == message
    del caught
    gc.collect()  # what was refused is never elaborated, of which a later test would hear


def test_verilog_has_the_processor_and_the_program():
    """The same text each time; the processor itself is in a file of its own."""
    text = soc_verilog([CONFIG], program=[0xDEADBEEF, 0x12345678], **FITTING)
    assert text == soc_verilog([CONFIG], program=[0xDEADBEEF, 0x12345678], **FITTING)
    assert text.count("picorv32 #(") == 1
    assert "module picorv32" not in text
    assert f"{0xDEADBEEF}" in text or "deadbeef" in text
    assert "load_en" in text
