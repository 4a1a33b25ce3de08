"""The program on the processor beside the cores, compiled: every result is the golden model's, and it can fail."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from hillock.gen.firmware_data import firmware_data, output_tokens
from hillock.gen.firmware_image import HEADER, LOAD, MEMORY, crc, firmware_image
from hillock.gen.firmware_program import prebuilt
from hillock.gen.firmware_soc import processor_source, simulate_soc, soc_image, soc_verilog
from hillock.gen.pipeline import place_pipeline
from hillock.hw.problems import HillockError
from hillock.hw.registers import region
from hillock.hw.soc import MOST_RAM_WORDS
from hillock.sim import golden
from hillock.sim.network import Connection, Dense
from hillock.sim.soc import build_soc, run_soc
from link_networks import inputs_of, small
from soc_lines import Figures, results

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "firmware.md"
CACHE = Path(__file__).resolve().parents[2] / "build" / "test-soc"
RAM_WORDS = 8192  # as many as `soc_image` finds enough


def check_results(placement, inputs, lines):
    """Each line against the golden model, not against what the program was given."""
    found = results(lines)
    assert len(found) == len(inputs)
    for given, one in zip(inputs, found, strict=True):
        trace = golden.run(placement.network, **given)
        tokens = output_tokens(placement, trace)
        assert one == Figures(
            decision=trace.decision,
            cycles=one.cycles,  # they depend on when input comes
            spikes=int(trace.layers[-1].spikes.sum()),
            crc=crc(tokens),
            counts=tuple(trace.counts.tolist()),
        )


@pytest.fixture(scope="module")
def few():
    """A network of few bytes and inputs for it."""
    placement = place_pipeline(small("image"), [], [4])
    return placement, inputs_of(placement.network, 2, 3)


@pytest.fixture(scope="module")
def compiled(few):
    """The system on chip of its core."""
    text = soc_verilog(few[0].configs, ram_words=RAM_WORDS, clock_hz=4_000_000, baud=1_000_000)
    return build_soc(text, [processor_source()], CACHE)


def run_words(compiled, words, most_cycles=2_000_000):
    return run_soc(compiled, words, divisor=4, most_cycles=most_cycles)


def run_data(compiled, data):
    """The program with `data` behind it."""
    image = soc_image(prebuilt(), data)
    assert image.ram_words == RAM_WORDS
    return run_words(compiled, image.words)


def test_events_on_two_cores(seed):
    """Input tokens through the link, and a self-test of both cores."""
    placement = place_pipeline(small("events"), [1], [4, 4])
    inputs = inputs_of(placement.network, 3, seed)
    said = simulate_soc(placement, inputs, prebuilt(), cache=CACHE)
    assert [line for line in said.lines if line.startswith("FAIL")] == []
    for core in range(2):
        steps = [line.split()[-1] for line in said.lines if line.startswith(f"PASS  core {core}: ")]
        assert steps == ["registers", "layers", "synapses", "currents", "potentials"]
    check_results(placement, inputs, said.lines)
    assert said.lines[-1] == "PASS  16 steps, 0 failed, 3 inferences"


def test_results_that_are_not_as_expected(compiled, seed):
    """Of each inference another thing that is expected is changed, of the last one nothing."""
    placement = place_pipeline(small("image"), [], [4])
    changes = ((0, 1), (1, 1), (2, 1), (3, 1 << 31), (5, 1), (8, 1))
    inputs = inputs_of(placement.network, len(changes) + 1, seed)
    data = firmware_data(placement, inputs)
    first, length = 3 + int(data[1]), 5 + 4 + 2  # decision, cycles, tokens, their CRC, inputs; counts; pixels
    for number, (at, change) in enumerate(changes):
        data[first + number * length + at] ^= np.uint32(change)
    said = run_data(compiled, data)
    for number, given in enumerate(inputs):
        (line,) = (line for line in said.lines if f"  image {number}: " in line)
        trace = golden.run(placement.network, **given)
        result = f"  image {number}: class {trace.decision}, "
        if number < len(changes):
            assert line.startswith(f"FAIL{result}")
            assert "; expected class " in line
        else:
            assert line.startswith(f"PASS{result}")
    assert said.lines[-1] == "FAIL  15 steps, 6 failed, 7 inferences"


def section(image, kind, base=None):
    """Where the first section of a kind begins, or the first LOAD from address `base` on."""
    at = len(HEADER)
    while int(image[at]) >> 24 != kind or base not in (None, image[at + 1]):
        at += 1 + (int(image[at]) & 0xFFFFFF)
    return at


def test_a_weight_that_arrives_wrong(compiled, few):
    """A bit of one weight, in an image that is whole otherwise: it is not what must be read back, and nothing runs."""
    placement, inputs = few
    data = firmware_data(placement, inputs)
    image = data[2 : 2 + int(data[1])]
    image[section(image, LOAD, region("synapses").base) + 5] ^= np.uint32(0x10)
    image[2] = crc(image[3:])
    said = run_data(compiled, data)
    wrong, last = said.lines[-2:]
    assert wrong.startswith(
        "FAIL  load and read back: a memory does not hold what was loaded: its CRC differs; self-test the device; at "
        "0x00c00000 expected 0x"
    )
    assert f"\n    {wrong}\n" in DOCUMENT.read_text()
    assert last == "FAIL  8 steps, 1 failed, 0 inferences"


def test_a_weight_that_is_wrong(compiled, few):
    """Another weight than that of the results, loaded and read back as it is: the spikes are those of that weight."""
    placement, inputs = few
    network = placement.network
    (connection,) = network.layers[2].connections
    weights = connection.synapses.weights.copy()
    weights[0, 1] = -100
    layer = dataclasses.replace(network.layers[2], connections=(Connection("hidden", Dense(weights)),))
    changed = dataclasses.replace(network, layers=(*network.layers[:2], layer))
    data = firmware_data(placement, inputs)
    image = firmware_image(place_pipeline(changed, [], [4]))
    assert data[1] == len(image)
    data[2 : 2 + len(image)] = image
    said = run_data(compiled, data)
    differs = 0
    for number, given in enumerate(inputs):
        right, wrong = (golden.run(one, **given) for one in (network, changed))
        same = np.array_equal(right.layers[-1].spikes, wrong.layers[-1].spikes)
        differs += not same
        (line,) = (line for line in said.lines if f"  image {number}: " in line)
        counts = " ".join(map(str, wrong.counts.tolist()))
        assert line.startswith(f"{'PASS' if same else 'FAIL'}  image {number}: class {wrong.decision}, ")
        assert f" 0x{crc(output_tokens(placement, wrong)):08x}, counts {counts}" in line
    assert differs == 1  # the other image does not reach that weight
    assert said.lines[-1] == f"FAIL  {8 + len(inputs)} steps, {differs} failed, {len(inputs)} inferences"


def test_no_data(compiled, few):
    placement, inputs = few
    data = firmware_data(placement, inputs)
    data[0] ^= np.uint32(1)
    said = run_data(compiled, data)
    assert said.lines[2:] == ("FAIL  data: none lies behind the program", "FAIL  2 steps, 1 failed, 0 inferences")


def test_more_classes_than_there_is_room_for(compiled, few):
    placement, inputs = few
    data = firmware_data(placement, inputs)
    image = data[2 : 2 + int(data[1])]
    image[HEADER.index("classes")] = 17
    image[2] = crc(image[3:])
    said = run_data(compiled, data)
    assert said.lines[3:] == (
        "FAIL  network image: more classes than this program has room for",
        "FAIL  3 steps, 1 failed, 0 inferences",
    )


def test_a_damaged_image(compiled, few):
    placement, inputs = few
    data = firmware_data(placement, inputs)
    data[100] ^= np.uint32(1)
    said = run_data(compiled, data)
    assert said.lines[2].startswith(
        "FAIL  network image: the network image is damaged: its CRC differs; store it again; at 0x00000002 expected 0x"
    )
    assert said.lines[3:] == ("FAIL  2 steps, 1 failed, 0 inferences",)


def test_a_self_test_that_fails(compiled, few):
    """A core that has a layer record less than the image says: that step fails, and says where."""
    placement, inputs = few
    data = firmware_data(placement, inputs)
    image = data[2 : 2 + int(data[1])]
    image[section(image, MEMORY) + 4] += np.uint32(1)  # the layers: their words
    image[2] = crc(image[3:])
    said = run_data(compiled, data)
    (wrong, last) = (line for line in said.lines if line.startswith("FAIL"))
    assert re.fullmatch(
        r"FAIL  core 0: 4 layers: a memory does not hold what was written: the clock is too fast, or the memory is "
        r"bad; at 0x00400030 expected 0x[0-9a-f]{8}, found 0x00000000",
        wrong,
    )
    assert last == "FAIL  10 steps, 1 failed, 2 inferences"


def test_nothing_to_run_is_a_failure(compiled, few):
    placement, _ = few
    said = run_data(compiled, firmware_data(placement, []))
    assert said.lines[-1] == "FAIL  8 steps, 0 failed, 0 inferences"


# Instructions: lui x1, ...; lw x2, 0(x1); sb x2, 0(x1); j itself; ebreak
NOWHERE, BUS, LOAD_WORD, STORE_BYTE, LOOP, STOP = 0x200000B7, 0x800000B7, 0x0000A103, 0x00208023, 0x0000006F, 0x00100073


@pytest.mark.parametrize(
    "words",
    [[STOP], [0], [NOWHERE, LOAD_WORD, LOOP], [BUS, STORE_BYTE, LOOP]],
    ids=["end", "no instruction", "nothing there", "a part of a word of the bus"],
)
def test_the_processor_stops(compiled, words):
    said = run_words(compiled, words)
    assert said.lines == ()
    assert said.cycles < 100


def test_a_read_of_the_bus_goes_on(compiled):
    assert run_words(compiled, [BUS, LOAD_WORD, STOP]).cycles < 100


def test_a_program_that_does_not_end(compiled):
    with pytest.raises(HillockError) as caught:
        run_words(compiled, [LOOP], 2000)
    assert str(caught.value) == (
        "system on chip: its processor had not stopped after 2,000 clock cycles; the last that it said is 'nothing': "
        "run fewer images, give it more cycles, or look at its program"
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


def test_more_than_the_largest_memory():
    program = prebuilt()
    room = MOST_RAM_WORDS - 1024 - len(program.words)
    assert soc_image(program, np.zeros(room, np.uint32)).ram_words == MOST_RAM_WORDS
    with pytest.raises(HillockError) as caught:
        soc_image(program, np.zeros(room + 1, np.uint32))
    assert str(caught.value) == (
        "firmware: program, network, images and stack need 262,145 words, and the processor has at most 262,144: run "
        "fewer images, or a smaller network"
    )
