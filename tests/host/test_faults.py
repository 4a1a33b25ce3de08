"""Bytes that are dropped, flipped, inserted, doubled and late: never a wrong result, always a right one in the end."""

import dataclasses

import numpy as np
import pytest

from fake_board import BAUD, FakeBoard
from fake_port import DAMAGE, KINDS, FakePort, Faults
from hillock.gen.host_program import host_program
from hillock.gen.pipeline import place_pipeline
from hillock.host import connection
from hillock.host.board import Board
from hillock.host.connection import Limits
from hillock.host.inference import Wishes
from hillock.host.results import difference
from hillock.hw.problems import HillockError
from hillock.sim import golden
from link_networks import inputs_of, small

LIMITS = Limits(attempts=1000)


class Campaign:
    """Results under damage, all of them held against the golden model."""

    def __init__(self, kind, cuts=(), lanes=(4,), *, rate, seed, kinds=KINDS, burst=1):
        self.network = small(kind)
        self.placement = place_pipeline(self.network, list(cuts), list(lanes))
        self.program = host_program(self.placement)
        self.fake = FakeBoard(self.placement, seed=seed)
        self.faults = [Faults(rate, seed + way, kinds, burst) for way in range(2)]
        self.seed, self.inferences, self.boards = seed, 0, 0
        self.lost = self.reloads = self.retries = 0

    @property
    def damaged(self):
        return sum(faults.damaged for faults in self.faults)

    def open(self):
        """Another host at the same board, which is as the one before left it."""
        self.boards += 1
        board = Board(FakePort(self.fake, BAUD, *self.faults), "fake", baud=BAUD, limits=LIMITS)
        board.load(self.program, read_back=self.boards % 4 == 1)
        return board

    def go(self, count=6):
        board = self.open()
        given = inputs_of(self.network, count, self.seed + 1000 * self.boards)
        alone = self.boards % 2 == 0
        results = board.run_many(given, wishes=Wishes(overlap=not alone, potentials=alone))
        assert len(results) == count
        for one, result in zip(given, results, strict=True):
            trace = golden.run(self.network, **one)
            assert difference(self.program, result, trace) is None
            assert result.counts.tolist() == trace.counts.tolist()
            self.inferences += 1
        self.lost += board.statistics.lost
        self.reloads += board.statistics.reloads
        self.retries += board.statistics.retries


@pytest.mark.parametrize(
    ("kind", "cuts", "lanes"), [("image", (), (4,)), ("events", (), (4,)), ("image", (2,), (4, 2))]
)
def test_never_a_wrong_result(kind, cuts, lanes, seed):
    campaign = Campaign(kind, cuts, lanes, rate=5e-4, seed=seed)
    while campaign.damaged < 350:
        campaign.go()
    assert campaign.lost > 0
    assert campaign.retries > 0
    assert campaign.inferences > 0
    assert all(sum(faults.counts[kind] for faults in campaign.faults) for kind in KINDS)


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_kind_of_damage(kind, seed):
    campaign = Campaign("image", rate=5e-4, seed=seed, kinds=(kind,))
    while campaign.damaged < 30:
        campaign.go(3)


def test_damage_in_bursts(seed):
    campaign = Campaign("image", rate=2e-4, seed=seed, burst=8)
    while campaign.damaged < 100:
        campaign.go()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "cuts", "lanes", "burst"),
    [("image", (), (4,), 1), ("events", (), (4,), 1), ("image", (2,), (4, 2), 1), ("image", (), (4,), 8)],
)
def test_ten_thousand_damaged_bytes(kind, cuts, lanes, burst, seed):
    """At two rates, 10,000 in each network and more than 40,000 in all."""
    total, inferences = 0, 0
    for rate in (2e-3, 1e-3):
        campaign = Campaign(kind, cuts, lanes, rate=rate / burst, seed=seed, burst=burst)
        while campaign.damaged < 5000:
            campaign.go()
        total += campaign.damaged
        inferences += campaign.inferences
        said = (
            f"{campaign.inferences} right, {campaign.retries} retries, {campaign.lost} lost, {campaign.reloads} reloads"
        )
        print(f"{kind} {cuts} burst {burst} rate {rate}: {campaign.damaged} damaged, {said}")
    assert total >= 10_000
    assert inferences > 0


def test_without_the_check_it_would_show(seed, monkeypatch):
    """The campaign itself can fail: without checks damage leads to an error or to a result that differs."""
    monkeypatch.setattr(connection._Check, "good", True)
    campaign = Campaign("image", rate=5e-4, seed=seed)

    def go_on() -> None:
        while campaign.damaged < 350:
            campaign.go()

    with pytest.raises((HillockError, AssertionError, connection.Lost, IndexError, ValueError)):
        go_on()


def test_dataclass_of_statistics_is_a_snapshot_of_bytes():
    campaign = Campaign("image", rate=0, seed=1)
    board = campaign.open()
    before = dataclasses.replace(board.statistics)
    board.run(image=np.full(6, 200))
    after = board.statistics
    assert after.bytes_out > before.bytes_out
    assert (after.retries, after.lost, after.reloads, after.resyncs) == (0, 0, 0, 1)
