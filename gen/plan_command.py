"""The command `plan`: cores and lanes for a board, and what they are predicted to take and to do."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from hillock.hw.problems import HillockError

__all__ = ["plan", "span"]


def plan(
    model: Annotated[
        str, typer.Argument(help="A trained network: the name of one in models/, or a folder.")
    ] = "digits",
    board: Annotated[str, typer.Option(help="The board that is to run it.")] = "ulx3s-85f",
    cores: Annotated[str, typer.Option(help="How many cores: a number, or the fewest and the most as 1..4.")] = "1..4",
    lanes: Annotated[str, typer.Option(help="Lanes of all cores together, likewise.")] = "1..512",
    goal: Annotated[
        Literal["speed", "efficiency"], typer.Option(help="Images per second; or the same for each lane.")
    ] = "speed",
    images: Annotated[int, typer.Option(help="Test images that the cycles are computed for.")] = 4,
    folder: Annotated[Path, typer.Option(help="Where the plan goes.")] = Path("build/plan"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, and nothing else.")] = False,
) -> None:
    """Choose cores and lanes for a board, and predict what they take and how fast they are."""
    from hillock.sim import golden
    from hillock.sim.archive import write_file

    from . import boards
    from .datasets import load_dataset
    from .models import load_model
    from .plan_tables import plan_dict, plan_table
    from .planner import Goal, choose_plan
    from .simulate import check_images, inference_of

    cores_asked, lanes_asked = span("cores", cores), span("lanes", lanes)
    target, trained = boards.board(board), load_model(model)
    network, dataset = trained.network, load_dataset(trained.dataset)
    check_images(network, dataset, images)
    traces = [golden.run(network, **inference_of(network, image)) for image in dataset.test_images[:images]]
    choice = choose_plan(network, target, traces, cores=cores_asked, lanes=lanes_asked, goal=Goal(goal))
    path, text = folder / network.name / "plan.json", json.dumps(plan_dict(choice), indent=2)
    write_file(path, f"{text}\n".encode())
    if as_json:
        print(text)
    else:
        Console().print(plan_table(choice))
        Console().print(f"written: {path}", highlight=False, soft_wrap=True)


def span(name: str, text: str) -> tuple[int, int]:
    """(fewest, most) of a number, or of two with dots between them."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})(?:\.\.([1-9][0-9]{0,5}))?", text)
    if not found:
        raise HillockError(f"{name}: it must be a number or two as 1..4, not {text!r}")
    return int(found[1]), int(found[2] or found[1])
