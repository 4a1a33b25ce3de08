"""Every way in which a result can differ is found, counted and named; and nothing compared is not equal."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from hillock.sim import golden
from hillock.sim.compare import Comparison, Difference, compare
from hillock.sim.harness import Measured
from hillock.sim.network import INPUT, Connection, Dense, Layer, Network
from hillock.sim.timing import time_inference

HIDDEN = Layer(
    name="hidden",
    neurons=3,
    threshold=5,
    reset_amount=5,
    connections=(Connection(INPUT, Dense(np.array([[5, 5, 0], [0, 3, 5]]))),),
)
OUTPUT = Layer(
    name="out",
    neurons=3,
    threshold=4,
    reset_amount=4,
    connections=(Connection("hidden", Dense(np.array([[4, 1, 1], [1, 2, 4], [0, 4, 0]]))),),
)
NETWORK = Network(name="n", inputs=2, layers=(HIDDEN, OUTPUT), timesteps=3, fraction_bits=0)
TRACE = golden.run(NETWORK, events=[[0], [0, 1], [1]])
TIMELINE = time_inference(NETWORK, TRACE, 2)
EVENTS = [(40, 0), (41, 2), (42, None), (64, 0), (65, 1), (66, 2), (67, None), (84, 1), (85, 2), (86, None)]


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
    assert TIMELINE.fire.tolist() == [[24, 37], [46, 61], [68, 81]]
    assert TIMELINE.output == EVENTS
    assert (TRACE.decision, TIMELINE.decision) == (2, 87)


def test_no_difference():
    result = compare(NETWORK, TRACE, perfect(), TIMELINE)
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
        "spike at layer out, timestep 3, neuron 1, cycle 81: expected True, got False",
    ),
    "potential": (
        at("potentials", 1, 1, 1, -6),
        (0, 1, 0, 0),
        "potential at layer out, timestep 2, neuron 1, cycle 61: expected 6, got -6",
    ),
    "fire pass late": (
        fire(1, 0, 47),
        (0, 0, 1, 0),
        "cycle of the fire pass at layer hidden, timestep 2, cycle 47: expected 46, got 47",
    ),
    "fire pass early": (
        fire(2, 1, 80),
        (0, 0, 1, 0),
        "cycle of the fire pass at layer out, timestep 3, cycle 80: expected 81, got 80",
    ),
    "later words of a fire pass late": (
        changed(words_late=True),
        (0, 0, 1, 0),
        "a word of a fire pass at layer out: expected in the next cycle, got later",
    ),
    "output event late": (
        events(lambda output: output.__setitem__(4, (66, 1))),
        (0, 0, 1, 0),
        "cycle of output event 4 at layer out, neuron 1, cycle 66: expected 65, got 66",
    ),
    "output marker late": (
        events(lambda output: output.__setitem__(9, (88, None))),
        (0, 0, 1, 0),
        "cycle of output event 9 at layer out, cycle 88: expected 86, got 88",
    ),
    "output events in another order": (
        events(lambda output: output.__setitem__(slice(3, 5), [(64, 1), (65, 0)])),
        (0, 0, 0, 1),
        "output event 3 at layer out, cycle 64: expected [0], got [1]",
    ),
    "output event before the marker instead of behind it": (
        events(lambda output: output.__setitem__(slice(1, 3), [(41, None), (42, 2)])),
        (0, 0, 0, 1),
        "output event 1 at layer out, cycle 41: expected [2], got [None]",
    ),
    "last output event missing": (
        events(lambda output: output.pop()),
        (0, 0, 1, 1),
        "output event 9 at layer out: expected [None], got []",
    ),
    "output event too many": (
        events(lambda output: output.extend([(90, 2)])),
        (0, 0, 1, 1),
        "output event 10 at layer out, cycle 90: expected [], got [2]",
    ),
    # Behind it, all seven events come one place early: each in another cycle than expected there.
    "output event in the middle missing": (
        events(lambda output: output.pop(2)),
        (0, 0, 8, 1),
        "output event 2 at layer out, cycle 64: expected [None], got [0]",
    ),
    "no output events": (changed(output=[]), (0, 0, 10, 1), "output event 0 at layer out: expected [0], got []"),
    "decision": (changed(decision=1), (0, 0, 0, 1), "decision at layer out, cycle 87: expected 2, got 1"),
    "cycle of the decision": (
        changed(decision_cycle=88),
        (0, 0, 1, 0),
        "cycle of the decision at layer out, cycle 88: expected 87, got 88",
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
    result = compare(NETWORK, TRACE, measured, TIMELINE)
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
                    result = compare(NETWORK, TRACE, measured, TIMELINE)
                    assert counts(result) == seen
                    assert result.first is not None
                    where = (result.first.what, result.first.layer, result.first.timestep, result.first.neuron)
                    assert where == (what, part.name, step + 1, neuron)


def test_every_single_cycle_counts():
    for index in range(TIMELINE.fire.size):
        measured = perfect()
        measured.fire.flat[index] += 1
        assert counts(compare(NETWORK, TRACE, measured, TIMELINE)) == (0, 0, 1, 0)
    for index, (cycle, address) in enumerate(EVENTS):
        measured = perfect()
        measured.output[index] = (cycle + 1, address)
        assert counts(compare(NETWORK, TRACE, measured, TIMELINE)) == (0, 0, 1, 0)


# In the order in which the core works: timestep, then layer, then spike, potential, cycle; then output and decision.
STAGES = [
    CASES[name] for name in ("spike too many", "fire pass late", "potential", "spike too few", "output event late")
]


@pytest.mark.parametrize("number", range(len(STAGES)))
def test_the_first_of_several_differences_is_named(number):
    measured = perfect()
    for change, _, _ in STAGES[number:]:
        change(measured)
    result = compare(NETWORK, TRACE, measured, TIMELINE)
    assert str(result.first) == STAGES[number][2]


@pytest.mark.parametrize("name", ["spikes", "potentials"])
def test_of_one_layer_the_first_timestep_and_then_the_lowest_neuron_is_named(name):
    measured = perfect()
    for step, neuron in ((2, 0), (1, 2), (1, 1), (2, 2)):
        getattr(measured, name)[1][step, neuron] ^= 1
    result = compare(NETWORK, TRACE, measured, TIMELINE)
    assert sum(counts(result)) == 4
    assert result.first is not None
    assert (result.first.timestep, result.first.neuron) == (2, 1)


def test_of_one_neuron_the_spike_comes_before_the_potential_and_both_before_cycle_and_decision():
    measured = dataclasses.replace(perfect(), decision=0, decision_cycle=1)
    measured.fire[0, 0] += 1
    measured.potentials[0][0, 2] += 1
    result = compare(NETWORK, TRACE, measured, TIMELINE)
    assert str(result.first) == "potential at layer hidden, timestep 1, neuron 2, cycle 25: expected 0, got 1"
    measured.spikes[0][0, 2] ^= True
    result = compare(NETWORK, TRACE, measured, TIMELINE)
    assert str(result.first) == "spike at layer hidden, timestep 1, neuron 2, cycle 25: expected False, got True"
    assert counts(result) == (1, 1, 2, 1)


def test_a_missing_timestep_comes_behind_what_differs_before_it():
    measured = without_timestep(perfect())
    measured.potentials[0][2, 0] += 1
    result = compare(NETWORK, TRACE, measured, TIMELINE)
    assert str(result.first) == "potential at layer hidden, timestep 3, neuron 0, cycle 68: expected 0, got 1"


def test_all_differences_are_counted():
    measured = perfect()
    for spikes, potentials in zip(measured.spikes, measured.potentials, strict=True):
        np.logical_not(spikes, out=spikes)
        potentials += 1
    measured.fire[:] += 1
    result = compare(NETWORK, TRACE, measured, TIMELINE)
    assert counts(result) == (18, 18, 6, 0)


def test_without_a_timeline_cycles_are_not_compared():
    measured = perfect()
    measured.fire[:] += 100
    late = dataclasses.replace(
        measured, words_late=True, decision_cycle=999, output=[(cycle + 7, address) for cycle, address in EVENTS]
    )
    result = compare(NETWORK, TRACE, late, None)
    assert result.equal
    assert result.cycles_compared == 0
    assert (result.spikes_compared, result.potentials_compared, result.results_compared) == (18, 18, 2)
    wrong = dataclasses.replace(late, output=late.output[:-1])
    assert counts(compare(NETWORK, TRACE, wrong, None)) == (0, 0, 0, 1)


# Adding up


def test_nothing_compared_is_not_equal():
    assert not Comparison().equal
    something = Comparison(inferences=1, spikes_compared=1, potentials_compared=1, results_compared=1)
    assert something.equal
    for name in ("inferences", "spikes_compared", "potentials_compared", "results_compared"):
        less = dataclasses.replace(something)
        setattr(less, name, 0)
        assert not less.equal, name


@pytest.mark.parametrize("kind", ["spike", "potential", "cycle", "result"])
def test_one_mismatch_of_any_kind_is_not_equal(kind):
    result = compare(NETWORK, TRACE, perfect(), TIMELINE)
    setattr(result, f"{kind}_mismatches", 1)
    assert not result.equal


def test_comparisons_add_up():
    names = [field.name for field in dataclasses.fields(Comparison) if field.name != "first"]
    assert len(names) == 9
    total, other = Comparison(), Comparison()
    for index, name in enumerate(names):
        setattr(total, name, index)
        setattr(other, name, 100 * index)
    total.add(other)
    assert {name: getattr(total, name) for name in names} == {name: 101 * index for index, name in enumerate(names)}


def test_the_first_difference_added_stays_the_first():
    one, two = (Difference(what, 3, 1, "out", 0, 1, 2) for what in ("one", "two"))
    total = Comparison()
    total.add(Comparison(inferences=1))
    assert total.first is None
    total.add(Comparison(first=one))
    total.add(Comparison(first=two))
    assert total.first is one
