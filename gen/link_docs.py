"""`docs/link.md`: how a host speaks to a board, with the tables of `hw/link_registers.py`."""

from collections.abc import Iterable, Sequence

from hillock.hw.config import REGION_SHIFT
from hillock.hw.link_registers import (
    DECISION_WORDS,
    LINK_BASE,
    LINK_IDENTITY,
    LINK_REGION,
    LINK_REGISTERS,
    WINDOW_SHIFT,
    WINDOWS,
    link_register,
    link_table_digest,
)
from hillock.hw.registers import BUS_ADDRESS_BITS, BUS_BITS
from hillock.hw.system import IDLE_SECONDS
from hillock.hw.uart_bone import Command

__all__ = ["link_markdown"]

_BYTES = BUS_BITS // 8

_COMMANDS = {
    Command.WRITE_INCREMENTED: ("writes the words from the address on", "nothing"),
    Command.READ_INCREMENTED: ("reads the words from the address on", "the words"),
    Command.WRITE_FIXED: ("writes all words to the address", "nothing"),
    Command.READ_FIXED: ("reads the address so many times", "the words"),
}

_WINDOWS = {
    "inputs": ("write only", "each word written, to any of these addresses, is an input token"),
    "outputs": ("read only", "word `i mod depth` is output token `i`"),
    "decisions": (
        "read only",
        f"{DECISION_WORDS} words from `{DECISION_WORDS} * (i mod depth)` on are decision `i`, and the `cycle` in which "
        f"it came",
    ),
}


def link_markdown() -> str:
    """The whole document."""
    return "\n\n".join(
        (
            "# The link",
            "<!-- Printed by `python -m hillock.gen.link_docs` from hw/link_registers.py; change it there. -->",
            _introduction(),
            "## Try it",
            _try_it(),
            "## Requests",
            _requests(),
            "## Addresses",
            _addresses(),
            "## Registers",
            _registers(),
            "## How to use it",
            _guide(),
        )
    ) + "\n"  # fmt: skip


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    first, *rest = (" | ".join(str(cell).replace("|", r"\|") for cell in line) for line in (head, *rows))
    return "\n".join((f"| {first} |", "|" + "---|" * len(head), *(f"| {line} |" for line in rest)))


def _introduction() -> str:
    return f"""\
How a host reaches what is on a board: bytes over a UART (8 data bits, no parity, one stop bit) are requests to read and
write the words of one bus, which the cores ([registers](registers.md)) and the link itself are on. The requests are
those of LiteX's uartbone, so that `litex_server` and `litex_cli` speak to a board too. `hw/system.py` is the gateware.

These tables have the digest `{link_table_digest():#010x}`, which a link built from them shows in `table`."""


def _try_it() -> str:
    return """\
    make board-sim ARGS="--model digits --lanes 16"

compiles the whole board design, from pin to pin, prints where it is (`socket://127.0.0.1:PORT`, and with `--pty` the
path of a serial port) and runs until it is interrupted. All that is said here holds for it as for a board; only its
time is its own: a bit takes four clock cycles, and while nobody speaks and nothing runs, time stands still. A client
that asks for the identity:

    python -c "
    import socket, sys
    board = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
    board.sendall(bytes([2, 1, 0, 0, 0, 0]))
    print(board.recv(4))" PORT

It prints `b'HILK'`, the identity of core 0."""


def _requests() -> str:
    table = _table(
        ("first byte", "does", "answer"),
        ((int(command), does, answer) for command, (does, answer) in _COMMANDS.items()),
    )
    return f"""\
A request is one byte that says what to do, one for the number of words (0 is 256), {_BYTES} of address, and for a write
{_BYTES} for each word. Addresses count {BUS_BITS}-bit words; all numbers come with their highest byte first.

{table}

- Each word of a write takes effect as soon as its last byte is there; a write has no answer.
- After a read, wait for the whole answer: bytes that come before its end are dropped.
- Another first byte is dropped with the five bytes behind it.
- A request that stops half-way is dropped {1000 * IDLE_SECONDS:.0f} ms after its last byte, and the next byte begins
  another.
- A byte without a stop bit is dropped.

Each of the last four sets `error.command`."""


def _addresses() -> str:
    rows = [
        (f"{LINK_BASE + (number << WINDOW_SHIFT):#x}", f"`{name}`", *_WINDOWS[name]) for name, number in WINDOWS.items()
    ]
    table = _table(
        ("address", "window", "access", "meaning"), [(f"{LINK_BASE:#x}", "", "", "the registers below"), *rows]
    )
    return f"""\
Bits {BUS_ADDRESS_BITS} and above of an address are the number of the core. The link is region {LINK_REGION} of core 0,
which begins at {LINK_BASE:#x} ({LINK_BASE * _BYTES:#x} in bytes) and has {1 << REGION_SHIFT:#x} addresses.

{table}

A window has {1 << WINDOW_SHIFT:,} addresses and repeats what it has. Anything else in the region, and a core that does
not exist, reads as 0, ignores what is written, and sets `error.address`. So does a write to what is read only, and a
read of what is write only."""


def _registers() -> str:
    rows = []
    for entry in LINK_REGISTERS:
        for field in entry.fields:
            first = field is entry.fields[0]
            high = field.low + int(field.width) - 1
            rows.append(
                (
                    f"{LINK_BASE + entry.offset:#x}" if first else "",
                    f"{(LINK_BASE + entry.offset) * _BYTES:#x}" if first else "",
                    f"`{entry.name}`" if first else "",
                    entry.access if first else "",
                    f"{high}:{field.low}" if high > field.low else high,
                    f"`{field.name}`",
                    field.meaning,
                )
            )
    return _table(("address", "in bytes", "register", "access", "bits", "field", "meaning"), rows)


def _guide() -> str:
    def address(name: str) -> str:
        return f"{LINK_BASE + link_register(name).offset:#x}"

    return f"""\
**Find it.** `identity` ({address("identity")}) reads {LINK_IDENTITY:#x}, and `table` ({address("table")}) the digest
that the program was built with. `design` says which cores there are: it is the digest of their sizes
(`hw/design_digest.py`).

**Begin.** Write `control.restart`, then `abort` to the `control` of each core, the first one first, then
`control.restart` again: the first empties the queue of input, so that no core begins anew, and the last drops what left
the cores meanwhile.

**Load and run** as [registers](registers.md) says. The events of a network with event input are written to the window
`inputs`: tokens of {BUS_BITS} bits at most, never more than `input_space` says.

**Read the result.** `decisions_given` counts decisions; the window has the newest. The output tokens are kept as well:
read those from `outputs_taken` to `outputs_given`, then write to `outputs_taken` how many you have. Words of a request
are read one after another: read `decisions_given` before `outputs_given`, and the output of those decisions is there.
Nothing that was not taken is overwritten. When `outputs_given - outputs_taken` or `decisions_given - decisions_taken`
is the depth in `geometry`, the last core waits, so take the output even if you do not want it; `control.restart` takes
all of it. Where the next image waits for the end of this one, `cycles` and the counts of a core are soon those of the
next: what the link keeps is of each.

**Be sure of it.** A UART loses and damages bytes. `received` and `sent` are CRC-32s (those of zlib) of all bytes since
`control.clear`: compute the same of what you sent and received, and compare. Read both in one request; they cover what
came before it. If `sent` differs, read again. If `received` differs, a write may have gone anywhere: begin anew, and
load everything. Bytes that were dropped because they came too early are not in `received`."""


if __name__ == "__main__":
    print(link_markdown(), end="")
