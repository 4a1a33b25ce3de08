"""What quantisation did to a network: everything that rounding and widths changed, layer by layer."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from hillock.hw.problems import Problems
from hillock.sim.batch import run_batch
from hillock.sim.bounds import Bounds
from hillock.sim.network import Decision, IntArray, Network

from .byte_product import byte_product
from .datasets import ImageArray
from .float_network import FloatNetwork

__all__ = ["Accuracy", "LayerReport", "QuantizationReport"]


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """What became of one layer. Errors are in units of the float threshold, so that they compare between layers.

    Attributes
    ----------
    scale : float or None
        Delta, the value of the weight 1; None for the encoder, which has no weights.
    weights, saturated_weights : int
        Weights of all connections, and those beyond the range, which were replaced by its ends.
    weight_error_max, weight_error_rms, bias_error_max, threshold_error : float
        Differences between the values the integers stand for and the float values.
    activation : float
        The ReLU activation that one spike per timestep stands for.
    threshold_float, threshold : float, int
        In the layer's float unit, and in potential units.
    preload : int
        In potential units.
    bounds : Bounds
        Of the potential, had it no width.
    may_saturate : bool
        Whether these bounds exceed the width. If not, the potential is proved never to saturate.
    """

    name: str
    threshold_float: float
    threshold: int
    preload: int
    bounds: Bounds
    may_saturate: bool
    activation: float = 1.0
    scale: float | None = None
    weights: int = 0
    saturated_weights: int = 0
    weight_error_max: float = 0.0
    weight_error_rms: float = 0.0
    bias_error_max: float = 0.0
    threshold_error: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Of `images` labelled images, the share that the float network has right, and the integer one after all timesteps.

    `by_timestep` is that of the integer network, had it ended after each timestep.
    """

    images: int
    before: float
    after: float
    by_timestep: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class QuantizationReport:
    """What quantisation changed, layer by layer, and whether potentials may saturate.

    `accuracy` is None as long as it has not been measured: `measured` gives a report that has it.
    """

    network: str
    weight_bits: int
    potential_bits: int
    fraction_bits: int
    timesteps: int
    layers: tuple[LayerReport, ...]
    accuracy: Accuracy | None = None

    def measured(
        self,
        before: FloatNetwork,
        after: Network,
        images: ImageArray,
        labels: IntArray,
        progress: Callable[[int], None] | None = None,
    ) -> "QuantizationReport":
        """This report with the accuracy of both networks on `images` [n, pixels]; `progress` is told of images done.

        Raises `HillockError` for labels that are not one for each image, and for a network that decides nothing.
        """
        problems = Problems(f"accuracy of {self.network!r}")
        problems.require(
            len(images) and labels.shape == (len(images),),
            f"labels must have shape ({len(images)},), one for each image and one at least, not {labels.shape}",
        )
        problems.require(
            after.decision is not Decision.NONE,
            "the network must decide between classes, and its decision is none: compare its outputs instead",
        )
        problems.raise_any()
        decisions_at = run_batch(after, images.astype(np.int64), progress, product=byte_product()).decisions_at
        by_timestep = [round(float(right), 6) for right in (decisions_at == labels[:, None]).mean(axis=0)]
        accuracy = Accuracy(
            images=len(images),
            before=round(float((before.decisions(images) == labels).mean()), 6),
            after=by_timestep[-1],
            by_timestep=tuple(by_timestep),
        )
        return replace(self, accuracy=accuracy)

    def as_dict(self) -> dict[str, Any]:
        """All fields by name, as JSON knows them."""
        return asdict(self)

    def table(self) -> Table:
        """A table for the terminal; errors are the largest, in units of the threshold."""
        title = (
            f"{self.network}: {self.weight_bits}-bit weights, {self.potential_bits}-bit potentials of which "
            f"{self.fraction_bits} are fraction, T = {self.timesteps}"
        )
        known = self.accuracy
        caption = None
        if known:
            shares = f"{100 * known.before:.2f} % before, {100 * known.after:.2f} % after"
            caption = f"accuracy on {known.images:,} images: {shares}"
        table = Table(title=title, caption=caption, box=box.SIMPLE, pad_edge=False)
        table.add_column("layer")
        for heading in ("weight error", "bias error", "threshold", "potential"):
            table.add_column(heading, justify="right")
        for layer in self.layers:
            saturated = f" ({layer.saturated_weights} saturated)" if layer.saturated_weights else ""
            weight = "-" if layer.scale is None else f"{layer.weight_error_max:.4f}{saturated}"
            bias = "-" if layer.scale is None else f"{layer.bias_error_max:.4f}"
            verdict = f"{layer.bounds.bits} bits, {'may' if layer.may_saturate else 'cannot'} saturate"
            table.add_row(layer.name, weight, bias, str(layer.threshold), verdict)
        return table
