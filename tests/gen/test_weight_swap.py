"""Weights swapped into a placed design: byte for byte what place and route of the other network gives."""

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from hillock.gen.memory_sites import Memory, split_memories
from hillock.gen.pipeline import place_pipeline
from hillock.gen.virtual_board import system_verilog
from hillock.gen.weight_swap import swap
from hillock.gen.yowasp import NEXTPNR_ECP5, YOSYS, run_tool
from hillock.hw.problems import HillockError
from link_networks import small

BUILD = Path(__file__).resolve().parents[2] / "build" / "test-swap"
SYNAPSE_WORDS = 1024  # else all lies in small RAMs
SCRIPT = "read_verilog top.v; synth_ecp5 -noabc9 -nowidelut -top system -json top.json"
OPTIONS = "--25k --package CABGA381 --lpf-allow-unconstrained --timing-allow-fail --seed 1 --freq 25 --router router2"
FILES = "--json top.json --textcfg top.config --write placed.json -q --log nextpnr.log"


def verilog(network):
    placement = place_pipeline(network, [], [4], synapse_words=SYNAPSE_WORDS)
    return system_verilog(placement.configs, placement.memory_inits(), clock_hz=25_000_000, baud=1_000_000)


def other(network, seed=2):
    """The same shape, and every number that may differ does."""
    rng = np.random.default_rng(seed)
    layers = []
    for layer in network.layers:
        connections = tuple(
            dataclasses.replace(
                one,
                synapses=dataclasses.replace(one.synapses, weights=rng.integers(-128, 128, one.synapses.weights.shape)),
            )
            for one in layer.connections
        )
        threshold = int(rng.integers(1, 500)) if connections else layer.threshold
        layers.append(dataclasses.replace(layer, connections=connections, threshold=threshold))
    return dataclasses.replace(network, layers=tuple(layers))


@dataclasses.dataclass
class Design:
    """A placed design: its folder, and two texts of it."""

    folder: Path
    verilog: str
    config: str


def build(network, name):
    folder = BUILD / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = verilog(network)
    (folder / "top.v").write_text(text)
    run_tool(YOSYS, ["-q", "-l", "yosys.log", "-p", SCRIPT], folder, "yosys.log")
    run_tool(NEXTPNR_ECP5, [*OPTIONS.split(), *FILES.split()], folder, "nextpnr.log")
    return Design(folder, text, (folder / "top.config").read_text())


@pytest.fixture(scope="module")
def one():
    return build(small("image"), "one")


def swapped(design, new, folder, **changes):
    given = {
        "old": design.verilog,
        "new": new,
        "netlist": design.folder / "top.json",
        "placed": design.folder / "placed.json",
        "folder": folder,
    }
    return swap(changes.pop("text", design.config), **{**given, **changes})


@pytest.mark.slow
def test_as_if_it_had_been_built(one, tmp_path):
    two = build(other(small("image")), "two")
    assert one.config != two.config
    assert swapped(one, two.verilog, tmp_path) == two.config
    assert swapped(two, one.verilog, tmp_path) == one.config
    assert swapped(one, one.verilog, tmp_path) == one.config


@pytest.mark.slow
def test_more_than_memories_differs(one, tmp_path):
    network = dataclasses.replace(small("image"), timesteps=9)
    with pytest.raises(HillockError, match="the designs differ in more than what memories hold: line") as caught:
        swapped(one, verilog(network), tmp_path)
    assert str(caught.value).endswith("load the network over the link, or build its bitstream")


@pytest.mark.slow
def test_a_placed_design_that_is_another(one, tmp_path):
    """Each place must hold what it should before it is written."""
    new = verilog(other(small("image")))
    sections = re.findall(r"^\.bram_init (\d+)\n((?:[0-9a-f]{3}[ \n])+)", one.config, re.MULTILINE)
    number, content = next((name, words) for name, words in sections if set(words) - set("0 \n"))
    wrong = one.config.replace(content, content.replace(content[:3], "1ff", 1))
    text = re.escape(f".bram_init {number} must have what the placed design has in {number}, once: it has it 0 times")
    with pytest.raises(HillockError, match=text):
        swapped(one, new, tmp_path, text=wrong)
    with pytest.raises(HillockError, match=rf"\.bram_init {number} is not in the text of the bitstream"):
        swapped(one, new, tmp_path, text=one.config.replace(f".bram_init {number}\n", ".bram_init 99\n"))
    third = verilog(other(small("image"), seed=3))
    with pytest.raises(HillockError, match=r"does not hold in the placed design what it must: build the bitstream"):
        swapped(one, new, tmp_path, old=third)


def test_what_is_missing(tmp_path):
    text = re.escape(f"swap of weights: {tmp_path / 'a'} is not there: build the bitstream again")
    with pytest.raises(HillockError, match=f"^{text}$"):
        swap("", old="", new="", netlist=tmp_path / "a", placed=tmp_path / "b", folder=tmp_path)


def test_memories_of_a_text():
    """What they hold is what the design was made with, and the rest has none of it."""
    text = verilog(small("image"))
    rest, memories = split_memories(text)
    _, others = split_memories(verilog(other(small("image"))))
    placement = place_pipeline(small("image"), [], [4], synapse_words=SYNAPSE_WORDS)
    (init,) = placement.memory_inits()
    (synapses,) = (path for path in memories if "synapses" in path)
    assert synapses.startswith("accelerator.core0.array.synapses")
    held = memories[synapses]
    assert (held.width, len(held.words), held.unchecked) == (32, SYNAPSE_WORDS, True)
    assert list(held.words[: len(init.synapses)]) == init.synapses
    assert {path for path in memories if memories[path] != others[path]} == {
        synapses,
        "accelerator.core0.array.neurons",
    }
    assert "initial begin" in rest
    assert not re.search(r"^    \S+\[\d+\] = ", rest, re.MULTILINE)
    assert split_memories("module \\top.a (x);\n  initial begin\n    m[0] = 8'hff;\n    m[1] = 8'd0;\n  end\n") == (
        "module \\top.a (x);\n  initial begin\n  end",
        {"a.m": Memory(8, (255, 0), False)},
    )
