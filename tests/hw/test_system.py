"""The whole board design, from wire to wire: networks are loaded, run and read over the UART alone."""

import gc
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from amaranth.sim import Simulator

from gateware import ERROR_BITS, at, put, simulate
from hillock.gen.image import image_writes
from hillock.gen.pipeline import PipelinePlacement, place_pipeline
from hillock.hw.config import CoreConfig
from hillock.hw.design_digest import design_digest
from hillock.hw.link import LinkSizes
from hillock.hw.link_registers import LINK_BASE, LINK_IDENTITY, link_register
from hillock.hw.problems import HillockError
from hillock.hw.registers import BUS_ADDRESS_BITS, IDENTITY, region
from hillock.hw.system import Arbiter, System, divisor_of
from hillock.sim import golden
from hillock.sim.network import INPUT, Connection, Dense, Layer, Network, Shape
from hillock.sim.timing import time_inference
from hillock.sim.token_words import pack, unpack
from link_bytes import at_link, read, window, write, write_rows

DIVISOR, IDLE = 4, 600
CONTROL = {field.name: 1 << field.low for field in link_register("control").fields}
LINK_ERRORS = {field.name: 1 << field.low for field in link_register("error").fields}
SIZES = LinkSizes(input_depth_log2=5, output_depth_log2=5, decision_depth_log2=1)


def system(configs, inits=None, **options):
    options = {"sizes": SIZES} | options
    return System(configs, inits, clock_hz=DIVISOR * 1_000_000, baud=1_000_000, idle_cycles=IDLE, **options)


class Host:
    """The other end of the two wires. `sent` and `received` are the bytes on them, since `clear`."""

    def __init__(self, ctx, dut):
        self.ctx, self.dut = ctx, dut
        self.sent, self.received = b"", b""
        self.levels: list[int] = []

    async def cycles(self, count, level=1):
        for _ in range(count):
            self.ctx.set(self.dut.rx, level)
            _, _, tx = await self.ctx.tick().sample(self.dut.tx)
            self.levels.append(tx)

    async def send(self, request):
        self.sent += request
        for byte in request:
            for bit in (0, *(byte >> bit & 1 for bit in range(8)), 1):
                await self.cycles(DIVISOR, bit)

    async def ask(self, request, count):
        """Send a request and decode the answer of `count` words."""
        self.levels = []
        await self.send(request)
        await self.cycles(count * (4 * 10 * DIVISOR + 20) + 60)
        answer, at_cycle = b"", 0
        while 0 in self.levels[at_cycle:]:
            at_cycle = self.levels.index(0, at_cycle)
            bits = [self.levels[at_cycle + bit * DIVISOR + DIVISOR // 2] for bit in range(10)]
            assert (bits[0], bits[9]) == (0, 1)
            answer += bytes([sum(bit << number for number, bit in enumerate(bits[1:9]))])
            at_cycle += 10 * DIVISOR - DIVISOR // 2
        assert len(answer) == 4 * count
        self.received += answer
        return [int.from_bytes(answer[i : i + 4], "big") for i in range(0, len(answer), 4)]

    async def get(self, address):
        (value,) = await self.ask(read(address), 1)
        return value

    async def check(self):
        """Both ends have seen the same bytes."""
        wanted = [zlib.crc32(self.sent), zlib.crc32(self.received)]
        assert await self.ask(read(at_link("received"), 2), 2) == wanted


def on_system(dut, test):
    simulate(dut, lambda ctx: test(Host(ctx, dut)))


SMALL = CoreConfig(
    lanes=2, max_layers=2, max_connections=2, max_channels=9, potential_words=8, synapse_words=32, current_words=8,
    queue_words=4, classes=5, input_queue=4,
)  # fmt: skip


def test_what_it_is():
    configs = [SMALL] * 3
    dut = system(configs)

    async def test(host):
        assert await host.ask(read(LINK_BASE, 6), 6) == [
            LINK_IDENTITY,
            *(await host.ask(read(at_link("table")), 1)),
            design_digest(configs),
            3 | 5 << 8 | 5 << 16 | 1 << 24,
            DIVISOR * 1_000_000,
            DIVISOR,
        ]
        for core in range(3):
            assert await host.get(core << BUS_ADDRESS_BITS) == IDENTITY
        await host.check()
        await host.send(write(at_link("control"), CONTROL["clear"]))
        host.sent = host.received = b""
        await host.check()
        await host.check()

    on_system(dut, test)


def test_beyond_the_cores_there_is_nothing():
    """What does not exist is answered with 0 and an error of the link; a core's own regions are its own matter."""
    dut = system([SMALL] * 3)

    async def test(host):
        for address in (3 << BUS_ADDRESS_BITS, 0xFFFFFFFF, 1 << 31):
            assert await host.get(address) == 0
            assert await host.get(at_link("error")) == LINK_ERRORS["address"]
            assert host.ctx.get(dut.error)
            await host.send(write(at_link("error"), LINK_ERRORS["address"]))
            await host.send(write(address, 5))
            assert await host.get(at_link("error")) == LINK_ERRORS["address"]
            await host.send(write(at_link("error"), LINK_ERRORS["address"]))
        for core in (1, 2):
            assert await host.get(LINK_BASE | core << BUS_ADDRESS_BITS) == 0
            assert await host.get(at("error") | core << BUS_ADDRESS_BITS) == ERROR_BITS["bus_address"]
        assert await host.get(at("error")) == 0
        assert await host.get(at_link("error")) == 0

    on_system(dut, test)


def test_damage_is_seen():
    """An unknown command, one that stops, a byte that is lost and a byte too early: error, or another CRC, or both."""
    dut = system([SMALL])

    async def test(host):
        async def errors():
            found = await host.get(at_link("error"))
            await host.send(write(at_link("error"), found))
            return found

        await host.send(bytes([9, 1, 0, 0, 0, 0]))
        assert await errors() == LINK_ERRORS["command"]
        await host.check()
        await host.send(write(at("timesteps"), 77)[:-1])
        await host.cycles(IDLE + 50)
        assert await errors() == LINK_ERRORS["command"]
        assert await host.get(at("timesteps")) != 77
        await host.check()
        # A byte without a stop bit is lost.
        await host.cycles(9 * DIVISOR, 0)
        await host.cycles(3 * DIVISOR, 0)
        await host.cycles(3 * DIVISOR)
        assert await errors() == LINK_ERRORS["command"]
        await host.check()
        # One that comes while an answer is under way is not covered by the CRC.
        await host.send(read(at("identity")))
        await host.send(b"\x01")
        await host.cycles(600)
        assert await errors() == LINK_ERRORS["command"]
        host.received += IDENTITY.to_bytes(4, "big")
        received, _ = await host.ask(read(at_link("received"), 2), 2)
        assert received != zlib.crc32(host.sent)

    on_system(dut, test)


# Networks


def image_network() -> Network:
    """Four pixels, rate-encoded in few timesteps, to three neurons."""
    rng = np.random.default_rng(8)
    encoder = Layer(
        name="encoder", shape=Shape(4), threshold=255, reset_amount=255, preload=127, current_from_image=True
    )
    weights = Connection("encoder", Dense(rng.integers(-20, 90, (4, 3))))
    output = Layer(name="output", shape=Shape(3), threshold=800, reset_amount=800, connections=(weights,))
    return Network(name="image", input=Shape(4), layers=(encoder, output), timesteps=6)


def event_network() -> Network:
    """Five channels to four neurons to three."""
    rng = np.random.default_rng(6)
    layers, source, inputs = [], INPUT, 5
    for name, size in (("first", 4), ("second", 3)):
        connections = (Connection(source, Dense(rng.integers(-20, 90, (inputs, size)))),)
        layers.append(Layer(name=name, shape=Shape(size), threshold=900, reset_amount=700, connections=connections))
        source, inputs = name, size
    return Network(name="events", input=Shape(5), layers=tuple(layers), timesteps=5)


def spikes_of(words: list[int], placement: PipelinePlacement) -> list[list[int | None]]:
    """(address, payload) of the output tokens."""
    rows = np.array([(0, word, 0) for word in words], np.uint32)
    return [list(event) for _, *event in unpack(rows, placement.network.layers[-1].shape, placement.configs[-1])]


def wanted_spikes(trace: golden.Trace) -> list[list[int | None]]:
    events: list[list[int | None]] = []
    for row in trace.layers[-1].spikes:
        events += [*([address, 1] for address in np.flatnonzero(row).tolist()), [None, 0]]  # type: ignore[list-item]
    return events


async def results(host, placement, trace):
    """What the link kept of one inference is what the golden model does."""
    given, decided = await host.get(at_link("outputs_given")), await host.get(at_link("decisions_given"))
    assert decided == 1
    words = await host.ask(read(window("outputs"), given), given)
    assert spikes_of(words, placement) == wanted_spikes(trace)
    assert trace.layers[-1].spikes.any()
    decision, _cycle = await host.ask(read(window("decisions"), 2), 2)
    assert decision == trace.decision
    last = len(placement.cores) - 1 << BUS_ADDRESS_BITS
    counts = await host.ask(read(region("counts").base | last, len(trace.counts)), len(trace.counts))
    assert counts == trace.counts.tolist()


def test_an_image():
    """Everything comes over the wire; spikes, counts, decision and cycles are those of the golden model."""
    network = image_network()
    placement = place_pipeline(network, [], [2])
    dut = system(placement.configs)

    async def test(host):
        await host.send(write_rows(placement.bus_writes()))
        for number, pixels in enumerate(([200, 10, 120, 255], [0, 90, 255, 31])):
            trace = golden.run(network, image=np.array(pixels))
            await host.send(write_rows(image_writes(np.array(pixels), placement.cores[0], number)))
            await host.send(write(at("control"), 1 | number << 2))
            await host.cycles(8)
            assert host.ctx.get(dut.busy)
            while host.ctx.get(dut.busy):
                await host.cycles(1)
            await results(host, placement, trace)
            assert await host.get(at("cycles")) == time_inference(placement.pipeline, trace).decision
            await host.send(write(at_link("control"), CONTROL["restart"]))
        assert await host.get(at("error")) == await host.get(at_link("error")) == 0
        await host.check()

    on_system(dut, test)


@pytest.mark.parametrize("cuts", [[], [1]])
def test_events(cuts):
    """They go through the window, on one core or two."""
    network = event_network()
    placement = place_pipeline(network, cuts, [2] * (len(cuts) + 1))
    dut = system(placement.configs)
    rng = np.random.default_rng(1)
    events = [[(address, 1) for address in range(5) if rng.random() < 0.7] for _ in range(network.timesteps)]
    trace = golden.run(network, events=events)

    async def test(host):
        await host.send(write_rows(placement.bus_writes()))
        words = pack(events, network.input, placement.configs[0]).tolist()
        assert len(words) <= await host.get(at_link("input_space"))
        await host.send(write(window("inputs"), *words[:9], fixed=True) + write(window("inputs"), *words[9:]))
        assert await host.get(at_link("inputs_put")) == len(words)
        await host.cycles(500)
        await results(host, placement, trace)
        assert await host.get(at_link("error")) == 0
        await host.check()

    on_system(dut, test)


def test_output_that_nobody_takes_holds_the_core_back():
    """The ring has room for four tokens; all the others come once those were taken, and none is lost."""
    network = image_network()
    placement = place_pipeline(network, [], [2])
    sizes = LinkSizes(input_depth_log2=2, output_depth_log2=2, decision_depth_log2=1)
    dut = system(placement.configs, placement.memory_inits(), sizes=sizes)
    pixels = np.array([255, 255, 255, 255])
    trace = golden.run(network, image=pixels)

    async def test(host):
        await host.send(write_rows(image_writes(pixels, placement.cores[0])))
        await host.send(write(at("control"), 1))
        words: list[int] = []
        for _ in range(20):
            given = await host.get(at_link("outputs_given"))
            if given == len(words):
                break
            assert given - len(words) <= 4
            new = given - len(words)
            assert given == len(wanted_spikes(trace)) or new == 4
            words += [await host.get(window("outputs", index)) for index in range(len(words), given)]
            await host.send(write(at_link("outputs_taken"), given))
        assert spikes_of(words, placement) == wanted_spikes(trace)
        assert len(words) > 8
        assert await host.get(at_link("decisions_given")) == 1

    on_system(dut, test)


# A second master


def test_a_second_master_takes_turns():
    """Both read and write without end, and each gets its own answers."""
    dut = system([SMALL], second_master=True)
    rounds, ended = 0, False

    async def access(ctx, address, value=None):
        bus = dut.second
        put(ctx, bus, adr=address, we=value is not None, dat_w=value or 0, cyc=1, stb=1)
        ack = 0
        while not ack:
            _, _, ack, got = await ctx.tick().sample(bus.ack, bus.dat_r)
        put(ctx, bus, cyc=0, stb=0)
        await ctx.tick()
        return got

    async def first(ctx):
        nonlocal ended
        host = Host(ctx, dut)
        for number in range(1, 12):
            await host.send(write(at("timesteps"), number))
            assert await host.get(at("identity")) == IDENTITY
            assert await host.get(at("timesteps")) == number
        ended = True

    async def second(ctx):
        nonlocal rounds
        while not ended:
            rounds += 1
            await access(ctx, at("delay"), rounds)
            assert await access(ctx, at("delay")) == rounds
            assert await access(ctx, at_link("identity")) == LINK_IDENTITY

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(first)
    simulator.add_testbench(second)
    simulator.run()
    assert ended
    assert rounds > 100


def test_the_arbiter_serves_both_when_both_always_want():
    dut = Arbiter()
    served = []

    async def bench(ctx):
        wants, rests = [1, 1], [0, 0]
        for _ in range(100):
            for number, master in enumerate((dut.first, dut.second)):
                put(ctx, master, cyc=wants[number], stb=wants[number], adr=number + 5)
            ack = ctx.get(dut.bus.cyc)
            if ack:
                assert ctx.get(dut.bus.adr) in (5, 6)
            ctx.set(dut.bus.ack, ack)
            acks = [ctx.get(dut.first.ack), ctx.get(dut.second.ack)]
            assert sum(acks) == ack
            for number in (0, 1):
                if acks[number]:
                    served.append(number)
                rests[number] = acks[number]
                wants[number] = not acks[number]
            await ctx.tick()

    simulate(dut, bench)
    assert served.count(0) >= len(served) // 2 - 1
    assert served.count(1) >= len(served) // 2 - 1
    assert len(served) > 40


# What cannot be built


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_tokens_wider_than_a_word():
    wide = CoreConfig(max_channels=1 << 17, max_height=1024, max_width=1024, row_entries=1, column_entries=1)
    text = (
        "link: 2 problems\n  - an input token of 38 bits does not fit in a word of 32: make max_channels, max_height, "
        "max_width or payload_bits of that core smaller\n  - an output token of 38 bits does not fit in a word of 32: "
        "make max_channels, max_height, max_width or payload_bits of that core smaller"
    )
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        system([wide])
    gc.collect()


@pytest.mark.parametrize(("clock", "baud", "divisor"), [(25_000_000, 1_000_000, 25), (12_000_000, 115_200, 104)])
def test_divisor(clock, baud, divisor):
    assert divisor_of(clock, baud) == divisor


@pytest.mark.parametrize(
    ("clock", "baud", "text"),
    [
        (
            12_000_000,
            4_000_000,
            "UART of 4,000,000 baud at a clock of 12,000,000 Hz: a bit must take at least 4 clock cycles, not 3.00: at "
            "most 3,000,000 baud",
        ),
        (
            12_000_000,
            2_700_000,
            "UART of 2,700,000 baud at a clock of 12,000,000 Hz: 4 cycles per bit are 11.1 % off, and at most 2 % are "
            "read safely: ask for 3,000,000 baud",
        ),
    ],
)
def test_rates_that_cannot_be(clock, baud, text):
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        divisor_of(clock, baud)


def test_design_digest():
    """Of all sizes of all cores, in their order."""
    other = CoreConfig(lanes=4)
    digests = [design_digest(configs) for configs in ([SMALL], [other], [SMALL, other], [other, SMALL], [SMALL] * 2)]
    assert len(set(digests)) == len(digests)
    assert all(0 <= digest < 1 << 32 for digest in digests)
    assert design_digest([SMALL]) == design_digest((replace(SMALL),))
