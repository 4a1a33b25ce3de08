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
    looks_ahead : bool
        Whether the taker has a register behind its queue, for one token that it has not yet taken.
    """

    def __init__(self, depth: int, *, looks_ahead: bool = True):
        self._depth, self._looks_ahead = depth, looks_ahead
        self._given = np.zeros(0, np.int64)
        self._exits = np.zeros(0, np.int64)  # when the last tokens left the queue
        self._popped = -1  # when the last token was taken
        self._leaves = np.full(4, -2, np.int64)  # when the last tokens left
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
        exits = pops
        if self._looks_ahead:
            exits = np.maximum(leaves + INPUT_LATENCY, np.append(self._popped, pops[:-1]) + 1)
        # A token enters the queue after the one `depth` places before it has left it.
        before = np.concatenate([self._exits, exits])[: max(0, len(self._exits) + len(exits) - self._depth)]
        if (leaves[len(leaves) - len(before) :] <= before).any():
            leaves, exits, pops, taken = self._take_one_by_one(lengths, ready, decode, marker_after)
        self._popped = int(pops[-1])
        self._keep(leaves, exits)
        return int(taken[-1])

    def drain(self) -> IntArray:
        """When the tokens leave for a taker that never holds them back."""
        leaves = self._unblocked()
        self._keep(leaves, leaves)
        return leaves

    def marker_before(self, stages: int) -> int:
        """When the marker is `stages` stages before the one that leaves: the words behind it may then come.

        If it is held back, a register behind these stages holds the token before it.
        """
        if not len(self._given):
            return 0
        alone = (self._given - np.arange(len(self._given))).max() + len(self._given) - 1  # if all leave at once
        return int(max(alone - stages, self._leaves[-3 - stages] + 2))

    def _room(self, index: int) -> int:
        """When the queue of the taker has room for token `index` of those given."""
        at = len(self._exits) + index - self._depth
        return int(self._exits[at]) + 1 if at >= 0 else 0

    def _unblocked(self) -> IntArray:
        steps = np.arange(len(self._given))
        leaves: IntArray = np.maximum.accumulate(np.maximum(self._given - steps, self._leaves[-1] + 1)) + steps
        return leaves

    def _take_one_by_one(
        self, lengths: IntArray, ready: int, decode: int, marker_after: int
    ) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        exits = self._exits.tolist()
        first = len(exits)
        leaves: list[int] = []
        pops: list[int] = []
        taken: list[int] = []
        leave, popped, busy_until = int(self._leaves[-1]), self._popped, 0
        for index, (given, length) in enumerate(zip(self._given.tolist(), lengths.tolist(), strict=True)):
            at = first + index - self._depth
            leave = max(given, leave + 1, exits[at] + 1 if at >= 0 else 0)
            offered = leave + INPUT_LATENCY
            entered = max(offered, ready)
            walks = max(entered + decode, busy_until)
            if index == len(lengths) - 1:
                walks = max(walks, marker_after)
            pop = walks
            if decode:
                pop = max(entered, pops[-1] + 1 if index else 0, taken[-3] if index >= 3 else 0)
            exits.append(max(offered, popped + 1) if self._looks_ahead else pop)
            popped, busy_until = pop, walks + length
            leaves.append(leave)
            pops.append(pop)
            taken.append(walks)
        return np.array(leaves), np.array(exits[first:]), np.array(pops), np.array(taken)

    def _keep(self, leaves: IntArray, exits: IntArray) -> None:
        self._leaves = np.concatenate([self._leaves, leaves])[-4:]
        self._exits = np.concatenate([self._exits, exits])[-self._depth :]
