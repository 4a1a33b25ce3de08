"""From a placement to memory images and back: encode and decode side by side, so that each documents the other.

`gen/packing.py` says how values and records become bytes, `gen/records.py` what is in the records, and
`gen/synapse_words.py` and `gen/current_words.py` what is in the words.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hillock.hw.config import CoreConfig
from hillock.hw.core import MemoryInit
from hillock.hw.problems import Problems
from hillock.hw.registers import (
    BUS_BITS,
    LAYER_RECORD,
    REGIONS,
    REGISTERS,
    Access,
    Record,
    memory_shape,
    region,
    register,
)
from hillock.sim.network import Decision, IntArray, Layer, Network

from .current_words import by_slot, current_words, read_currents
from .mapping import Placement, place
from .packing import MemoryImage, pack_records, pack_values, unpack_record, unpack_values
from .records import layer_parameters, network_parameters, record_fields, register_fields
from .skeleton import Skeleton
from .synapse_words import read_weights, synapse_words

__all__ = ["REGISTER_NAMES", "Images", "bus_writes", "decode", "encode", "image_writes", "memory_init", "memory_names"]

REGISTER_NAMES = tuple(entry.name for entry in REGISTERS if entry.access == Access.RW)
"""The registers that an image sets, in this order."""


def memory_names(config: CoreConfig) -> tuple[str, ...]:
    """The memories of a core that the bus loads, in the order in which it does."""
    loaded = [entry.name for entry in REGIONS if entry.parts and entry.parts[0]]
    return tuple(name for name in loaded if memory_shape(name, config)[0])


@dataclass(frozen=True, eq=False)
class Images:
    """What is loaded into a core, by name: the memories that it has, then `registers`, see `REGISTER_NAMES`."""

    memories: Mapping[str, MemoryImage]

    def __getitem__(self, name: str) -> MemoryImage:
        return self.memories[name]

    def __iter__(self) -> Iterator[MemoryImage]:
        return iter(self.memories.values())


def encode(placement: Placement) -> Images:
    """The images of a placed network. What a placement accepts can be represented, so nothing is refused here."""
    config = placement.config
    records = record_fields(placement)
    memories = {}
    for name in memory_names(config):
        if name == "synapses":
            memories[name] = pack_values(name, config.weight_bits, _synapses(placement))
        elif name == "currents":
            memories[name] = pack_values(name, config.current_bits, _currents(placement))
        else:
            record, rows = records[name]
            memories[name] = pack_records(name, memory_shape(name, config)[1], record, rows, config)
    fields = register_fields(placement)
    rows_of_registers = [pack_records("", BUS_BITS, _of_register(name), [fields], config) for name in REGISTER_NAMES]
    data = np.concatenate([packed.data for packed in rows_of_registers])
    return Images(memories | {"registers": MemoryImage("registers", BUS_BITS, data)})


def decode(images: Images, config: CoreConfig, skeleton: Skeleton) -> Placement:
    """The network that `images` say the core runs, and its places; `skeleton` has what is not in them.

    Raises a `HillockError` when the images do not describe a network of that skeleton, or are not just what `encode`
    makes of it: whatever the golden model runs from here, the bytes said so, and all of them.
    """
    problems = Problems(f"images of network {skeleton.name!r}")
    names = [*memory_names(config), "registers"]
    problems.require(
        list(images.memories) == names, f"there must be {', '.join(names)}, not {', '.join(images.memories)}"
    )
    problems.raise_any()
    for memory in images:
        bits = BUS_BITS if memory.name == "registers" else memory_shape(memory.name, config)[1]
        problems.require(memory.bits == bits, f"a word of {memory.name} must have {bits} bits, not {memory.bits}")
    problems.raise_any()

    # Where things lie does not depend on the numbers; that the records say the same is seen at the end.
    hollow = Network(
        name=skeleton.name,
        input=skeleton.input,
        layers=skeleton.layers,
        weight_bits=skeleton.weight_bits,
        potential_bits=config.potential_bits,
        fraction_bits=config.fraction_bits,
        payload_bits=skeleton.payload_bits,
        timesteps=1,
        decision=Decision.NONE,
    )
    placement = place(hollow, config, skeleton.layouts)
    for memory, wanted in zip(images, encode(placement), strict=True):
        problems.require(
            len(memory.data) == len(wanted.data),
            f"{memory.name} must have {len(wanted.data)} words, not {len(memory.data)}",
        )
    problems.raise_any()
    fields: dict[str, int] = {}
    for name, value in zip(REGISTER_NAMES, images["registers"].words(), strict=True):
        fields |= unpack_record(value, _of_register(name), config)
    network = dataclasses.replace(hollow, layers=_layers(images, placement), **network_parameters(fields))
    placement = place(network, config, skeleton.layouts)
    for memory, wanted in zip(images, encode(placement), strict=True):
        differ = np.flatnonzero((memory.data != wanted.data).any(axis=1)).tolist()
        problems.require(
            not differ,
            f"{memory.name} must hold what they describe and nothing else: not so in {len(differ)} words, the first is "
            f"{differ[0] if differ else None}",
        )
    problems.raise_any()
    return placement


def memory_init(images: Images) -> MemoryInit:
    """The images as what a core is generated with."""
    words: dict[str, Any] = {memory.name: memory.words() for memory in images}
    return MemoryInit(**words | {"registers": dict(zip(REGISTER_NAMES, words["registers"], strict=True))})


def bus_writes(images: Images, config: CoreConfig) -> NDArray[np.uint32]:
    """(address, value) rows that load everything into an idle core, in order."""
    parts = [_memory_writes(memory, 0, config) for memory in images if memory.name != "registers"]
    base = region("registers").base
    settings = zip(REGISTER_NAMES, images["registers"].words(), strict=True)
    parts.append(np.array([[base + register(name).offset, value] for name, value in settings], np.uint32))
    return np.concatenate(parts)


def image_writes(pixels: IntArray, placement: Placement, bank: int = 0) -> NDArray[np.uint32]:
    """(address, value) rows that load the input image (0..255) into the currents of the first layer: of that bank."""
    where, config = placement.layers[0], placement.config
    packed = pack_values("currents", config.current_bits, by_slot(pixels, where.layout))
    return _memory_writes(packed, where.current_base + bank * where.layout.words, config)


def _memory_writes(memory: MemoryImage, first: int, config: CoreConfig) -> NDArray[np.uint32]:
    """Rows that load a memory from word `first` on."""
    values = memory.data.view("<u4")
    index, part = np.indices(values.shape)
    addresses = region(memory.name).base + (((first + index) << config.part_bits) | part)
    return np.stack([addresses.reshape(-1), values.reshape(-1)], axis=1).astype(np.uint32)


def _of_register(name: str) -> Record:
    """The fields of a register as a record of one slice."""
    return tuple((0, field) for field in register(name).fields)


def _synapses(placement: Placement) -> IntArray:
    """What the synapse memory holds, [word, lane]."""
    network = placement.network
    words = [np.zeros((0, placement.config.lanes), np.int64)]
    for index, connection in network.walks():
        layout = placement.layers[index].layout
        words.append(synapse_words(connection, network.shape_of(connection.source), layout))
    return np.concatenate(words)


def _currents(placement: Placement) -> IntArray:
    """What the current memory holds, [word, lane]."""
    layers = zip(placement.network.layers, placement.layers, strict=True)
    parts = [current_words(layer, where) for layer, where in layers]
    words = np.zeros((max(first + len(part) for first, part in parts), placement.config.lanes), np.int64)
    for first, part in parts:
        words[first : first + len(part)] = part
    return words


def _layers(images: Images, placement: Placement) -> tuple[Layer, ...]:
    """The layers of a placed network with the parameters, weights and currents that images of it hold."""
    network, config = placement.network, placement.config
    synapses = unpack_values(images["synapses"], config.lanes, config.weight_bits)
    currents = unpack_values(images["currents"], config.lanes, config.current_bits)
    places = iter(placement.connections)
    layers = []
    for layer, where, record in zip(network.layers, placement.layers, images["layers"].words(), strict=True):
        connections = []
        for connection in layer.connections:
            at = next(places)
            words = synapses[at.synapse_base : at.synapse_base + at.walk.synapse_words]
            weights = read_weights(words, connection, network.shape_of(connection.source), where.layout)
            connections.append(
                dataclasses.replace(connection, synapses=dataclasses.replace(connection.synapses, weights=weights))
            )
        values: dict[str, Any] = {"connections": tuple(connections)}
        if layer.currents is not None:
            values["currents"] = read_currents(currents, len(layer.currents), where)
        parameters = layer_parameters(unpack_record(record, LAYER_RECORD, config))
        layers.append(dataclasses.replace(layer, **values | parameters))
    return tuple(layers)
