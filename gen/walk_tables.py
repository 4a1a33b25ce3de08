"""How the events of a connection find the words they walk: tables and steps (`docs/walks.md`)."""

from dataclasses import dataclass

from hillock.sim.layout import Layout, axis_hits, tap_words
from hillock.sim.network import Connection, Dense, Pair, Shape, Synapses, TransposedConvolution, pooled

__all__ = ["Entry", "Walk", "kernel_places", "tap_starts", "walk_of"]


@dataclass(frozen=True)
class Entry:
    """An entry of a table: what it adds to the first synapse word and potential word, and how many rows or columns."""

    synapse: int
    potential: int
    count: int


@dataclass(frozen=True)
class Walk:
    """How the events of one connection walk, wherever connection and layer lie.

    The steps and tables are those of `registers.CONNECTION_RECORD`; steps may be negative. `channels` is None where
    the channel of an event is added to its synapse word.
    """

    words: int
    synapse_words: int
    column_step: int
    row_step: int
    synapse_step: int
    synapse_column_step: int
    synapse_row_step: int
    rows: tuple[Entry, ...]
    columns: tuple[Entry, ...]
    channels: tuple[Entry, ...] | None


def kernel_places(synapses: Synapses, target: Layout) -> int:
    """R, the places of a kernel row as the words of a tap see them; 1 for dense synapses."""
    if isinstance(synapses, Dense):
        return 1
    step = 1 if isinstance(synapses, TransposedConvolution) else synapses.stride[1]
    return synapses.kernel[1] + step * (target.columns - 1)


def tap_starts(synapses: Synapses, source: Shape, target: Layout, words: int) -> list[int]:
    """The first of the `words` channel words that an event of each source channel walks at a place.

    It is the first that holds a channel of its group, or so much earlier that the walk does not leave the place.
    """
    if isinstance(synapses, Dense):
        return [0] * source.channels
    from_group, to_group = (channels // synapses.groups for channels in (source.channels, target.shape.channels))
    firsts = (channel // from_group * to_group // target.channels for channel in range(source.channels))
    return [min(first, target.channel_words - words) for first in firsts]


def walk_of(connection: Connection, source: Shape, target: Layout) -> Walk:
    """Tables and steps of a connection from a grid `source` (before pooling) to a layer.

    Counts fit in their 8 bits: along one axis a place reaches no more targets than a kernel is long.
    """
    synapses = connection.synapses
    words = tap_words(connection, target)
    hits = [axis_hits(connection, axis, source, target.shape) for axis in range(2)]
    if isinstance(synapses, Dense):
        left = pooled(source, connection.pool)
        steps = (left.width * left.channels, left.channels)
        tables = [
            tuple(Entry(at // pool * step, 0, 1) if pairs else Entry(0, 0, 0) for at, pairs in enumerate(places))
            for places, pool, step in zip(hits, connection.pool, steps, strict=True)
        ]
        return Walk(words, words * left.neurons, 0, 0, left.neurons, 0, 0, tables[0], tables[1], None)

    places, tap = kernel_places(synapses, target), words * source.channels
    row_words = target.column_words * target.channel_words
    # From a target row, or column word, to the next the place in the kernel moves so far.
    if isinstance(synapses, TransposedConvolution):
        row_move, column_move = 1, target.columns
    else:
        row_move, column_move = -synapses.stride[0], -synapses.stride[1] * target.columns

    def row(pairs: list[Pair]) -> Entry:
        first, kernel_row = pairs[0]
        return Entry(kernel_row * places * tap, first * row_words, len(pairs))

    def column(pairs: list[Pair]) -> Entry:
        first, kernel_column = pairs[0]
        word, offset = divmod(first, target.columns)
        if isinstance(synapses, TransposedConvolution):
            place = kernel_column + target.columns - 1 - offset
        else:
            place = kernel_column + synapses.stride[1] * offset
        return Entry(place * tap, word * target.channel_words, pairs[-1][0] // target.columns - word + 1)

    nothing = Entry(0, 0, 0)
    starts = tap_starts(synapses, source, target, words)
    return Walk(
        words=words,
        synapse_words=synapses.kernel[0] * places * tap,
        column_step=target.channel_words - words + 1,
        row_step=row_words,
        synapse_step=source.channels,
        synapse_column_step=column_move * tap - (words - 1) * source.channels,
        synapse_row_step=row_move * places * tap,
        rows=tuple(row(pairs) if pairs else nothing for pairs in hits[0]),
        columns=tuple(column(pairs) if pairs else nothing for pairs in hits[1]),
        channels=tuple(Entry(channel, start, 0) for channel, start in enumerate(starts))
        if synapses.groups > 1
        else None,
    )
