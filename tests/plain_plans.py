"""Plans of networks on cores, for tests that have no use for the generator."""

from typing import Any

from hillock.hw.config import CoreConfig
from hillock.sim.layout import Layout
from hillock.sim.network import Network
from hillock.sim.plan import Plan

__all__ = ["plain_plan"]


def plain_plan(
    network: Network, lanes: int, *, layouts: dict[str, tuple[int, int]] | None = None, **fields: Any
) -> Plan:
    """`network` on a core of so many lanes; `fields` are those of the core, and nothing is checked to fit.

    Lanes run over channels, but for layers that `layouts` has: (b, Q) by name.
    """
    given = layouts or {}
    placed = [
        Layout(layer.shape, lanes, *given.get(layer.name, (min(lanes, layer.shape.channels), 1)))
        for layer in network.layers
    ]
    return Plan(network, CoreConfig(lanes=lanes, **fields), tuple(placed))
