"""Shards on executors: all are done once, and again only where a worker was lost over them."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from hillock.gen.shards import cut, run_shards
from hillock.gen.workers import Workers, processes
from hillock.hw.problems import HillockError
from shard_work import Piece, fail, refuse, square, times_begun, whoami


def squares(pieces):
    return [(piece, piece.number**2) for piece in pieces]


def in_order(results):
    return sorted(results, key=lambda entry: entry[0].number)


def test_cut():
    assert cut(7, 3) == [range(3), range(3, 6), range(6, 7)]
    assert cut(6, 3) == [range(3), range(3, 6)]
    assert cut(0, 3) == []


@pytest.mark.parametrize("executor", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_any_executor_does(executor, tmp_path):
    pieces = [Piece(number, tmp_path) for number in range(7)]
    with executor(2) as pool:
        results = run_shards(square, pieces, Workers(pool, lambda: 2))
        assert in_order(results) == squares(pieces)
    assert [times_begun(tmp_path, number) for number in range(7)] == [1] * 7


def test_processes(tmp_path):
    """As many as were asked for, none of them this one."""
    pieces = [Piece(number, tmp_path, seconds=0.2) for number in range(8)]
    with processes(2) as workers:
        assert in_order(run_shards(square, pieces, workers)) == squares(pieces)
        assert workers.count() == 2
        at_work = {pid for _, pid in run_shards(whoami, pieces, workers)}
    assert len(at_work) == 2
    assert os.getpid() not in at_work
    assert all(gone(pid) for pid in at_work)


def test_as_many_processes_as_cores():
    with processes() as workers:
        assert workers.count() == os.cpu_count()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_dies_costs_its_shard_again_and_nothing_else(number, tmp_path):
    """The others are begun once, also the one that was being done by the process beside it."""
    pieces = [Piece(0, tmp_path, deaths=2, signal=number), Piece(1, tmp_path, seconds=3)]
    pieces += [Piece(number, tmp_path) for number in range(2, 8)]
    with processes(2) as workers:
        assert in_order(run_shards(square, pieces, workers)) == squares(pieces)
    assert [times_begun(tmp_path, number) for number in range(8)] == [3] + [1] * 7


def test_a_shard_that_kills_every_process(tmp_path):
    pieces = [Piece(0, tmp_path), Piece(1, tmp_path, deaths=99)]
    text = (
        "piece 1: 3 workers that did it were lost, and it is not given to another: the process that did it ended (out "
        "of memory, or killed); see to it that a worker has the memory, and run this again; what is finished is kept"
    )
    with processes(1) as workers, pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        list(run_shards(square, pieces, workers))
    assert times_begun(tmp_path, 1) == 3


def test_the_attempts_are_counted_for_each_shard(tmp_path):
    pieces = [Piece(number, tmp_path, deaths=2) for number in range(3)]
    with processes(2) as workers:
        assert in_order(run_shards(square, pieces, workers)) == squares(pieces)
    assert [times_begun(tmp_path, number) for number in range(3)] == [3, 3, 3]


def test_a_refusal_names_the_shard(tmp_path):
    with processes(1) as workers, pytest.raises(HillockError, match=r"^piece 5: it is too hot$"):
        list(run_shards(refuse, [Piece(5, tmp_path)], workers))


def test_an_error_of_our_own_making_is_not_hidden(tmp_path):
    with processes(1) as workers, pytest.raises(ZeroDivisionError) as caught:
        list(run_shards(fail, [Piece(5, tmp_path)], workers))
    assert caught.value.__notes__ == ["in the shard piece 5"]


class Slow(Executor):
    """Takes what it is given, and does it when told to."""

    def __init__(self):
        self.waiting: list[Future] = []

    def submit(self, function, /, *args, **kwargs):
        self.waiting.append(Future())
        return self.waiting[-1]


def test_a_worker_is_given_no_more_than_it_and_the_next(tmp_path):
    """What a shard carries would lie about in as many copies."""
    slow, most = Slow(), []

    def count():
        most.append(len(slow.waiting))
        if slow.waiting and most.count(6) > 1:
            slow.waiting.pop(0).set_result(1)
        return 3

    pieces = [Piece(number, tmp_path) for number in range(20)]
    assert len(list(run_shards(square, pieces, Workers(slow, count), patience=0.01))) == 20
    assert max(most) == 6


def test_no_worker_for_too_long(tmp_path):
    text = "there has been no worker for 0.1 seconds: start some, and run this again; what is finished is kept"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        list(run_shards(square, [Piece(0, tmp_path)], Workers(Slow(), lambda: 0), patience=0.1))


def test_a_shard_that_is_cancelled(tmp_path):
    slow = Slow()

    def count():
        for future in slow.waiting:
            future.cancel()
            future.set_running_or_notify_cancel()
        return 1

    text = "piece 0: it was cancelled, as when a scheduler ends: run this again; what is finished is kept"
    pieces = [Piece(0, tmp_path), Piece(1, tmp_path)]
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        list(run_shards(square, pieces, Workers(slow, count)))


def test_an_executor_that_does_not_go_on(tmp_path):
    """A pool of the standard library ends with its first process; the finished shards have been handed out."""
    pieces = [Piece(0, tmp_path), Piece(1, tmp_path, deaths=99), Piece(2, tmp_path)]
    got: list[tuple[Piece, int]] = []
    with ProcessPoolExecutor(1) as pool, pytest.raises(BrokenExecutor):
        got.extend(run_shards(square, pieces, Workers(pool, lambda: 1)))
    assert times_begun(tmp_path, 2) == 0


@pytest.mark.parametrize("jobs", [0, -1])
def test_a_number_of_jobs_that_makes_no_sense(jobs):
    with pytest.raises(HillockError, match=f"^jobs must be at least 1, not {jobs}$"), processes(jobs):
        pass


def gone(pid: int, patience: float = 10) -> bool:
    """Whether the process `pid` ends within `patience` seconds; one that nobody has waited for has ended too."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


PARENT = """
import signal, sys, pathlib
from hillock.gen.shards import run_shards
from hillock.gen.workers import processes
from shard_work import Piece, square, whoami

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored in what a shell has put behind
    folder = pathlib.Path(sys.argv[1])
    with processes(1) as workers:
        print(*(pid for _, pid in run_shards(whoami, [Piece(0, folder)], workers)), flush=True)
        print(*run_shards(square, [Piece(1, folder, seconds=60)], workers), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_processes_end_with_their_parent(number, tmp_path):
    """Interrupted in the middle of a shard, or killed without having been able to say anything to them."""
    (tmp_path / "parent.py").write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(tmp_path / "parent.py"), str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        while not times_begun(tmp_path, 1):
            time.sleep(0.05)
        parent.send_signal(number)
        began = time.monotonic()
        parent.wait()
        assert time.monotonic() - began < 10
        assert parent.stdout.read() == ""
    assert gone(pid)
