"""What an experiment is: how it measures, and how its record becomes tables and drawings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from hillock.gen.simulate import Step

from .setting import TIMESTEPS, Setting

__all__ = ["Experiment", "Options", "Record", "TextTable"]

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the experiments can be told, beside the setting.

    `search_images` training images serve the layer-wise search, each for `search_timesteps`; `bits` are the weight bits
    that are compared. On the `board`, a network runs on `lanes` (at least, at most) until `criterion`, for `streamed`
    images. `cache` keeps runs.
    """

    search_images: int = 100
    search_timesteps: int = TIMESTEPS
    bits: Sequence[int] = (4, 6, 8, 12)
    criterion: str = "t99.5"
    board: str = "ulx3s-85f"
    lanes: tuple[int, int] = (64, 160)
    streamed: int = 20
    cache: Path = Path("build/experiments")


@dataclass(frozen=True)
class TextTable:
    """A table of words: the first column to the left, numbers to the right."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """For a page."""
        rule = ["---", *["---:"] * (len(self.head) - 1)]
        lines = [f"| {' | '.join(row)} |" for row in (self.head, rule, *self.rows)]
        return "\n".join([f"{self.title}:", "", *lines])

    def rich(self) -> Table:
        """For the terminal."""
        table = Table(title=self.title, title_justify="left", box=box.SIMPLE, pad_edge=False)
        for index, head in enumerate(self.head):
            table.add_column(head, justify="right" if index else "left")
        for row in self.rows:
            table.add_row(*row)
        return table


@dataclass(frozen=True)
class Experiment:
    """One of the experiments: `name`, and `title` and `text` of its section in the page of a model.

    `suits` says for which settings there is something to measure, and `needs` says it in words. `figures` gives the
    content of files by name, and what each shows, for those who do not see it.
    """

    name: str
    title: str
    text: str
    suits: Callable[[Setting], bool]
    measure: Callable[[Setting, Options, Step], Record]
    tables: Callable[[Record], list[TextTable]]
    figures: Callable[[Record], Mapping[str, tuple[bytes, str]]]
    needs: str = "a trained network"
