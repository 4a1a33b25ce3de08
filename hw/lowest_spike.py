"""The lowest spike of a word of lanes, and what is left behind it."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .formats import any_and_several, spike_groups, spike_groups_layout
from .trees import FOUR, or_level, or_tree

__all__ = ["LowestSpike"]


class LowestSpike(wiring.Component):
    """Finds the lowest spike, in the same cycle.

    Subtracting one clears the lowest bit that is set, by a carry chain: what is set before and clear after is the
    lowest. A compact core does that with its lanes. Elsewhere four lanes make a group, and four groups a block: the
    lowest spike of each block is found while it is found which block has the lowest of all.

    Members
    -------
    spikes, some : in
        A spike word, and for each group whether it has a spike, see `formats.spike_groups_layout`.
    lane : out
        That of the lowest spike; anything if there is none.
    spikes_left, some_left : out
        The same without it.
    several_left : out
        Whether two or more are left.
    """

    def __init__(self, config: CoreConfig):
        self._compact = config.compact
        groups = spike_groups_layout(config)["any"].shape
        super().__init__(
            {
                "spikes": In(config.lanes),
                "some": In(groups),
                "lane": Out(range(max(2, config.lanes))),
                "spikes_left": Out(config.lanes),
                "some_left": Out(groups),
                "several_left": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._compact:
            self._elaborate_lanes(m)
        else:
            self._elaborate_groups(m)
        return m

    def _elaborate_lanes(self, m: Module) -> None:
        lanes, cleared = range(len(self.spikes)), Signal.like(self.spikes)
        m.d.comb += [cleared.eq(self.spikes - 1), self.spikes_left.eq(self.spikes & cleared)]
        for bit in range(len(self.lane)):
            candidates = (self.spikes[lane] & ~cleared[lane] for lane in lanes if lane >> bit & 1)
            m.d.comb += self.lane[bit].eq(Cat(candidates).any())
        m.d.comb += self.several_left.eq(any_and_several(m, "left", spike_groups(self.spikes_left))[1])

    def _elaborate_groups(self, m: Module) -> None:
        groups = [Cat(self.spikes[at : at + FOUR], Const(0, FOUR))[:FOUR] for at in range(0, len(self.spikes), FOUR)]
        blocks = [self.some[at : at + FOUR] for at in range(0, len(groups), FOUR)]
        # Kept as they are, or synthesis would look for the lane only where it is known which block it is in.
        keep = {"keep": 1}
        has, leads = (Signal(len(blocks), name=name, attrs=keep) for name in ("has", "leads"))
        # Of more than four blocks, four together: or synthesis would ask one after another.
        four_have = or_level(m, "four_have", list(has), FOUR) if len(blocks) > FOUR else []
        first: list[Value] = []  # of each group, whether it has the lowest spike
        lanes = []
        for number, block in enumerate(blocks):
            fours = number // FOUR
            earlier = Cat(four_have[:fours], has[fours * FOUR : number]).any()
            m.d.comb += [has[number].eq(block.any()), leads[number].eq(has[number] & ~earlier)]
            lane, candidates = Signal(4, name=f"lane_of_{number}", attrs=keep), []
            for at, some in enumerate(block):
                leads_block = some & ~block[:at].any()
                first.append(leads[number] & leads_block)
                candidates.append(Mux(leads_block, Cat(_lowest(groups[number * FOUR + at]), Const(at, 2)), 0))
            m.d.comb += lane.eq(or_tree(m, f"lane_of_{number}", candidates, shaped=False))
            lanes.append(Mux(leads[number], Cat(lane, Const(number, len(self.lane))), 0))
        left = [Mux(found, spikes & (spikes - 1), spikes)[:FOUR] for spikes, found in zip(groups, first, strict=True)]
        m.d.comb += [
            # Two at a time where the lanes still have to be chosen: a LUT has four inputs.
            self.lane.eq(or_tree(m, "lane", or_level(m, "lanes", lanes, 2))),
            self.spikes_left.eq(Cat(left)),
            self.some_left.eq((self.some & ~Cat(first)) | (Cat(first) & spike_groups(self.spikes)["several"])),
            self.several_left.eq(_three_or_more(m, groups)),
        ]


def _lowest(spikes: Value) -> Value:
    """The number of the lowest of four lanes with a spike."""
    return Cat(~spikes[0] & (spikes[1] | ~spikes[2]), ~spikes[0] & ~spikes[1])


def _three_or_more(m: Module, groups: list[Value]) -> Value:
    """Whether three bits are set, by a tree that keeps its shape (see `or_tree`): each node counts up to 3."""
    level: list[Value] = [sum((bit for bit in group), Const(0)) for group in groups]
    while True:
        counts: list[Value] = []
        for at, total in enumerate(level):
            count = Signal(2, name=f"spikes_{len(level)}_{at}", attrs={"keep": 1})
            m.d.comb += count.eq(Mux(total >= 3, 3, total))
            counts.append(count)
        if len(counts) == 1:
            return counts[0] == 3
        level = [sum(counts[at : at + 2], Const(0)) for at in range(0, len(counts), 2)]
