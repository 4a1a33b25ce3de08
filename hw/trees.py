"""Trees of LUTs: what joins the lanes of a wide core, at the least depth."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value

__all__ = ["FOUR", "or_level", "or_tree"]

FOUR = 4
"""Inputs of a LUT."""


def or_tree(m: Module, name: str, values: Sequence[Value], *, shaped: bool = True) -> Value:
    """The OR of all values, bit by bit, joined four at a time.

    `shaped`: synthesis must leave it so. Where there is time by its own reckoning it would make a deeper tree of fewer
    LUTs, and it knows nothing of the way from one end of a wide core to the other.
    """
    level = list(values)
    while len(level) > 1:
        level = or_level(m, name, level, FOUR, shaped=shaped)
    return level[0]


def or_level(m: Module, name: str, values: Sequence[Value], at_a_time: int, *, shaped: bool = True) -> list[Value]:
    """One level of such a tree: the OR of the first `at_a_time` values, of the next, and so on."""
    joined: list[Value] = []
    for at in range(0, len(values), at_a_time):
        total, *rest = values[at : at + at_a_time]
        width = max(len(value) for value in values)
        node = Signal(width, name=f"{name}_{len(values)}_{len(joined)}", attrs={"keep": 1} if shaped else {})
        for value in rest:
            total = total | value
        m.d.comb += node.eq(total)
        joined.append(node)
    return joined
