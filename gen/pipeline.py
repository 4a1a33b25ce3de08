"""A network on several cores in a pipeline: which layers each runs, and everything that is loaded into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hillock.hw.config import CoreConfig
from hillock.hw.core import MemoryInit
from hillock.hw.problems import HillockError, Problems
from hillock.hw.registers import BUS_ADDRESS_BITS
from hillock.sim.network import INPUT, Network
from hillock.sim.plan import Pipeline

from .image import bus_writes, encode, memory_init
from .layouts import ACTIVITY, Activity, Layouts
from .mapping import Placement, fit, place
from .partition import partition
from .relays import with_relays

__all__ = ["PipelinePlacement", "cut_indices", "part_activity", "place_pipeline"]


@dataclass(frozen=True, eq=False)
class PipelinePlacement:
    """A network, relays included, and the placement of each of its parts on a core of its own."""

    network: Network
    cores: tuple[Placement, ...]

    @property
    def configs(self) -> list[CoreConfig]:
        """The cores."""
        return [core.config for core in self.cores]

    @property
    def pipeline(self) -> Pipeline:
        """What a simulation must know of it."""
        return Pipeline(self.network, tuple(core.plan for core in self.cores))

    def memory_inits(self) -> list[MemoryInit]:
        """What each core is generated with."""
        return [memory_init(encode(core)) for core in self.cores]

    def bus_writes(self) -> NDArray[np.uint32]:
        """(address, value) rows that load everything into idle cores."""
        parts = []
        for number, core in enumerate(self.cores):
            rows = bus_writes(encode(core), core.config).copy()
            rows[:, 0] += np.uint32(number << BUS_ADDRESS_BITS)
            parts.append(rows)
        return np.concatenate(parts)


def place_pipeline(
    network: Network,
    cuts: Sequence[int],
    lanes: Sequence[int],
    *,
    layouts: Layouts | None = None,
    activity: Activity = ACTIVITY,
    **sizes: int,
) -> PipelinePlacement:
    """Place `network`, with a relay behind each cut that needs one, on the smallest cores that hold its parts.

    Parameters
    ----------
    cuts : indices of the layers with which the second and later cores begin
    lanes : lanes of each core
    layouts, activity : see `mapping.place`
    sizes : fields of every `CoreConfig`

    Raises a `HillockError` for what cannot be cut or placed.
    """
    cores = []
    network, cuts = with_relays(network, cuts)
    parts = partition(network, cuts)
    names = [layer.name for layer in network.layers]
    unknown = sorted(set(layouts or {}) - set(names))
    if unknown:
        raise HillockError(
            f"network {network.name!r}: layouts are given for {unknown}: these are not layers; there are {names}"
        )
    for part, count in zip(parts, lanes, strict=True):
        given = {layer.name: layouts[layer.name] for layer in part.layers if layouts and layer.name in layouts}
        rates = part_activity(network, part, activity)
        own = {"passes_on": int(part is not parts[-1]), "image_banks": 2 if part.image_input else 1, **sizes}
        config = fit(part, count, layouts=given, activity=rates, **own)
        cores.append(place(part, config, given, rates))
    return PipelinePlacement(network, tuple(cores))


def cut_indices(network: Network, cuts: Sequence[str], lanes: Sequence[int]) -> list[int]:
    """The layers called `cuts`, with which the second and later cores begin, by index; `lanes` are those of each core.

    What does not fit together is a `HillockError`, in the words of the command line.
    """
    problems = Problems(f"network {network.name!r} on {len(lanes)} cores")
    names = [layer.name for layer in network.layers]
    problems.require(
        len(lanes) == len(cuts) + 1,
        f"--lanes must be given for each core, and a layer to --cut before for each but the first, not {len(lanes)} "
        f"lanes and {len(cuts)} layers",
    )
    for name in cuts:
        problems.require(name in names, f"cut before {name!r}: it must be one of its layers, {', '.join(names)}")
    problems.raise_any()
    return [names.index(name) for name in cuts]


def part_activity(network: Network, part: Network, activity: Activity) -> Activity:
    """`activity` as a part of the network sees it: the input of a later part is a layer of the whole."""
    names = [layer.name for layer in network.layers]
    first = names.index(part.layers[0].name)
    if first == 0 or not isinstance(activity, Mapping):
        return activity
    return {**activity, INPUT: activity.get(names[first - 1], ACTIVITY)}
