"""A network on the cores of a bitstream that was built: with their sizes, and the layouts that were chosen for them."""

import json
from pathlib import Path
from typing import Any

from hillock.hw.problems import HillockError
from hillock.sim.network import Network

from .manifest import read_images
from .mapping import Placement, place
from .partition import partition
from .pipeline import PipelinePlacement
from .relays import with_relays

__all__ = ["placement_on", "read_build"]

_FORMAT = "hillock build"


def read_build(build: Path) -> dict[str, Any]:
    """The manifest of what `hillock build` wrote to the folder `build`; a `HillockError` if there is none."""
    path = build / "manifest.json"
    try:
        found = dict(json.loads(path.read_text()))
        if found["format"] != _FORMAT or not found["images"]:
            raise ValueError(f"its format is {found['format']!r}, and must be {_FORMAT!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HillockError(
            f"{path}: it must be what 'hillock build' writes, in build/<board>/<model> "
            f"({type(error).__name__}: {error})"
        ) from None
    return found


def placement_on(build: Path, network: Network) -> PipelinePlacement:
    """`network` on the cores of the build in that folder.

    It must have the layers of the network that was built; weights and all other numbers may differ. A `HillockError`
    says what does not fit.
    """
    olds = [read_images(build / name)[1] for name in read_build(build)["images"]]
    names = [layer.name for layer in network.layers]
    cuts = []
    for old in olds[1:]:
        first = next((layer.name for layer in old.network.layers if layer.name in names), None)
        if first is None:
            raise HillockError(f"network {network.name!r}: {_layers(old)}, and it has none of these: build a bitstream")
        cuts.append(names.index(first))
    network, cuts = with_relays(network, cuts)
    cores = []
    for part, old in zip(partition(network, cuts), olds, strict=True):
        layouts = {
            layer.name: (where.layout.channels, where.layout.columns)
            for layer, where in zip(old.network.layers, old.layers, strict=True)
        }
        if [layer.name for layer in part.layers] != list(layouts):
            raise HillockError(
                f"network {network.name!r}: {_layers(old)}, and it has "
                f"{', '.join(layer.name for layer in part.layers)} there: build a bitstream"
            )
        cores.append(place(part, old.config, layouts))
    return PipelinePlacement(network, tuple(cores))


def _layers(old: Placement) -> str:
    return f"a core of the bitstream is for the layers {', '.join(layer.name for layer in old.network.layers)}"
