"""Long work in shards, on any executor of `concurrent.futures`: a worker that dies costs its shard again, no more."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import TypeVar

from hillock.hw.problems import HillockError

from .workers import Workers

__all__ = ["PATIENCE", "cut", "run_shards"]

T = TypeVar("T")
R = TypeVar("R")

WAITING = 2
"""Shards that each worker has been given, so that none waits for the next. More would lie about as copies."""

PATIENCE = 60.0
"""Seconds for which there may be no worker at all."""


def cut(count: int, size: int) -> list[range]:
    """The numbers 0 to `count` - 1 in ranges of `size`, of which the last may be shorter."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def run_shards(
    function: Callable[[T], R], shards: Iterable[T], workers: Workers, *, patience: float = PATIENCE
) -> Iterator[tuple[T, R]]:
    """(shard, `function` of it) for all `shards`, as they are done; `function` and shards can be pickled.

    Raises a `HillockError` that names the shard (its text) when the worker was lost over one of them as often as
    `workers` allow, and for one that `function` raised; what else it raised is raised as it is, with a note.
    """
    left: deque[T] = deque(shards)
    under_way: dict[Future[R], T] = {}
    tries: Counter[int] = Counter()  # by id: what a shard is, is none of our business
    while left or under_way:
        while left and len(under_way) < max(1, WAITING * workers.count()):
            shard = left.popleft()
            under_way[workers.executor.submit(function, shard)] = shard
        done, _ = wait(under_way, timeout=patience, return_when=FIRST_COMPLETED)
        if not done and not workers.count():
            raise HillockError(
                f"there has been no worker for {patience:g} seconds: start some, and run this again; what is "
                f"finished is kept"
            )
        for future in done:
            shard = under_way.pop(future)
            try:
                result = future.result()
            except workers.lost as error:
                tries[id(shard)] += 1
                if tries[id(shard)] == workers.attempts:
                    raise HillockError(_lost(shard, workers.attempts, error)) from error
                left.appendleft(shard)
            except CancelledError:
                raise HillockError(
                    f"{shard}: it was cancelled, as when a scheduler ends: run this again; what is finished is kept"
                ) from None
            except HillockError as error:
                raise HillockError(f"{shard}: {error}") from error
            except Exception as error:
                error.add_note(f"in the shard {shard}")
                raise
            else:
                yield shard, result


def _lost(shard: object, attempts: int, error: BaseException) -> str:
    number = f"{attempts} workers that did it were" if attempts > 1 else "what did it was"  # Dask counts for itself
    return (
        f"{shard}: {number} lost, and it is not given to another: {str(error).rstrip('.')}; see to it that a worker "
        f"has the memory, and run this again; what is finished is kept"
    )
