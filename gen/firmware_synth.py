"""The system on chip on an LFE5U-85F: what Yosys makes of it, and what clock nextpnr reaches."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from hillock.sim.network_file import write_file

from .firmware_soc import SocImage, processor_source, soc_verilog
from .pipeline import PipelinePlacement
from .synth import PACKAGE, SPEED_GRADE, Progress
from .virtual_board import system_verilog
from .yowasp import NEXTPNR_ECP5, YOSYS, read_cells, read_output, read_placement, run_tool

__all__ = ["SocSynthesis", "synthesize_soc"]

_BAUD = 1_000_000
_MHZ = 1_000_000


@dataclass(frozen=True)
class SocSynthesis:
    """Cells of the whole, and of the design without the processor and its memory (`yowasp.CELLS`); counts after place
    and route (`yowasp.PLACED`), and the highest clock frequency in MHz by the timing model."""

    cells: dict[str, int]
    without_processor: dict[str, int]
    placed: dict[str, int]
    fmax: float


def synthesize_soc(
    placement: PipelinePlacement, image: SocImage, *, folder: Path, frequency: int, progress: Progress
) -> SocSynthesis:
    """Put the system on chip, with `image` in its memory, through Yosys and nextpnr; `frequency` in MHz is asked for.

    No pins are given to its ports: a board has its own.
    """
    clock = frequency * _MHZ
    folder.mkdir(parents=True, exist_ok=True)
    with progress.step(1, 4, "Verilog"):
        text = soc_verilog(
            placement.configs, ram_words=image.ram_words, clock_hz=clock, baud=_BAUD, program=image.words
        )
        write_file(folder / "soc.v", text.encode())
        shutil.copy(processor_source(), folder / "picorv32.v")
        write_file(folder / "system.v", system_verilog(placement.configs, clock_hz=clock, baud=_BAUD).encode())
    with progress.step(2, 4, "synthesis without the processor (Yosys)"):
        alone = _synthesize(folder, "system", ["system.v"])
    with progress.step(3, 4, "synthesis (Yosys)"):
        cells = _synthesize(folder, "soc", ["soc.v", "picorv32.v"])
    with progress.step(4, 4, "place and route (nextpnr-ecp5)"):
        options = [*("--85k", "--speed", str(SPEED_GRADE), "--package", PACKAGE), "--lpf-allow-unconstrained"]
        options += [*("--timing-allow-fail", "--seed", "1", "--freq", str(frequency))]
        names = [*("--json", "soc.json", "--report", "placement.json", "-q", "--log", "nextpnr.log")]
        run_tool(NEXTPNR_ECP5, [*options, *names], folder, "nextpnr.log")
    placed, fmax, _ = read_placement(read_output(folder / "placement.json", NEXTPNR_ECP5))
    return SocSynthesis(cells, alone, placed, fmax)


def _synthesize(folder: Path, top: str, sources: list[str]) -> dict[str, int]:
    script = f"read_verilog {' '.join(sources)}; synth_ecp5 -abc9 -top {top} -json {top}.json; "
    script += f"tee -q -o {top}-cells.json stat -json"
    run_tool(YOSYS, ["-q", "-l", f"{top}.log", "-p", script], folder, f"{top}.log")
    return read_cells(read_output(folder / f"{top}-cells.json", YOSYS))
