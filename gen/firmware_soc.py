"""The system on chip of a placed network: as Verilog, simulated, and synthesized."""

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import verilog
from amaranth.hdl import Value

from hillock.host.results import Inputs
from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError
from hillock.hw.soc import MOST_RAM_WORDS, Soc
from hillock.hw.uart import LEAST_DIVISOR
from hillock.sim.soc import Said, build_soc, run_soc

from .firmware_data import firmware_data
from .firmware_image import Words
from .firmware_program import SocProgram
from .pipeline import PipelinePlacement
from .synth import Progress

__all__ = ["SocImage", "processor_source", "simulate_soc", "soc_image", "soc_verilog"]

_PROCESSOR = "pythondata-cpu-picorv32"
_STACK_WORDS = 1024
_BAUD = 1_000_000
_MOST_CYCLES = 500_000_000


@dataclass(frozen=True, eq=False)
class SocImage:
    """What the memory of the processor holds at power-up, and how many words the memory has."""

    words: tuple[int, ...]
    ram_words: int


def soc_image(program: SocProgram, data: Words) -> SocImage:
    """The program with its data behind it, in the smallest memory that has room for the stack too.

    A `HillockError` when there is none.
    """
    words = (*program.words, *data.tolist())
    needed = len(words) + _STACK_WORDS
    if needed > MOST_RAM_WORDS:
        raise HillockError(
            f"firmware: program, network, images and stack need {needed:,} words, and the processor has at most "
            f"{MOST_RAM_WORDS:,}: run fewer images, or a smaller network"
        )
    return SocImage(words, 1 << (needed - 1).bit_length())


def processor_source() -> Path:
    """The Verilog of PicoRV32; a `HillockError` where the package is not installed."""
    found = importlib.util.find_spec(_PROCESSOR.replace("-", "_"))
    if found is None or found.origin is None:
        raise HillockError(
            f"firmware: the package {_PROCESSOR} is not installed: run 'make firmware', which installs it, or pip "
            f"install 'hillock[firmware]'"
        )
    return Path(found.origin).parent / "verilog" / "picorv32.v"


def soc_verilog(
    configs: Sequence[CoreConfig], *, ram_words: int, clock_hz: int, baud: int, program: Sequence[int] = ()
) -> str:
    """Verilog of module `soc`, see `hw.soc.Soc`, without that of the processor. The cores hold nothing at power-up."""
    soc = Soc(configs, program=program, ram_words=ram_words, clock_hz=clock_hz, baud=baud)
    ports = [Value.cast(value) for _path, _member, value in soc.signature.flatten(soc)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return str(verilog.convert(soc, name="soc", ports=ports, emit_src=False, strip_internal_attrs=True))


def simulate_soc(
    placement: PipelinePlacement,
    inputs: Sequence[Inputs],
    program: SocProgram,
    *,
    cache: Path,
    said: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> Said:
    """Run the program on `inputs` in the compiled system on chip; what it says goes to `said` line by line."""
    steps = progress or Progress()
    image = soc_image(program, firmware_data(placement, inputs))
    source = processor_source()
    with steps.step(1, 2, "Verilog"):
        text = soc_verilog(placement.configs, ram_words=image.ram_words, clock_hz=LEAST_DIVISOR * _BAUD, baud=_BAUD)
    with steps.step(2, 2, "compiled system on chip (Verilator)"):
        compiled = build_soc(text, [source], cache)
    return run_soc(compiled, image.words, divisor=LEAST_DIVISOR, most_cycles=_MOST_CYCLES, said=said)
