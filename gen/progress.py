"""Numbered steps with a progress bar each, for commands."""

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Steps"]


class Steps:
    """Called with what is done and how much of it there is, gives what to tell of the progress.

    On standard error, so that standard output is for results. To be used as a context.
    """

    def __init__(self, quiet: bool):
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
        )
        self.console = Console(stderr=True, quiet=quiet)
        self.progress = Progress(*columns, console=self.console)
        self.count = 0

    def __call__(self, text: str, total: int) -> Callable[[int], None]:
        self.count += 1
        task = self.progress.add_task(f"[{self.count}] {text}", total=total)
        return lambda done: self.progress.advance(task, done)
