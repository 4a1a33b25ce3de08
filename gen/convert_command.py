"""The command `convert`: a torch model with its weights becomes a folder that `sim`, `verify` and `synth` take."""

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hillock.hw.problems import HillockError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["convert", "load_module"]

_IMAGES = {"percentile": 1000, "balance": 100}


def convert(
    model: Annotated[str, typer.Argument(help="package.module:NAME or file.py:NAME, a torch module or what makes it.")],
    dataset: Annotated[str, typer.Option("--calibrate", help="The data set whose training images set the scales.")],
    input_shape: Annotated[str, typer.Option(help="channels,rows,columns of what the model takes, or its values.")],
    weights: Annotated[Path | None, typer.Option(help="Its state_dict, as torch.save wrote it.")] = None,
    mean: Annotated[str, typer.Option(help="What is taken off the pixels of 0..1: a number, or one a channel.")] = "0",
    std: Annotated[str, typer.Option(help="What they are then divided by, likewise.")] = "1",
    max_pooling: Annotated[
        Literal["refuse", "or"], typer.Option(help="The OR of spikes is right for activations of 0 and 1 only.")
    ] = "refuse",
    method: Annotated[
        Literal["percentile", "balance"], typer.Option(help="Normalise activations, or balance thresholds.")
    ] = "percentile",
    percentile: Annotated[float | None, typer.Option(help="Of positive activations; 100 is the largest.")] = None,
    images: Annotated[int | None, typer.Option(min=1, help="The first so many images for the scales.")] = None,
    bits: Annotated[int, typer.Option(help="Of a weight: 4 to 16.")] = 8,
    potential_bits: Annotated[int | None, typer.Option(help="The fewest that are safe, if not given.")] = None,
    fraction_bits: Annotated[int, typer.Option(help="Of a potential, below the unit of the weights.")] = 4,
    timesteps: Annotated[int, typer.Option(help="T.")] = 25,
    preload: Annotated[float, typer.Option(help="Pre-charge of every potential, as a part of the threshold.")] = 0.5,
    test_images: Annotated[int | None, typer.Option(min=1, help="Measure with the first so many only.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the network; that of the folder if not given.")] = None,
    out: Annotated[Path, typer.Option(help="The folder of the result.")] = Path("build/convert"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")] = False,
) -> None:
    """Convert a trained torch model to an integer network, report what that did to it, and measure both."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    from .conversion import Settings, convert_module, write_conversion
    from .datasets import load_dataset

    settings = Settings(
        input_shape=_sizes("--input-shape", input_shape),
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        max_pooling=max_pooling,
        method=method,
        percentile=percentile,
        images=images or _IMAGES[method],
        weight_bits=bits,
        potential_bits=potential_bits,
        fraction_bits=fraction_bits,
        timesteps=timesteps,
        preload=preload,
    )
    module = load_module(model, weights)
    data = load_dataset(dataset)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True, quiet=as_json)) as progress:
        task = progress.add_task("images through the integer network", total=None)

        def moved(done: int, total: int) -> None:
            progress.update(task, advance=done, total=total)

        result = convert_module(module, data, settings, name or out.resolve().name, test_images, moved)
    source = {"model": model, "weights": weights and weights.name}
    write_conversion(result, out, source)
    if as_json:
        print(json.dumps(result.report.as_dict(), indent=2))
    else:
        Console().print(result.report.table())
        if result.lift:
            text = f"outputs raised by {result.lift:.3g}, all alike, since no rate is below 0: decisions are the same"
            Console().print(text, highlight=False, soft_wrap=True)
        Console().print(f"written: {out}", highlight=False, soft_wrap=True)


def load_module(model: str, weights: Path | None = None) -> "nn.Module":
    """The torch module that `model` names, package.module:NAME or file.py:NAME, with the weights of a file.

    NAME is a module, or is called without arguments to make one. `weights` is a state_dict; of such a file nothing is
    executed. `HillockError` for whatever does not work of this.
    """
    try:
        import torch
    except ModuleNotFoundError:
        raise HillockError("convert: it needs torch, which is not installed: pip install 'hillock[train]'") from None
    place, colon, attribute = model.rpartition(":")
    about = f"model {model!r}"
    if not (colon and place and attribute):
        raise HillockError(f"{about}: it must be package.module:NAME or file.py:NAME")
    try:
        made: Any = getattr(_imported(place), attribute)
        if not isinstance(made, torch.nn.Module):
            made = made()
    except Exception as error:  # whatever the code of others raises
        raise HillockError(f"{about}: it cannot be made ({type(error).__name__}: {error})") from None
    if not isinstance(made, torch.nn.Module):
        raise HillockError(f"{about}: it must be a torch.nn.Module or give one, not a {type(made).__name__}")
    if weights is not None:
        try:
            made.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except Exception as error:  # of torch or pickle: for files of any content
            text = " ".join(str(error).split())
            raise HillockError(
                f"{about}: the weights in {weights} do not fit ({type(error).__name__}: {text})"
            ) from None
    return made


def _imported(place: str) -> Any:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    spec = importlib.util.spec_from_file_location(Path(place).stem, place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look there
    spec.loader.exec_module(module)
    return module


def _sizes(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise HillockError(f"{option}: it must be integers with commas between them, not {text!r}") from None


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise HillockError(f"{option}: it must be numbers with commas between them, not {text!r}") from None
