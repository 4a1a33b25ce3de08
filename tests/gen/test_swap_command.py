"""`hillock swap`: what is put into a build, what it writes, and what it refuses."""

import json
import sys

import pytest

from hillock.gen import cli, swap_command, weight_swap, yowasp
from hillock.gen.manifest import read_images, write_images
from hillock.gen.models import load_model
from hillock.gen.pipeline import place_pipeline


@pytest.fixture
def hillock(monkeypatch, capsys):
    """Runs the command line in this process; returns exit status, standard output and standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["hillock", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def build(tmp_path):
    """A build of digits on two cores, as far as the command looks at it."""
    placement = place_pipeline(load_model("digits").network, [2], [8, 2])
    for number, core in enumerate(placement.cores):
        write_images(core, tmp_path / "images" / f"core{number}")
    about = {
        "format": "hillock build",
        "board": "ulx3s-85f",
        "clock_hz": 100_000_000,
        "baud": 1_000_000,
        "images": ["images/core0", "images/core1"],
        "bitstream": "top.bit",
    }
    (tmp_path / "manifest.json").write_text(json.dumps(about))
    (tmp_path / "top.v").write_text("old Verilog")
    (tmp_path / "top.config").write_text("old text")
    return tmp_path


def test_what_it_writes(hillock, build, monkeypatch):
    given: dict[str, object] = {}

    def swap(text, **options):
        given.update(options, text=text)
        return "new text"

    def pack(tool, arguments, folder, log):
        assert (tool.name, (folder / "top.config").read_text()) == ("ecppack", "new text")
        (folder / arguments[-1]).write_bytes(b"bits")

    monkeypatch.setattr(swap_command, "_verilog", lambda target, placement, manifest: f"{target.name} new Verilog")
    monkeypatch.setattr(weight_swap, "swap", swap)
    monkeypatch.setattr(yowasp, "run_tool", pack)
    code, out, _ = hillock("swap", build, "--model", "digits")
    into = build / "with-digits"
    assert code == 0
    assert f"to load it: openFPGALoader --board ulx3s {into / 'top.bit'}" in out
    assert given == {
        "text": "old text",
        "old": "old Verilog",
        "new": "ulx3s-85f new Verilog",
        "netlist": build / "top.json",
        "placed": build / "placed.json",
        "folder": into,
    }
    assert (into / "top.bit").read_bytes() == b"bits"
    said = json.loads((into / "manifest.json").read_text())
    assert said["network"] == load_model("digits").network.digest()
    assert {"top.bit", "top.config", "images/core0/manifest.json", "images/core1/synapses.bin"} <= set(said["files"])
    for number in range(2):
        old, new = (read_images(place / "images" / f"core{number}")[1] for place in (build, into))
        assert (old.config, old.network.digest()) == (new.config, new.network.digest())
    code, out, _ = hillock("swap", build, "--model", "digits", "--into", build / "there", "--json")
    assert (code, json.loads(out)["folder"]) == (0, str(build / "there"))


def test_what_it_refuses(hillock, build):
    code, _, err = hillock("swap", build / "none", "--model", "digits")
    assert (code, err.startswith(f"hillock: {build / 'none' / 'manifest.json'}: it must be what 'hillock build'")) == (
        2,
        True,
    )
    code, _, err = hillock("swap", build, "--model", "digits-residual")
    assert code == 2
    assert err.startswith(
        "hillock: network 'digits-residual': a core of the bitstream is for the layers encoder, hidden"
    )
    about = json.loads((build / "manifest.json").read_text())
    (build / "manifest.json").write_text(json.dumps(about | {"board": "tang-nano-9k", "bitstream": "top.fs"}))
    code, _, err = hillock("swap", build, "--model", "digits")
    assert (code, err) == (
        2,
        f"hillock: {build}: only a bitstream for an ECP5 takes another network, and there is top.fs, for a "
        "GW1NR-LV9QN88PC6/I5: load the network over the link ('hillock run')\n",
    )
