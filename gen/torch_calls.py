"""The calls in a traced torch module: what is called, where that stands in the model, and with which arguments.

This module cannot be imported without torch.
"""

from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from hillock.hw.problems import Problems

__all__ = ["TORCH_FOLDER", "Call"]

TORCH_FOLDER = str(Path(torch.__file__).parent)
"""Where the files are that are not the user's."""


class Call:
    """A call in the graph, of a module, a function or a method; its nodes know what `torch_trace` noted with them.

    `name` is what is called, `place` where it stands, as messages say it, and `path` that of the module it is in.
    """

    def __init__(self, root: nn.Module, node: fx.Node, problems: Problems):
        self.node, self.problems = node, problems
        self.module: Any = None
        if node.op == "call_module":
            path = str(node.target)
            self.module = root.get_submodule(path)
            self.name = type(self.module).__name__
            self.place = f"{path} ({self.name})"
        else:
            path = next(reversed(node.meta.get("nn_module_stack") or ()), "")
            self.name = getattr(node.target, "__name__", str(node.target))
            self.place = ", ".join([self.name, *([f"in {path}"] if path else []), *_line_of(node)])
        self.path = path or node.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the result, with the batch; nothing where there are several."""
        shape: tuple[int, ...] = self.node.meta.get("shape", ())
        return shape

    @property
    def source_shape(self) -> tuple[int, ...]:
        """Of the first tensor that goes in, with the batch."""
        shape: tuple[int, ...] = self.node.all_input_nodes[0].meta.get("shape", ())
        return shape

    def require(self, condition: object, text: str) -> bool:
        """Report `text` with the place of the call unless `condition` holds; whether it held."""
        return self.problems.require(condition, f"{self.place}: {text}")

    def arguments(self, *names: str) -> dict[str, Any]:
        """What the call was given, by name, tensors as None; for a module, its attributes of these names."""
        if self.module is not None:
            return {name: getattr(self.module, name, None) for name in names}
        given = dict(zip(names, self.node.args[1:], strict=False)) | self.node.kwargs
        return {name: fx.node.map_arg(given.get(name), lambda node: node.meta.get("plain")) for name in names}


def _line_of(node: fx.Node) -> list[str]:
    """Where in the user's files the call stands; nothing where torch does not say."""
    lines = (node.stack_trace or "").splitlines()
    for line, code in zip(reversed(lines[:-1]), reversed(lines[1:]), strict=True):
        if line.lstrip().startswith('File "') and TORCH_FOLDER not in line:
            file, number, *_ = line.lstrip().removeprefix('File "').replace('"', "").split(", ")
            return [f"{Path(file).name} {number}: `{code.strip()}`"]
    return []
