"""The sizes and widths that are fixed when a core is generated. Plain Python: the golden model reads it too."""

from dataclasses import asdict, dataclass
from math import ceil

from .problems import Problems

__all__ = ["RANGES", "REGION_SHIFT", "CoreConfig"]

REGION_SHIFT = 21
"""Every region of the bus is a window of `1 << REGION_SHIFT` addresses."""

RANGES = {
    "lanes": (1, 128, "weights added per clock cycle"),
    "weight_bits": (4, 16, "width of a signed weight"),
    "potential_bits": (4, 32, "width of a signed membrane potential"),
    "fraction_bits": (0, 15, "bits of the potential below the weight's unit"),
    "current_bits": (2, 32, "width of a signed current"),
    "leak_shift_bits": (1, 5, "width of the leak shift; 3 allows shifts 1 to 7"),
    "max_layers": (1, 256, "layers that the core takes turns at"),
    "max_neurons": (1, 1 << 16, "neurons of the largest layer, or inputs of the first"),
    "potential_words": (1, 1 << 16, "words of potential memory, one potential per lane in each"),
    "synapse_words": (1, 1 << 20, "words of synapse memory, one weight per lane in each"),
    "classes": (1, 1 << 12, "output neurons that have a spike counter"),
    "input_queue": (4, 1 << 12, "input words that may wait for the core"),
}
"""Of each field of `CoreConfig`: smallest value, largest value, what it is."""


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """What distinguishes one generated core from another.

    Every field is a positive integer with the range and meaning given in `RANGES`; all that is out of range is
    reported together as a `HillockError`. What may change between two inferences (threshold, leak shift, number of
    timesteps, ...) is a register, not a field here.
    """

    lanes: int = 16
    weight_bits: int = 8
    potential_bits: int = 16
    fraction_bits: int = 4
    current_bits: int = 16
    leak_shift_bits: int = 3
    max_layers: int = 8
    max_neurons: int = 1024
    potential_words: int = 256
    synapse_words: int = 8192
    classes: int = 16
    input_queue: int = 32

    def __post_init__(self) -> None:
        problems = Problems("core configuration")
        for name, (low, high, meaning) in RANGES.items():
            value = getattr(self, name)
            problems.require(
                isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
                f"{name} ({meaning}) must be an integer from {low} to {high}, not {value!r}",
            )
        problems.raise_any()
        problems.require(
            self.weight_bits + self.fraction_bits <= self.potential_bits,
            f"potential_bits must be at least weight_bits + fraction_bits = {self.weight_bits + self.fraction_bits}, "
            f"not {self.potential_bits}: a single weight would not fit in a potential",
        )
        problems.require(
            self.current_bits <= self.potential_bits,
            f"current_bits must be at most potential_bits = {self.potential_bits}, not {self.current_bits}",
        )
        window = 1 << (REGION_SHIFT - self.part_bits)
        for name in ("synapse_words", "potential_words"):
            problems.require(
                getattr(self, name) <= window,
                f"{name} must be at most {window} with {self.lanes} lanes, not {getattr(self, name)}: the memory would "
                f"not fit in its window of the bus",
            )
        problems.raise_any()

    def words(self, neurons: int) -> int:
        """Memory words that hold one value for each of `neurons` neurons."""
        return ceil(neurons / self.lanes)

    @property
    def max_words(self) -> int:
        """Words of the largest layer."""
        return self.words(self.max_neurons)

    @property
    def address_bits(self) -> int:
        """Width of a neuron index, or of an input address."""
        return max(1, (self.max_neurons - 1).bit_length())

    @property
    def part_bits(self) -> int:
        """Bus address bits that name a slice or a lane of a memory word; a layer record has 8 slices."""
        return max(3, (self.lanes - 1).bit_length())

    def as_dict(self) -> dict[str, int]:
        """The fields by name, for manifests and reports."""
        return asdict(self)
