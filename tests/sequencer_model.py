"""A model of the sequencer, and what holds the sequencer, with decoder and walker, against it in every cycle.

The model is a list of walks and passes in the order in which the contract runs them, and three rules: a token is taken
when it is on offer and the walk before it has ended; its operations follow one in each cycle; after a pass, or a marker
without one, the records change.
"""

from collections import deque
from math import inf
from typing import Any, NamedTuple

from amaranth.hdl import Elaboratable, Module
from amaranth.lib import wiring

from gateware import put, simulate
from hillock.hw.config import CoreConfig
from hillock.hw.decoder import Decoder, table_entry_layout
from hillock.hw.formats import Operation, connection_layout, descriptor_layout
from hillock.hw.sequencer import Sequencer
from hillock.hw.walker import Walker

__all__ = ["ONE", "Connection", "Layer", "Walks", "config_of", "infer"]

SIZES = {
    "lanes": 4, "max_layers": 5, "max_connections": 8, "max_channels": 40, "potential_words": 64, "synapse_words": 256,
    "replay_words": 64,
}  # fmt: skip
ONE = {"max_layers": 1, "max_connections": 1}
"""Only where a record never changes, a change may take 2 cycles."""
COUNTS = [0, 1, 2, 1, 3]
"""How many rows, and how many columns, an event of each row, or column, reaches on a core with tables."""
MARKER = None


def config_of(**fields):
    """A core that runs the networks of the tests."""
    return CoreConfig(**(SIZES | fields))


class Connection(NamedTuple):
    """`source` is the stream that its tokens come from; `words` is that of a tap."""

    source: str
    words: int
    synapse_base: int = 0
    replays: bool = False


class Layer(NamedTuple):
    """`words` of its pass, and the cycles behind it."""

    words: int
    connections: tuple[Connection, ...] = ()
    is_output: bool = False
    change: int = Sequencer.CHANGE


class Item(NamedTuple):
    """A walk of a connection with these tokens, up to the marker, and (with `kind`) the pass that it ends in.

    Without a connection it is the pass alone.
    """

    layer: int
    kind: Any = None
    connection: Connection | None = None
    tokens: tuple[tuple[int, int, int] | None, ...] = ()


class Walks(Elaboratable):  # type: ignore[misc]
    """The three of them, as the core connects them."""

    def __init__(self, config, layers, *, loaded):
        self.records: dict[str, list[Any]] = {"layer": [], "connection": []}
        for number, layer in enumerate(layers):
            self.records["layer"].append(
                descriptor_layout(config).const({
                    "potential_base": number, "channel_words": layer.words, "column_words": 1, "rows": 1,
                    "used_lanes": 4, "end_lanes": number, "is_output": layer.is_output, "change": layer.change,
                    "feeds_next": not layer.is_output, "connections": len(layer.connections),
                }).as_bits()
            )  # fmt: skip
            for one in layer.connections:
                self.records["connection"].append(
                    connection_layout(config).const({
                        "words": one.words, "from_input": one.source == "inputs", "from_replay": one.replays,
                        "synapse_base": one.synapse_base,
                    }).as_bits()
                )  # fmt: skip
        given = {name: [] if loaded else records for name, records in self.records.items()}
        entry = table_entry_layout(config)
        table = [entry.const({"count": count}).as_bits() for count in COUNTS]
        self.sequencer = Sequencer(config, descriptors=given["layer"], connections=given["connection"])
        self.decoder = Decoder(config, tables={"rows": table, "columns": table})
        self.walker = Walker(config)

    def elaborate(self, platform):
        m = Module()
        sequencer, decoder, walker = self.sequencer, self.decoder, self.walker
        m.submodules += [sequencer, decoder, walker]
        wiring.connect(m, sequencer.tokens, decoder.tokens)
        wiring.connect(m, decoder.requests, sequencer.decoded)
        wiring.connect(m, sequencer.requests, walker.requests)
        m.d.comb += [
            decoder.accepts.eq(sequencer.accepts),
            decoder.connection.eq(sequencer.connection),
            decoder.potential_base.eq(sequencer.descriptor.potential_base),
            walker.idle.eq(sequencer.idle | sequencer.finished),
            sequencer.pass_done.eq(walker.done),
        ]
        for name in ("layer", "descriptor", "connection", "pass_kind"):
            m.d.comb += getattr(walker, name).eq(getattr(sequencer, name))
        for name in ("one_word_pass", "one_row_pass", "one_column_pass", "one_word_tap"):
            m.d.comb += getattr(walker, name).eq(getattr(sequencer, name))
        return m


def program_of(layers, tokens, timesteps, *, static):
    """All items of an inference; `tokens()` gives those of a walk, without the marker."""
    program = []
    if static:
        program.append(Item(0, Operation.LOAD))
        program.append(Item(0, Operation.LATCH, layers[0].connections[0], (*tokens(), MARKER)))
    program += [Item(number, Operation.PRELOAD) for number in range(len(layers))]
    for _ in range(timesteps):
        for number, layer in enumerate(layers):
            walks = [] if static and number == 0 else layer.connections
            for connection in walks:
                kind = Operation.FIRE if connection is walks[-1] else None
                program.append(Item(number, kind, connection, (*tokens(), MARKER)))
            if not walks:
                program.append(Item(number, Operation.FIRE))
    return program


class Model:
    """What must happen in each cycle of an inference; what `run` asks for is asked once in each cycle, in order."""

    def __init__(self, config, layers, program, *, static):
        self.config, self.layers, self.static = config, layers, static
        self.program = deque(program)
        self.ready = self.finished = self.idle_from = inf
        self.walker_free = 0
        self.operations, self.synapses = {}, {}  # by cycle
        self._enter()

    def _enter(self):
        """The next item."""
        self.inside: deque[tuple[tuple[int, int, int] | None, int]] = deque()
        self.left = deque(self.program[0].tokens if self.program else ())

    def length(self, connection, token):
        """Operations of an event."""
        if not self.config.tables:
            return connection.words
        return COUNTS[token[0]] * COUNTS[token[1]] * connection.words

    def source(self):
        """The stream that tokens are taken from."""
        item = self.program[0] if self.program else None
        return item.connection.source if item and item.connection else None

    def step(self, now, offering, free):
        """(stream whose token is taken, whether the output is reserved, whether the replay begins) in this cycle."""
        if not self.program or now < self.ready:
            return None, False, False
        item = self.program[0]
        begins = now == self.ready and bool(item.connection and item.connection.replays)
        outward = item.kind is Operation.FIRE and self.layers[item.layer].is_output
        if item.connection is None:
            if outward and not free:
                return None, False, begins
            self._pass(now, item)
            return None, outward, begins
        source = item.connection.source
        accepts = bool(self.left) and offering[source]
        if self.config.tables:
            due = bool(self.inside) and now >= self.inside[0][1] + self.config.decode_cycles
            token = self.inside[0][0] if due else None
        else:
            due, token = accepts, self.left[0] if accepts else None
        takes = due and now >= self.walker_free
        if takes and token is MARKER and outward and not free:
            takes = False
        if self.config.tables:
            accepts = accepts and (len(self.inside) < self.config.decode_cycles or takes)
            if takes:
                self.inside.popleft()
            if accepts:
                self.inside.append((self.left.popleft(), now))
        else:
            accepts = takes
            if takes:
                self.left.popleft()
        if takes and token is not MARKER:
            self._walk(now, item, token)
        elif takes and item.kind:
            self._pass(now, item)
        elif takes:
            self.ready = now + Sequencer.CHANGE
            self.program.popleft()
            self._enter()
        return source if accepts else None, bool(takes and token is MARKER and outward), begins

    def _walk(self, now, item, token):
        length = self.length(item.connection, token)
        for cycle in range(now + Walker.LATENCY, now + Walker.LATENCY + length):
            self.operations[cycle] = (Operation.INTEGRATE, item.layer, 0, 0)
            self.synapses[cycle - 1] = item.connection.synapse_base + token[2]
        self.walker_free = now + max(1, length)

    def _pass(self, now, item):
        layer = self.layers[item.layer]
        fires = item.kind is Operation.FIRE
        ways = fires and not layer.is_output, fires and layer.is_output
        for n in range(layer.words):
            self.operations[now + Walker.LATENCY + n] = (item.kind, item.layer, *ways)
        done = now + layer.words
        self.ready = done + (Sequencer.CHANGE_SAME if item.kind is Operation.LOAD else layer.change)
        self.program.popleft()
        self._enter()
        if not self.program:
            self.idle_from = done + 1
            self.finished = done + 1 + Sequencer.CHANGE_SAME


def infer(config, layers, tokens, timesteps, rng, *, stalls=0.0, blocked=0.0, image=False, static=False, loaded=False):
    """Run three inferences and compare every output in every cycle; returns the cycles of the first one's operations.

    `stalls` is the chance that a stream holds back in a cycle, `blocked` that the output queue is not free. With
    `loaded` the records are written through the ports, rather than initial.
    """
    dut = Walks(config, layers, loaded=loaded)
    sequencer, walker = dut.sequencer, dut.walker
    first: list[int] = []

    async def inference(ctx):
        model = Model(config, layers, program_of(layers, tokens, timesteps, static=static), static=static)
        waiting = {
            name: deque(t for item in model.program if item.connection and item.connection.source == name
                        for t in item.tokens)
            for name in ("inputs", "spikes")
        }  # fmt: skip
        offering = dict.fromkeys(waiting, False)
        performed = []
        begun, ended, idle, now = False, False, rng.randint(1, 4), 0
        while not ended:
            for name, left in waiting.items():
                offering[name] = bool(left) and (offering[name] or rng.random() >= stalls) and now >= idle
                row, column, channel = (left[0] if offering[name] else MARKER) or (0, 0, 0)
                stream = getattr(sequencer, name)
                put(ctx, stream, valid=offering[name], payload={
                    "row": row, "column": column, "channel": channel, "marker": bool(left) and left[0] is MARKER
                })  # fmt: skip
            free = rng.random() >= blocked
            decided = now >= model.finished + 3
            put(ctx, sequencer, output_free=free, start=image and now >= idle and not begun, decided=decided)

            begins = not begun and (now >= idle if image else offering["inputs"])
            is_idle = not begun or (config.passes_on and now >= model.idle_from)
            taken, reserves, replays = model.step(now, offering, free)
            if begins:
                begun, model.ready = True, now + Sequencer.CHANGE
            finished = not config.passes_on and now >= model.finished

            _, _, valid, operation, synapse, *got = await ctx.tick().sample(
                walker.valid, walker.operation, walker.synapse_word, sequencer.begin, sequencer.idle,
                sequencer.finished, sequencer.output_reserve, sequencer.replay_begin, sequencer.inputs.ready,
                sequencer.spikes.ready, sequencer.descriptor,
            )  # fmt: skip
            descriptor = got.pop()
            accepted = [bool(ready and offering[name]) for name, ready in zip(waiting, got[-2:], strict=True)]
            about = f"cycle {now}, {len(model.program)} items left"
            assert got[:-2] == [begins, is_idle, finished, reserves, replays], about
            assert accepted == [taken == name for name in waiting], about
            wanted = model.operations.get(now)
            shown = (operation.kind, operation.layer, operation.to_next, operation.to_output) if valid else None
            assert shown == wanted, about
            if now in model.synapses:
                assert synapse == model.synapses[now], about
            if valid:
                performed.append(now)
            if finished:
                assert descriptor.as_bits() == dut.records["layer"][len(layers) - 1], about
            if taken:
                waiting[taken].popleft()
                offering[taken] = False
            now += 1
            ended = decided or (config.passes_on and now > model.idle_from)
        assert not any(waiting.values())
        first.extend([] if first else performed)
        assert len(performed) == len(model.operations)

    async def bench(ctx):
        put(ctx, sequencer, layer_count=len(layers), timesteps=timesteps, image=image, static_input=static)
        for name, records in dut.records.items() if loaded else ():
            port = getattr(sequencer, f"{name}_write")
            for address, record in enumerate(records):
                put(ctx, port, en=1, addr=address, data=record)
                await ctx.tick()
            put(ctx, port, en=0)
        for _ in range(3):
            await inference(ctx)

    simulate(dut, bench)
    return first
