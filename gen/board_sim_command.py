"""`hillock board-sim`: a virtual board on the command line."""

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from .pipeline import PipelinePlacement

__all__ = ["board_sim", "placement_of"]


def board_sim(
    model: Annotated[str, typer.Option(help="A trained network: the name of one in models/, or a folder.")] = "digits",
    lanes: Annotated[list[int] | None, typer.Option(help="Lanes; given again, of a further core each.")] = None,
    cut: Annotated[list[str] | None, typer.Option(help="The layer with which a further core begins.")] = None,
    tcp: Annotated[int | None, typer.Option(help="Offer this TCP port of this machine; 0: any that is free.")] = None,
    pty: Annotated[bool, typer.Option("--pty", help="Offer a pseudo-terminal.")] = False,
    divisor: Annotated[int, typer.Option(help="Clock cycles per bit of its UART: fewer is faster.")] = 4,
    empty: Annotated[bool, typer.Option("--empty", help="Memories that hold nothing until they are loaded.")] = False,
    cache: Annotated[Path, typer.Option(help="Where compiled boards are kept.")] = Path("build/verilator"),
) -> None:
    """Compile the whole board design and run it, from UART pin to UART pin, until it is interrupted.

    With neither --tcp nor --pty it offers a TCP port that is free.
    """
    from .virtual_board import virtual_board

    placement = placement_of(model, lanes, cut)
    console = Console(stderr=True)
    console.print("compiling the board design (once; it is kept)", highlight=False)
    board = virtual_board(
        placement, cache=cache, divisor=divisor, loaded=not empty, tcp=0 if tcp is None and not pty else tcp, pty=pty
    )

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # SIGINT too: a shell that starts this in the background has it ignored.
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with board:
            for place in (board.tcp_url, board.pty_path):
                if place:
                    print(place, flush=True)
            console.print(f"{placement.network.name} is there; Ctrl-C ends it", highlight=False)
            board.wait()
    except KeyboardInterrupt:
        pass  # how it is meant to end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def placement_of(model: str, lanes: list[int] | None, cut: list[str] | None) -> "PipelinePlacement":
    """The network on the cores that the options of this command, and of those for a board, describe."""
    from .models import load_model
    from .pipeline import cut_indices, place_pipeline

    network, counts = load_model(model).network, lanes or [16]
    return place_pipeline(network, cut_indices(network, cut or [], counts), counts)
