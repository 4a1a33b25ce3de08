"""`hillock build`: a network to a bitstream for a board."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from hillock.hw.problems import HillockError

from .plan_command import span

__all__ = ["build"]


def build(
    board: Annotated[str, typer.Option(help="A board: its name, or the file that describes it.")] = "ulx3s-85f",
    model: Annotated[str, typer.Option(help="A trained network: the name of one in models/, or a folder.")] = "digits",
    lanes: Annotated[
        str | None, typer.Option(help="Lanes of all cores together: a number, or the fewest and the most as 1..64.")
    ] = None,
    cores: Annotated[str, typer.Option(help="How many cores, likewise.")] = "1..4",
    goal: Annotated[
        Literal["speed", "efficiency"], typer.Option(help="Images per second; or the same for each lane.")
    ] = "speed",
    clock: Annotated[float | None, typer.Option(help="MHz; what the board's file says if not given.")] = None,
    baud: Annotated[int, typer.Option(min=1, help="Of the UART.")] = 1_000_000,
    seed: Annotated[
        int | None, typer.Option(min=1, help="Of place and route; that of the board's file if not given.")
    ] = None,
    tries: Annotated[
        int, typer.Option(min=1, max=100, help="Seeds to try, from that one on, until one meets the clock.")
    ] = 1,
    images: Annotated[int, typer.Option(min=1, help="Test images that the cycles are computed for.")] = 4,
    only_estimate: Annotated[bool, typer.Option("--estimate", help="Plan and predict, and write nothing.")] = False,
    no_build: Annotated[bool, typer.Option("--no-build", help="Write Verilog and scripts, and run no tool.")] = False,
    folder: Annotated[Path, typer.Option(help="Where builds are kept, as <board>/<model>.")] = Path("build"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, and nothing else.")] = False,
) -> None:
    """Build a bitstream: plan, Verilog, synthesis, place and route; with memory images, registers and a report.

    What is there already and is still right is used again.
    """
    from . import build as builds
    from .build_report import table
    from .planner import Goal
    from .synth import Progress

    if only_estimate and no_build:
        raise HillockError(
            "build: --estimate writes nothing, and --no-build writes what tools take: ask for one of them"
        )
    request = builds.Request(
        board=board,
        model=model,
        cores=span("cores", cores),
        lanes=None if lanes is None else span("lanes", lanes),
        goal=Goal(goal),
        clock=clock,
        baud=baud,
        seed=seed,
        tries=tries,
        images=images,
    )
    progress = Progress(None if as_json else Console(stderr=True))
    if no_build:
        place, flow = builds.prepare(request, folder, progress)
        if as_json:
            print(json.dumps({"folder": str(place), "run": flow.run}, indent=2))
        else:
            Console().print(f"written: {place}; run '{flow.run}' in it", highlight=False, soft_wrap=True)
        return
    values = builds.estimate(request, progress) if only_estimate else builds.build(request, folder, progress)
    if as_json:
        print(json.dumps(values, indent=2))
        return
    Console().print(table(values))
    if not only_estimate:
        place = builds.folder_of(request, folder)
        flash = request.target().flash.format(bitstream=place / values["bitstream"])
        Console().print(f"written: {place}\nto load it: {flash}", highlight=False, soft_wrap=True)
