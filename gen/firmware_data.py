"""What the program of the system on chip finds behind its end: a network image, and inferences with their results.

Words: `MAGIC`, the number of words of the network image (`gen/firmware_image.py`), the image, the number of inferences,
and for each of them the decision, the clock cycles (0: they depend on when input comes, and are not compared), the
number of output tokens and their CRC-32, the number of inputs, the count of each class, and the input: pixels, four to
a word from the lowest byte on, or tokens. All results are those of the golden model.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hillock.host.results import Inputs
from hillock.hw.problems import HillockError
from hillock.hw.registers import BUS_BITS
from hillock.sim import golden
from hillock.sim.golden import Trace
from hillock.sim.network import Decision
from hillock.sim.stimulus import check_events, check_image
from hillock.sim.timing import time_inference
from hillock.sim.token_words import pack

from .firmware_image import Words, crc, firmware_image
from .pipeline import PipelinePlacement

__all__ = ["MAGIC", "MOST_CLASSES", "MOST_TOKENS", "firmware_data", "output_tokens"]

MAGIC = 0x4852554E
"""The letters HRUN."""

MOST_CLASSES, MOST_TOKENS = 16, 256
"""What the program has room for, as in `firmware/soc/main.c`."""


def firmware_data(placement: PipelinePlacement, inputs: Sequence[Inputs]) -> Words:
    """All words; a `HillockError` where the program has no room for a result."""
    image = firmware_image(placement)
    words = [MAGIC, len(image), *image.tolist(), len(inputs)]
    for number, given in enumerate(inputs):
        words += _inference(placement, number, given)
    return np.array(words, np.uint32)


def output_tokens(placement: PipelinePlacement, trace: Trace) -> Words:
    """The tokens that leave the last core, as the link shows them: of each timestep its events, then a marker."""
    last, order = trace.layers[-1], placement.cores[-1].plan.orders[-1]
    steps = []
    for fired, payloads in zip(last.spikes, last.payloads, strict=True):
        addresses = order[fired[order]]
        steps.append(list(zip(addresses.tolist(), payloads[addresses].tolist(), strict=True)))
    return pack(steps, placement.network.layers[-1].shape, placement.configs[-1]).astype(np.uint32)


def _inference(placement: PipelinePlacement, number: int, given: Inputs) -> Iterator[int]:
    network = placement.network
    trace = golden.run(network, **given)  # type: ignore[arg-type]
    tokens = output_tokens(placement, trace)
    counts = trace.counts.tolist() if network.decision is Decision.COUNT else []
    if len(tokens) > MOST_TOKENS or len(counts) > MOST_CLASSES:
        raise HillockError(
            f"image {number} of network {network.name!r} gives {len(tokens)} output tokens of {len(counts)} classes, "
            f"and the program has room for {MOST_TOKENS} and {MOST_CLASSES}: make MOST_TOKENS and MOST_CLASSES of "
            f"firmware/soc/main.c and gen/firmware_data.py larger, and compile it again"
        )
    cycles, (count, data) = 0, _input(placement, given)
    if network.image_input and len(placement.cores) == 1:
        decided = time_inference(placement.pipeline, trace).decision
        assert decided is not None
        cycles = decided
    yield from (trace.decision, cycles, len(tokens), crc(tokens), count, *counts, *data.tolist())


def _input(placement: PipelinePlacement, given: Inputs) -> tuple[int, NDArray[np.uint32]]:
    """(number of inputs, their words)."""
    network = placement.network
    image, events = given.get("image"), given.get("events")
    if network.image_input:
        pixels = check_image(network, image, events)  # type: ignore[arg-type]
        padded = np.zeros(-(-len(pixels) // 4) * 4, np.uint8)
        padded[: len(pixels)] = pixels
        return len(pixels), padded.view("<u4").astype(np.uint32)
    tokens = pack(check_events(network, events, image), network.input, placement.configs[0])  # type: ignore[arg-type]
    if max(tokens.tolist()) >> BUS_BITS:
        raise HillockError(f"network {network.name!r}: its input tokens are wider than the {BUS_BITS} bits of the link")
    return len(tokens), tokens.astype(np.uint32)
