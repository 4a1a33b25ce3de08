"""csr.csv, from which LiteX's own tools know the registers of a board: litex_server and litex_cli.

Addresses there count bytes. Registers are `core<n>_<name>` and `link_<name>`; the other regions of the bus, and the
windows of the link, are memory regions.
"""

from collections.abc import Iterator

from hillock.hw.config import REGION_SHIFT
from hillock.hw.link_registers import LINK_BASE, LINK_REGISTERS, WINDOW_SHIFT, WINDOWS
from hillock.hw.problems import HillockError
from hillock.hw.registers import BUS_ADDRESS_BITS, BUS_BITS, REGIONS, REGISTERS, Access, Register

__all__ = ["csr_csv"]

_BYTES = BUS_BITS // 8
_MOST_CORES = 16


def csr_csv(cores: int = 1) -> str:
    """The file for a board with so many cores."""
    if not 1 <= cores <= _MOST_CORES:
        raise HillockError(f"csr.csv: cores must be from 1 to {_MOST_CORES}, not {cores}")
    return "".join(f"{line}\n" for line in _lines(cores))


def _lines(cores: int) -> Iterator[str]:
    bases = [(f"core{number}", number << BUS_ADDRESS_BITS) for number in range(cores)]
    yield "# Printed by `hillock registers --csr`, for litex_server and litex_cli."
    for name, base in (*bases, ("link", LINK_BASE)):
        yield f"csr_base,{name},{_bytes(base)},,"
    for name, base in bases:
        yield from _registers(name, base, REGISTERS)
    yield from _registers("link", LINK_BASE, LINK_REGISTERS)
    yield f"constant,config_csr_data_width,{BUS_BITS},,"
    yield f"constant,config_bus_address_width,{BUS_BITS},,"
    for name, base in bases:
        for entry in REGIONS:
            if entry.name != "registers":
                size = _BYTES << REGION_SHIFT
                yield f"memory_region,{name}_{entry.name},{_bytes(base + entry.base)},{size},io"
    for window, number in WINDOWS.items():
        yield f"memory_region,link_{window},{_bytes(LINK_BASE + (number << WINDOW_SHIFT))},{_BYTES << WINDOW_SHIFT},io"


def _registers(prefix: str, base: int, registers: tuple[Register, ...]) -> Iterator[str]:
    for entry in registers:
        mode = "ro" if entry.access == Access.RO else "rw"
        yield f"csr_register,{prefix}_{entry.name},{_bytes(base + entry.offset)},1,{mode}"


def _bytes(address: int) -> str:
    return f"{address * _BYTES:#010x}"
