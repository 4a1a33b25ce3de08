"""The experiments, in the order in which a page has them."""

from . import bits, board, cost, delay, latency, rates, restored, unseen

__all__ = ["EXPERIMENTS"]

EXPERIMENTS = tuple(module.EXPERIMENT for module in (latency, cost, delay, unseen, rates, bits, restored, board))
