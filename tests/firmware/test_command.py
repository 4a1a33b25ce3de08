"""`hillock firmware`: what it prints, what it writes, and its exit status."""

import json
import re
import sys

import numpy as np
import pytest

from hillock.gen import cli, firmware_program, firmware_soc
from hillock.gen.firmware_image import firmware_image
from hillock.gen.models import load_model
from hillock.gen.pipeline import place_pipeline
from hillock.sim.soc import Said


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["hillock", "firmware", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture
def says(monkeypatch):
    """Puts words in the mouth of the program; what it was given is in the list."""
    given: list[tuple] = []

    def put(*lines):
        def simulate(placement, inputs, program, *, cache, said, progress):
            given.append((placement, inputs, cache))
            for line in lines:
                said(line)
            return Said(lines, 1234567)

        monkeypatch.setattr(firmware_soc, "simulate_soc", simulate)
        return given

    return put


def test_pass(run, says):
    given = says("PASS  identity", "PASS  1 steps, 0 failed, 3 inferences")
    code, out, err = run("--images", 3, "--lanes", 8)
    assert (code, err) == (0, "")
    assert out.splitlines() == ["PASS  identity", "PASS  1 steps, 0 failed, 3 inferences", "1,234,567 clock cycles"]
    ((placement, inputs, _),) = given
    assert (placement.configs[0].lanes, len(inputs)) == (8, 3)


@pytest.mark.parametrize("lines", [("PASS  identity", "FAIL  2 steps, 1 failed, 3 inferences"), ()])
def test_fail(run, says, lines):
    says(*lines)
    code, out, err = run("--json")
    assert code == 1
    assert json.loads(out) == {"passed": False, "lines": list(lines), "cycles": 1234567}
    assert err == "hillock: the program found something wrong\n"


def test_export(run, tmp_path):
    expected = firmware_image(place_pipeline(load_model("digits").network, [], [16]))
    assert run("--export", tmp_path / "network.bin") == (0, "", "")
    assert np.array_equal(np.fromfile(tmp_path / "network.bin", "<u4"), expected)
    assert run("--export", tmp_path / "network.h") == (0, "", "")
    text = (tmp_path / "network.h").read_text()
    assert [int(word, 16) for word in re.findall(r"0x[0-9a-f]{8}(?=u)", text)] == expected.tolist()
    assert text.count("static const uint32_t network[] = {") == text.count("};") == 1


def test_what_is_refused(run, tmp_path):
    assert run("--export", tmp_path / "network.txt") == (
        2,
        "",
        "hillock: firmware: --export writes FILE.bin or FILE.h, not 'network.txt'\n",
    )
    assert run("--export", tmp_path / "none" / "network.h") == (
        2,
        "",
        f"hillock: firmware: {tmp_path}/none/network.h cannot be written (No such file or directory): name a file in a "
        f"folder that is there\n",
    )
    assert run("--compile", "--synth") == (
        2,
        "",
        "hillock: firmware: --compile, --export and --synth are different jobs: ask for one of them\n",
    )
    assert run("--model", "none")[0] == 2
    code, out, err = run("--images", 446)
    assert (code, out) == (2, "")
    assert err == "hillock: images must be from 1 to 445, as many as digits holds out, not 446\n"
    code, out, err = run("--images", 0)
    assert (code, out) == (2, "")
    assert "Invalid value for '--images'" in err


def test_the_compiler_is_missing(run, monkeypatch):
    monkeypatch.setattr(firmware_program, "COMPILER", "no-such-gcc")
    code, out, err = run("--compile")
    assert (code, out) == (2, "")
    assert err.startswith(
        "hillock: firmware: no-such-gcc is not on the path: on Debian or Ubuntu, apt-get install gcc-"
    )
