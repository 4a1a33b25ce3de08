"""Tokens in words of 64 bits are what the gateware's layout says, and come back as they were."""

import numpy as np
import pytest

from hillock.hw.config import CoreConfig
from hillock.hw.formats import token_layout
from hillock.sim.network import Shape
from hillock.sim.token_words import pack, unpack

TABLES = {"row_entries": 1, "column_entries": 1}
CONFIGS = {
    "flat": CoreConfig(max_channels=40),
    "one_channel": CoreConfig(max_channels=1),
    "grids": CoreConfig(max_channels=5, max_height=6, max_width=7, **TABLES),
    "payloads": CoreConfig(max_channels=40, payload_bits=3),
    "grids_and_payloads": CoreConfig(max_channels=64, max_height=6, max_width=1, payload_bits=4, **TABLES),
    "largest": CoreConfig(
        max_channels=1 << 17, max_height=1024, max_width=1024, payload_bits=8, potential_bits=32, **TABLES
    ),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def shapes(config):
    """The largest grid, and one that leaves bits free."""
    return [
        Shape(min(config.max_channels, 64), min(config.max_height, 32), min(config.max_width, 32)),
        Shape(max(1, config.max_channels // 2), 1, 1),
    ]


def random_events(config, shape, rng):
    largest = (1 << config.payload_bits) - 1
    steps = [rng.integers(0, shape.neurons, count).tolist() for count in (5, 0, 1, 40)]
    return [[(address, int(rng.integers(1, largest + 1))) for address in step] for step in steps]


@every_config
def test_words_are_tokens(config, seed):
    """One for each event, with its place and payload, and a marker behind each step."""
    rng = np.random.default_rng(seed)
    layout = token_layout(config)
    for shape in shapes(config):
        events = random_events(config, shape, rng)
        wanted = []
        for step in events:
            for address, payload in step:
                y, x, channel = np.unravel_index(address, (shape.height, shape.width, shape.channels))
                place = {"channel": int(channel), "column": int(x), "row": int(y)}
                wanted.append(layout.const(place | ({"payload": payload} if config.payload_bits > 1 else {})).as_bits())
            wanted.append(layout.const({"marker": 1}).as_bits())
        words = pack(events, shape, config)
        assert words.dtype == np.uint64
        assert words.tolist() == wanted
        assert max(wanted) < 1 << layout.size


@every_config
def test_what_was_packed_comes_back(config, seed):
    """With its cycles; a marker has neither address nor payload."""
    rng = np.random.default_rng(seed)
    for shape in shapes(config):
        events = random_events(config, shape, rng)
        words = pack(events, shape, config).tolist()
        rows = [(cycle, word & 0xFFFFFFFF, word >> 32) for cycle, word in enumerate(words, 100)]
        flat = [event for step in events for event in [*step, (None, 0)]]
        assert unpack(np.array(rows, np.uint32), shape, config) == [
            (cycle, *event) for cycle, event in enumerate(flat, 100)
        ]


def test_addresses_are_those_of_the_shape():
    """The same place has another address in another grid."""
    config = CONFIGS["grids"]
    word = token_layout(config).const({"channel": 1, "column": 2, "row": 3}).as_bits()
    rows = np.array([[0, word, 0]], np.uint32)
    assert unpack(rows, Shape(5, 6, 7), config) == [(0, (3 * 7 + 2) * 5 + 1, 1)]
    assert unpack(rows, Shape(2, 4, 3), config) == [(0, (3 * 3 + 2) * 2 + 1, 1)]


def test_no_events_are_markers():
    config = CONFIGS["payloads"]
    marker = token_layout(config).const({"marker": 1}).as_bits()
    assert pack([[], []], Shape(7), config).tolist() == [marker] * 2
    assert unpack(np.zeros((0, 3), np.uint32), Shape(7), config) == []
