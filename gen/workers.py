"""Who does the shards of a long run: processes of this machine, or a Dask cluster (`cluster.py`).

Both are an executor of `concurrent.futures`; what `shards.run_shards` has to know of one besides is in `Workers`.
"""

import multiprocessing
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from hillock.hw.problems import HillockError

__all__ = ["Processes", "Workers", "open_workers", "processes"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Workers:
    """An executor, and how to deal with it.

    Attributes
    ----------
    count : function
        How many pieces of work are done at once, as of now; 0 while there is nobody.
    lost : tuple of exceptions
        What the result of a piece of work is when the worker that did it is gone. The executor itself goes on.
    attempts : int
        How often a piece of work is given to a worker that is lost over it, before it is given up.
    local : bool
        Whether they share the file system of this process.
    words : str
        What they are, for a person.
    """

    executor: Executor
    count: Callable[[], int]
    lost: tuple[type[BaseException], ...] = (BrokenExecutor,)
    attempts: int = 3
    local: bool = True
    words: str = "an executor"


class Processes(Executor):
    """`count` processes, each started anew when it dies: only what it was doing is lost, as a `BrokenExecutor`.

    One pool of `count` processes would not do: it ends all of them when one dies.
    """

    def __init__(self, count: int):
        self._threads = ThreadPoolExecutor(count)  # each looks after one process
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._running: dict[int, ProcessPoolExecutor] = {}
        self._stopped = False

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return self._threads.submit(self._run, function, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for pool in list(self._running.values()):
            pool.shutdown(wait)

    def stop(self) -> None:
        """End now, and what is being done with it."""
        with self._lock:
            self._stopped = True
            for pid in self._running:
                _terminate(pid)
        self.shutdown(cancel_futures=True)

    def _run(self, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        if getattr(self._mine, "pid", None) is None:
            self._start()
        try:
            return self._running[self._mine.pid].submit(function, *args, **kwargs).result()
        except (BrokenExecutor, SystemExit) as error:
            with self._lock:
                pool = self._running.pop(self._mine.pid)
            self._mine.pid = None
            pool.shutdown()
            reason = "it was told to" if isinstance(error, SystemExit) else "out of memory, or killed"
            raise BrokenExecutor(f"the process that did it ended ({reason})") from None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of our threads as they are
        pool = ProcessPoolExecutor(1, context, initializer=_begin)
        pid = pool.submit(os.getpid).result()
        with self._lock:
            self._running[pid] = pool
            if self._stopped:  # too late for `stop` to see it
                _terminate(pid)
        self._mine.pid = pid


def _machine() -> str:
    return f"{platform.system()} on {platform.machine()}"


def _terminate(pid: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(pid, signal.SIGTERM)


def _begin() -> None:
    """In a new process: an interruption is for the parent to deal with, and without the parent there is no more to do.

    A termination is an exception, so that what is being done ends its own subprocesses and removes its files.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def open_workers(jobs: int | None = None, scheduler: str | None = None) -> Iterator[Workers]:
    """`processes(jobs)`, or the `cluster` of a scheduler."""
    if scheduler is not None and jobs is not None:
        raise HillockError(
            f"jobs = {jobs} and a scheduler, {scheduler}: give one of them; a cluster has as many workers as it has"
        )
    from .cluster import cluster

    with processes(jobs) if scheduler is None else cluster(scheduler) as workers:
        yield workers


@contextmanager
def processes(count: int | None = None) -> Iterator[Workers]:
    """`count` processes of this machine, or as many as it has cores."""
    number = (os.cpu_count() or 1) if count is None else count
    if number < 1:
        raise HillockError(f"jobs must be at least 1, not {number}")
    executor = Processes(number)
    try:
        yield Workers(executor, lambda: number, words=f"{_machine()}, {number} process{'es' if number > 1 else ''}")
    finally:
        executor.stop()
