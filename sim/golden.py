"""The golden model: the integer contract, one image at a time, in the order in which the contract states it.

Nothing here is fast or clever; `batch` is, and is tested equal. No code is shared with the gateware.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import Problems

from .network import INPUT, Decision, IntArray, Layer, LeakOrder, Network, ResetMode

__all__ = ["LayerTrace", "Trace", "check_events", "check_image", "run", "settle"]


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """What one layer did: `spikes[t, i]` (bool) and `potentials[t, i]` after timestep t + 1; `sop`, its additions."""

    name: str
    spikes: NDArray[np.bool_]
    potentials: IntArray
    sop: int


@dataclass(frozen=True, eq=False)
class Trace:
    """A whole inference.

    Attributes
    ----------
    events : list of list of int
        Input events of each timestep, in the order in which they were given; empty for an image.
    layers : tuple of LayerTrace
    counts : array of int
        Output spikes in the timesteps after the delay, for each neuron of the last layer.
    decision : int
    """

    events: list[list[int]]
    layers: tuple[LayerTrace, ...]
    counts: IntArray
    decision: int

    @property
    def sop(self) -> int:
        """Synaptic operations: weights added to potentials."""
        return sum(layer.sop for layer in self.layers)


def run(network: Network, *, events: list[list[int]] | None = None, image: IntArray | None = None) -> Trace:
    """Run one inference.

    Parameters
    ----------
    events : list of T lists of input addresses, for a network with event input
    image : array of `inputs` pixels from 0 to 255, for a network with image input
    """
    if network.image_input:
        image = check_image(network, image, events)
        steps: list[list[int]] = [[] for _ in range(network.timesteps)]
    else:
        steps = check_events(network, events, image)

    potentials = {layer.name: np.full(layer.neurons, layer.preload, np.int64) for layer in network.layers}
    spikes: dict[str, list[NDArray[np.bool_]]] = {layer.name: [] for layer in network.layers}
    history: dict[str, list[IntArray]] = {layer.name: [] for layer in network.layers}
    sop = {layer.name: 0 for layer in network.layers}
    for arriving in steps:
        active = {INPUT: arriving}
        for layer in network.layers:
            potential = potentials[layer.name]
            for connection in layer.connections:
                for address in active[connection.source]:
                    row = connection.synapses.weights[address]
                    potential = _saturate(potential + (row << network.fraction_bits), network)
                    sop[layer.name] += len(row)
            current = image if layer.current_from_image else layer.currents
            if current is not None:
                potential = _saturate(potential + current, network)
            fired, potential = settle(layer, potential, network)
            potentials[layer.name] = potential
            active[layer.name] = np.flatnonzero(fired).tolist()
            spikes[layer.name].append(fired)
            history[layer.name].append(potential)

    layers = tuple(
        LayerTrace(layer.name, np.array(spikes[layer.name]), np.array(history[layer.name]), sop[layer.name])
        for layer in network.layers
    )
    counts = layers[-1].spikes[network.delay :].sum(axis=0).astype(np.int64)
    deciding = counts if network.decision is Decision.COUNT else layers[-1].potentials[-1]
    return Trace(steps, layers, counts, int(np.argmax(deciding)))  # argmax: the first, so the lowest index, of equals


def settle(layer: Layer, potential: IntArray, network: Network) -> tuple[NDArray[np.bool_], IntArray]:
    """(spikes, potential after reset and leak) of a layer whose inputs have all been added.

    Elementwise, for potentials of any shape whose last axis is the neurons of the layer.
    """
    fired = (potential >= layer.threshold) if layer.fires else np.zeros(potential.shape, bool)

    def reset(value: IntArray) -> IntArray:
        if layer.reset_mode is ResetMode.SUBTRACT:
            return np.where(fired, _saturate(value - layer.reset_amount, network), value)
        return np.where(fired, layer.reset_amount, value)

    def leak(value: IntArray) -> IntArray:
        return value - (value >> layer.leak_shift) if layer.leak_shift else value

    if layer.leak_order is LeakOrder.RESET_THEN_LEAK:
        return fired, leak(reset(potential))
    return fired, reset(leak(potential))


def _saturate(potential: IntArray, network: Network) -> IntArray:
    low, high = network.potential_range
    return np.clip(potential, low, high)


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


def check_events(network: Network, events: list[list[int]] | None, image: object = None) -> list[list[int]]:
    """The events, or a `HillockError` that says what is wrong with them."""
    problems = Problems(f"input of network {network.name!r}")
    problems.require(image is None, "an image was given, but its first layer is fed by events")
    if problems.require(events is not None, "events are needed: its first layer is fed by them"):
        steps = events or []
        problems.require(
            len(steps) == network.timesteps, f"events of {network.timesteps} timesteps are needed, not of {len(steps)}"
        )
        beyond = sorted({address for step in steps for address in step if not 0 <= address < network.inputs})
        problems.require(not beyond, f"addresses must be from 0 to {network.inputs - 1}, not {beyond[:5]}")
    problems.raise_any()
    return [list(step) for step in events or []]
