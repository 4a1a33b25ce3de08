"""`hillock ports`, `identify`, `run` and `selftest`, against a board in Python at a socket."""

import json
import sys

import numpy as np
import pytest

from fake_board import FakeBoard
from fake_port import BoardServer
from hillock.gen import cli, host_command
from hillock.gen.manifest import write_images
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


def test_cores_that_do_not_fit(hillock):
    code, _, err = hillock("run", "--port", "nowhere", "--lanes", 8, "--cut", "nowhere")
    assert code == 2
    assert err == (
        "hillock: network 'digits' on 1 cores: 2 problems\n"
        "  - --lanes must be given for each core, and a layer to --cut before for each but the first, not 1 lanes and "
        "1 layers\n"
        "  - cut before 'nowhere': it must be one of its layers, encoder, hidden, output\n"
    )


def test_a_folder_of_images(hillock, placement, url, tmp_path):
    """It says itself what cores it is for."""
    write_images(placement.cores[0], tmp_path)
    code, out, _ = hillock("run", "--port", url, "--images-folder", tmp_path, "--images", 1, "--no-compare", "--json")
    assert code == 0
    assert (json.loads(out)["compared"], json.loads(out)["different"]) == (False, None)
    code, out, _ = hillock("run", "--port", url, "--images-folder", tmp_path, "--images", 1, "--no-compare")
    assert "1 of 1 right, not compared with the golden model" in out
    code, _, err = hillock("selftest", "--port", url, "--images-folder", tmp_path, "--lanes", 16)
    assert (code, err) == (
        2,
        f"hillock: {tmp_path}: its manifest says on which cores a network is: leave out --lanes, --cut and any other "
        f"folder\n",
    )


def test_a_build(hillock, fake, placement, url, tmp_path):
    """Its cores, and the network of a model on them: weights may differ, the layers may not."""
    write_images(placement.cores[0], tmp_path / "images" / "core0")
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "hillock build", "images": ["images/core0"]}))
    code, out, _ = hillock("run", "--port", url, "--build", tmp_path, "--images", 1, "--json")
    assert (code, json.loads(out)["different"]) == (0, 0)
    code, _, err = hillock("run", "--port", url, "--build", tmp_path, "--model", "digits-residual")
    assert code == 2
    assert err == (
        "hillock: network 'digits-residual': a core of the bitstream is for the layers encoder, hidden, output, and it "
        "has encoder, stem, block1a, block1b, block2a, block2b, output there: build a bitstream\n"
    )
    code, _, err = hillock("selftest", "--port", url, "--build", tmp_path / "none")
    assert code == 2
    assert err.startswith(
        f"hillock: {tmp_path / 'none' / 'manifest.json'}: it must be what 'hillock build' writes, in "
        "build/<board>/<model> (FileNotFoundError: "
    )


def test_figures_of_the_link(hillock, url):
    """What the images took of the wire, the load not counted, and what part of the time."""
    found = json.loads(hillock("run", "--port", url, "--images", 4, "--alone", "--json")[1])
    there, back = found["bytes_per_image"]
    assert 0 < there < found["link"]["bytes_out"] / 40
    assert 0 < back < found["link"]["bytes_in"] / 4
    assert found["link_seconds_per_image"] == (there + back) * 10 / found["baud"]
    time = found["cycles_between_decisions"] / found["clock_hz"]
    assert found["link_share"] == pytest.approx(found["link_seconds_per_image"] / time)
    assert found["core_share"] == pytest.approx(np.mean(found["cycles"]) / found["cycles_between_decisions"])


def test_selftest(hillock, fake, url):
    written: dict[int, list[int]] = {}
    write = fake.write

    def listen(address, value):
        written.setdefault(address, []).append(value)
        write(address, value)

    fake.write = listen
    code, out, _ = hillock("selftest", "--port", url, "--images", 2)
    assert code == 0
    lines = out.splitlines()
    assert lines[-1] == "PASS"
    assert [line.split()[0] for line in lines[:-1]] == ["PASS"] * 9
    first, second, *_ = written[region("synapses").base + 1]
    assert first ^ second == 0xFFFFFFFF
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
