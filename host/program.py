"""What a board is to run: everything that is loaded, and what is needed to speak to it and to read its results."""

from collections.abc import Callable
from dataclasses import dataclass

from hillock.hw.config import CoreConfig
from hillock.hw.registers import BUS_ADDRESS_BITS, register
from hillock.sim.network import IntArray, Network

from .uartbone import Rows

__all__ = ["Program", "at_core"]


@dataclass(frozen=True, eq=False)
class Program:
    """A network for the cores of a board; `gen/host_program.py` makes it from a placement.

    Attributes
    ----------
    configs : tuple of CoreConfig
        The cores that it was made for.
    load : Rows
        What loads everything into idle cores.
    read_back : Rows
        What is then read in the memories that can be read.
    image_writes : callable
        From pixels and a bank of currents to the writes that load them.
    potentials : tuple of arrays
        Bus address of the potential of each neuron, for each layer.
    output_order : array
        Addresses of the last layer in the order in which their events leave it.
    """

    network: Network
    configs: tuple[CoreConfig, ...]
    load: Rows
    read_back: Rows
    image_writes: Callable[[IntArray, int], Rows]
    potentials: tuple[IntArray, ...]
    output_order: IntArray

    @property
    def has_two_images(self) -> bool:
        """Whether the next image is loaded while one is at work."""
        return self.network.image_input and self.configs[0].image_banks == 2


def at_core(name: str, core: int = 0) -> int:
    """Bus address of a register of a core."""
    return core << BUS_ADDRESS_BITS | register(name).offset
