"""The parser of requests against the same in plain Python: random, truncated, unknown and too early ones."""

import gc

import numpy as np
import pytest

from gateware import put, simulate
from hillock.hw.uart_bone import UartBone
from link_bytes import Parser, read, write

IDLE = 40


class Board:
    """A parser with a bus that answers after a while with `answer_of` the address, and a sink for what it sends."""

    def __init__(self, ctx, dut, *, seed=0, slow=0.0):
        self.ctx, self.dut, self.rng, self.slow = ctx, dut, np.random.default_rng(seed), slow
        self.accesses, self.sent, self.begun, self.taken, self.refused = [], b"", [], 0, 0
        self.asked = 0

    @staticmethod
    def answer_of(address):
        return (address * 0x9E3779B1 + 7) % 2**32

    async def cycle(self, byte=None):
        dut, bus = self.dut, self.dut.bus
        put(self.ctx, dut, valid=byte is not None, data=byte or 0)
        asks = self.ctx.get(bus.cyc) and self.ctx.get(bus.stb)
        self.asked = self.asked + 1 if asks else 0
        ack = self.asked > 1 and self.rng.random() >= self.slow
        address = self.ctx.get(bus.adr)
        put(self.ctx, bus, ack=ack, dat_r=self.answer_of(address) if ack else 0)
        ready = self.rng.random() >= self.slow
        self.ctx.set(dut.answer.ready, ready)
        _, _, we, data, valid, sent, begins, taken, refused = await self.ctx.tick().sample(
            bus.we, bus.dat_w, dut.answer.valid, dut.answer.payload, dut.begins, dut.taken, dut.refused
        )
        if ack:
            self.accesses.append((address, data if we else None))
            self.asked = 0
        if valid and ready:
            self.sent += bytes([sent])
        if begins:
            assert taken
            self.begun.append(self.taken)
        self.taken += taken
        self.refused += refused

    async def give(self, request):
        """A request, and cycles until it is done."""
        for byte in request:
            await self.cycle(byte)
            for _ in range(int(self.rng.integers(0, 5))):
                await self.cycle()
            while self.ctx.get(self.dut.works):
                await self.cycle()

    async def wait(self, cycles):
        for _ in range(cycles):
            await self.cycle()


def on_board(test, **options):
    dut = UartBone(IDLE)
    simulate(dut, lambda ctx: test(Board(ctx, dut, **options)))


def random_request(rng):
    """Mostly one that exists; sometimes one that does not, or one that stops half-way."""
    address = int(rng.integers(0, 2**32)) if rng.random() < 0.5 else int(rng.integers(2**32 - 3, 2**32))
    count, fixed = int(rng.integers(1, 6)), bool(rng.random() < 0.5)
    if rng.random() < 0.5:
        request = write(address, *map(int, rng.integers(0, 2**32, count)), fixed=fixed)
    else:
        request = read(address, count, fixed=fixed)
    chance = rng.random()
    if chance < 0.15:
        request = bytes([int(rng.choice([0, 5, 0x81, 0xFF]))]) + request[1:6]
    if 0.15 < chance < 0.3:
        request = request[: int(rng.integers(1, len(request)))]
    return request


@pytest.mark.parametrize("slow", [0.0, 0.6])
def test_random_requests(slow):
    rng = np.random.default_rng(int(10 * slow))
    model = Parser()
    read_back: list[int] = []

    async def test(board):
        for _ in range(150):
            request = random_request(rng)
            before = len(model.accesses)
            model.take(request)
            await board.give(request)
            read_back.extend(address for address, value in model.accesses[before:] if value is None)
            if rng.random() < 0.5 or request[0] in (1, 3):
                model.silence()
                await board.wait(IDLE + 1)
            assert (board.accesses, board.begun, board.refused) == (model.accesses, model.begun, model.refused)
        assert board.sent == b"".join(board.answer_of(address).to_bytes(4, "big") for address in read_back)

    on_board(test, slow=slow, seed=5)
    assert len(model.accesses) > 150
    assert model.refused > 20
    assert len(read_back) > 50


@pytest.mark.parametrize("length", [1, 2, 255, 256])
def test_how_many_words_a_request_may_have(length):
    """A number of 0 is 256."""

    async def test(board):
        await board.give(write(1000, *range(length)))
        await board.give(read(7, length))
        assert board.accesses == [(1000 + i, i) for i in range(length)] + [(7 + i, None) for i in range(length)]
        assert len(board.sent) == 4 * length
        assert not board.refused

    on_board(test)


@pytest.mark.parametrize("silence", [IDLE - 1, IDLE])
@pytest.mark.parametrize("given", [1, 2, 5, 6, 9])
def test_a_request_that_stops_half_way(given, silence):
    """The last byte but one cycle of the time is still in time; after it, what follows is a request by itself."""
    request = write(5, 0x01020304)

    async def test(board):
        for byte in request[:given]:
            await board.cycle(byte)
        await board.wait(silence)
        assert board.refused == (silence == IDLE)
        for byte in request[given:] if silence < IDLE else request:
            await board.cycle(byte)
        await board.wait(5)
        assert board.accesses == [(5, 0x01020304)]

    on_board(test)


def test_silence_between_requests_is_none():
    async def test(board):
        for _ in range(3):
            await board.give(read(3))
            await board.wait(3 * IDLE)
        assert not board.refused
        assert len(board.sent) == 12

    on_board(test)


def test_the_time_counts_from_the_last_byte():
    """And not while the bus or the wire makes it wait."""

    async def test(board):
        for byte in write(5, 1, 2, 3):
            await board.cycle(byte)
            await board.wait(IDLE - 2)
        await board.give(read(3, 40))
        assert not board.refused
        assert len(board.accesses) == 43

    on_board(test, slow=0.3)


def test_a_byte_that_comes_too_early():
    """While an answer is under way it is dropped, and no part of what was received."""

    async def test(board):
        for byte in read(3, 2):
            await board.cycle(byte)
        await board.wait(3)
        taken = board.taken
        await board.cycle(1)
        assert (board.taken, board.refused) == (taken, 1)
        await board.wait(50)
        await board.give(read(9))
        assert board.accesses == [(3, None), (4, None), (9, None)]

    on_board(test, slow=0.5)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_no_time_at_all():
    with pytest.raises(ValueError, match=r"^a request may stop for at least 2 clock cycles, not 1$"):
        UartBone(1)
    gc.collect()
