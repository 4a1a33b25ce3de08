"""Everything that a host reaches beside the cores, once, as data. Plain Python.

These registers and windows are region `LINK_REGION` of core 0's part of the bus, which no core uses itself. The
gateware, the host library, csr.csv and `docs/link.md` take them from here.
"""

import hashlib

from .config import REGION_SHIFT
from .registers import Access, Field, Register, whole

__all__ = [
    "DECISION_WORDS",
    "LINK_BASE",
    "LINK_IDENTITY",
    "LINK_REGION",
    "LINK_REGISTERS",
    "WINDOWS",
    "WINDOW_SHIFT",
    "link_register",
    "link_table_digest",
]

LINK_REGION = 15
LINK_BASE = LINK_REGION << REGION_SHIFT
"""Bus address of the first link register."""

LINK_IDENTITY = 0x484C4E4B
"""What the register `identity` reads: the letters HLNK."""

WINDOW_SHIFT = 12
"""Each window has `1 << WINDOW_SHIFT` addresses; registers are at window 0."""

WINDOWS = {"inputs": 1, "outputs": 2, "decisions": 3}
"""Number of each window, which begins at `LINK_BASE + (number << WINDOW_SHIFT)`.

inputs: a write to any address puts an input token into the input queue (refused, with an error, where it is full).
outputs: word i mod depth is output token number i since the restart. decisions: `DECISION_WORDS` words for each.
"""

DECISION_WORDS = 2
"""Words of an entry of the window `decisions`: the decision, and the clock cycle it came in (since power-up, mod 2^32).
"""


LINK_REGISTERS = (
    Register("identity", 0, Access.RO, whole("identity", 32, "the letters HLNK: there is a hillock link here")),
    Register("table", 1, Access.RO, whole("table", 32, "digest of this register table")),
    Register("design", 2, Access.RO, whole("design", 32, "digest of the sizes of all cores: what was built")),
    Register(
        "geometry",
        3,
        Access.RO,
        (
            Field("cores", 0, 8, "cores in the pipeline"),
            Field("input_depth_log2", 8, 8, "input tokens that the input queue holds, as a power of two"),
            Field("output_depth_log2", 16, 8, "output tokens that the window holds"),
            Field("decision_depth_log2", 24, 8, "decisions that the window holds"),
        ),
    ),
    Register("clock", 4, Access.RO, whole("clock", 32, "clock cycles per second")),
    Register("divisor", 5, Access.RO, whole("divisor", 32, "clock cycles per bit of the UART")),
    Register(
        "control",
        6,
        Access.W1,
        (
            Field("restart", 0, 1, "forget waiting input, output and decisions; their numbers begin at 0"),
            Field("clear", 1, 1, "`received` and `sent` begin anew: with the command after this one"),
        ),
    ),
    Register(
        "error",
        7,
        Access.W1,
        (
            Field("input_full", 0, 1, "an input token came while the input queue was full: dropped"),
            Field("command", 1, 1, "the link saw a command that does not exist, or one that stopped half-way"),
            Field(
                "address", 2, 1, "an access beyond the link's registers and windows, or a write to what is read only"
            ),
        ),
    ),
    Register(
        "received",
        8,
        Access.RO,
        whole("received", 32, "CRC-32 of all bytes received since `clear`, up to before the command that reads it"),
    ),
    Register(
        "sent",
        9,
        Access.RO,
        whole("sent", 32, "CRC-32 of all bytes sent since `clear`, up to before the answer that carries it"),
    ),
    Register("input_space", 10, Access.RO, whole("input_space", 16, "input tokens that can be put without waiting")),
    Register("inputs_put", 11, Access.RO, whole("inputs_put", 32, "input tokens put since `restart`")),
    # Decisions first, so that where both are read in one request the output of those decisions is counted too.
    Register("decisions_given", 12, Access.RO, whole("decisions_given", 32, "decisions given since `restart`")),
    Register("decisions_taken", 13, Access.RW, whole("decisions_taken", 32, "decisions that the host has")),
    Register("outputs_given", 14, Access.RO, whole("outputs_given", 32, "output tokens given since `restart`")),
    Register(
        "outputs_taken",
        15,
        Access.RW,
        whole("outputs_taken", 32, "output tokens that the host has; the window keeps those after them"),
    ),
    Register("cycle", 16, Access.RO, whole("cycle", 32, "clock cycles since power-up")),
)


def link_register(name: str) -> Register:
    """The register called `name`."""
    return next(entry for entry in LINK_REGISTERS if entry.name == name)


def link_table_digest() -> int:
    """A 32-bit digest of the table, so that a host notices a link built from another."""
    tables = repr((LINK_REGION, WINDOW_SHIFT, WINDOWS, DECISION_WORDS, LINK_REGISTERS))
    return int.from_bytes(hashlib.sha256(tables.encode()).digest()[:4], "big")
