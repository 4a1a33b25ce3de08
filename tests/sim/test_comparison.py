"""Comparisons of many inferences add up, and nothing compared is not equal."""

import dataclasses

import pytest

from hillock.sim.compare import Comparison, Difference


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
    result = Comparison(inferences=1, spikes_compared=1, potentials_compared=1, results_compared=1)
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
