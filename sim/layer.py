"""One layer of the integer network, and the connections that feed it: frozen data (`docs/contract.md`)."""

import enum
from dataclasses import dataclass

from .synapses import IntArray, Pair, Shape, Synapses, frozen, pair

__all__ = ["INPUT", "Connection", "Decision", "Layer", "LeakOrder", "ResetMode"]

INPUT = "input"
"""The source of a connection that carries the input events of the network."""


class ResetMode(enum.Enum):
    """What becomes of the potential: a spike subtracts R; a spike leaves R; or every timestep leaves R.

    The last makes a neuron without memory: it fires when the events of one timestep reach the threshold.
    """

    SUBTRACT = "subtract"
    TO_VALUE = "to_value"
    EVERY_TIMESTEP = "every_timestep"


class LeakOrder(enum.Enum):
    """Whether a potential leaks after the reset or before it."""

    RESET_THEN_LEAK = "reset_then_leak"
    LEAK_THEN_RESET = "leak_then_reset"


class Decision(enum.Enum):
    """What decides: the count of output spikes, the potential of a last layer that never fires, or nothing."""

    COUNT = "count"
    POTENTIAL = "potential"
    NONE = "none"


@dataclass(frozen=True, eq=False)
class Connection:
    """Synapses and where their events come from: an earlier layer by name, or `INPUT`.

    `pool` sums the events of so many rows and columns of the source before the synapses see them (average pooling,
    with its division in the weights); rows and columns left over are dropped. A `static` connection from `INPUT` is
    walked once, before the first timestep, and what it brings is a current of every timestep.
    """

    source: str
    synapses: Synapses
    pool: Pair = (1, 1)
    static: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "pool", pair(self.pool))


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """A population of neurons with common parameters (the neuron model: `docs/contract.md`).

    `currents` (potential units; one for each channel or for each neuron, or None for none) are added in every timestep.
    With `current_from_image` the input image is added instead, pixel i to neuron i: a layer without connections and
    with theta = R = 255 is the rate encoder. A layer with `fires` false is a readout layer. The events of a `graded`
    layer carry its potential, in units of the weights, instead of 1.
    """

    name: str
    shape: Shape
    threshold: int
    connections: tuple[Connection, ...] = ()
    currents: IntArray | None = None
    current_from_image: bool = False
    leak_shift: int = 0
    preload: int = 0
    reset_mode: ResetMode = ResetMode.SUBTRACT
    reset_amount: int = 0
    leak_order: LeakOrder = LeakOrder.RESET_THEN_LEAK
    fires: bool = True
    graded: bool = False

    def __post_init__(self) -> None:
        if self.currents is not None:
            object.__setattr__(self, "currents", frozen(self.currents))

    @property
    def neurons(self) -> int:
        """How many there are."""
        return self.shape.neurons

    @property
    def static(self) -> bool:
        """Whether a connection is walked once and held as a current."""
        return any(connection.static for connection in self.connections)
