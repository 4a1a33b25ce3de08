"""When tokens pass from one core to the next, against the two of them simulated cycle by cycle."""

from collections import deque
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.sim.token_stream import TokenStream

ROOM = 3
"""Tokens that there is room for in the tables."""


class Step(NamedTuple):
    """The tokens of a timestep: when each is on offer, and how many cycles it is walked; the last is the marker.

    They are walked from `ready` on, the marker not before `marker_after`; neither before the marker of the last step.
    """

    given: list[int]
    lengths: list[int]
    ready: int
    marker_after: int


def simulate(steps, depth, decode):
    """(when its tokens leave, from when they are walked, when they are taken) of each step, cycle by cycle."""
    tokens = deque(given for step in steps for given in step.given)
    queue: deque[int] = deque()  # cycles from which its tokens are on offer
    leaves, results, left, now = [], [], -1, 0
    for step in steps:
        count, tables, taken = len(step.lengths), deque(), []
        ready, marker_after, free_from = max(step.ready, now), max(step.marker_after, now), 0
        while len(taken) < count:
            room = len(queue) < depth  # what is in the queue counts as it was at the beginning of the cycle
            enters = bool(queue) and queue[0] <= now and now >= ready and len(taken) + len(tables) < count
            due = tables[0] <= now if tables else not decode and enters
            takes = due and now >= free_from and (len(taken) < count - 1 or now >= marker_after)
            enters = enters and (len(tables) < ROOM or takes) if decode else takes
            if takes:
                free_from = now + step.lengths[len(taken)]
                taken.append(now)
                if decode:
                    tables.popleft()
            if enters:
                queue.popleft()
                if decode:
                    tables.append(now + decode)
            if tokens and tokens[0] <= now and room and now > left:
                tokens.popleft()
                queue.append(now + 2)
                leaves.append(now)
                left = now
            now += 1
        results.append((ready, marker_after, taken))
    firsts = np.cumsum([0, *(len(step.given) for step in steps)])
    return [(leaves[first], *result) for first, result in zip(firsts[:-1], results, strict=True)]


@st.composite
def some_steps(draw):
    steps, begin = [], 0
    for _ in range(draw(st.integers(1, 5))):
        count = draw(st.integers(0, 12))
        gaps = draw(st.lists(st.sampled_from([0, 0, 0, 1, 5]), min_size=count + 1, max_size=count + 1))
        lengths = draw(st.lists(st.sampled_from([1, 1, 2, 7]), min_size=count, max_size=count))
        given_ = (begin + np.cumsum(gaps)).tolist()
        ready = begin + draw(st.integers(0, 30))
        steps.append(Step(given_, [*lengths, 0], ready, ready + draw(st.integers(0, 20))))
        begin = given_[-1] + 1
    return steps


@settings(max_examples=400)
@given(steps=some_steps(), depth=st.sampled_from([4, 5, 8, 1000]), decode=st.sampled_from([0, 3]))
def test_it_is_as_the_queue_would_have_it(steps, depth, decode):
    """A token leaves when the queue has room, and is walked when it is on offer and the one before it has been."""
    stream = TokenStream(depth)
    for step, (left, ready, marker_after, taken) in zip(steps, simulate(steps, depth, decode), strict=True):
        stream.give(np.arange(len(step.given) - 1), np.array(step.given))
        assert stream.first_offer() == left + 2
        assert stream.take(np.array(step.lengths), ready, decode, marker_after) == taken[-1]


def test_nothing_is_held_back_by_a_queue_that_is_never_full():
    stream = TokenStream(100)
    stream.give(np.arange(4), np.array([5, 5, 5, 9, 9]))
    assert stream.drain().tolist() == [5, 6, 7, 9, 10]
    stream.give(np.arange(1), np.array([3, 3]))
    assert stream.drain().tolist() == [11, 12]


def test_a_queue_of_four_words_holds_back():
    """Four tokens go in at once; each of the others when one has been taken out in the cycle before."""
    stream = TokenStream(4)
    stream.give(np.arange(6), np.zeros(7, np.int64))
    # Ready at 20, each walked for 10 cycles: out of the queue at 20, 30, ..., so tokens 4, 5 and the marker come at
    # 21, 31 and 41; the marker is taken at 80.
    assert stream.take(np.array([10] * 6 + [0]), 20, 0, 0) == 80
    stream.give(np.arange(0), np.array([0]))
    assert stream.first_offer() == 51 + 2  # token 3 was taken out at 50


@pytest.mark.parametrize(("stages", "cycle"), [(0, 14), (1, 13)])
def test_when_the_marker_is_out_of_the_words(stages, cycle):
    """On offer, or a stage before that where lanes over columns take one."""
    stream = TokenStream(1)
    assert stream.marker_before(stages) == 0
    stream.give(np.arange(4), np.array([10, 10, 10, 10, 10]))
    stream.drain()
    assert stream.marker_before(stages) == cycle
