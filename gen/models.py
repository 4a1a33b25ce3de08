"""The trained networks that come with the project, by name or as a path."""

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from hillock.hw.problems import HillockError
from hillock.sim import network_file
from hillock.sim.network import Decision, Network

__all__ = ["MODELS", "Model", "load_model"]

MODELS = Path(__file__).resolve().parent.parent / "models"
"""Folder of the trained networks."""


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network, where it lies, and what was measured when it was made.

    Accuracies are None where nothing is decided.
    """

    folder: Path
    network: Network
    dataset: str
    float_accuracy: float | None
    integer_accuracy: float | None


def load_model(name: str) -> Model:
    """The model in the folder `name`, or the one called `name` in `MODELS`; a `HillockError` says what there is."""
    folder = next((path for path in (Path(name), MODELS / name) if (path / "model.json").is_file()), None)
    if folder is None:
        known = sorted(path.parent.name for path in MODELS.glob("*/model.json"))
        close = get_close_matches(name, known, 1)
        meant = f"; did you mean {close[0]!r}?" if close else ""
        raise HillockError(f"model {name!r}: must be one of {', '.join(known)}, or a folder with a model.json{meant}")
    path = folder / "model.json"
    try:
        about = json.loads(path.read_text())
        dataset, scores = about["data"]["name"], (about["float"], about["integer"])
        network = network_file.load(folder / "network.hlk")
        decides = network.decision is not Decision.NONE
        figures = [score["accuracy"] if decides else None for score in scores]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HillockError(
            f"{path}: it must be what `train` writes ({type(error).__name__}: {error}): train the model again"
        ) from None
    return Model(folder, network, dataset, *figures)
