"""The preloads of a rate-coded network that make its rates right soonest (Hwang et al. 2021, PCMP).

A preload is a fraction of its layer's threshold. The cost of layer l with preload V, all earlier layers given, is

    cost_l(V) = sum over t = 1..T of the mean over neurons and images of (N_l(t) / t - a_l)^2

with N_l(t) the spikes of a neuron in the timesteps 1..t and a_l its normalised activation (`Reference`). All neurons
count, those with a_l = 0 too.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import Problems
from hillock.sim.layer import Layer, ResetMode
from hillock.sim.layer_runs import LayerRuns, SpikeTrains
from hillock.sim.network import Network
from hillock.sim.sums import Product

from .convert import SpikingNetwork
from .datasets import ImageArray
from .float_network import FloatNetwork

__all__ = ["GRID", "Curve", "PreloadSearch", "Reference", "Work", "optimise_preloads", "with_preloads"]

GRID = tuple(hundredth / 100 for hundredth in range(51))
"""The preloads of the paper's Algorithm 1."""

_CHUNK = 100
"""Images whose activations are calculated together."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What the rates of a spiking network should be: the activations of the `network` that `spiking` was made from."""

    network: FloatNetwork
    spiking: SpikingNetwork

    def rates(self, layer: Layer, images: ImageArray) -> NDArray[np.float32]:
        """a [image, neuron] of a layer of the integer network: its ReLU activation, of which one spike per timestep
        stands for `SpikingLayer.activation`; of the encoder, pixel / 255.

        No rate is above one spike per timestep, and so a is not either: what lies above is an error of the
        normalisation, which no preload removes. Of a last layer without ReLU, what is negative is 0.
        """
        if layer.current_from_image:
            return (images / 255).astype(np.float32)
        index = [one.name for one in self.network.layers].index(layer.name)
        scale = self.spiking.layers[index].activation
        starts = range(0, len(images), _CHUNK)
        parts = (self.network.activations(images[start : start + _CHUNK])[index] / scale for start in starts)
        return np.concatenate([part.clip(0, 1).astype(np.float32) for part in parts])


@dataclass
class Work:
    """Synaptic operations, updates of a neuron in a timestep, and the seconds that they took."""

    synaptic_operations: int = 0
    neuron_updates: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Curve:
    """The cost of a layer for every preload that was looked at, ascending; `best` is the lowest with the lowest cost.

    `single_minimum` is false where these costs do not fall to `best` and rise behind it, as on a plateau.
    """

    layer: str
    costs: Mapping[float, float]
    single_minimum: bool

    @property
    def best(self) -> float:
        """The preload of the layer."""
        return min(self.costs, key=lambda preload: (self.costs[preload], preload))


@dataclass(frozen=True)
class PreloadSearch:
    """What a search found, layer by layer, and the work that it did.

    `algorithm_1` is what the paper's algorithm does for the same result: for every preload of the grid, a simulation of
    the layer and of all earlier ones. Its seconds are not known, and 0.
    """

    curves: tuple[Curve, ...]
    work: Work
    algorithm_1: Work

    @property
    def fractions(self) -> dict[str, float]:
        """The best preload of every layer by name."""
        return {curve.layer: curve.best for curve in self.curves}


def with_preloads(network: Network, fractions: float | Mapping[str, float]) -> Network:
    """`network` with other preloads: V0 = rint(fraction theta), one for all or by the name of the layer.

    Layers that reset in every timestep keep theirs when one is given for all.
    Raises `HillockError` for a fraction outside 0 to below 1 and for a name that no layer has.
    """
    problems = Problems(f"preloads of network {network.name!r}")
    if not isinstance(fractions, Mapping):
        fractions = {layer.name: fractions for layer in network.layers if _has_memory(layer)}
    names = [layer.name for layer in network.layers]
    for name, fraction in fractions.items():
        problems.require(name in names, f"there is no layer {name!r}: its layers are {', '.join(names)}")
        problems.require(
            0 <= fraction < 1,
            f"layer {name!r}: a preload must be a fraction of the threshold, from 0 to below 1, not {fraction}",
        )
    problems.raise_any()
    layers = (
        replace(layer, preload=_preload(layer, fractions[layer.name])) if layer.name in fractions else layer
        for layer in network.layers
    )
    return replace(network, layers=tuple(layers))


def optimise_preloads(
    network: Network,
    reference: Reference,
    images: ImageArray,
    *,
    grid: Sequence[float] = GRID,
    timesteps: int = 255,
    method: Literal["sequential", "bracketing"] = "bracketing",
    threads: int | None = None,
    product: Product | None = None,
    progress: Callable[[Curve], object] = lambda curve: None,
) -> PreloadSearch:
    """The preload of every layer that has the lowest cost over `images`, all earlier layers having theirs.

    Both methods run each layer on its own, with the spikes of its sources, and add up what reaches it once for all
    preloads of a round. "sequential" is Algorithm 1: every preload of the grid. "bracketing" uses that the cost has one
    minimum: it looks at every ninth preload, then at every third around the lowest, then at all those less than six
    from the lowest of these, since integers make a cost rough: 18 of 51, in three rounds. Where the costs beyond do not
    fall towards them and rise behind, it looks at all the others too. A layer of so few neurons that the whole grid
    takes no more updates than one simulation of the widest layer is not worth three rounds: it has one, of the whole
    grid.

    Preloads that round to the same register are one. Layers that reset in every timestep keep theirs. `progress` is
    given the curve of each layer. Raises `HillockError` for layers that are not the reference's, and for a grid that is
    not ascending from 0 to below 1.
    """
    started = time.perf_counter()
    _check(network, reference, images, grid, timesteps, method)
    network = replace(network, timesteps=timesteps, delay=0)
    runs = LayerRuns(network, images, threads=threads, product=product)
    trains: dict[str, SpikeTrains] = {}
    curves = []
    work, paper = Work(), Work()
    before = Work()  # of one simulation of the layers up to this one
    widest = max(layer.neurons for layer in network.layers)
    for index, layer in enumerate(network.layers):
        operations = runs.additions(index, trains)
        updates = layer.neurons * timesteps * len(images)
        before.synaptic_operations += operations
        before.neuron_updates += updates
        preload = layer.preload
        if _has_memory(layer):
            rates = reference.rates(layer, images)
            search = _LayerSearch(layer, grid, lambda some: runs.errors(index, trains, some, rates).tolist())  # noqa: B023
            curve = search.run("sequential" if layer.neurons * len(grid) <= widest else method)
            curves.append(curve)
            progress(curve)
            preload = _preload(layer, curve.best)
            work.synaptic_operations += search.rounds * operations
            work.neuron_updates += len(search.costs) * updates
            paper.synaptic_operations += len(grid) * before.synaptic_operations
            paper.neuron_updates += len(grid) * before.neuron_updates
        if any(one.source == layer.name for later in network.layers[index:] for one in later.connections):
            trains[layer.name] = runs.trains(index, trains, preload)
            work.synaptic_operations += operations
            work.neuron_updates += updates
        needed = {one.source for later in network.layers[index + 1 :] for one in later.connections}
        trains = {name: train for name, train in trains.items() if name in needed}
    work.seconds = time.perf_counter() - started
    return PreloadSearch(tuple(curves), work, paper)


@dataclass
class _LayerSearch:
    """The search for one layer; `cost` gives those of some preloads, in potential units, in one round."""

    layer: Layer
    grid: Sequence[float]
    cost: Callable[[list[int]], list[float]]
    costs: dict[int, float] = field(default_factory=dict)
    rounds: int = 0

    def run(self, method: str) -> Curve:
        # The lowest fraction of those that round to the same register: what a first lowest cost would find.
        lowest = {_preload(self.layer, fraction): fraction for fraction in reversed(self.grid)}
        registers = sorted(lowest)
        if method == "sequential":
            self._look(registers)
        else:
            self._look(registers[4::9] or registers[-1:])
            self._look_around(registers, 3, 6)
            self._look_around(registers, 1, 5)
            while not {*self._around(registers, 1, 2)} <= self.costs.keys():
                self._look_around(registers, 1, 5)
            if not _falls_and_rises(self._beyond(registers)):
                self._look(registers)
        single = _falls_and_rises([self.costs[one] for one in sorted(self.costs)])
        return Curve(self.layer.name, {lowest[one]: self.costs[one] for one in sorted(self.costs)}, single)

    def _look(self, preloads: Sequence[int]) -> None:
        new = [preload for preload in preloads if preload not in self.costs]
        if new:
            self.costs |= dict(zip(new, self.cost(new), strict=True))
            self.rounds += 1

    def _look_around(self, registers: Sequence[int], step: int, reach: int) -> None:
        self._look(self._around(registers, step, reach))

    def _around(self, registers: Sequence[int], step: int, reach: int) -> list[int]:
        """Every `step`-th register up to `reach` from the one with the lowest cost."""
        at = registers.index(self._best())
        near = range(at - reach, at + reach + 1, step)
        return [registers[place] for place in near if 0 <= place < len(registers)]

    def _best(self) -> int:
        return min(self.costs, key=lambda preload: (self.costs[preload], preload))

    def _beyond(self, registers: Sequence[int]) -> list[float]:
        """The lowest cost, and before and behind it those beyond the registers around it that have all been seen."""
        first = last = registers.index(self._best())
        while first > 0 and registers[first - 1] in self.costs:
            first -= 1
        while last + 1 < len(registers) and registers[last + 1] in self.costs:
            last += 1
        inside = {*registers[first : last + 1]} - {self._best()}
        return [self.costs[preload] for preload in sorted(self.costs) if preload not in inside]


def _falls_and_rises(values: Sequence[float]) -> bool:
    """Whether the values fall to the lowest and rise behind it, all of them."""
    least = values.index(min(values))
    slopes = np.diff(values)
    return bool((slopes[:least] < 0).all() and (slopes[least:] > 0).all())


def _check(
    network: Network, reference: Reference, images: ImageArray, grid: Sequence[float], timesteps: int, method: str
) -> None:
    problems = Problems(f"search for the preloads of network {network.name!r}")
    sizes = {layer.name: layer.shape.neurons for layer in reference.network.layers}
    for layer in network.layers:
        if layer.current_from_image or not _has_memory(layer):
            continue
        problems.require(
            sizes.get(layer.name) == layer.neurons,
            f"layer {layer.name!r}: the reference must have it, with {layer.neurons} neurons, and has "
            f"{sizes.get(layer.name, 'none')}",
        )
        problems.require(layer.fires, f"layer {layer.name!r}: it must fire to have a rate: decide by count")
    problems.require(
        [layer.name for layer in reference.network.layers] == [layer.name for layer in reference.spiking.layers],
        "the two networks of the reference must have the same layers: give the one that the other was made from",
    )
    ascending = all(low < high for low, high in pairwise(grid))
    problems.require(
        len(grid) and ascending and grid[0] >= 0 and grid[-1] < 1,
        f"grid must be ascending fractions of the threshold, from 0 to below 1, not {list(grid)}",
    )
    problems.require(
        method in ("sequential", "bracketing"), f"method must be 'sequential' or 'bracketing', not {method!r}"
    )
    problems.require(timesteps > 0, f"timesteps must be at least 1, not {timesteps}")
    problems.require(len(images), "there must be images to search with, and there are none")
    problems.raise_any()


def _has_memory(layer: Layer) -> bool:
    return layer.reset_mode is not ResetMode.EVERY_TIMESTEP


def _preload(layer: Layer, fraction: float) -> int:
    return round(fraction * layer.threshold)
