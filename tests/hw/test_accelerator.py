"""Several cores as one: the bus that reaches each of them, and the tokens that go from one to the next."""

import gc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gateware import ERROR_BITS, at, put, simulate
from hillock.gen.pipeline import PipelinePlacement, place_pipeline
from hillock.hw.accelerator import MAX_CORES, Accelerator
from hillock.hw.config import CoreConfig
from hillock.hw.registers import BUS_ADDRESS_BITS, region
from hillock.sim import golden
from hillock.sim.network import INPUT, Connection, Dense, Layer, Network, Shape
from hillock.sim.token_words import pack, unpack

SMALL = CoreConfig(
    lanes=2, max_layers=2, max_connections=2, max_channels=9, potential_words=8, synapse_words=32, current_words=8,
    queue_words=4, classes=5, input_queue=4,
)  # fmt: skip


class Bus:
    """Accesses the bus of an accelerator."""

    def __init__(self, ctx, dut):
        self.ctx, self.bus = ctx, dut.bus

    async def access(self, address, value=None):
        """A write (with `value`), or a read of what is returned."""
        put(self.ctx, self.bus, adr=address, we=value is not None, dat_w=value or 0, cyc=1, stb=1)
        for _ in range(20):
            _, _, ack, data = await self.ctx.tick().sample(self.bus.ack, self.bus.dat_r)
            if ack:
                put(self.ctx, self.bus, cyc=0, stb=0)
                return data
        raise AssertionError("no acknowledgement")


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("count", [0, MAX_CORES + 1])
def test_how_many_cores_there_may_be(count):
    with pytest.raises(ValueError, match=f"^an accelerator has from 1 to 16 cores, not {count}$"):
        Accelerator([SMALL] * count)
    gc.collect()  # what was refused is never elaborated, of which a later test would hear


@pytest.mark.parametrize(("count", "bits"), [(1, 0), (2, 1), (3, 2), (5, 3)])
def test_an_address_has_the_number_of_the_core(count, bits):
    """Each is read and written alone: a write changes no other, and an error is that of the core that was asked."""
    dut = Accelerator([replace(SMALL, lanes=2 + number) for number in range(count)])
    assert len(dut.bus.adr) == BUS_ADDRESS_BITS + bits

    async def bench(ctx):
        bus = Bus(ctx, dut)
        for core in range(count):
            assert await bus.access(at("geometry") | core << BUS_ADDRESS_BITS) & 0xFF == 2 + core
            await bus.access(at("timesteps") | core << BUS_ADDRESS_BITS, 100 + core)
        for core in range(count):
            assert await bus.access(at("timesteps") | core << BUS_ADDRESS_BITS) == 100 + core
        await bus.access(region("counts").base | count - 1 << BUS_ADDRESS_BITS, 1)
        errors = [await bus.access(at("error") | core << BUS_ADDRESS_BITS) for core in range(count)]
        assert errors == [0] * (count - 1) + [ERROR_BITS["bus_address"]]

    simulate(dut, bench)


def test_every_core_has_its_trace():
    dut = Accelerator([replace(SMALL, lanes=2 + number) for number in range(3)])
    names = [name for name in dut.signature.members if name.startswith("trace")]
    kinds = ("valid", "layer", "word", "spikes", "potentials")
    assert names == [f"trace{number}_{kind}" for number in range(3) for kind in kinds]

    async def nothing(ctx):
        assert [len(getattr(dut, f"trace{number}_spikes")) for number in range(3)] == [2, 3, 4]

    simulate(dut, nothing)


# Tokens from core to core


def chain(payload_bits: int) -> Network:
    """2x2x2 events, to 3 channels of a 2x1 grid, to 5, to 4 neurons, with weights that let some of them fire."""
    rng = np.random.default_rng(6)
    layers, source, inputs = [], INPUT, 8
    for name, shape in (("first", Shape(3, 2, 1)), ("second", Shape(5)), ("third", Shape(4))):
        weights = rng.integers(-20, 60, (inputs, shape.neurons))
        connections = (Connection(source, Dense(weights)),)
        layers.append(Layer(name=name, shape=shape, threshold=900, reset_amount=700, connections=connections))
        source, inputs = name, shape.neurons
    return Network(name="chain", input=Shape(2, 2, 2), layers=tuple(layers), payload_bits=payload_bits, timesteps=4)


def run(placement: PipelinePlacement, events: list[list[tuple[int, int]]], held: float) -> tuple[list, int]:
    """What leaves an accelerator that is generated with its memories full, and the decision."""
    network, configs = placement.network, placement.configs
    dut = Accelerator(configs, placement.memory_inits())
    words = pack(events, network.input, configs[0]).tolist()
    decisions: list[Any] = []
    rng, given, output = np.random.default_rng(1), iter(words), []

    async def bench(ctx):
        word = next(given)
        while not decisions:
            offered = word is not None and rng.random() >= held
            put(ctx, dut.inputs, valid=offered)
            if offered:
                ctx.set(dut.inputs.payload.as_value(), word)
            takes = rng.random() >= held
            put(ctx, dut.spikes, ready=takes)
            put(ctx, dut.decision, ready=takes)
            _, _, accepted, left, token, decided, decision = await ctx.tick().sample(
                dut.inputs.ready,
                dut.spikes.valid,
                dut.spikes.payload.as_value(),
                dut.decision.valid,
                dut.decision.payload,
            )
            if offered and accepted:
                word = next(given, None)
            if takes and left:
                output.append((0, token, 0))
            if takes and decided:
                decisions.append(decision)
            assert len(output) < 100

    simulate(dut, bench)
    shape, config = network.layers[-1].shape, configs[-1]
    return [event for _, *event in unpack(np.array(output, np.uint32), shape, config)], decisions[0]


def wanted(trace: golden.Trace) -> list[list[int | None]]:
    """What is to leave: (address, payload) of each event, and a marker behind each timestep."""
    events: list[list[int | None]] = []
    for row in trace.layers[-1].spikes:
        events += [*([address, 1] for address in np.flatnonzero(row).tolist()), [None, 0]]  # type: ignore[list-item]
    return events


@pytest.mark.parametrize("held", [0.0, 0.5])
@pytest.mark.parametrize("sizes", [{}, {"payload_bits": 3}])
@pytest.mark.parametrize("cuts", [[], [1], [2], [1, 2]])
def test_the_cores_compute_the_network(cuts, sizes, held):
    """With events that carry payloads, those of the layers between two cores carry 1."""
    network = chain(sizes.get("payload_bits", 1))
    placement = place_pipeline(network, cuts, [3, 2, 4][: len(cuts) + 1], input_queue=4)
    rng = np.random.default_rng(3)
    events = [
        [(address, int(rng.integers(1, network.largest_payload + 1))) for address in range(8) if rng.random() < 0.6]
        for _ in range(network.timesteps)
    ]
    trace = golden.run(network, events=events)
    assert all(layer.spikes.any() for layer in trace.layers)
    assert run(placement, events, held) == (wanted(trace), trace.decision)


def test_events_without_a_payload_carry_one():
    """From a core that has none to one that has: whatever the wider token could hold, it is 1."""
    network = chain(1)
    placement = place_pipeline(network, [1], [3, 2])
    wider = place_pipeline(network, [1], [3, 2], payload_bits=4)
    mixed = PipelinePlacement(network, (placement.cores[0], wider.cores[1]))
    assert [config.payload_bits for config in mixed.configs] == [1, 4]
    events = [[(address, 1) for address in range(8)]] * network.timesteps
    trace = golden.run(network, events=events)
    assert all(layer.spikes.any() for layer in trace.layers)
    assert run(mixed, events, 0.0) == (wanted(trace), trace.decision)


def test_an_inner_core_says_what_is_beyond_its_input():
    """If it was loaded for another network than the core before it: here as if the layer between had one channel."""
    network = chain(1)
    placement = place_pipeline(network, [1], [3, 2])
    events = [[(address, 1) for address in range(8)]] * network.timesteps
    assert golden.run(network, events=events).layers[0].spikes[:, 2:].any()  # beyond the first channel of two neurons
    words = pack(events, network.input, placement.configs[0]).tolist()
    found = []
    for channels in (3, 1):
        first, second = placement.memory_inits()
        registers = {**second.registers, "input_channels": channels}
        dut = Accelerator(placement.configs, [first, replace(second, registers=registers)])

        async def bench(ctx, dut=dut):
            put(ctx, dut.spikes, ready=1)
            for word in words:
                put(ctx, dut.inputs, valid=1)
                ctx.set(dut.inputs.payload.as_value(), word)
                await ctx.tick().until(dut.inputs.ready)
            put(ctx, dut.inputs, valid=0)
            await ctx.tick().until(dut.decision.valid)
            bus = Bus(ctx, dut)
            found.append([await bus.access(at("error") | core << BUS_ADDRESS_BITS) for core in range(2)])

        simulate(dut, bench)
    assert found == [[0, 0], [0, ERROR_BITS["input_address"]]]
