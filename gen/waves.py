"""A GTKWave save file beside the waveforms: the signals one wants to see, grouped and in the right format."""

import io
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from amaranth.hdl import Fragment
from vcd.gtkw import GTKWSave, make_translation_filter

from hillock.hw.config import CoreConfig
from hillock.hw.formats import Operation
from hillock.hw.problems import Problems
from hillock.hw.sequencer import Sequencer

from .wave_groups import BEGIN, GROUPS

__all__ = ["Variable", "variables", "write_gtkw"]


@dataclass(frozen=True)
class Variable:
    """A variable of the VCD: scopes joined by dots, name in the last scope, bit range ("[15:0]" or ""), identifier."""

    scope: str
    name: str
    bits: str
    code: str

    @property
    def in_gtkwave(self) -> str:
        """What GTKWave calls it: a name with a dot in itself, as fields of structures have, begins with a backslash."""
        return f"{self.scope}.{_BACKSLASH if '.' in self.name else ''}{self.name}{self.bits}"


_BEFORE = 10  # time units, two a cycle, by which the view begins before the inference
_ZOOM = -3.5  # in GTKWave's measure: some thirty cycles across the window
_BACKSLASH = "\\"
_NO_BITS = "[-1:0]"  # what the Verilog of a signal of width 0 says


def variables(lines: Iterable[str]) -> dict[str, Variable]:
    """The variables that a VCD header declares, by full name; reads on to the end of the header and no further."""
    scopes: list[str] = []
    found: dict[str, Variable] = {}
    for line in lines:
        words = line.split()
        if words[:1] == ["$scope"]:
            scopes.append(words[2])
        elif words[:1] == ["$upscope"]:
            scopes.pop()
        elif words[:1] == ["$var"]:
            code, name, bits = words[3], words[4], words[5] if words[5] != "$end" else ""
            # An array element is declared as `name[0] [15:0]`, or joined; the last brackets are the range.
            joined = re.fullmatch(r"(.+?)(\[\d+:\d+\])", name)
            if joined and not bits:
                name, bits = joined.groups()
            scope = ".".join(scopes)
            if bits != _NO_BITS:
                found[f"{scope}.{name}"] = Variable(scope, name, bits, code)
        elif words[:1] == ["$enddefinitions"]:
            break
    return found


def write_gtkw(vcd: Path) -> Path:
    """Write the save file for the waveforms `vcd` beside it, with the same name and the suffix .gtkw.

    `gtkwave` opened on it finds the waveforms, and begins where the inference does. Names of states and operations go
    to two small files next to it. Nothing written has a date or an absolute path. A `HillockError` names every signal
    that the waveforms do not have.
    """
    _mend(vcd)
    with vcd.open(encoding="ascii", errors="replace") as lines:
        known = variables(lines)
        problems = Problems(f"waveforms {vcd.name}")
        for _, shown in GROUPS:
            for signal in shown:
                problems.require(signal.optional or signal.name in known, _missing(signal.name, known))
        problems.raise_any()
        start = _first_time(lines, known[BEGIN].code)

    filters = {"states": _states(), "operations": {kind.value: name for name, kind in Operation.__members__.items()}}
    for name, values in filters.items():
        text = make_translation_filter(sorted(values.items()), datafmt="dec")
        _filter_path(vcd, name).write_text(text + "\n", encoding="ascii")
    buffer = io.StringIO()
    save = GTKWSave(buffer)
    save.comment("Opened with: gtkwave " + vcd.with_suffix(".gtkw").name)
    save.dumpfile(vcd.name, abspath=False)
    save.savefile(vcd.with_suffix(".gtkw").name, abspath=False)
    save.timestart(max(0, start - _BEFORE))
    save.zoom_markers(_ZOOM, start)
    save.size(1500, 1000)
    save.signals_width(390)
    save.sst_expanded(False)
    for heading, shown in GROUPS:
        there = [signal for signal in shown if signal.name in known]
        if not there:
            continue
        with save.group(heading):
            for signal in there:
                save.trace(
                    known[signal.name].in_gtkwave,
                    known[signal.name].name.replace(".", " "),  # of a label with a dot GTKWave shows but the end
                    datafmt=signal.format,
                    translate_filter_file=_filter_path(vcd, signal.names).name if signal.names else None,
                )
    path = vcd.with_suffix(".gtkw")
    path.write_text(buffer.getvalue(), encoding="ascii")
    return path


def _mend(vcd: Path) -> None:
    """Replace the colons in names by underscores, in place: GTKWave 3 opens no file that has such names.

    They are those of registers that Yosys adds when it writes Verilog.
    """
    with vcd.open("r+b") as file:
        while (line := file.readline()) and b"$enddefinitions" not in line:
            words = line.split()
            if words[:1] == [b"$var"] and b":" in words[4].partition(b"[")[0]:
                file.seek(-len(line), os.SEEK_CUR)
                file.write(line.replace(words[4], words[4].replace(b":", b"_")))
                file.flush()


def _missing(name: str, known: dict[str, Variable]) -> str:
    close = [] if name in known else get_close_matches(name, known, 1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"no signal {name}, which the save file is to show{meant}"


def _first_time(lines: Iterable[str], code: str) -> int:
    """The first time at which the one-bit variable `code` is 1; 0 when it never is."""
    now, wanted = 0, f"1{code}"
    for line in lines:
        if line[0] == "#":
            now = int(line[1:])
        elif line.rstrip() == wanted:
            return now
    return 0


def _states() -> dict[int, str]:
    """Names of the sequencer's states by their encoding, asked of the sequencer itself."""
    state = Fragment.get(Sequencer(CoreConfig(), descriptors=[], connections=[]), None).find_generated("fsm").state
    names: dict[int, str] = {}
    for value in range(1 << len(state)):
        with suppress(KeyError):  # an encoding that no state has
            names[value] = state.decoder(value).partition("/")[0]
    return names


def _filter_path(vcd: Path, name: str) -> Path:
    return vcd.with_suffix(f".{name}.txt")
