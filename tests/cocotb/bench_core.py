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
from hillock.gen.image import bus_writes, encode, image_writes
from hillock.gen.mapping import place
from hillock.hw.config import CoreConfig
from hillock.hw.registers import ERRORS, region, register
from hillock.sim import golden
from hillock.sim.compare import Comparison, compare
from hillock.sim.harness import Measured
from hillock.sim.network import Network
from hillock.sim.timing import time_inference
from random_networks import random_input, random_network

JOB = json.loads(Path(os.environ["HILLOCK_BENCH"]).read_text())
CONFIG = CoreConfig(**JOB["config"])
PATIENCE = 200_000


def register_address(name: str) -> int:
    return region("registers").base + register(name).offset


class Bench:
    """Drives the ports in the middle of a cycle and looks at them just before its end.

    `now` counts clock cycles. `input_stall` and `output_stall` are the chances of holding back in a cycle; a word that
    was offered stays.
    """

    def __init__(self, dut, rng):
        self.dut, self.rng = dut, rng
        self.now = 0
        self.input_stall = self.output_stall = 0.0
        self.waiting: list[int] = []
        self.taken = False
        self.first_accepted = None
        self.words: list[tuple[int, int, int, int, int]] = []
        self.output: list[tuple[int, int | None]] = []
        self.decision: tuple[int, ...] = ()

    async def start(self):
        dut = self.dut
        for port in (
            "bus__cyc",
            "bus__stb",
            "bus__we",
            "bus__adr",
            "bus__dat_w",
            "inputs__valid",
            "inputs__payload",
            "spikes__ready",
            "decision__ready",
        ):
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
        if int(dut.trace_valid.value):
            self.words.append(
                (
                    self.now,
                    int(dut.trace_layer.value),
                    int(dut.trace_word.value),
                    int(dut.trace_spikes.value),
                    int(dut.trace_potentials.value),
                )
            )
        if ready and int(dut.spikes__valid.value):
            token = int(dut.spikes__payload.value)
            marker = token >> CONFIG.address_bits
            self.output.append((self.now, None if marker else token))
        if ready and int(dut.decision__valid.value):
            self.decision = (self.now, int(dut.decision__payload.value))

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

    async def infer(self, network: Network, given: dict) -> Measured:
        """One inference; cycles count from the first input word, or from the acknowledgement of `start`."""
        self.words, self.output, self.decision, self.first_accepted = [], [], (), None
        if "image" in given:
            await self.load(image_writes(given["image"], CONFIG))
            await self.bus(register_address("control"), 1)
            origin = self.now - 1
        else:
            marker = 1 << CONFIG.address_bits
            self.waiting = [word for step in given["events"] for word in [*step, marker]]
        limit = self.now + PATIENCE
        while not self.decision:
            await self.cycle()
            assert self.now < limit, f"no decision after {PATIENCE} cycles: deadlock"
        if "events" in given:
            origin = self.first_accepted
        return measured(network, self, origin)


def measured(network: Network, bench: Bench, origin: int) -> Measured:
    """What the bench recorded, in the form that `compare` takes."""
    lanes, bits = CONFIG.lanes, CONFIG.potential_bits
    spikes, potentials = [], []
    fire = np.full((network.timesteps, len(network.layers)), -1, np.int64)
    late = False
    for index, layer in enumerate(network.layers):
        count = CONFIG.words(layer.neurons)
        mine = [word for word in bench.words if word[1] == index]
        assert [word[2] for word in mine] == [*range(count)] * (len(mine) // count), "words of a fire pass out of order"
        rows, values = [], []
        for start in range(0, len(mine), count):
            group = mine[start : start + count]
            late |= any(word[0] != group[0][0] + n for n, word in enumerate(group))
            if start // count < network.timesteps:
                fire[start // count, index] = group[0][0] - origin
            rows.append([bool(word[3] >> lane & 1) for word in group for lane in range(lanes)][: layer.neurons])
            raw = [word[4] >> (lane * bits) & ((1 << bits) - 1) for word in group for lane in range(lanes)]
            values.append([value - (value >> (bits - 1) << bits) for value in raw][: layer.neurons])
        spikes.append(np.array(rows, bool).reshape(-1, layer.neurons))
        potentials.append(np.array(values, np.int64).reshape(-1, layer.neurons))
    output = [(cycle - origin, address) for cycle, address in bench.output]
    return Measured(spikes, potentials, fire, late, output, bench.decision[1], bench.decision[0] - origin)


def network_of(rng):
    return random_network(
        rng,
        potential_bits=CONFIG.potential_bits,
        fraction_bits=CONFIG.fraction_bits,
        weight_bits=CONFIG.weight_bits,
        current_bits=CONFIG.current_bits,
        leak_shift_bits=CONFIG.leak_shift_bits,
        max_neurons=CONFIG.max_neurons,
        max_layers=CONFIG.max_layers,
    )


@cocotb.test()
async def equals_the_golden_model(dut):
    """Every seed is a random network, run twice: freely, with every cycle compared, and with stalls on both sides."""
    total = Comparison()
    bench = Bench(dut, None)
    await bench.start()
    for seed in JOB["seeds"]:
        rng = np.random.default_rng(seed)
        network = network_of(rng)
        bench.rng = rng
        await bench.load(bus_writes(encode(place(network, CONFIG)), CONFIG))
        for stalls in ((0.0, 0.0), (rng.random() * 0.9, rng.random() * 0.9)):
            bench.input_stall, bench.output_stall = stalls
            given = random_input(rng, network)
            got = await bench.infer(network, given)
            trace = golden.run(network, **given)
            timeline = None if any(stalls) else time_inference(network, trace, CONFIG.lanes)
            one = compare(network, trace, got, timeline)
            assert one.equal, f"seed {seed}, stalls {stalls}: {one.first}"
            total.add(one)
            assert await bench.bus(register_address("decision")) == trace.decision, f"seed {seed}: decision register"
            if timeline:
                cycles = await bench.bus(register_address("cycles"))
                assert cycles == timeline.decision, f"seed {seed}: register cycles: {timeline.decision}, got {cycles}"
            if network.layers[-1].fires:
                for neuron, count in enumerate(trace.counts.tolist()):
                    got_count = await bench.bus(region("counts").base + neuron)
                    assert got_count == count, f"seed {seed}: class {neuron}: expected {count}, got {got_count}"
                    total.results_compared += 1
        errors = await bench.bus(register_address("error"))
        assert errors == 0, f"seed {seed}: error register {errors:#x}"
    Path(JOB["answer"]).write_text(json.dumps({**vars(total), "first": None}))


@cocotb.test()
async def refuses_what_is_illegal(dut):
    """Every error bit is set by what it names, stays until it is cleared, and nothing else changes."""
    rng = np.random.default_rng(7)
    network = next(
        net
        for net in iter(lambda: network_of(rng), None)
        if not net.image_input and net.timesteps > 2 and net.layers[-1].fires
    )
    bench = Bench(dut, rng)
    await bench.start()
    await bench.load(bus_writes(encode(place(network, CONFIG)), CONFIG))
    bits = {field.name: 1 << field.low for field in ERRORS}

    async def expect(*names):
        wanted = sum(bits[name] for name in names)
        for _ in range(2):
            got = await bench.bus(register_address("error"))
            assert got == wanted, f"error register: expected {names}, got {got:#x}"
        await bench.bus(register_address("error"), wanted)
        assert await bench.bus(register_address("error")) == 0, "errors are cleared by writing ones"

    await expect()
    await bench.bus(register_address("control"), 1)
    await expect("start_refused")
    for address in (register_address("geometry"), region("counts").base, region("potentials").base):
        await bench.bus(address, 1)
        await expect("bus_address")
    no_layer = region("layers").base + (CONFIG.max_layers << CONFIG.part_bits)
    for address in (region("registers").base + 99, 7 << 21, no_layer):
        assert await bench.bus(address) == 0
        await expect("bus_address")
    await bench.bus(region("layers").base + 3, 1)
    await expect("slice_order")

    # In the middle of an inference: a load, a register, a start; and input beyond the first layer, which is dropped.
    events = [np.flatnonzero(rng.random(network.inputs) < 0.5).tolist() for _ in range(network.timesteps)]
    marker = 1 << CONFIG.address_bits
    bench.waiting = [*events[0], marker]
    for _ in range(60):
        await bench.cycle()
    for address in (
        region("layers").base,
        region("synapses").base,
        region("currents").base,
        register_address("timesteps"),
    ):
        await bench.bus(address, 0xFFFFFFFF)
        await expect("load_while_running")
    await bench.bus(register_address("control"), 1)
    await expect("start_refused")
    beyond = [] if network.inputs == 1 << CONFIG.address_bits else [network.inputs]
    bench.waiting = [word for step in events[1:] for word in [*beyond, *step, marker]]
    bench.decision = ()
    while not bench.decision:
        await bench.cycle()
    trace = golden.run(network, events=events)
    counted = [await bench.bus(region("counts").base + neuron) for neuron in range(network.layers[-1].neurons)]
    assert counted == trace.counts.tolist(), f"counts: expected {trace.counts.tolist()}, got {counted}"
    await expect(*(["input_address"] if beyond else []))


@cocotb.test()
async def forgets_what_is_aborted(dut):
    """Given up in any cycle, with operations and spikes on their way: the next inference knows nothing of it."""
    rng = np.random.default_rng(13)
    network = next(net for net in iter(lambda: network_of(rng), None) if not net.image_input and len(net.layers) > 1)
    bench = Bench(dut, rng)
    await bench.start()
    await bench.load(bus_writes(encode(place(network, CONFIG)), CONFIG))
    events = [[*range(network.inputs)] for _ in range(network.timesteps)]
    trace = golden.run(network, events=events)
    timeline = time_inference(network, trace, CONFIG.lanes)
    for after in range(8, min(timeline.decision, 160), 5):
        bench.waiting = [word for step in events for word in [*step, 1 << CONFIG.address_bits]]
        for _ in range(after):
            await bench.cycle()
        await bench.withdraw()
        await bench.bus(register_address("control"), 2)
        assert await bench.bus(register_address("status")) == 0
        one = compare(network, trace, await bench.infer(network, {"events": events}), timeline)
        assert one.equal, f"aborted after {after} cycles: {one.first}"


@cocotb.test()
async def reads_back_what_was_loaded(dut):
    """Layer records slice by slice; weights, currents and (after an inference) potentials lane by lane."""
    rng = np.random.default_rng(11)
    network = next(net for net in iter(lambda: network_of(rng), None) if not net.image_input)
    bench = Bench(dut, rng)
    await bench.start()
    placement = place(network, CONFIG)
    images = encode(placement)
    await bench.load(bus_writes(images, CONFIG))
    given = random_input(rng, network)
    got = await bench.infer(network, given)
    for index, row in enumerate(images.layers.data.view("<u4").tolist()):
        for part, wanted in enumerate(row):
            value = await bench.bus(region("layers").base + (index << CONFIG.part_bits | part))
            assert value == wanted, f"layer record {index} slice {part}: expected {wanted:#x}, got {value:#x}"

    def signed(value):
        return value - (value >> 31 << 32)

    for index, (layer, where) in enumerate(zip(network.layers, placement.layers, strict=True)):
        weights = layer.connections[0].synapses.weights
        for pre, post in rng.integers(0, weights.shape, (12, 2)).tolist():
            word = where.synapse_base + post // CONFIG.lanes * where.inputs + pre
            value = await bench.bus(region("synapses").base + (word << CONFIG.part_bits | post % CONFIG.lanes))
            assert signed(value) == weights[pre, post], f"weight {pre}, {post} of {layer.name}"
        for neuron in range(layer.neurons):
            place_ = (where.potential_base + neuron // CONFIG.lanes) << CONFIG.part_bits | neuron % CONFIG.lanes
            wanted = 0 if layer.currents is None else layer.currents[neuron]
            assert signed(await bench.bus(region("currents").base + place_)) == wanted, f"current of {neuron}"
            wanted = got.potentials[index][-1, neuron]
            assert signed(await bench.bus(region("potentials").base + place_)) == wanted, f"potential of {neuron}"
