"""`hillock ports`, `identify`, `run` and `selftest`, against a board in Python at a socket."""

import json
import sys

import numpy as np
import pytest

from fake_board import FakeBoard
from fake_port import BoardServer
from hillock.gen import cli, host_command
from hillock.gen.models import load_model
from hillock.gen.pipeline import place_pipeline
from hillock.hw.registers import region


@pytest.fixture
def hillock(monkeypatch, capsys):
    """Runs the command line in this process; returns exit status, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hillock", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def placement():
    return place_pipeline(load_model("digits").network, [], [16])


@pytest.fixture
def fake(placement):
    return FakeBoard(placement)


@pytest.fixture
def url(fake):
    with BoardServer(fake) as server:
        yield server.url


def test_identify(hillock, url):
    code, out, _ = hillock("identify", "--port", url)
    assert code == 0
    assert "1 core of 16 lanes at 25 MHz, 1,000,000 baud" in out
    assert "queues: 512 input tokens, 1024 output tokens, 16 decisions" in out
    code, out, _ = hillock("identify", "--port", url, "--json")
    assert json.loads(out)["geometry"][0]["lanes"] == 16


def test_run(hillock, url):
    code, out, _ = hillock("run", "--port", url, "--model", "digits", "--images", 3, "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["images"], found["different"], found["compared"]) == (3, 0, True)
    assert found["decisions"] == [0, 9, 5]
    code, out, _ = hillock("run", "--port", url, "--images", 2, "--alone", "--no-read-back")
    assert code == 0
    assert "5,330" in out
    assert "2 of 2 right, 0 different from the golden model" in out


def test_run_that_differs(hillock, fake, url):
    """A board that computes something else: exit status 1, and the first difference."""
    for known in fake.known:
        run = known.run

        def wrong(key, run=run, **given):
            trace, cycles = run(key, **given)
            return type(trace)(trace.events, trace.layers, trace.counts, (trace.decision + 1) % 10), cycles

        known.run = wrong
    code, _, err = hillock("run", "--port", url, "--images", 2)
    assert code == 1
    assert "hillock: the board differs from the golden model: image 0: decision: expected 0, got 1" in err


def test_another_model(hillock, url):
    code, out, err = hillock("run", "--port", url, "--lanes", 8)
    assert (code, out) == (2, "")
    assert "it was made for design" in err
    assert "(1 core of 8 lanes), and the board has design" in err


def test_cores_that_do_not_fit(hillock, url):
    code, _, err = hillock("run", "--port", url, "--lanes", 8, "--cut", "nowhere")
    assert code == 2
    assert err == (
        "hillock: cores: there must be lanes for each, and for each but the first one of the layers encoder, hidden, "
        "output to cut before, not lanes [8] and cuts ['nowhere']\n"
    )


def test_selftest(hillock, url):
    code, out, _ = hillock("selftest", "--port", url, "--images", 2)
    assert code == 0
    lines = out.splitlines()
    assert lines[-1] == "PASS"
    assert [line.split()[0] for line in lines[:-1]] == ["PASS"] * 9
    code, out, _ = hillock("selftest", "--port", url, "--images", 1, "--json")
    assert json.loads(out)["passed"] is True


def test_selftest_of_a_bad_memory(hillock, fake, url):
    address = region("synapses").base + 5
    fake.wrong_words[address] = 0x7FFFFFFF
    code, out, _ = hillock("selftest", "--port", url, "--images", 1)
    assert code == 1
    failed = [line for line in out.splitlines() if line.startswith("FAIL")]
    assert failed[0].startswith(f"FAIL  synapses of core 0           at {address:#x}: read 0x7fffffff, and not ")
    assert failed[1].startswith("FAIL  load the network")
    assert failed[-1] == "FAIL"


def test_selftest_of_nothing(hillock):
    code, out, _ = hillock("selftest", "--port", "socket://127.0.0.1:9")
    assert code == 1
    assert out.startswith("FAIL  link                         port socket://127.0.0.1:9: nobody listens there")


def test_ports(hillock, monkeypatch):
    monkeypatch.setattr(host_command, "list_ports", lambda: [("/dev/ttyUSB0", "ULX3S FPGA")])
    assert hillock("ports")[:2] == (0, "/dev/ttyUSB0  ULX3S FPGA\n")
    monkeypatch.setattr(host_command, "list_ports", list)
    assert hillock("ports")[:2] == (0, "no serial port: is the board plugged in?\n")


def test_csr(hillock):
    code, out, _ = hillock("registers", "--csr", "--cores", 2)
    assert code == 0
    assert "csr_base,core1,0x10000000,," in out
    assert np.all([line.count(",") == 4 for line in out.splitlines() if not line.startswith("#")])
