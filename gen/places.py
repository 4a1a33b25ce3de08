"""Where each layer and connection of a network lies, one behind the other, and what a core must have for that."""

from dataclasses import dataclass, field

from hillock.sim.layout import Layout
from hillock.sim.network import Dense, Layer, Network

from .walk_tables import Entry, Walk, walk_of

__all__ = ["Arrangement", "ConnectionPlace", "LayerPlace", "Need", "arrange"]


@dataclass(frozen=True)
class LayerPlace:
    """Where one layer lies: its layout, its potential and current words, and where its spikes go.

    The current of its potential word n is current word `current_base` (step 0), `current_base` + the channel word of n
    (step 1), or `current_base + n` (step 2). Static input is added to the current at `load_base + n` and then held
    at `current_base + n`; None without.

    `feeds_next`: the next walk takes its spikes from the queue. Later walks take them from the replay memory, where
    they are at `replay_base`; None when there are no such walks.
    """

    layout: Layout
    potential_base: int
    current_base: int
    current_step: int
    load_base: int | None
    replay_base: int | None
    feeds_next: bool
    is_output: bool

    @property
    def is_kept(self) -> bool:
        """Whether its spikes are written to the replay memory."""
        return self.replay_base is not None


@dataclass(frozen=True)
class ConnectionPlace:
    """Where one connection lies, and how its events walk.

    `source` is the index of a layer, None for the input. `replay_base` is where the spikes of the source are in the
    replay memory, None when they come from the queue or from outside. The other bases are the first synapse word and
    the first entries of the tables.
    """

    walk: Walk
    source: int | None
    replay_base: int | None
    synapse_base: int
    row_base: int
    column_base: int
    channel_base: int


Need = tuple[int, str]
"""How many a core must have at least, and of what."""


@dataclass(frozen=True, eq=False)
class Arrangement:
    """All places of a network: `connections` in the order of `network.walks()`.

    `tables` are the entries of the walk tables by name, all empty for a core without. `needs` says what a core must
    have at least, by the field of `CoreConfig`.
    """

    layers: tuple[LayerPlace, ...]
    connections: tuple[ConnectionPlace, ...]
    tables: dict[str, list[Entry]]
    needs: dict[str, Need]


def arrange(network: Network, layouts: tuple[Layout, ...], *, with_tables: bool, images: int = 1) -> Arrangement:
    """Place every layer and connection behind the one before.

    A core without tables runs dense connections between layers of one place; `with_tables` says that there are tables
    all the same. `images` is how many input images the current memory holds.
    """
    grids = [("the input", network.input), *((f"layer {layer.name!r}", layer.shape) for layer in network.layers)]
    with_tables |= any(not shape.flat for _, shape in grids)
    with_tables |= any(not isinstance(connection.synapses, Dense) for _, connection in network.walks())

    position = {layer.name: index for index, layer in enumerate(network.layers)}
    replay, replay_words = _replay_regions(network, layouts)
    tables = _Tables()
    connections = []
    synapse_words = 0
    for index, layer in enumerate(network.layers):
        for number, connection in enumerate(layer.connections):
            source = position.get(connection.source)
            walk = walk_of(connection, network.shape_of(connection.source), layouts[index])
            replays = source is not None and not _takes_queue(index, number, source)
            connections.append(
                ConnectionPlace(
                    walk=walk,
                    source=source,
                    replay_base=replay[source] if source is not None and replays else None,
                    synapse_base=synapse_words,
                    row_base=tables.add("rows", walk.rows) if with_tables else 0,
                    column_base=tables.add("columns", walk.columns) if with_tables else 0,
                    channel_base=tables.add("channels", walk.channels) if walk.channels else 0,
                )
            )
            synapse_words += walk.synapse_words
    layers, current_words = _place_layers(network, layouts, replay, images)

    def largest(values: list[tuple[str, int]], what: str) -> Need:
        name, value = max(values, key=lambda item: item[1])
        return value, f"{what} of {name}"

    words = [(f"layer {layer.name!r}", layout.words) for layer, layout in zip(network.layers, layouts, strict=True)]
    needs: dict[str, Need] = {
        "max_layers": (len(layers), "layers"),
        "max_connections": (len(connections), "connections"),
        "max_channels": largest([(name, shape.channels) for name, shape in grids], "channels"),
        "max_height": largest([(name, shape.height) for name, shape in grids], "rows"),
        "max_width": largest([(name, shape.width) for name, shape in grids], "columns"),
        "potential_words": (sum(count for _, count in words), "potential words"),
        "synapse_words": (synapse_words, "synapse words"),
        "current_words": (current_words, "current words"),
        "queue_words": largest(words, "words"),
        "replay_words": (replay_words, "words of spikes kept for later layers"),
        "row_entries": (max(int(with_tables), len(tables.entries["rows"])), "entries of the row table"),
        "column_entries": (max(int(with_tables), len(tables.entries["columns"])), "entries of the column table"),
        "channel_entries": (len(tables.entries["channels"]), "entries of the channel table"),
    }
    return Arrangement(layers, tuple(connections), tables.entries, needs)


@dataclass
class _Tables:
    """The tables of all connections in one; equal ones are there once."""

    entries: dict[str, list[Entry]] = field(default_factory=lambda: {"rows": [], "columns": [], "channels": []})
    bases: dict[tuple[str, tuple[Entry, ...]], int] = field(default_factory=dict)

    def add(self, name: str, table: tuple[Entry, ...]) -> int:
        """The index of the first entry of `table` in the table called `name`."""
        base = self.bases.setdefault((name, table), len(self.entries[name]))
        if base == len(self.entries[name]):
            self.entries[name] += table
        return base


def _takes_queue(layer: int, number: int, source: int) -> bool:
    """Whether connection `number` of a layer takes the spikes of layer `source` from the queue.

    The queue holds the spikes of one layer, so it is the first walk after that layer fired and before another does.
    """
    return number == 0 and source == layer - 1


def _replay_regions(network: Network, layouts: tuple[Layout, ...]) -> tuple[dict[int, int], int]:
    """(first word in the replay memory of every layer that is kept there, words of the memory).

    A region is in use from the fire pass of its layer to the last walk that reads it, which is before the fire pass
    of the layer that walks. Each takes the first gap between those that are in use when it begins.
    """
    position = {layer.name: index for index, layer in enumerate(network.layers)}
    last_reader: dict[int, int] = {}
    for index, layer in enumerate(network.layers):
        for number, connection in enumerate(layer.connections):
            source = position.get(connection.source)
            if source is not None and not _takes_queue(index, number, source):
                last_reader[source] = index
    bases: dict[int, int] = {}
    end = 0
    for index in sorted(last_reader):
        base = 0
        in_use = sorted((bases[other], other) for other in bases if last_reader[other] > index)
        for start, other in in_use:
            if base + layouts[index].words <= start:
                break
            base = start + layouts[other].words
        bases[index] = base
        end = max(end, base + layouts[index].words)
    return bases, end


def _place_layers(
    network: Network, layouts: tuple[Layout, ...], replay: dict[int, int], images: int
) -> tuple[tuple[LayerPlace, ...], int]:
    """(places of the layers, words of current memory); layers without a current share one word of zeros."""
    places = []
    potential_base = currents = 0
    zero: int | None = None
    for index, (layer, layout) in enumerate(zip(network.layers, layouts, strict=True)):
        step, words = _current_words(layer, layout)
        current_base, load_base = currents, None
        if layer.static:
            load_base, current_base = currents, currents + layout.words
            words *= 2
        elif layer.current_from_image:
            words *= images
        elif step == 0:
            if zero is None:
                zero = currents
            else:
                current_base, words = zero, 0
        followed = network.layers[index + 1 : index + 2]
        places.append(
            LayerPlace(
                layout=layout,
                potential_base=potential_base,
                current_base=current_base,
                current_step=step,
                load_base=load_base,
                replay_base=replay.get(index),
                feeds_next=any(other.connections and other.connections[0].source == layer.name for other in followed),
                is_output=not followed,
            )
        )
        potential_base += layout.words
        currents += words
    return tuple(places), currents


def _current_words(layer: Layer, layout: Layout) -> tuple[int, int]:
    """(step, words) of the currents of a layer, without those that static input begins from."""
    if layer.static or layer.current_from_image:
        return 2, layout.words
    if layer.currents is None or not layer.currents.any():
        return 0, 1
    if len(layer.currents) == layer.shape.channels:
        return 1, layout.channel_words
    return 2, layout.words
