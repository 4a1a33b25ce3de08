"""What a board with single-port RAMs asks of a core, for one network and another."""

import re
from dataclasses import replace

import pytest

from hillock.gen.boards import board
from hillock.gen.mapping import fit, place
from hillock.gen.models import load_model
from hillock.gen.single_port import check_single_port, single_port_sizes
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.sim.layer import Decision, ResetMode
from link_networks import small

NETWORK = load_model("mnist").network
ICEBREAKER = board("icebreaker")


def with_last(decision=Decision.COUNT, **changes):
    return replace(NETWORK, layers=(*NETWORK.layers[:-1], replace(NETWORK.layers[-1], **changes)), decision=decision)


def test_as_small_as_it_gets():
    sizes = single_port_sizes(NETWORK, 8)
    assert sizes == {"single_port": 1, "compact": 1, "input_queue": 0}
    assert place(NETWORK, fit(NETWORK, 8, **sizes)).config.leak_shift_bits == 0


@pytest.mark.parametrize(
    ("network", "lanes"),
    [
        (with_last(leak_shift=2), 8),
        (with_last(reset_mode=ResetMode.TO_VALUE, reset_amount=5), 8),
        (replace(NETWORK, timesteps=256), 8),
        (NETWORK, 6),
        (NETWORK, 16),  # ten outputs are one word
    ],
)
def test_what_no_compact_core_runs(network, lanes):
    """What it is told apart by is what `place` refuses."""
    assert single_port_sizes(network, lanes) == {"single_port": 1, "compact": 0, "input_queue": 0}
    with pytest.raises(HillockError, match="compact"):
        fit(network, lanes, compact=1, single_port=1, input_queue=0)
    assert place(network, fit(network, lanes, **single_port_sizes(network, lanes)))


def test_a_reset_to_0_is_one_that_a_compact_core_knows():
    network = with_last(reset_mode=ResetMode.TO_VALUE, reset_amount=0)
    assert single_port_sizes(network, 8)["compact"] == 1
    assert place(network, fit(network, 8, **single_port_sizes(network, 8)))


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (
            with_last(reset_mode=ResetMode.TO_VALUE, reset_amount=5),
            "layer 'output': a compact core resets to 0, not to 5: generate one that is not compact",
        ),
        (
            replace(NETWORK, timesteps=1000),
            "1,000 timesteps are more than the 255 of a compact core: generate one that is not compact",
        ),
        (
            with_last(Decision.POTENTIAL, fires=False),
            "the highest potential decides: generate a core that is not compact",
        ),
    ],
)
def test_place_says_what_a_compact_core_does_not_run(network, text):
    with pytest.raises(HillockError, match=re.escape(text)):
        fit(network, 8, compact=1, single_port=1, input_queue=0)


def test_a_layer_of_one_word_is_refused_by_name():
    text = (
        "layer 'output': a compact core walks two potential words at least, and its 10 neurons fit in one: generate a "
        "core of fewer lanes, or one that is not compact"
    )
    with pytest.raises(HillockError, match=re.escape(text)):
        fit(NETWORK, 16, compact=1, single_port=1, input_queue=0)


def test_events_need_a_queue():
    network = small("events")
    assert "input_queue" not in single_port_sizes(network, 8)
    with pytest.raises(HillockError, match="its input are events: generate a core with an input_queue"):
        fit(network, 8, input_queue=0)


@pytest.mark.parametrize(
    ("sizes", "needed"),
    [({"lanes": 8, "synapse_words": 16385}, 8), ({"lanes": 9, "synapse_words": 100}, 5), ({"lanes": 16}, 8)],
)
def test_too_few_single_port_rams(sizes, needed):
    config = CoreConfig(single_port=1, **sizes)
    text = (
        f"icebreaker (iCE40UP5K): {config.synapse_words:,} synapse words of {config.lanes} lanes and 8 bits need "
        f"{needed} single-port RAMs, {needed - 4} more than the 4 that it has: allow fewer lanes, or make the network "
        f"smaller"
    )
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        check_single_port(config, ICEBREAKER)


def test_enough_single_port_rams():
    check_single_port(CoreConfig(lanes=8, single_port=1, synapse_words=16384), ICEBREAKER)
    check_single_port(CoreConfig(lanes=16, weight_bits=4, single_port=1, synapse_words=16384), ICEBREAKER)
