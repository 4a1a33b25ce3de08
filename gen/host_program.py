"""What the host library loads into a board and reads back, from a placement."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hillock.host.program import Program
from hillock.host.uartbone import Rows
from hillock.hw.config import CoreConfig
from hillock.hw.registers import BUS_ADDRESS_BITS, region
from hillock.sim.network import IntArray

from .image import encode, image_writes
from .mapping import Placement
from .packing import MemoryImage, unpack_values
from .pipeline import PipelinePlacement

__all__ = ["host_program", "values_read_back"]


def host_program(placement: Placement | PipelinePlacement) -> Program:
    """The program of a network on the cores that it was placed on."""
    pipeline = placement
    if isinstance(pipeline, Placement):
        pipeline = PipelinePlacement(pipeline.network, (pipeline,))
    cores = pipeline.cores
    potentials = []
    for number, core in enumerate(cores):
        for where in core.layers:
            first = np.int64(where.potential_base * core.config.lanes)
            slots = first + where.layout.slots()
            potentials.append(_at(number, "potentials", _by_lane(slots, core.config)))
    return Program(
        network=pipeline.network,
        configs=tuple(pipeline.configs),
        load=pipeline.bus_writes(),
        read_back=np.concatenate([_read_back(number, core) for number, core in enumerate(cores)]),
        image_writes=lambda pixels, bank: image_writes(pixels, cores[0], bank),
        potentials=tuple(potentials),
        output_order=cores[-1].plan.orders[-1],
    )


def _at(core: int, memory: str, offsets: IntArray) -> IntArray:
    addresses: IntArray = (core << BUS_ADDRESS_BITS | region(memory).base) + offsets
    return addresses


def _by_lane(slots: IntArray, config: CoreConfig) -> IntArray:
    """Addresses within a region of `word * lanes + lane`."""
    addresses: IntArray = slots // config.lanes << config.part_bits | slots % config.lanes
    return addresses


def _read_back(number: int, core: Placement) -> Rows:
    """What the memories of a core that can be read hold: layer records by slices, values by lanes."""
    images, config = encode(core), core.config
    records = images["layers"].data.view("<u4")
    index, part = np.indices(records.shape)
    addresses = _at(number, "layers", (index << config.part_bits | part).reshape(-1).astype(np.int64))
    rows = [_rows(addresses, records.reshape(-1))]
    rows += [values_read_back(number, config, name, images[name].data.view("<u4")) for name in ("synapses", "currents")]
    return np.concatenate(rows)


def values_read_back(number: int, config: CoreConfig, name: str, words: NDArray[np.uint32]) -> Rows:
    """What the lanes of the first words of the synapses or currents read when they hold `words[word, slice]`."""
    width = config.weight_bits if name == "synapses" else config.current_bits
    image = MemoryImage(name, width * config.lanes, np.ascontiguousarray(words).view(np.uint8))
    held = unpack_values(image, config.lanes, width).reshape(-1)
    return _rows(_at(number, name, _by_lane(np.arange(len(held)), config)), held)


def _rows(addresses: IntArray, values: NDArray[Any]) -> Rows:
    return np.stack([addresses, values.astype(np.int64) & 0xFFFFFFFF], axis=1).astype(np.uint32)
