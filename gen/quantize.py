"""Float Network -> integer Network, with a report of everything that rounding and widths did to it."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from hillock.hw.problems import Problems
from hillock.sim.network import MAX_TIMESTEPS, Connection, Dense, IntArray, Layer, LeakOrder, Network, ResetMode

from .convert import SpikingLayer, SpikingNetwork

__all__ = ["PIXEL_MAX", "Bounds", "LayerReport", "QuantizationReport", "potential_bounds", "quantize"]

PIXEL_MAX = 255
"""Threshold and reset amount of the rate encoder: after this many timesteps its count equals the pixel."""

_NEVER = 1 << 62


@dataclass(frozen=True)
class Bounds:
    """The lowest and the highest value that any potential of a layer can have at any moment of an inference."""

    low: int
    high: int

    @property
    def bits(self) -> int:
        """Width of the narrowest signed integer that holds both."""
        return max((-self.low - 1).bit_length() if self.low < 0 else 0, max(self.high, 0).bit_length()) + 1


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """What became of one layer. Errors are in units of the float threshold, so that they compare between layers.

    Attributes
    ----------
    scale : float or None
        Delta, the value of the weight 1; None for the encoder, which has no weights.
    saturated_weights : int
        Weights beyond the range, which were replaced by its ends.
    weight_error_max, weight_error_rms, bias_error_max, threshold_error : float
        Differences between the values the integers stand for and the float values.
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
    scale: float | None = None
    weights: int = 0
    saturated_weights: int = 0
    weight_error_max: float = 0.0
    weight_error_rms: float = 0.0
    bias_error_max: float = 0.0
    threshold_error: float = 0.0


@dataclass(frozen=True, kw_only=True)
class QuantizationReport:
    """What quantisation changed, layer by layer, and whether potentials may saturate."""

    network: str
    weight_bits: int
    potential_bits: int
    fraction_bits: int
    timesteps: int
    layers: tuple[LayerReport, ...]

    def as_dict(self) -> dict[str, Any]:
        """All fields by name, as JSON knows them."""
        return asdict(self)

    def table(self) -> Table:
        """A table for the terminal; errors are the largest, in units of the threshold."""
        title = (
            f"{self.network}: {self.weight_bits}-bit weights, {self.potential_bits}-bit potentials of which "
            f"{self.fraction_bits} are fraction, T = {self.timesteps}"
        )
        table = Table(title=title, box=box.SIMPLE, pad_edge=False)
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


def quantize(
    network: SpikingNetwork,
    *,
    weight_bits: int = 8,
    potential_bits: int = 16,
    fraction_bits: int = 4,
    timesteps: int = 25,
    preload: float = 0.5,
    weight_percentile: float = 100.0,
) -> tuple[Network, QuantizationReport]:
    """The integer Network, with a rate encoder as its first layer, and the report.

    Each layer has its own scale Delta, which makes `weight_percentile` of its absolute weights span the weight range
    -(2^(b-1) - 1) .. 2^(b-1) - 1; weights beyond are saturated to it. With rint to the nearest integer, halves to even:

        w_q = rint(w / Delta)       theta_q = rint(theta / Delta 2^F)
        c_q = rint(b / Delta 2^F)   V0 = rint(preload theta_q)

    An event adds w_q << F, so theta_q, c_q and V0 are in potential units, of Delta / 2^F each. Those of the encoder are
    pixels: its theta is 255. `preload` is the pre-charge Vpc of Hwang et al. 2021 as a fraction of the threshold, in
    every layer: 0.5 makes the error of a rate symmetric about zero.

    Raises `HillockError` for parameters out of range, a layer without any weight, and values that need more bits.
    """
    problems = Problems(f"quantisation of {network.name!r}")
    for name, value, low, high in (
        ("weight_bits", weight_bits, 4, 16),
        ("potential_bits", potential_bits, 10, 32),
        ("fraction_bits", fraction_bits, 0, 15),
        ("timesteps", timesteps, 1, MAX_TIMESTEPS),
    ):
        problems.require(low <= value <= high, f"{name} must be from {low} to {high}, not {value}")
    problems.require(0 <= preload < 1, f"preload must be a fraction of the threshold, from 0 to below 1, not {preload}")
    problems.require(
        0 < weight_percentile <= 100, f"weight_percentile must be above 0 and at most 100, not {weight_percentile}"
    )
    for layer in network.layers:
        largest = np.percentile(np.abs(layer.weights), min(max(weight_percentile, 0), 100))
        problems.require(
            largest > 0, f"layer {layer.name!r}: its weights must not all be 0 up to weight_percentile, and they are"
        )
    problems.raise_any()

    inputs, charge = len(network.layers[0].weights), round(preload * PIXEL_MAX)
    encoder = Layer(
        name="encoder",
        neurons=inputs,
        threshold=PIXEL_MAX,
        reset_amount=PIXEL_MAX,
        preload=charge,
        current_from_image=True,
    )
    layers = [encoder]
    reports: list[dict[str, Any]] = [
        {"name": "encoder", "threshold_float": float(PIXEL_MAX), "threshold": PIXEL_MAX, "preload": charge}
    ]
    for layer in network.layers:
        source = layers[-1].name
        quantized, report = _quantize_layer(layer, source, weight_bits, fraction_bits, preload, weight_percentile)
        about = f"layer {layer.name!r}: "
        for what, largest in (("threshold", quantized.threshold), ("current", _largest(quantized.currents))):
            problems.require(
                largest < 1 << (potential_bits - 1),
                f"{about}its largest {what}, {largest}, must fit in {potential_bits} signed bits: raise "
                f"potential_bits, or lower fraction_bits or weight_bits",
            )
        problems.require(
            quantized.threshold,
            f"{about}its threshold is {layer.threshold / report['scale']:.3g} weight units and must not round to 0: "
            f"raise fraction_bits or weight_bits",
        )
        layers.append(quantized)
        reports.append(report)
    problems.raise_any()
    result = Network(
        name=network.name,
        inputs=inputs,
        layers=tuple(layers),
        weight_bits=weight_bits,
        potential_bits=potential_bits,
        fraction_bits=fraction_bits,
        timesteps=timesteps,
    )
    low, high = result.potential_range
    full = tuple(
        LayerReport(**report, bounds=bounds, may_saturate=bounds.low < low or bounds.high > high)
        for report, bounds in zip(reports, potential_bounds(result), strict=True)
    )
    return result, QuantizationReport(
        network=network.name,
        weight_bits=weight_bits,
        potential_bits=potential_bits,
        fraction_bits=fraction_bits,
        timesteps=timesteps,
        layers=full,
    )


def _quantize_layer(
    layer: SpikingLayer, source: str, weight_bits: int, fraction_bits: int, preload: float, percentile: float
) -> tuple[Layer, dict[str, Any]]:
    """The integer layer, and what `LayerReport` says of it without the bounds."""
    largest = (1 << (weight_bits - 1)) - 1
    scale = float(np.percentile(np.abs(layer.weights), percentile)) / largest
    unit = scale / (1 << fraction_bits)  # of a potential
    rounded = np.rint(layer.weights / scale)
    weights = np.clip(rounded, -largest, largest).astype(np.int64)
    currents = np.rint(layer.biases / unit).astype(np.int64)
    threshold = round(layer.threshold / unit)
    weight_errors = np.abs(weights * scale - layer.weights) / layer.threshold
    quantized = Layer(
        name=layer.name,
        neurons=layer.biases.size,
        threshold=threshold,
        reset_amount=threshold,
        preload=round(preload * threshold),
        connections=(Connection(source, Dense(weights)),),
        currents=currents,
    )
    return quantized, {
        "name": layer.name,
        "scale": scale,
        "weights": weights.size,
        "saturated_weights": int(np.count_nonzero(np.abs(rounded) > largest)),
        "weight_error_max": float(weight_errors.max()),
        "weight_error_rms": float(np.sqrt(np.mean(weight_errors**2))),
        "bias_error_max": float(np.abs(currents * unit - layer.biases).max() / layer.threshold),
        "threshold_float": layer.threshold,
        "threshold": threshold,
        "threshold_error": threshold * unit / layer.threshold - 1,
        "preload": quantized.preload,
    }


def _largest(values: IntArray | None) -> int:
    return 0 if values is None else int(np.abs(values).max())


def potential_bounds(network: Network) -> tuple[Bounds, ...]:
    """For each layer, bounds that no potential exceeds at any moment, for any input and any order of events.

    Interval arithmetic over the contract, for each neuron and timestep, from its weights, currents and preload: the
    lowest value is reached when just the negative weights of a timestep have been added, the highest likewise. Each
    input address sends at most one event in a timestep. A layer saturates only if its bounds exceed the width.
    """
    return tuple(_layer_bounds(layer, network) for layer in network.layers)


def _layer_bounds(layer: Layer, network: Network) -> Bounds:
    """`potential_bounds` for one layer; low and high are arrays [neurons] of the interval that a potential is in."""
    matrices = [connection.synapses.weights << network.fraction_bits for connection in layer.connections]
    none = np.zeros(layer.neurons, np.int64)
    down = sum((np.minimum(matrix, 0).sum(axis=0) for matrix in matrices), none)
    up = sum((np.maximum(matrix, 0).sum(axis=0) for matrix in matrices), none)
    currents = none if layer.currents is None else layer.currents
    brightest = PIXEL_MAX if layer.current_from_image else 0

    def leak(values: IntArray) -> IntArray:  # never reverses the order of two values, so it keeps an interval one
        return values - (values >> layer.leak_shift) if layer.leak_shift else values

    def reset(values: IntArray) -> IntArray:
        if layer.reset_mode is ResetMode.TO_VALUE:
            return np.full_like(values, layer.reset_amount)
        return values - layer.reset_amount

    def settle(values: IntArray, spike: bool) -> IntArray:
        if not spike:
            return leak(values)
        return leak(reset(values)) if layer.leak_order is LeakOrder.RESET_THEN_LEAK else reset(leak(values))

    threshold = layer.threshold if layer.fires else _NEVER
    low = high = np.full(layer.neurons, layer.preload, np.int64)
    lowest, highest = layer.preload, layer.preload
    for _ in range(network.timesteps):
        before = low, high
        low, high = low + down, high + up
        lowest, highest = min(lowest, int(low.min())), max(highest, int(high.max()))
        low, high = low + currents, high + currents + brightest
        lowest, highest = min(lowest, int(low.min())), max(highest, int(high.max()))
        # Of the interval, the part from the threshold up fires and the part below does not; either may be empty.
        silent, firing = low < threshold, high >= threshold
        first_firing, last_silent = np.maximum(low, threshold), np.minimum(high, threshold - 1)
        low = np.minimum(
            np.where(silent, settle(low, False), _NEVER), np.where(firing, settle(first_firing, True), _NEVER)
        )
        high = np.maximum(
            np.where(silent, settle(last_silent, False), -_NEVER), np.where(firing, settle(high, True), -_NEVER)
        )
        lowest, highest = min(lowest, int(low.min())), max(highest, int(high.max()))
        if np.array_equal(before[0], low) and np.array_equal(before[1], high):
            break
    return Bounds(lowest, highest)
