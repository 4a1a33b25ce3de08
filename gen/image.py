"""From a placement to memory images and back: encode and decode side by side, so that each documents the other.

A memory image is one row of bytes for each memory word: the word as a little-endian number, padded to whole slices of
32 bits. For two neurons with 8-bit weights on two lanes, the synapse word of a presynaptic neuron with the weights
(3, -1) is 0xff03, in bytes 03 ff 00 00: lane 0 in the lowest bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hillock.hw.config import CoreConfig
from hillock.hw.core import MemoryInit
from hillock.hw.problems import HillockError, Problems
from hillock.hw.registers import (
    BUS_BITS,
    LAYER_RECORD,
    LAYER_RECORD_SLICES,
    Field,
    field_width,
    memory_shape,
    region,
    register,
    slices,
)
from hillock.sim.network import INPUT, Connection, Decision, Dense, IntArray, Layer, LeakOrder, Network, ResetMode

from .mapping import Placement, place

__all__ = ["REGISTER_NAMES", "Images", "MemoryImage", "bus_writes", "decode", "encode", "image_writes", "memory_init"]

REGISTER_NAMES = ("layers", "inputs", "timesteps", "delay", "decision_mode", "outputs")
"""The registers that an image sets, in this order."""


@dataclass(frozen=True, eq=False)
class MemoryImage:
    """The contents of one memory: `data[word, byte]`, see the module's docstring; `bits` is the width of a word."""

    name: str
    bits: int
    data: NDArray[np.uint8]

    def words(self) -> list[int]:
        """Every word as an unsigned integer."""
        return [int.from_bytes(row.tobytes(), "little") for row in self.data]


@dataclass(frozen=True, eq=False)
class Images:
    """What is loaded into a core: three memories, and the registers in the order of `REGISTER_NAMES`."""

    layers: MemoryImage
    synapses: MemoryImage
    currents: MemoryImage
    registers: MemoryImage

    def __iter__(self) -> Iterator[MemoryImage]:
        return iter((self.layers, self.synapses, self.currents, self.registers))


def encode(placement: Placement) -> Images:
    """The images of a placed network. What a placement accepts can be represented, so nothing is refused here."""
    network, config = placement.network, placement.config
    records, synapses, currents = [], [], []
    for index, (layer, where) in enumerate(zip(network.layers, placement.layers, strict=True)):
        values = {
            "inputs": where.inputs,
            "words": where.words,
            "last_lanes": where.last_lanes,
            "potential_base": where.potential_base,
            "synapse_base": where.synapse_base,
            "threshold": layer.threshold,
            "preload": layer.preload,
            "reset_amount": layer.reset_amount,
            "leak_shift": layer.leak_shift,
            "reset_to_value": layer.reset_mode is ResetMode.TO_VALUE,
            "leak_first": layer.leak_order is LeakOrder.LEAK_THEN_RESET,
            "fires": layer.fires,
            "has_input": bool(layer.connections),
            "is_output": index == len(network.layers) - 1,
        }
        record = [0] * LAYER_RECORD_SLICES
        for position, field in LAYER_RECORD:
            record[position] |= (int(values[field.name]) & ((1 << field_width(field, config)) - 1)) << field.low
        records.append(record)
        lanes_of = where.words * config.lanes
        for connection in layer.connections:
            padded = np.zeros((where.inputs, lanes_of), np.int64)
            padded[:, : layer.neurons] = connection.synapses.weights
            by_word = padded.reshape(where.inputs, where.words, config.lanes).transpose(1, 0, 2)
            synapses.append(by_word.reshape(-1, config.lanes))
        current = np.zeros(lanes_of, np.int64)
        if layer.currents is not None:
            current[: layer.neurons] = layer.currents
        currents.append(current.reshape(-1, config.lanes))
    settings = {
        "layers": len(network.layers),
        "inputs": 0 if network.image_input else network.inputs,
        "timesteps": network.timesteps,
        "delay": network.delay,
        "decision_mode": int(network.decision is Decision.POTENTIAL),
        "outputs": network.layers[-1].neurons,
    }
    empty = np.zeros((0, config.lanes), np.int64)
    return Images(
        MemoryImage("layers", memory_shape("layers", config)[1], _slices_to_bytes(records)),
        _pack("synapses", config.weight_bits, np.concatenate([*synapses, empty])),
        _pack("currents", config.current_bits, np.concatenate([*currents, empty])),
        MemoryImage("registers", BUS_BITS, _slices_to_bytes([[settings[name]] for name in REGISTER_NAMES])),
    )


def decode(images: Images, config: CoreConfig, *, name: str, layer_names: list[str], weight_bits: int) -> Network:
    """The network that `images` say the core runs; names and the width of its weights are not in them.

    Raises a `HillockError` when the images do not describe a network, or are not just what `encode` makes of it:
    whatever the golden model runs from here, the bytes said so, and all of them.
    """
    problems = Problems(f"images of network {name!r}")
    for memory in images:
        bits = BUS_BITS if memory.name == "registers" else memory_shape(memory.name, config)[1]
        problems.require(memory.bits == bits, f"a word of {memory.name} must have {bits} bits, not {memory.bits}")
    values = images.registers.words()
    problems.require(
        len(values) == len(REGISTER_NAMES), f"there must be {len(REGISTER_NAMES)} registers, not {len(values)}"
    )
    problems.raise_any()
    settings = dict(zip(REGISTER_NAMES, values, strict=True))
    records = images.layers.words()
    problems.require(
        0 < settings["layers"] == len(records) == len(layer_names),
        f"registers say {settings['layers']} layers, the manifest {len(layer_names)}, and there are "
        f"{len(records)} layer records",
    )
    problems.raise_any()
    weights = _unpack(images.synapses, config.lanes, config.weight_bits)
    currents = _unpack(images.currents, config.lanes, config.current_bits)
    layers = []
    before = INPUT
    for index, (record, layer_name) in enumerate(zip(records, layer_names, strict=True)):
        fields = {
            field.name: _field_value(record >> (position * BUS_BITS), field, config) for position, field in LAYER_RECORD
        }
        words, inputs = fields["words"], fields["inputs"]
        neurons = (words - 1) * config.lanes + fields["last_lanes"]
        first, last = fields["synapse_base"], fields["synapse_base"] + words * inputs
        base = fields["potential_base"]
        about = f"layer {layer_name!r}: "
        problems.require(
            1 <= fields["last_lanes"] <= config.lanes and words >= 1,
            f"{about}{words} words with {fields['last_lanes']} neurons in the last make no layer",
        )
        problems.require(last <= len(weights), f"{about}synapse words end at {last}, the image at {len(weights)}")
        problems.require(
            base + words <= len(currents), f"{about}current words end at {base + words}, the image at {len(currents)}"
        )
        problems.raise_any()
        by_word = weights[first:last].reshape(words, inputs, config.lanes)
        rows = by_word.transpose(1, 0, 2).reshape(inputs, words * config.lanes)
        current = currents[base : base + words].reshape(-1)
        problems.require(
            not rows[:, neurons:].any() and not current[neurons:].any(), f"{about}lanes without a neuron must hold 0"
        )
        from_image = index == 0 and settings["inputs"] == 0
        layers.append(
            Layer(
                name=layer_name,
                neurons=neurons,
                connections=(Connection(before, Dense(rows[:, :neurons])),) if fields["has_input"] else (),
                currents=current[:neurons] if current.any() and not from_image else None,
                current_from_image=from_image,
                threshold=fields["threshold"],
                leak_shift=fields["leak_shift"],
                preload=fields["preload"],
                reset_mode=ResetMode.TO_VALUE if fields["reset_to_value"] else ResetMode.SUBTRACT,
                reset_amount=fields["reset_amount"],
                leak_order=LeakOrder.LEAK_THEN_RESET if fields["leak_first"] else LeakOrder.RESET_THEN_LEAK,
                fires=bool(fields["fires"]),
            )
        )
        before = layer_name
    problems.raise_any()
    network = Network(
        name=name,
        inputs=settings["inputs"] or layers[0].neurons,
        layers=tuple(layers),
        weight_bits=weight_bits,
        potential_bits=config.potential_bits,
        fraction_bits=config.fraction_bits,
        timesteps=settings["timesteps"],
        delay=settings["delay"],
        decision=Decision.POTENTIAL if settings["decision_mode"] else Decision.COUNT,
    )
    for memory, wanted in zip(images, encode(place(network, config)), strict=True):
        problems.require(
            np.array_equal(memory.data, wanted.data), f"{memory.name} must hold what they describe and nothing else"
        )
    problems.raise_any()
    return network


def memory_init(images: Images) -> MemoryInit:
    """The images as what a core is generated with."""
    return MemoryInit(
        layers=images.layers.words(),
        synapses=images.synapses.words(),
        currents=images.currents.words(),
        registers=dict(zip(REGISTER_NAMES, images.registers.words(), strict=True)),
    )


def bus_writes(images: Images, config: CoreConfig) -> NDArray[np.uint32]:
    """(address, value) rows that load everything into an idle core, in order."""
    parts = [_memory_writes(memory, config) for memory in (images.layers, images.synapses, images.currents)]
    base = region("registers").base
    parts.append(
        np.array(
            [
                [base + register(name).offset, value]
                for name, value in zip(REGISTER_NAMES, images.registers.words(), strict=True)
            ],
            np.uint32,
        )
    )
    return np.concatenate(parts)


def image_writes(pixels: IntArray, config: CoreConfig) -> NDArray[np.uint32]:
    """(address, value) rows that load the input image (0..255) into the currents of the first layer."""
    padded = np.zeros(config.words(len(pixels)) * config.lanes, np.int64)
    padded[: len(pixels)] = pixels
    return _memory_writes(_pack("currents", config.current_bits, padded.reshape(-1, config.lanes)), config)


def _memory_writes(memory: MemoryImage, config: CoreConfig) -> NDArray[np.uint32]:
    values = memory.data.view("<u4")
    index, part = np.indices(values.shape)
    addresses = region(memory.name).base + ((index << config.part_bits) | part)
    return np.stack([addresses.reshape(-1), values.reshape(-1)], axis=1).astype(np.uint32)


def _slices_to_bytes(rows: list[list[int]]) -> NDArray[np.uint8]:
    return np.array(rows, dtype="<u4").view(np.uint8)


def _pack(name: str, width: int, values: IntArray) -> MemoryImage:
    """Rows of signed values, `width` bits each, lowest lane in the lowest bits."""
    rows, lanes = values.shape
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    if values.size and (values.min() < low or values.max() > high):
        raise HillockError(f"{name}: values from {values.min()} to {values.max()} do not fit in {width} signed bits")
    bits = (values[:, :, None] >> np.arange(width)) & 1
    padded = np.zeros((rows, slices(lanes * width) * BUS_BITS), np.uint8)
    padded[:, : lanes * width] = bits.reshape(rows, -1)
    return MemoryImage(name, lanes * width, np.packbits(padded, axis=1, bitorder="little"))


def _unpack(memory: MemoryImage, lanes: int, width: int) -> IntArray:
    """The inverse of `_pack`."""
    bits = np.unpackbits(memory.data, axis=1, bitorder="little")[:, : lanes * width].reshape(-1, lanes, width)
    values: IntArray = (bits.astype(np.int64) << np.arange(width)).sum(axis=2)
    return values - (bits[:, :, -1].astype(np.int64) << width)


def _field_value(record: int, field: Field, config: CoreConfig) -> int:
    width = field_width(field, config)
    value = (record >> field.low) & ((1 << width) - 1)
    return value - (1 << width) if field.signed and value >> (width - 1) else value
