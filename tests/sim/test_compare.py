"""Every way in which a result can differ is found, counted and named."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hillock.sim import golden
from hillock.sim.compare import Comparison, compare
from hillock.sim.harness import Measured
from hillock.sim.network import INPUT, Connection, Decision, Dense, Layer, Network, Shape
from hillock.sim.timing import time_inference
from plain_plans import plain_plan

HIDDEN = Layer(
    name="hidden",
    shape=Shape(3),
    threshold=5,
    reset_amount=5,
    connections=(Connection(INPUT, Dense(np.array([[5, 5, 0], [0, 3, 5]]))),),
)
OUTPUT = Layer(
    name="out",
    shape=Shape(3),
    threshold=4,
    reset_amount=4,
    connections=(Connection("hidden", Dense(np.array([[4, 1, 1], [1, 2, 4], [0, 4, 0]]))),),
)
NETWORK = Network(name="n", input=Shape(2), layers=(HIDDEN, OUTPUT), timesteps=3, fraction_bits=0)
PLAN = plain_plan(NETWORK, 2)
TRACE = golden.run(NETWORK, events=[[0], [0, 1], [1]])
TIMELINE = time_inference(PLAN, TRACE)
EVENTS = [
    (41, 0, 1), (42, 2, 1), (43, None, 0), (66, 0, 1), (67, 1, 1), (68, 2, 1), (69, None, 0), (87, 1, 1), (88, 2, 1),
    (89, None, 0),
]  # fmt: skip


def perfect() -> Measured:
    """What a right core would give."""
    return Measured(
        spikes=[layer.spikes.copy() for layer in TRACE.layers],
        potentials=[layer.potentials.copy() for layer in TRACE.layers],
        fire=TIMELINE.fire.copy(),
        words_late=False,
        output=list(TIMELINE.output),
        decision=TRACE.decision,
        decision_cycle=TIMELINE.decision,
    )


def counts(result: Comparison) -> tuple[int, int, int, int]:
    return result.spike_mismatches, result.potential_mismatches, result.cycle_mismatches, result.result_mismatches


def test_the_case_is_the_one_worked_with_below():
    assert TRACE.layers[0].spikes.astype(int).tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    assert TRACE.layers[1].spikes.astype(int).tolist() == [[1, 0, 1], [1, 1, 1], [0, 1, 1]]
    assert TRACE.layers[1].potentials.tolist() == [[1, 3, 1], [2, 6, 2], [3, 8, 2]]
    assert TIMELINE.fire.tolist() == [[24, 38], [47, 63], [70, 84]]
    assert TIMELINE.output == EVENTS
    assert (TRACE.decision, TIMELINE.decision) == (2, 90)


def test_no_difference():
    result = compare(PLAN, TRACE, perfect(), TIMELINE)
    # 3 timesteps of 6 neurons; 3 times 2 fire passes, 10 output events and the decision; output events, and decision.
    assert dataclasses.asdict(result) == {
        "spikes_compared": 18,
        "potentials_compared": 18,
        "cycles_compared": 17,
        "results_compared": 2,
        "spike_mismatches": 0,
        "potential_mismatches": 0,
        "cycle_mismatches": 0,
        "result_mismatches": 0,
        "inferences": 1,
        "first": None,
    }
    assert result.equal


# What is done to a measurement, what is counted (spikes, potentials, cycles, results), and the text.
Case = tuple[Callable[[Measured], object], tuple[int, int, int, int], str]


def changed(**values) -> Callable[[Measured], Measured]:
    return lambda measured: dataclasses.replace(measured, **values)


def without_timestep(measured: Measured) -> Measured:
    """The second layer's last fire pass is missing."""
    spikes, potentials, fire = list(measured.spikes), list(measured.potentials), measured.fire.copy()
    spikes[1], potentials[1], fire[2, 1] = spikes[1][:2], potentials[1][:2], -1
    return dataclasses.replace(measured, spikes=spikes, potentials=potentials, fire=fire, output=EVENTS[:7])


def with_timestep(measured: Measured) -> Measured:
    """The first layer had a fire pass too many."""
    spikes, potentials = list(measured.spikes), list(measured.potentials)
    spikes[0] = np.concatenate([spikes[0], spikes[0][:1]])
    potentials[0] = np.concatenate([potentials[0], potentials[0][:1]])
    return dataclasses.replace(measured, spikes=spikes, potentials=potentials)


def at(name: str, layer: int, step: int, neuron: int, value: int) -> Callable[[Measured], None]:
    return lambda measured: getattr(measured, name)[layer].__setitem__((step, neuron), value)


def fire(step: int, layer: int, cycle: int) -> Callable[[Measured], None]:
    return lambda measured: measured.fire.__setitem__((step, layer), cycle)


def events(edit: Callable[[list], object]) -> Callable[[Measured], object]:
    return lambda measured: edit(measured.output) and None


CASES: dict[str, Case] = {
    "spike too many": (
        at("spikes", 0, 0, 2, True),
        (1, 0, 0, 0),
        "spike at layer hidden, timestep 1, neuron 2, cycle 24: expected False, got True",
    ),
    "spike too few": (
        at("spikes", 1, 2, 1, False),
        (1, 0, 0, 0),
        "spike at layer out, timestep 3, neuron 1, cycle 84: expected True, got False",
    ),
    "potential": (
        at("potentials", 1, 1, 1, -6),
        (0, 1, 0, 0),
        "potential at layer out, timestep 2, neuron 1, cycle 63: expected 6, got -6",
    ),
    "fire pass late": (
        fire(1, 0, 48),
        (0, 0, 1, 0),
        "cycle of the fire pass at layer hidden, timestep 2, cycle 48: expected 47, got 48",
    ),
    "fire pass early": (
        fire(2, 1, 83),
        (0, 0, 1, 0),
        "cycle of the fire pass at layer out, timestep 3, cycle 83: expected 84, got 83",
    ),
    "later words of a fire pass late": (
        changed(words_late=True),
        (0, 0, 1, 0),
        "a word of a fire pass at layer out: expected in the next cycle, got later",
    ),
    "output event late": (
        events(lambda output: output.__setitem__(4, (68, 1, 1))),
        (0, 0, 1, 0),
        "cycle of output event 4 at layer out, neuron 1, cycle 68: expected 67, got 68",
    ),
    "payload of an output event": (
        events(lambda output: output.__setitem__(4, (67, 1, 2))),
        (0, 0, 0, 1),
        "output event 4 at layer out, cycle 67: expected [[1, 1]], got [[1, 2]]",
    ),
    "output marker late": (
        events(lambda output: output.__setitem__(9, (91, None, 0))),
        (0, 0, 1, 0),
        "cycle of output event 9 at layer out, cycle 91: expected 89, got 91",
    ),
    "output events in another order": (
        events(lambda output: output.__setitem__(slice(3, 5), [(66, 1, 1), (67, 0, 1)])),
        (0, 0, 0, 1),
        "output event 3 at layer out, cycle 66: expected [[0, 1]], got [[1, 1]]",
    ),
    "output event before the marker instead of behind it": (
        events(lambda output: output.__setitem__(slice(1, 3), [(42, None, 0), (43, 2, 1)])),
        (0, 0, 0, 1),
        "output event 1 at layer out, cycle 42: expected [[2, 1]], got [[None, 0]]",
    ),
    "last output event missing": (
        events(lambda output: output.pop()),
        (0, 0, 1, 1),
        "output event 9 at layer out: expected [[None, 0]], got []",
    ),
    "output event too many": (
        events(lambda output: output.extend([(93, 2, 1)])),
        (0, 0, 1, 1),
        "output event 10 at layer out, cycle 93: expected [], got [[2, 1]]",
    ),
    # Behind it, all seven events come one place early: each in another cycle than expected there.
    "output event in the middle missing": (
        events(lambda output: output.pop(2)),
        (0, 0, 8, 1),
        "output event 2 at layer out, cycle 66: expected [[None, 0]], got [[0, 1]]",
    ),
    "no output events": (changed(output=[]), (0, 0, 10, 1), "output event 0 at layer out: expected [[0, 1]], got []"),
    "decision": (changed(decision=1), (0, 0, 0, 1), "decision at layer out, cycle 90: expected 2, got 1"),
    "cycle of the decision": (
        changed(decision_cycle=91),
        (0, 0, 1, 0),
        "cycle of the decision at layer out, cycle 91: expected 90, got 91",
    ),
    # All 9 values of the layer count as different: which of its timesteps is missing cannot be known.
    "timestep missing": (
        without_timestep,
        (9, 9, 4, 1),
        "number of spikes (timesteps, neurons) at layer out: expected (3, 3), got (2, 3)",
    ),
    "timestep too many": (
        with_timestep,
        (9, 9, 0, 0),
        "number of spikes (timesteps, neurons) at layer hidden: expected (3, 3), got (4, 3)",
    ),
}


@pytest.mark.parametrize(("change", "mismatches", "text"), CASES.values(), ids=CASES.keys())
def test_a_difference_is_found_counted_and_named(change, mismatches, text):
    measured = perfect()
    measured = change(measured) or measured
    result = compare(PLAN, TRACE, measured, TIMELINE)
    assert counts(result) == mismatches
    assert str(result.first) == text
    assert not result.equal
    assert (result.spikes_compared, result.potentials_compared) == (18, 18)


def test_every_single_bit_counts():
    """Each spike and each potential by itself, so that no neuron, timestep or layer is left out."""
    for layer, part in enumerate(NETWORK.layers):
        for step in range(3):
            for neuron in range(3):
                for name, what, seen in (("spikes", "spike", (1, 0, 0, 0)), ("potentials", "potential", (0, 1, 0, 0))):
                    measured = perfect()
                    values = getattr(measured, name)[layer]
                    values[step, neuron] ^= 1
                    result = compare(PLAN, TRACE, measured, TIMELINE)
                    assert counts(result) == seen
                    assert result.first is not None
                    where = (result.first.what, result.first.layer, result.first.timestep, result.first.neuron)
                    assert where == (what, part.name, step + 1, neuron)


def test_every_single_cycle_counts():
    for index in range(TIMELINE.fire.size):
        measured = perfect()
        measured.fire.flat[index] += 1
        assert counts(compare(PLAN, TRACE, measured, TIMELINE)) == (0, 0, 1, 0)
    for index, (cycle, *event) in enumerate(EVENTS):
        measured = perfect()
        measured.output[index] = (cycle + 1, *event)  # type: ignore[assignment]
        assert counts(compare(PLAN, TRACE, measured, TIMELINE)) == (0, 0, 1, 0)


# In the order in which the core works: timestep, then layer, then spike, potential, cycle; then output and decision.
STAGES = [
    CASES[name] for name in ("spike too many", "fire pass late", "potential", "spike too few", "output event late")
]


@pytest.mark.parametrize("number", range(len(STAGES)))
def test_the_first_of_several_differences_is_named(number):
    measured = perfect()
    for change, _, _ in STAGES[number:]:
        change(measured)
    result = compare(PLAN, TRACE, measured, TIMELINE)
    assert str(result.first) == STAGES[number][2]


@pytest.mark.parametrize("name", ["spikes", "potentials"])
def test_of_one_layer_the_first_timestep_and_then_the_lowest_neuron_is_named(name):
    measured = perfect()
    for step, neuron in ((2, 0), (1, 2), (1, 1), (2, 2)):
        getattr(measured, name)[1][step, neuron] ^= 1
    result = compare(PLAN, TRACE, measured, TIMELINE)
    assert sum(counts(result)) == 4
    assert result.first is not None
    assert (result.first.timestep, result.first.neuron) == (2, 1)


def test_of_one_neuron_the_spike_comes_before_the_potential_and_both_before_cycle_and_decision():
    measured = dataclasses.replace(perfect(), decision=0, decision_cycle=1)
    measured.fire[0, 0] += 1
    measured.potentials[0][0, 2] += 1
    result = compare(PLAN, TRACE, measured, TIMELINE)
    assert str(result.first) == "potential at layer hidden, timestep 1, neuron 2, cycle 25: expected 0, got 1"
    measured.spikes[0][0, 2] ^= True
    result = compare(PLAN, TRACE, measured, TIMELINE)
    assert str(result.first) == "spike at layer hidden, timestep 1, neuron 2, cycle 25: expected False, got True"
    assert counts(result) == (1, 1, 2, 1)


def test_a_missing_timestep_comes_behind_what_differs_before_it():
    measured = without_timestep(perfect())
    measured.potentials[0][2, 0] += 1
    result = compare(PLAN, TRACE, measured, TIMELINE)
    assert str(result.first) == "potential at layer hidden, timestep 3, neuron 0, cycle 70: expected 0, got 1"


@pytest.mark.parametrize(("name", "what"), [("spikes", "spike"), ("potentials", "potential")])
def test_what_differs_before_a_missing_timestep_comes_first(name, what):
    """In the same layer too: as far as both go, step is compared with step."""
    measured = without_timestep(perfect())
    getattr(measured, name)[1][1, 2] ^= 1
    result = compare(PLAN, TRACE, measured, TIMELINE)
    assert counts(result)[:2] == (9, 9)
    assert result.first is not None
    first = result.first.what, result.first.layer, result.first.timestep, result.first.neuron, result.first.cycle
    assert first == (what, "out", 2, 2, 63)


def test_nothing_came_from_a_layer():
    measured = perfect()
    measured.spikes[0], measured.potentials[0] = measured.spikes[0][:0], measured.potentials[0][:0]
    result = compare(PLAN, TRACE, measured, TIMELINE)
    assert str(result.first) == "number of spikes (timesteps, neurons) at layer hidden: expected (3, 3), got (0, 3)"


def test_output_events_are_expected_in_the_order_in_which_the_lanes_give_them():
    """Two columns of two channels in a word, of four channels: addresses 0, 1, 4, 5 come before 2, 3, 6, 7."""
    shape = Shape(4, 1, 2)
    layer = Layer(name="grid", shape=shape, threshold=1, connections=(Connection(INPUT, Dense(np.ones((1, 8), int))),))
    network = Network(
        name="n", input=Shape(1), layers=(layer,), timesteps=1, fraction_bits=0, decision=Decision.NONE
    )  # fmt: skip
    plan = plain_plan(network, 4, layouts={"grid": (2, 2)}, max_width=2, row_entries=1, column_entries=1,
                      columns_per_word=2)  # fmt: skip
    trace = golden.run(network, events=[[0]])
    timeline = time_inference(plan, trace)
    assert [address for _, address, _ in timeline.output] == [0, 1, 4, 5, 2, 3, 6, 7, None]
    got = Measured([trace.layers[0].spikes], [trace.layers[0].potentials], timeline.fire, False, timeline.output, 0,
                   timeline.decision)  # fmt: skip
    assert compare(plan, trace, got, timeline).equal
    ascending = [(cycle, address, 1) for (cycle, _, _), address in zip(timeline.output, range(8), strict=False)]
    wrong = dataclasses.replace(got, output=[*ascending, timeline.output[-1]])
    assert counts(compare(plan, trace, wrong, timeline)) == (0, 0, 0, 1)


def test_all_differences_are_counted():
    measured = perfect()
    for spikes, potentials in zip(measured.spikes, measured.potentials, strict=True):
        np.logical_not(spikes, out=spikes)
        potentials += 1
    measured.fire[:] += 1
    result = compare(PLAN, TRACE, measured, TIMELINE)
    assert counts(result) == (18, 18, 6, 0)


def test_without_a_timeline_cycles_are_not_compared():
    measured = perfect()
    measured.fire[:] += 100
    output: Any = [(cycle + 7, *event) for cycle, *event in EVENTS]
    late = dataclasses.replace(measured, words_late=True, decision_cycle=999, output=output)
    result = compare(PLAN, TRACE, late, None)
    assert result.equal
    assert result.cycles_compared == 0
    assert (result.spikes_compared, result.potentials_compared, result.results_compared) == (18, 18, 2)
    wrong = dataclasses.replace(late, output=late.output[:-1])
    assert counts(compare(PLAN, TRACE, wrong, None)) == (0, 0, 0, 1)
