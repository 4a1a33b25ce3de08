"""The networks of the recipes as torch modules. It cannot be imported without torch."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from hillock.sim.network import (
    INPUT,
    Connection,
    Convolution,
    Dense,
    Pair,
    Shape,
    Synapses,
    TransposedConvolution,
    pooled,
)

from .float_network import FloatArray, FloatLayer, FloatNetwork
from .layer_plans import Branch, LayerPlan
from .recipes import Recipe

__all__ = ["ReluNetwork"]


class _BranchModule(nn.Module):
    """One branch: from the values [images, channels, rows, columns] of its source to what it adds to its layer."""

    def __init__(self, branch: Branch, source: Shape, channels: int):
        super().__init__()
        self.branch = branch
        self.source = pooled(source, (branch.pool, branch.pool))
        bias = not branch.batch_norm
        self.weighted: nn.Linear | nn.Conv2d | nn.ConvTranspose2d | None
        if branch.kind == "dense":
            self.weighted = nn.Linear(self.source.neurons, channels, bias=bias)
        elif branch.kind == "convolution":
            self.weighted = nn.Conv2d(
                source.channels,
                channels,
                branch.kernel,
                stride=branch.stride,
                padding=branch.padding,
                groups=branch.groups,
                bias=bias,
            )
        elif branch.kind == "transposed_convolution":
            self.weighted = nn.ConvTranspose2d(
                source.channels,
                channels,
                branch.kernel,
                stride=branch.stride,
                padding=branch.padding,
                output_padding=branch.output_padding,
                groups=branch.groups,
                bias=bias,
            )
        else:
            self.weighted = None
        self.norm = nn.BatchNorm2d(channels) if branch.batch_norm else None

    def forward(self, values: Tensor) -> Tensor:
        if self.branch.pool > 1:
            values = nn.functional.avg_pool2d(values, self.branch.pool)
        if isinstance(self.weighted, nn.Linear):  # the order of addresses: channels last
            values = self.weighted(values.permute(0, 2, 3, 1).flatten(1))[:, :, None, None]
        elif self.weighted is not None:
            values = self.weighted(values)
        return values if self.norm is None else self.norm(values)

    def exported(self, channels: int, stored: Callable[[FloatArray], FloatArray]) -> tuple[Connection, FloatArray]:
        """The connection, with the norm and the division of an average pool in its weights, and its biases."""
        branch, weighted = self.branch, self.weighted
        factor, bias = np.ones(channels), np.zeros(channels)
        if weighted is not None and weighted.bias is not None:
            bias = _array(weighted.bias)
        if self.norm is not None:
            assert self.norm.running_mean is not None
            assert self.norm.running_var is not None
            factor = _array(self.norm.weight) / np.sqrt(_array(self.norm.running_var) + self.norm.eps)
            bias = _array(self.norm.bias) - _array(self.norm.running_mean) * factor
        factor = factor / branch.pool**2
        geometry: dict[str, Any] = {"stride": _pair(branch.stride), "padding": _pair(branch.padding)}
        geometry["groups"] = branch.groups
        synapses: Synapses
        if weighted is None:
            synapses = Convolution(stored(np.broadcast_to(factor, (1, 1, 1, channels))), groups=channels)
        elif isinstance(weighted, nn.Linear):
            synapses = Dense(stored(_array(weighted.weight).T * factor))
        elif isinstance(weighted, nn.Conv2d):
            synapses = Convolution(stored(_array(weighted.weight).transpose(2, 3, 1, 0) * factor), **geometry)
        else:  # [all channels of the source, channels of a group, ky, kx]
            groups = np.split(_array(weighted.weight), branch.groups)
            weights = np.concatenate(groups, axis=1).transpose(2, 3, 0, 1)
            extra = _pair(branch.output_padding)
            synapses = TransposedConvolution(stored(weights * factor), **geometry, output_padding=extra)
        return Connection(branch.source, synapses, pool=_pair(branch.pool)), bias


class ReluNetwork(nn.Module):
    """What a recipe describes: from images [images, channels, rows, columns] of 0..1 to the last layer.

    That is [images, neurons], in the order of their addresses.
    """

    def __init__(self, recipe: Recipe, image: Shape):
        super().__init__()
        self.plans = recipe.layers
        self.input = image
        self.shapes = {INPUT: self.input}
        self.branches = nn.ModuleDict()
        self.dropouts = nn.ModuleDict({INPUT: nn.Dropout(recipe.input_dropout)})
        for plan in self.plans:
            modules = [_BranchModule(branch, self.shapes[branch.source], plan.channels) for branch in plan.branches]
            self.shapes[plan.name] = _shape(modules[0], plan.channels)
            self.branches[plan.name] = nn.ModuleList(modules)
            self.dropouts[plan.name] = nn.Dropout(plan.dropout)
        # The faster one, and the order of addresses. The types of torch do not know it.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        values = {INPUT: self.dropouts[INPUT](images)}
        for plan, branches in self._layers():
            total = sum(branch(values[branch.branch.source]) for branch in branches)
            values[plan.name] = self.dropouts[plan.name](nn.functional.relu(total) if plan.rectified else total)
        output: Tensor = values[self.plans[-1].name]
        return output.permute(0, 2, 3, 1).flatten(1)

    def exported(self, name: str, dtype: type[np.floating[Any]] = np.float32) -> FloatNetwork:
        """The same network as plain data, its values rounded to those of `dtype`."""

        def stored(values: FloatArray) -> FloatArray:
            return values.astype(dtype).astype(np.float64)

        layers = []
        for plan, branches in self._layers():
            parts = [branch.exported(plan.channels, stored) for branch in branches]
            layers.append(
                FloatLayer(
                    name=plan.name,
                    shape=self.shapes[plan.name],
                    connections=tuple(connection for connection, _ in parts),
                    biases=stored(np.sum([bias for _, bias in parts], axis=0)),
                    rectified=plan.rectified,
                )
            )
        return FloatNetwork(name, self.input, tuple(layers))

    def _layers(self) -> Iterator[tuple[LayerPlan, list[_BranchModule]]]:
        for plan in self.plans:
            yield plan, list(cast(nn.ModuleList, self.branches[plan.name]))  # type: ignore[arg-type]


def _shape(module: _BranchModule, channels: int) -> Shape:
    """The grid that a branch gives."""
    branch = module.branch

    def size(before: int) -> int:
        if branch.kind == "convolution":
            return (before + 2 * branch.padding - branch.kernel) // branch.stride + 1
        if branch.kind == "transposed_convolution":
            return (before - 1) * branch.stride - 2 * branch.padding + branch.kernel + branch.output_padding
        return 1 if branch.kind == "dense" else before

    return Shape(channels, size(module.source.height), size(module.source.width))


def _pair(value: int) -> Pair:
    return value, value


def _array(values: Tensor) -> FloatArray:
    array: FloatArray = values.detach().numpy().astype(np.float64)
    return array
