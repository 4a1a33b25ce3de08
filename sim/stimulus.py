"""What a network is given: events or an image, checked before they run."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hillock.hw.problems import Problems

from .network import Network
from .synapses import IntArray

__all__ = ["Event", "Steps", "check_events", "check_image", "image_events"]

Event = tuple[int, int]
"""An address, and the payload that comes with it."""

Steps = Sequence[Sequence[int | Event]]
"""The events of each timestep; an address alone stands for a payload of 1."""


def image_events(image: IntArray) -> list[Event]:
    """The static events of an image: one for each pixel that is not 0, which it carries."""
    addresses = np.flatnonzero(image)
    return list(zip(addresses.tolist(), np.asarray(image).reshape(-1)[addresses].tolist(), strict=True))


def check_image(network: Network, image: IntArray | None, events: object = None) -> IntArray:
    """The image as int64, or a `HillockError` that says what is wrong with it."""
    problems = Problems(f"input of network {network.name!r}")
    problems.require(events is None, "events were given, but its first layer is fed by an image")
    if problems.require(image is not None, "an image is needed: its first layer is fed by one"):
        pixels = np.asarray(image)
        problems.require(
            pixels.shape == (network.inputs,), f"the image must have shape ({network.inputs},), not {pixels.shape}"
        )
        problems.require(
            np.issubdtype(pixels.dtype, np.integer) and ((pixels >= 0) & (pixels <= 255)).all(),
            "pixels must be integers from 0 to 255",
        )
    problems.raise_any()
    return np.asarray(image).astype(np.int64)


def check_events(network: Network, events: Steps | None, image: object = None) -> list[list[Event]]:
    """The events with their payloads, or a `HillockError` that says what is wrong with them."""
    problems = Problems(f"input of network {network.name!r}")
    problems.require(image is None, "an image was given, but its first layer is fed by events")
    steps: list[list[Event]] = []
    if problems.require(events is not None, "events are needed: its first layer is fed by them"):
        steps = [[_event(event) for event in step] for step in events or ()]
        _check_steps(network, steps, problems)
    problems.raise_any()
    return steps


def _event(event: int | Event) -> Event:
    address, payload = event if isinstance(event, tuple) else (event, 1)
    return int(address), int(payload)


def _check_steps(network: Network, steps: list[list[Event]], problems: Problems) -> None:
    if network.static_input:
        problems.require(
            len(steps) == 1,
            f"events of one step are needed, not of {len(steps)}: they are static, and come once before the first "
            f"timestep",
        )
    else:
        wanted = network.timesteps
        problems.require(len(steps) == wanted, f"events of {wanted} timesteps are needed, not of {len(steps)}")
    beyond = sorted({address for step in steps for address, _ in step if not 0 <= address < network.inputs})
    problems.require(not beyond, f"addresses must be from 0 to {network.inputs - 1}, not {beyond[:5]}")
    largest = network.largest_payload
    wrong = sorted({payload for step in steps for _, payload in step if not 1 <= payload <= largest})
    problems.require(
        not wrong,
        f"payloads must be from 1 to {largest}, not {wrong[:5]}: scale the input, or raise payload_bits = "
        f"{network.payload_bits}",
    )
    if any(layer.graded for layer in network.layers):
        counts = [Counter(address for address, _ in step) for step in steps]
        twice = sorted({address for count in counts for address in count if count[address] > 1})
        problems.require(
            not twice,
            f"addresses must not come twice in a timestep where events of a layer are graded, as these do: "
            f"{twice[:5]}; give one event with the sum of their payloads",
        )
