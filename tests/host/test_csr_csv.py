"""csr.csv, and what LiteX's own tools make of it and of us."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fake_board import FakeBoard
from fake_port import BoardServer
from hillock.gen.csr_csv import csr_csv
from hillock.gen.pipeline import place_pipeline
from hillock.host.connection import at_link
from hillock.host.program import at_core
from hillock.hw.link_registers import LINK_IDENTITY, LINK_REGISTERS, link_table_digest
from hillock.hw.problems import HillockError
from hillock.hw.registers import IDENTITY, REGISTERS, table_digest
from link_networks import small

PLACEMENT = place_pipeline(small("image"), [], [4])
LITEX = Path(__file__).resolve().parents[2] / "build" / "litex"
RECORDED = ("020103c00000", "01010000000b00000009", "02010000000b")
PACKAGES = ("litex==2024.12", "migen==0.10.0", "pyserial==3.5", "setuptools==75.8.0")


def rows(cores=1):
    return [line.split(",") for line in csr_csv(cores).splitlines() if not line.startswith("#")]


def test_every_register_is_there():
    found = {
        name: (int(address, 16), words, mode) for kind, name, address, words, mode in rows(2) if kind == "csr_register"
    }
    assert len(found) == 2 * len(REGISTERS) + len(LINK_REGISTERS)
    assert found["core0_identity"] == (0, "1", "ro")
    assert found["core1_timesteps"] == (4 * at_core("timesteps", 1), "1", "rw")
    assert found["link_control"] == (4 * at_link("control"), "1", "rw")
    assert found["link_received"] == (4 * at_link("received"), "1", "ro")


def test_what_litex_asks_for():
    found = rows()
    assert ["constant", "config_csr_data_width", "32", "", ""] in found
    assert ["constant", "config_bus_address_width", "32", "", ""] in found
    assert ["csr_base", "link", "0x0f000000", "", ""] in found
    assert ["memory_region", "core0_synapses", "0x03000000", str(4 << 22), "io"] in found
    assert ["memory_region", "link_inputs", "0x0f004000", str(4 << 12), "io"] in found
    assert {len(row) for row in found} == {5}


@pytest.mark.parametrize("cores", [0, 17])
def test_so_many_cores_there_are_not(cores):
    with pytest.raises(HillockError, match=f"^csr.csv: cores must be from 1 to 16, not {cores}$"):
        csr_csv(cores)


def test_recorded_traffic_of_the_real_client():
    """What litex_server 2024.12 sent for `litex_cli --read link_identity`, `--write core0_timesteps 9` and its read."""
    fake = FakeBoard(PLACEMENT)
    read_identity, write_timesteps, read_timesteps = map(bytes.fromhex, RECORDED)
    fake.receive(read_identity)
    assert fake.out == LINK_IDENTITY.to_bytes(4, "big")
    fake.out.clear()
    fake.receive(write_timesteps + read_timesteps)
    assert fake.out == bytes([0, 0, 0, 9])
    assert fake.error == 0


@pytest.fixture(scope="module")
def litex():
    """The folder of the programs of LiteX, in an environment of its own."""
    programs = LITEX / "bin"
    if not (programs / "litex_cli").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(LITEX)], check=True)
        subprocess.run([str(programs / "python"), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return programs


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@pytest.mark.slow
def test_the_real_client(litex, tmp_path):
    """litex_server at our socket, and litex_cli at that."""
    (tmp_path / "csr.csv").write_text(csr_csv())
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def cli(*arguments):
        command = [litex / "litex_cli", "--csr-csv", "csr.csv", "--port", port, *arguments]
        return subprocess.run(
            list(map(str, command)),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    with BoardServer(FakeBoard(PLACEMENT)) as server:
        command = [litex / "litex_server", "--uart", "--uart-port", server.url, "--bind-port", port]
        with subprocess.Popen(list(map(str, command)), env=environment, stdout=subprocess.DEVNULL) as process:
            try:
                time.sleep(2)
                lines = cli("--regs").splitlines()
                said = cli("--read", "link_identity")
                cli("--write", "core0_timesteps", "9")
                after = cli("--read", "core0_timesteps")
            finally:
                process.terminate()
    values = {line.split()[3]: int(line.split()[2], 16) for line in lines if line.startswith("0x")}
    assert len(values) == len(REGISTERS) + len(LINK_REGISTERS)
    assert (values["core0_identity"], values["core0_table"]) == (IDENTITY, table_digest())
    assert (values["link_identity"], values["link_table"]) == (LINK_IDENTITY, link_table_digest())
    assert int(said.split()[-1], 16) == LINK_IDENTITY
    assert int(after.split()[-1], 16) == 9
    for recorded in RECORDED:
        assert bytes.fromhex(recorded) in server.heard
