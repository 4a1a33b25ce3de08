"""`hillock swap`: another network of the same shape in a bitstream for an ECP5 that is there, in seconds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from hillock.hw.problems import HillockError

if TYPE_CHECKING:
    from hillock.sim.network import Network

    from .boards import Board
    from .pipeline import PipelinePlacement
    from .synth import Progress

__all__ = ["swap"]

_STEPS = 4


def swap(
    build: Annotated[Path, typer.Argument(help="The folder of a build: build/<board>/<model>.")],
    model: Annotated[str, typer.Option(help="A trained network: the name of one in models/, or a folder.")],
    into: Annotated[Path | None, typer.Option(help="Where it goes; BUILD/with-<model> if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, and nothing else.")] = False,
) -> None:
    """Put another network into a bitstream for an ECP5 without place and route.

    It must have the layers of the one that is there; weights, currents and thresholds may differ.
    """
    from .models import load_model
    from .synth import Progress

    network = load_model(model).network
    target = into or build / f"with-{network.name}"
    made = _swap(build, network, target, Progress(None if as_json else Console(stderr=True)))
    if as_json:
        print(json.dumps(made, indent=2))
    else:
        Console().print(
            f"written: {target}\nto load it: {made['flash']}\nBuilt, not yet run on a board.",
            highlight=False,
            soft_wrap=True,
        )


def _swap(build: Path, network: "Network", into: Path, progress: "Progress") -> dict[str, Any]:
    """Do it; returns what is said of it."""
    from hillock.sim.archive import write_file

    from .build_flows import PLACED, TOP, flow_of
    from .build_placement import placement_on
    from .build_steps import digest_of
    from .manifest import write_images
    from .weight_swap import swap as swapped
    from .yowasp import run_tool

    manifest, target = _ecp5(build)
    with progress.step(1, _STEPS, "place the network on the cores that are there"):
        placement = placement_on(build, network)
    with progress.step(2, _STEPS, "Verilog"):
        new = _verilog(target, placement, manifest)
    text = {name: _read(build / f"{TOP}.{name}") for name in ("v", "config")}
    into.mkdir(parents=True, exist_ok=True)
    with progress.step(3, _STEPS, "memories (Yosys)"):
        config = swapped(
            text["config"], old=text["v"], new=new, netlist=build / f"{TOP}.json", placed=build / PLACED, folder=into
        )
    write_file(into / f"{TOP}.config", config.encode())
    pack = flow_of(target, clock=target.clock, seed=1).steps[-1]
    with progress.step(4, _STEPS, pack.title):
        run_tool(pack.tool, list(pack.arguments), into, pack.log)
    names = [f"{TOP}.config", *pack.writes]
    for number, core in enumerate(placement.cores):
        write_images(core, into / "images" / f"core{number}")
        names += [path.relative_to(into).as_posix() for path in sorted((into / "images" / f"core{number}").iterdir())]
    files = {name: digest_of((into / name).read_bytes()) for name in names}
    said = {**manifest, "network": placement.network.digest(), "files": files}
    write_file(into / "manifest.json", (json.dumps(said, indent=1, sort_keys=True) + "\n").encode())
    return {
        "folder": str(into),
        "network": said["network"],
        "files": files,
        "flash": target.flash.format(bitstream=into / pack.writes[0]),
    }


def _ecp5(build: Path) -> tuple[dict[str, Any], "Board"]:
    """The manifest of a bitstream for an ECP5, and its board."""
    from .boards import board
    from .build_placement import read_build

    manifest = read_build(build)
    target = board(manifest["board"])
    if target.family != "ecp5" or manifest["bitstream"] is None:
        raise HillockError(
            f"{build}: only a bitstream for an ECP5 takes another network, and there is "
            f"{manifest['bitstream'] or 'none'}, for a {target.device}: load the network over the link ('hillock run')"
        )
    return manifest, target


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise HillockError(f"{path} cannot be read ({error.strerror}): build the bitstream again") from None


def _verilog(target: "Board", placement: "PipelinePlacement", manifest: dict[str, Any]) -> str:
    """That of the whole design, at the clock and rate of the one that is there."""
    from hillock.hw.link import LinkSizes

    from .build_design import Design
    from .planner import Goal, PlanChoice

    clocked = replace(target, clock=manifest["clock_hz"] / 1e6)
    choice = PlanChoice(placement, clocked, Goal.SPEED, (), [], [], "the cores are those of the bitstream")
    return Design(clocked, choice, manifest["baud"], LinkSizes(**target.link)).verilog()
