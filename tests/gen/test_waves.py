"""The save file for GTKWave: every signal in it is one of the gateware, and the waveforms are found where they lie."""

import re
from collections.abc import Iterable, Iterator

import pytest

from hillock.gen import waves
from hillock.gen.verilog import core_verilog
from hillock.gen.wave_groups import GROUPS
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError

BODY = "#0\n0!\n#7\n1!\n#9\n0!\n"  # `begin`, which has the identifier !, is 1 from 7 to 9


PLAIN = CoreConfig(lanes=2, max_layers=2, max_channels=8, potential_words=8, synapse_words=16, classes=4)
FULL = CoreConfig(
    lanes=4,
    payload_bits=2,
    max_layers=4,
    max_channels=8,
    max_height=4,
    max_width=4,
    columns_per_word=2,
    potential_words=16,
    synapse_words=64,
    current_words=16,
    replay_words=16,
    row_entries=8,
    column_entries=8,
    channel_entries=8,
    static_input=1,
    classes=4,
)
"""A core that has everything."""


def header(config: CoreConfig) -> list[str]:
    """What Verilator declares for the Verilog of this configuration: scope TOP with the ports, and each module."""
    declared: dict[str, dict[str, str]] = {}
    ports: list[str] = []
    for found in re.finditer(r"^module (\S+) ?\(.*?^endmodule", core_verilog(config), re.MULTILINE | re.DOTALL):
        module = found[1].lstrip("\\")
        pattern = r"^  (input|output|wire|reg) (?:signed )?(\[-?\d+:0\] )?(\S+)"
        for kind, bits, name in re.findall(pattern, found[0], re.MULTILINE):
            declared.setdefault(module, {})[name.strip("\\;")] = bits
            if module == "accelerator" and kind in ("input", "output"):
                ports.append(name.strip("\\;"))

    def variables(module: str, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            bits = declared[module][name]
            code = "!" if (module, name) == ("accelerator.core0.sequencer", "begin") else "#"
            yield f"$var wire {int(bits[1:-4]) + 1 if bits else 1} {code} {name} {bits}$end"

    def scope(module: str) -> Iterator[str]:
        yield f"$scope module {module.rpartition('.')[2]} $end"
        yield from variables(module, declared[module])
        for other in declared:
            if other.rpartition(".")[0] == module:
                yield from scope(other)
        yield "$upscope $end"

    top = ["$timescale 1ps $end", "$scope module TOP $end", *variables("accelerator", ports)]
    return [*top, *scope("accelerator"), "$upscope $end", "$enddefinitions $end"]


@pytest.fixture(scope="module")
def lines():
    return header(FULL)


@pytest.fixture
def vcd(lines, tmp_path):
    path = tmp_path / "waves.vcd"
    path.write_text("\n".join(lines) + "\n" + BODY)
    return path


def test_every_signal_is_one_of_the_gateware(vcd, tmp_path):
    path = waves.write_gtkw(vcd)
    assert path == tmp_path / "waves.gtkw"
    text = path.read_text()
    assert "+{held2_0} TOP.accelerator.core0.array.held2_0[15:0]\n" in text
    assert "+{operation kind} TOP.accelerator.core0.walker.\\operation.kind[2:0]\n" in text
    assert "+{clk} TOP.clk\n" in text
    assert [line for line in text.splitlines() if line.startswith("-")] == [
        f"-{heading}" for heading, _ in GROUPS for _ in range(2)
    ]
    # A core that has everything has all of them, those that are optional too.
    assert text.count("+{") == sum(len(shown) for _, shown in GROUPS)


def test_what_a_core_does_not_have_is_left_out(vcd):
    vcd.write_text("\n".join(header(PLAIN)) + "\n" + BODY)
    text = waves.write_gtkw(vcd).read_text()
    left_out = [signal.name for _, shown in GROUPS for signal in shown if signal.optional]
    assert text.count("+{") == sum(len(shown) for _, shown in GROUPS) - len(left_out)
    assert "-spikes that were kept" not in text
    assert "payload channel" in text
    assert not re.search(r"payload (row|column|payload)}", text)


def test_a_renamed_signal_is_an_error(lines, vcd):
    vcd.write_text("\n".join(lines).replace(" held2_", " held_").replace(" fsm_state ", " state "))
    message = (
        r"^waveforms waves\.vcd: 2 problems\n"
        r"  - no signal TOP\.accelerator\.core0\.sequencer\.fsm_state, which the save file is to show; did you mean "
        r"\S+\?\n"
        r"  - no signal TOP\.accelerator\.core0\.array\.held2_0, which the save file is to show; did you mean "
        r"TOP\.accelerator\.core0\.array\.held_0\?$"
    )
    with pytest.raises(HillockError, match=message):
        waves.write_gtkw(vcd)


def test_what_is_written_can_be_moved_and_has_no_date(vcd, tmp_path):
    written = {path.name: path.read_text() for path in tmp_path.iterdir() if waves.write_gtkw(vcd)}
    text = (tmp_path / "waves.gtkw").read_text()
    assert '[dumpfile] "waves.vcd"\n[savefile] "waves.gtkw"\n' in text
    assert "[dumpfile_mtime]" not in text
    assert str(tmp_path) not in text
    assert "^1 waves.states.txt\n" in text
    assert waves.write_gtkw(vcd).read_text() == text
    assert set(written) <= {path.name for path in tmp_path.iterdir()}


def test_states_and_operations_have_their_names(vcd, tmp_path):
    waves.write_gtkw(vcd)
    assert (tmp_path / "waves.operations.txt").read_text() == "0 INTEGRATE\n1 FIRE\n2 PRELOAD\n3 LOAD\n4 LATCH\n"
    states = (tmp_path / "waves.states.txt").read_text().splitlines()
    assert states[0] == "0 IDLE"
    assert {line.split()[1] for line in states} == {"IDLE", "CHANGE", "WALK", "PASS", "FINISH", "FINISHED"}


def test_the_view_begins_with_the_inference(vcd):
    assert re.search(r"^\[timestart\] 0\n\*-3\.5\d* 7 ", waves.write_gtkw(vcd).read_text(), re.MULTILINE)
    vcd.write_text(vcd.read_text().replace("#7", "#700").replace("#9", "#702"))
    assert re.search(r"^\[timestart\] 690\n\*-3\.5\d* 700 ", waves.write_gtkw(vcd).read_text(), re.MULTILINE)


def test_waveforms_without_an_inference_are_shown_from_the_start(lines, vcd):
    vcd.write_text("\n".join(lines) + "\n#0\n0!\n")
    assert "[timestart] 0\n" in waves.write_gtkw(vcd).read_text()


def test_names_that_gtkwave_refuses_are_mended_in_place(lines, vcd):
    odd = "  $var wire 1 % $auto$backend.cc:12:dump$1 $end\n  $var wire 2 & vector[1:0] $end\n"
    content = "\n".join([lines[0], lines[1], lines[2], odd, *lines[3:]]) + "\n" + BODY + "1%\n$comment a:b $end\n"
    vcd.write_text(content)
    waves.write_gtkw(vcd)
    assert vcd.read_text() == re.sub(r"cc:(\d+):dump", r"cc_\1_dump", content)


def test_variables_in_both_ways_of_declaring_a_range():
    found = waves.variables([
        "$scope module TOP $end", " $scope module a $end", "  $var wire 16 ab x[3] [15:0] $end",
        "  $var wire 16 ac y[15:0] $end", "  $var wire 2 af empty [-1:0] $end",
        " $upscope $end", " $var wire 1 ad z $end", "$enddefinitions $end",
        "$var wire 1 ae beyond $end",
    ])  # fmt: skip
    assert [(name, variable.bits, variable.code) for name, variable in found.items()] == [
        ("TOP.a.x[3]", "[15:0]", "ab"), ("TOP.a.y", "[15:0]", "ac"), ("TOP.z", "", "ad")]  # fmt: skip
    assert found["TOP.a.y"].in_gtkwave == "TOP.a.y[15:0]"
