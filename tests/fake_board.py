"""A board in Python: uartbone byte for byte, the register maps, and the golden model's results if it was loaded well.

What it was not loaded with gives garbage, so that a wrong load shows. Time is its own, so that tests wait for nothing.
"""

import zlib
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from hillock.gen.host_program import host_program
from hillock.gen.image import REGISTER_NAMES, encode, memory_names
from hillock.gen.packing import MemoryImage, unpack_values
from hillock.gen.pipeline import PipelinePlacement
from hillock.hw.config import REGION_SHIFT
from hillock.hw.design_digest import design_digest
from hillock.hw.link_registers import (
    LINK_BASE,
    LINK_IDENTITY,
    LINK_REGISTERS,
    WINDOW_SHIFT,
    WINDOWS,
    link_register,
    link_table_digest,
)
from hillock.hw.registers import (
    BUS_ADDRESS_BITS,
    ERRORS,
    IDENTITY,
    LAYER_RECORD,
    RECORD_SLICES,
    REGIONS,
    REGISTERS,
    field_width,
    memory_shape,
    register,
    slices,
    table_digest,
)
from hillock.sim import golden
from hillock.sim.timing import time_inference
from hillock.sim.token_words import pack, unpack

CLOCK, DIVISOR = 25_000_000, 25
BAUD = CLOCK // DIVISOR
ERROR = {field.name: 1 << field.low for field in ERRORS}
LINK_ERROR = {field.name: 1 << field.low for field in link_register("error").fields}
TABLE, LINK_TABLE = table_digest(), link_table_digest()


class FakeCore:
    """Registers and memories of one core."""

    def __init__(self, config):
        self.config = config
        self.memories = {}
        for name in memory_names(config):
            words, bits = memory_shape(name, config)
            self.memories[name] = np.zeros((words, slices(bits)), np.uint32)
        self.record_mask = np.zeros(RECORD_SLICES["layers"], np.uint32)
        for position, field in LAYER_RECORD:
            self.record_mask[position] |= np.uint32(((1 << field_width(field, config)) - 1) << field.low)
        self.registers = dict.fromkeys(REGISTER_NAMES, 0)
        self.error = 0
        self.staged: list[int] = []
        self.staged_for: tuple[str, int] | None = None

    def mask(self, name):
        return sum(((1 << field_width(one, self.config)) - 1) << one.low for one in register(name).fields)

    def holds(self, images, image_words):
        """Whether everything that was loaded is there still, but for the pixels of images."""
        for memory in images:
            if memory.name == "registers":
                continue
            wanted = memory.data.view("<u4")
            got = self.memories[memory.name][: len(wanted)]
            if memory.name == "currents" and image_words:
                wanted, got = wanted.copy(), got.copy()
                wanted[image_words] = got[image_words] = 0
            if not np.array_equal(wanted, got):
                return False
        return [self.registers[name] for name in REGISTER_NAMES] == images["registers"].words()


@dataclass
class Known:
    """A network that the board can run, if it was loaded with it."""

    placement: PipelinePlacement

    def __post_init__(self):
        self.images = [encode(core) for core in self.placement.cores]
        first = self.placement.cores[0]
        self.where = first.layers[0]
        words = self.where.layout.words if self.placement.network.image_input else 0
        base = self.where.current_base
        self.image_words = list(range(base, base + words * first.config.image_banks))
        self.results: dict[Any, Any] = {}
        addresses = host_program(self.placement).potentials
        self.potential_at = {
            int(address): (layer, neuron) for layer, some in enumerate(addresses) for neuron, address in enumerate(some)
        }

    def run(self, key, **inputs):
        """(trace, cycles) of an inference."""
        if key not in self.results:
            trace = golden.run(self.placement.network, **inputs)
            self.results[key] = trace, time_inference(self.placement.pipeline, trace).decision
        return self.results[key]


class FakeBoard:
    """Takes bytes with `receive`, and gives answers in `out`; `now` is set from outside, in seconds.

    `known` are the placements that it can run, all for the same cores. `wrong_words` is what its reads of some
    addresses give instead.
    """

    def __init__(self, *known: PipelinePlacement, seed: int = 0, depths=(9, 10, 4), idle: float = 0.1, change=None):
        self.known = [Known(placement) for placement in known]
        self.placement = known[0]
        self.design = design_digest(self.placement.configs)
        self.cores = [FakeCore(config) for config in self.placement.configs]
        self.random = np.random.default_rng(seed)
        self.depths, self.idle = depths, idle
        self.wrong_words: dict[int, int] = change or {}
        self.now, self.last_byte, self.word_seconds = 0.0, 0.0, 0.0
        self.buffer, self.out = bytearray(), bytearray()
        self.received = self.sent = 0
        self.error = 0
        self.commands = 0
        self.garbage_results = 0
        self.running: tuple[float, Any] | None = None
        self.pending: int | None = None
        self.active_bank = 0
        self.latest: Any = None
        self.tokens: list[int] = []
        self.restart()

    def restart(self):
        self.waiting: deque[int] = deque()
        self.put = 0
        self.outputs: list[int] = []
        self.decisions: list[tuple[int, int]] = []
        self.taken = {"outputs_taken": 0, "decisions_taken": 0}

    # Bytes

    def receive(self, data: bytes) -> None:
        if self.buffer and self.now - self.last_byte >= self.idle:
            self.stop_half_way()
        self.last_byte = self.now
        self.buffer += data
        while len(self.buffer) >= 6:
            command, words = self.buffer[0], self.buffer[1] or 256
            size = 6 + (4 * words if command in (1, 3) else 0)
            if len(self.buffer) < size:
                return
            request = bytes(self.buffer[:size])
            del self.buffer[:size]
            self.perform(request)

    def stop_half_way(self):
        """The parser gives up: whole words of a write have been written."""
        self.perform(bytes(self.buffer))
        self.buffer.clear()
        self.error |= LINK_ERROR["command"]

    def perform(self, request: bytes):
        self.commands += 1
        self.before = self.received, self.sent
        self.received = zlib.crc32(request[:6], self.received)
        if len(request) < 6:
            return
        command, words, address = request[0], request[1] or 256, int.from_bytes(request[2:6], "big")
        step = 1 if command in (1, 2) else 0
        if command in (1, 3):
            for at in range(6, len(request), 4):
                self.received = zlib.crc32(request[at : at + 4], self.received)
                if at + 4 <= len(request):
                    self.write(address, int.from_bytes(request[at : at + 4], "big"))
                address += step
        elif command in (2, 4):
            values = []
            for number in range(words):
                values.append(self.read(address + step * number))
                self.now += self.word_seconds  # the next is read when this one has left
            answer = np.array(values, ">u4").tobytes()
            self.sent = zlib.crc32(answer, self.sent)
            self.out += answer
        else:
            self.error |= LINK_ERROR["command"]

    # The bus

    def write(self, address, value):
        self.advance()
        core, offset = address >> BUS_ADDRESS_BITS, address & ((1 << BUS_ADDRESS_BITS) - 1)
        if core == 0 and offset >= LINK_BASE:
            self.write_link(offset - LINK_BASE, value)
        elif core >= len(self.cores):
            self.error |= LINK_ERROR["address"]
        else:
            self.write_core(core, offset >> REGION_SHIFT, offset & ((1 << REGION_SHIFT) - 1), value)

    def read(self, address):
        self.advance()
        if address in self.wrong_words:
            return self.wrong_words[address]
        core, offset = address >> BUS_ADDRESS_BITS, address & ((1 << BUS_ADDRESS_BITS) - 1)
        if core == 0 and offset >= LINK_BASE:
            return self.read_link(offset - LINK_BASE)
        if core >= len(self.cores):
            self.error |= LINK_ERROR["address"]
            return 0
        value = self.read_core(core, offset >> REGION_SHIFT, offset & ((1 << REGION_SHIFT) - 1), address)
        if value is None:
            self.cores[core].error |= ERROR["bus_address"]
        return value or 0

    # The link

    def write_link(self, offset, value):
        window = offset >> WINDOW_SHIFT
        name = LINK_REGISTERS[offset].name if offset < len(LINK_REGISTERS) else None
        if name == "control":
            if value & 1:
                self.restart()
            if value & 2:
                self.received = self.sent = 0
        elif name == "error":
            self.error &= ~value
        elif name in self.taken:
            self.taken[name] = value
        elif window == WINDOWS["inputs"]:
            self.take_token(value)
        else:
            self.error |= LINK_ERROR["address"]

    def read_link(self, offset):
        window, at = offset >> WINDOW_SHIFT, offset & ((1 << WINDOW_SHIFT) - 1)
        if window == WINDOWS["outputs"]:
            return self.ring(self.outputs, at, 1 << self.depths[1])
        if window == WINDOWS["decisions"]:
            entry = self.ring(self.decisions, at >> 1, 1 << self.depths[2])
            return entry[at & 1] if entry else 0
        if offset >= len(LINK_REGISTERS):
            self.error |= LINK_ERROR["address"]
            return 0
        inputs, outputs, decisions = self.depths
        return {
            "identity": LINK_IDENTITY,
            "table": LINK_TABLE,
            "design": self.design,
            "geometry": len(self.cores) | inputs << 8 | outputs << 16 | decisions << 24,
            "clock": CLOCK,
            "divisor": DIVISOR,
            "control": 0,
            "error": self.error,
            "received": self.before[0],
            "sent": self.before[1],
            "input_space": (1 << inputs) - len(self.waiting),
            "inputs_put": self.put,
            "outputs_given": len(self.outputs),
            "decisions_given": len(self.decisions),
            "cycle": self.cycle,
            **self.taken,
        }[LINK_REGISTERS[offset].name]

    @staticmethod
    def ring(entries, index, depth):
        """The newest entry that lies there."""
        latest = [number for number in range(max(0, len(entries) - depth), len(entries)) if number % depth == index]
        return entries[latest[0]] if latest else 0

    @property
    def cycle(self):
        return int(self.now * CLOCK) & 0xFFFFFFFF

    # The cores

    @property
    def busy(self):
        return self.running is not None or bool(self.tokens)

    def write_core(self, number, region, offset, value):
        core = self.cores[number]
        if region == 0:
            if offset >= len(REGISTERS):
                core.error |= ERROR["bus_address"]
            elif (name := REGISTERS[offset].name) == "control":
                self.control(number, value)
            elif name == "error":
                core.error &= ~value
            elif name not in core.registers:
                core.error |= ERROR["bus_address"]
            elif self.busy:
                core.error |= ERROR["load_while_running"]
            else:
                core.registers[name] = value & core.mask(name)
            return
        name = REGIONS[region].name if region < len(REGIONS) else ""
        memory, bits = core.memories.get(name), core.config.part_bits
        index, part = offset >> bits, offset & ((1 << bits) - 1)
        if memory is None or index >= len(memory) or part >= memory.shape[1]:
            core.error |= ERROR["bus_address"]
        elif self.busy and not (number == 0 and name == "currents" and self.is_spare(index)):
            core.error |= ERROR["load_while_running"]
        elif part and (core.staged_for != (name, index) or part != len(core.staged)):
            core.error |= ERROR["slice_order"]
        else:
            core.staged = [*core.staged, value] if part else [value]
            core.staged_for = (name, index)
            if len(core.staged) == memory.shape[1]:
                bits = memory_shape(name, core.config)[1]
                word = sum(one << 32 * at for at, one in enumerate(core.staged)) & ((1 << bits) - 1)
                memory[index] = [word >> 32 * at & 0xFFFFFFFF for at in range(memory.shape[1])]
                if name == "layers":  # what is no field of a record is not kept
                    memory[index] &= core.record_mask

    def is_spare(self, index):
        words = self.cores[0].registers["image_words"]
        return index >> 1 < words and (index >= words) != self.active_bank and self.pending is None

    def control(self, number, value):
        core = self.cores[number]
        if value & 2:
            self.running = self.pending = self.latest = None
            self.tokens = []
        elif value & 1:
            if self.pending is not None or not core.registers["input_mode"] & 1 or number:
                core.error |= ERROR["start_refused"]
            else:
                self.pending = value >> 2 & 1
                self.advance()

    def read_core(self, number, region, offset, address):
        core, config = self.cores[number], self.cores[number].config
        last = self.latest
        if region == 0:
            if offset >= len(REGISTERS):
                return None
            fixed = {
                "identity": IDENTITY,
                "table": TABLE,
                "geometry": config.lanes
                | config.weight_bits << 8
                | config.potential_bits << 16
                | config.fraction_bits << 24,
                "capacity": config.max_layers | config.classes << 16,
                "control": 0,
                "status": self.busy | (last is not None) << 1 | (self.pending is not None) << 2,
                "error": core.error,
                "decision": last[0] if last else 0,
                "cycles": last[1] if last else 0,
            }
            return (fixed | core.registers)[REGISTERS[offset].name]
        name = REGIONS[region].name if region < len(REGIONS) else ""
        if self.busy:
            return 0
        if name == "counts":
            return int(last[2][offset]) if last and offset < len(last[2]) else 0 if offset < config.classes else None
        if name == "potentials":
            return self.potential(address)
        bits = config.part_bits
        index, part = offset >> bits, offset & ((1 << bits) - 1)
        memory = core.memories.get(name)
        if memory is None or index >= len(memory):
            return None
        if name == "layers":
            return int(memory[index, part]) if part < memory.shape[1] else None
        if name not in ("synapses", "currents") or part >= config.lanes:
            return None
        width = config.weight_bits if name == "synapses" else config.current_bits
        word = sum(int(one) << 32 * at for at, one in enumerate(memory[index]))
        value = word >> part * width & ((1 << width) - 1)
        return (value - (value >> width - 1 << width)) & 0xFFFFFFFF

    def potential(self, address):
        if not self.latest or self.latest[3] is None:
            return 0
        known, trace = self.latest[3]
        layer, neuron = known.potential_at.get(address, (None, 0))
        return 0 if layer is None else int(trace.layers[layer].potentials[-1][neuron]) & 0xFFFFFFFF

    # Inferences

    def advance(self):
        """Let what is under way end, and what is pending begin."""
        while True:
            if self.running is not None:
                if self.running[0] > self.now or not self.has_room(self.running[1]):
                    return
                end, (decision, cycles, counts, seen, words) = self.running
                self.latest, self.running = (decision, cycles, counts, seen), None
                self.outputs += words
                self.decisions.append((decision, int(end * CLOCK) & 0xFFFFFFFF))
            if self.pending is not None:
                self.active_bank, self.pending = self.pending, None
                self.begin(image=self.pixels(self.active_bank))
            elif not self.consume():
                return

    def has_room(self, result):
        outputs, decisions = 1 << self.depths[1], 1 << self.depths[2]
        kept = len(self.outputs) - self.taken["outputs_taken"] + len(result[4])
        return kept <= max(outputs, len(result[4])) and len(self.decisions) - self.taken["decisions_taken"] < decisions

    def pixels(self, bank):
        where, config = self.known[0].where, self.cores[0].config
        first = where.current_base + bank * self.cores[0].registers["image_words"]
        words = self.cores[0].memories["currents"][first : first + where.layout.words]
        image = MemoryImage("currents", config.current_bits * config.lanes, np.ascontiguousarray(words).view(np.uint8))
        values = unpack_values(image, config.lanes, config.current_bits).reshape(-1)
        slots = where.layout.slots()
        return values[slots] if len(values) > slots.max() else None

    def take_token(self, word):
        if len(self.waiting) == 1 << self.depths[0]:
            self.error |= LINK_ERROR["input_full"]
            return
        self.put += 1
        self.waiting.append(word)
        self.advance()

    def consume(self):
        """Take input tokens until an inference has all of its own; whether one began."""
        network, config = self.placement.network, self.cores[0].config
        marker = int(pack([[]], network.input, config)[0])
        wanted = 1 if network.static_input else network.timesteps
        while self.waiting:
            word = self.waiting.popleft()
            if self.cores[0].registers["input_mode"] & 1:
                self.cores[0].error |= ERROR["input_address"]
                continue
            self.tokens.append(word)
            if word & marker and sum(bool(one & marker) for one in self.tokens) == wanted:
                events = unpack(np.array([(0, one, 0) for one in self.tokens], np.uint32), network.input, config)
                steps: list[list[tuple[int, int]]] = [[]]
                for _, address, payload in events:
                    if address is None:
                        steps.append([])
                    elif address >= network.inputs:
                        self.cores[0].error |= ERROR["input_address"]
                    else:
                        steps[-1].append((address, payload))
                self.tokens = []
                self.begin(events=steps[:-1])
                return True
        return False

    def begin(self, **inputs):
        right = [
            known
            for known in self.known
            if all(
                core.holds(images, known.image_words if number == 0 else [])
                for number, (core, images) in enumerate(zip(self.cores, known.images, strict=True))
            )
        ]
        image = inputs.get("image")
        legal = image is None or (image.min() >= 0 and image.max() <= 255)
        last, config = self.placement.network.layers[-1], self.cores[-1].config
        steps = self.placement.network.timesteps
        if right and legal and ("events" in inputs or image is not None):
            known = right[0]
            key = image.tobytes() if image is not None else repr(inputs["events"])
            result: tuple[Any, ...]
            trace, cycles = known.run(key, **inputs)
            order, out = known.placement.cores[-1].plan.orders[-1], []
            for fired, payloads in zip(trace.layers[-1].spikes, trace.layers[-1].payloads, strict=True):
                addresses = order[fired[order]]
                out.append(list(zip(addresses.tolist(), payloads[addresses].tolist(), strict=True)))
            result = (trace.decision, cycles, trace.counts, (known, trace), pack(out, last.shape, config).tolist())
        else:
            self.garbage_results += 1
            cycles = int(self.random.integers(100, 10_000))
            counts = self.random.integers(0, steps + 1, last.neurons)
            out = [[(int(self.random.integers(last.neurons)), 1)] for _ in range(steps)]
            decision = int(self.random.integers(last.neurons))
            result = (decision, cycles, counts, None, pack(out, last.shape, config).tolist())
        self.running = (self.now + cycles / CLOCK, result)
