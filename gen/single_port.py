"""Cores for boards whose weights lie in single-port RAMs, such as the SPRAMs of an iCE40 UltraPlus."""

from typing import Any

from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.sim.layer import Decision, ResetMode
from hillock.sim.network import Network
from hillock.sim.synapses import Dense

from .boards import Board

__all__ = ["check_single_port", "single_port_sizes"]

_WORDS, _BITS = 1 << 14, 16
"""Of a single-port RAM."""


def single_port_sizes(network: Network, lanes: int) -> dict[str, Any]:
    """The fields of a `CoreConfig` that such a board asks for: as small a core as the network allows."""
    sizes: dict[str, Any] = {"single_port": 1, "compact": int(_fits_compact(network, lanes))}
    return {**sizes, "input_queue": 0} if network.image_input else sizes


def check_single_port(config: CoreConfig, board: Board) -> None:
    """A `HillockError` where the board has too few single-port RAMs for the weights of a core."""
    needed = -(-config.lanes * config.weight_bits // _BITS) * -(-config.synapse_words // _WORDS)
    if needed > board.spram:
        raise HillockError(
            f"{board.name} ({board.device}): {config.synapse_words:,} synapse words of {config.lanes} lanes and "
            f"{config.weight_bits} bits need {needed} single-port RAMs, {needed - board.spram} more than the "
            f"{board.spram} that it has: allow fewer lanes, or make the network smaller"
        )


def _fits_compact(network: Network, lanes: int) -> bool:
    """Whether a compact core can run it: dense layers one behind the other, without leak, that count their spikes."""
    chain = all(
        connection.source == before and isinstance(connection.synapses, Dense)
        for layer, before in zip(network.layers[1:], [one.name for one in network.layers], strict=False)
        for connection in layer.connections
    )
    plain = all(
        layer.leak_shift == 0 and (layer.reset_mode is ResetMode.SUBTRACT or layer.reset_amount == 0)
        for layer in network.layers
    )
    short = network.timesteps < 1 << 8
    counts = (
        short and network.decision is not Decision.POTENTIAL and network.payload_bits == 1 and not network.static_input
    )
    walks_two_words = all(layer.neurons > lanes for layer in network.layers if layer.connections)
    return chain and plain and counts and walks_two_words and lanes > 1 and lanes.bit_count() == 1
