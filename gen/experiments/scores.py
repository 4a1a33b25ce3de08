"""How good a network is after each timestep, and how soon that is good enough: by accuracy, or by error."""

from dataclasses import dataclass

import numpy as np

from hillock.gen.delay_search import accuracy_by_delay, error_by_delay
from hillock.gen.float_network import FloatArray
from hillock.gen.latency import CRITERIA, accuracy_at, error_at, first_at

from .runs import Run
from .setting import Setting

__all__ = ["REFERENCE", "Measure", "measure_of"]

REFERENCE = "reference"
"""The one criterion of a network that gives back an image: the error without preload after all timesteps."""


@dataclass(frozen=True, eq=False)
class Measure:
    """What a setting is measured by: "accuracy", or "mse" between the output rates and the float network's outputs.

    `wanted` are the scores to reach, by the name of the criterion: "t99.0" is the first timestep at which the accuracy
    reaches 99.0 % of the float network's (Hwang et al. 2021).
    """

    setting: Setting
    wanted: dict[str, float]

    @property
    def falling(self) -> bool:
        """Whether lower is better."""
        return not self.setting.decides

    @property
    def name(self) -> str:
        """What it is called in a record."""
        return "mse" if self.falling else "accuracy"

    def at(self, run: Run) -> FloatArray:
        """The score after each timestep, [T]."""
        if self.falling:
            return error_at(run.output, self.setting.rates)
        return accuracy_at(run.decisions_at, self.setting.labels)

    def by_delay(self, run: Run) -> FloatArray:
        """The score [D, t - 1] for every delay; not a number up to it."""
        if self.falling:
            return error_by_delay(run.output, self.setting.rates)
        return accuracy_by_delay(run.output, self.setting.labels, self.setting.network.layers[-1].neurons)

    def first(self, scores: FloatArray) -> dict[str, int | None]:
        """For each criterion, the first timestep at which it is reached."""
        usable = np.nan_to_num(scores, nan=np.inf if self.falling else -np.inf)
        return {name: first_at(usable, wanted, falling=self.falling) for name, wanted in self.wanted.items()}


def measure_of(setting: Setting, without_preload: Run) -> Measure:
    """The measure of a setting; the error to reach is that of its run without preload."""
    if setting.decides:
        return Measure(setting, {f"t{percent}": percent / 100 * setting.float_accuracy for percent in CRITERIA})
    return Measure(setting, {REFERENCE: float(error_at(without_preload.output, setting.rates)[-1])})
