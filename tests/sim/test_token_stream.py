"""The stream of tokens between two cores: against arithmetic on paper, and a machine that goes cycle by cycle."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.sim.token_stream import TokenStream


def give(stream: TokenStream, *cycles: int) -> None:
    stream.give(np.arange(len(cycles) - 1), np.array(cycles))


def take(stream: TokenStream, *lengths: int, ready: int = 0, decode: int = 0, marker_after: int = 0) -> int:
    """When the marker is taken, behind events with walks of these lengths."""
    return stream.take(np.array([*lengths, 0]), ready, decode, marker_after)


# On paper


def test_tokens_leave_one_after_another():
    stream = TokenStream(32)
    give(stream, 10, 10, 10, 15)
    assert stream.drain().tolist() == [10, 11, 12, 15]
    give(stream, 12, 13, 20)
    assert stream.drain().tolist() == [16, 17, 20]  # none before the one before it


def test_walks_follow_each_other():
    stream = TokenStream(32)
    give(stream, 10, 10, 30, 30)
    assert stream.first_offer() == 12
    # They leave at 10, 11, 30, 31 and are on offer 2 later: taken at 12, 15, 32; the marker when that walk has ended.
    assert take(stream, 3, 3, 3) == 35
    give(stream, 40)
    assert stream.first_offer() == 42


@pytest.mark.parametrize(("ready", "marker_after", "taken"), [(0, 0, 18), (13, 0, 19), (14, 0, 20), (0, 50, 50)])
def test_a_walker_that_is_busy(ready, marker_after, taken):
    stream = TokenStream(32)
    give(stream, 10, 11, 12)
    assert take(stream, 3, 3, ready=ready, marker_after=marker_after) == taken


def test_tables_take_three_cycles():
    stream = TokenStream(32)
    give(stream, 10, 10, 10)
    assert take(stream, 3, 3, ready=20, decode=3) == 20 + 3 + 6


@pytest.mark.parametrize(("looks_ahead", "more"), [(False, 0), (True, 1)])
def test_a_full_queue_holds_the_tokens_back(looks_ahead, more):
    stream = TokenStream(4, looks_ahead=looks_ahead)
    give(stream, *[10] * (7 + more))
    # Taken at 12, 22, 32, ...: the first four leave at 10, 11, 12, 13; the fifth when the first has been taken, at
    # 12 + 1 but after the fourth: 14. The sixth at 22 + 1; behind it the marker is on offer, and leaves at 32 + 1.
    # With a register behind the queue it is one token more, and a place is free a cycle later: when one has moved up.
    assert take(stream, *[10] * (6 + more)) == 72 + 10 * more
    # The marker waits for the one before it to move up, when the one before that, the fifth, has left.
    assert stream.marker_before(0) == 16 + more
    give(stream, 20)
    assert stream.first_offer() == 42 + 1 + 2 + more  # there is room for it when the fourth has been taken


@pytest.mark.parametrize(("looks_ahead", "more"), [(False, 0), (True, 1)])
def test_with_tables_three_more_have_room(looks_ahead, more):
    stream = TokenStream(4, looks_ahead=looks_ahead)
    give(stream, *[10] * (9 + more))
    # They enter the tables at 12, 13, 14, and walk at 15, 25, 35, ...; the fourth enters when the first walks, at 15,
    # the fifth at 25. So the first seven leave at 10 to 16, the eighth after the fourth has entered, at 17, and the
    # marker at 26. The next one leaves when the sixth has entered, at 35 + 1.
    assert take(stream, *[10] * (8 + more), decode=3) == 15 + 80 + 10 * more
    assert stream.marker_before(0) == 18 + more
    give(stream, 20)
    assert stream.first_offer() == 38 + more


def test_when_the_words_behind_a_marker_may_come():
    """That is when the marker is on offer, or so many cycles sooner; if it is held back behind others, later."""
    stream = TokenStream(32)
    assert stream.marker_before(0) == stream.marker_before(1) == 0
    give(stream, 10, 10, 12)
    assert stream.drain().tolist() == [10, 11, 12]
    assert (stream.marker_before(0), stream.marker_before(1)) == (12, 11)
    give(stream, 13, 30)
    stream.drain()
    assert (stream.marker_before(0), stream.marker_before(1)) == (30, 29)


# Cycle by cycle


@dataclass
class Timestep:
    """When its tokens are on offer, the cycles of their walks, and when the walker is ready for them and its marker.

    These two are counted from the marker of the timestep before.
    """

    given: list[int]
    lengths: list[int]
    ready: int
    marker_after: int


def machine(steps: list[Timestep], depth: int, decode: int, looks_ahead: bool) -> list[tuple[int, int]]:
    """Of every timestep, when its first token is on offer to the taker, and when its marker is taken.

    A source, a queue, a register behind it where one `looks_ahead`, tables that hold three tokens of the timestep at
    hand, and a walker; one cycle after another.
    """
    source = deque((step, cycle) for step, one in enumerate(steps) for cycle in one.given)
    queue: deque[tuple[int, int]] = deque()  # step, and the cycle from which it is on offer
    ahead: deque[tuple[int, int]] = deque()  # likewise
    tables: deque[int] = deque()  # the cycle from which the walker may take it
    offers: dict[int, int] = {}
    taken: list[int] = []
    now, before = 0, 0
    for step, one in enumerate(steps):
        ready = free_from = before + one.ready
        waiting = deque([*one.lengths, 0])
        while waiting:
            had_room = len(queue) < depth  # a word that is taken in this cycle makes room in the next
            marker_waits = len(waiting) == 1 and now < before + one.marker_after
            had_ahead, on_offer = bool(ahead), ahead or queue
            head = tables[0] if tables else on_offer[0][1] if on_offer and not decode else now + 1
            if head <= now and free_from <= now and not marker_waits:
                (tables if decode else on_offer).popleft()
                free_from = now + waiting.popleft()
            enters = decode and on_offer and on_offer[0][0] == step and max(on_offer[0][1], ready) <= now
            if enters and len(tables) < 3:
                on_offer.popleft()
                tables.append(now + decode)
            elif looks_ahead and not had_ahead and on_offer is queue and queue and queue[0][1] <= now:
                ahead.append(queue.popleft())
            if source and source[0][1] <= now and had_room:
                number, _ = source.popleft()
                queue.append((number, now + 2))
                offers.setdefault(number, now + 2)
            now += 1
        before = now - 1
        taken.append(before)
    return [(offers[step], marker) for step, marker in enumerate(taken)]


@settings(max_examples=300)
@given(
    data=st.data(),
    depth=st.sampled_from([4, 5, 8, 32]),
    decode=st.sampled_from([0, 3]),
    gap=st.sampled_from([1, 9]),
    looks_ahead=st.booleans(),
)
def test_as_a_machine_does(data, depth, decode, gap, looks_ahead):
    """Timesteps one after another, that are given before the one before has been taken, or long after."""
    steps, cycle = [], 0
    for _ in range(data.draw(st.integers(1, 5))):
        gaps = data.draw(st.lists(st.integers(0, gap), min_size=1, max_size=40))
        lengths = data.draw(st.lists(st.integers(1, 9), min_size=len(gaps) - 1, max_size=len(gaps) - 1))
        times = (cycle + np.cumsum(gaps)).tolist()
        ready = data.draw(st.integers(1, 30))
        steps.append(Timestep(times, lengths, ready, ready + data.draw(st.integers(0, 60))))
        cycle = times[-1] + data.draw(st.integers(1, 60))
    stream, before, got = TokenStream(depth, looks_ahead=looks_ahead), 0, []
    for step in steps:
        give(stream, *step.given)
        offer = stream.first_offer()
        ready, marker_after = before + step.ready, before + step.marker_after
        before = take(stream, *step.lengths, ready=ready, decode=decode, marker_after=marker_after)
        got.append((offer, before))
    assert got == machine(steps, depth, decode, looks_ahead)
