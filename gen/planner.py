"""Chooses the cores of a pipeline, and the lanes of each, for the most images per second that a board has room for."""

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from hillock.hw.problems import HillockError
from hillock.sim.golden import Trace
from hillock.sim.network import Network
from hillock.sim.timing import Timeline, time_inferences

from .boards import Board
from .layer_costs import GroupCost, LayerCosts
from .partition import cuts_allowed
from .pipeline import PipelinePlacement, place_pipeline
from .resources import Resources

__all__ = ["Goal", "PlanChoice", "choose_plan"]

SHARE = 0.85
"""The part of the LUTs and flip-flops that a plan may use: a fuller FPGA is hard to route."""

LANES = (*range(1, 33), *range(34, 65, 2), *range(68, 129, 4))
"""Numbers of lanes that are tried."""

MAX_CUTS = 3
"""Cores are at most one more; more of them gain little, and the number of ways to cut grows fast."""


class Goal(enum.Enum):
    """What a plan is chosen for: images per second, or images per second and lane."""

    SPEED = "speed"
    EFFICIENCY = "efficiency"


@dataclass(frozen=True, eq=False)
class PlanChoice:
    """A plan, what it is predicted to do, and why it is not faster.

    Attributes
    ----------
    placement : PipelinePlacement
    resources : tuple of Resources
        Of each core.
    timelines : list of Timeline
        Of the recorded inferences, one behind the other: exact.
    sop : float
        Synaptic operations of an inference, on average.
    limits : str
        In words, what keeps the plan from being faster.
    """

    placement: PipelinePlacement
    board: Board
    resources: tuple[Resources, ...]
    timelines: list[Timeline]
    sop: float
    limits: str

    @property
    def lanes(self) -> int:
        """Of all cores."""
        return self.placement.pipeline.lanes

    @property
    def latency(self) -> int:
        """Cycles of the first inference."""
        return self.timelines[0].decision

    @property
    def interval(self) -> float:
        """Cycles between decisions in steady state."""
        decisions = [timeline.decision for timeline in self.timelines]
        return float(np.diff(decisions).mean()) if len(decisions) > 1 else float(decisions[0])

    @property
    def utilization(self) -> float:
        """Lane utilization in steady state."""
        return self.sop / (self.lanes * self.interval)

    @property
    def images_per_second(self) -> float:
        """At the clock of the board."""
        return self.board.clock * 1e6 / self.interval


@dataclass(frozen=True)
class _Candidate:
    bounds: tuple[int, ...]
    groups: tuple[GroupCost, ...]

    @property
    def lanes(self) -> int:
        return sum(group.config.lanes for group in self.groups)

    @property
    def slowest(self) -> float:
        return max(group.cycles for group in self.groups)

    @property
    def resources(self) -> Resources:
        return sum((group.resources for group in self.groups), Resources())

    def rank(self, goal: Goal) -> tuple[float, float]:
        """The lowest is the best."""
        work = self.slowest if goal is Goal.SPEED else self.slowest * self.lanes
        return work, self.resources.lut


def choose_plan(
    network: Network,
    board: Board,
    traces: Sequence[Trace],
    *,
    cores: tuple[int, int] = (1, MAX_CUTS + 1),
    lanes: tuple[int, int] = (1, 512),
    goal: Goal = Goal.SPEED,
) -> PlanChoice:
    """The best plan for `network` on `board`, from recorded inferences.

    Parameters
    ----------
    traces : at least one recorded inference; with two or more the interval in steady state is exact for them
    cores, lanes : smallest and largest number of cores, and of lanes of all cores together

    Raises a `HillockError` where no plan fits, which says what is short and by how much.
    """
    costs = LayerCosts(network, traces)
    best: _Candidate | None = None
    tightest: _Candidate | None = None
    for bounds in _cuts(network, cores):
        for candidate in _candidates(costs, bounds, lanes):
            if not _short(candidate.resources, board):
                if best is None or candidate.rank(goal) < best.rank(goal):
                    best = candidate
            elif tightest is None or _excess(candidate.resources, board) < _excess(tightest.resources, board):
                tightest = candidate
    if best is None:
        raise HillockError(_misfit(network, board, tightest, cores, lanes))
    placement = place_pipeline(
        network, best.bounds[1:-1], [group.config.lanes for group in best.groups], activity=costs.activity
    )
    timelines = time_inferences(placement.pipeline, traces)
    sop = sum(trace.sop for trace in traces) / len(traces)
    return PlanChoice(
        placement,
        board,
        tuple(group.resources for group in best.groups),
        timelines,
        sop,
        _limits(network, best, board, lanes, goal),
    )


def _cuts(network: Network, cores: tuple[int, int]) -> Iterator[tuple[int, ...]]:
    """The first layers of the cores, and the end, of every way to cut."""
    allowed = cuts_allowed(network)
    for count in range(cores[0] - 1, min(cores[1] - 1, len(allowed)) + 1):
        for chosen in combinations(allowed, count):
            yield (0, *chosen, len(network.layers))


def _candidates(costs: LayerCosts, bounds: tuple[int, ...], lanes: tuple[int, int]) -> Iterator[_Candidate]:
    """For every number of cycles that some core may take: the narrowest cores that are no slower."""
    options: list[list[GroupCost]] = []
    for first, last in pairwise(bounds):
        some = (costs.group(first, last, count) for count in LANES if count <= lanes[1])
        options.append(_frontier([group for group in some if group is not None]))
    if not all(options):
        return
    for target in sorted({group.cycles for groups in options for group in groups}):
        chosen = []
        for groups in options:
            fast = [group for group in groups if group.cycles <= target]
            if not fast:
                break
            chosen.append(fast[0])
        else:
            candidate = _Candidate(bounds, tuple(_widened(chosen, options, lanes[0])))
            if lanes[0] <= candidate.lanes <= lanes[1]:
                yield candidate


def _widened(chosen: list[GroupCost], options: list[list[GroupCost]], least: int) -> list[GroupCost]:
    """The same cores, made wider where that saves most cycles for a lane, until there are `least` lanes altogether."""
    chosen = list(chosen)
    while sum(group.config.lanes for group in chosen) < least:
        steps = []
        for at, groups in enumerate(options):
            behind = groups.index(chosen[at]) + 1
            if behind < len(groups):
                saved = chosen[at].cycles - groups[behind].cycles
                steps.append((saved / (groups[behind].config.lanes - chosen[at].config.lanes), at, groups[behind]))
        if not steps:
            break
        _, at, group = max(steps, key=lambda step: step[:2])
        chosen[at] = group
    return chosen


def _frontier(groups: list[GroupCost]) -> list[GroupCost]:
    """Those that no narrower one beats, the narrowest first."""
    kept: list[GroupCost] = []
    for group in groups:
        if not kept or group.cycles < kept[-1].cycles:
            kept.append(group)
    return kept


def _shares(resources: Resources, board: Board) -> list[tuple[str, int, int]]:
    """(what, needed, available) of every resource."""
    return [
        ("LUTs", resources.lut, int(board.lut * SHARE)),
        ("flip-flops", resources.ff, int(board.ff * SHARE)),
        ("block RAMs", resources.bram, board.bram),
        ("multipliers", resources.dsp, board.dsp),
    ]


def _short(resources: Resources, board: Board) -> list[tuple[str, int, int]]:
    return [(what, needed, there) for what, needed, there in _shares(resources, board) if needed > there]


def _excess(resources: Resources, board: Board) -> float:
    return max(needed / there for _, needed, there in _shares(resources, board))


def _misfit(
    network: Network, board: Board, tightest: _Candidate | None, cores: tuple[int, int], lanes: tuple[int, int]
) -> str:
    head = f"network {network.name!r} on {board.name} ({board.device})"
    asked = f"{cores[0]} to {cores[1]} cores with {lanes[0]} to {lanes[1]} lanes altogether"
    if tightest is None:
        return (
            f"{head}: there is no plan of {asked}: allow other numbers of cores or lanes; layers may be cut before "
            f"{', '.join(repr(network.layers[cut].name) for cut in cuts_allowed(network)) or 'none'}"
        )
    missing = ", ".join(
        f"{needed} {what}, {needed - there} more than the {there} there are"
        for what, needed, there in _short(tightest.resources, board)
    )
    largest = max(
        (layer for layer in network.layers if layer.connections),
        key=lambda layer: sum(connection.synapses.weights.size for connection in layer.connections),
    )
    count = sum(connection.synapses.weights.size for connection in largest.connections)
    return (
        f"{head}: no plan of {asked} fits; the smallest needs {missing}. Layer {largest.name!r} has most weights, "
        f"{count:,} of {network.weight_bits} bits: use fewer bits, make it smaller, or take a larger board"
    )


def _limits(network: Network, best: _Candidate, board: Board, lanes: tuple[int, int], goal: Goal) -> str:
    """Why the plan is not faster."""
    at = int(np.argmax([group.cycles for group in best.groups]))
    names = [layer.name for layer in network.layers[best.bounds[at] : best.bounds[at + 1]]]
    slowest = f"core {at} ({', '.join(names)}), {best.groups[at].config.lanes} lanes"
    if goal is Goal.EFFICIENCY:
        return f"{slowest}, is the slowest; more lanes would be used less"
    what, needed, there = max(_shares(best.resources, board), key=lambda share: share[1] / share[2])
    if best.lanes >= lanes[1] - 1:
        return f"{slowest}, is the slowest; {lanes[1]} lanes are allowed"
    return f"{slowest}, is the slowest; {needed:,} of {there:,} {what} are taken"
