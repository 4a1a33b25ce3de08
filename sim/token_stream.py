"""When the tokens of a stream leave one core and enter the next, which may hold them back: `docs/cycles.md`."""

import numpy as np

from .synapses import IntArray

__all__ = ["TokenStream"]

INPUT_LATENCY = 2
"""From an input word being accepted to its token being on offer."""


class TokenStream:
    """Tokens between two cores, or from outside to the first, or from the last to outside.

    Parameters
    ----------
    depth : int
        Words of the queue that the taker has.
    """

    def __init__(self, depth: int):
        self._depth = depth
        self._given = np.zeros(0, np.int64)
        self._pops = np.zeros(0, np.int64)  # when the taker took the last tokens out of its queue
        self._leaves = np.full(3, -1, np.int64)  # when the last tokens left
        self.addresses = np.zeros(0, np.int64)

    def give(self, addresses: IntArray, cycles: IntArray) -> None:
        """The tokens of a timestep, and when each is on offer if none before it is held back; the last is a marker."""
        self.addresses, self._given = addresses, cycles

    def first_offer(self) -> int:
        """When the first of the tokens given is on offer to the taker."""
        return int(max(self._given[0], self._leaves[-1] + 1, self._room(0))) + INPUT_LATENCY

    def take(self, lengths: IntArray, ready: int, decode: int, marker_after: int) -> int:
        """When the marker is taken by a walker that is `ready`, and walks so many cycles for each token.

        Tokens spend `decode` cycles in the tables in between; the marker is not taken before `marker_after`.
        """
        steps = np.arange(len(lengths))
        leaves = self._unblocked()
        begins = np.cumsum(lengths) - lengths
        entered = np.maximum(leaves + INPUT_LATENCY, ready)
        taken = np.maximum.accumulate(entered + decode - begins) + begins
        taken[-1] = max(int(taken[-1]), marker_after)
        pops = taken
        if decode:
            pops = np.maximum.accumulate(entered - steps) + steps
            pops[3:] = np.maximum(pops[3:], taken[:-3])  # three are in the tables at most
        # A token enters the queue after the one `depth` places before it was taken out.
        before = np.concatenate([self._pops, pops])[: max(0, len(self._pops) + len(pops) - self._depth)]
        if (leaves[len(leaves) - len(before) :] <= before).any():
            leaves, pops, taken = self._take_one_by_one(lengths, ready, decode, marker_after)
        self._keep(leaves, pops)
        return int(taken[-1])

    def drain(self) -> IntArray:
        """When the tokens leave for a taker that never holds them back."""
        leaves = self._unblocked()
        self._keep(leaves, leaves)
        return leaves

    def marker_before(self, stages: int) -> int:
        """When the marker is `stages` stages before the one that leaves: the words behind it may then come."""
        if not len(self._given):
            return 0
        alone = (self._given - np.arange(len(self._given))).max() + len(self._given) - 1  # if all leave at once
        return int(max(alone - stages, self._leaves[-2 - stages] + 1))

    def _room(self, index: int) -> int:
        """When the queue of the taker has room for token `index` of those given."""
        at = len(self._pops) + index - self._depth
        return int(self._pops[at]) + 1 if at >= 0 else 0

    def _unblocked(self) -> IntArray:
        steps = np.arange(len(self._given))
        leaves: IntArray = np.maximum.accumulate(np.maximum(self._given - steps, self._leaves[-1] + 1)) + steps
        return leaves

    def _take_one_by_one(
        self, lengths: IntArray, ready: int, decode: int, marker_after: int
    ) -> tuple[IntArray, IntArray, IntArray]:
        known = self._pops.tolist()
        first = len(known)
        leaves: list[int] = []
        taken: list[int] = []
        leave, busy_until = int(self._leaves[-1]), 0
        for index, (given, length) in enumerate(zip(self._given.tolist(), lengths.tolist(), strict=True)):
            at = first + index - self._depth
            leave = max(given, leave + 1, known[at] + 1 if at >= 0 else 0)
            entered = max(leave + INPUT_LATENCY, ready)
            walks = max(entered + decode, busy_until)
            if index == len(lengths) - 1:
                walks = max(walks, marker_after)
            pop = walks
            if decode:
                pop = max(entered, known[-1] + 1 if index else 0, taken[-3] if index >= 3 else 0)
            busy_until = walks + length
            known.append(pop)
            leaves.append(leave)
            taken.append(walks)
        return np.array(leaves), np.array(known[first:]), np.array(taken)

    def _keep(self, leaves: IntArray, pops: IntArray) -> None:
        self._leaves = np.concatenate([self._leaves, leaves])[-3:]
        self._pops = np.concatenate([self._pops, pops])[-self._depth :]
