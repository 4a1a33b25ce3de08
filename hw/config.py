"""The sizes and widths that are fixed when a core is generated. Plain Python: the golden model reads it too."""

from dataclasses import asdict, dataclass

from .problems import Problems

__all__ = ["ADDER_BITS", "RANGES", "REGION_SHIFT", "CoreConfig"]

ADDER_BITS = 32
"""Width of the adders of a compact core, see `adder`."""

REGION_SHIFT = 22
"""Every region of the bus is a window of `1 << REGION_SHIFT` addresses."""

RANGES = {
    "lanes": (1, 128, "weights added per clock cycle"),
    "weight_bits": (4, 16, "width of a signed weight"),
    "potential_bits": (4, 32, "width of a signed membrane potential"),
    "fraction_bits": (0, 15, "bits of the potential below the weight's unit"),
    "current_bits": (2, 32, "width of a signed current"),
    "payload_bits": (1, 8, "width of what an event carries; 1: events count 1, and there are no multipliers"),
    "leak_shift_bits": (0, 5, "width of the leak shift; 3 allows shifts 1 to 7; 0: a core that never leaks"),
    "max_layers": (1, 256, "layers that the core takes turns at"),
    "max_connections": (1, 1024, "connections of all these layers"),
    "max_channels": (1, 1 << 17, "channels of the largest grid, of the input too"),
    "max_height": (1, 1 << 10, "rows of the largest grid"),
    "max_width": (1, 1 << 10, "columns of the largest grid"),
    "columns_per_word": (1, 128, "neighbouring columns that may share a potential word"),
    "potential_words": (1, 1 << 16, "words of potential memory, one potential per lane in each"),
    "synapse_words": (1, 1 << 18, "words of synapse memory, one weight per lane in each"),
    "current_words": (1, 1 << 16, "words of current memory, one current per lane in each"),
    "queue_words": (1, 1 << 16, "words of the largest layer whose spikes wait in a queue"),
    "replay_words": (0, 1 << 16, "spike words kept for a later layer; 0: a core that runs chains only"),
    "row_entries": (0, 1 << 14, "entries of the row table; 0: a core that runs dense connections only"),
    "column_entries": (0, 1 << 14, "entries of the column table"),
    "channel_entries": (0, 1 << 16, "entries of the channel table; 0: no grouped connections"),
    "static_input": (0, 1, "whether input can be held as a current (direct coding)"),
    "image_banks": (1, 2, "images that the currents hold: with 2 the next is loaded during an inference"),
    "passes_on": (0, 1, "whether another core comes behind: the next inference then begins without a decision"),
    "classes": (1, 1 << 12, "output neurons that have a spike counter"),
    "input_queue": (0, 1 << 12, "input words that may wait for the core, at least 4; 0: a core that only images feed"),
    "single_port": (0, 1, "whether the synapse memory has one port, for reading and writing, as large RAMs may have"),
    "compact": (
        0,
        1,
        "whether it is small rather than fast, which only a core can be that runs dense connections alone",
    ),
}
"""Of each field of `CoreConfig`: smallest value, largest value, what it is."""


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """What distinguishes one generated core from another.

    Every field is an integer with the range and meaning given in `RANGES`; all that is out of range is
    reported together as a `HillockError`. What may change between two inferences (threshold, leak shift, number of
    timesteps, ...) is a register, not a field here.
    """

    lanes: int = 16
    weight_bits: int = 8
    potential_bits: int = 16
    fraction_bits: int = 4
    current_bits: int = 16
    payload_bits: int = 1
    leak_shift_bits: int = 3
    max_layers: int = 8
    max_connections: int = 8
    max_channels: int = 1024
    max_height: int = 1
    max_width: int = 1
    columns_per_word: int = 1
    potential_words: int = 256
    synapse_words: int = 8192
    current_words: int = 256
    queue_words: int = 64
    replay_words: int = 0
    row_entries: int = 0
    column_entries: int = 0
    channel_entries: int = 0
    static_input: int = 0
    image_banks: int = 1
    passes_on: int = 0
    classes: int = 16
    input_queue: int = 32
    single_port: int = 0
    compact: int = 0

    def __post_init__(self) -> None:
        problems = Problems("core configuration")
        for name, (low, high, meaning) in RANGES.items():
            value = getattr(self, name)
            problems.require(
                isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
                f"{name} ({meaning}) must be an integer from {low} to {high}, not {value!r}",
            )
        problems.raise_any()
        product = self.weight_bits + self.fraction_bits + (self.payload_bits if self.payload_bits > 1 else 0)
        problems.require(
            product <= self.potential_bits,
            f"potential_bits must be at least weight_bits + fraction_bits (+ payload_bits where events carry more than "
            f"1) = {product}, not {self.potential_bits}: a single event would not fit in a potential",
        )
        problems.require(
            self.current_bits <= self.potential_bits,
            f"current_bits must be at most potential_bits = {self.potential_bits}, not {self.current_bits}",
        )
        problems.require(
            bool(self.row_entries) == bool(self.column_entries) and self.row_entries >= min(1, self.channel_entries),
            f"row_entries = {self.row_entries}, column_entries = {self.column_entries} and channel_entries = "
            f"{self.channel_entries}: a core has the row and the column table or neither, and a channel table only "
            f"beside them",
        )
        if not self.row_entries:
            problems.require(
                self.max_height == self.max_width == 1,
                f"max_height = {self.max_height} and max_width = {self.max_width} need a row and a column table: "
                f"give row_entries and column_entries",
            )
        problems.require(
            self.columns_per_word <= min(self.lanes, self.max_width),
            f"columns_per_word must be at most min(lanes, max_width) = {min(self.lanes, self.max_width)}, not "
            f"{self.columns_per_word}",
        )
        problems.require(
            not self.static_input or self.current_bits == self.potential_bits,
            f"with static_input current_bits must be potential_bits = {self.potential_bits}, not {self.current_bits}: "
            f"the current is integrated as a potential is",
        )
        problems.require(
            self.input_queue == 0 or self.input_queue >= 4,
            f"input_queue must be 0 or at least 4, not {self.input_queue}: a shorter queue would hold up the core",
        )
        if self.compact:
            for name, value in (
                ("row_entries", 0),
                ("replay_words", 0),
                ("static_input", 0),
                ("leak_shift_bits", 0),
                ("payload_bits", 1),
            ):
                problems.require(
                    getattr(self, name) == value, f"{name} must be {value} in a compact core, not {getattr(self, name)}"
                )
            problems.require(
                self.potential_bits < ADDER_BITS,
                f"potential_bits must be at most {ADDER_BITS - 1} in a compact core, not {self.potential_bits}",
            )
            problems.require(
                self.lanes > 1 and self.lanes.bit_count() == 1,
                f"lanes must be a power of two from 2 on in a compact core, not {self.lanes}",
            )
            problems.require(self.potential_words > 1, "potential_words must be at least 2 in a compact core, not 1")
        else:
            problems.require(
                self.leak_shift_bits, "leak_shift_bits must be at least 1, not 0, in a core that is not compact"
            )
        window = 1 << (REGION_SHIFT - self.part_bits)
        for name in ("synapse_words", "potential_words", "current_words", "channel_entries"):
            problems.require(
                getattr(self, name) <= window,
                f"{name} must be at most {window} with {self.lanes} lanes, not {getattr(self, name)}: the memory would "
                f"not fit in its window of the bus",
            )
        problems.raise_any()

    @property
    def tables(self) -> bool:
        """Whether the core has the tables that walks on grids need."""
        return self.row_entries > 0

    @property
    def grouped(self) -> bool:
        """Whether the core has the channel table."""
        return self.channel_entries > 0

    @property
    def column_lanes(self) -> bool:
        """Whether lanes may run over columns."""
        return self.columns_per_word > 1

    @property
    def lane_apart(self) -> bool:
        """Whether the lane of a spike is added where its walk begins, in one sum with the rest, and not before."""
        return not self.tables and not self.compact

    @property
    def one_word(self) -> bool:
        """Whether all potentials are one word, which the core keeps in registers."""
        return self.potential_words == 1

    @property
    def timestep_bits(self) -> int:
        """Width of a number of timesteps."""
        return 8 if self.compact else 16

    @property
    def decode_cycles(self) -> int:
        """Cycles that a token spends in the tables."""
        return 3 if self.tables else 0

    @property
    def part_bits(self) -> int:
        """Bus address bits that name a slice or a lane of a memory word; a record has up to 16 slices."""
        return max(4, (self.lanes - 1).bit_length())

    def as_dict(self) -> dict[str, int]:
        """The fields by name, for manifests and reports."""
        return asdict(self)
