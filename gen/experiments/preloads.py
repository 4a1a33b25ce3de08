"""The preloads that experiments compare: global ones, and the layer-wise optimum of Algorithm 1."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from hillock.gen.byte_product import byte_product
from hillock.gen.preload_search import optimise_preloads, with_preloads
from hillock.sim.archive import write_file
from hillock.sim.network import Network

from .experiment import Options
from .setting import TIMESTEPS, Setting

__all__ = ["GLOBAL", "LAYER_WISE", "networks", "search"]

GLOBAL = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Preloads of all layers, as fractions of the threshold."""

LAYER_WISE = "layer-wise"

_FORMAT = 1

Method = Literal["sequential", "bracketing"]


def networks(setting: Setting, layer_wise: dict[str, float]) -> dict[str, Network]:
    """The network of `setting` with every preload that is compared, by its name: "0.0" .. "0.5" and `LAYER_WISE`."""
    compared = {f"{fraction:.1f}": with_preloads(setting.network, fraction) for fraction in GLOBAL}
    return compared | {LAYER_WISE: with_preloads(setting.network, layer_wise)}


def search(
    setting: Setting,
    options: Options,
    method: Method = "bracketing",
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """The layer-wise search on the first training images, as `options` say; from a file where it was made before.

    By name: the `fractions` of the layers, the `costs` that were looked at as [preload, cost] by layer, whether they
    have a `single_minimum`, the `work` of the method and that of the paper's `algorithm_1`.
    """
    some = setting.dataset.train_images[: options.search_images]
    timesteps = options.search_timesteps
    over = f" {timesteps}" if timesteps != TIMESTEPS else ""
    key = f"{_FORMAT} {setting.network.digest()} {method}{over}".encode() + some.tobytes()
    path = options.cache / "searches" / f"{hashlib.sha256(key).hexdigest()[:16]}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        progress(len(setting.network.layers))
        return found
    except (OSError, ValueError):
        pass
    result = optimise_preloads(
        setting.network,
        setting.reference,
        np.asarray(some),
        timesteps=timesteps,
        method=method,
        product=byte_product(),
        progress=lambda curve: progress(1),
    )
    found = {
        "fractions": result.fractions,
        "costs": {curve.layer: [[at, round(cost, 6)] for at, cost in curve.costs.items()] for curve in result.curves},
        "single_minimum": {curve.layer: curve.single_minimum for curve in result.curves},
        "work": asdict(result.work),
        "algorithm_1": asdict(result.algorithm_1),
    }
    write_file(path, json.dumps(found).encode())
    return found
