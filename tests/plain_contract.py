"""The integer contract once more, neuron by neuron, in Python integers only: what the golden model is held against.

Of the project it knows the description of a network, and nothing else.
"""

from dataclasses import dataclass, field
from typing import Any

from hillock.sim.network import INPUT, Connection, Convolution, Dense, Layer, Network, ResetMode, Shape


@dataclass
class Plain:
    """What one layer did, as nested lists [timestep][neuron]."""

    layer: Layer
    state: list[int]
    current: list[int]
    fired: list[list[bool]] = field(default_factory=list)
    payloads: list[list[int]] = field(default_factory=list)
    potentials: list[list[int]] = field(default_factory=list)
    sop: int = 0


def weight(connection: Connection, source: Shape, target: Shape, pre: int, post: int) -> int | None:
    """The weight from one address to another; None where there is no synapse."""
    y, x, c = place(pre, source)
    down, across = connection.pool
    y, x = y // down, x // across
    rows, columns = source.height // down, source.width // across
    if y >= rows or x >= columns:
        return None
    synapses = connection.synapses
    if isinstance(synapses, Dense):
        return int(synapses.weights[(y * columns + x) * source.channels + c][post])
    oy, ox, k = place(post, target)
    (sy, sx), (py, px) = synapses.stride, synapses.padding
    if isinstance(synapses, Convolution):
        ky, kx = y + py - oy * sy, x + px - ox * sx
    else:
        ky, kx = oy + py - y * sy, ox + px - x * sx
    high, wide, inner, channels = synapses.weights.shape
    if not (0 <= ky < high and 0 <= kx < wide) or c // inner != k // (channels // synapses.groups):
        return None
    return int(synapses.weights[ky][kx][c % inner][k])


def place(address: int, shape: Shape) -> tuple[int, int, int]:
    """(y, x, channel) of an address."""
    rest, channel = divmod(address, shape.channels)
    y, x = divmod(rest, shape.width)
    return y, x, channel


def plain_run(net: Network, given: dict[str, Any]) -> list[Plain]:
    """All layers after an inference with these events, or this image."""
    low, high = -(2 ** (net.potential_bits - 1)), 2 ** (net.potential_bits - 1) - 1

    def sat(value: int) -> int:
        return low if value < low else high if value > high else value

    def current(layer: Layer, neuron: int) -> int:
        if layer.current_from_image:
            return int(given["image"][neuron])
        if layer.currents is None:
            return 0
        per_channel = len(layer.currents) == layer.shape.channels
        return int(layer.currents[neuron % layer.shape.channels if per_channel else neuron])

    def add(part: Plain, values: list[int], connection: Connection, events: list[tuple[int, int]]) -> None:
        source = net.shape_of(connection.source)
        for pre, payload in events:
            for post in range(part.layer.neurons):
                synapse = weight(connection, source, part.layer.shape, pre, post)
                if synapse is not None:
                    values[post] = sat(values[post] + payload * synapse * 2**net.fraction_bits)
                    part.sop += 1

    steps = [[e if isinstance(e, tuple) else (e, 1) for e in step] for step in given.get("events", [])]
    parts = [
        Plain(layer, [layer.preload] * layer.neurons, [current(layer, i) for i in range(layer.neurons)])
        for layer in net.layers
    ]
    for connection in net.layers[0].connections:
        if connection.static:
            add(parts[0], parts[0].current, connection, steps[0])
    for step in range(net.timesteps):
        events = {INPUT: steps[step] if steps and not net.static_input else []}
        for part in parts:
            layer, values = part.layer, part.state
            for connection in layer.connections:
                if not connection.static:
                    add(part, values, connection, events[connection.source])
            fired, payloads = [], []
            for neuron in range(layer.neurons):
                v = sat(values[neuron] + part.current[neuron])
                s = layer.fires and v >= layer.threshold
                fired.append(s)
                payloads.append((v // 2**net.fraction_bits if layer.graded else 1) if s else 0)
                for what in layer.leak_order.value.split("_then_"):
                    if what == "leak" and layer.leak_shift:
                        v -= v // 2**layer.leak_shift  # Python's // rounds towards minus infinity
                    elif what == "reset" and layer.reset_mode is ResetMode.EVERY_TIMESTEP:
                        v = layer.reset_amount
                    elif what == "reset" and s and layer.reset_mode is ResetMode.SUBTRACT:
                        v = sat(v - layer.reset_amount)
                    elif what == "reset" and s:
                        v = layer.reset_amount
                values[neuron] = v
            part.fired.append(fired)
            part.payloads.append(payloads)
            part.potentials.append(list(values))
            events[layer.name] = [(neuron, payload) for neuron, payload in enumerate(payloads) if payload]
    return parts
