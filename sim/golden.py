"""The golden model: the integer contract, one inference at a time, in the order in which the contract states it.

Nothing here is fast or clever; `batch` is, and is tested equal. No code is shared with the gateware or its layouts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .layer import INPUT, Decision, Layer, LeakOrder, ResetMode
from .network import Network
from .stimulus import Event, Steps, check_events, check_image
from .synapses import IntArray
from .walk import Walk

__all__ = ["LayerTrace", "Trace", "current_grid", "run", "settle"]


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """What one layer did: `spikes[t, i]` (bool) and `potentials[t, i]` after timestep t + 1; `sop`, its additions.

    `payloads[t, i]` is what the event of a spike carries, 1 unless the layer is graded; 0 where there is no spike.
    """

    name: str
    spikes: NDArray[np.bool_]
    payloads: IntArray
    potentials: IntArray
    sop: int


@dataclass(frozen=True, eq=False)
class Trace:
    """A whole inference.

    Attributes
    ----------
    events : list of list of Event
        Input events of each timestep, in the order in which they were given; of one step where they are static.
    layers : tuple of LayerTrace
    counts : array of int
        Output spikes in the timesteps after the delay, for each neuron of the last layer.
    decision : int
        0 where nothing is decided.
    """

    events: list[list[Event]]
    layers: tuple[LayerTrace, ...]
    counts: IntArray
    decision: int

    @property
    def sop(self) -> int:
        """Synaptic operations: weights added to potentials."""
        return sum(layer.sop for layer in self.layers)


def run(network: Network, *, events: Steps | None = None, image: IntArray | None = None) -> Trace:
    """Run one inference.

    Parameters
    ----------
    events : list of T lists of events, or of one list where they are static, for a network with event input
    image : array of `inputs` pixels from 0 to 255, for a network with image input
    """
    pixels = check_image(network, image, events) if network.image_input else None
    steps: list[list[Event]] = [[]] * network.timesteps if network.image_input else check_events(network, events, image)
    layers = [_Running(network, layer, pixels) for layer in network.layers]
    static = network.static_input
    if static:
        layers[0].hold(steps[0])
    for step in range(network.timesteps):
        active = {INPUT: [] if static else steps[step]}
        for layer in layers:
            active[layer.name] = layer.step(active)

    traces = tuple(layer.trace() for layer in layers)
    counts = traces[-1].spikes[network.delay :].sum(axis=0).astype(np.int64)
    deciding = {Decision.COUNT: counts, Decision.POTENTIAL: traces[-1].potentials[-1], Decision.NONE: np.zeros(1)}
    # argmax: the first, so the lowest index, of equals
    return Trace(steps, traces, counts, int(np.argmax(deciding[network.decision])))


class _Running:
    """A layer while an inference runs. Potentials and currents are grids [y, x, channel]."""

    def __init__(self, network: Network, layer: Layer, image: IntArray | None):
        self.network, self.layer, self.name = network, layer, layer.name
        grid = (layer.shape.height, layer.shape.width, layer.shape.channels)
        self.potential = np.full(grid, layer.preload, np.int64)
        given = image.reshape(grid) if layer.current_from_image and image is not None else current_grid(layer)
        self.current = np.array(np.broadcast_to(given, grid))
        self.walks = [Walk(network, connection, layer.shape) for connection in layer.connections]
        self.sop = 0
        self.spikes: list[NDArray[np.bool_]] = []
        self.payloads: list[IntArray] = []
        self.potentials: list[IntArray] = []

    def hold(self, events: list[Event]) -> None:
        """Add static events to the current."""
        for walk in self.walks:
            self.sop += walk.integrate(self.current, events)

    def step(self, active: dict[str, list[Event]]) -> list[Event]:
        """Run one timestep with the events of every source; returns those of the layer itself."""
        layer = self.layer
        for connection, walk in zip(layer.connections, self.walks, strict=True):
            if not connection.static:
                self.sop += walk.integrate(self.potential, active[connection.source])
        before = _saturate(self.potential + self.current, self.network)
        fired, self.potential = settle(layer, before, self.network)
        carried = before >> self.network.fraction_bits if layer.graded else 1
        payload: IntArray = np.where(fired, carried, 0).reshape(-1)
        self.spikes.append(fired.reshape(-1))
        self.payloads.append(payload)
        self.potentials.append(self.potential.flatten())  # a copy: the next timestep integrates in place
        addresses = np.flatnonzero(self.spikes[-1])
        return list(zip(addresses.tolist(), payload[addresses].tolist(), strict=True))

    def trace(self) -> LayerTrace:
        spikes, payloads, potentials = np.array(self.spikes), np.array(self.payloads), np.array(self.potentials)
        return LayerTrace(self.name, spikes, payloads, potentials, self.sop)


def settle(layer: Layer, potential: NDArray[Any], network: Network) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """(spikes, potential after reset and leak) of a layer whose inputs have all been added; elementwise."""
    fired = (potential >= layer.threshold) if layer.fires else np.zeros(potential.shape, bool)

    def reset(value: NDArray[Any]) -> NDArray[Any]:
        if layer.reset_mode is ResetMode.SUBTRACT:
            return np.where(fired, _saturate(value - layer.reset_amount, network), value)
        if layer.reset_mode is ResetMode.TO_VALUE:
            return np.where(fired, layer.reset_amount, value)
        return np.full_like(value, layer.reset_amount)

    def leak(value: NDArray[Any]) -> NDArray[Any]:
        return value - (value >> layer.leak_shift) if layer.leak_shift else value

    if layer.leak_order is LeakOrder.RESET_THEN_LEAK:
        return fired, leak(reset(potential))
    return fired, reset(leak(potential))


def _saturate(potential: NDArray[Any], network: Network) -> NDArray[Any]:
    clipped: NDArray[Any] = np.clip(potential, *network.potential_range)
    return clipped


def current_grid(layer: Layer) -> IntArray:
    """The currents of `layer`, to be broadcast over its grid [y, x, channel]; zeros where it has none."""
    shape = layer.shape
    if layer.currents is None:
        return np.zeros(1, np.int64)
    if layer.currents.size == shape.channels:
        return layer.currents
    return layer.currents.reshape(shape.height, shape.width, shape.channels)
