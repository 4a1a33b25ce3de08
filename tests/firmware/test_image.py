"""Network images for firmware: what their sections do is what the host library does."""

import re

import numpy as np
import pytest

from hillock.gen import firmware_data as data_module
from hillock.gen import firmware_image as image_module
from hillock.gen.firmware_data import firmware_data, output_tokens
from hillock.gen.firmware_image import CHECK, HEADER, INPUT, LOAD, MAGIC, MEMORY, NO_PIXEL, crc, firmware_image
from hillock.gen.firmware_program import FIRMWARE
from hillock.gen.host_program import host_program
from hillock.gen.models import load_model
from hillock.gen.pipeline import place_pipeline
from hillock.hw.design_digest import design_digest
from hillock.hw.problems import HillockError
from hillock.hw.registers import memory_shape, region
from hillock.sim import golden
from link_networks import inputs_of, small

PLACED = {
    "image": lambda: place_pipeline(small("image"), [], [4]),
    "events on two cores": lambda: place_pipeline(small("events"), [1], [4, 3]),
    "digits": lambda: place_pipeline(load_model("digits").network, [], [16]),
    "digits-residual": lambda: place_pipeline(load_model("digits-residual").network, [], [8]),
}


@pytest.fixture(scope="module", params=PLACED)
def placement(request):
    return PLACED[request.param]()


@pytest.fixture(scope="module")
def image(placement):
    return firmware_image(placement)


def sections(image, kind):
    """The bodies of one kind, in order."""
    at, found = len(HEADER), []
    while at < len(image):
        word = int(image[at])
        body = image[at + 1 : at + 1 + (word & 0xFFFFFF)].tolist()
        if word >> 24 == kind:
            found.append(body)
        at += 1 + len(body)
    assert at == len(image)
    return found


def test_header(placement, image):
    fields = dict(zip(HEADER, image.tolist(), strict=False))
    assert (fields["magic"], fields["words"], fields["crc"]) == (MAGIC, len(image), crc(image[3:]))
    assert fields["design"] == design_digest(placement.configs)
    assert (fields["cores"], fields["timesteps"]) == (len(placement.cores), placement.network.timesteps)
    assert fields["classes"] == placement.network.layers[-1].neurons


def test_it_loads_what_the_host_loads(placement, image):
    """Every write, in its order."""
    writes = [
        (base + i * step + j, data[i * run + j])
        for base, run, step, runs, *data in sections(image, LOAD)
        for i in range(runs)
        for j in range(run)
    ]
    assert np.array_equal(np.array(writes, np.uint32), host_program(placement).load)
    assert len(image) < 1.5 * len(writes) + 2000


def test_it_reads_back_what_the_host_reads_back(placement, image):
    program = host_program(placement)
    expected = dict(program.read_back.tolist())
    registers = {a: v for a, v in program.load.tolist() if a & 0x3FFFFFF < region("layers").base}
    expected |= registers
    seen: set[int] = set()
    for address, count, wanted in sections(image, CHECK):
        addresses = range(address, address + count)
        assert crc(np.array([expected[at] for at in addresses], np.uint32)) == wanted
        assert not seen & set(addresses)
        seen |= set(addresses)
    assert seen == set(expected)
    assert registers


def test_it_places_pixels_as_the_host_does(placement, image, seed):
    found = sections(image, INPUT)
    assert len(found) == placement.network.image_input
    random = np.random.default_rng(seed)
    for address, bank_step, step, bits, words, lanes, *packed in found:
        pixels = random.integers(0, 256, placement.network.input.neurons)
        numbers = [number for word in packed for number in (word & 0xFFFF, word >> 16)][: words * lanes]
        values = [0 if number == NO_PIXEL else int(pixels[number]) for number in numbers]
        for bank in range(1 + placement.cores[0].has_two_images):
            writes = []
            for word in range(words):
                whole = sum(values[word * lanes + lane] << lane * bits for lane in range(lanes))
                for part in range(-(-lanes * bits // 32)):
                    writes.append((address + bank * bank_step + word * step + part, whole >> 32 * part & 0xFFFFFFFF))
            assert np.array_equal(np.array(writes, np.uint32), host_program(placement).image_writes(pixels, bank))


def test_the_self_test_reaches_every_word(placement, image):
    tested = {(core, base & 0x3FFFFFF): words for core, base, _, words, *_ in sections(image, MEMORY)}
    for number, config in enumerate(placement.configs):
        for name in ("layers", "synapses", "currents"):
            assert tested.pop((number, region(name).base)) == memory_shape(name, config)[0]
    assert tested == {}


def test_the_constants_of_c_are_these():
    text = (FIRMWARE / "include" / "hillock_image.h").read_text()
    defined = dict(re.findall(r"#define HILLOCK_IMAGE_(\w+) (\w+)u", text))
    names = {"MAGIC": "MAGIC", "VERSION": "VERSION", "NO_PIXEL": "NO_PIXEL", "REGISTERS": "REGISTERS_OF"}
    names |= {name: name for name in ("LOAD", "CHECK", "INPUT", "MEMORY", "POTENTIALS")}
    names |= {f"INPUT_{kind}": f"INPUT_{kind}" for kind in ("EVENTS", "IMAGE", "STATIC")}
    assert {name: int(defined[name], 0) for name in names} == {
        name: getattr(image_module, ours) for name, ours in names.items()
    }
    assert [name.lower() for name in re.findall(r"HILLOCK_IMAGE_AT_(\w+)", text)] == list(HEADER)
    program = (FIRMWARE / "soc" / "main.c").read_text()
    values = dict(re.findall(r"(DATA_MAGIC|MOST_\w+) = (\w+)", program))
    assert {name: int(value, 0) for name, value in values.items()} == {
        "DATA_MAGIC": data_module.MAGIC,
        "MOST_CLASSES": data_module.MOST_CLASSES,
        "MOST_TOKENS": data_module.MOST_TOKENS,
    }


def test_data(seed):
    placement = place_pipeline(small("image"), [], [4])
    inputs = inputs_of(placement.network, 2, seed)
    words = firmware_data(placement, inputs).tolist()
    length = words[1]
    assert words[2 : 2 + length] == firmware_image(placement).tolist()
    assert words[2 + length] == len(inputs)
    record = words[3 + length :]
    for given in inputs:
        trace = golden.run(placement.network, **given)
        tokens = output_tokens(placement, trace)
        assert record[0] == trace.decision
        assert record[2:5] == [len(tokens), crc(tokens), 6]
        assert record[5:9] == trace.counts.tolist()
        pixels = np.array(record[9:11], "<u4").view(np.uint8)
        assert pixels.tolist() == [*given["image"].tolist(), 0, 0]
        assert len(tokens) == trace.layers[-1].spikes.sum() + placement.network.timesteps
        record = record[11:]
    assert record == []


def test_results_for_which_there_is_no_room(monkeypatch):
    monkeypatch.setattr(data_module, "MOST_TOKENS", 3)
    placement = place_pipeline(small("image"), [], [4])
    with pytest.raises(
        HillockError,
        match=r"^image 0 of network 'image' gives \d+ output tokens of 4 classes, and the program has room for 3 and "
        r"16: make MOST_TOKENS and MOST_CLASSES of firmware/soc/main.c and gen/firmware_data.py larger, and compile it "
        r"again$",
    ):
        firmware_data(placement, inputs_of(placement.network, 1, 1))
