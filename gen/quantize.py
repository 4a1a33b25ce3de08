"""Quantisation: the float Network as an integer one."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import Problems
from hillock.sim.bounds import PIXEL_MAX, may_saturate, potential_bounds
from hillock.sim.elements import max_pool
from hillock.sim.network import INPUT, Connection, Convolution, Decision, Dense, IntArray, Layer, Network, Shape
from hillock.sim.network_rules import MAX_TIMESTEPS

from .convert import SpikingLayer, SpikingNetwork
from .float_network import ENCODER
from .quantization_report import LayerReport, QuantizationReport

__all__ = ["narrowed", "quantize"]

_WIDEST = 32
"""Bits of the widest potential."""


def quantize(
    network: SpikingNetwork,
    *,
    weight_bits: int = 8,
    potential_bits: int | None = 16,
    fraction_bits: int = 4,
    timesteps: int = 25,
    preload: float = 0.5,
    weight_percentile: float = 100.0,
    decision: Decision = Decision.COUNT,
) -> tuple[Network, QuantizationReport]:
    """The integer Network, with a rate encoder as its first layer, and the report.

    The threshold of the encoder is `PIXEL_MAX`: after so many timesteps its counts equal the pixels.

    Each layer has its own scale Delta, shared by its connections, which makes `weight_percentile` of its absolute
    weights span the weight range -(2^(b-1) - 1) .. 2^(b-1) - 1; weights beyond are saturated to it. With rint to the
    nearest integer, halves to even:

        w_q = rint(w / Delta)       theta_q = rint(theta / Delta 2^F)
        c_q = rint(b / Delta 2^F)   V0 = rint(preload theta_q)

    An event adds w_q << F, so theta_q, c_q and V0 are in potential units, of Delta / 2^F each. Those of the encoder are
    pixels: its theta is 255. `preload` is the pre-charge Vpc of Hwang et al. 2021 as a fraction of the threshold, in
    every layer: 0.5 makes the error of a rate symmetric about zero. `potential_bits` None takes the narrowest width
    with which no potential can saturate.

    Raises `HillockError` for parameters out of range, a layer without any weight, and values that need more bits.
    """
    problems = Problems(f"quantisation of {network.name!r}")
    _check(network, weight_bits, potential_bits, fraction_bits, timesteps, preload, weight_percentile, problems)
    width = potential_bits or _WIDEST
    charge, shape = round(preload * PIXEL_MAX), _encoder_shape(network)
    layers = [
        Layer(
            name=ENCODER,
            shape=shape,
            threshold=PIXEL_MAX,
            reset_amount=PIXEL_MAX,
            preload=charge,
            current_from_image=True,
        )
    ]
    reports: list[dict[str, Any]] = [
        {"name": ENCODER, "threshold_float": float(PIXEL_MAX), "threshold": PIXEL_MAX, "preload": charge}
    ]
    for layer in network.layers:
        quantized, report = _quantize_layer(layer, weight_bits, fraction_bits, preload, weight_percentile)
        about = f"layer {layer.name!r}: "
        for what, largest in (("threshold", quantized.threshold), ("current", _largest(quantized.currents))):
            problems.require(
                largest < 1 << (width - 1),
                f"{about}its largest {what}, {largest}, must fit in {width} signed bits: raise "
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
        input=shape,
        layers=tuple(layers),
        weight_bits=weight_bits,
        potential_bits=width,
        fraction_bits=fraction_bits,
        timesteps=timesteps,
        decision=decision,
    )
    if potential_bits is None:
        needed = _needed_bits(result)
        problems.require(
            needed <= _WIDEST,
            f"no potential can saturate with {needed} bits only, and there are {_WIDEST} at most: give potential_bits, "
            f"or lower fraction_bits, weight_bits or timesteps",
        )
        problems.raise_any()
        result = replace(result, potential_bits=needed)
    full = tuple(
        LayerReport(**report, bounds=limits, may_saturate=may)
        for report, limits, may in zip(reports, potential_bounds(result), may_saturate(result), strict=True)
    )
    return result, QuantizationReport(
        network=network.name,
        weight_bits=weight_bits,
        potential_bits=result.potential_bits,
        fraction_bits=fraction_bits,
        timesteps=timesteps,
        layers=full,
    )


def narrowed(network: Network) -> Network:
    """A network with the narrowest potentials that are proved not to saturate, or its own where these are narrower."""
    return replace(network, potential_bits=min(network.potential_bits, _needed_bits(network)))


def _needed_bits(network: Network) -> int:
    """Bits of a potential with which none can saturate."""
    held = (max(layer.threshold, _largest(layer.currents)) for layer in network.layers)  # whether ever reached or not
    return max(
        network.weight_bits + network.fraction_bits,
        *(limits.bits for limits in potential_bounds(network)),
        *(value.bit_length() + 1 for value in held),
    )


def _check(
    network: SpikingNetwork,
    weight_bits: int,
    potential_bits: int | None,
    fraction_bits: int,
    timesteps: int,
    preload: float,
    weight_percentile: float,
    problems: Problems,
) -> None:
    for name, value, low, high in (
        ("weight_bits", weight_bits, 4, 16),
        ("potential_bits", potential_bits or _WIDEST, 10, _WIDEST),
        ("fraction_bits", fraction_bits, 0, 15),
        ("timesteps", timesteps, 1, MAX_TIMESTEPS),
    ):
        problems.require(low <= value <= high, f"{name} must be from {low} to {high}, not {value}")
    problems.require(0 <= preload < 1, f"preload must be a fraction of the threshold, from 0 to below 1, not {preload}")
    problems.require(
        0 < weight_percentile <= 100, f"weight_percentile must be above 0 and at most 100, not {weight_percentile}"
    )
    for layer in network.layers:
        largest = np.percentile(np.abs(_weights(layer)), min(max(weight_percentile, 0), 100))
        problems.require(
            largest > 0, f"layer {layer.name!r}: its weights must not all be 0 up to weight_percentile, and they are"
        )
    problems.raise_any()


def _encoder_shape(network: SpikingNetwork) -> Shape:
    """That of the image; or its pixels as one place where only dense layers listen, which packs them more tightly."""
    listeners = [part for layer in network.layers for part in layer.connections if part.source == INPUT]
    if all(isinstance(part.synapses, Dense) and part.pool == (1, 1) for part in listeners):
        return Shape(network.input.neurons)
    return network.input


def _quantize_layer(
    layer: SpikingLayer, weight_bits: int, fraction_bits: int, preload: float, percentile: float
) -> tuple[Layer, dict[str, Any]]:
    """The integer layer, and what `LayerReport` says of it without the bounds."""
    if layer.largest:
        return _quantize_largest(layer, fraction_bits)
    largest = (1 << (weight_bits - 1)) - 1
    original = _weights(layer)
    scale = float(np.percentile(np.abs(original), percentile)) / largest
    unit = scale / (1 << fraction_bits)  # of a potential

    def rounded(connection: Connection) -> Connection:
        synapses = connection.synapses
        weights = np.clip(np.rint(synapses.weights / scale), -largest, largest).astype(np.int64)
        source = ENCODER if connection.source == INPUT else connection.source
        return replace(connection, source=source, synapses=replace(synapses, weights=weights))

    currents = np.rint(layer.biases / unit).astype(np.int64)
    threshold = round(layer.threshold / unit)
    quantized = Layer(
        name=layer.name,
        shape=layer.shape,
        threshold=threshold,
        reset_amount=threshold,
        preload=round(preload * threshold),
        connections=tuple(rounded(connection) for connection in layer.connections),
        currents=currents,
    )
    errors = np.abs(_weights(quantized) * scale - original) / layer.threshold
    return quantized, {
        "name": layer.name,
        "activation": layer.activation,
        "scale": scale,
        "weights": original.size,
        "saturated_weights": int(np.count_nonzero(np.abs(np.rint(original / scale)) > largest)),
        "weight_error_max": float(errors.max()),
        "weight_error_rms": float(np.sqrt(np.mean(errors**2))),
        "bias_error_max": float(np.abs(currents * unit - layer.biases).max() / layer.threshold),
        "threshold_float": layer.threshold,
        "threshold": threshold,
        "threshold_error": threshold * unit / layer.threshold - 1,
        "preload": quantized.preload,
    }


def _quantize_largest(layer: SpikingLayer, fraction_bits: int) -> tuple[Layer, dict[str, Any]]:
    """As `_quantize_layer`, for a layer whose weights are 1 and stay so."""
    (connection,) = layer.connections
    window, shape = connection.synapses, layer.shape
    assert isinstance(window, Convolution)
    covered = [
        (places - 1) * stride + size
        for places, stride, size in zip((shape.height, shape.width), window.stride, window.kernel, strict=True)
    ]
    quantized = max_pool(
        layer.name,
        ENCODER if connection.source == INPUT else connection.source,
        Shape(shape.channels, *covered),
        window.kernel,
        fraction_bits=fraction_bits,
        stride=window.stride,
    )
    return quantized, {
        "name": layer.name,
        "activation": layer.activation,
        "scale": 1.0,
        "weights": window.weights.size,
        "threshold_float": 1.0,
        "threshold": quantized.threshold,
        "preload": quantized.preload,
    }


def _weights(layer: SpikingLayer | Layer) -> NDArray[Any]:
    """The weights of all connections of a layer, one after the other."""
    return np.concatenate([connection.synapses.weights.ravel() for connection in layer.connections])


def _largest(values: IntArray | None) -> int:
    return 0 if values is None else int(np.abs(values).max())
