"""What the terminal shows of a verification: how far it is while it runs, and what came out."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from .verification_record import KINDS

__all__ = ["Display", "record_table"]


class _Pace(ProgressColumn):
    """Images in a second, and the time that is left at that pace; what was finished before does not count."""

    def render(self, task: Task) -> Text:
        done = task.completed - task.fields.get("before", task.completed)
        if not done or not task.elapsed:
            return Text("")
        left = timedelta(seconds=round((task.remaining or 0) * task.elapsed / done))
        return Text(f"{done / task.elapsed:.1f}/s, {left}")


class _Differing(ProgressColumn):
    """Images that differ."""

    def render(self, task: Task) -> Text:
        count = task.fields.get("differing")
        return Text("" if count is None else f"{count} differ", "bold red" if count else "")


class Display:
    """Steps with a progress bar each, on standard error, so that standard output is for results.

    It is a `simulate.Step`, and `count` is a `verify.Count`.
    """

    def __init__(self, quiet: bool):
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            _Differing(),
            _Pace(),
        )
        self.progress = Progress(*columns, console=Console(stderr=True, quiet=quiet))
        self._images: TaskID | None = None

    def __call__(self, text: str, total: int) -> Callable[[int], None]:
        task = self.progress.add_task(text, total=total)
        return lambda done: self.progress.advance(task, done)

    def count(self, done: int, images: int, differing: int) -> None:
        """Show how far it is."""
        if self._images is None:
            self._images = self.progress.add_task(
                "images", total=images, completed=done, differing=differing, before=done
            )
        self.progress.update(self._images, completed=done, differing=differing)


def record_table(record: dict[str, Any]) -> Table:
    """The figures of a record, under how much was compared and how much of it differs."""
    mismatches = sum(record[f"{kind}_mismatches"] for kind in KINDS)
    equal = record["first_difference"] is None
    images = f"{record['images']:,} of {record['held_out_images']:,} images"
    found = f"{mismatches:,} mismatch{'' if mismatches == 1 else 'es'}"
    table = Table(
        title=Text(f"{record['model']}: {images}, {found}", "bold green" if equal else "bold red"),
        title_justify="left",
        caption=None if equal else Text(f"first difference: {record['first_difference']}", "red"),
        caption_justify="left",
    )
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("")
    for kind in KINDS:
        differ = record[f"{kind}_mismatches"]
        outcome = Text(f"{differ:,} differ", "bold red") if differ else Text("all equal")
        table.add_row(f"{kind}s compared", f"{record[f'{kind}s_compared']:,}", outcome)
    table.add_section()
    if "accuracy" in record:
        table.add_row("accuracy", f"{100 * record['accuracy']:.2f}", "%")
    if "mse" in record:
        table.add_row("mean squared error", f"{record['mse']:.4f}", "of the image")
    if "cycles_per_image" in record:
        cycles = record["cycles_per_image"]
        table.add_row("cycles, mean", f"{cycles['mean']:,.1f}", "cycles per image")
        table.add_row("cycles, minimum", f"{cycles['minimum']:,}", "cycles per image")
        table.add_row("cycles, maximum", f"{cycles['maximum']:,}", "cycles per image")
        lanes = " + ".join(str(count) for count in record["lanes"])
        table.add_row(f"lane utilization, {lanes} lanes", f"{100 * record['lane_utilization']:.1f}", "%")
        for layer in record["layers"]:
            table.add_row(Text(f"  {layer['name']}"), f"{100 * layer['lane_utilization']:.1f}", "%")
    return table
