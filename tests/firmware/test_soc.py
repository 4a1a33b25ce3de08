"""The program on the processor beside the cores, compiled: every result is the golden model's, and it can fail."""

import re
from pathlib import Path

import numpy as np
import pytest

from hillock.gen.datasets import load_dataset
from hillock.gen.firmware_data import firmware_data, output_tokens
from hillock.gen.firmware_image import POTENTIALS, crc, firmware_image
from hillock.gen.firmware_program import prebuilt
from hillock.gen.firmware_soc import processor_source, simulate_soc, soc_image, soc_verilog
from hillock.gen.models import load_model
from hillock.gen.pipeline import place_pipeline
from hillock.hw.problems import HillockError
from hillock.sim import golden
from hillock.sim.soc import build_soc, run_soc
from hillock.sim.timing import time_inference
from link_networks import inputs_of, small

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "firmware.md"
CACHE = Path(__file__).resolve().parents[2] / "build" / "test-soc"
RESULT = re.compile(
    r"PASS  image (\d+): class (\d+), (\d+) cycles, (\d+) spikes (0x[0-9a-f]{8}), counts((?: \d+)+)", re.ASCII
)
STEPS_BEFORE = 2  # identity, network image


def check_results(placement, inputs, lines):
    """Each line against the golden model, not against what the program was given."""
    found = [match for match in map(RESULT.fullmatch, lines) if match]
    assert len(found) == len(inputs)
    for number, (given, match) in enumerate(zip(inputs, found, strict=True)):
        trace = golden.run(placement.network, **given)
        index, decision, cycles, spikes = (int(match[i]) for i in range(1, 5))
        assert (index, decision) == (number, trace.decision)
        assert spikes == trace.layers[-1].spikes.sum()
        assert int(match[5], 16) == crc(output_tokens(placement, trace))
        assert [int(count) for count in match[6].split()] == trace.counts.tolist()
        if placement.network.image_input:
            assert cycles == time_inference(placement.pipeline, trace).decision


def test_digits():
    """Spikes, counts, decisions and cycles of held-out digits, after a self-test of the whole core."""
    placement = place_pipeline(load_model("digits").network, [], [16])
    inputs = [{"image": pixels.astype(np.int64)} for pixels in load_dataset("digits").test_images[:6]]
    said = simulate_soc(placement, inputs, prebuilt(), cache=CACHE)
    assert said.lines[:9] == (
        "hillock on a processor of its own",
        "PASS  identity",
        "PASS  network image",
        "PASS  core 0: 9 registers",
        "PASS  core 0: 3 layers",
        "PASS  core 0: 640 synapses",
        "PASS  core 0: 17 currents",
        "PASS  core 0: 13 potentials",
        "PASS  load and read back",
    )
    check_results(placement, inputs, said.lines)
    assert said.lines[-1] == "PASS  14 steps, 0 failed, 6 inferences"
    assert "\n".join(f"    {line}" for line in said.lines[:-1]) in DOCUMENT.read_text()


@pytest.fixture(scope="module")
def few():
    """A network of few bytes and inputs for it."""
    placement = place_pipeline(small("image"), [], [4])
    return placement, inputs_of(placement.network, 2, 3)


def test_events_on_two_cores(seed):
    """Input tokens through the link, and a self-test of both cores."""
    placement = place_pipeline(small("events"), [1], [4, 4])
    inputs = inputs_of(placement.network, 3, seed)
    said = simulate_soc(placement, inputs, prebuilt(), cache=CACHE)
    assert [line for line in said.lines if line.startswith("FAIL")] == []
    assert sum(line.startswith("PASS  core 1: ") for line in said.lines) == 5
    check_results(placement, inputs, said.lines)
    assert said.lines[-1] == "PASS  16 steps, 0 failed, 3 inferences"


def test_results_that_are_not_as_expected(seed):
    """Of each inference another thing that is expected is changed, of the last one nothing."""
    placement = place_pipeline(small("image"), [], [4])
    changes = ((0, 1), (1, 1), (2, 1), (3, 1 << 31), (5, 1), (8, 1))
    inputs = inputs_of(placement.network, len(changes) + 1, seed)
    data = firmware_data(placement, inputs)
    first, length = 3 + int(data[1]), 5 + 4 + 2  # decision, cycles, tokens, their CRC, inputs; counts; pixels
    for number, (at, change) in enumerate(changes):
        data[first + number * length + at] ^= np.uint32(change)
    said = simulate_soc(placement, inputs, prebuilt(), cache=CACHE, data=data)
    for number, given in enumerate(inputs):
        (line,) = (line for line in said.lines if f"  image {number}: " in line)
        trace = golden.run(placement.network, **given)
        result = f"  image {number}: class {trace.decision}, "
        if number < len(changes):
            assert line.startswith(f"FAIL{result}")
            assert "; expected class " in line
        else:
            assert RESULT.fullmatch(line)
    assert said.lines[-1] == "FAIL  15 steps, 6 failed, 7 inferences"


def test_a_damaged_image(few):
    placement, inputs = few
    data = firmware_data(placement, inputs)
    data[100] ^= np.uint32(1)
    said = simulate_soc(placement, inputs, prebuilt(), cache=CACHE, data=data)
    assert said.lines[2].startswith(
        "FAIL  network image: the network image is damaged: its CRC differs; store it again; at 0x00000002 expected 0x"
    )
    assert said.lines[3:] == ("FAIL  2 steps, 1 failed, 0 inferences",)


def test_a_self_test_that_fails(few):
    """A core that has a layer record less than the image says: that step fails, and says where."""
    placement, inputs = few
    data = firmware_data(placement, inputs)
    image = data[2 : 2 + int(data[1])]
    at = 12
    while int(image[at]) >> 24 != POTENTIALS - 1:  # the first memory: its words, one more than there are
        at += 1 + (int(image[at]) & 0xFFFFFF)
    image[at + 4] += np.uint32(1)
    image[2] = crc(image[3:])
    said = simulate_soc(placement, inputs, prebuilt(), cache=CACHE, data=data)
    (wrong, last) = (line for line in said.lines if line.startswith("FAIL"))
    assert re.fullmatch(
        r"FAIL  core 0: 4 layers: a memory does not hold what was written: the clock is too fast, or the memory is "
        r"bad; at 0x00400030 expected 0x[0-9a-f]{8}, found 0x00000000",
        wrong,
    )
    assert last == "FAIL  10 steps, 1 failed, 2 inferences"


def test_nothing_to_run_is_a_failure(few):
    placement, _ = few
    said = simulate_soc(placement, [], prebuilt(), cache=CACHE)
    assert said.lines[-1] == f"FAIL  {STEPS_BEFORE + 6} steps, 0 failed, 0 inferences"


def run_words(few, words, most_cycles=2000):
    placement, _ = few
    image = soc_image(prebuilt(), firmware_data(*few))
    text = soc_verilog(placement.configs, ram_words=image.ram_words, clock_hz=4_000_000, baud=1_000_000)
    return run_soc(build_soc(text, [processor_source()], CACHE), words, divisor=4, most_cycles=most_cycles)


# Instructions: lui x1, ...; lw x2, 0(x1); sb x2, 0(x1); j itself; ebreak
NOWHERE, BUS, LOAD_WORD, STORE_BYTE, LOOP, STOP = 0x200000B7, 0x800000B7, 0x0000A103, 0x00208023, 0x0000006F, 0x00100073


@pytest.mark.parametrize(
    "words",
    [[STOP], [0], [NOWHERE, LOAD_WORD, LOOP], [BUS, STORE_BYTE, LOOP]],
    ids=["end", "no instruction", "nothing there", "a part of a word of the bus"],
)
def test_the_processor_stops(few, words):
    said = run_words(few, words)
    assert said.lines == ()
    assert said.cycles < 100


def test_a_read_of_the_bus_goes_on(few):
    assert run_words(few, [BUS, LOAD_WORD, STOP]).cycles < 100


def test_a_program_that_does_not_end(few):
    with pytest.raises(HillockError) as caught:
        run_words(few, [LOOP])
    assert str(caught.value) == (
        "system on chip: its processor had not stopped after 2,000 clock cycles; the last that it said is 'nothing': "
        "give it more cycles, or look at its program"
    )


def test_the_processor_is_a_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(HillockError) as caught:
        processor_source()
    assert str(caught.value) == (
        "firmware: the package pythondata-cpu-picorv32 is not installed: run 'make firmware', which installs it, or "
        "pip install 'hillock[firmware]'"
    )


def test_the_memory_is_as_small_as_it_can_be(few):
    program = prebuilt()
    image = soc_image(program, firmware_image(few[0]))
    assert image.words[: len(program.words)] == program.words
    assert image.ram_words // 2 < len(image.words) + 1024 <= image.ram_words
