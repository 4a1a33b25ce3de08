"""The command line: arguments, progress and exit codes. The one place that catches our errors."""

import json
import os
import sys
from itertools import product
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hillock.hw.problems import HillockError

from .board_sim_command import board_sim
from .build_command import build
from .convert_command import convert
from .doctor import doctor
from .experiments.command import experiment
from .firmware_command import firmware
from .host_command import add_commands
from .plan_command import plan
from .progress import Steps
from .swap_command import swap

__all__ = ["main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="hillock: from a trained spiking network to an FPGA accelerator that is proved equal to it.",
)

Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON, and nothing else.")]
_INTERRUPTED = 130
_DIFFERS = 1
_UNUSABLE = 2


@app.command()
def sim(
    model: Annotated[
        str, typer.Argument(help="A trained network: the name of one in models/, or a folder.")
    ] = "digits",
    lanes: Annotated[int, typer.Option(help="Weights added per clock cycle.")] = 16,
    images: Annotated[int | None, typer.Option(help="Only the first so many held-out images.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the results go.")] = Path("build/sim"),
    waves: Annotated[bool, typer.Option("--waves", help="Record waveforms of the first inference.")] = False,
    as_json: Json = False,
) -> None:
    """Run held-out images through the compiled gateware and compare everything with the golden model."""
    from .datasets import load_dataset
    from .figures import write_summary
    from .models import load_model
    from .report import write_report
    from .scores import float_network_of
    from .simulate import simulate
    from .tables import layer_table, summary_table

    loaded = load_model(model)
    dataset = load_dataset(loaded.dataset)
    steps = Steps(quiet=as_json)
    with steps.progress:
        result = simulate(
            loaded.network,
            dataset,
            float_accuracy=loaded.float_accuracy,
            float_network=float_network_of(loaded),
            lanes=lanes,
            folder=folder,
            cache=folder.parent / "verilator",
            images=images,
            waves=waves,
            step=steps,
        )
    summary = write_summary(result, folder)
    written = [summary, write_report(result, folder)]
    if waves:
        from .waves import write_gtkw

        written.append(write_gtkw(folder / "waves.vcd"))
    if as_json:
        print(json.dumps(result.summary(), indent=2))
    else:
        console = Console()
        console.print(summary_table(result), layer_table(result))
        for path in written:
            console.print(f"written: {path}", highlight=False, soft_wrap=True)
    if not result.comparison.equal:
        first = result.comparison.first or "nothing was compared"
        print(f"hillock: the gateware differs from the golden model: {first}", file=sys.stderr)
        raise typer.Exit(_DIFFERS)


@app.command()
def verify(
    model: Annotated[
        str, typer.Argument(help="A trained network: the name of one in models/, or a folder.")
    ] = "digits",
    images: Annotated[int | None, typer.Option(help="Only the first so many held-out images.")] = None,
    lanes: Annotated[list[int] | None, typer.Option(help="Lanes; given again, of a further core each.")] = None,
    cut: Annotated[list[str] | None, typer.Option(help="The layer with which a further core begins.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes; as many as there are cores if not given.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, to use its workers.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Do again what an earlier run finished.")] = False,
    folder: Annotated[Path, typer.Option(help="Where finished shards and mismatches are kept.")] = Path("build/verify"),
    records: Annotated[Path, typer.Option(help="Where the record goes.")] = Path("docs/verification"),
    machine: Annotated[str | None, typer.Option(help="Words for the record on what it ran on.")] = None,
    as_json: Json = False,
) -> None:
    """Run a whole test set through the compiled gateware, compare everything, and write the record of it.

    What is finished is kept: a run that was interrupted goes on where it was.
    """
    from .datasets import load_dataset
    from .models import load_model
    from .verification_display import Display, record_table
    from .verification_record import record_of, write_record
    from .verify import verify
    from .workers import open_workers

    loaded = load_model(model)
    dataset = load_dataset(loaded.dataset)
    display = Display(quiet=as_json)
    with open_workers(jobs, scheduler) as workers, display.progress:
        result = verify(
            loaded.network,
            dataset,
            workers,
            lanes=lanes or [16],
            cuts=cut or [],
            images=images,
            folder=folder,
            cache=folder.parent / "verilator",
            anew=anew,
            step=display,
            count=display.count,
        )
        words = machine or workers.words
    given = model if model == loaded.network.name else os.path.relpath(model)
    record = record_of(result, words, given)
    if as_json:
        print(json.dumps(record, indent=2))
    else:
        Console().print(record_table(record))
    if not result.equal:
        print(f"hillock: the gateware differs from the golden model: {result.difference}", file=sys.stderr)
        raise typer.Exit(_DIFFERS)
    written = write_record(result, words, records, given)
    if not as_json:
        said = f"written: {written}" if written else "the record that is there has more images: left as it is"
        Console().print(said, highlight=False, soft_wrap=True)


app.command()(plan)


@app.command()
def bench(
    folder: Annotated[Path, typer.Option(help="Where the results go.")] = Path("build/bench"),
    lanes: Annotated[list[int] | None, typer.Option(help="Lanes for 784-128-10; may be given again.")] = None,
    net_1_lanes: Annotated[list[int] | None, typer.Option(help="Lanes for Net 1 C; may be given again.")] = None,
    images: Annotated[int, typer.Option(min=1, help="Images through Net 1 C.")] = 4,
    as_json: Json = False,
) -> None:
    """Measure cycles, lane utilization and speed: 784-128-10 at five input densities, and Net 1 C."""
    from .bench import LANES, NET_1_LANES, run_bench
    from .bench_tables import bench_tables

    steps = Steps(quiet=as_json)
    with steps.progress:
        result = run_bench(
            folder, lanes=lanes or LANES, net_1_lanes=net_1_lanes or NET_1_LANES, images=images, step=steps
        )
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        for table in bench_tables(result):
            Console().print(table)
        Console().print(f"written: {folder / 'summary.json'}", highlight=False)


@app.command()
def synth(
    lanes: Annotated[list[int] | None, typer.Option(help="Lanes; may be given again, as may the next three.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="The core that fits a model, instead of sizes.")] = None,
    depth: Annotated[list[int] | None, typer.Option(help="Words of synapse memory.")] = None,
    potential_bits: Annotated[list[int] | None, typer.Option(help="Width of a membrane potential.")] = None,
    seed: Annotated[int, typer.Option(help="Of place and route.")] = 1,
    frequency: Annotated[float, typer.Option(help="The clock asked for, in MHz.")] = 112.0,
    folder: Annotated[Path, typer.Option(help="Where the results go.")] = Path("build/synth"),
    record: Annotated[Path | None, typer.Option(help="Also put the table into this document.")] = None,
    as_json: Json = False,
) -> None:
    """Synthesize, place and route the core alone for an LFE5U-85F: area, clock and critical path."""
    from hillock.hw.config import CoreConfig

    from .mapping import fit
    from .models import load_model
    from .silicon import render, update_document
    from .synth import Progress as SynthSteps
    from .synth import synthesize

    if model and (depth or potential_bits):
        raise HillockError("synth: a model says its sizes itself: give --model, or --depth and --potential-bits")
    if model:
        cores = [(fit(load_model(name).network, count), name) for name, count in product(model, lanes or [16])]
    else:
        cores = [
            (CoreConfig(lanes=count, synapse_words=words, potential_bits=bits), "any")
            for count, words, bits in product(lanes or [16], depth or [1024], potential_bits or [16])
        ]
    steps = SynthSteps(None if as_json else Console(stderr=True))
    results = []
    for config, made_for in cores:
        steps.note(
            f"{made_for}: {config.lanes} lanes, {config.synapse_words} synapse words, {config.potential_bits}-bit "
            f"potentials"
        )
        results.append(
            synthesize(config, made_for=made_for, folder=folder, seed=seed, frequency=frequency, progress=steps)
        )
    if record:
        update_document(record, results)
    if as_json:
        print(json.dumps([result.as_dict() for result in results], indent=2))
    else:
        Console().print(render(results))


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="A network that has a recipe.")] = "digits",
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Instead of the one of the recipe.")] = None,
) -> None:
    """Train, convert, quantise and measure a network, and write it to models/."""
    from .train import train_model

    train_model(model, seed=seed)


app.command()(convert)
app.command()(experiment)
app.command()(board_sim)
app.command()(build)
app.command()(doctor)
app.command()(swap)
app.command()(firmware)
add_commands(app)


@app.command()
def registers(
    csr: Annotated[bool, typer.Option("--csr", help="As csr.csv instead, for litex_server and litex_cli.")] = False,
    cores: Annotated[int, typer.Option(help="Cores in csr.csv.")] = 1,
    header: Annotated[bool, typer.Option("--header", help="As a C header instead, for firmware.")] = False,
) -> None:
    """Print docs/registers.md: everything that the bus can reach."""
    from .c_header import c_header
    from .csr_csv import csr_csv
    from .register_docs import registers_markdown

    if csr and header:
        raise HillockError("registers: --csr and --header are two files: ask for one of them")
    print(c_header() if header else csr_csv(cores) if csr else registers_markdown(), end="")


def main() -> None:
    """Run the command line; errors of ours become one message and exit status 2."""
    try:
        app()
    except HillockError as error:
        print(f"hillock: {error}", file=sys.stderr)
        sys.exit(_UNUSABLE)
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # what typer makes of a KeyboardInterrupt
            print("hillock: interrupted", file=sys.stderr)
        raise
