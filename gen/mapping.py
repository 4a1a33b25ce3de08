"""Placing a network on a core: what does not fit is reported, and the smallest core that holds it is found."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hillock.hw.config import RANGES, CoreConfig
from hillock.hw.problems import HillockError, Problems
from hillock.sim.layer import ResetMode
from hillock.sim.network import INPUT, Decision, Network
from hillock.sim.plan import Plan

from .layouts import ACTIVITY, Activity, Layouts, choose_layouts
from .places import ConnectionPlace, LayerPlace, Need, arrange
from .walk_tables import Entry

__all__ = ["ConnectionPlace", "LayerPlace", "Placement", "fit", "place"]


@dataclass(frozen=True, eq=False)
class Placement:
    """A network, a core, and where each layer and connection of the one lies in the other.

    `connections` are in the order of `network.walks()`; `tables` are what the tables of the core hold, by name.
    """

    network: Network
    config: CoreConfig
    layers: tuple[LayerPlace, ...]
    connections: tuple[ConnectionPlace, ...]
    tables: Mapping[str, list[Entry]]

    @property
    def plan(self) -> Plan:
        """What a simulation must know of it."""
        return Plan(self.network, self.config, tuple(layer.layout for layer in self.layers))

    @property
    def has_two_images(self) -> bool:
        """Whether there is room for the next image, behind that of the inference under way."""
        return self.network.image_input and self.config.image_banks == 2


def place(
    network: Network, config: CoreConfig, layouts: Layouts | None = None, activity: Activity = ACTIVITY
) -> Placement:
    """Place `network` on a core; everything that does not fit is reported together as a `HillockError`.

    Parameters
    ----------
    layouts : (channels, columns) in a word, by name of the layer
        For layers whose layout is not to be chosen.
    activity : events per neuron and timestep, of all sources or by name
        What the choice of layouts assumes.
    """
    problems = _about(network, config.lanes)
    chosen = choose_layouts(
        network,
        config.lanes,
        config.columns_per_word,
        layouts or {},
        activity,
        problems,
        output_ascends=bool(config.passes_on),
    )
    arranged = arrange(network, chosen, with_tables=config.tables, images=config.image_banks)
    for name in ("potential_bits", "fraction_bits"):
        wanted, given = getattr(network, name), getattr(config, name)
        problems.require(
            wanted == given,
            f"{name} of the network is {wanted}, of the core {given}: generate the core with the network's",
        )
    problems.require(
        network.weight_bits <= config.weight_bits,
        f"weights of {network.weight_bits} bits do not fit in weight_bits = {config.weight_bits}",
    )
    problems.require(
        network.payload_bits <= config.payload_bits,
        f"events that carry {network.payload_bits} bits do not fit in payload_bits = {config.payload_bits}",
    )
    _check_input(network, config, problems)
    _check_layers(network, config, problems)
    for layer, where in zip(network.layers, arranged.layers, strict=True):
        problems.require(
            not config.compact or not layer.connections or where.layout.channel_words > 1,
            f"layer {layer.name!r}: a compact core walks two potential words at least, and its {layer.neurons} neurons "
            f"fit in one: generate a core of fewer lanes, or one that is not compact",
        )
        problems.require(
            not config.compact or where.layout.channel_words == 1 or where.layout.channels == config.lanes,
            f"layer {layer.name!r}: a compact core has a channel in every lane, not {where.layout.channels} in a word: "
            f"give no layout, or generate a core that is not compact",
        )
    for field, (needed, what) in (arranged.needs | _needs(network)).items():
        available = getattr(config, field)
        problems.require(
            needed <= available,
            f"{needed} {what} are {needed - available} more than {field} = {available}: generate a larger core, or "
            f"make the network smaller",
        )
    problems.raise_any()
    return Placement(network, config, arranged.layers, arranged.connections, arranged.tables)


def fit(
    network: Network, lanes: int, *, layouts: Layouts | None = None, activity: Activity = ACTIVITY, **sizes: int
) -> CoreConfig:
    """The smallest core of this many lanes that holds `network`; `sizes` overrides single fields.

    `layouts` and `activity` are those of `place`, which must be given the same. Raises a `HillockError` when no core
    can hold it.
    """
    bare = CoreConfig(lanes=lanes)
    problems = _about(network, lanes)
    widest = sizes.get("columns_per_word", lanes)
    chosen = choose_layouts(
        network, lanes, widest, layouts or {}, activity, problems, output_ascends=bool(sizes.get("passes_on", 0))
    )
    problems.raise_any()
    arranged = arrange(network, chosen, with_tables=sizes.get("row_entries", 0) > 0, images=sizes.get("image_banks", 1))
    compact = bool(sizes.get("compact", 0))
    fields = {
        **{field: max(RANGES[field][0], needed) for field, (needed, _) in (arranged.needs | _needs(network)).items()},
        "weight_bits": max(4, network.weight_bits),
        "potential_bits": network.potential_bits,
        "fraction_bits": network.fraction_bits,
        "payload_bits": network.payload_bits,
        "current_bits": _current_bits(network),
        "leak_shift_bits": max(0 if compact else 3, *(layer.leak_shift.bit_length() for layer in network.layers)),
        "columns_per_word": max(layout.columns for layout in chosen),
        "static_input": int(network.static_input),
    }
    try:
        config = replace(bare, **{**fields, **sizes})
    except HillockError as error:
        raise HillockError(f"no core of {lanes} lanes can hold network {network.name!r}: {error}") from None
    place(network, config, layouts, activity)
    return config


def _about(network: Network, lanes: int) -> Problems:
    return Problems(f"network {network.name!r} on a core of {lanes} lanes")


def _needs(network: Network) -> dict[str, Need]:
    """What a core needs wherever the network lies."""
    outputs = network.layers[-1].neurons if network.decision is Decision.COUNT else 0
    return {"classes": (outputs, "output neurons")}


def _current_bits(network: Network) -> int:
    """Bits that hold every current."""
    bits = [2]
    if network.image_input:
        bits.append(9)
    if network.static_input:
        bits.append(network.potential_bits)
    for layer in network.layers:
        if layer.currents is not None:
            bits += [int(value).bit_length() + 1 for value in (layer.currents.max(), ~layer.currents.min())]
    return max(bits)


def _check_input(network: Network, config: CoreConfig, problems: Problems) -> None:
    """What comes from outside comes once, so one connection takes it."""
    takers = [network.layers[index].name for index, connection in network.walks() if connection.source == INPUT]
    problems.require(
        network.image_input or takers,
        f"nothing takes its input events: connect a layer to {INPUT!r}, or feed the first by an image",
    )
    problems.require(
        len(takers) <= 1,
        f"its input events are taken {len(takers)} times, by {', '.join(map(repr, takers))}: they come from outside "
        f"once; connect one layer to {INPUT!r}, and the others to a layer that passes its events on",
    )
    problems.require(
        network.timesteps < 1 << config.timestep_bits,
        f"{network.timesteps:,} timesteps are more than the {(1 << config.timestep_bits) - 1} of a compact core: "
        f"generate one that is not compact",
    )
    problems.require(
        not config.compact or network.decision is not Decision.POTENTIAL,
        "the highest potential decides: generate a core that is not compact",
    )
    problems.require(
        network.image_input or config.input_queue, "its input are events: generate a core with an input_queue"
    )
    problems.require(
        not network.static_input or config.static_input, "its input is static: generate a core with static_input = 1"
    )


def _check_layers(network: Network, config: CoreConfig, problems: Problems) -> None:
    """What the values of each layer ask of the core."""
    limit = (1 << config.leak_shift_bits) - 1
    largest = (1 << (config.current_bits - 1)) - 1
    for layer in network.layers:
        about = f"layer {layer.name!r}: "
        problems.require(
            layer.leak_shift <= limit,
            f"{about}leak_shift must be at most {limit}, not {layer.leak_shift}: raise leak_shift_bits",
        )
        problems.require(
            not config.compact or layer.reset_mode is ResetMode.SUBTRACT or layer.reset_amount == 0,
            f"{about}a compact core resets to 0, not to {layer.reset_amount}: generate one that is not compact",
        )
        if layer.currents is not None:
            low, high = int(layer.currents.min()), int(layer.currents.max())
            problems.require(
                max(high, ~low) <= largest,
                f"{about}currents from {low} to {high} do not fit in current_bits = {config.current_bits}",
            )
        if layer.current_from_image:
            problems.require(
                config.current_bits >= 9,
                f"{about}pixels up to 255 do not fit in current_bits = {config.current_bits}: at least 9",
            )
