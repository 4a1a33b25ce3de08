"""What a network must satisfy: every rule of the integer contract that can be checked before it runs."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import Problems

from .layer import INPUT, Decision, Layer, ResetMode
from .synapses import Convolution, Shape, TransposedConvolution, pooled

if TYPE_CHECKING:
    from .network import Network

__all__ = ["MAX_LEAK_SHIFT", "MAX_TIMESTEPS", "check_network", "event_bounds", "payload_bound"]

MAX_LEAK_SHIFT = 31
MAX_TIMESTEPS = (1 << 16) - 1
MAX_PAYLOAD_BITS = 8
MAX_CHANNELS, MAX_PLACES = 1 << 20, 1 << 12
PIXEL_MAX = 255


def check_network(network: "Network", problems: Problems) -> None:
    """Report everything that is wrong with `network`; raises where one thing makes others impossible to check."""
    for name in ("weight_bits", "potential_bits", "fraction_bits", "payload_bits", "timesteps", "delay"):
        _require_integer(problems, "", network, name)
    _require_shape(problems, "input", network.input)
    for layer in network.layers:
        _require_shape(problems, f"layer {layer.name!r}: shape", layer.shape)
        for name in ("threshold", "leak_shift", "preload", "reset_amount"):
            _require_integer(problems, f"layer {layer.name!r}: ", layer, name)
    problems.raise_any()
    if not _check_itself(network, problems):
        problems.raise_any()
    _check_order(network, problems)
    for layer in network.layers:
        _check_neurons(network, layer, problems)
    before = {INPUT: network.input}
    for layer in network.layers:
        for index, connection in enumerate(layer.connections):
            if connection.source in before:
                _check_connection(network, layer, index, before[connection.source], problems)
        before[layer.name] = layer.shape
    problems.raise_any()
    _check_payloads(network, problems)


def event_bounds(network: "Network", layer: Layer) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lowest and the highest sum that the events of one timestep can add to the potentials of `layer`.

    In potential units; one value for each channel, or for each neuron. Static connections count: what they bring is
    added in every timestep.
    """
    low: Any = np.zeros(1, np.int64)
    high: Any = np.zeros(1, np.int64)
    for connection in layer.connections:
        down, up = connection.synapses.fan_in_bounds()
        largest = payload_bound(network, connection.source)
        factor = (largest * connection.pool[0] * connection.pool[1]) << network.fraction_bits
        if low.size not in (1, down.size):  # one connection speaks of channels, another of neurons
            down, up, low, high = (_by_neuron(layer.shape, values) for values in (down, up, low, high))
        low, high = low + down * factor, high + up * factor
    return low, high


def payload_bound(network: "Network", source: str) -> int:
    """The largest value that an event of `source` can carry."""
    if source == INPUT:
        return network.largest_payload
    layer = next(layer for layer in network.layers if layer.name == source)
    if not layer.graded:
        return 1
    _, high = event_bounds(network, layer)
    current = PIXEL_MAX if layer.current_from_image else 0
    if layer.currents is not None:
        current = max(0, int(layer.currents.max()))
    return (int(high.max()) + current + max(layer.preload, layer.reset_amount)) >> network.fraction_bits


def _by_neuron(shape: Shape, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Values for each channel, or for each neuron, as values for each neuron."""
    if values.size == shape.neurons:
        return values
    return np.broadcast_to(values, (shape.height * shape.width, shape.channels)).reshape(-1)


def _check_itself(network: "Network", problems: Problems) -> bool:
    """Whether the widths are such that the layers can be checked."""

    def in_range(name: str, low: int, high: int) -> bool:
        value = getattr(network, name)
        return problems.require(low <= value <= high, f"{name} must be from {low} to {high}, not {value}")

    widths = (
        in_range("weight_bits", 2, 16),
        in_range("potential_bits", 4, 32),
        in_range("fraction_bits", 0, 15),
        in_range("payload_bits", 1, MAX_PAYLOAD_BITS),
    )
    in_range("timesteps", 1, MAX_TIMESTEPS)
    product = network.weight_bits + network.fraction_bits + (network.payload_bits if network.payload_bits > 1 else 0)
    problems.require(
        product <= network.potential_bits,
        f"potential_bits must be at least weight_bits + fraction_bits (+ payload_bits where events carry more than 1) "
        f"= {product}, not {network.potential_bits}",
    )
    problems.require(
        0 <= network.delay < network.timesteps,
        f"delay must be from 0 to timesteps - 1 = {network.timesteps - 1}, not {network.delay}: nothing would be "
        f"counted",
    )
    if not problems.require(network.layers, "layers must not be empty"):
        return False
    first, last = network.layers[0], network.layers[-1]
    names = [layer.name for layer in network.layers]
    twice = sorted({name for name in names if names.count(name) > 1 or name == INPUT})
    problems.require(not twice, f"layer names must differ from each other and from {INPUT!r}; not so: {twice}")
    for layer in network.layers[1:]:
        problems.require(
            not layer.current_from_image,
            f"layer {layer.name!r}: only the first layer can take the image as its current",
        )
    if first.current_from_image:
        problems.require(
            first.shape == network.input,
            f"layer {first.name!r}: its shape must be that of the image, {network.input}, not {first.shape}",
        )
    decides = network.decision
    if decides is Decision.POTENTIAL:
        problems.require(
            not last.fires,
            f"a decision by potential needs a last layer that never fires; {last.name!r} does: set its fires to "
            f"false, or decide by count",
        )
    elif decides is Decision.COUNT:
        problems.require(
            last.fires,
            f"a decision by count needs a last layer that fires; {last.name!r} never does: decide by potential",
        )
    if decides is not Decision.NONE:
        problems.require(
            last.shape.flat,
            f"layer {last.name!r}: to decide between classes the last layer must have one place only, not "
            f"{last.shape}: make it flat, or set the decision to none",
        )
    return all(widths)


def _check_order(network: "Network", problems: Problems) -> None:
    """Every source must be the input or an earlier layer; a loop is reported as what it is."""
    position = {layer.name: index for index, layer in enumerate(network.layers)}
    sources = {layer.name: [connection.source for connection in layer.connections] for layer in network.layers}
    loops: set[frozenset[str]] = set()
    for index, layer in enumerate(network.layers):
        known = f"the input or an earlier layer ({', '.join([INPUT, *list(position)[:index]])})"
        for source in sources[layer.name]:
            if source == INPUT or position.get(source, index) < index:
                continue
            about = f"layer {layer.name!r}: "
            if not problems.require(source in position, f"{about}source must be {known}, not {source!r}"):
                continue
            loop = _path(sources, source, layer.name)
            if loop is None:
                problems.require(
                    False,
                    f"{about}its source {source!r} comes later; source must be {known}: list {source!r} before it",
                )
            elif frozenset(loop) not in loops:
                loops.add(frozenset(loop))
                problems.require(
                    False,
                    f"{about}a cycle within a timestep, {' -> '.join([*loop, loop[0]])}: spikes reach the next layers "
                    f"in the same timestep, so a layer cannot wait for itself; remove one of these connections",
                )


def _path(sources: dict[str, list[str]], start: str, goal: str) -> list[str] | None:
    """Layers from `goal` to `start` along the connections, if `start` depends on `goal`."""
    paths: list[list[str]] = [[start]]
    seen = {start}
    while paths:
        path = paths.pop()
        if path[-1] == goal:
            return path[::-1]
        for source in sources.get(path[-1], []):
            if source not in seen:
                seen.add(source)
                paths.append([*path, source])
    return None


def _check_neurons(network: "Network", layer: Layer, problems: Problems) -> None:
    low, high = network.potential_range
    about = f"layer {layer.name!r}: "
    subtracts = layer.reset_mode is ResetMode.SUBTRACT
    for name, smallest, largest, way_out in (
        ("threshold", 1, high, "at 0 or less it fires without input; above, raise potential_bits"),
        ("leak_shift", 0, MAX_LEAK_SHIFT, "0 means no leak"),
        ("preload", low, high, "raise potential_bits or lower it"),
        (
            "reset_amount",
            0 if subtracts else low,
            high,
            "what is subtracted cannot be negative, and both must fit in potential_bits",
        ),
    ):
        value = getattr(layer, name)
        problems.require(
            smallest <= value <= largest, f"{about}{name} must be from {smallest} to {largest}, not {value} ({way_out})"
        )
    if layer.reset_mode is ResetMode.EVERY_TIMESTEP:
        problems.require(
            layer.leak_shift == 0,
            f"{about}leak_shift must be 0 where every timestep resets the potential, not {layer.leak_shift}: "
            f"there is nothing left to leak",
        )
    if layer.currents is not None:
        shapes = sorted({(layer.shape.channels,), (layer.neurons,)})
        problems.require(
            layer.currents.shape in shapes,
            f"{about}currents must have shape {' or '.join(map(str, shapes))}, one for each channel or neuron, not "
            f"{layer.currents.shape}",
        )
        _check_range(problems, f"{about}current", layer.currents, network.potential_bits, "potential_bits")
        problems.require(not layer.current_from_image, f"{about}currents and current_from_image cannot both be given")
    problems.require(
        layer.connections or layer.current_from_image or layer.currents is not None,
        f"{about}it has no connection and no current, so nothing ever reaches it",
    )


def _check_connection(network: "Network", layer: Layer, index: int, source: Shape, problems: Problems) -> None:
    connection = layer.connections[index]
    about = f"layer {layer.name!r}: the {connection.synapses.kind.replace('_', ' ')} from {connection.source!r}"
    from_input = connection.source == INPUT
    if from_input and network.image_input:
        problems.require(
            False,
            f"layer {layer.name!r}: there are no input events: the input is an image, the current of "
            f"{network.layers[0].name!r}; connect it to that layer",
        )
    if connection.static:
        problems.require(
            from_input and layer is network.layers[0],
            f"{about} cannot be static: only connections of the first layer from {INPUT!r} can be held as a current",
        )
    elif from_input and network.static_input:
        problems.require(
            False, f"{about} must be static as others from {INPUT!r} are: there are input events once only, or always"
        )
    if not problems.require(
        all(1 <= pool <= size for pool, size in zip(connection.pool, (source.height, source.width), strict=True)),
        f"{about} must pool from 1x1 to the {source.height}x{source.width} places there are, not "
        f"{connection.pool[0]}x{connection.pool[1]}",
    ):
        return
    synapses = connection.synapses
    if not problems.require(
        isinstance(synapses, Convolution | TransposedConvolution) or synapses.weights.ndim == 2,
        f"{about} must have weights of 2 axes (presynaptic, postsynaptic), not of shape {synapses.weights.shape}",
    ):
        return
    if not synapses.check(pooled(source, connection.pool), layer.shape, about, problems):
        return
    if problems.require(
        np.issubdtype(synapses.weights.dtype, np.integer), f"{about} must have integer weights: quantise it first"
    ):
        what = f"layer {layer.name!r}: weight from {connection.source!r}"
        _check_range(problems, what, synapses.weights, network.weight_bits, "weight_bits")


def _check_payloads(network: "Network", problems: Problems) -> None:
    """What a graded layer can emit must fit in a payload."""
    for layer in network.layers:
        if not layer.graded:
            continue
        about = f"layer {layer.name!r}: "
        problems.require(layer.fires, f"{about}a graded layer must fire")
        if not problems.require(
            layer.reset_mode is ResetMode.EVERY_TIMESTEP,
            f"{about}a graded layer must reset in every timestep: otherwise nothing bounds what its events carry",
        ):
            continue
        reach = payload_bound(network, layer.name)
        problems.require(
            reach <= network.largest_payload,
            f"{about}its events may carry {reach}, more than the {network.largest_payload} of payload_bits = "
            f"{network.payload_bits}: raise payload_bits to {max(1, reach.bit_length())}, or lower the weights",
        )
        problems.require(
            layer.threshold >= 1 << network.fraction_bits,
            f"{about}threshold must be at least {1 << network.fraction_bits}, the unit of the weights, not "
            f"{layer.threshold}: an event cannot carry less than 1",
        )


def _require_integer(problems: Problems, about: str, thing: object, name: str) -> None:
    """`thing.name` must be an integer; one of NumPy's becomes Python's, so that equal networks have equal digests."""
    value = getattr(thing, name)
    if problems.require(
        isinstance(value, (int, np.integer)) and not isinstance(value, bool),
        f"{about}{name} must be an integer, not {value!r}",
    ):
        object.__setattr__(thing, name, int(value))


def _require_shape(problems: Problems, about: str, shape: object) -> None:
    if not problems.require(isinstance(shape, Shape), f"{about} must be a Shape, not {shape!r}"):
        return
    assert isinstance(shape, Shape)
    for name, largest in (("channels", MAX_CHANNELS), ("height", MAX_PLACES), ("width", MAX_PLACES)):
        _require_integer(problems, f"{about}: ", shape, name)
        value = getattr(shape, name)
        if isinstance(value, int):
            problems.require(1 <= value <= largest, f"{about}: {name} must be from 1 to {largest}, not {value}")


def _check_range(problems: Problems, what: str, values: NDArray[Any], bits: int, knob: str) -> None:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    wrong: Iterable[Any] = np.argwhere((values < low) | (values > high))
    wrong = list(wrong)
    if wrong:
        shown = ", ".join(f"{values[tuple(at)]} at {tuple(int(i) for i in at)}" for at in wrong[:3])
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        problems.require(
            False,
            f"{what} must be from {low} to {high} ({bits} signed bits): {shown}{more}; raise {knob} "
            f"or rescale the layer",
        )
