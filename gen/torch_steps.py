"""What is made of each call in a traced torch module: a step, or a refusal by name.

This module cannot be imported without torch.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from hillock.sim.network import Convolution, Pair, TransposedConvolution

from .float_network import FloatArray
from .module_steps import Add, Flatten, Linear, MaxPool, Norm, Pool, Relu, Same, Step, What, Windowed
from .torch_calls import Call
from .torch_refusals import ACCEPTED, way_out

__all__ = ["step_of"]


def step_of(call: Call, max_pooling: bool) -> Step:
    """The step that a call is, without `what` where it is refused; why, goes to the problems of the call.

    Max pooling is refused too, unless `max_pooling` says that it was asked for.
    """
    node = call.node
    if call.module is not None:
        make = next((make for kind, make in _MODULES.items() if isinstance(call.module, kind)), None)
    else:
        make = (_METHODS if node.op == "call_method" else _FUNCTIONS).get(node.target)
    if make in (_max_pool, _adaptive_max_pool) and not max_pooling:
        make = None
    what = make(call) if make else None
    call.require(make, f"it has no counterpart: {way_out(call.name) or ACCEPTED}")
    sources = tuple(source.name for source in node.all_input_nodes if "plain" not in source.meta)
    if isinstance(what, Add) and len(sources) == 1:  # x + x
        sources = (*sources, *sources)
    return Step(node.name, call.path, call.place, sources, call.shape[1:], what)


def _convolution(call: Call) -> Windowed | None:
    module = call.module
    kernel = _pair(module.kernel_size)
    good = _common(call, module)
    weights, padding = _array(module.weight).transpose(2, 3, 1, 0), module.padding
    if padding == "same":  # torch pads the end by one more where that cannot be even: here the kernel has a 0 first
        even = [(1 - size % 2, 0) for size in kernel]
        weights = np.pad(weights, (*even, (0, 0), (0, 0)))
        padding = tuple(size // 2 for size in kernel)
    elif padding == "valid":
        padding = 0
    if not good:
        return None
    synapses = Convolution(weights, stride=_pair(module.stride), padding=_pair(padding), groups=module.groups)
    return Windowed(synapses, _biases(module, module.out_channels))


def _transposed_convolution(call: Call) -> Windowed | None:
    module = call.module
    if not _common(call, module):
        return None
    groups = np.split(_array(module.weight), module.groups)  # [channels of the source, of a group, ky, kx]
    weights = np.concatenate(groups, axis=1).transpose(2, 3, 0, 1)
    geometry: dict[str, Any] = {name: _pair(getattr(module, name)) for name in ("stride", "padding")}
    synapses = TransposedConvolution(
        weights, **geometry, groups=module.groups, output_padding=_pair(module.output_padding)
    )
    return Windowed(synapses, _biases(module, module.out_channels))


def _common(call: Call, module: Any) -> bool:
    dilation = _pair(module.dilation)
    good = call.require(
        dilation == (1, 1), f"its dilation must be 1, not {dilation}: write the zeros into a larger kernel"
    )
    zeros = module.padding_mode == "zeros"
    return call.require(zeros, f"it must pad with zeros, not {module.padding_mode!r}") and good


def _linear(call: Call) -> Linear | None:
    if not _flat(call):
        return None
    return Linear(_array(call.module.weight).T, _biases(call.module, call.module.out_features))


def _norm(call: Call) -> Norm | None:
    module = call.module
    good = call.require(
        module.running_mean is not None,
        "it must have running statistics: its results depend on the other images of the batch",
    )
    if isinstance(module, nn.BatchNorm1d):
        good = _flat(call) and good
    if not good:
        return None
    gamma = np.ones(module.num_features) if module.weight is None else _array(module.weight)
    factor = gamma / np.sqrt(_array(module.running_var) + module.eps)
    return Norm(factor, _biases(module, module.num_features) - _array(module.running_mean) * factor)


def _flat(call: Call) -> bool:
    shape = call.source_shape[1:]
    return call.require(len(shape) == 1, f"it must come behind a flatten, not take values of shape {shape}")


def _average_pool(call: Call) -> Pool | None:
    names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    given = call.arguments(*names)
    kernel = _pair(given["kernel_size"])
    stride, padding = _pair(given["stride"] or kernel), _pair(given["padding"] or 0)
    if not _grid(call):
        return None
    cells = tuple(size // cell for size, cell in zip(call.source_shape[2:], kernel, strict=True))
    good = [
        call.require(
            stride == kernel,
            f"its stride must be its kernel, {kernel}, not {stride}: cells that overlap, or leave gaps, are a "
            f"depthwise convolution",
        ),
        call.require(padding == (0, 0), f"its padding must be 0, not {padding}"),
        call.require(given["divisor_override"] is None, "it must divide by the size of its cells"),
    ]
    if all(good):
        good.append(call.require(call.shape[2:] == cells, "it must drop what fills no cell: set ceil_mode to False"))
    return Pool(kernel) if all(good) else None


def _adaptive_pool(call: Call) -> Pool | None:
    if not _grid(call):
        return None
    before, after = call.source_shape[2:], call.shape[2:]
    even = all(size % cells == 0 for size, cells in zip(before, after, strict=True))
    if not call.require(
        even, f"its cells must be of one size, and {_by(before)} places do not divide into {_by(after)}"
    ):
        return None
    return Pool((before[0] // after[0], before[1] // after[1]))


def _max_pool(call: Call) -> MaxPool | None:
    given = call.arguments("kernel_size", "stride", "padding", "dilation")
    kernel = _pair(given["kernel_size"])
    stride, padding, dilation = _pair(given["stride"] or kernel), _pair(given["padding"] or 0), given["dilation"] or 1
    if not (_values_only(call) and _grid(call)):
        return None
    windows = tuple(
        (size - cell) // step + 1 for size, cell, step in zip(call.source_shape[2:], kernel, stride, strict=True)
    )
    good = [
        call.require(padding == (0, 0), f"its padding must be 0, not {padding}"),
        call.require(_pair(dilation) == (1, 1), f"its dilation must be 1, not {_pair(dilation)}"),
    ]
    if all(good):
        good.append(
            call.require(call.shape[2:] == windows, "it must drop what fills no window: set ceil_mode to False")
        )
    return MaxPool(kernel, stride) if all(good) else None


def _adaptive_max_pool(call: Call) -> MaxPool | None:
    cells = _adaptive_pool(call) if _values_only(call) else None
    return None if cells is None else MaxPool(cells.size, cells.size)


def _values_only(call: Call) -> bool:
    return call.require(call.shape, "ask for the largest values alone: no return_indices")


def _mean(call: Call) -> Pool | None:
    axes = call.arguments("dim", "keepdim")["dim"]
    given = axes if isinstance(axes, Sequence) else (axes,)
    rank = len(call.source_shape)
    spatial = rank == 4 and None not in given and sorted(axis % rank for axis in given) == [2, 3]
    if not call.require(
        spatial,
        f"it must be over the rows and columns of a grid, (2, 3), not over {axes} of shape {call.source_shape[1:]}",
    ):
        return None
    return Pool((call.source_shape[2], call.source_shape[3]))


def _grid(call: Call) -> bool:
    shape = call.source_shape[1:]
    return call.require(len(shape) == 3, f"it must take a grid (channels, rows, columns), not values of {shape}")


def _flatten(call: Call) -> What | None:
    before, after = call.source_shape, call.shape
    if before == after:
        return Same()
    if call.require(
        after[:2] == (before[0], int(np.prod(before[1:]))),  # and perhaps axes of one value behind
        f"it must give all values of an image in one axis, and makes {_by(after[1:]) or 'one value'} of "
        f"{_by(before[1:])}",
    ):
        return Flatten()
    return None


def _add(call: Call) -> Add | None:
    tensors = [node for node in call.node.args[:2] if isinstance(node, fx.Node) and node.op != "get_attr"]
    if not call.require(
        len(tensors) == 2 and not any("plain" in node.meta for node in tensors),
        "it must add two results of layers: put a constant into a bias",
    ):
        return None
    alpha = call.node.kwargs.get("alpha", 1)
    shapes = [node.meta.get("shape", ())[1:] for node in tensors]
    good = call.require(alpha == 1, f"its alpha must be 1, not {alpha}: put it into the weights")
    good = call.require(shapes[0] == shapes[1], f"both must have one shape, not {shapes[0]} and {shapes[1]}") and good
    return Add() if good else None


def _dropout(call: Call) -> Same | None:
    active = call.arguments("p", "training")["training"]
    return Same() if call.require(active is False, "it must be told `training=self.training`") else None


def _relu(call: Call) -> Relu:
    return Relu()


def _same(call: Call) -> Same:
    return Same()


_Makers = dict[Any, Callable[[Call], What | None]]

_MODULES: _Makers = {
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _transposed_convolution,
    nn.Linear: _linear,
    (nn.BatchNorm1d, nn.BatchNorm2d): _norm,
    nn.ReLU: _relu,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool2d: _adaptive_pool,
    nn.MaxPool2d: _max_pool,
    nn.AdaptiveMaxPool2d: _adaptive_max_pool,
    nn.Flatten: _flatten,
    (nn.Dropout, nn.Dropout2d, nn.Identity): _same,
}
_FUNCTIONS: _Makers = {
    **dict.fromkeys((functional.relu, functional.relu_, torch.relu, torch.relu_), _relu),
    functional.avg_pool2d: _average_pool,
    functional.adaptive_avg_pool2d: _adaptive_pool,
    functional.max_pool2d: _max_pool,
    functional.adaptive_max_pool2d: _adaptive_max_pool,
    torch.mean: _mean,
    **dict.fromkeys((torch.flatten, torch.reshape, torch.squeeze), _flatten),
    **dict.fromkeys((operator.add, operator.iadd, torch.add), _add),
    **dict.fromkeys((functional.dropout, functional.dropout2d), _dropout),
}
_METHODS: _Makers = {
    **dict.fromkeys(("relu", "relu_"), _relu),
    "mean": _mean,
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze"), _flatten),
    **dict.fromkeys(("add", "add_"), _add),
    "contiguous": _same,
}


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _pair(value: Any) -> Pair:
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    return int(values[0]), int(values[-1])


def _biases(module: Any, channels: int) -> FloatArray:
    return np.zeros(channels) if module.bias is None else _array(module.bias)


def _array(values: torch.Tensor) -> FloatArray:
    array: FloatArray = values.detach().numpy().astype(np.float64)
    return array
