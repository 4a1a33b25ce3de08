"""The core in cocotb: loaded over its bus, fed and drained with or without random stalls, compared cycle by cycle.

Imported by the simulator. `HILLOCK_BENCH` names a JSON file with the core's configuration, the seeds to run and where
to write how much was compared; `test_core_rtl.py` makes it and reads the answer.
"""

import json
import os
from pathlib import Path

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

import cocotb
from gateware import ERROR_BITS, at, word_at
from hillock.gen.image import bus_writes, encode, image_writes
from hillock.gen.mapping import place
from hillock.gen.packing import unpack_values
from hillock.hw.config import REGION_SHIFT, CoreConfig
from hillock.hw.registers import REGIONS, memory_shape, region
from hillock.sim import golden
from hillock.sim.compare import Comparison, compare
from hillock.sim.measured import Measured, measured_runs
from hillock.sim.network import Decision, Shape
from hillock.sim.plan import Plan, as_pipeline
from hillock.sim.timing import time_inference
from hillock.sim.token_words import pack
from random_networks import random_graph, random_input, random_network

JOB = json.loads(Path(os.environ["HILLOCK_BENCH"]).read_text())
CONFIG = CoreConfig(**JOB["config"])
PATIENCE = 20_000
"""Cycles without anything leaving the core that are called a deadlock."""
PORTS = (
    "bus__cyc",
    "bus__stb",
    "bus__we",
    "bus__adr",
    "bus__dat_w",
    "inputs__valid",
    "inputs__payload",
    "spikes__ready",
    "decision__ready",
)


class Bench:
    """Drives the ports in the middle of a cycle and looks at them just before its end.

    `now` counts clock cycles. `input_stall` and `output_stall` are the chances of holding back in a cycle; a word that
    was offered stays. `trace`, `output` and `decisions` are what came out, each with its cycle.
    """

    def __init__(self, dut, rng):
        self.dut, self.rng = dut, rng
        self.now = self.last_sign = 0
        self.input_stall = self.output_stall = 0.0
        self.taken = False
        self.listen()

    def listen(self, waiting=()):
        """From here on, offer these input words, and take down what comes out."""
        self.waiting = [int(word) for word in waiting]
        self.first_accepted = 0
        self.trace: list[tuple[int, ...]] = []
        self.output: list[tuple[int, int]] = []
        self.decisions: list[tuple[int, int]] = []
        self.last_sign = self.now

    async def start(self):
        dut = self.dut
        for port in PORTS:
            getattr(dut, port).value = 0
        dut.rst.value = 1
        Clock(dut.clk, 10, unit="ns").start()
        await FallingEdge(dut.clk)
        await FallingEdge(dut.clk)
        dut.rst.value = 0

    async def cycle(self):
        """One clock cycle: drive, let it settle, record every handshake."""
        dut = self.dut
        await FallingEdge(dut.clk)
        offering = bool(int(dut.inputs__valid.value)) and not self.taken
        if not offering:
            offering = bool(self.waiting) and self.rng.random() >= self.input_stall
            dut.inputs__valid.value = offering
            if offering:
                dut.inputs__payload.value = self.waiting[0]
        ready = self.rng.random() >= self.output_stall
        dut.spikes__ready.value = ready
        dut.decision__ready.value = ready
        await ReadOnly()
        self.now += 1
        self.taken = offering and bool(int(dut.inputs__ready.value))
        if self.taken:
            self.waiting.pop(0)
            self.first_accepted = self.first_accepted or self.now
        signs = len(self.trace) + len(self.output) + len(self.decisions)
        if int(dut.trace0_valid.value):
            names = ("layer", "word", "spikes", "potentials")
            self.trace.append((self.now, *(int(getattr(dut, f"trace0_{name}").value) for name in names)))
        if ready and int(dut.spikes__valid.value):
            self.output.append((self.now, int(dut.spikes__payload.value)))
        if ready and int(dut.decision__valid.value):
            self.decisions.append((self.now, int(dut.decision__payload.value)))
        if self.taken or len(self.trace) + len(self.output) + len(self.decisions) > signs:
            self.last_sign = self.now
        assert self.now - self.last_sign < PATIENCE, f"nothing moved for {PATIENCE} cycles: deadlock"

    async def offered(self):
        """Until every input word was taken; none is offered any more."""
        while self.waiting:
            await self.cycle()
        await self.cycle()

    async def decided(self, count=1):
        """Until so many inferences have ended."""
        while len(self.decisions) < count:
            await self.cycle()

    async def withdraw(self):
        """Offer no more input, not even the word that was not taken yet."""
        self.waiting, self.taken = [], True
        await self.cycle()

    async def bus(self, address, value=None):
        """A write (with `value`) or a read, while no input is offered; returns what was read.

        `now` is then the cycle after the acknowledgement.
        """
        dut = self.dut
        await FallingEdge(dut.clk)
        dut.bus__cyc.value = dut.bus__stb.value = 1
        dut.bus__we.value = value is not None
        dut.bus__adr.value = int(address)
        dut.bus__dat_w.value = int(value or 0)
        for _ in range(16):
            await ReadOnly()
            self.now += 1
            if int(dut.bus__ack.value):
                answer = int(dut.bus__dat_r.value)
                await FallingEdge(dut.clk)
                dut.bus__cyc.value = dut.bus__stb.value = 0
                self.now += 1  # the cycle that this falling edge is in; nothing is offered or taken in it
                return answer
            await FallingEdge(dut.clk)
        raise AssertionError(f"no acknowledgement at address {address:#x}")

    async def load(self, writes):
        for address, value in writes.tolist():
            await self.bus(address, value)

    async def infer(self, placement, given: dict, trace: golden.Trace) -> Measured:
        """One inference, of `given["image"]` or the events of `trace`.

        Cycles count from the first input word, or from the acknowledgement of `start`.
        """
        network = placement.network
        if network.image_input:
            await self.load(image_writes(given["image"], placement))
            await self.bus(at("control"), 1)
            origin = self.now - 1
            self.listen()
        else:
            self.listen(pack(trace.events, network.input, CONFIG))
        await self.decided()
        return measured(placement.plan, self, origin if network.image_input else self.first_accepted)


def measured(plan: Plan, bench: Bench, origin: int) -> Measured:
    """What the bench recorded, in the form that `compare` takes."""

    def cut(value, bits):
        return [value >> low & 0xFFFFFFFF for low in range(0, bits, 32)]

    lanes, bits = CONFIG.lanes, CONFIG.potential_bits
    trace = [
        part
        for cycle, layer, word, spikes, potentials in bench.trace
        for part in (cycle - origin, layer, word, *cut(spikes, lanes), *cut(potentials, lanes * bits))
    ]
    output = [part for cycle, token in bench.output for part in (cycle - origin, *cut(token, 64))]
    decisions = [part for cycle, decision in bench.decisions for part in (decision, cycle - origin)]
    head = [len(trace), len(output), len(bench.decisions)]
    (run,) = measured_runs(np.array([*head, *trace, *output, *decisions], np.uint32), as_pipeline(plan))
    return run


def network_of(rng):
    """A random chain of dense layers, or a random graph where the core has tables for it."""
    widths = {
        name: getattr(CONFIG, name)
        for name in ("potential_bits", "fraction_bits", "weight_bits", "current_bits", "leak_shift_bits")
    }
    if not CONFIG.tables or rng.random() < 0.2:
        return random_network(rng, **widths, max_neurons=CONFIG.max_channels, max_layers=JOB["layers"])
    return random_graph(
        rng,
        **widths,
        payload_bits=CONFIG.payload_bits,
        max_layers=JOB["layers"],
        max_size=CONFIG.max_width,
        max_channels=CONFIG.max_channels // 4,
        static_input=bool(CONFIG.static_input),
    )


async def loaded(dut, seed, suits):
    """A bench, and the first network from `seed` on that suits, placed on the core and loaded."""
    rng = np.random.default_rng(seed)
    network = next(net for net in iter(lambda: network_of(rng), None) if suits(net))
    bench, placement = Bench(dut, rng), place(network, CONFIG)
    await bench.start()
    await bench.load(bus_writes(encode(placement), CONFIG))
    return bench, placement


@cocotb.test()
async def equals_the_golden_model(dut):
    """Every seed is a random network, run twice: freely, with every cycle compared, and with stalls on both sides."""
    total, fired, kinds = Comparison(), 0, set()
    bench = Bench(dut, None)
    await bench.start()
    for seed in JOB["seeds"]:
        rng = np.random.default_rng(seed)
        network = network_of(rng)
        placement = place(network, CONFIG)
        bench.rng = rng
        kinds |= {connection.synapses.kind for _, connection in network.walks()}
        await bench.load(bus_writes(encode(placement), CONFIG))
        for stalls in ((0.0, 0.0), (rng.random() * 0.9, rng.random() * 0.9)):
            bench.input_stall, bench.output_stall = stalls
            given = random_input(rng, network)
            trace = golden.run(network, **given)
            got = await bench.infer(placement, given, trace)
            timeline = None if any(stalls) else time_inference(placement.plan, trace)
            one = compare(placement.plan, trace, got, timeline)
            assert one.equal, f"seed {seed}, stalls {stalls}: {one.first}"
            total.add(one)
            fired += sum(int(layer.spikes.sum()) for layer in trace.layers)
            assert await bench.bus(at("decision")) == trace.decision, f"seed {seed}: decision register"
            if timeline:
                cycles = await bench.bus(at("cycles"))
                assert cycles == timeline.decision, f"seed {seed}: register cycles: {timeline.decision}, got {cycles}"
            if network.decision is Decision.COUNT:
                for neuron, count in enumerate(trace.counts.tolist()):
                    got_count = await bench.bus(region("counts").base + neuron)
                    assert got_count == count, f"seed {seed}: class {neuron}: expected {count}, got {got_count}"
                    total.results_compared += 1
        errors = await bench.bus(at("error"))
        assert errors == 0, f"seed {seed}: error register {errors:#x}"
    answer = {**vars(total), "first": None, "fired": fired, "kinds": sorted(kinds)}
    Path(JOB["answer"]).write_text(json.dumps(answer))


async def expect(bench, *names):
    """Just these error bits are set, stay when they are read, and are cleared by writing ones."""
    wanted = sum(ERROR_BITS[name] for name in names)
    for _ in range(2):
        got = await bench.bus(at("error"))
        assert got == wanted, f"error register: expected {names}, got {got:#x}"
    await bench.bus(at("error"), wanted)
    assert await bench.bus(at("error")) == 0, "errors are cleared by writing ones"


def beyond(shape):
    """Input words just beyond the grid of the input, as far as a token can say them."""
    ends = (
        (shape.channels, CONFIG.max_channels, Shape(shape.channels + 1)),
        (shape.width, CONFIG.max_width, Shape(1, 1, shape.width + 1)),
        (shape.height, CONFIG.max_height, Shape(1, shape.height + 1, 1)),
    )
    return [
        int(pack([[(size, 1)]], larger, CONFIG)[0])
        for size, most, larger in ends
        if size < 1 << (most - 1).bit_length()
    ]


@cocotb.test()
async def refuses_what_is_illegal(dut):
    """Every error bit is set by what it names, stays until it is cleared, and nothing else changes."""
    bench, placement = await loaded(
        dut,
        7,
        lambda net: (
            not (net.image_input or net.static_input)
            and net.timesteps > 2
            and net.decision is Decision.COUNT
            and len(beyond(net.input)) == (3 if CONFIG.tables else 1)
        ),
    )
    network = placement.network
    await expect(bench)
    await bench.bus(at("control"), 1)
    await expect(bench, "start_refused")
    memories = [entry.name for entry in REGIONS if entry.parts and entry.parts[0]]
    absent = [name for name in memories if not memory_shape(name, CONFIG)[0]]
    for address in (at("geometry"), *(region(name).base for name in ("counts", "potentials", *absent))):
        await bench.bus(address, 1)
        await expect(bench, "bus_address")
    for address in (
        region("registers").base + 99,
        len(REGIONS) << REGION_SHIFT,
        word_at("layers", CONFIG.max_layers, 0, CONFIG),
        *(word_at("synapses", 0, part, CONFIG) for part in range(CONFIG.lanes, 1 << CONFIG.part_bits)),
        word_at("potentials", CONFIG.potential_words, 0, CONFIG),
        *(region(name).base for name in ("connections", "rows", "columns", "channels", "lanes")),
        region("counts").base + CONFIG.classes,
    ):
        assert await bench.bus(address) == 0
        await expect(bench, "bus_address")
    for name in ("layers", "connections"):
        await bench.bus(word_at(name, 0, 3, CONFIG), 1)
        await expect(bench, "slice_order")

    # In the middle of an inference: a load, a register, a start; and input beyond the grid, which is dropped.
    rng = bench.rng
    addresses = [np.flatnonzero(rng.random(network.inputs) < 0.5).tolist() for _ in range(network.timesteps)]
    trace = golden.run(network, events=addresses)
    words = pack(trace.events, network.input, CONFIG)
    cut = len(addresses[0]) + 1
    bench.listen(words[:cut])
    await bench.offered()
    for address in (*(region(name).base for name in memories if name not in absent), at("timesteps")):
        await bench.bus(address, 0xFFFFFFFF)
        await expect(bench, "load_while_running")
    await bench.bus(at("control"), 1)
    await expect(bench, "start_refused")
    for word in beyond(network.input):
        bench.waiting = [word]
        await bench.offered()
        await expect(bench, "input_address")
    bench.waiting = words[cut:].tolist()
    await bench.decided()
    counted = [await bench.bus(region("counts").base + neuron) for neuron in range(network.layers[-1].neurons)]
    assert counted == trace.counts.tolist(), f"counts: expected {trace.counts.tolist()}, got {counted}"
    await expect(bench)


@cocotb.test()
async def remembers_one_start(dut):
    """Of an image: a start during an inference waits for its end, one more is refused, and so is any input word."""
    bench, placement = await loaded(
        dut, 5, lambda net: net.image_input and net.timesteps > 2 and net.decision is not Decision.NONE
    )
    network = placement.network
    given = random_input(bench.rng, network)
    trace = golden.run(network, **given)
    await bench.load(image_writes(given["image"], placement))
    bench.listen(pack([[(0, 1)]], network.input, CONFIG)[:1])
    await bench.offered()
    await expect(bench, "input_address")
    await bench.bus(at("control"), 1)
    await bench.bus(at("control"), 1)
    await bench.bus(at("control"), 1)
    await expect(bench, "start_refused")
    bench.listen()
    await bench.decided(2)
    got = [decision for _, decision in bench.decisions]
    assert got == [trace.decision] * 2, f"decisions: expected {trace.decision} twice, got {got}"
    for _ in range(200):
        await bench.cycle()
    assert len(bench.decisions) == 2
    await expect(bench)


@cocotb.test()
async def forgets_what_is_aborted(dut):
    """Given up in any cycle, with operations and spikes on their way: the next inference knows nothing of it."""
    bench, placement = await loaded(dut, 13, lambda net: not net.image_input and len(net.layers) > 2)
    network, plan = placement.network, placement.plan
    events = [[*range(network.inputs)]] * (1 if network.static_input else network.timesteps)
    trace = golden.run(network, events=events)
    timeline = time_inference(plan, trace)
    for after in range(8, timeline.decision, max(5, timeline.decision // 30)):
        bench.listen(pack(trace.events, network.input, CONFIG))
        for _ in range(after):
            await bench.cycle()
        await bench.withdraw()
        await bench.bus(at("control"), 2)
        assert await bench.bus(at("status")) == 0
        one = compare(plan, trace, await bench.infer(placement, {}, trace), timeline)
        assert one.equal, f"aborted after {after} cycles: {one.first}"


@cocotb.test()
async def reads_back_what_was_loaded(dut):
    """Layer records slice by slice; weights, currents and (after an inference) potentials lane by lane."""
    bench, placement = await loaded(dut, 11, lambda net: len(net.layers) > 1)
    network, plan, images = placement.network, placement.plan, encode(placement)
    lanes = CONFIG.lanes

    def signed(value):
        return value - (value >> 31 << 32)

    for index, row in enumerate(images["layers"].data.view("<u4").tolist()):
        for part, wanted in enumerate(row):
            value = await bench.bus(word_at("layers", index, part, CONFIG))
            assert value == wanted, f"layer record {index} slice {part}: expected {wanted:#x}, got {value:#x}"
    for name, bits in (("synapses", CONFIG.weight_bits), ("currents", CONFIG.current_bits)):
        held = unpack_values(images[name], lanes, bits)
        for word in sorted({0, len(held) - 1, *bench.rng.integers(0, len(held), 12).tolist()}):
            got = [signed(await bench.bus(word_at(name, word, lane, CONFIG))) for lane in range(lanes)]
            assert got == held[word].tolist(), f"{name}, word {word}: expected {held[word].tolist()}, got {got}"
    given = random_input(bench.rng, network)
    trace = golden.run(network, **given)
    await bench.infer(placement, given, trace)
    for index, layer in enumerate(trace.layers):
        for neuron, slot in enumerate(plan.slots[index].tolist()):
            word = plan.potential_bases[index] + slot // lanes
            value = signed(await bench.bus(word_at("potentials", word, slot % lanes, CONFIG)))
            wanted = layer.potentials[-1, neuron]
            assert value == wanted, f"potential of neuron {neuron} of layer {index}: expected {wanted}, got {value}"
