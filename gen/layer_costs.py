"""What the layers of a network cost on cores of any width: cycles from recorded spikes, resources from the plan."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.sim.golden import Trace
from hillock.sim.layout import walk_lengths
from hillock.sim.network import INPUT, IntArray, Network

from .mapping import fit, place
from .partition import partition
from .pipeline import part_activity
from .resources import Resources, predict

__all__ = ["GroupCost", "LayerCosts"]

OVERHEAD = 9
"""Cycles that a layer waits in each timestep, about: the change, and the first spike of the layer before it."""


class GroupCost:
    """Some layers on one core: its configuration, what it takes of an FPGA, and its cycles for an inference."""

    def __init__(self, config: CoreConfig, resources: Resources, cycles: float):
        self.config, self.resources, self.cycles = config, resources, cycles


class LayerCosts:
    """Costs of groups of layers that follow each other, remembered.

    Parameters
    ----------
    network : Network
    traces : recorded inferences, at least one
    """

    def __init__(self, network: Network, traces: Sequence[Trace]):
        self.network = network
        steps = network.timesteps
        self._events: dict[str, IntArray] = {
            layer.name: sum(trace.layers[index].spikes.sum(axis=0) for trace in traces) / len(traces)
            for index, layer in enumerate(network.layers)
        }
        if not network.image_input:
            counts = np.zeros(network.inputs)
            for trace in traces:
                for step in trace.events:
                    for address, _ in step:
                        counts[address] += 1
            self._events[INPUT] = counts / len(traces)
        self.activity = {name: float(events.mean()) / steps for name, events in self._events.items()}
        self.group = cache(self._group)

    def _group(self, first: int, last: int, lanes: int) -> GroupCost | None:
        """The layers from `first` to before `last` on a core of this many lanes; None where no core can hold them."""
        cuts = [cut for cut in (first, last) if 0 < cut < len(self.network.layers)]
        part = partition(self.network, cuts)[1 if first else 0]
        sizes = {"passes_on": int(last < len(self.network.layers)), "image_banks": 2 if part.image_input else 1}
        activity = part_activity(self.network, part, self.activity)
        try:
            config = fit(part, lanes, activity=activity, **sizes)
        except HillockError:
            return None
        placement = place(part, config, activity=activity)
        cycles = 0.0
        for index, where in enumerate(placement.layers, first):
            cycles += self.network.timesteps * (where.layout.words + OVERHEAD) + where.layout.words
            for connection in self.network.layers[index].connections:
                shape = self.network.shape_of(connection.source)
                cycles += float(self._events[connection.source] @ walk_lengths(connection, shape, where.layout))
        return GroupCost(config, predict(config), cycles)
