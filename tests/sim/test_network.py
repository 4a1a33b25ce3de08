"""The integer network refuses what violates the contract, and says all of it at once.

What concerns the shapes of grids and kernels is in `test_synapses`.
"""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from hillock.hw.problems import HillockError
from hillock.sim.network import (
    INPUT,
    Connection,
    Convolution,
    Decision,
    Dense,
    Layer,
    LeakOrder,
    Network,
    ResetMode,
    Shape,
    Synapses,
    TransposedConvolution,
)


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


def refuses(*texts: str, **changes) -> None:
    """Making the network must fail with just these texts."""
    text = texts[0] if len(texts) == 1 else f"{len(texts)} problems" + "".join(f"\n  - {one}" for one in texts)
    message = re.escape(f"network 'n': {text}")
    with pytest.raises(HillockError, match=f"^{message}$"):
        network(**changes)


def relay(name: str, *sources: str, channels: int = 2, **changes) -> Layer:
    """A layer with dense connections from layers of as many neurons."""
    connections = tuple(Connection(source, weights(channels, channels)) for source in sources)
    return layer(name=name, shape=Shape(channels), connections=connections, **changes)


def test_makes_a_network_of_events():
    made = network()
    assert not made.image_input
    assert not made.static_input
    assert made.potential_range == (-32768, 32767)
    assert (made.inputs, made.largest_payload) == (3, 1)


def test_makes_a_network_of_images():
    encoder = Layer(name="encoder", shape=Shape(3), threshold=255, reset_amount=255, current_from_image=True)
    assert network(encoder, layer(connections=(Connection("encoder", weights(3, 2)),))).image_input


def test_makes_a_network_of_static_events():
    made = network(layer(connections=(Connection(INPUT, weights(3, 2), static=True),)), payload_bits=4)
    assert made.static_input
    assert made.largest_payload == 15


def test_walks_and_shapes():
    made = network(relay("a", INPUT, channels=3), relay("b", "a", INPUT, "a", channels=3), relay("c", "b", channels=3))
    assert [(index, connection.source) for index, connection in made.walks()] == [
        (0, INPUT), (1, "a"), (1, INPUT), (1, "a"), (2, "b"),
    ]  # fmt: skip
    assert [made.shape_of(source) for source in (INPUT, "b")] == [Shape(3), Shape(3)]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"weight_bits": 17, "potential_bits": 32}, "weight_bits must be from 2 to 16, not 17"),
        ({"weight_bits": 1}, "weight_bits must be from 2 to 16, not 1"),
        ({"potential_bits": 33}, "potential_bits must be from 4 to 32, not 33"),
        ({"fraction_bits": 16, "potential_bits": 32}, "fraction_bits must be from 0 to 15, not 16"),
        ({"timesteps": 65536}, "timesteps must be from 1 to 65535, not 65536"),
        ({"payload_bits": 0}, "payload_bits must be from 1 to 8, not 0"),
        ({"payload_bits": 9, "potential_bits": 32}, "payload_bits must be from 1 to 8, not 9"),
        (
            {"potential_bits": 11},
            "potential_bits must be at least weight_bits + fraction_bits (+ payload_bits where events carry more than "
            "1) = 12, not 11",
        ),
        (
            {"potential_bits": 15, "payload_bits": 4},
            "potential_bits must be at least weight_bits + fraction_bits (+ payload_bits where events carry more than "
            "1) = 16, not 15",
        ),
        ({"timesteps": True}, "timesteps must be an integer, not True"),
        ({"delay": 1.5}, "delay must be an integer, not 1.5"),
        ({"input": 3}, "input must be a Shape, not 3"),
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
    if changes.get("weight_bits") == 1:  # so that just one thing is wrong
        changes |= {"layers": (layer(connections=(Connection(INPUT, weights(3, 2, 0)),)),)}
    refuses(text, **changes)


def test_decision_by_count_of_a_layer_that_never_fires():
    refuses(
        "a decision by count needs a last layer that fires; 'out' never does: decide by potential",
        layers=(layer(fires=False),),
    )


@pytest.mark.parametrize("decision", [Decision.COUNT, Decision.POTENTIAL])
def test_decision_between_places(decision):
    grid = layer(shape=Shape(1, 1, 2), fires=decision is Decision.COUNT)
    text = "to decide between classes the last layer must have one place only, not 1x2x1: make it flat, or set the "
    refuses(f"layer 'out': {text}decision to none", layers=(grid,), decision=decision)
    network(grid, decision=Decision.NONE)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (Shape(0), "channels must be from 1 to 1048576, not 0"),
        (Shape(1 << 21), "channels must be from 1 to 1048576, not 2097152"),
        (Shape(1, 0, 2), "height must be from 1 to 4096, not 0"),
        (Shape(1, 2, 4097), "width must be from 1 to 4096, not 4097"),
        (Shape(1, 2.0, 2), "height must be an integer, not 2.0"),  # type: ignore[arg-type]
    ],
)
def test_wrong_shapes(shape, text):
    refuses(f"input: {text}", input=shape)
    refuses(f"layer 'out': shape: {text}", layers=(layer(shape=shape),))


def test_shapes_that_are_numbers():
    refuses("layer 'out': shape must be a Shape, not 2", layers=(layer(shape=2),))


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
        ({"currents": np.array([1, 2, 3])}, "currents must have shape (2,), one for each channel or neuron, not (3,)"),
        (
            {"shape": Shape(1, 1, 2), "currents": np.array([1, 2, 3])},
            "currents must have shape (1,) or (2,), one for each channel or neuron, not (3,)",
        ),
        (
            {"leak_shift": 1, "reset_mode": ResetMode.EVERY_TIMESTEP},
            "leak_shift must be 0 where every timestep resets the potential, not 1: there is nothing left to leak",
        ),
        ({"threshold": None}, "threshold must be an integer, not None"),
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
            {"connections": (Connection(INPUT, weights(2, 3)),)},
            "the dense from 'input' must have weights of shape (3, 2) (presynaptic, postsynaptic), not (2, 3)",
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
    last = layer(**changes)
    refuses(f"layer 'out': {text}", layers=(last,), decision=Decision.COUNT if last.shape.flat else Decision.NONE)


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 1, "leak_shift": 31, "preload": -32768, "reset_amount": 0},
        {"threshold": 32767, "preload": 32767, "reset_amount": 32767, "currents": np.array([-32768, 32767])},
        {"reset_mode": ResetMode.TO_VALUE, "reset_amount": -32768, "leak_order": LeakOrder.LEAK_THEN_RESET},
        {"connections": (Connection(INPUT, Dense(np.array([[-128, 127], [0, 0], [0, 0]]))),)},
        {"connections": (), "currents": np.array([0, 0])},
        {"reset_mode": ResetMode.EVERY_TIMESTEP, "reset_amount": -32768},
    ],
)
def test_ends_of_the_ranges_are_allowed(changes):
    network(layer(**changes))


def test_equal_names():
    refuses(
        "layer names must differ from each other and from 'input'; not so: ['out']",
        "layer 'out': a cycle within a timestep, out -> out: spikes reach the next layers in the same timestep, so a "
        "layer cannot wait for itself; remove one of these connections",
        layers=(layer(), relay("out", "out")),
    )


def test_layer_with_the_name_of_the_input():
    refuses(
        "layer names must differ from each other and from 'input'; not so: ['input']",
        layers=(layer(name="input", connections=(), currents=np.zeros(2, int)),),
    )


# Images


def test_image_beyond_the_first_layer():
    late = layer(name="late", connections=(), current_from_image=True)
    first = layer(connections=(), currents=np.zeros(2, int))
    refuses("layer 'late': only the first layer can take the image as its current", layers=(first, late))


def test_image_of_another_shape():
    encoder = layer(connections=(), current_from_image=True)
    refuses("layer 'out': its shape must be that of the image, 3, not 2", layers=(encoder,))
    encoder = layer(connections=(), current_from_image=True, shape=Shape(1, 3, 1))
    refuses(
        "layer 'out': its shape must be that of the image, 1x3x1, not 3x1x1",
        layers=(encoder,),
        input=Shape(1, 1, 3),
        decision=Decision.NONE,
    )


def test_currents_beside_the_image():
    refuses(
        "layer 'out': currents and current_from_image cannot both be given",
        layers=(layer(shape=Shape(3), connections=(), currents=np.zeros(3, int), current_from_image=True),),
    )


def test_input_events_beside_the_image():
    encoder = layer(name="encoder", shape=Shape(3), connections=(), current_from_image=True)
    refuses(
        "layer 'out': there are no input events: the input is an image, the current of 'encoder'; connect it to that "
        "layer",
        layers=(encoder, layer()),
    )


# Graphs

CYCLE = (
    "spikes reach the next layers in the same timestep, so a layer cannot wait for itself; remove one of these "
    "connections"
)


def test_a_graph_of_skips():
    layers = layer(), relay("b", "out"), relay("c", "b", "out"), relay("d", "b", "c", "out")
    assert [made.name for made in network(*layers).layers] == ["out", "b", "c", "d"]


def test_a_layer_that_waits_for_itself():
    refuses(f"layer 'b': a cycle within a timestep, b -> b: {CYCLE}", layers=(layer(), relay("b", "out", "b")))


def test_a_cycle_is_told_once():
    refuses(
        f"layer 'b': a cycle within a timestep, b -> c -> d -> b: {CYCLE}",
        layers=(layer(), relay("b", "out", "d"), relay("c", "b"), relay("d", "c"), relay("e", "d")),
    )


def test_two_cycles_are_both_told():
    refuses(
        f"layer 'b': a cycle within a timestep, b -> c -> b: {CYCLE}",
        f"layer 'd': a cycle within a timestep, d -> d: {CYCLE}",
        layers=(layer(), relay("b", "out", "c"), relay("c", "b"), relay("d", "c", "d")),
    )


def test_wrong_order():
    refuses(
        "layer 'b': its source 'c' comes later; source must be the input or an earlier layer (input, out): list 'c' "
        "before it",
        layers=(layer(), relay("b", "c"), relay("c", "out")),
    )


# Static input, payloads


def test_static_connections_are_those_of_the_first_layer_from_the_input():
    about = "cannot be static: only connections of the first layer from 'input' can be held as a current"
    first, later = (
        layer(shape=Shape(3), connections=(Connection(INPUT, weights(3, 3), static=True),)),
        relay("b", "out"),
    )
    from_input = dataclasses.replace(later, connections=(Connection(INPUT, weights(3, 2), static=True),))
    from_layer = dataclasses.replace(later, connections=(Connection("out", weights(3, 2), static=True),))
    refuses(f"layer 'b': the dense from 'input' {about}", layers=(first, from_input))
    refuses(f"layer 'b': the dense from 'out' {about}", layers=(first, from_layer))


def test_input_events_come_once_or_always():
    once, always = Connection(INPUT, weights(3, 2), static=True), Connection(INPUT, weights(3, 2))
    refuses(
        "layer 'out': the dense from 'input' must be static as others from 'input' are: there are input events once "
        "only, or always",
        layers=(layer(connections=(once, always)),),
    )
    network(layer(connections=(once, once)))


def graded(*sources: str, **changes) -> Layer:
    values: dict[str, Any] = {"threshold": 16, "reset_mode": ResetMode.EVERY_TIMESTEP, "graded": True}
    return relay("sum", *sources, **(values | changes))


CARRIES = "more than the 3 of payload_bits = 2: raise payload_bits to 3, or lower the weights"


@pytest.mark.parametrize(
    ("sources", "changes", "text"),
    [
        (2, {}, f"its events may carry 4, {CARRIES}"),
        (1, {"preload": 64}, f"its events may carry 6, {CARRIES}"),
        (1, {"reset_amount": 48, "currents": np.array([0, 16])}, f"its events may carry 6, {CARRIES}"),
        (1, {"fires": False}, "a graded layer must fire"),
        (
            2,
            {"reset_mode": ResetMode.SUBTRACT},
            "a graded layer must reset in every timestep: otherwise nothing bounds what its events carry",
        ),
        (
            1,
            {"threshold": 15},
            "threshold must be at least 16, the unit of the weights, not 15: an event cannot carry less than 1",
        ),
    ],
)
def test_wrong_graded_layers(sources, changes, text):
    layers = layer(), graded(*["out"] * sources, **changes)
    refuses(f"layer 'sum': {text}", layers=layers, payload_bits=2, decision=Decision.NONE)


def test_payloads_that_just_fit():
    made = network(layer(), graded("out", reset_amount=16), payload_bits=2)
    assert made.largest_payload == 3


# Everything together


def test_all_problems_are_reported_together():
    first = layer(name="first", threshold=0, connections=(Connection(INPUT, weights(3, 2, 999)),))
    last = layer(leak_shift=99, currents=np.zeros(5, int), connections=(Connection("frist", weights(2, 2)),))
    refuses(
        "timesteps must be from 1 to 65535, not 0",
        "delay must be from 0 to timesteps - 1 = -1, not 0: nothing would be counted",
        "layer 'out': source must be the input or an earlier layer (input, first), not 'frist'",
        "layer 'first': threshold must be from 1 to 32767, not 0 (at 0 or less it fires without input; "
        "above, raise potential_bits)",
        "layer 'out': leak_shift must be from 0 to 31, not 99 (0 means no leak)",
        "layer 'out': currents must have shape (2,), one for each channel or neuron, not (5,)",
        "layer 'first': weight from 'input' must be from -128 to 127 (8 signed bits): 999 at (0, 0), 999 at (0, "
        "1), 999 at (1, 0) and 3 more; raise weight_bits or rescale the layer",
        layers=(first, last),
        timesteps=0,
    )


OTHER_NETWORKS: list[dict[str, Any]] = [
    {"name": "m"},
    {"weight_bits": 9},
    {"potential_bits": 17},
    {"fraction_bits": 3},
    {"timesteps": 24},
    {"delay": 1},
    {"payload_bits": 2},
    {"input": Shape(4), "layers": (layer(connections=(Connection(INPUT, weights(4, 2)),)),)},
    {"input": Shape(1, 1, 3)},
    {"decision": Decision.NONE},
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
    {"connections": (Connection(INPUT, weights(3, 2), static=True),)},
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


def test_digest_knows_the_geometry():
    weights = np.ones((2, 2, 2, 2), int)
    synapses: list[Synapses] = [
        Convolution(weights),
        Convolution(weights, stride=(2, 1)),
        Convolution(weights, padding=(0, 1)),
        Convolution(weights * 2),
        TransposedConvolution(weights),
        TransposedConvolution(weights, stride=(1, 2)),
        TransposedConvolution(weights, stride=(1, 2), output_padding=(0, 1)),
        Convolution(np.ones((2, 2, 1, 2), int), groups=2),
        Convolution(np.ones((4, 1, 2, 2), int)),
    ]
    sizes = [(5, 5), (3, 5), (5, 7), (5, 5), (7, 7), (7, 12), (7, 13), (5, 5), (3, 6)]
    made = [
        network(
            layer(connections=(Connection(INPUT, kind),), shape=Shape(2, *size)),
            input=Shape(2, 6, 6),
            decision=Decision.NONE,
        )
        for kind, size in zip(synapses, sizes, strict=True)
    ]
    for pool in ((1, 1), (1, 2)):  # of six columns or of three
        flat = Connection(INPUT, Convolution(np.ones((1, 1, 2, 2), int), stride=(1, 2 // pool[1])), pool=pool)
        made.append(
            network(layer(connections=(flat,), shape=Shape(2, 6, 3)), input=Shape(2, 6, 6), decision=Decision.NONE)
        )
    assert len({net.digest() for net in made}) == len(made)


def test_digest_is_the_same_on_every_machine():
    """Committed network files carry digests; whoever changes this value has to write those files anew."""
    assert network().digest() == "696f8163881d1a7d8ebb33aa497df908a33f6f4bece2b694433a1847e737694b"
