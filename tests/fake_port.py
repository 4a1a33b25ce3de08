"""Wires to a board: a serial object in memory, with time of its own; a TCP port; and what damages bytes on the way."""

import contextlib
import select
import socket
import threading
import time
from collections import Counter, deque

import numpy as np

KINDS = ("drop", "flip", "replace", "insert", "duplicate", "delay")
DAMAGE = ("drop", "flip", "replace", "insert", "duplicate")


class Faults:
    """Damages one byte in `1 / rate` on average, in bursts of `burst` at most; `kinds` are chosen from at random.

    `counts` has how often it did what.
    """

    def __init__(self, rate: float, seed: int, kinds=KINDS, burst: int = 1, delays=(0.001, 0.6)):
        self.rate, self.kinds, self.burst, self.delays = rate, kinds, burst, delays
        self.random = np.random.default_rng(seed)
        self.counts: Counter[str] = Counter()
        self.left = self.next()

    def next(self):
        return int(self.random.geometric(self.rate)) - 1 if self.rate else 1 << 62

    @property
    def damaged(self):
        return sum(self.counts[kind] for kind in DAMAGE)

    def pass_on(self, data: bytes) -> list[tuple[bytes, float]]:
        """(bytes, seconds that they are late) in order."""
        pieces: list[tuple[bytes, float]] = []
        while self.left < len(data):
            pieces.append((data[: self.left], 0.0))
            many = int(self.random.integers(1, self.burst + 1))
            hit, data = data[self.left : self.left + many], data[self.left + many :]
            pieces += [self.damage(hit[at : at + 1]) for at in range(len(hit))]
            self.left = self.next()
        self.left -= len(data)
        return [*pieces, (data, 0.0)]

    def damage(self, byte):
        kind = self.kinds[int(self.random.integers(len(self.kinds)))]
        self.counts[kind] += 1
        some = bytes([int(self.random.integers(256))])
        if kind == "delay":
            return byte, float(self.random.uniform(*self.delays))
        if kind == "replace" and some == byte:
            kind = "flip"
        return {
            "drop": b"",
            "flip": bytes([byte[0] ^ 1 << int(self.random.integers(8))]),
            "replace": some,
            "insert": some + byte,
            "duplicate": byte + byte,
        }[kind], 0.0


NONE = Faults(0, 0)


class FakePort:
    """A serial object whose other end is a `FakeBoard`: it takes no time, and tells the board how late it is.

    As with an adapter what is written waits for the wire, and the host goes on at once.
    """

    def __init__(self, board, baud: int, to_board: Faults = NONE, from_board: Faults = NONE):
        self.board, self.byte = board, 10 / baud
        board.word_seconds = 4 * self.byte
        self.to_board, self.from_board = to_board, from_board
        self.timeout: float | None = None
        self.now = board.now  # which another host may have talked to before
        self.there: deque[tuple[float, bytes]] = deque()  # on its way to the board
        self.back: deque[tuple[float, bytes]] = deque()
        self.inbox = bytearray()
        self.last_there = self.last_back = self.now
        self.is_open = True

    def write(self, data: bytes) -> int:
        self.last_there = max(self.last_there, self.now) + self.byte * len(data)
        for piece, late in self.to_board.pass_on(bytes(data)):
            self.last_there += late
            if piece:
                self.there.append((self.last_there, piece))
        self.until(self.now)
        return len(data)

    def read(self, size: int) -> bytes:
        deadline = self.now + (self.timeout or 0.0)
        self.until(self.now)
        while len(self.inbox) < size:
            coming = [queue[0][0] for queue in (self.there, self.back) if queue]
            if not coming or min(coming) > deadline:
                self.now = deadline
                break
            self.until(min(coming))
        got = bytes(self.inbox[:size])
        del self.inbox[:size]
        return got

    def until(self, moment):
        """All that has come by then has come."""
        self.now = max(self.now, moment)
        while self.there and self.there[0][0] <= self.now:
            when, piece = self.there.popleft()
            self.board.now = max(self.board.now, when)
            self.board.receive(piece)
            answer, self.board.out = bytes(self.board.out), bytearray()
            for part, late in self.from_board.pass_on(answer):
                self.last_back = max(self.last_back, self.board.now) + late
                if part:
                    self.back.append((self.last_back, part))
        self.board.now = max(self.board.now, self.now)
        while self.back and self.back[0][0] <= self.now:
            self.inbox += self.back.popleft()[1]

    def close(self) -> None:
        self.is_open = False


class Server:
    """A TCP port for one client after another: `url`. `serve(client)` is called with each, in a thread."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self.listener.getsockname()[1]}"
        self.ends = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ends.set()
        self.thread.join()
        self.listener.close()

    def accept(self):
        while not self.ends.is_set():
            if select.select([self.listener], [], [], 0.05)[0]:
                client, _ = self.listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with client, contextlib.suppress(ConnectionError):
                    self.serve(client)

    def serve(self, client):
        raise NotImplementedError


class BoardServer(Server):
    """A `FakeBoard` at a TCP port, in the time of the wall. `heard` is all that it received."""

    def __init__(self, board):
        super().__init__()
        self.board, self.heard = board, bytearray()
        self.began = time.monotonic()

    def serve(self, client):
        while not self.ends.is_set():
            if not select.select([client], [], [], 0.05)[0]:
                continue
            data = client.recv(65536)
            if not data:
                return
            self.heard += data
            self.board.now = max(self.board.now, time.monotonic() - self.began)
            self.board.receive(data)
            answer, self.board.out = bytes(self.board.out), bytearray()
            client.sendall(answer)


class Proxy(Server):
    """Passes bytes on to another TCP port and back, and damages them on the way."""

    def __init__(self, url: str, to_board: Faults, from_board: Faults):
        super().__init__()
        host, _, port = url.removeprefix("socket://").partition(":")
        self.target, self.to_board, self.from_board = (host, int(port)), to_board, from_board

    def serve(self, client):
        with socket.create_connection(self.target) as board:
            board.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ways = {client: (board, self.to_board), board: (client, self.from_board)}
            while not self.ends.is_set():
                for source in select.select(list(ways), [], [], 0.05)[0]:
                    target, faults = ways[source]
                    data = source.recv(65536)
                    if not data:
                        return
                    for piece, late in faults.pass_on(data):
                        time.sleep(late)
                        target.sendall(piece)
