"""Chooses the cores of a pipeline, and the lanes of each, for the most images per second that a board has room for."""

from collections.abc import Sequence
from dataclasses import dataclass

from hillock.hw.problems import HillockError, Problems
from hillock.sim.golden import Trace
from hillock.sim.network import Network
from hillock.sim.timing import Timeline, time_inferences

from .boards import Board
from .group_costs import GroupCosts
from .layer_costs import MAX_LANES as LANES_OF_CORE
from .pipeline import PipelinePlacement, place_pipeline
from .plan_search import Candidate, Goal, candidates, estimate
from .relays import cuts_with_relays, relayed_trace, with_relays
from .resources import Resources, predict
from .words import of

__all__ = ["MAX_CORES", "MAX_LANES", "SHARE", "Goal", "PlanChoice", "choose_plan", "shares"]

SHARE = 0.85
"""The part of the LUTs and flip-flops that a plan may use: a fuller FPGA is hard to route."""

MAX_CORES = 4
"""Of a plan: more of them gain little, and the number of ways to cut grows fast."""

MAX_LANES = 512
"""Of a plan, where nothing else is asked for."""

ALIKE = 0.005
"""Plans that differ by less are taken to be as good as each other: the smallest is chosen."""

EXACT = 6
"""Plans of which the exact cycles are computed: those that are the best by the estimate."""


@dataclass(frozen=True, eq=False)
class PlanChoice:
    """A plan, what it is predicted to do, and why it is not faster.

    Attributes
    ----------
    placement : PipelinePlacement
    resources : tuple of Resources
        Of each core.
    traces : list of Trace
        The recorded inferences, and the first of them once more.
    timelines : list of Timeline
        Of these, one behind the other: exact.
    limits : str
        In words, what keeps the plan from being faster.
    """

    placement: PipelinePlacement
    board: Board
    goal: Goal
    resources: tuple[Resources, ...]
    traces: list[Trace]
    timelines: list[Timeline]
    limits: str

    @property
    def lanes(self) -> int:
        """Of all cores."""
        return self.placement.pipeline.lanes

    @property
    def latency(self) -> int:
        """Cycles of the first inference, from its first input to its decision."""
        return self.timelines[0].decision

    @property
    def interval(self) -> float:
        """Cycles between decisions in steady state."""
        return (self.timelines[-1].decision - self.timelines[0].decision) / (len(self.timelines) - 1)

    @property
    def sop(self) -> float:
        """Synaptic operations of an inference, on average."""
        return sum(trace.sop for trace in self.traces[1:]) / (len(self.traces) - 1)

    @property
    def utilization(self) -> float:
        """Lane utilization in steady state."""
        return self.sop / (self.lanes * self.interval)

    @property
    def images_per_second(self) -> float:
        """At the clock of the board."""
        return self.board.clock * 1e6 / self.interval


def choose_plan(
    network: Network,
    board: Board,
    traces: Sequence[Trace],
    *,
    cores: tuple[int, int] = (1, MAX_CORES),
    lanes: tuple[int, int] = (1, MAX_LANES),
    goal: Goal = Goal.SPEED,
) -> PlanChoice:
    """The best plan for `network` on `board`, for recorded inferences that follow each other over and over.

    Every way to cut is tried, with the widths of the cores that may be the best (`plan_search`). Of those that fit on
    the board, the ones that are best by an estimate are timed exactly. The estimate has a relay wherever a cut would
    need one, and the plan where it is cut.

    Parameters
    ----------
    traces : recorded inferences, at least one
    cores, lanes : smallest and largest number of cores, and of lanes of all cores together

    Raises a `HillockError` where no plan fits, which says what is short and by how much.
    """
    _check(network, traces, cores, lanes)
    streamed = [*traces, traces[0]]
    relayed, _ = with_relays(network, cuts_with_relays(network))
    relays = {layer.name for layer in relayed.layers} - {layer.name for layer in network.layers}
    costs = GroupCosts(relayed, [relayed_trace(trace, relayed) for trace in streamed], relays)
    found = candidates(costs, cores, lanes)
    cycles = dict(zip(found, estimate(found, network.timesteps).tolist(), strict=True))
    fitting = [plan for plan in found if not _short(plan.resources, board)]
    if not fitting:
        raise HillockError(_misfit(network, board, found, cores, lanes))
    fitting.sort(key=lambda plan: plan.cost(cycles[plan], goal))
    timed: list[tuple[float, Candidate, PipelinePlacement, list[Timeline]]] = []
    for plan in _worth_timing(fitting, cycles, goal):
        placement = _placed(network, relayed, plan)
        timelines = time_inferences(placement.pipeline, [relayed_trace(one, placement.network) for one in streamed])
        interval = (timelines[-1].decision - timelines[0].decision) / len(traces)
        timed.append((plan.cost(interval, goal), plan, placement, timelines))
    least = min(cost for cost, *_ in timed)
    alike = [entry for entry in timed if entry[0] <= least * (1 + ALIKE)]
    _, best, placement, timelines = min(alike, key=lambda entry: (entry[1].resources.lut, entry[0]))
    resources = tuple(predict(config) for config in placement.configs)
    limits = _limits(best, placement, found, cycles, costs, board, lanes, goal)
    streamed = [relayed_trace(trace, placement.network) for trace in streamed]
    return PlanChoice(placement, board, goal, resources, streamed, timelines, limits)


def _placed(network: Network, relayed: Network, plan: Candidate) -> PipelinePlacement:
    """A plan for `relayed`, without the relays that are behind no cut."""
    own = [layer.name for layer in network.layers]
    cuts = [sum(layer.name in own for layer in relayed.layers[:bound]) for bound in plan.bounds[1:-1]]
    kept = {layer.name for layer in with_relays(network, cuts)[0].layers}
    layouts = {name: layout for name, layout in plan.layouts.items() if name in kept}
    return place_pipeline(network, cuts, plan.lanes_of_cores, layouts=layouts)


def shares(resources: Resources, board: Board) -> list[tuple[str, int, int]]:
    """(what, needed, what a plan may use) of every resource."""
    return [
        ("LUTs", resources.lut, int(board.lut * SHARE)),
        ("flip-flops", resources.ff, int(board.ff * SHARE)),
        ("block RAMs", resources.bram, board.bram),
        ("multipliers", resources.dsp, board.dsp),
    ]


def _check(network: Network, traces: Sequence[Trace], cores: tuple[int, int], lanes: tuple[int, int]) -> None:
    problems = Problems(f"plan for network {network.name!r}")
    problems.require(traces, "recorded inferences are needed, at least one")
    for what, (low, high), most in (("cores", cores, MAX_CORES), ("lanes", lanes, MAX_CORES * LANES_OF_CORE)):
        problems.require(
            1 <= low <= high <= most,
            f"{what} must be from 1 to {most}, the smaller number first, not from {low} to {high}",
        )
    if not problems.texts:
        parts = len(cuts_with_relays(network)) + 1
        problems.require(
            cores[0] <= parts,
            f"{cores[0]} cores are asked for, and it can be cut into {of(parts, 'part')} at most: {_where(network)}",
        )
        problems.require(
            cores[0] <= lanes[1], f"{cores[0]} cores need a lane each, and {lanes[1]} are allowed: allow more lanes"
        )
    problems.raise_any()


def _where(network: Network) -> str:
    names = ", ".join(repr(network.layers[cut].name) for cut in cuts_with_relays(network))
    return f"a core may begin with {names}" if names else "no layer may begin a core, since events pass all of them"


def _worth_timing(plans: list[Candidate], cycles: dict[Candidate, float], goal: Goal) -> list[Candidate]:
    """Of plans, the best first: those that are the best, and the smallest of those that are about as good."""
    limit = plans[0].cost(cycles[plans[0]], goal) * (1 + ALIKE)
    alike = [plan for plan in plans if plan.cost(cycles[plan], goal) <= limit]
    smallest = sorted(alike, key=lambda plan: plan.resources.lut)
    return list(dict.fromkeys([*plans[: EXACT // 2], *smallest[: EXACT // 2]]))


def _short(resources: Resources, board: Board) -> list[tuple[str, int, int]]:
    return [(what, needed, there) for what, needed, there in shares(resources, board) if needed > there]


def _excess(resources: Resources, board: Board) -> float:
    return max(needed / there for _, needed, there in shares(resources, board))


def _missing(resources: Resources, board: Board) -> str:
    return ", ".join(
        f"{needed:,} {what}, {needed - there:,} more than the {there:,} that a plan may use"
        for what, needed, there in _short(resources, board)
    )


def _range(ends: tuple[int, int], noun: str) -> str:
    fewest, most = ends
    return of(most, noun) if fewest == most else f"{fewest} to {of(most, noun)}"


def _misfit(
    network: Network, board: Board, found: list[Candidate], cores: tuple[int, int], lanes: tuple[int, int]
) -> str:
    head = f"network {network.name!r} on {board.name} ({board.device})"
    asked = f"{_range(cores, 'core')} with {_range(lanes, 'lane')} altogether"
    if not found:
        return f"{head}: no core can hold it in a plan of {asked}: allow other numbers of cores or lanes"
    tightest = min(found, key=lambda plan: _excess(plan.resources, board))
    counts = {
        layer.name: sum(connection.synapses.weights.size for connection in layer.connections)
        for layer in network.layers
    }
    largest = max(counts, key=lambda name: counts[name])
    fewer = "allow fewer lanes or cores, " if lanes[0] > 1 or cores[0] > 1 else ""
    return (
        f"{head}: no plan of {asked} fits; the smallest needs {_missing(tightest.resources, board)}. Layer {largest!r} "
        f"has most weights, {counts[largest]:,} of {network.weight_bits} bits: {fewer}use fewer bits, make it "
        f"smaller, or take a larger board"
    )


def _limits(
    best: Candidate,
    placement: PipelinePlacement,
    found: list[Candidate],
    cycles: dict[Candidate, float],
    costs: GroupCosts,
    board: Board,
    lanes: tuple[int, int],
    goal: Goal,
) -> str:
    """Why the plan is not faster."""
    at = max(range(len(best.groups)), key=lambda core: best.groups[core].cycles)
    first, last = best.bounds[at : at + 2]
    names = ", ".join(layer.name for layer in placement.cores[at].network.layers)
    slowest = f"core {at} ({names}), {best.groups[at].lanes} lanes, is the slowest"
    if goal is Goal.EFFICIENCY:
        return f"{slowest}; with more lanes, or fewer, they would be used less"
    faster = [plan for plan in found if cycles[plan] < cycles[best] * (1 - ALIKE) and _short(plan.resources, board)]
    if faster:
        nearest = min(faster, key=lambda plan: _excess(plan.resources, board))
        return f"{slowest}; the nearest plan that is faster needs {_missing(nearest.resources, board)}"
    if any(group.lanes > best.groups[at].lanes for group in costs.group(first, last)):
        return f"{slowest}; no more than {lanes[1]} lanes are allowed"
    if best.groups[at].lanes == LANES_OF_CORE:
        return f"{slowest}; no core has more lanes"
    return f"{slowest}; more lanes would not make it faster"
