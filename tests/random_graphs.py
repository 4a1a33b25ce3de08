"""Random graphs of grids: networks over all kinds of layers, small and active. `random_networks` offers them."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from hillock.sim.elements import add, and_, iand, identity, max_pool
from hillock.sim.network import (
    INPUT,
    Connection,
    Convolution,
    Decision,
    Dense,
    Layer,
    LeakOrder,
    Network,
    Pair,
    ResetMode,
    Shape,
    Synapses,
    TransposedConvolution,
    pooled,
)
from hillock.sim.network_rules import event_bounds


def random_graph(
    rng: np.random.Generator,
    *,
    potential_bits: int = 16,
    fraction_bits: int = 4,
    weight_bits: int = 8,
    current_bits: int = 16,
    leak_shift_bits: int = 3,
    payload_bits: int = 4,
    max_layers: int = 6,
    max_size: int = 7,
    max_channels: int = 6,
    max_timesteps: int = 5,
    static_input: bool = True,
    reuse_input: bool = False,
) -> Network:
    """A network of up to `max_layers` layers with every feature of the integer contract drawn at random.

    `payload_bits` is the largest number of them; `static_input` allows it, and `reuse_input` allows more than one
    connection from the input.
    """
    few = payload_bits == 1 or rng.random() < 0.2
    bits = 1 if few else int(rng.integers(2, payload_bits + 1))
    kinds, chances = ["events", "image", "static"], [0.5, 0.3, 0.2] if static_input else [0.6, 0.4, 0.0]
    graph = _Graph(rng, str(rng.choice(kinds, p=chances)), max_size, max_channels)
    graph.potential_bits, graph.fraction_bits, graph.weight_bits = potential_bits, fraction_bits, weight_bits
    graph.current_bits, graph.leak_shift_bits = min(current_bits, potential_bits), leak_shift_bits
    graph.payload_bits, graph.reuse_input = bits, reuse_input
    decision = Decision(rng.choice([kind.value for kind in Decision]))
    graph.build(int(rng.integers(1, max_layers + 1)), decision)
    timesteps = int(rng.integers(1, max_timesteps + 1))
    return Network(
        name="random",
        input=graph.input,
        layers=tuple(graph.layers),
        weight_bits=weight_bits,
        potential_bits=potential_bits,
        fraction_bits=fraction_bits,
        payload_bits=bits,
        timesteps=timesteps,
        delay=int(rng.integers(0, timesteps)),
        decision=decision,
    )


class _Graph:
    """The layers made so far, and what may be drawn."""

    potential_bits: int
    fraction_bits: int
    weight_bits: int
    current_bits: int
    leak_shift_bits: int
    payload_bits: int
    reuse_input: bool

    def __init__(self, rng: np.random.Generator, kind: str, max_size: int, max_channels: int):
        self.rng, self.kind, self.max_size, self.max_channels = rng, kind, max_size, max_channels
        self.layers: list[Layer] = []
        self.input = self.shape(self.chance(0.15))
        self.shapes: dict[str, Shape] = {INPUT: self.input}
        self.extreme = self.chance(0.2)

    # Drawing

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def up_to(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def one_of(self, things: Any) -> Any:
        return things[self.up_to(0, len(things) - 1)]

    def shape(self, flat: bool) -> Shape:
        if flat:
            return Shape(self.up_to(1, 4 * self.max_channels))
        return Shape(self.up_to(1, self.max_channels), self.up_to(1, self.max_size), self.up_to(1, self.max_size))

    # Networks

    def build(self, count: int, decision: Decision) -> None:
        if self.kind == "image":
            self.keep(self.encoder())
        while len(self.layers) < count - 1:
            room = count - 1 - len(self.layers)
            if self.kind == "static" and not self.layers:
                self.keep(self.ordinary())
            elif self.chance(0.25):
                self.merge(room)
            elif self.chance(0.1):
                self.pool_by_maximum()
            elif self.layers and self.chance(0.04):
                self.keep(self.finished(self.shape(self.chance(0.5)), (), currents=True))
            else:
                self.keep(self.ordinary())
        self.keep(self.ordinary(last=decision))

    def keep(self, layer: Layer) -> None:
        self.layers.append(layer)
        self.shapes[layer.name] = layer.shape

    @property
    def name(self) -> str:
        return f"layer{len(self.layers)}"

    def sources(self) -> list[str]:
        """What a connection may come from; the last ones twice, so that networks are deep."""
        names = [layer.name for layer in self.layers]
        used = any(connection.source == INPUT for layer in self.layers for connection in layer.connections)
        free = self.kind == "events" and (self.reuse_input or not used)
        return [INPUT] * (free or not names) + names + names[-2:]

    def encoder(self) -> Layer:
        full = min(255, (1 << (self.potential_bits - 1)) - 1)
        return Layer(
            name=self.name,
            shape=self.input,
            threshold=full,
            reset_amount=full,
            preload=self.up_to(0, full - 1),
            current_from_image=True,
        )

    def merge(self, room: int) -> None:
        """ADD, AND or IAND of two layers of the same shape; the second is made where there is none."""
        source = self.one_of(self.sources())
        shape = self.shapes[source]
        others = [name for name in self.sources() if self.shapes[name] == shape and name != source]
        if not others and room > 1:
            kernel = (self.one_of([1, 3]), self.one_of([1, 3, 5]))
            weights = self.weights((*kernel, shape.channels, shape.channels), source)
            same = Convolution(weights, padding=(kernel[0] // 2, kernel[1] // 2))
            branch = self.finished(shape, (Connection(source, same),))
            self.keep(branch)
            others = [branch.name]
            if source == INPUT and not self.reuse_input:
                return
        if not others:
            self.keep(self.ordinary())
            return
        kind = self.one_of([add, add, and_, iand])
        layer = kind(self.name, self.one_of(others), source, shape, fraction_bits=self.fraction_bits)
        if kind is add and not self.carries(layer):
            layer = and_(self.name, self.one_of(others), source, shape, fraction_bits=self.fraction_bits)
        self.keep(layer)

    def pool_by_maximum(self) -> None:
        source = self.one_of(self.sources())
        shape = self.shapes[source]
        kernel = (self.up_to(1, min(3, shape.height)), self.up_to(1, min(3, shape.width)))
        stride = None if self.chance(0.6) else (self.up_to(1, 3), self.up_to(1, 3))
        self.keep(max_pool(self.name, source, shape, kernel, fraction_bits=self.fraction_bits, stride=stride))

    def ordinary(self, last: Decision | None = None) -> Layer:
        """A layer with one or two connections of any kind; as the last one, fit for that decision."""
        source = self.one_of(self.sources())
        flat = last not in (None, Decision.NONE)
        connections = [self.connection(source, None, flat)]
        shape = self.reached
        if self.chance(0.35):
            other = self.one_of(self.sources())
            if other != INPUT or self.reuse_input:
                connections.append(self.connection(other, shape, flat))
        fires = not (last is Decision.POTENTIAL or (last is Decision.NONE and self.chance(0.3)))
        return self.finished(shape, tuple(connections), fires=fires)

    # Connections

    def connection(self, source: str, target: Shape | None, flat: bool) -> Connection:
        """A connection from `source`, to a given shape or to any, which is left in `reached`."""
        before = self.shapes[source]
        pool = (1, 1)
        if not before.flat and self.chance(0.3):
            whole = self.chance(0.3)
            pool = (
                before.height if whole else self.up_to(1, min(3, before.height)),
                before.width if whole else self.up_to(1, min(3, before.width)),
            )
        kept = pooled(before, pool)
        synapses = self.synapses(source, kept, flat) if target is None else self.shortcut(source, kept, target)
        return Connection(source, synapses, pool, static=self.kind == "static" and source == INPUT)

    def synapses(self, source: str, kept: Shape, flat: bool) -> Synapses:
        if flat or self.chance(0.15) or (kept.flat and self.chance(0.5)):
            grid = Shape(self.up_to(1, self.max_channels), self.up_to(1, 3), self.up_to(1, 3))
            self.reached = self.shape(flat=True) if flat or self.chance(0.6) else grid
            return Dense(self.weights((kept.neurons, self.reached.neurons), source))
        transposed = self.chance(0.3)
        (rows, high), (columns, wide) = (self.axis(size, transposed) for size in (kept.height, kept.width))
        channels = kept.channels if self.chance(0.3) else self.up_to(1, self.max_channels)
        groups = 1
        if self.chance(0.5):
            groups = self.one_of([g for g in range(1, channels + 1) if channels % g == kept.channels % g == 0])
        self.reached = Shape(channels, high, wide)
        kernel, stride, padding, extra = zip(rows, columns, strict=True)
        weights = self.weights((*kernel, kept.channels // groups, channels), source)
        if transposed:
            return TransposedConvolution(weights, stride, padding, groups, extra)
        return Convolution(weights, stride, padding, groups)

    def axis(self, size: int, transposed: bool) -> tuple[tuple[int, int, int, int], int]:
        """Along one axis: (kernel, stride, padding, output padding), and the size of the target."""
        while True:
            kernel, stride = self.up_to(1, 7 if self.chance(0.3) else 3), self.up_to(1, 4 if self.chance(0.3) else 2)
            padding = self.up_to(0, kernel - 1) if self.chance(0.6) else 0
            extra = self.up_to(0, stride - 1) if transposed else 0
            after = (size + 2 * padding - kernel) // stride + 1 if size + 2 * padding >= kernel else 0
            if transposed:
                after = (size - 1) * stride - 2 * padding + kernel + extra
            if 1 <= after <= self.max_size:
                return (kernel, stride, padding, extra), after

    def shortcut(self, source: str, kept: Shape, target: Shape) -> Synapses:
        """To a given shape: the identity, a 1x1 convolution with a stride, or else a dense connection."""
        if kept == target and self.chance(0.6):
            return identity(kept.channels, int(self.weights((1,), source)[0]) or 1)
        strides: list[int] = [
            next((step for step in range(1, 5) if (before - 1) // step + 1 == after), 0)
            for before, after in ((kept.height, target.height), (kept.width, target.width))
        ]
        if all(strides) and self.chance(0.8):
            stride: Pair = (strides[0], strides[1])
            return Convolution(self.weights((1, 1, kept.channels, target.channels), source), stride)
        return Dense(self.weights((kept.neurons, target.neurons), source))

    def weights(self, shape: tuple[int, ...], source: str) -> Any:
        """Half of the time mostly positive; small enough, most of the time, for what the source can carry."""
        reach = (1 << (self.weight_bits - 1)) - 1
        carried = (1 << self.payload_bits) - 1 if source == INPUT or self.graded(source) else 1
        small = max(1, reach // (self.one_of([1, 1, 4, 16]) * (carried if self.chance(0.8) else 1)))
        small = reach if self.extreme else small
        weights = self.rng.integers(-small - 1, small + 1, shape)
        if self.chance(0.5):
            weights += self.rng.integers(0, small // 2 + 2)
        return np.clip(weights, -reach - 1, reach)

    def graded(self, source: str) -> bool:
        return any(layer.graded for layer in self.layers if layer.name == source)

    # Neurons

    def finished(
        self, shape: Shape, connections: tuple[Connection, ...], fires: bool = True, currents: bool = False
    ) -> Layer:
        """A layer with these connections and random neurons, whose threshold what arrives can reach."""
        high, unit = (1 << (self.potential_bits - 1)) - 1, 1 << self.fraction_bits
        bare = Layer(name=self.name, shape=shape, threshold=1, connections=connections)
        spread = 1 << (self.current_bits - 1 if self.extreme else min(self.current_bits, 8) - 1)
        added = None
        if currents or self.chance(0.8 if self.extreme else 0.4):
            size = shape.channels if self.chance(0.5) else shape.neurons
            added = self.rng.integers(-spread if connections else 0, spread, size)
        _, up = event_bounds(self.setting(), bare)
        most = int(np.clip(int(up.max()) + (0 if added is None else int(added.max())), 2, high))
        threshold = min(high, max(1, int(most * self.rng.uniform(0.02, 0.4))))
        if self.extreme and self.chance(0.6):
            threshold = high
        mode = self.one_of([ResetMode.SUBTRACT, ResetMode.SUBTRACT, ResetMode.TO_VALUE, ResetMode.EVERY_TIMESTEP])
        lowest = 0 if mode is ResetMode.SUBTRACT else -high - 1 if self.extreme else -threshold
        layer = Layer(
            name=self.name,
            shape=shape,
            connections=connections,
            currents=added,
            threshold=threshold,
            leak_shift=0 if mode is ResetMode.EVERY_TIMESTEP else self.up_to(0, (1 << self.leak_shift_bits) - 1),
            preload=self.up_to(-high - 1, high) if self.extreme else self.up_to(-threshold, threshold),
            reset_mode=mode,
            reset_amount=self.up_to(lowest, high if self.extreme else threshold),
            leak_order=self.one_of(list(LeakOrder)),
            fires=fires,
        )
        return self.as_graded(layer, max(threshold, unit)) if fires and self.chance(0.5) else layer

    def as_graded(self, layer: Layer, threshold: int) -> Layer:
        """The layer with graded events, if a payload can hold them."""
        values = vars(layer) | {"threshold": threshold, "preload": 0, "reset_amount": 0, "leak_shift": 0}
        graded = Layer(**(values | {"reset_mode": ResetMode.EVERY_TIMESTEP, "graded": True}))
        return graded if self.carries(graded) else layer

    def carries(self, layer: Layer) -> bool:
        """Whether the largest payload holds what a graded layer can send."""
        _, up = event_bounds(self.setting(), layer)
        most = int(up.max()) + (0 if layer.currents is None else max(0, int(layer.currents.max())))
        return layer.threshold <= most and most >> self.fraction_bits <= (1 << self.payload_bits) - 1

    def setting(self) -> Any:
        """What `event_bounds` has to know of the network that these layers will be."""
        largest = (1 << self.payload_bits) - 1
        return SimpleNamespace(layers=self.layers, fraction_bits=self.fraction_bits, largest_payload=largest)
