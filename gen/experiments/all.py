"""The experiments, in the order in which a page has them."""

from . import bits, board, cost, delay, latency, rates, restored

__all__ = ["EXPERIMENTS"]

EXPERIMENTS = tuple(module.EXPERIMENT for module in (latency, cost, delay, rates, bits, restored, board))
