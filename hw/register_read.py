"""Which register of a table an address means, and what it reads: for the core's registers, and those of the link."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from .registers import Field, Register

__all__ = ["meant_registers", "read_registers"]


def meant_registers(m: Module, address: Value, registers: Sequence[Register], *, early: bool) -> dict[str, Signal]:
    """For each register, by name, whether `address` is its offset: `early`, as it was in the cycle before."""
    meant = {}
    for entry in registers:
        meant[entry.name] = Signal(name=f"means_{entry.name}")
        m.d["sync" if early else "comb"] += meant[entry.name].eq(address == entry.offset)
    return meant


def read_registers(
    registers: Sequence[Register],
    meant: Mapping[str, Value],
    values: Mapping[str, Sequence[Value | int]],
    width: Callable[[Field], int],
) -> Value:
    """What the register that is meant holds, 0 where none is: combinational.

    Parameters
    ----------
    values : mapping
        For each register, by name, the value of each of its fields.
    width : function
        Bits of a field.
    """
    words = []
    for entry in registers:
        fields = zip(entry.fields, values[entry.name], strict=True)
        word = reduce(or_, (_resized(value, width(field)) << field.low for field, value in fields))
        words.append(Mux(meant[entry.name], word, 0))
    return reduce(or_, words)


def _resized(value: Value | int, width: int) -> Value:
    return Const(value, width) if isinstance(value, int) else Cat(value, Const(0, width))[:width]
