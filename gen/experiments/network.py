"""A network with the preload, the delay and the timesteps that an experiment chose, as a folder that `verify` takes."""

import json
from dataclasses import replace
from pathlib import Path

from hillock.gen.delay_search import DelayChoice, with_delay
from hillock.gen.float_file import save_float
from hillock.gen.quantize import narrowed
from hillock.sim import network_file
from hillock.sim.network import Network

from .setting import Setting

__all__ = ["write_network"]


def write_network(setting: Setting, network: Network, criterion: str, choice: DelayChoice, cache: Path) -> Network:
    """Write `network`, with the narrowest potentials that are safe, to `cache`/networks/<model>-<criterion>.

    Returns what was written.
    """
    name = f"{setting.name}-{criterion}"
    result = narrowed(replace(with_delay(network, choice), name=name))
    folder = cache / "networks" / name
    score = {"accuracy": round(setting.float_accuracy, 6)} if setting.decides else {}
    wanted = {"accuracy": None} if setting.decides else {}
    record = {
        "data": {"name": setting.dataset.name, "digest": setting.dataset.digest, "test_images": len(setting.images)},
        "float": score,
        "integer": {"digest": result.digest(), "timesteps": result.timesteps, "delay": result.delay} | wanted,
    }
    network_file.save(result, folder / f"network{network_file.SUFFIX}")
    save_float(setting.float_network, folder / "float.npz")
    network_file.write_file(folder / "model.json", (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    return result
