"""The command `experiment`: measures, and writes a record, drawings and the page of the model."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hillock.hw.problems import HillockError, Problems

__all__ = ["experiment"]


def experiment(
    model: Annotated[str, typer.Argument(help="A trained network: the name of one in models/, or a folder.")],
    kinds: Annotated[
        list[str] | None,
        typer.Argument(help="latency, cost, delay, unseen, rates, bits, restored, board; all that suit."),
    ] = None,
    images: Annotated[int | None, typer.Option(help="The first so many test images; as many as in model.json.")] = None,
    timesteps: Annotated[int | None, typer.Option(help="T: 255 if not given.")] = None,
    percentile: Annotated[float | None, typer.Option(help="Of positive activations; the model's if not given.")] = None,
    search_images: Annotated[int, typer.Option(min=1, help="Training images of the layer-wise search.")] = 100,
    search_timesteps: Annotated[
        int, typer.Option(min=1, max=255, help="Timesteps of the search: the fewer, the more the first ones matter.")
    ] = 255,
    bits: Annotated[str, typer.Option(help="Weight bits that `bits` compares.")] = "4,6,8,12",
    criterion: Annotated[str, typer.Option(help="What `board` runs a network until.")] = "t99.5",
    board: Annotated[str, typer.Option(help="The board of `board`.")] = "ulx3s-85f",
    lanes: Annotated[str, typer.Option(help="The fewest and the most lanes there.")] = "64..160",
    streamed: Annotated[int, typer.Option(min=2, help="Images that follow each other there.")] = 20,
    folder: Annotated[Path, typer.Option(help="Where records, drawings and pages go.")] = Path("docs/experiments"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as JSON, and nothing else.")] = False,
) -> None:
    """Measure what preloads and delayed evaluation do to a rate-coded network (Hwang et al. 2021)."""
    from hillock.gen.plan_command import span
    from hillock.gen.progress import Steps

    from .all import EXPERIMENTS
    from .experiment import Options
    from .index import renew_index
    from .record import write_results
    from .setting import open_setting

    known = {one.name: one for one in EXPERIMENTS}
    problems = Problems("experiment")
    for kind in kinds or ():
        problems.require(kind in known, f"there is no {kind!r}: there are {', '.join(known)}")
    problems.raise_any()
    options = Options(
        search_images=search_images,
        search_timesteps=search_timesteps,
        bits=_numbers("--bits", bits),
        criterion=criterion,
        board=board,
        lanes=span("lanes", lanes),
        streamed=streamed,
    )
    setting = open_setting(model, images=images, timesteps=timesteps, percentile=percentile)
    for kind in kinds or ():
        problems.require(known[kind].suits(setting), f"{kind!r} is not for {model!r} so: it needs {known[kind].needs}")
    problems.raise_any()
    given: dict[str, object] = {
        "--images": images,
        "--timesteps": timesteps,
        "--percentile": percentile,
        "--search-images": search_images if search_images != Options.search_images else None,
        "--search-timesteps": search_timesteps if search_timesteps != Options.search_timesteps else None,
    }
    of_one: dict[str, dict[str, object]] = {
        "bits": {"--bits": bits},
        "board": {"--criterion": criterion, "--board": board, "--lanes": lanes, "--streamed": streamed},
    }
    records = {}
    for one in EXPERIMENTS:
        if not (one.name in kinds if kinds else one.suits(setting)):
            continue
        steps = Steps(quiet=as_json)
        with steps.progress:
            measured = one.measure(setting, options, steps)
        texts = [f"{name} {value}" for name, value in (given | of_one.get(one.name, {})).items() if value is not None]
        command = " ".join(["hillock experiment", setting.model.network.name, one.name, *texts])
        records[one.name] = {"command": command, "about": setting.about()} | measured
        path = write_results(one, records[one.name], EXPERIMENTS, folder)
        renew_index(folder)
        if not as_json:
            for table in one.tables(records[one.name]):
                Console().print(table.rich())
            Console().print(f"written: {path}", highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps(records, indent=2))


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise HillockError(f"{option}: it must be integers with commas between them, not {text!r}") from None
