"""What a whole bitstream takes of an FPGA, predicted: its cores (`resources`), and the link around them."""

from collections.abc import Sequence

from hillock.hw.config import CoreConfig
from hillock.hw.link import LinkSizes

from .resources import Resources, predict

__all__ = ["link_resources", "predict_board"]

_LINK = Resources(lut=1080, ff=900)
"""UART, bus, link and reset, without their block RAMs: what designs of 4 to 64 lanes had beyond their cores."""

_BLOCK_LOG2, _LUT_RAM_LOG2 = 10, 7
"""Words of a token that a block RAM holds; words up to which Yosys takes RAM of LUTs."""


def link_resources(sizes: LinkSizes) -> Resources:
    """What is around the cores."""
    depths = (sizes.input_depth_log2, sizes.output_depth_log2)
    blocks = sum(1 << max(0, depth - _BLOCK_LOG2) for depth in depths if depth > _LUT_RAM_LOG2)
    return _LINK + Resources(bram=blocks)


def predict_board(configs: Sequence[CoreConfig], sizes: LinkSizes) -> Resources:
    """All of a `BoardTop`."""
    return sum((predict(config) for config in configs), link_resources(sizes))
