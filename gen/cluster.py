"""The workers of a Dask cluster, for work in shards. What it needs is the optional extra `cluster`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hillock.hw.problems import HillockError

from .workers import Workers

__all__ = ["cluster"]


@contextmanager
def cluster(address: str, *, patience: float = 10) -> Iterator[Workers]:
    """The workers of the Dask scheduler at `address`; a `HillockError` when it or they do not answer in `patience` s.

    The scheduler itself gives a shard to another worker when one is lost over it (`allowed-failures` in its
    configuration), and so do workers that come later get their share.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise HillockError(
            f"a Dask cluster needs the package 'distributed' ({error}): run 'make setup-cluster', or pip install "
            f"'hillock[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=patience, set_as_default=False)
    except (OSError, ValueError) as error:  # nobody there, or not an address
        raise HillockError(
            f"Dask scheduler {address}: it cannot be reached ({error}): start one with 'dask scheduler', and give the "
            f"address that it prints"
        ) from None
    try:
        try:
            client.wait_for_workers(1, timeout=patience)
        except TimeoutError:
            raise HillockError(
                f"Dask scheduler {address}: it has no workers: start some with 'dask worker {address}'"
            ) from None
        _require_hillock(client, address)
        executor = client.get_executor(pure=False)  # the same shard once more is work to be done once more
        try:
            threads = client.nthreads()
            yield Workers(
                executor,
                lambda: sum(client.nthreads().values()),
                lost=(KilledWorker,),
                attempts=1,
                local=False,
                words=f"Dask cluster, {len(threads)} workers with {sum(threads.values())} threads when it was begun",
            )
        finally:
            executor.shutdown(wait=False)  # which cancels what is under way
    finally:
        client.close()


def _require_hillock(client: Any, address: str) -> None:
    """Whether all can read what they will be given; a worker that cannot would just end."""

    def there() -> bool:  # within a function: so it travels by value, and needs nothing of ours where it arrives
        import importlib.util

        return importlib.util.find_spec("hillock") is not None

    found = {"the scheduler": client.run_on_scheduler(there), **client.run(there)}
    without = ", ".join(who for who, has in found.items() if not has)
    if without:
        raise HillockError(
            f"Dask scheduler {address}: there is no hillock where these run: {without}; install the same version "
            f"there, and start them again"
        )
