"""The plans for a pipeline that are worth a look, and about how many cycles each takes for an image."""

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise, product
from math import prod

import numpy as np

from hillock.sim.core_clock import CHANGE

from .group_costs import GroupCost, GroupCosts
from .layer_costs import MAX_LANES, FloatArray
from .partition import cuts_allowed
from .resources import Resources

__all__ = ["Candidate", "Goal", "candidates", "estimate"]

SPARE = (1.0, 0.95, 0.9, 0.8, 0.65)
"""How long the other cores may take, in parts of the slowest: those that wait for each other in every timestep cost."""

BATCH = 512
"""Plans that are estimated together."""

FEW = 2000
"""Combinations of widths that are all looked at, for one way to cut."""


class Goal(enum.Enum):
    """What a plan is chosen for: images per second, or images per second and lane."""

    SPEED = "speed"
    EFFICIENCY = "efficiency"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A plan: the first layers of the cores, and the end; and what is on each core."""

    bounds: tuple[int, ...]
    groups: tuple[GroupCost, ...]

    @property
    def lanes(self) -> int:
        """Of all cores."""
        return sum(group.lanes for group in self.groups)

    @property
    def slowest(self) -> float:
        """Cycles of the slowest core, if no core ever waits for another: no plan is faster."""
        return max(group.cycles for group in self.groups)

    @cached_property
    def resources(self) -> Resources:
        """Of all cores."""
        return sum((group.resources for group in self.groups), Resources())

    @property
    def lanes_of_cores(self) -> list[int]:
        """Of each core."""
        return [group.lanes for group in self.groups]

    @property
    def layouts(self) -> dict[str, tuple[int, int]]:
        """Of all layers, as `place_pipeline` takes them."""
        return {name: layout for group in self.groups for name, layout in group.layouts.items()}

    def cost(self, interval: float, goal: Goal) -> float:
        """What the goal is to make small, with so many cycles for an image."""
        return interval if goal is Goal.SPEED else interval * self.lanes


def candidates(costs: GroupCosts, cores: tuple[int, int], lanes: tuple[int, int]) -> list[Candidate]:
    """Plans for every way to cut, with any core as the slowest and the others so fast that they do not hold it up.

    Of the widths that are fast enough, a core has the one with the fewest LUTs, or the one with the fewest block RAMs.
    `cores` and `lanes` are the smallest and largest numbers of them.
    """
    found: dict[tuple[int, ...], Candidate] = {}
    allowed = cuts_allowed(costs.network)
    for count in range(cores[0], min(cores[1], len(allowed) + 1) + 1):
        for cuts in combinations(allowed, count - 1):
            bounds = (0, *cuts, len(costs.network.layers))
            options = [
                [group for group in costs.group(first, last) if group.lanes <= lanes[1] - count + 1]
                for first, last in pairwise(bounds)
            ]
            for chosen in _combinations(options):
                widened = _widened(costs, bounds, chosen, options, lanes)
                if widened:
                    found[(*bounds, *(group.lanes for group in widened))] = Candidate(bounds, tuple(widened))
    return list(found.values())


def _combinations(options: list[list[GroupCost]]) -> Iterator[list[GroupCost]]:
    if not all(options):
        return
    if prod(map(len, options)) <= FEW:
        yield from map(list, product(*options))
        return
    by_luts = [sorted(groups, key=lambda group: group.resources.lut) for groups in options]
    by_memory = [sorted(groups, key=lambda group: (group.resources.bram, group.resources.lut)) for groups in options]
    for at, groups in enumerate(options):
        for slowest in groups:
            for sorted_options in (by_luts, by_memory):
                for spare in SPARE:
                    chosen = []
                    for index, others in enumerate(sorted_options):
                        limit = slowest.cycles * spare
                        fast = slowest if index == at else _fast_enough(others, limit, slowest.cycles)
                        if fast is None:
                            break
                        chosen.append(fast)
                    else:
                        yield chosen


def _fast_enough(groups: list[GroupCost], wanted: float, needed: float) -> GroupCost | None:
    """The first that is as fast as wanted; if none is, as fast as needed."""
    for cycles in (wanted, needed):
        for group in groups:
            if group.cycles <= cycles:
                return group
    return None


def _widened(
    costs: GroupCosts,
    bounds: tuple[int, ...],
    chosen: list[GroupCost],
    options: list[list[GroupCost]],
    lanes: tuple[int, int],
) -> list[GroupCost] | None:
    """The same cores, made wider until there are enough lanes, where that saves most cycles for a lane; or None."""
    chosen = list(chosen)
    while (missing := lanes[0] - sum(group.lanes for group in chosen)) > 0:
        room = lanes[1] - lanes[0] + missing
        steps = []
        for at, groups in enumerate(options):
            wider = next((group for group in groups if group.lanes > chosen[at].lanes), None)
            if wider and wider.lanes - chosen[at].lanes <= room:
                saved = chosen[at].cycles - wider.cycles
                steps.append((saved / (wider.lanes - chosen[at].lanes), at, wider))
        if not steps:  # the lanes that are asked for are of no use
            return _padded(costs, bounds, chosen, missing)
        _, at, group = max(steps, key=lambda step: step[:2])
        chosen[at] = group
    return chosen if missing >= lanes[0] - lanes[1] else None


def _padded(
    costs: GroupCosts, bounds: tuple[int, ...], chosen: list[GroupCost], missing: int
) -> list[GroupCost] | None:
    """The same cores with so many lanes more altogether, which have nothing to do."""
    padded = []
    for first, last, group in zip(bounds[:-1], bounds[1:], chosen, strict=True):
        more = min(missing, MAX_LANES - group.lanes)
        wider = costs.at(first, last, group.lanes + more)
        if wider is None:
            return None
        padded.append(wider)
        missing -= more
    return padded if missing == 0 else None


def estimate(plans: Sequence[Candidate], timesteps: int) -> FloatArray:
    """About how many cycles each plan takes for an image in steady state, some 1 % too few at most."""
    result = np.zeros(len(plans))
    for count in {len(plan.groups) for plan in plans}:
        which = [index for index, plan in enumerate(plans) if len(plan.groups) == count]
        for start in range(0, len(which), BATCH):
            batch = which[start : start + BATCH]
            result[batch] = _intervals([plans[index].groups for index in batch], timesteps)
    return result


def _intervals(plans: Sequence[Sequence[GroupCost]], timesteps: int) -> FloatArray:
    """The same for plans that have the same number of cores.

    A timestep at a time: the fire pass of a core waits until the events of its last one have left, which they do as the
    next core walks them; and that core comes to them when it has finished its own timestep before.
    """
    columns = list(zip(*plans, strict=True))
    parts = [
        [np.stack([getattr(group, name) for group in groups]) for name in ("before", "walk", "after", "frees", "tail")]
        for groups in columns
    ]
    words, begins, gives, takes = (
        [np.array([getattr(group, name) for group in groups]) for groups in columns]
        for name in ("words", "begin", "gives", "takes")
    )
    every, steps = np.arange(len(plans)), parts[0][0].shape[1]
    ready = [np.zeros(len(plans))] * len(columns)  # for its next timestep
    walked = [np.zeros((len(plans), steps + 1)) for _ in columns]  # end of the walks; the last one never counts
    ends = []
    for step in range(steps):
        given = np.zeros(len(plans))
        for core, (before, walk, after, _, _) in enumerate(parts):
            at = ready[core] + before[:, step] + (0 if step % timesteps else begins[core])
            if core:
                first = given + gives[core - 1] + takes[core]
                at = np.maximum(np.maximum(at, first) + walk[:, step], first + words[core - 1] - 1)
                walked[core][:, step] = at
            given = at + after[:, step]
            if step and core + 1 < len(parts):
                frees, tail = parts[core + 1][3][:, step - 1], parts[core + 1][4][:, step - 1]
                given = np.maximum(given, walked[core + 1][every, frees] - tail)
            ready[core] = given + words[core] + CHANGE
        if (step + 1) % timesteps == 0:
            ends.append(given)
    result: FloatArray = np.diff(np.array(ends), axis=0).mean(axis=0)
    return result
