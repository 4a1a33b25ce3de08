"""Inferences, one after another: the next is loaded while one is at work, where the first core has room for it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hillock.hw.link_registers import DECISION_WORDS, LINK_BASE, LINK_REGISTERS, WINDOW_SHIFT, WINDOWS, link_register
from hillock.hw.problems import HillockError
from hillock.hw.registers import BUS_ADDRESS_BITS, BUS_BITS, region, register
from hillock.sim.network import Decision
from hillock.sim.stimulus import check_events, check_image
from hillock.sim.token_words import pack

from .connection import Connection, at_link, write
from .identity import Identity
from .program import Program, at_core
from .results import Inputs, Result, result_of
from .uartbone import fixed_write, write_requests

__all__ = ["Batch", "Wishes"]

_FIRST, _LAST = link_register("error").offset, LINK_REGISTERS[-1].offset
_CONTROL = {field.name: 1 << field.low for field in register("control").fields}
_PENDING = next(1 << field.low for field in register("status").fields if field.name == "pending")
_RESTART = 1 << link_register("control").fields[0].low
_MOST_TOKENS = 2048
"""Input tokens of an exchange, so that output is taken now and then."""


@dataclass(frozen=True)
class Wishes:
    """What is to be read beside the decision: output `spikes`, and of inferences that run alone final `potentials`."""

    spikes: bool = True
    potentials: bool = False
    overlap: bool = True


def _window(name: str, index: int = 0) -> int:
    return LINK_BASE + (WINDOWS[name] << WINDOW_SHIFT) + index


class Batch:
    """A number of inferences. `results` has those that are proved; `run` goes on behind them.

    Parameters
    ----------
    inputs : list of dict
        The arguments of `golden.run`; checked here.
    done : callable
        Called with the number of inferences that were finished.
    """

    def __init__(
        self,
        connection: Connection,
        identity: Identity,
        program: Program,
        inputs: Sequence[Inputs],
        wishes: Wishes,
        done: Callable[[int], None],
    ):
        self._link, self._identity, self._program, self._wishes, self._done = (
            connection,
            identity,
            program,
            wishes,
            done,
        )
        network = program.network
        self._takes_images = network.image_input
        self._requests: list[bytes] = []
        self._tokens: list[list[int]] = []
        for given in inputs:
            if self._takes_images:
                pixels = check_image(network, given.get("image"), given.get("events"))  # type: ignore[arg-type]
                for bank in range(1 + program.has_two_images):
                    self._requests.append(b"".join(write_requests(program.image_writes(pixels, bank))))
            else:
                steps = check_events(network, given.get("events"), given.get("image"))  # type: ignore[arg-type]
                words = pack(steps, network.input, program.configs[0]).tolist()
                if max(words) >> BUS_BITS:
                    raise HillockError(
                        f"network {network.name!r}: its input tokens are wider than the {BUS_BITS} bits of the link: "
                        f"generate a core with a smaller grid of the input"
                    )
                self._tokens.append(words)
        self._count = len(inputs)
        self._overlaps = wishes.overlap and (program.has_two_images or not self._takes_images) and self._count > 1
        self.results: list[Result] = []

    @property
    def finished(self) -> bool:
        """Whether there is a result of each."""
        return len(self.results) == self._count

    def run(self) -> None:
        """All that are left, on cores that are idle. Raises `connection.Lost`."""
        while not self.finished:
            last = self._count if self._overlaps else len(self.results) + 1
            self._run(len(self.results), last)

    # A stretch of inferences that follow each other.

    def _run(self, first: int, last: int) -> None:
        self._link.exchange(write(at_link("control"), _RESTART))
        self._next, self._given = first, 0  # the next to be started; tokens of it that were given
        self._words: list[int] = []
        self._decisions: list[tuple[int, int]] = []
        self._outputs_taken = self._decisions_taken = 0
        self._first = first
        state = self._look(b"")
        until = time.monotonic() + self._link.limits.inference
        while len(self.results) < last:
            request = self._start(last, state) if self._next < last else b""
            before = self._outputs_taken, self._decisions_taken
            state = self._look(self._taken(state) + request)
            self._collect(state)
            if request or before != (self._outputs_taken, self._decisions_taken):
                until = time.monotonic() + self._link.limits.inference
            elif time.monotonic() > until:
                raise HillockError(
                    f"port {self._link.name}: inference {len(self.results) + 1} of {self._count} gives nothing for "
                    f"{self._link.limits.inference:g} s: abort it, load the network again, or wait longer with "
                    f"--patience"
                )

    def _look(self, request: bytes) -> dict[str, int]:
        """The registers of the link, and what status the first core has, after `request`."""
        link, (status,) = self._link.exchange(
            request, [(LINK_BASE + _FIRST, _LAST - _FIRST + 1), (at_core("status"), 1)]
        )
        named = {entry.name: value for entry, value in zip(LINK_REGISTERS[_FIRST:], link, strict=True)}
        self._link.refuse(named["error"])
        return named | {"status": status}

    def _start(self, last: int, state: dict[str, int]) -> bytes:
        """What can be given now of the inferences up to `last`."""
        if self._takes_images:
            if state["status"] & _PENDING:
                return b""
            bank, banks = (self._next - self._first) % 2, 1 + self._program.has_two_images
            bank %= banks
            request = self._requests[self._next * banks + bank]
            self._next += 1
            return request + write(at_core("control"), _CONTROL["start"] | _CONTROL["bank"] * bank)
        space = min(state["input_space"], _MOST_TOKENS)
        given: list[int] = []
        while self._next < last and len(given) < space:
            part = self._tokens[self._next][self._given : self._given + space - len(given)]
            given += part
            self._given += len(part)
            if self._given == len(self._tokens[self._next]):
                self._next, self._given = self._next + 1, 0
        return fixed_write(_window("inputs"), given) if given else b""

    def _taken(self, state: dict[str, int]) -> bytes:
        """Tell the link what has been taken, so that it has room again."""
        request = b""
        for name, taken in (("outputs_taken", self._outputs_taken), ("decisions_taken", self._decisions_taken)):
            if state[name] != taken:
                request += write(at_link(name), taken)
        return request

    def _collect(self, state: dict[str, int]) -> None:
        """Read what has come, and make results of it."""
        if not self._decisions_taken <= state["decisions_given"] <= self._next - self._first:
            raise HillockError(
                f"port {self._link.name}: the board gave {state['decisions_given']} decisions and was asked for "
                f"{self._next - self._first}: something else talks to it; end that"
            )
        reads = self._in_ring("decisions", self._decisions_taken, state["decisions_given"], DECISION_WORDS)
        decisions = len(reads)
        if self._wishes.spikes:
            reads += self._in_ring("outputs", self._outputs_taken, state["outputs_given"], 1)
        values = self._link.exchange(reads=reads) if reads else []
        words = [word for some in values[:decisions] for word in some]
        self._decisions += list(zip(words[::2], words[1::2], strict=True))
        self._words += [word for some in values[decisions:] for word in some]
        self._outputs_taken, self._decisions_taken = state["outputs_given"], state["decisions_given"]
        while self._decisions:
            mine = self._tokens_of_one() if self._wishes.spikes else None
            result = result_of(self._program, *self._decisions.pop(0), mine)
            if not self._overlaps:
                result = self._alone(result)
            self.results.append(result)
            self._done(1)

    def _in_ring(self, name: str, first: int, end: int, words: int) -> list[tuple[int, int]]:
        """The reads of entries `first` to `end` of a window that goes round."""
        depth = self._identity.output_depth if name == "outputs" else self._identity.decision_depth
        reads = []
        while first < end:
            count = min(end - first, depth - first % depth)
            reads.append((_window(name, first % depth * words), count * words))
            first += count
        return reads

    def _tokens_of_one(self) -> list[int]:
        """The output tokens of the oldest inference, off `_words`."""
        network = self._program.network
        shape, config = network.layers[-1].shape, self._program.configs[-1]
        marker = int(pack([[]], shape, config)[0])
        markers = [at for at, word in enumerate(self._words) if word & marker][: network.timesteps]
        if len(markers) < network.timesteps:
            raise HillockError(
                f"port {self._link.name}: a decision came after {len(markers)} of {network.timesteps} timesteps: load "
                f"the network again, and self-test the board"
            )
        mine, self._words = self._words[: markers[-1] + 1], self._words[markers[-1] + 1 :]
        return mine

    def _alone(self, result: Result) -> Result:
        """With what the cores hold until the next inference begins."""
        network, last = self._program.network, len(self._program.configs) - 1
        counted = network.decision is Decision.COUNT
        reads = [(at_core("decision", last), 1), (at_core("cycles", last), 1)]
        if counted:
            reads.append((last << BUS_ADDRESS_BITS | region("counts").base, network.layers[-1].neurons))
        values = self._link.exchange(reads=reads)
        ((decision,), (cycles,)) = values[:2]
        if decision != result.decision:
            raise HillockError(
                f"port {self._link.name}: the core decided for {decision}, and the link says {result.decision}: "
                f"self-test the board"
            )
        result = replace(result, cycles=cycles)
        if counted:
            result = replace(result, counts=np.array(values[2], np.int64))
        return replace(result, potentials=self._potentials()) if self._wishes.potentials else result

    def _potentials(self) -> tuple[np.ndarray, ...]:
        layers = []
        for addresses in self._program.potentials:
            words: dict[int, int] = {}
            for first, count in _runs(np.unique(addresses)):
                (values,) = self._link.exchange(reads=[(first, count)])
                words |= dict(zip(range(first, first + count), values, strict=True))
            layers.append(np.array([words[at] for at in addresses.tolist()], np.uint32).view(np.int32).astype(np.int64))
        return tuple(layers)


def _runs(addresses: np.ndarray) -> list[tuple[int, int]]:
    """(first, count) of the stretches of ascending addresses."""
    ends = [*(np.flatnonzero(np.diff(addresses) != 1) + 1).tolist(), len(addresses)]
    return [(int(addresses[a]), b - a) for a, b in zip([0, *ends], ends, strict=False)]
