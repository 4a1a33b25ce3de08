"""Holds what came out of the gateware against the golden model, and names the first difference."""

from dataclasses import dataclass, field

import numpy as np

from .golden import Trace
from .harness import Measured
from .plan import Pipeline, Plan, as_pipeline
from .timing import Timeline

__all__ = ["Comparison", "Difference", "compare"]


@dataclass(frozen=True)
class Difference:
    """One value that is not as expected. `cycle` is the measured one; what is not meant is None."""

    what: str
    cycle: int | None
    timestep: int | None
    layer: str
    neuron: int | None
    expected: object
    actual: object

    def __str__(self) -> str:
        place = [f"layer {self.layer}"]
        for name, value in (("timestep", self.timestep), ("neuron", self.neuron), ("cycle", self.cycle)):
            if value is not None:
                place.append(f"{name} {value}")
        return f"{self.what} at {', '.join(place)}: expected {self.expected}, got {self.actual}"


@dataclass
class Comparison:
    """How much was compared, how much differed, and the first difference in the order in which the core works."""

    spikes_compared: int = 0
    potentials_compared: int = 0
    cycles_compared: int = 0
    results_compared: int = 0
    spike_mismatches: int = 0
    potential_mismatches: int = 0
    cycle_mismatches: int = 0
    result_mismatches: int = 0
    inferences: int = 0
    first: Difference | None = field(default=None)

    @property
    def equal(self) -> bool:
        """Whether something was compared and nothing differed."""
        compared = self.inferences and self.spikes_compared and self.potentials_compared and self.results_compared
        return bool(compared) and not (
            self.spike_mismatches or self.potential_mismatches or self.cycle_mismatches or self.result_mismatches
        )

    def add(self, other: "Comparison") -> None:
        """Count `other` in."""
        for name in vars(self).keys() - {"first"}:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.first = self.first or other.first


def compare(plan: Plan | Pipeline, trace: Trace, measured: Measured, timeline: Timeline | None) -> Comparison:
    """Compare one inference. Without a `timeline` (input or output were held back) cycles are not compared.

    `spikes_compared` counts the yes-or-no of every neuron in every timestep, silent ones included.
    """
    network = plan.network
    result = Comparison(inferences=1)
    found: list[tuple[tuple[int, int, int, int], Difference]] = []
    for index, (layer, expected) in enumerate(zip(network.layers, trace.layers, strict=True)):
        for rank, (what, wanted, got) in enumerate(
            (
                ("spike", expected.spikes, measured.spikes[index]),
                ("potential", expected.potentials, measured.potentials[index]),
            )
        ):
            both = min(len(wanted), len(got))
            differs = wanted[:both] != got[:both]
            count = int(differs.sum())
            for step, neuron in np.argwhere(differs)[:1].tolist():
                found.append(
                    (
                        (step, index, rank, neuron),
                        Difference(
                            what,
                            int(measured.fire[step, index]),
                            step + 1,
                            layer.name,
                            neuron,
                            wanted[step, neuron].item(),
                            got[step, neuron].item(),
                        ),
                    )
                )
            if len(wanted) != len(got):  # which timestep is missing cannot be known: none of the layer counts as equal
                count = wanted.size
                found.append(
                    (
                        (both, index, rank, 0),
                        Difference(
                            f"number of {what}s (timesteps, neurons)",
                            None,
                            None,
                            layer.name,
                            None,
                            wanted.shape,
                            got.shape,
                        ),
                    )
                )
            if what == "spike":
                result.spikes_compared += wanted.size
                result.spike_mismatches += count
            else:
                result.potentials_compared += wanted.size
                result.potential_mismatches += count

    last, end = network.layers[-1].name, (network.timesteps, len(network.layers), 0, 0)
    events = [event for _, *event in measured.output]
    wanted_events: list[list[int | None]] = []
    order, outputs = as_pipeline(plan).plans[-1].orders[-1], trace.layers[-1]
    for fired, payloads in zip(outputs.spikes, outputs.payloads, strict=True):
        addresses = order[fired[order]]
        wanted_events += [*map(list, zip(addresses.tolist(), payloads[addresses].tolist(), strict=True)), [None, 0]]
    result.results_compared += 2
    if events != wanted_events:
        result.result_mismatches += 1
        at = next(
            (i for i, pair in enumerate(zip(wanted_events, events, strict=False)) if pair[0] != pair[1]),
            min(len(events), len(wanted_events)),
        )
        found.append(
            (
                end,
                Difference(
                    f"output event {at}",
                    measured.output[at][0] if at < len(events) else None,
                    None,
                    last,
                    None,
                    wanted_events[at : at + 1],
                    events[at : at + 1],
                ),
            )
        )
    if measured.decision != trace.decision:
        result.result_mismatches += 1
        found.append(
            (end, Difference("decision", measured.decision_cycle, None, last, None, trace.decision, measured.decision))
        )
    if timeline is not None:
        _compare_cycles(plan, measured, timeline, result, found)
    result.first = min(found, key=lambda entry: entry[0])[1] if found else None
    return result


def _compare_cycles(
    plan: Plan | Pipeline,
    measured: Measured,
    timeline: Timeline,
    result: Comparison,
    found: list[tuple[tuple[int, int, int, int], Difference]],
) -> None:
    network = plan.network
    late = timeline.fire != measured.fire
    result.cycles_compared += late.size + len(timeline.output) + 1
    result.cycle_mismatches += int(late.sum()) + int(measured.words_late)
    for step, index in np.argwhere(late)[:1].tolist():
        found.append(
            (
                (step, index, 2, 0),
                Difference(
                    "cycle of the fire pass",
                    int(measured.fire[step, index]),
                    step + 1,
                    network.layers[index].name,
                    None,
                    int(timeline.fire[step, index]),
                    int(measured.fire[step, index]),
                ),
            )
        )
    last, end = network.layers[-1].name, (network.timesteps, len(network.layers), 1, 0)
    if measured.words_late:
        found.append((end, Difference("a word of a fire pass", None, None, last, None, "in the next cycle", "later")))
    result.cycle_mismatches += abs(len(timeline.output) - len(measured.output))  # one side has no cycle at all
    for at, (wanted, got) in enumerate(zip(timeline.output, measured.output, strict=False)):
        if wanted[0] != got[0]:
            result.cycle_mismatches += 1
            found.append(
                (end, Difference(f"cycle of output event {at}", got[0], None, last, got[1], wanted[0], got[0]))
            )
    if timeline.decision != measured.decision_cycle:
        result.cycle_mismatches += 1
        found.append(
            (
                end,
                Difference(
                    "cycle of the decision",
                    measured.decision_cycle,
                    None,
                    last,
                    None,
                    timeline.decision,
                    measured.decision_cycle,
                ),
            )
        )
