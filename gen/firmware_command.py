"""`hillock firmware`: the driver's program in the simulated system on chip, and what an own program needs."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hillock.hw.problems import HillockError

__all__ = ["firmware"]

_DIFFERS = 1


def firmware(
    model: Annotated[str, typer.Option(help="A trained network: the name of one in models/, or a folder.")] = "digits",
    images: Annotated[int, typer.Option(min=1, help="The first so many held-out images.")] = 8,
    lanes: Annotated[int, typer.Option(help="Lanes of the core.")] = 16,
    compile_program: Annotated[
        bool, typer.Option("--compile", help="Compile the program and keep it in firmware/prebuilt, with its sizes.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option(help="Write the network image for a program of your own: FILE.bin, or FILE.h for C.")
    ] = None,
    synth: Annotated[bool, typer.Option("--synth", help="Synthesize, place and route it for an LFE5U-85F.")] = False,
    frequency: Annotated[int, typer.Option(min=1, help="The clock asked for by --synth, in MHz.")] = 50,
    cache: Annotated[Path, typer.Option(help="Where compiled designs are kept.")] = Path("build/verilator"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, and nothing else.")] = False,
) -> None:
    """Run the self-test and held-out images on a processor beside the core, in simulation; exit status 1 on FAIL."""
    from . import firmware_program as programs

    if sum((compile_program, export is not None, synth)) > 1:
        raise HillockError("firmware: --compile, --export and --synth are different jobs: ask for one of them")
    if compile_program:
        program = programs.compile_program()
        program.write()
        _print(as_json, program.sizes, [f"{name:<16} {size:>6,} bytes" for name, size in program.sizes.items()])
        return

    from .firmware_data import firmware_data
    from .firmware_image import firmware_image
    from .firmware_soc import simulate_soc, soc_image
    from .host_runs import held_out
    from .models import load_model
    from .pipeline import place_pipeline
    from .synth import Progress

    placement = place_pipeline(load_model(model).network, [], [lanes])
    if export is not None:
        _export(firmware_image(placement).tolist(), export, model)
        return
    program = programs.prebuilt()
    progress = Progress(None if as_json else Console(stderr=True))
    inputs, _ = held_out(placement.network, model, images)
    if synth:
        from .firmware_synth import synthesize_soc

        image = soc_image(program, firmware_data(placement, inputs))
        folder = Path("build/firmware") / f"{model}-{lanes}"
        result = synthesize_soc(placement, image, folder=folder, frequency=frequency, progress=progress)
        lines = [f"{'':<16} {'all':>7} {'processor and memory':>21}"]
        lines += [f"{name:<16} {n:>7,} {n - result.without_processor[name]:>21,}" for name, n in result.cells.items()]
        lines += [f"{result.placed['TRELLIS_COMB']:,} TRELLIS_COMB when placed, {result.fmax} MHz"]
        _print(as_json, {**asdict(result), "ram_bytes": 4 * image.ram_words}, lines)
        return
    said = simulate_soc(
        placement,
        inputs,
        program,
        cache=cache,
        said=(lambda line: None) if as_json else lambda line: print(line, flush=True),
        progress=progress,
    )
    passed = said.lines[-1:] != () and said.lines[-1].startswith("PASS")
    _print(as_json, {"passed": passed, "lines": said.lines, "cycles": said.cycles}, [f"{said.cycles:,} clock cycles"])
    if not passed:
        print("hillock: the program found something wrong", file=sys.stderr)
        raise typer.Exit(_DIFFERS)


def _print(as_json: bool, values: object, lines: list[str]) -> None:
    print(json.dumps(values, indent=2) if as_json else "\n".join(lines))


def _export(words: list[int], path: Path, model: str) -> None:
    """The words as bytes, the lowest first, or as an array of C."""
    if path.suffix == ".bin":
        content = b"".join(word.to_bytes(4, "little") for word in words)
    elif path.suffix == ".h":
        rows = [", ".join(f"{word:#010x}u" for word in words[at : at + 8]) for at in range(0, len(words), 8)]
        head = f"/* {model}, printed by `hillock firmware --export`. Include it once, behind <stdint.h>. */\n"
        text = head + "static const uint32_t network[] = {\n    " + ",\n    ".join(rows) + "};\n"
        content = text.encode()
    else:
        raise HillockError(f"firmware: --export writes FILE.bin or FILE.h, not {path.name!r}")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise HillockError(
            f"firmware: {path} cannot be written ({error.strerror}): name a file in a folder that is there"
        ) from None
