"""What is on a board, by its registers, and whether it is what a program was made for."""

from collections.abc import Sequence
from dataclasses import dataclass

from hillock.hw.config import CoreConfig
from hillock.hw.design_digest import design_digest
from hillock.hw.link_registers import LINK_BASE, LINK_IDENTITY, link_register, link_table_digest
from hillock.hw.problems import HillockError, Problems
from hillock.hw.registers import IDENTITY, register, table_digest

from .connection import Connection
from .program import at_core

__all__ = ["Identity", "identify"]

_REBUILD = "build its bitstream with this version of hillock, or install the version that it was built with"


@dataclass(frozen=True)
class Identity:
    """What the registers say.

    `geometry` of each core has its lanes, widths and capacity by name; the depths are in tokens and decisions.
    """

    design: int
    clock_hz: int
    divisor: int
    input_depth: int
    output_depth: int
    decision_depth: int
    geometry: tuple[dict[str, int], ...]

    @property
    def baud(self) -> int:
        """Bits per second of its UART."""
        return round(self.clock_hz / max(1, self.divisor))

    def describe(self) -> str:
        """In one line."""
        cores = len(self.geometry)
        lanes = " + ".join(str(core["lanes"]) for core in self.geometry)
        return (
            f"design {self.design:#010x}: {cores} {'core' if cores == 1 else 'cores'} of {lanes} lanes at "
            f"{self.clock_hz / 1e6:g} MHz, {self.baud:,} baud"
        )

    def check(self, configs: Sequence[CoreConfig], what: str) -> None:
        """Refuse what was made for other cores than these."""
        wanted = design_digest(configs)
        if self.design == wanted:
            return
        lanes = " + ".join(str(config.lanes) for config in configs)
        raise HillockError(
            f"{what}: it was made for design {wanted:#010x} ({len(configs)} {'core' if len(configs) == 1 else 'cores'} "
            f"of {lanes} lanes), and the board has {self.describe()}: load the bitstream that was built for it, or "
            f"make the images for the cores that are there"
        )


def identify(connection: Connection) -> Identity:
    """Read who is there; a `HillockError` when its tables are not those of this version."""
    ((identity, table, design, geometry, clock, divisor),) = connection.exchange(reads=[(LINK_BASE, 6)])
    about = Problems(f"port {connection.name}")
    about.require(
        identity == LINK_IDENTITY,
        f"wrong bitstream: identity of the link reads {identity:#010x}, and must be {LINK_IDENTITY:#010x}: load a "
        f"bitstream of hillock",
    )
    about.raise_any()
    about.require(
        table == link_table_digest(),
        f"wrong bitstream: its link was built from register table {table:#010x}, this is {link_table_digest():#010x}: "
        f"{_REBUILD}",
    )
    about.raise_any()
    fields = {field.name: geometry >> field.low & 0xFF for field in link_register("geometry").fields}
    found = connection.exchange(reads=[(at_core("identity", core), 4) for core in range(fields["cores"])])
    for core, (its_identity, its_table, _, _) in enumerate(found):
        about.require(
            its_identity == IDENTITY,
            f"core {core}: identity reads {its_identity:#010x}, and must be {IDENTITY:#010x}: load its bitstream again",
        )
        about.require(
            its_table == table_digest(),
            f"wrong bitstream: core {core} was built from register table {its_table:#010x}, this is "
            f"{table_digest():#010x}: {_REBUILD}",
        )
    about.raise_any()
    return Identity(
        design,
        clock,
        divisor,
        1 << fields["input_depth_log2"],
        1 << fields["output_depth_log2"],
        1 << fields["decision_depth_log2"],
        tuple(_geometry(words[2], words[3]) for words in found),
    )


def _geometry(geometry: int, capacity: int) -> dict[str, int]:
    return {
        field.name: value >> field.low & ((1 << int(field.width)) - 1)
        for name, value in (("geometry", geometry), ("capacity", capacity))
        for field in register(name).fields
    }
