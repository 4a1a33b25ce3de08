"""Folding: from the steps of a module to layers, with norms, averages and offsets in their weights and biases."""

from dataclasses import dataclass, replace

import numpy as np

from hillock.hw.problems import Problems
from hillock.sim.elements import identity, max_window
from hillock.sim.network import INPUT, Connection, Convolution, Dense, Pair, Shape, Synapses, TransposedConvolution

from .float_network import ENCODER, FloatArray, FloatLayer, bring
from .module_steps import Add, Flatten, Linear, MaxPool, Norm, Output, Pool, Relu, Step, Windowed

__all__ = ["Folding", "Signal"]


@dataclass(frozen=True, eq=False)
class Signal:
    """What spikes carry, or the image: the values of `source`, averaged over cells, times `scale` plus `shift`.

    Both are of shape [channels] or [neurons] by address, or of one value. `shape` is that of the averages; `flat`, that
    torch has them in one axis; `positive`, that none can be below 0.
    """

    source: str
    shape: Shape
    pool: Pair
    scale: FloatArray
    shift: FloatArray
    flat: bool
    positive: bool

    @staticmethod
    def of(source: str, shape: Shape, flat: bool) -> "Signal":
        """The values of a layer as they are."""
        return Signal(source, shape, (1, 1), np.ones(1), np.zeros(1), flat, positive=True)

    @property
    def weight(self) -> FloatArray:
        """What a sum over a cell is multiplied with."""
        return self.scale / (self.pool[0] * self.pool[1])


@dataclass(frozen=True, eq=False)
class Sum:
    """What a layer adds up before its ReLU; `biases` are [rows, columns, channels] of its `shape`."""

    path: str
    shape: Shape
    connections: tuple[Connection, ...]
    biases: FloatArray
    flat: bool

    def times(self, factor: FloatArray) -> tuple[Connection, ...]:
        """The connections with their weights to each channel times its factor."""
        return tuple(
            replace(part, synapses=replace(part.synapses, weights=part.synapses.weights * factor))
            for part in self.connections
        )


class Folding:
    """The layers that the steps so far have made, and the value of each step by name.

    Of a step that is refused the value is a stand-in of its shape, so that what comes behind it can be checked too;
    None where nothing here has that shape.
    """

    def __init__(self, first: str, image: Signal, problems: Problems):
        self.problems = problems
        self.values: dict[str, Signal | Sum | None] = {first: image}
        self.layers: list[FloatLayer] = []

    def take(self, step: Step) -> None:
        """Do one step; what is wrong with it goes to the problems."""
        made = None
        constants = ", ".join(source for source in step.sources if source not in self.values)
        if step.what is not None and self._require(
            step, not constants, f"it must take results of layers, and takes the constant {constants}"
        ):
            given = [value for source in step.sources if (value := self.values[source]) is not None]
            made = self._made(step, given) if len(given) == len(step.sources) else None
        if made is None and len(step.shape) in (1, 3):
            made = Signal.of(step.name, Shape(*step.shape), flat=len(step.shape) == 1)
        self.values[step.name] = made

    def _require(self, step: Step, condition: object, text: str) -> bool:
        return self.problems.require(condition, f"{step.place}: {text}")

    def _made(self, step: Step, given: list[Signal | Sum]) -> Signal | Sum | None:
        value, what = given[0], step.what
        match what:
            case Flatten():
                return replace(value, flat=True)
            case Relu():
                done = isinstance(value, Signal) and value.positive
                return value if done else self._closed(step, value)
            case Add():
                return self._added(step, *given)
            case Norm():
                return self._normed(step, value, what)
            case Pool():
                return self._pooled(step, value, what.size)
            case MaxPool():
                return self._max_pooled(step, value, what)
            case Windowed() | Linear():
                return self._weighted(step, value, what)
            case Output():
                done = isinstance(value, Signal) and bool(self.layers) and _bare(value, self.layers[-1].name)
                return value if done else self._closed(step, value, rectified=False)
        return value

    def _closed(self, step: Step, value: Signal | Sum, rectified: bool = True) -> Signal | None:
        """A layer of the sum."""
        total = self._opened(step, value)
        if total is None:
            return None
        name = self._name(total.path)
        biases = np.broadcast_to(total.biases, (total.shape.height, total.shape.width, total.shape.channels))
        by_channel = biases[0, 0]
        same = np.abs(biases - by_channel).max() <= 1e-14 * np.abs(biases).max()  # but for the order of additions
        self.layers.append(
            FloatLayer(
                name=name,
                shape=total.shape,
                connections=total.connections,
                biases=by_channel if same else biases.reshape(-1),
                rectified=rectified,
            )
        )
        return Signal.of(name, total.shape, total.flat)

    def _name(self, path: str) -> str:
        """Of a new layer: the path, with a number behind it where that is taken."""
        taken = {INPUT, ENCODER, *(layer.name for layer in self.layers)}
        names = [path, *(f"{path}_{number}" for number in range(2, len(taken) + 2))]
        return next(name for name in names if name not in taken)

    def _opened(self, step: Step, value: Signal | Sum) -> Sum | None:
        """A signal as the sum that an identity brings; a sum as it is."""
        if isinstance(value, Sum):
            return value
        shape = value.shape
        if not self._require(
            step,
            max(value.scale.size, value.shift.size) <= shape.channels,
            "it takes a norm of a flattened grid, which has a factor for each neuron: put the norm before the flatten, "
            "as BatchNorm2d",
        ):
            return None
        synapses = _scaled(identity(shape.channels), _spread(value.weight, shape.channels), shape)
        biases = np.broadcast_to(value.shift, (shape.height, shape.width, shape.channels))
        return Sum(step.path, shape, (Connection(value.source, synapses, pool=value.pool),), biases, value.flat)

    def _added(self, step: Step, *values: Signal | Sum) -> Sum | None:
        one, other = (self._opened(step, value) for value in values)
        if one is None or other is None:
            return None
        # A flattened grid and a linear layer may have the same shape for torch, and have their neurons in other orders.
        if not self._require(
            step,
            one.shape == other.shape,
            f"it adds a flattened grid of {other.shape if one.shape.flat else one.shape} to neurons in another order: "
            f"add before the flatten",
        ):
            return None
        path = one.path if one.path != step.path else other.path  # of a branch with weights, if there is one
        both = one.connections + other.connections
        return replace(one, path=path, connections=both, biases=one.biases + other.biases)

    def _normed(self, step: Step, value: Signal | Sum, what: Norm) -> Signal | Sum | None:
        factor, offset, shape = what.factor, what.offset, value.shape
        if value.flat and not shape.flat:  # one for each neuron, in torch's order
            factor, offset = (_by_address(part[:, None], shape)[:, 0] for part in (factor, offset))
        if isinstance(value, Signal):
            scale, shift = (_spread(part, factor.size) for part in (value.scale, value.shift))
            return replace(value, scale=scale * factor, shift=shift * factor + offset, positive=False)
        if not self._require(
            step,
            factor.size == shape.channels,
            "a convolution has no factor for each neuron: put the norm before the flatten, as BatchNorm2d",
        ):
            return None
        return replace(value, connections=value.times(factor), biases=value.biases * factor + offset)

    def _pooled(self, step: Step, value: Signal | Sum, size: Pair) -> Signal | Sum | None:
        shape = Shape(value.shape.channels, value.shape.height // size[0], value.shape.width // size[1])
        if isinstance(value, Signal):
            return replace(value, shape=shape, pool=_product(value.pool, size))
        if not self._require(  # a convolution of single places may as well come behind the average
            step,
            all(_pointwise(part.synapses) for part in value.connections),
            "it stands before the ReLU, where it can be folded into kernels of 1x1 only: put it behind the ReLU",
        ):
            return None
        biases = np.broadcast_to(value.biases, (value.shape.height, value.shape.width, shape.channels))
        biases = biases[: shape.height * size[0], : shape.width * size[1]]
        biases = biases.reshape(shape.height, size[0], shape.width, size[1], -1).mean(axis=(1, 3))
        scaled = value.times(np.ones(shape.channels) / (size[0] * size[1]))
        connections = tuple(replace(part, pool=_product(part.pool, size)) for part in scaled)
        return replace(value, shape=shape, connections=connections, biases=biases)

    def _max_pooled(self, step: Step, value: Signal | Sum, what: MaxPool) -> Signal | None:
        """A layer of its own: a window has no weights that could go into the layer behind it."""
        rule = "it must take what a ReLU gives, as it is: put it right behind the ReLU"
        if not isinstance(value, Signal):
            self._require(step, False, rule)
            return None
        if not self._require(step, value.positive and _bare(value, value.source), rule):
            return None
        window = max_window(value.shape.channels, what.size, what.stride)
        shape, name = _grid(window, value.shape), self._name(step.path)
        part = Connection(value.source, window)
        self.layers.append(
            FloatLayer(name=name, shape=shape, connections=(part,), biases=np.zeros(shape.channels), largest=True)
        )
        return Signal.of(name, shape, flat=False)

    def _weighted(self, step: Step, value: Signal | Sum, what: Windowed | Linear) -> Sum | None:
        if isinstance(value, Sum):
            self._require(
                step,
                False,
                "what it takes may be negative, which no rate is: put a ReLU before it, or make one layer of both",
            )
            return None
        source = value.shape
        if isinstance(what, Linear):
            shape = Shape(what.biases.size)
            synapses: Synapses = Dense(_by_address(what.weights, source))
        else:
            shape, synapses = _grid(what.synapses, source), what.synapses
        # The offset of what it takes, as far as it is there: beyond the edges the values are 0, not the offset.
        biases = np.zeros((1, shape.height, shape.width, shape.channels))
        bring(Connection(value.source, synapses), _spread(value.shift, source.neurons)[None], source, biases)
        scaled = _scaled(synapses, _spread(value.weight, source.channels), source)
        connection = Connection(value.source, scaled, pool=value.pool)
        return Sum(step.path, shape, (connection,), biases[0] + what.biases, flat=isinstance(what, Linear))


def _bare(signal: Signal, name: str) -> bool:
    """Whether these are the values of the layer `name` as they are."""
    plain = signal.pool == (1, 1) and bool((signal.scale == 1).all() and (signal.shift == 0).all())
    return plain and signal.source == name


def _by_address(values: FloatArray, shape: Shape) -> FloatArray:
    """Rows [channels, rows, columns] as torch counts neurons, in the order of addresses: channels last."""
    grid = values.reshape(shape.channels, shape.height, shape.width, -1)
    return grid.transpose(1, 2, 0, 3).reshape(values.shape)


def _grid(synapses: Convolution | TransposedConvolution, source: Shape) -> Shape:
    """The grid that they lead to."""
    sizes = []
    for axis, before in enumerate((source.height, source.width)):
        kernel, stride, padding = synapses.kernel[axis], synapses.stride[axis], synapses.padding[axis]
        if isinstance(synapses, TransposedConvolution):
            sizes.append((before - 1) * stride - 2 * padding + kernel + synapses.output_padding[axis])
        else:
            sizes.append((before + 2 * padding - kernel) // stride + 1)
    return Shape(synapses.weights.shape[3], *sizes)


def _scaled(synapses: Synapses, factor: FloatArray, source: Shape) -> Synapses:
    """The synapses with their weights from each channel, or each neuron, of the source times its factor."""
    weights = synapses.weights
    if isinstance(synapses, Dense):
        return replace(synapses, weights=weights * _spread(factor, source.neurons)[:, None])
    inner, groups = weights.shape[2], synapses.groups
    by_target = np.repeat(factor.reshape(groups, inner), weights.shape[3] // groups, axis=0)
    return replace(synapses, weights=weights * by_target.T)


def _spread(values: FloatArray, size: int) -> FloatArray:
    """One value, or one for each channel, as `size` values; more than that as they are."""
    return np.tile(values, max(1, size // values.size))


def _pointwise(synapses: Synapses) -> bool:
    one = isinstance(synapses, Convolution) and synapses.kernel == synapses.stride == (1, 1)
    return one and getattr(synapses, "padding", None) == (0, 0)


def _product(one: Pair, other: Pair) -> Pair:
    return one[0] * other[0], one[1] * other[1]
