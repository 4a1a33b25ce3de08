"""The integer network refuses what violates the contract, and says all of it at once."""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from hillock.hw.problems import HillockError
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, LeakOrder, Network, ResetMode, Shape


def weights(pre: int, post: int, value: int = 1) -> Dense:
    return Dense(np.full((pre, post), value))


def layer(**changes) -> Layer:
    """A layer of 2 neurons, fed by 3 input addresses."""
    connections = (Connection(INPUT, weights(3, 2)),)
    values: dict[str, Any] = {"name": "out", "shape": Shape(2), "threshold": 9, "connections": connections}
    return Layer(**(values | changes))


def network(*layers: Layer, **changes) -> Network:
    values: dict[str, Any] = {"name": "n", "input": Shape(3), "layers": layers or (layer(),)}
    return Network(**(values | changes))


def refuses(text: str, *layers: Layer, **changes) -> None:
    """Making the network must fail with just this text."""
    message = re.escape(f"network 'n': {text}")
    with pytest.raises(HillockError, match=f"^{message}$"):
        network(*layers, **changes)


def test_makes_a_network_of_events():
    made = network()
    assert not made.image_input
    assert made.potential_range == (-32768, 32767)


def test_makes_a_network_of_images():
    encoder = Layer(name="encoder", shape=Shape(3), threshold=255, reset_amount=255, current_from_image=True)
    assert network(encoder, layer(connections=(Connection("encoder", weights(3, 2)),))).image_input


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"inputs": 0}, "inputs must be from 1 to 16777216, not 0"),
        ({"weight_bits": 17, "potential_bits": 32}, "weight_bits must be from 2 to 16, not 17"),
        ({"weight_bits": 1}, "weight_bits must be from 2 to 16, not 1"),
        ({"potential_bits": 33}, "potential_bits must be from 4 to 32, not 33"),
        ({"fraction_bits": 16, "potential_bits": 32}, "fraction_bits must be from 0 to 15, not 16"),
        ({"timesteps": 65536}, "timesteps must be from 1 to 65535, not 65536"),
        ({"potential_bits": 11}, "potential_bits must be at least weight_bits + fraction_bits = 12, not 11"),
        ({"delay": 25}, "delay must be from 0 to timesteps - 1 = 24, not 25: nothing would be counted"),
        ({"delay": -1}, "delay must be from 0 to timesteps - 1 = 24, not -1: nothing would be counted"),
        ({"layers": ()}, "layers must not be empty"),
        (
            {"decision": Decision.POTENTIAL},
            "a decision by potential needs a last layer that never fires; 'out' does: set its fires to false, or "
            "decide by count",
        ),
    ],
)
def test_wrong_network(changes, text):
    if "inputs" in changes:  # so that just one thing is wrong
        changes |= {"layers": (layer(connections=(), currents=np.zeros(2, int)),)}
    elif changes.get("weight_bits") == 1:
        changes |= {"layers": (layer(connections=(Connection(INPUT, weights(3, 2, 0)),)),)}
    refuses(text, **changes)


def test_decision_by_count_of_a_layer_that_never_fires():
    refuses(
        "a decision by count needs a last layer that fires; 'out' never does: decide by potential", layer(fires=False)
    )


FIRES = "at 0 or less it fires without input; above, raise potential_bits"
RESET = "what is subtracted cannot be negative, and both must fit in potential_bits"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"threshold": 0}, f"threshold must be from 1 to 32767, not 0 ({FIRES})"),
        ({"threshold": -5}, f"threshold must be from 1 to 32767, not -5 ({FIRES})"),
        ({"threshold": 32768}, f"threshold must be from 1 to 32767, not 32768 ({FIRES})"),
        ({"leak_shift": -1}, "leak_shift must be from 0 to 31, not -1 (0 means no leak)"),
        ({"leak_shift": 32}, "leak_shift must be from 0 to 31, not 32 (0 means no leak)"),
        ({"preload": 32768}, "preload must be from -32768 to 32767, not 32768 (raise potential_bits or lower it)"),
        ({"preload": -32769}, "preload must be from -32768 to 32767, not -32769 (raise potential_bits or lower it)"),
        ({"reset_amount": -1}, f"reset_amount must be from 0 to 32767, not -1 ({RESET})"),
        (
            {"reset_amount": -32769, "reset_mode": ResetMode.TO_VALUE},
            f"reset_amount must be from -32768 to 32767, not -32769 ({RESET})",
        ),
        ({"currents": np.array([1, 2, 3])}, "currents must have shape (2,), not (3,)"),
        (
            {"currents": np.array([1, -32769])},
            "current must be from -32768 to 32767 (16 signed bits): -32769 at (1,); raise potential_bits or rescale "
            "the layer",
        ),
        ({"connections": ()}, "it has no connection and no current, so nothing ever reaches it"),
        (
            {"connections": (Connection("later", weights(3, 2)),)},
            "source must be the input or an earlier layer (input), not 'later'",
        ),
        (
            {"connections": (Connection("out", weights(2, 2)),)},
            "source must be the input or an earlier layer (input), not 'out'",
        ),
        (
            {"connections": (Connection(INPUT, weights(2, 3)),)},
            "weights from 'input' must have shape (3, 2) (presynaptic, postsynaptic), not (2, 3)",
        ),
        (
            {"connections": (Connection(INPUT, Dense(np.array([[1, 128], [-128, 127], [-129, 0]]))),)},
            "weight from 'input' must be from -128 to 127 (8 signed bits): 128 at (0, 1), -129 at (2, 0); raise "
            "weight_bits or rescale the layer",
        ),
        (
            {"connections": (Connection(INPUT, weights(3, 2, 200)),)},
            "weight from 'input' must be from -128 to 127 (8 signed bits): 200 at (0, 0), 200 at (0, 1), 200 at (1, 0) "
            "and 3 more; raise weight_bits or rescale the layer",
        ),
    ],
)
def test_wrong_layer(changes, text):
    refuses(f"layer 'out': {text}", layer(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 1, "leak_shift": 31, "preload": -32768, "reset_amount": 0},
        {"threshold": 32767, "preload": 32767, "reset_amount": 32767, "currents": np.array([-32768, 32767])},
        {"reset_mode": ResetMode.TO_VALUE, "reset_amount": -32768, "leak_order": LeakOrder.LEAK_THEN_RESET},
        {"connections": (Connection(INPUT, Dense(np.array([[-128, 127], [0, 0], [0, 0]]))),)},
        {"connections": (), "currents": np.array([0, 0])},
    ],
)
def test_ends_of_the_ranges_are_allowed(changes):
    network(layer(**changes))


def test_no_neurons():
    empty = layer(neurons=0, connections=(Connection(INPUT, Dense(np.zeros((3, 0), int))),))
    refuses("layer 'out': neurons must be at least 1, not 0", empty)


def test_equal_names():
    refuses("layer names must differ from each other and from 'input'; not so: ['out']", layer(), layer())


def test_layer_with_the_name_of_the_input():
    refuses(
        "layer names must differ from each other and from 'input'; not so: ['input']",
        layer(name="input", connections=(), currents=np.zeros(2, int)),
    )


def test_image_beyond_the_first_layer():
    refuses(
        "layer 'late': only the first layer can take the image as its current",
        layer(),
        layer(name="late", current_from_image=True),
    )


def test_image_of_another_size():
    refuses("layer 'out': neurons must equal the 3 pixels of the image, not 2", layer(current_from_image=True))


def test_currents_beside_the_image():
    refuses(
        "layer 'out': currents and current_from_image cannot both be given",
        Layer(name="out", shape=Shape(3), threshold=1, currents=np.zeros(3, int), current_from_image=True),
    )


def test_all_problems_are_reported_together():
    first = layer(name="first", threshold=0, connections=(Connection(INPUT, weights(3, 2, 999)),))
    last = layer(leak_shift=99, currents=np.zeros(5, int), connections=(Connection("frist", weights(2, 2)),))
    refuses(
        "7 problems"
        "\n  - timesteps must be from 1 to 65535, not 0"
        "\n  - delay must be from 0 to timesteps - 1 = -1, not 0: nothing would be counted"
        "\n  - layer 'first': threshold must be from 1 to 32767, not 0 (at 0 or less it fires without input; "
        "above, raise potential_bits)"
        "\n  - layer 'first': weight from 'input' must be from -128 to 127 (8 signed bits): 999 at (0, 0), 999 at (0, "
        "1), 999 at (1, 0) and 3 more; raise weight_bits or rescale the layer"
        "\n  - layer 'out': leak_shift must be from 0 to 31, not 99 (0 means no leak)"
        "\n  - layer 'out': currents must have shape (2,), not (5,)"
        "\n  - layer 'out': source must be the input or an earlier layer (input, first), not 'frist'",
        first,
        last,
        timesteps=0,
    )


@pytest.mark.parametrize("values", [[[0.5]], [[1.0]], [["1"]], [[None]]])
def test_weights_that_are_not_integers(values):
    with pytest.raises(TypeError, match=r"^integer values are required, not "):
        Dense(np.array(values))


def test_arrays_are_copied_and_read_only():
    given: Any = np.ones((3, 2), np.int8)
    made = Dense(given)
    given[0, 0] = 7
    assert made.weights[0, 0] == 1
    assert made.weights.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        made.weights[0, 0] = 7
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(layer(currents=np.array([1, 2])).currents)[0] = 7


OTHER_NETWORKS: list[dict[str, Any]] = [
    {"name": "m"},
    {"weight_bits": 9},
    {"potential_bits": 17},
    {"fraction_bits": 3},
    {"timesteps": 24},
    {"delay": 1},
    {"inputs": 4, "layers": (layer(connections=(Connection(INPUT, weights(4, 2)),)),)},
]
OTHER_LAYERS: list[dict[str, Any]] = [
    {"name": "o"},
    {"threshold": 8},
    {"leak_shift": 1},
    {"preload": 1},
    {"reset_amount": 1},
    {"reset_mode": ResetMode.TO_VALUE},
    {"leak_order": LeakOrder.LEAK_THEN_RESET},
    {"currents": np.array([0, 1])},
    {"connections": (Connection(INPUT, weights(3, 2, 2)),)},
    {"connections": (Connection(INPUT, weights(3, 2)), Connection(INPUT, weights(3, 2)))},
]


def test_digest_is_equal_for_equal_networks_only():
    others = [network(**changes) for changes in OTHER_NETWORKS] + [
        network(layer(**changes)) for changes in OTHER_LAYERS
    ]
    others += [network(layer(fires=False), decision=Decision.POTENTIAL)]
    digests = [network().digest(), *(other.digest() for other in others)]
    assert len(set(digests)) == len(digests)
    assert network().digest() == dataclasses.replace(network()).digest()
    assert network(layer(connections=(Connection(INPUT, Dense(np.ones((3, 2), np.int8))),))).digest() == digests[0]


def test_digest_is_the_same_on_every_machine():
    """Committed network files carry digests; whoever changes this value has to write those files anew."""
    assert network().digest() == "aed501ba5f56cd9a838319edfeb02f3195432ea8e2223b1503648d08bab2f88a"
