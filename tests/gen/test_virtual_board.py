"""The whole board design, compiled, over a socket and a pseudo-terminal: bytes in, the golden model's results out."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gateware import at
from hillock.gen.datasets import load_dataset
from hillock.gen.image import image_writes
from hillock.gen.models import load_model
from hillock.gen.pipeline import place_pipeline
from hillock.gen.virtual_board import VIRTUAL_BAUD, VIRTUAL_IDLE_CYCLES, virtual_board
from hillock.hw.design_digest import design_digest
from hillock.hw.link_registers import DECISION_WORDS, LINK_BASE, LINK_IDENTITY, link_register, link_table_digest
from hillock.hw.problems import HillockError
from hillock.hw.registers import IDENTITY, region
from hillock.hw.uart import LEAST_DIVISOR
from hillock.sim import golden
from hillock.sim.timing import time_inference
from hillock.sim.token_words import unpack
from hillock.sim.virtual_board import VirtualBoard
from link_bytes import at_link, read, window, write, write_rows
from virtual_client import PATIENCE, Client, cpu_seconds

CACHE = Path(__file__).resolve().parents[2] / "build" / "test-board"
ERRORS = {field.name: 1 << field.low for field in link_register("error").fields}
RESTART = 1
SILENCE = 1.5
"""Seconds after which a board has dropped half a command, on a machine that has other things to do too."""
IMAGES = 4


@pytest.fixture(scope="module")
def network():
    return load_model("digits").network


@pytest.fixture(scope="module")
def placement(network):
    return place_pipeline(network, [], [16])


@pytest.fixture(scope="module")
def images():
    return load_dataset("digits").test_images[:IMAGES].astype(np.int64)


@pytest.fixture(scope="module")
def board(placement):
    with virtual_board(placement, cache=CACHE, pty=True) as running:
        yield running


@pytest.fixture(params=["socket", "pty"])
def client(board, request):
    with Client(board.tcp_url if request.param == "socket" else board.pty_path) as opened:
        opened.send(write(at_link("control"), RESTART))
        opened.errors()
        opened.send(write(at("error"), 0x1F))
        yield opened


@pytest.fixture
def another(board):
    """The same program once more, with other places to connect to."""
    program = Path(os.readlink(f"/proc/{board.process_id}/exe"))
    return partial(VirtualBoard, program, divisor=LEAST_DIVISOR, idle_cycles=VIRTUAL_IDLE_CYCLES)


# Bytes


def test_what_it_is(client, placement):
    first = client.ask(LINK_BASE, 6)
    assert first[:3] == [LINK_IDENTITY, link_table_digest(), design_digest(placement.configs)]
    assert first[4:] == [4 * VIRTUAL_BAUD, 4]
    assert client.get(at("identity")) == IDENTITY
    assert client.ask(LINK_BASE, 3, fixed=True) == [LINK_IDENTITY] * 3


def test_every_byte_passes(client):
    """A terminal must not change any, as it would those that control it."""
    for first in range(0, 256, 4):
        word = int.from_bytes(bytes(range(first, first + 4)), "big")
        client.send(write(at_link("outputs_taken"), word))
        assert client.get(at_link("outputs_taken")) == word
    client.send(write(at_link("outputs_taken"), 0))


def test_an_unknown_command(client):
    client.send(bytes([7, 1, 0, 0, 0, 0]))
    assert client.errors() == ERRORS["command"]
    assert client.get(at("identity")) == IDENTITY
    assert client.errors() == 0


def test_a_command_that_stops_half_way(client):
    """It is dropped after a while, and the next is understood."""
    client.send(read(at("identity"))[:3])
    time.sleep(SILENCE)
    assert client.get(at("identity")) == IDENTITY
    assert client.errors() == ERRORS["command"]


def test_a_command_in_pieces(client):
    """Its bytes may come one after another, with pauses as a busy machine makes them."""
    for byte in read(at("identity")):
        client.send(bytes([byte]))
        time.sleep(0.01)
    assert int.from_bytes(client.bytes(4), "big") == IDENTITY
    assert client.errors() == 0


def test_a_client_leaves_and_the_next_comes(board):
    for _ in range(3):
        with Client(board.tcp_url) as client:
            assert client.get(at("identity")) == IDENTITY


# Images


def wait_for(happens):
    until = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < until


def run_image(client, placement, pixels, bank=0):
    """Start an image that is loaded here, and hold everything that comes out against the golden model."""
    network, core = placement.network, placement.cores[0]
    trace = golden.run(network, image=pixels)
    timeline = time_inference(placement.pipeline, trace)
    client.send(write(at_link("control"), RESTART))
    client.send(write_rows(image_writes(pixels, core, bank)) + write(at("control"), 1 | bank << 2))
    wait_for(lambda: client.get(at_link("decisions_given")))
    decision, _cycle = client.ask(window("decisions"), DECISION_WORDS)
    assert decision == client.get(at("decision")) == trace.decision
    assert client.get(at("cycles")) == timeline.decision
    assert client.ask(region("counts").base, len(trace.counts)) == trace.counts.tolist()
    given = client.get(at_link("outputs_given"))
    words = [client.get(window("outputs", index)) for index in range(given)]
    tokens = unpack(np.array([(0, word, 0) for word in words], np.uint32), network.layers[-1].shape, core.config)
    spikes = np.zeros_like(trace.layers[-1].spikes)
    step = 0
    for _cycle, address, _payload in tokens:
        if address is None:
            step += 1
        else:
            spikes[step, address] = True
    assert step == network.timesteps
    assert (spikes == trace.layers[-1].spikes).all()
    assert spikes.any()
    return decision


def test_digits(client, placement, images):
    """The same spikes, counts, decision and cycles as the golden model's."""
    decisions = {run_image(client, placement, pixels, number % 2) for number, pixels in enumerate(images)}
    assert len(decisions) > 1
    assert client.get(at("error")) == 0
    assert client.errors() == 0


def test_the_next_image_while_one_runs(board, placement, images):
    """Images take turns at the two banks; each decision has its cycle."""
    with Client(board.tcp_url) as client:
        client.send(write(at_link("control"), RESTART) + write(at("error"), 0x1F))
        for number, pixels in enumerate(images):
            wait_for(lambda: not client.get(at("status")) & 4)  # pending
            client.send(write_rows(image_writes(pixels, placement.cores[0], number % 2)))
            client.send(write(at("control"), 1 | number % 2 << 2))
            client.send(write(at_link("outputs_taken"), client.get(at_link("outputs_given"))))
        wait_for(lambda: client.get(at_link("decisions_given")) == len(images))
        kept = client.ask(window("decisions"), DECISION_WORDS * len(images))
        traces = [golden.run(placement.network, image=pixels) for pixels in images]
        assert kept[::2] == [trace.decision for trace in traces]
        assert kept[1::2] == sorted(kept[1::2])
        assert client.get(at("error")) == 0


def test_another_network_is_loaded(board, placement, images):
    """Over the link, into the same design; then the first again."""
    layers = placement.network.layers
    other = replace(
        placement.network, layers=(*layers[:-1], replace(layers[-1], threshold=layers[-1].threshold * 3 // 4))
    )
    changed = place_pipeline(other, [], [16])
    assert changed.configs == placement.configs
    with Client(board.tcp_url) as client:
        for loaded in (changed, placement):
            client.send(write_rows(loaded.bus_writes()))
            run_image(client, loaded, images[0])


# The process


def test_it_rests_when_there_is_nothing_to_do(board):
    with Client(board.tcp_url) as client:
        client.get(at("identity"))
        time.sleep(0.5)
        before = cpu_seconds(board.process_id)
        time.sleep(1)
        assert cpu_seconds(board.process_id) - before < 0.05
        client.send(read(at("identity"))[:3])
        time.sleep(0.5)
        before = cpu_seconds(board.process_id)
        time.sleep(1)
        assert cpu_seconds(board.process_id) - before < 0.05


def gone(process: int) -> bool:
    """Whether a process ends within some seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with suppress(ProcessLookupError):
            os.kill(process, 0)
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                time.sleep(0.05)
                continue
        return True
    return False


def test_it_ends_with_its_parent(board):
    """Even when that is killed."""
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom hillock.sim.virtual_board import VirtualBoard\n"
        "with VirtualBoard(Path(sys.argv[1]), divisor=4, idle_cycles=1000) as board:\n"
        "    print(board.process_id, flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, os.readlink(f"/proc/{board.process_id}/exe")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        started = int(parent.stdout.readline())
        parent.kill()
    assert gone(started)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly(another, number):
    with another() as running:
        process = running.process_id
        os.kill(process, number)
        assert running.wait() == 0
    assert gone(process)


def test_a_port_that_is_taken(board, another):
    port = int(board.tcp_url.rpartition(":")[2])
    text = "^virtual board: it did not start: board: cannot listen at this port: Address already in use$"
    with pytest.raises(HillockError, match=text), another(tcp=port):
        pass


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tcp": None}, "virtual board: there must be a TCP port or a pseudo-terminal to connect to"),
        ({"tcp": 65536}, r"virtual board: a TCP port must be from 0 \(any that is free\) to 65535, not 65536"),
    ],
)
def test_places_that_cannot_be(another, options, text):
    with pytest.raises(HillockError, match=f"^{text}$"):
        another(**options)


@pytest.mark.parametrize("divisor", [3, 1001])
def test_rates_that_cannot_be(placement, divisor):
    with pytest.raises(HillockError, match=f"^virtual board: divisor must be from 4 to 1000, not {divisor}$"):
        virtual_board(placement, cache=CACHE, divisor=divisor)


def test_one_that_does_not_run_has_no_place(another):
    stopped = another()
    with pytest.raises(HillockError, match=r"^virtual board: it is not running$"):
        _ = stopped.url
    with stopped:
        assert stopped.url == stopped.tcp_url
    with pytest.raises(HillockError, match=r"^virtual board: it is not running$"):
        _ = stopped.url


# The command line


def hillock(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "hillock.gen", "board-sim", *map(str, arguments)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command(board, number):
    """It prints where to connect and nothing else, and ends when it is told to."""
    command = hillock("--pty", "--tcp", 0, "--cache", CACHE)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        places = [process.stdout.readline().strip() for _ in range(2)]
        try:
            assert [place.split("/")[0:2] for place in places] == [["socket:", ""], ["", "dev"]]
            for place in places:
                with Client(place) as client:
                    assert client.get(at("identity")) == IDENTITY
        finally:
            process.send_signal(number)
        out, err = process.communicate()
        assert (process.returncode, out) == (0, "")
        assert err.splitlines()[-1] == "digits is there; Ctrl-C ends it"


def test_cuts_that_do_not_fit():
    command = hillock("--lanes", 4, "--lanes", 4, "--lanes", 4, "--cut", "nowhere")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "hillock: network 'digits' on 3 cores: 2 problems\n"
        "  - --lanes must be given for each core, and a layer to --cut before for each but the first, not 3 lanes and "
        "1 layers\n  - cut before 'nowhere': it must be one of its layers, encoder, hidden, output\n"
    )
