"""A real Dask scheduler and two workers on this machine: the same shards, and what becomes of them when one dies."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hillock.gen.cluster import cluster
from hillock.gen.datasets import digits
from hillock.gen.models import load_model
from hillock.gen.shards import run_shards
from hillock.gen.verify import verify
from hillock.gen.workers import open_workers, processes
from hillock.hw.problems import HillockError
from shard_work import Piece, refuse, square, times_begun, whoami

pytest.importorskip("distributed", reason="a Dask cluster needs `make setup-cluster`")

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "test-sim"
PATIENCE = 30


class Cluster:
    """A scheduler, and processes that work for it, none of them restarted by a nanny of Dask's."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = [str(ROOT / "tests"), *(path for path in sys.path if path)]
        self.address = ""
        self.processes: list[subprocess.Popen] = []

    @property
    def workers(self) -> list[subprocess.Popen]:
        return self.processes[1:]

    def start(self) -> None:
        log = self._run("scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
        end = time.monotonic() + PATIENCE
        while not (found := re.search(r"Scheduler at:\s+(tcp://\S+)", log.read_text())):
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        self.address = found[1]

    def add_worker(self) -> None:
        self._run("worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard")

    def _run(self, *arguments: str) -> Path:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(self.path), "XDG_CACHE_HOME": str(BUILD / "cache")}
        command, log = [sys.executable, "-m", "dask", *arguments], self.folder / f"{len(self.processes)}.txt"
        with log.open("w") as file:
            self.processes.append(subprocess.Popen(command, stdout=file, stderr=file, cwd=self.folder, env=environment))
        return log


@contextmanager
def running(folder: Path, workers: int) -> Iterator[Cluster]:
    made = Cluster(folder)
    try:
        made.start()
        for _ in range(workers):
            made.add_worker()
        yield made
    finally:
        for process in made.processes:
            process.kill()  # they have nothing to lose, and may take long to see that the others are gone
            process.wait()


@pytest.fixture
def two(tmp_path) -> Iterator[Cluster]:
    with running(tmp_path, 2) as made:
        yield made


def squares(pieces):
    return [(piece, piece.number**2) for piece in pieces]


def in_order(results):
    return sorted(results, key=lambda entry: entry[0].number)


def wait_for(workers, count: int) -> None:
    end = time.monotonic() + PATIENCE
    while workers.count() != count:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_shards_on_two_workers(two, tmp_path):
    pieces = [Piece(number, tmp_path, seconds=0.2) for number in range(8)]
    with cluster(two.address, patience=PATIENCE) as workers:
        wait_for(workers, 2)
        assert in_order(run_shards(square, pieces, workers)) == squares(pieces)
        at_work = {pid for _, pid in run_shards(whoami, pieces, workers)}
    assert at_work == {process.pid for process in two.workers}
    assert [times_begun(tmp_path, number) for number in range(8)] == [1] * 8


def test_a_worker_that_dies_costs_its_shard_again_and_nothing_else(two, tmp_path):
    """It may have been given a next one, which was not begun. The other worker does the rest."""
    pieces = [Piece(0, tmp_path, deaths=1, seconds=0.5), *(Piece(n, tmp_path, seconds=0.1) for n in range(1, 12))]
    with cluster(two.address, patience=PATIENCE) as workers:
        wait_for(workers, 2)
        assert in_order(run_shards(square, pieces, workers)) == squares(pieces)
    ended = [process.poll() for process in two.workers]
    assert sorted(ended, key=str) == [-signal.SIGKILL, None]
    assert [times_begun(tmp_path, number) for number in range(12)] == [2] + [1] * 11


def test_a_worker_that_comes_later_gets_its_share(tmp_path):
    pieces = [Piece(number, tmp_path, seconds=0.3) for number in range(20)]
    with running(tmp_path, 1) as made, cluster(made.address, patience=PATIENCE) as workers:
        at_work = set()
        for _, pid in run_shards(whoami, pieces, workers):
            at_work.add(pid)
            if len(made.workers) == 1:
                made.add_worker()
                wait_for(workers, 2)
    assert at_work == {process.pid for process in made.workers}


def test_a_shard_that_kills_every_worker(tmp_path):
    """Dask itself gives up when a shard has ended more workers than `allowed-failures`, 3."""
    with running(tmp_path, 4) as made, cluster(made.address, patience=PATIENCE) as workers:
        wait_for(workers, 4)
        text = "^piece 1: what did it was lost, and it is not given to another: .* on 4 different workers, .*; see to "
        with pytest.raises(HillockError, match=text):
            list(run_shards(square, [Piece(1, tmp_path, deaths=99)], workers))
    assert times_begun(tmp_path, 1) == 4


def test_no_worker_is_left(tmp_path):
    with running(tmp_path, 1) as made, cluster(made.address, patience=PATIENCE) as workers:
        wait_for(workers, 1)
        text = "^there has been no worker for 1 seconds: start some, and run this again; what is finished is kept$"
        with pytest.raises(HillockError, match=text):
            list(run_shards(square, [Piece(1, tmp_path, deaths=99)], workers, patience=1))


def test_a_refusal_names_the_shard(two, tmp_path):
    with (
        cluster(two.address, patience=PATIENCE) as workers,
        pytest.raises(HillockError, match=r"^piece 5: it is too hot$"),
    ):
        list(run_shards(refuse, [Piece(5, tmp_path)], workers))


def test_the_digits(two, tmp_path):
    """The same figures as on processes of this machine; the workers build the gateware from its text by themselves."""
    network, dataset = load_model("digits").network, digits()
    options: dict[str, Any] = {"images": 7, "shard": 2, "cache": BUILD / "cache" / "hillock" / "verilator"}
    with cluster(two.address, patience=PATIENCE) as workers:
        wait_for(workers, 2)
        there = verify(network, dataset, workers, folder=tmp_path / "there", **options)
    with processes(1) as workers:
        here = verify(network, dataset, workers, folder=tmp_path / "here", **options)
    assert there.equal
    assert there.comparison == here.comparison
    assert (there.cycles, there.layers, there.score) == (here.cycles, here.layers, here.score)


def test_a_scheduler_that_is_not_there():
    text = (
        "^Dask scheduler tcp://127.0.0.1:1: it cannot be reached \\(.*\\): start one with 'dask scheduler', and give "
        "the address that it prints$"
    )
    with pytest.raises(HillockError, match=text), cluster("tcp://127.0.0.1:1", patience=1):
        pass


def test_a_scheduler_without_workers(tmp_path):
    with running(tmp_path, 0) as made:
        text = f"Dask scheduler {made.address}: it has no workers: start some with 'dask worker {made.address}'"
        with pytest.raises(HillockError, match=f"^{re.escape(text)}$"), cluster(made.address, patience=1):
            pass


def test_a_worker_without_hillock(tmp_path):
    """As another Python would have it: nothing is found under the name."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *p: None if n == 'hillock' else f(n, *p)"
    )
    with running(tmp_path, 0) as made:
        made.path.insert(0, str(tmp_path))
        made.add_worker()
        text = (
            f"^Dask scheduler {made.address}: there is no hillock where these run: tcp://[0-9.:]+; install the same "
            f"version there, and start them again$"
        )
        with pytest.raises(HillockError, match=text), cluster(made.address, patience=PATIENCE):
            pass


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    text = (
        r"^a Dask cluster needs the package 'distributed' \(.*\): run 'make setup-cluster', or pip install "
        r"'hillock\[cluster\]'$"
    )
    with pytest.raises(HillockError, match=text), open_workers(scheduler="tcp://127.0.0.1:8786"):
        pass


def test_jobs_and_a_scheduler():
    text = "jobs = 2 and a scheduler, tcp://there:8786: give one of them; a cluster has as many workers as it has"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"), open_workers(2, "tcp://there:8786"):
        pass
