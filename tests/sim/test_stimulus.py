"""What a network is given: events and images are taken as they are, or refused with everything that is wrong."""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from hillock.hw.problems import HillockError
from hillock.sim import golden
from hillock.sim.network import INPUT, Connection, Dense, Layer, Network, ResetMode, Shape
from hillock.sim.stimulus import check_events, image_events


def network(*layers: Layer, **changes) -> Network:
    values: dict[str, Any] = {"name": "n", "input": Shape(3), "layers": layers, "fraction_bits": 0, "timesteps": 2}
    return Network(**(values | changes))


def image_network() -> Network:
    return network(Layer(name="encoder", shape=Shape(3), threshold=255, reset_amount=255, current_from_image=True))


def fed(static: bool = False, **changes) -> Network:
    """A neuron with three inputs."""
    connection = Connection(INPUT, Dense(np.ones((3, 1), int)), static=static)
    return network(Layer(name="out", shape=Shape(1), threshold=9, connections=(connection,)), **changes)


def refuses(net: Network, text: str, **given_input) -> None:
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        golden.run(net, **given_input)


EVENTS = fed()
ABOUT = "input of network 'n': "


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([[0]], "events of 2 timesteps are needed, not of 1"),
        ([[], [], []], "events of 2 timesteps are needed, not of 3"),
        ([], "events of 2 timesteps are needed, not of 0"),
        ([[0, 3], [1]], "addresses must be from 0 to 2, not [3]"),
        ([[-1], [7, 7]], "addresses must be from 0 to 2, not [-1, 7]"),
        ([[9, 8, 7, 6, 5, 4, 3], []], "addresses must be from 0 to 2, not [3, 4, 5, 6, 7]"),
        (None, "events are needed: its first layer is fed by them"),
    ],
)
def test_wrong_events(events, text):
    refuses(EVENTS, ABOUT + text, events=events)


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros(2, int), "the image must have shape (3,), not (2,)"),
        (np.zeros((3, 1), int), "the image must have shape (3,), not (3, 1)"),
        (np.zeros(0, int), "the image must have shape (3,), not (0,)"),
        (np.array([0, 256, 1]), "pixels must be integers from 0 to 255"),
        (np.array([0, -1, 1]), "pixels must be integers from 0 to 255"),
        (np.array([0.0, 1.0, 2.0]), "pixels must be integers from 0 to 255"),
        (np.array([True, False, True]), "pixels must be integers from 0 to 255"),
        (None, "an image is needed: its first layer is fed by one"),
    ],
)
def test_wrong_image(image, text):
    refuses(image_network(), ABOUT + text, image=image)


def test_the_other_kind_of_input():
    refuses(
        EVENTS,
        f"{ABOUT}2 problems\n"
        "  - an image was given, but its first layer is fed by events\n"
        "  - events are needed: its first layer is fed by them",
        image=np.zeros(3, int),
    )
    refuses(
        image_network(),
        f"{ABOUT}2 problems\n"
        "  - events were given, but its first layer is fed by an image\n"
        "  - an image is needed: its first layer is fed by one",
        events=[[0], [1]],
    )


def test_all_that_is_wrong_with_an_input_is_reported_together():
    refuses(
        EVENTS,
        f"{ABOUT}3 problems\n"
        "  - an image was given, but its first layer is fed by events\n"
        "  - events of 2 timesteps are needed, not of 1\n"
        "  - addresses must be from 0 to 2, not [5]",
        events=[[5]],
        image=np.zeros(3, int),
    )
    refuses(
        image_network(),
        f"{ABOUT}2 problems\n  - the image must have shape (3,), not (2,)\n  - pixels must be integers from 0 to 255",
        image=np.array([0, 300]),
    )


def test_pixels_of_any_integer_type_do():
    net = image_network()
    wanted = golden.run(net, image=np.array([0, 200, 255])).layers[0].potentials.tolist()
    assert wanted == [[0, 200, 0], [0, 145, 0]]  # 200 + 200 - 255 = 145
    for dtype in (np.uint8, np.int16, np.uint64):
        assert golden.run(net, image=np.array([0, 200, 255], dtype)).layers[0].potentials.tolist() == wanted


def test_the_input_is_not_changed_and_not_kept():
    events = [[0], [1]]
    trace = golden.run(EVENTS, events=events)
    events[0].append(2)
    assert trace.events == [[(0, 1)], [(1, 1)]]
    image = np.array([0, 200, 255])
    golden.run(image_network(), image=image)
    assert image.tolist() == [0, 200, 255]


# Payloads and static events


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([[(0, 0)], []], "payloads must be from 1 to 7, not [0]: scale the input, or raise payload_bits = 3"),
        (
            [[(0, 8), (1, -3)], [(2, 9)]],
            "payloads must be from 1 to 7, not [-3, 8, 9]: scale the input, or raise payload_bits = 3",
        ),
        ([[(3, 1)], []], "addresses must be from 0 to 2, not [3]"),
    ],
)
def test_wrong_payloads(events, text):
    refuses(fed(payload_bits=3), ABOUT + text, events=events)


def test_a_network_of_plain_events_takes_no_payload():
    refuses(
        EVENTS,
        f"{ABOUT}payloads must be from 1 to 1, not [2]: scale the input, or raise payload_bits = 1",
        events=[[(0, 2)], []],
    )


@pytest.mark.parametrize("steps", [0, 2])
def test_static_events_come_once(steps):
    refuses(
        fed(static=True),
        f"{ABOUT}events of one step are needed, not of {steps}: they are static, and come once before the first "
        f"timestep",
        events=[[]] * steps,
    )


def test_an_address_that_comes_twice_where_events_are_graded():
    # Two events of an address are more than the bounds allow for, so a payload could be larger than its width.
    graded = Layer(
        name="sum",
        shape=Shape(1),
        threshold=1,
        connections=(Connection(INPUT, Dense(np.ones((3, 1), int))),),
        reset_mode=ResetMode.EVERY_TIMESTEP,
        graded=True,
    )
    relay = dataclasses.replace(graded, name="relay", graded=False)
    graded = dataclasses.replace(graded, connections=(Connection("relay", Dense(np.ones((1, 1), int))),))
    refuses(
        network(relay, graded, payload_bits=2),
        f"{ABOUT}addresses must not come twice in a timestep where events of a layer are graded, as these do: [1, 2]; "
        f"give one event with the sum of their payloads",
        events=[[0, 2, 2], [1, 0, (1, 3)]],
    )


def test_events_of_any_integer_type_do():
    events: Any = [[np.int64(0), (np.uint8(1), np.int32(3))], np.array([2])]
    assert check_events(fed(payload_bits=2), events) == [[(0, 1), (1, 3)], [(2, 1)]]


def test_the_events_of_an_image_are_its_pixels_but_zeros():
    assert image_events(np.array([0, 7, 0, 255], np.uint8)) == [(1, 7), (3, 255)]
    assert image_events(np.zeros(3, int)) == []
