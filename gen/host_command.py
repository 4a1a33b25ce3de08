"""`hillock ports`, `identify`, `run` and `selftest`: a board on the command line."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from hillock.host.connection import Limits
from hillock.host.ports import BAUD, list_ports
from hillock.hw.problems import HillockError

from .board_sim_command import placement_of

if TYPE_CHECKING:
    from hillock.host.board import Board, Step

    from .pipeline import PipelinePlacement

__all__ = ["add_commands"]

Port = Annotated[str, typer.Option(help="A serial port, or a URL such as socket://127.0.0.1:4000.")]
Baud = Annotated[int, typer.Option(min=1, help="Bits per second, those of the bitstream.")]
Model = Annotated[str, typer.Option(help="A trained network: the name of one in models/, or a folder.")]
Lanes = Annotated[list[int] | None, typer.Option(help="Lanes; given again, of a further core each.")]
Cut = Annotated[list[str] | None, typer.Option(help="The layer with which a further core begins.")]
Folder = Annotated[Path | None, typer.Option("--images-folder", help="Memory images with a manifest, not a model.")]
Build = Annotated[Path | None, typer.Option(help="A build, build/<board>/<model>: the cores of its bitstream.")]
Patience = Annotated[float, typer.Option(help="Seconds that an inference may give nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON, and nothing else.")]
_DIFFERS = 1


def add_commands(app: typer.Typer) -> None:
    """Make them commands of `app`."""
    for command in (ports, identify, run, selftest):
        app.command()(command)


def ports(as_json: Json = False) -> None:
    """List the serial ports of this computer."""
    found = list_ports()
    if as_json:
        print(json.dumps([{"port": device, "is": text} for device, text in found], indent=2))
    elif not found:
        print("no serial port: is the board plugged in?")
    for device, text in [] if as_json else found:
        print(f"{device}  {text}")


def identify(port: Port, baud: Baud = BAUD, as_json: Json = False) -> None:
    """Say what is on the board at a port."""
    with _open(port, baud, Limits()) as board:
        found, errors = board.identity, board.errors()
    if as_json:
        print(json.dumps(asdict(found) | {"errors": errors}, indent=2))
    else:
        print(found.describe())
        for number, core in enumerate(found.geometry):
            said = ", ".join(f"{name} {value}" for name, value in core.items())
            print(f"core {number}: {said}, error {errors[number]:#x}")
        print(f"queues: {found.input_depth} input tokens, {found.output_depth} output tokens, "
              f"{found.decision_depth} decisions")  # fmt: skip


def run(
    port: Port,
    model: Model = "digits",
    images: Annotated[int, typer.Option(min=1, help="The first so many held-out images.")] = 10,
    lanes: Lanes = None,
    cut: Cut = None,
    images_folder: Folder = None,
    build: Build = None,
    baud: Baud = BAUD,
    compare: Annotated[bool, typer.Option("--compare/--no-compare", help="Against the golden model.")] = True,
    overlap: Annotated[bool, typer.Option("--overlap/--alone", help="Load the next image while one is run.")] = True,
    read_back: Annotated[bool, typer.Option("--read-back/--no-read-back", help="Read memories after the load.")] = True,
    patience: Patience = 60.0,
    as_json: Json = False,
) -> None:
    """Load a network into a board, run held-out images, and compare with the golden model."""
    from hillock.host.inference import Wishes

    from .host_program import host_program
    from .host_runs import compared, figures, held_out, results_table

    placement = _placement(model, lanes, cut, images_folder, build)
    program = host_program(placement)
    inputs, labels = held_out(placement.network, model, images)
    with _open(port, baud, Limits(inference=patience)) as board, _steps(as_json) as step:
        board.load(program, step, read_back=read_back)
        loaded = replace(board.statistics)
        results = board.run_many(inputs, step, wishes=Wishes(spikes=compare, overlap=overlap))
        identity, statistics = board.identity, board.statistics
    rows = compared(placement, program, inputs, results) if compare else [None] * len(results)
    transfer = statistics.bytes_out - loaded.bytes_out, statistics.bytes_in - loaded.bytes_in
    summary = figures(identity, results, labels, rows, statistics, transfer, compare=compare)
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        Console().print(results_table(results, labels, rows, summary))
    first = next((row for row in rows if row), None)
    if first:
        print(f"hillock: the board differs from the golden model: {first}", file=sys.stderr)
        raise typer.Exit(_DIFFERS)


def selftest(
    port: Port,
    model: Model = "digits",
    images: Annotated[int, typer.Option(min=1, help="Held-out images that are run at the end.")] = 4,
    lanes: Lanes = None,
    cut: Cut = None,
    images_folder: Folder = None,
    build: Build = None,
    baud: Baud = BAUD,
    patience: Patience = 60.0,
    as_json: Json = False,
) -> None:
    """Try everything on a board that can be tried, a line for each step; exit status 1 when one fails."""
    from .host_selftest import steps_of

    placement = _placement(model, lanes, cut, images_folder, build)
    lines: list[dict[str, Any]] = []
    for name, result in steps_of(placement, model, images, lambda: _open(port, baud, Limits(inference=patience))):
        passed, said = result
        lines.append({"step": name, "passed": passed, "said": said})
        if not as_json:
            print(f"{'PASS' if passed else 'FAIL'}  {name:<28} {said}", flush=True)
    failed = sum(not line["passed"] for line in lines)
    if as_json:
        print(json.dumps({"passed": not failed, "steps": lines}, indent=2))
    else:
        print("FAIL" if failed else "PASS")
    if failed:
        raise typer.Exit(_DIFFERS)


def _open(port: str, baud: int, limits: Limits) -> "Board":
    from hillock.host.board import Board

    return Board.open(port, baud=baud, limits=limits)


def _placement(
    model: str, lanes: list[int] | None, cut: list[str] | None, folder: Path | None, build: Path | None
) -> "PipelinePlacement":
    """The network on the cores that the board is to have."""
    if folder is None and build is None:
        return placement_of(model, lanes, cut)
    from .build_placement import placement_on
    from .manifest import read_images
    from .models import load_model
    from .pipeline import PipelinePlacement

    if lanes or cut or (folder and build):
        raise HillockError(
            f"{build or folder}: its manifest says on which cores a network is: leave out --lanes, --cut and any other "
            f"folder"
        )
    if build is not None:
        return placement_on(build, load_model(model).network)
    assert folder is not None
    _, placement = read_images(folder)
    return PipelinePlacement(placement.network, (placement,))


@contextmanager
def _steps(quiet: bool) -> Iterator["Step"]:
    """Progress on standard error."""
    with Progress(console=Console(stderr=True, quiet=quiet)) as progress:

        def step(text: str, total: int) -> Any:
            task = progress.add_task(text, total=total)
            return lambda done: progress.advance(task, done)

        yield step
