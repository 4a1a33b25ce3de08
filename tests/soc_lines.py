"""What the program of the system on chip prints of inferences, as figures to be held against others."""

import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Figures", "results"]

_RESULT = re.compile(
    r"PASS  image (\d+): class (\d+), (\d+) cycles, (\d+) spikes (0x[0-9a-f]{8}), counts((?: \d+)+)", re.ASCII
)


class Figures(NamedTuple):
    """Of one inference; `crc` is that of the output tokens: which neuron fired in which timestep, in which order."""

    decision: int
    cycles: int
    spikes: int
    crc: int
    counts: tuple[int, ...]


def results(lines: Sequence[str]) -> list[Figures]:
    """The inferences that passed, which must be numbered from 0 on."""
    found = [match for match in map(_RESULT.fullmatch, lines) if match]
    assert [int(match[1]) for match in found] == list(range(len(found)))
    return [
        Figures(
            decision=int(match[2]),
            cycles=int(match[3]),
            spikes=int(match[4]),
            crc=int(match[5], 16),
            counts=tuple(map(int, match[6].split())),
        )
        for match in found
    ]
