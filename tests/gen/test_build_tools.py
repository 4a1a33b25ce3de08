"""Small bitstreams, built by the tools themselves."""

import time

import pytest

from hillock.gen.build import Request, build
from hillock.gen.synth import Progress
from hillock.hw.problems import HillockError
from tiny_model import tiny_model

QUIET = Progress()


def request(tmp_path, board, **changed):
    folder = tmp_path / "tiny"
    return Request(board=board, model=str(folder if folder.exists() else tiny_model(tmp_path)), lanes=(2, 2), **changed)


def test_ulx3s(tmp_path):
    """And again, in no time."""
    wanted = request(tmp_path, "ulx3s-25f", cores=(1, 1), clock=50.0)
    values = build(wanted, tmp_path, QUIET)
    bitstream = tmp_path / "ulx3s-25f" / "tiny" / "top.bit"
    assert b"LFE5U-25F" in bitstream.read_bytes()[:200]
    assert values["clock"]["reached"] > 50
    assert 0.75 < values["resources"]["lut"]["used"] / values["resources"]["lut"]["predicted"] < 1.25
    began = time.monotonic()
    assert build(wanted, tmp_path, QUIET) == values
    assert time.monotonic() - began < 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "bitstream", "beginning"),
    [("tang-nano-9k", "top.fs", b"//"), ("tang-nano-20k", "top.fs", b"//"), ("icebreaker", "top.bin", b"\xff\x00")],
)
def test_other_families(tmp_path, board, bitstream, beginning):
    values = build(request(tmp_path, board, clock=24.0), tmp_path, QUIET)
    assert values["clock"]["met"]
    assert (tmp_path / board / "tiny" / bitstream).read_bytes().startswith(beginning)


@pytest.mark.slow
def test_the_same_bytes_and_a_clock_that_is_missed(tmp_path):
    wanted = request(tmp_path, "ulx3s-25f", clock=50.0)
    first, second = (build(wanted, tmp_path / name, QUIET)["files"] for name in "ab")
    assert first == second
    with pytest.raises(HillockError, match=r"place and route reaches \d+\.\d MHz, and 250 are wanted"):
        build(request(tmp_path, "ulx3s-25f", clock=250.0), tmp_path, QUIET)
