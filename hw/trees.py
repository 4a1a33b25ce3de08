"""Trees of LUTs: what joins the lanes of a wide core, at the least depth."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value

__all__ = ["FOUR", "or_tree"]

FOUR = 4
"""Inputs of a LUT."""


def or_tree(m: Module, name: str, values: Sequence[Value], *, shaped: bool = True) -> Value:
    """The OR of all values, bit by bit, joined four at a time.

    `shaped`: synthesis must leave it so. Where there is time by its own reckoning it would make a deeper tree of fewer
    LUTs, and it knows nothing of the way from one end of a wide core to the other.
    """
    level = list(values)
    while len(level) > 1:
        joined = []
        for at in range(0, len(level), FOUR):
            node = Signal(
                max(map(len, level)), name=f"{name}_{len(level)}_{at // FOUR}", attrs={"keep": 1} if shaped else {}
            )
            total, *rest = level[at : at + FOUR]
            for value in rest:
                total = total | value
            m.d.comb += node.eq(total)
            joined.append(node)
        level = joined
    return level[0]
