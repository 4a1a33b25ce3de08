"""What a simulation must know about where a network lies in a core: the layouts of its layers, and what follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np

from hillock.hw.config import CoreConfig

from .layer import INPUT
from .layout import Layout, walk_lengths
from .network import Network
from .synapses import IntArray

__all__ = ["Pipeline", "Plan", "as_pipeline"]

Thing = TypeVar("Thing")


@dataclass(frozen=True, eq=False)
class Plan:
    """A network on a core. The layers lie one after another in the potential memory."""

    network: Network
    config: CoreConfig
    layouts: tuple[Layout, ...]

    @cached_property
    def potential_bases(self) -> list[int]:
        """First potential word of each layer."""
        return [sum(layout.words for layout in self.layouts[:index]) for index in range(len(self.layouts))]

    @cached_property
    def slots(self) -> list[IntArray]:
        """`word * lanes + lane` of every neuron of each layer, by address."""
        return [layout.slots() for layout in self.layouts]

    @cached_property
    def orders(self) -> list[IntArray]:
        """Addresses of each layer in the order in which their events leave it."""
        return [np.argsort(slots) for slots in self.slots]

    @cached_property
    def lengths(self) -> list[list[IntArray]]:
        """Cycles of the walk of an event, by its address, for each connection of each layer."""
        return [
            [
                walk_lengths(connection, self.network.shape_of(connection.source), layout)
                for connection in layer.connections
            ]
            for layer, layout in zip(self.network.layers, self.layouts, strict=True)
        ]

    def feeds_next(self, index: int) -> bool:
        """Whether the spikes of a layer go straight into the next walk: that of the layer behind it, if it asks first.

        All other walks take them from the replay memory.
        """
        if index + 1 == len(self.network.layers):
            return False
        sources = [connection.source for connection in self.network.layers[index + 1].connections]
        return bool(sources) and sources[0] == self.network.layers[index].name

    def takes_queue(self, index: int, number: int) -> bool:
        """Whether connection `number` of layer `index` takes its events as the layer before it fires."""
        source = self.network.layers[index].connections[number].source
        return number == 0 and index > 0 and source != INPUT and self.feeds_next(index - 1)


@dataclass(frozen=True, eq=False)
class Pipeline:
    """A network on several cores, or on one: each runs some of its layers, in their order, as a network of its own."""

    network: Network
    plans: tuple[Plan, ...]

    @property
    def lanes(self) -> int:
        """Lanes of all cores."""
        return sum(plan.config.lanes for plan in self.plans)

    def split(self, layers: Sequence[Thing]) -> list[Sequence[Thing]]:
        """Something for each layer of the network, cut up by cores."""
        counts = np.cumsum([0, *(len(plan.layouts) for plan in self.plans)]).tolist()
        return [layers[first:last] for first, last in pairwise(counts)]


def as_pipeline(plan: Plan | Pipeline) -> Pipeline:
    """A single core as a pipeline of one."""
    return plan if isinstance(plan, Pipeline) else Pipeline(plan.network, (plan,))
