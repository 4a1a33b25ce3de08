"""The prediction for a whole board design, against what synthesis made of some."""

import pytest

from hillock.gen.build_resources import link_resources, predict_board
from hillock.gen.models import load_model
from hillock.gen.pipeline import place_pipeline
from hillock.hw.link import LinkSizes


@pytest.mark.parametrize(
    ("lanes", "lut", "ff", "bram"), [(4, 4514, 3008, 11), (16, 9188, 5425, 10), (64, 25937, 15235, 17)]
)
def test_digits(lanes, lut, ff, bram):
    """Held against what Yosys made of them for an ULX3S."""
    placement = place_pipeline(load_model("digits").network, [], [lanes])
    found = predict_board(placement.configs, LinkSizes())
    assert found.lut == pytest.approx(lut, rel=0.1)
    assert found.ff == pytest.approx(ff, rel=0.1)
    assert (found.bram, found.dsp) == (bram, 0)


@pytest.mark.parametrize(("inputs", "outputs", "blocks"), [(9, 10, 2), (5, 5, 0), (7, 8, 1), (10, 11, 3), (11, 12, 6)])
def test_queues_take_block_rams(inputs, outputs, blocks):
    sizes = LinkSizes(input_depth_log2=inputs, output_depth_log2=outputs)
    assert link_resources(sizes).bram == blocks
