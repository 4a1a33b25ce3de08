"""The system on chip is synthesized with its processor and its memory, and fits the board."""

from typing import Any

import pytest

from hillock.gen import firmware_command, firmware_synth
from hillock.gen.boards import board
from hillock.gen.firmware_data import firmware_data
from hillock.gen.firmware_program import prebuilt
from hillock.gen.firmware_soc import soc_image
from hillock.gen.firmware_synth import SocSynthesis, synthesize_soc
from hillock.gen.pipeline import place_pipeline
from hillock.gen.synth import Progress
from link_networks import inputs_of, small


@pytest.mark.slow
def test_a_small_one_fits(tmp_path):
    placement = place_pipeline(small("image"), [], [4])
    image = soc_image(prebuilt(), firmware_data(placement, inputs_of(placement.network, 2, 1)))
    found = synthesize_soc(placement, image, folder=tmp_path, frequency=50, progress=Progress())
    device = board("ulx3s-85f")
    assert 500 < found.cells["LUT4"] - found.without_processor["LUT4"] < 3000
    # A block RAM has 2 KiB; registers of the processor may take distributed ones.
    assert found.cells["DP16KD"] - found.without_processor["DP16KD"] >= image.ram_words // 512
    assert found.placed["TRELLIS_COMB"] < device.lut
    assert found.cells["DP16KD"] <= device.bram
    assert found.fmax > 25


def test_the_command(monkeypatch, capsys):
    cells = {"LUT4": 7100, "DP16KD": 26}
    result = SocSynthesis(cells, {"LUT4": 5600, "DP16KD": 10}, {"TRELLIS_COMB": 11500}, 77.03)
    given: dict[str, Any] = {}

    def synthesize(placement, image, **rest):
        given.update(rest, words=len(image.words))
        return result

    monkeypatch.setattr(firmware_synth, "synthesize_soc", synthesize)
    firmware_command.firmware(synth=True, images=1, frequency=40)
    assert capsys.readouterr().out.splitlines() == [
        "                     all  processor and memory",
        "LUT4               7,100                 1,500",
        "DP16KD                26                    16",
        "11,500 TRELLIS_COMB when placed, 77.03 MHz",
    ]
    assert given["frequency"] == 40
    assert given["words"] > len(prebuilt().words)
