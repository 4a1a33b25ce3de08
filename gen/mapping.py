"""Where the neurons and synapses of a network lie in the memories of a core."""

from dataclasses import dataclass, replace

from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError, Problems
from hillock.sim.network import INPUT, Decision, Network

__all__ = ["LayerPlace", "Placement", "fit", "place"]


@dataclass(frozen=True)
class LayerPlace:
    """Where one layer lies: its potential (and current) words, its synapse words, and what feeds it.

    The synapse word of presynaptic address `a` and potential word `n` (counted from 0) is
    `synapse_base + n * inputs + a`: the walk of an event needs an addition for each word and no multiplication.
    """

    words: int
    last_lanes: int
    potential_base: int
    synapse_base: int
    inputs: int

    @property
    def synapse_words(self) -> int:
        """Synapse words of the layer."""
        return self.words * self.inputs


@dataclass(frozen=True, eq=False)
class Placement:
    """A network, a core, and where each layer of the one lies in the other."""

    network: Network
    config: CoreConfig
    layers: tuple[LayerPlace, ...]


def place(network: Network, config: CoreConfig) -> Placement:
    """Place `network` on a core; everything that does not fit is reported together as a `HillockError`."""
    problems = Problems(f"network {network.name!r} on a core of {config.lanes} lanes")
    for name, way_out in (
        ("potential_bits", "generate the core with the network's"),
        ("fraction_bits", "generate the core with the network's"),
    ):
        wanted, given = getattr(network, name), getattr(config, name)
        problems.require(wanted == given, f"{name} of the network is {wanted}, of the core {given}: {way_out}")
    problems.require(
        network.weight_bits <= config.weight_bits,
        f"weights of {network.weight_bits} bits do not fit in weight_bits = {config.weight_bits}",
    )
    places = []
    potential_base = synapse_base = 0
    for index, layer in enumerate(network.layers):
        about = f"layer {layer.name!r}: "
        sources = [connection.source for connection in layer.connections]
        if index > 0:
            before = network.layers[index - 1].name
            problems.require(
                sources == [before],
                f"{about}a core runs a chain: it must be connected to {before!r} alone, not to {sources}",
            )
        else:
            problems.require(
                layer.current_from_image or sources == [INPUT],
                f"{about}the first layer must take the image as current, or be connected to {INPUT!r}",
            )
            problems.require(not (layer.current_from_image and sources), f"{about}an image layer has no connections")
        inputs = layer.connections[0].synapses.weights.shape[0] if layer.connections else 0
        words = config.words(layer.neurons)
        place_ = LayerPlace(words, layer.neurons - (words - 1) * config.lanes, potential_base, synapse_base, inputs)
        potential_base += words
        synapse_base += place_.synapse_words
        places.append(place_)
        limit = (1 << config.leak_shift_bits) - 1
        problems.require(
            layer.leak_shift <= limit,
            f"{about}leak_shift must be at most {limit}, not {layer.leak_shift}: raise leak_shift_bits",
        )
        for what, count in (("neurons", layer.neurons), ("inputs", inputs)):
            problems.require(
                count <= config.max_neurons, f"{about}{count} {what} are more than max_neurons = {config.max_neurons}"
            )
        if layer.currents is not None:
            largest = (1 << (config.current_bits - 1)) - 1
            worst = max(layer.currents.max(), -layer.currents.min() - 1)
            problems.require(
                worst <= largest,
                f"{about}currents from {layer.currents.min()} to {layer.currents.max()} do not fit in "
                f"current_bits = {config.current_bits}",
            )
        if layer.current_from_image:
            problems.require(
                config.current_bits >= 9,
                f"{about}pixels up to 255 do not fit in current_bits = {config.current_bits}: at least 9",
            )
    for needed, name, what in (
        (len(network.layers), "max_layers", "layers"),
        (potential_base, "potential_words", "potential words"),
        (synapse_base, "synapse_words", "synapse words"),
        (network.layers[-1].neurons if network.decision is Decision.COUNT else 0, "classes", "output neurons"),
    ):
        available = getattr(config, name)
        problems.require(
            needed <= available,
            f"{needed} {what} are {needed - available} more than {name} = {available}: generate a larger "
            f"core, or make the network smaller",
        )
    problems.raise_any()
    return Placement(network, config, tuple(places))


def fit(network: Network, lanes: int, **sizes: int) -> CoreConfig:
    """The smallest core of this many lanes that holds `network`; `sizes` overrides single fields.

    Raises a `HillockError` when no core can hold it.
    """
    largest = max(max(layer.neurons for layer in network.layers), network.inputs)
    currents = [9] if network.image_input else [2]
    for layer in network.layers:
        if layer.currents is not None:
            currents += [int(value).bit_length() + 1 for value in (layer.currents.max(), ~layer.currents.min())]
    bare = CoreConfig(lanes=lanes)
    words = [bare.words(layer.neurons) for layer in network.layers]
    inputs = [layer.connections[0].synapses.weights.shape[0] if layer.connections else 0 for layer in network.layers]
    fields = {
        "lanes": lanes,
        "weight_bits": max(4, network.weight_bits),
        "potential_bits": network.potential_bits,
        "fraction_bits": network.fraction_bits,
        "current_bits": max(currents),
        "leak_shift_bits": max(3, *(layer.leak_shift.bit_length() for layer in network.layers)),
        "max_layers": len(network.layers),
        "max_neurons": largest,
        "potential_words": sum(words),
        "synapse_words": max(1, sum(word * count for word, count in zip(words, inputs, strict=True))),
        "classes": network.layers[-1].neurons if network.decision is Decision.COUNT else 1,
    }
    try:
        config = replace(bare, **{**fields, **sizes})
    except HillockError as error:
        raise HillockError(f"no core of {lanes} lanes can hold network {network.name!r}: {error}") from None
    place(network, config)
    return config
