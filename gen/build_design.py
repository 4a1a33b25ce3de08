"""What is to be built: a network on the cores that a board has room for, its clock, and the whole as Verilog."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

from amaranth.back import verilog
from amaranth.hdl import Value

from hillock.hw.board_top import BoardTop
from hillock.hw.link import LinkSizes
from hillock.hw.plls import choose_pll
from hillock.hw.problems import HillockError, Problems
from hillock.hw.system import divisor_of
from hillock.sim import golden
from hillock.sim.golden import Trace
from hillock.sim.network import Network
from hillock.sim.timing import time_inferences

from .boards import Board
from .build_flows import TOP
from .build_resources import link_resources, predict_board
from .datasets import load_dataset
from .models import Model
from .pipeline import PipelinePlacement, place_pipeline
from .planner import Goal, PlanChoice, choose_plan
from .resources import Resources, predict
from .simulate import check_images, inference_of
from .single_port import check_single_port, single_port_sizes
from .verilog import without_contents

__all__ = ["Design", "design", "largest_clock"]


@dataclass(frozen=True, eq=False)
class Design:
    """A plan on a board, and how it is reached.

    Attributes
    ----------
    board : Board
        Its `clock` is the one asked for.
    choice : PlanChoice
    baud : int
    sizes : LinkSizes
    """

    board: Board
    choice: PlanChoice
    baud: int
    sizes: LinkSizes

    @property
    def placement(self) -> PipelinePlacement:
        """The network on its cores."""
        return self.choice.placement

    @property
    def holds_network(self) -> bool:
        """Whether the bitstream has the network in it; if not, it is loaded over the link."""
        return not self.board.spram

    @property
    def predicted(self) -> Resources | None:
        """What all of it is expected to take; None on a board with RAMs that the prediction knows nothing of."""
        return None if self.board.spram else predict_board(self.placement.configs, self.sizes)

    @property
    def hz(self) -> int:
        """The clock that it runs at."""
        return _made(self.board)

    def verilog(self) -> str:
        """Module `TOP`: the same text on any machine."""
        top = BoardTop(
            self.placement.configs,
            self.placement.memory_inits() if self.holds_network else None,
            family=self.board.family,
            oscillator_hz=_hz(self.board.oscillator),
            clock_hz=_hz(self.board.clock),
            baud=self.baud,
            leds=self.board.leds,
            leds_on=self.board.leds_on,
            sizes=self.sizes,
        )
        ports = [Value.cast(value) for _path, _member, value in top.signature.flatten(top)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # Source locations would put absolute paths of this machine into the text.
            text = str(verilog.convert(top, name=TOP, ports=ports, emit_src=False, strip_internal_attrs=True))
        return without_contents(text)


def design(
    model: Model, board: Board, *, cores: tuple[int, int], lanes: tuple[int, int], goal: Goal, baud: int, images: int
) -> Design:
    """The best plan for `model` that `board` has room for, beside the link.

    Parameters
    ----------
    cores, lanes, goal : see `planner.choose_plan`
    images : test images that the cycles are computed for, at least one

    What cannot be is a `HillockError`: a clock that no PLL makes, a rate that no UART has, a plan that does not fit.
    """
    divisor_of(_made(board), baud)
    network, dataset = model.network, load_dataset(model.dataset)
    check_images(network, dataset, images)
    traces = [golden.run(network, **inference_of(network, image)) for image in dataset.test_images[:images]]
    sizes = LinkSizes(**board.link)
    if board.spram:
        problems = Problems(f"network {network.name!r} on {board.name} ({board.device})")
        problems.require(cores[0] == 1, f"there is one core, since its weights lie in SPRAM, not {cores[0]}")
        problems.raise_any()
        choice = _one_core(network, board, traces, lanes[1], goal)
    else:
        link = link_resources(sizes)
        room = replace(board, lut=board.lut - link.lut, ff=board.ff - link.ff, bram=board.bram - link.bram)
        choice = replace(choose_plan(network, room, traces, cores=cores, lanes=lanes, goal=goal), board=board)
    return Design(board, choice, baud, sizes)


def _one_core(network: Network, board: Board, traces: Sequence[Trace], lanes: int, goal: Goal) -> PlanChoice:
    """All on one core: where the weights lie in RAMs that a plan knows nothing of, there is nothing to choose."""
    placement = place_pipeline(network, [], [lanes], **{**single_port_sizes(network, lanes), **board.core})
    check_single_port(placement.configs[0], board)
    streamed = [*traces, traces[0]]
    timelines = time_inferences(placement.pipeline, streamed)
    resources = tuple(predict(config) for config in placement.configs)
    limits = f"one core of {lanes} lanes: a board whose weights lie in single-port RAMs takes no other plan"
    return PlanChoice(placement, board, goal, resources, streamed, timelines, limits)


def largest_clock(board: Board, fmax: float) -> int | None:
    """Whole MHz that the board can make and that are not above `fmax`; None if there are none."""
    for clock in range(int(fmax), 0, -1):
        try:
            _made(replace(board, clock=clock))
        except HillockError:
            continue
        return clock
    return None


def _made(board: Board) -> int:
    """Hz of the clock that its PLL makes; a `HillockError` where it cannot."""
    pll = choose_pll(board.family, _hz(board.oscillator), _hz(board.clock))
    return _hz(board.clock) if pll is None else pll.hz


def _hz(megahertz: float) -> int:
    return round(megahertz * 1e6)
