"""A board opened, identified, loaded and put to work, and every way in which that is refused."""

import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest

from fake_board import BAUD, LINK_ERROR, FakeBoard
from fake_port import BoardServer, FakePort, Faults
from hillock.gen.host_program import host_program
from hillock.gen.pipeline import place_pipeline
from hillock.host import ports
from hillock.host.board import Board
from hillock.host.connection import Limits, at_link
from hillock.host.inference import Wishes
from hillock.host.program import at_core
from hillock.host.results import difference
from hillock.host.uartbone import MOST_WORDS, fixed_write, write_requests
from hillock.hw.design_digest import design_digest
from hillock.hw.link_registers import LINK_BASE, LINK_IDENTITY, link_table_digest
from hillock.hw.problems import HillockError
from hillock.hw.registers import IDENTITY, region, table_digest
from hillock.sim import golden
from hillock.sim.timing import time_inference
from link_bytes import write_rows
from link_networks import TIMESTEPS, inputs_of, small

PLACEMENT = place_pipeline(small("image"), [], [4])
PROGRAM = host_program(PLACEMENT)


def opened(fake, limits=None, **options):
    return Board(FakePort(fake, BAUD, **options), "fake", baud=BAUD, limits=limits or Limits())


def refuses(text, action):
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        action()


# Bytes


def test_requests_are_bursts_of_neighbours():
    rows = np.array([(at, at * 3) for at in [*range(5), *range(16, 19), 17, *range(1000, 1200)]], np.uint32)
    assert b"".join(write_requests(rows)) == write_rows(rows)
    long = np.array([(at, at) for at in range(600)], np.uint32)
    assert [request[1] for request in write_requests(long)] == [MOST_WORDS, MOST_WORDS, 600 - 2 * MOST_WORDS]


def test_writes_to_one_address():
    request = fixed_write(0x1234, range(300))
    assert request[:6] == bytes([3, 255, 0, 0, 0x12, 0x34])
    assert request[6 + 4 * 255 :][:6] == bytes([3, 45, 0, 0, 0x12, 0x34])
    assert len(request) == 12 + 4 * 300


# A board that is as it should be


@pytest.mark.parametrize(("cuts", "lanes"), [([], [4]), ([2], [4, 2])])
@pytest.mark.parametrize("kind", ["image", "events"])
def test_results_are_those_of_the_golden_model(kind, cuts, lanes, seed):
    network = small(kind)
    placement = place_pipeline(network, cuts if kind == "image" else [one - 1 for one in cuts], lanes)
    program, inputs = host_program(placement), inputs_of(network, 40, seed)
    board = opened(FakeBoard(placement))
    board.load(program)
    for given, result in zip(inputs, board.run_many(inputs), strict=True):
        trace = golden.run(network, **given)
        assert difference(program, result, trace) is None
        assert result.spikes.tolist() == trace.layers[-1].spikes.tolist()
        assert result.cycles is None
    for given in inputs[:4]:
        result, trace = board.run(potentials=True, **given), golden.run(network, **given)
        cycles = time_inference(placement.pipeline, trace).decision
        assert difference(program, result, trace, cycles) is None
        assert [one.tolist() for one in result.potentials] == [one.potentials[-1].tolist() for one in trace.layers]
        assert result.cycles == cycles
        assert result.counts.tolist() == trace.counts.tolist()


def test_images_are_loaded_while_one_runs():
    """The board is asked to start the next before the one before it has ended, and never refuses."""
    fake = FakeBoard(PLACEMENT)
    board = opened(fake)
    board.load(PROGRAM)
    both = []
    begin = fake.control

    def control(number, value):
        both.append(fake.busy)
        begin(number, value)

    fake.control = control
    inputs = inputs_of(PLACEMENT.network, 20, 1)
    for known in fake.known:
        known.run = lambda key, run=known.run, **given: (run(key, **given)[0], 100_000)  # of four milliseconds
    board.run_many(inputs)
    assert sum(both) >= 18
    assert board.errors() == [0]


def test_a_slow_wire():
    """What is written takes seconds to leave, and the answer is waited for."""
    board = Board(FakePort(FakeBoard(PLACEMENT), 4800), "fake", baud=4800)
    board.load(PROGRAM)
    given = inputs_of(PLACEMENT.network, 1, 3)[0]
    assert difference(PROGRAM, board.run(**given), golden.run(PLACEMENT.network, **given)) is None
    assert (board.statistics.retries, board.statistics.lost) == (0, 0)


def test_what_may_take_how_long():
    """At a URL there may be a simulation, which gets the time that it needs."""
    for name in ("/dev/ttyUSB0", "socket://127.0.0.1:1"):
        times: list[float] = []
        port = FakePort(FakeBoard(PLACEMENT), BAUD)

        def read(size, port=port, times=times, take=port.read):
            times.append(port.timeout)
            return take(size)

        port.read = read
        board = Board(port, name, baud=BAUD)
        board.write(np.array([(region("synapses").base, 0)] * 300, np.uint32))
        assert times[0] == Limits().silence
        assert max(times) == pytest.approx(0.5 + ports.slowness(name) * (300 * 10 + 6 + 12) * 10 / BAUD)


def test_only_decisions():
    board = opened(FakeBoard(PLACEMENT))
    board.load(PROGRAM)
    inputs = inputs_of(PLACEMENT.network, 5, 1)
    results = board.run_many(inputs, wishes=Wishes(spikes=False))
    assert [one.decision for one in results] == [golden.run(PLACEMENT.network, **one).decision for one in inputs]
    assert all(one.spikes is None and one.counts is None for one in results)


def test_a_window_that_goes_round():
    """Output that does not fit at once is taken in parts."""
    fake = FakeBoard(PLACEMENT, depths=(4, 5, 1))
    board = opened(fake)
    board.load(PROGRAM)
    inputs = inputs_of(PLACEMENT.network, 30, 2)
    for given, result in zip(inputs, board.run_many(inputs), strict=True):
        assert difference(PROGRAM, result, golden.run(PLACEMENT.network, **given)) is None


def test_progress():
    steps, total = {}, {}

    def step(text, count):
        total[text], steps[text] = count, 0

        def done(units):
            steps[text] += units

        return done

    board = opened(FakeBoard(PLACEMENT))
    board.load(PROGRAM, step)
    board.run_many(inputs_of(PLACEMENT.network, 3, 1), step)
    assert steps == total
    assert list(total) == ["load the network", "read the memories back", "inferences"]


def test_what_the_host_sends_is_whole_requests():
    fake = FakeBoard(PLACEMENT)
    heard: list[bytes] = []
    receive = fake.receive

    def listen(data):
        heard.append(data)
        receive(data)

    fake.receive = listen
    board = opened(fake)
    board.load(PROGRAM)
    board.run_many(inputs_of(PLACEMENT.network, 3, 1))
    assert fake.buffer == b""
    assert fake.error == 0
    assert len(b"".join(heard)) == board.statistics.bytes_out


# What differs is told


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"decision": 9}, "decision: expected {decision}, got 9"),
        ({"cycles": 7}, "cycles: expected 99, got 7"),
        ({"counts": np.array([9, 9, 9, 9])}, "count of class 0: expected {count}, got 9"),
        ({"events": []}, "number of output events: expected {events}, got 0"),
        ({"events": [(5, 1)]}, "output event 0: expected {event}, got (5, 1)"),
    ],
)
def test_differences_have_words(change, text):
    board = opened(FakeBoard(PLACEMENT))
    board.load(PROGRAM)
    given = inputs_of(PLACEMENT.network, 1, 3)[0]
    result, trace = board.run(**given), golden.run(PLACEMENT.network, **given)
    wanted = text.format(
        decision=trace.decision, count=trace.counts[0], events=len(result.events), event=result.events[0]
    )
    assert (
        difference(PROGRAM, dataclasses.replace(result, **change), trace, 99 if "cycles" in change else None) == wanted
    )


# Refused


def test_a_memory_that_does_not_hold_what_was_written():
    address = int(PROGRAM.read_back[70, 0])
    wanted = int(PROGRAM.read_back[70, 1])
    board = opened(FakeBoard(PLACEMENT, change={address: wanted ^ 4}))
    text = (
        f"port fake: what was written at {address:#x} reads {wanted ^ 4:#x}, and must read {wanted:#x}: self-test the "
        f"board; if that fails too, its clock is too fast or its memory is bad"
    )
    refuses(text, lambda: board.load(PROGRAM))
    board.load(PROGRAM, read_back=False)


def test_images_for_another_design():
    other = place_pipeline(small("image"), [2], [4, 2])
    board = opened(FakeBoard(PLACEMENT))
    here, there = design_digest(PLACEMENT.configs), design_digest(other.configs)
    text = (
        f"network 'image': it was made for design {there:#010x} (2 cores of 4 + 2 lanes), and the board has design "
        f"{here:#010x}: 1 core of 4 lanes at 25 MHz, 1,000,000 baud: load the bitstream that was built for it, or make "
        f"the images for the cores that are there"
    )
    refuses(text, lambda: board.load(host_program(other)))


def test_no_network_is_loaded():
    board = opened(FakeBoard(PLACEMENT))
    refuses("port fake: no network is loaded: load one first", lambda: board.run(image=np.zeros(6, int)))


REBUILD = "build its bitstream with this version of hillock, or install the version that it was built with"


@pytest.mark.parametrize(
    ("address", "value", "text"),
    [
        (
            LINK_BASE,
            0x12345678,
            f"wrong bitstream: identity of the link reads 0x12345678, and must be {LINK_IDENTITY:#010x}: load a "
            f"bitstream of hillock",
        ),
        (
            LINK_BASE + 1,
            1,
            f"wrong bitstream: its link was built from register table 0x00000001, this is {link_table_digest():#010x}: "
            f"{REBUILD}",
        ),
        (
            at_core("table"),
            2,
            f"wrong bitstream: core 0 was built from register table 0x00000002, this is {table_digest():#010x}: "
            f"{REBUILD}",
        ),
        (
            at_core("identity"),
            3,
            f"core 0: identity reads 0x00000003, and must be {IDENTITY:#010x}: load its bitstream again",
        ),
    ],
)
def test_a_wrong_bitstream(address, value, text):
    refuses(f"port fake: {text}", lambda: opened(FakeBoard(PLACEMENT, change={address: value})))


QUICK = Limits(attempts=3)


def test_nothing_answers():
    class Silent:
        timeout = None

        def write(self, data):
            return len(data)

        def read(self, size):
            return b""

        def close(self):
            pass

    text = (
        "port fake: nothing answers: is the board powered, is its bitstream loaded, is this its port, does no other "
        "program have it open, and is the baud rate (--baud) that of the bitstream?"
    )
    refuses(text, lambda: Board(Silent(), "fake", limits=QUICK))


def test_a_wrong_baud_rate():
    """Every byte becomes another, both ways."""
    noise = {"to_board": Faults(1, 1, ("replace",)), "from_board": Faults(1, 2, ("replace",))}

    fake = FakeBoard(PLACEMENT)

    def answer(data):
        fake.out += bytes(3)

    fake.receive = answer
    with pytest.raises(HillockError, match=r"^port fake: noise came and no answer \(\d+ bytes, the first [0-9a-f ]+\)"):
        opened(fake, QUICK, **noise)


def test_another_device_that_speaks_uartbone():
    fake = FakeBoard(PLACEMENT)
    fake.read = lambda address: 0xCAFE
    text = (
        f"port fake: wrong bitstream: what answers speaks uartbone but is no hillock link (identity reads 0x0000cafe, "
        f"and must be {LINK_IDENTITY:#010x}): load a bitstream of hillock"
    )
    refuses(text, lambda: opened(fake, QUICK))


def test_a_port_that_never_stops():
    class Babble:
        timeout = None

        def write(self, data):
            return len(data)

        def read(self, size):
            return b"x" * size

        def close(self):
            pass

    text = (
        "port fake: it does not stop sending (256 times 0.2 s): it is not a hillock board, or its baud rate is another "
        "than 1,000,000: look at the port and give its rate with --baud"
    )
    refuses(text, lambda: Board(Babble(), "fake"))


def test_a_cable_that_is_cut():
    port = FakePort(FakeBoard(PLACEMENT), BAUD)
    board = Board(port, "fake", limits=QUICK)
    board.load(PROGRAM)
    port.to_board = port.from_board = Faults(1, 1, ("drop",))
    with pytest.raises(HillockError, match=r"^port fake: nothing answers"):
        board.run(image=np.zeros(6, int))


def test_a_core_that_gives_nothing():
    fake = FakeBoard(PLACEMENT)
    board = opened(fake, Limits(inference=0.2))
    board.load(PROGRAM)
    fake.advance = lambda: None
    text = (
        "port fake: inference 1 of 1 gives nothing for 0.2 s: abort it, load the network again, or wait longer with "
        "--patience"
    )
    refuses(text, lambda: board.run(image=np.zeros(6, int)))


def test_errors_of_a_core_are_told():
    fake = FakeBoard(PLACEMENT)
    board = opened(fake)
    board.load(PROGRAM)
    fake.cores[0].error = 8
    with pytest.raises(
        HillockError, match=r"^port fake: core 0 reports bus_address \(an access beyond .*\): load the "
    ):
        board.run(image=np.zeros(6, int))
    board.abort()
    assert board.errors() == [0]


def test_errors_of_the_link_are_told():
    board = opened(FakeBoard(PLACEMENT))
    with pytest.raises(HillockError, match=r"^port fake: the link reports address \(an access beyond"):
        board.read(at_link("cycle") + 1)
    assert LINK_ERROR["address"] == 4


def test_a_write_is_proved():
    board = opened(FakeBoard(PLACEMENT))
    board.write(np.array([(at_core("timesteps"), 77)], np.uint32))
    assert board.read(at_core("timesteps")) == [77]
    assert board.read(region("registers").base + 7, 2)[1] == 0
    assert TIMESTEPS == 4


# Ports


def test_no_such_port(monkeypatch):
    monkeypatch.setattr(ports, "list_ports", lambda: [("/dev/ttyUSB0", "x"), ("/dev/ttyUSB1", "y")])
    text = "port /dev/ttyUSB77: there is no such port; there are /dev/ttyUSB0, /dev/ttyUSB1"
    refuses(text, lambda: Board.open("/dev/ttyUSB77"))
    monkeypatch.setattr(ports, "list_ports", list)
    text = "port /dev/ttyUSB77: there is no such port; there are none at all: is the board plugged in?"
    refuses(text, lambda: Board.open("/dev/ttyUSB77"))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (
            13,
            "permission denied: it belongs to the group dialout; add yourself with `sudo usermod -aG dialout $USER`, "
            "and log in again",
        ),
        (16, "another program has it open: end that (litex_server, a terminal), and try again"),
        (5, "it cannot be opened at 1,000,000 baud ([Errno 5] could not open port)"),
    ],
)
def test_a_port_that_cannot_be_opened(number, text, monkeypatch):
    import serial

    def fails(*_, **__):
        raise serial.SerialException(number, "could not open port")

    monkeypatch.setattr(serial, "serial_for_url", fails)
    refuses(f"port /dev/ttyX: {text}", lambda: Board.open("/dev/ttyX"))


@pytest.mark.parametrize("fails", [None, ValueError("no such flag"), NotImplementedError(), AttributeError()])
def test_an_adapter_is_asked_for_short_answers_at_once(fails, monkeypatch):
    import serial

    asked = []

    class Adapter:
        def set_low_latency_mode(self, on):
            asked.append(on)
            if fails:
                raise fails

    monkeypatch.setattr(serial, "serial_for_url", lambda *_, **__: Adapter())
    assert isinstance(ports.open_port("/dev/ttyX", 9600), Adapter)
    assert asked == [True]


def test_nobody_listens():
    text = (
        "port socket://127.0.0.1:9: nobody listens there: start the virtual board (make board-sim), and take the "
        "address it prints"
    )
    refuses(text, lambda: Board.open("socket://127.0.0.1:9"))


def test_over_a_socket():
    with BoardServer(FakeBoard(PLACEMENT)) as server, Board.open(server.url, limits=Limits(silence=0.05)) as board:
        board.load(PROGRAM)
        given = inputs_of(PLACEMENT.network, 3, 1)
        for one, result in zip(given, board.run_many(given), strict=True):
            assert difference(PROGRAM, result, golden.run(PLACEMENT.network, **one)) is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pyserial leaves such a socket open
def test_a_socket_that_is_gone():
    with BoardServer(FakeBoard(PLACEMENT)) as server:
        board = Board.open(server.url, limits=Limits(silence=0.05))
        board.load(PROGRAM)
    text = rf"^port {re.escape(server.url)}: it is gone \(.*\): plug the board in again, or start the virtual"
    with pytest.raises(HillockError, match=text):
        board.run(image=np.zeros(6, int))
    board.close()


def test_the_library_brings_neither_torch_nor_amaranth():
    program = (
        "import sys, hillock.host.board\n"
        "assert not {'torch', 'amaranth', 'matplotlib', 'hillock.gen'} & set(sys.modules), 'too much'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
