"""From a torch module to the steps that it takes, by torch.fx; all that has no counterpart is refused by name.

This module cannot be imported without torch.
"""

import traceback
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from hillock.hw.problems import HillockError, Problems

from .module_steps import Output, Step
from .torch_calls import TORCH_FOLDER, Call
from .torch_steps import step_of

__all__ = ["trace_module"]

_BATCH = 3


def trace_module(
    module: nn.Module, image_shape: tuple[int, ...], problems: Problems, *, max_pooling: bool
) -> tuple[str, list[Step]]:
    """(name of the input, steps in the order in which they run, the output last) of `module` in evaluation mode.

    It takes images [images, *image_shape]. Max pooling is converted where `max_pooling` says so. What cannot be
    converted goes to `problems`, and is a step without `what`.

    Raises `HillockError` where there is nothing to go on with: `forward` cannot be followed, or fails on such images.
    """
    tracer = fx.Tracer()
    tracer.record_stack_traces = True
    if tracer.is_leaf_module(module, ""):  # torch's own modules are steps as they are, and have no steps
        module = nn.Sequential(OrderedDict(module=module))
    try:
        traced = fx.GraphModule(module, tracer.trace(module))
    except Exception as error:  # whatever the module's own code makes of a value that has no value yet
        raise HillockError(
            f"{problems.subject}: torch.fx must be able to follow `forward` without knowing any values, and cannot "
            f"({type(error).__name__}: {error}){_raised_at(error)}: no `if`, loop or NumPy function may depend on the "
            f"images"
        ) from None
    graph = traced.graph
    graph.eliminate_dead_code()
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        names = ", ".join(str(node.target) for node in inputs)
        raise HillockError(f"{problems.subject}: `forward` must take the images and nothing else, and takes {names}")
    try:
        _Run(traced).run(torch.zeros(_BATCH, *image_shape, dtype=torch.float64))
    except Exception as error:  # of torch, most often for shapes that do not fit
        text = str(error).splitlines()[0]
        raise HillockError(
            f"{problems.subject}: it must run on images of shape {image_shape}, and fails ({type(error).__name__}: "
            f"{text}): give the shape of its images (channels, rows, columns), or of what it takes instead"
        ) from None
    output = next(node for node in graph.nodes if node.op == "output").args[0]
    if not isinstance(output, fx.Node) or "plain" in output.meta:
        raise HillockError(f"{problems.subject}: `forward` must return one tensor, not {output}")
    steps = [
        step_of(Call(module, node, problems), max_pooling)
        for node in graph.nodes
        if node.op.startswith("call_") and "plain" not in node.meta
    ]
    return inputs[0].name, [*steps, Step("output", "output", "output", (output.name,), (), Output())]


class _Run(fx.Interpreter):
    """Runs a graph, and notes with each node the shape of its tensor, or its value if that is something else."""

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            n.meta["shape"] = tuple(result.shape)
        elif not (isinstance(result, tuple | list) and any(isinstance(part, torch.Tensor) for part in result)):
            n.meta["plain"] = result
        return result


def _raised_at(error: Exception) -> str:
    """Where in the user's files an exception comes from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if TORCH_FOLDER not in frame.filename]
    last = frames[-1]
    return f" at {Path(last.filename).name} line {last.lineno}: `{last.line}`" if last.filename != __file__ else ""
