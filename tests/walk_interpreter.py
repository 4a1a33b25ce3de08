"""The walks of a core in plain Python, from memory images alone: what the gateware does with records and tables.

It is given bytes and the register tables, never a network or a placement.
"""

from collections.abc import Iterator

from hillock.gen.image import Images
from hillock.hw.config import CoreConfig
from hillock.hw.registers import CONNECTION_RECORD, LANE_ENTRY, LAYER_RECORD, TABLE_ENTRY, Record, field_width

Place = tuple[int, int, int]
"""(y, x, channel)."""


class Core:
    """What a core of `config` holds after `images` were loaded: `layers` and `connections` are records by field."""

    def __init__(self, images: Images, config: CoreConfig):
        self.config = config
        self._words = {memory.name: memory.words() for memory in images}
        self.layers = [self._fields(LAYER_RECORD, word) for word in self._words["layers"]]
        self.connections = [self._fields(CONNECTION_RECORD, word) for word in self._words["connections"]]
        self.lane_bits = max(1, (config.lanes - 1).bit_length())

    def _fields(self, record: Record, word: int) -> dict[str, int]:
        values = {}
        for position, field in record:
            width = field_width(field, self.config)
            value = word >> (32 * position + field.low) & ((1 << width) - 1)
            values[field.name] = value - (1 << width) if field.signed and value >> (width - 1) else value
        return values

    def _entry(self, table: str, index: int) -> dict[str, int]:
        return self._fields(TABLE_ENTRY, self._words[table][index])

    def walk(self, layer: int, connection: int, event: Place) -> list[tuple[int, int]]:
        """(potential word, synapse word) of every operation of an event, by index in both memories."""
        record, y, x, channel = self.connections[connection], *event
        rows = columns = 1
        potential, synapse = self.layers[layer]["potential_base"], record["synapse_base"]
        if self.config.tables:
            row = self._entry("rows", record["row_base"] + y)
            column = self._entry("columns", record["column_base"] + x)
            rows, columns = row["count"], column["count"]
            potential += row["potential"] + column["potential"]
            synapse += row["synapse"] + column["synapse"]
        if record["by_channel"]:
            entry = self._entry("channels", record["channel_base"] + channel)
            potential += entry["potential"]
            synapse += entry["synapse"]
        else:
            synapse += channel
        operations = []
        for _ in range(rows if columns else 0):
            row_start = potential, synapse
            for _ in range(columns):
                for word in range(record["words"]):
                    operations.append((potential, synapse))
                    last = word == record["words"] - 1
                    potential += record["column_step"] if last else 1
                    synapse += record["synapse_column_step" if last else "synapse_step"]
            potential, synapse = row_start[0] + record["row_step"], row_start[1] + record["synapse_row_step"]
        potentials, synapses = (
            1 << max(1, (words - 1).bit_length()) for words in (self.config.potential_words, self.config.synapse_words)
        )
        return [(word % potentials, other % synapses) for word, other in operations]

    def weights(self, synapse_word: int) -> list[int]:
        """The weight of every lane."""
        return self._lanes("synapses", synapse_word, self.config.weight_bits)

    def current(self, layer: int, word: int) -> list[int]:
        """The currents of potential word `word` of a layer, counted from 0."""
        record = self.layers[layer]
        index = {0: 0, 1: word % record["channel_words"], 2: word}[record["current_step"]]
        return self._lanes("currents", record["current_base"] + index, self.config.current_bits)

    def load(self, layer: int, word: int) -> list[int]:
        """What static input is added to: the current before it."""
        return self._lanes("currents", self.layers[layer]["load_base"] + word, self.config.current_bits)

    def _lanes(self, memory: str, index: int, width: int) -> list[int]:
        word = self._words[memory][index]
        values = [word >> (lane * width) & ((1 << width) - 1) for lane in range(self.config.lanes)]
        return [value - (value >> (width - 1) << width) for value in values]

    def neurons(self, layer: int) -> Iterator[tuple[int, int, Place]]:
        """(potential word, lane, place of the neuron) of every neuron that fires, in the order of a fire pass."""
        record = self.layers[layer]
        word = record["potential_base"]
        for y in range(record["rows"]):
            for column_word in range(record["column_words"]):
                for channel_word in range(record["channel_words"]):
                    if record["end_is_column"]:
                        is_end = column_word == record["column_words"] - 1
                    else:
                        is_end = channel_word == record["channel_words"] - 1
                    for lane in range(record["end_lanes" if is_end else "used_lanes"]):
                        column, channel = 0, lane
                        if self.config.column_lanes:
                            index = layer << self.lane_bits | lane
                            entry = self._fields(LANE_ENTRY, self._words["lanes"][index])
                            column, channel = entry["column"], entry["channel"]
                        x = column_word * record["columns"] + column
                        yield word, lane, (y, x, channel_word * record["channels"] + channel)
                    word += 1
