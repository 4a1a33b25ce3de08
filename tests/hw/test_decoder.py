"""The decoder, cycle by cycle: which walk a token becomes, when, and what it holds back."""

import random
from collections import deque
from typing import NamedTuple

import pytest

from gateware import put, simulate
from hillock.hw.config import CoreConfig
from hillock.hw.decoder import TABLES, Decoder, table_entry_layout
from hillock.hw.formats import connection_layout

SIZES = {
    "lanes": 2, "potential_words": 64, "synapse_words": 512, "max_channels": 20, "payload_bits": 3,
}  # fmt: skip
GRIDS = {"max_height": 6, "max_width": 7, "row_entries": 30, "column_entries": 33}
CONFIGS = {
    "no_tables": CoreConfig(**SIZES),
    "no_payloads": CoreConfig(**SIZES | {"payload_bits": 1}),
    "tables": CoreConfig(**SIZES, **GRIDS),
    "channel_table": CoreConfig(**SIZES, **GRIDS, channel_entries=50),
}
INSIDE = 3
"""Tokens that there is room for in the tables."""


class Token(NamedTuple):
    """An event, or the marker behind the last of a connection."""

    row: int = 0
    column: int = 0
    channel: int = 0
    payload: int = 1
    marker: bool = False


class Entry(NamedTuple):
    """An entry of a table."""

    synapse: int
    potential: int
    count: int  # type: ignore[assignment]


def random_tables(config, rng):
    sizes = {"rows": config.row_entries, "columns": config.column_entries, "channels": config.channel_entries}
    return {
        name: [
            Entry(rng.randrange(config.synapse_words), rng.randrange(config.potential_words), rng.choice([0, 1, 2, 9]))
            for _ in range(size)
        ]
        for name, size in sizes.items()
    }


def random_connection(config, rng):
    """A connection record and the first potential word of the layer it leads to."""
    return {
        "synapse_base": rng.randrange(config.synapse_words),
        "row_base": rng.randrange(max(1, config.row_entries - config.max_height)),
        "column_base": rng.randrange(max(1, config.column_entries - config.max_width)),
        "channel_base": rng.randrange(max(1, config.channel_entries - config.max_channels)),
        "by_channel": config.grouped and rng.random() < 0.5,
    }, rng.randrange(config.potential_words)


def random_tokens(config, rng):
    """Events, then a marker."""
    return [
        Token(
            rng.randrange(config.max_height), rng.randrange(config.max_width), rng.randrange(config.max_channels),
            rng.randrange(1, 1 << config.payload_bits),
        )
        for _ in range(rng.choice([0, 1, 2, 5, 30]))
    ] + [Token(marker=True)]  # fmt: skip


def wanted_request(config, tables, connection, potential_base, token):
    """(payload, first potential word, first synapse word, rows, columns), or what it is instead."""
    if token.marker:
        return "marker"
    potential, synapse = potential_base, connection["synapse_base"]
    rows = columns = 1
    if config.tables:
        row = tables["rows"][connection["row_base"] + token.row]
        column = tables["columns"][connection["column_base"] + token.column]
        rows, columns = row.count, column.count
        potential += row.potential + column.potential
        synapse += row.synapse + column.synapse
    if rows == 0 or columns == 0:
        return "nothing"
    if connection["by_channel"]:
        entry = tables["channels"][connection["channel_base"] + token.channel]
        potential += entry.potential
        synapse += entry.synapse
    else:
        synapse += token.channel
    return token.payload, potential % config.potential_words, synapse % config.synapse_words, rows, columns


def shown_request(config, request):
    """The same of what the decoder offers."""
    if request.marker:
        return "marker"
    if request.nothing:
        return "nothing"
    return (
        request.payload if config.payload_bits > 1 else 1,
        (request.potential + request.potential_offset) % config.potential_words,
        (request.synapse + request.synapse_offset) % config.synapse_words,
        request.rows,
        request.columns,
    )


def run(config, walks, tables, rng, *, gaps=0.0, stalls=0.0, loaded=False):
    """Decode the tokens of one connection after another; returns (cycle in, cycle out) of every token.

    Both handshakes and what is offered are compared in every cycle. `gaps` and `stalls` are the chances of a cycle
    without a token and without `ready`; with `loaded` the tables are written through the ports.
    """
    entry = table_entry_layout(config)
    words = {name: [entry.const(one._asdict()).as_bits() for one in table] for name, table in tables.items()}
    dut = Decoder(config, tables=None if loaded else words)
    log: list[tuple[int, int]] = []

    async def bench(ctx):
        now = 0
        for name in TABLES if loaded else ():
            for address, word in enumerate(words[name]):
                put(ctx, getattr(dut, f"{name}_write"), en=1, addr=address, data=word)
                await ctx.tick()
            put(ctx, getattr(dut, f"{name}_write"), en=0)

        for connection, potential_base, tokens in walks:
            record = connection_layout(config).const(connection)
            put(ctx, dut, connection=record, potential_base=potential_base)
            left = deque(tokens)
            inside: deque[tuple[Token, int]] = deque()  # (token, cycle in)
            offering, last_out = False, -1
            pause = rng.randrange(4)
            while left or inside:
                accepts = bool(left) and pause <= 0
                pause -= 1
                offering = bool(left) and (offering or rng.random() >= gaps)
                ready = rng.random() >= stalls
                put(ctx, dut, accepts=accepts)
                put(ctx, dut.requests, ready=ready)
                put(ctx, dut.tokens, valid=offering)
                if offering:
                    values = left[0]._asdict()
                    if config.payload_bits == 1:
                        del values["payload"]
                    ctx.set(dut.tokens.payload, values)

                # What must happen in this cycle.
                if config.tables:
                    offers = bool(inside) and now >= max(inside[0][1] + config.decode_cycles, last_out + 1)
                    takes = offering and accepts and (len(inside) < INSIDE or (offers and ready))
                else:
                    offers = offering and accepts
                    takes = offers and ready
                    if offers:
                        inside.append((left[0], now))
                _, _, token_ready, valid, request = await ctx.tick().sample(
                    dut.tokens.ready, dut.requests.valid, dut.requests.payload
                )
                about = f"cycle {now}, {len(left)} tokens left, in and out so far: {log}"
                assert (bool(token_ready) and offering, valid) == (takes, offers), about
                assert accepts or not token_ready, about
                if offers:
                    wanted = wanted_request(config, tables, connection, potential_base, inside[0][0])
                    assert shown_request(config, request) == wanted, about
                    if ready:
                        log.append((inside.popleft()[1], now))
                        last_out = now
                    elif not config.tables:
                        inside.clear()
                if takes:
                    token = left.popleft()
                    offering = False
                    if config.tables:
                        inside.append((token, now))
                now += 1

    simulate(dut, bench)
    return log


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("stalls", [0.0, 0.6], ids=["ready", "stalls"])
@pytest.mark.parametrize("gaps", [0.0, 0.5], ids=["back_to_back", "gaps"])
def test_every_token_becomes_its_walk(config, gaps, stalls, seed):
    rng = random.Random(f"{seed} {gaps} {stalls}")
    tables = random_tables(config, rng)
    walks = [(*random_connection(config, rng), random_tokens(config, rng)) for _ in range(25)]
    log = run(config, walks, tables, rng, gaps=gaps, stalls=stalls, loaded=rng.random() < 0.5)
    assert len(log) == sum(len(tokens) for _, _, tokens in walks)
    made = [
        wanted_request(config, tables, connection, base, token)
        for connection, base, tokens in walks
        for token in tokens
    ]
    assert made.count("marker") == 25
    if config.tables:  # else nothing was left out by chance
        assert made.count("nothing") > 5


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_latency(config, seed):
    """Without anything that holds back, a request follows its token by `decode_cycles`, one in every cycle."""
    rng = random.Random(seed)
    tokens = [*(Token(channel=n % 20) for n in range(30)), Token(marker=True)]
    walk = (*random_connection(config, rng), tokens)
    log = run(config, [walk], random_tables(config, rng), random.Random(1))
    first = log[0][0]
    assert log == [(first + n, first + n + config.decode_cycles) for n in range(31)]
    assert config.decode_cycles == (3 if config.tables else 0)


def test_gaps_between_tokens_close_while_a_walk_is_under_way(seed):
    """Three tokens come with gaps while the request before them waits: behind it they follow without any."""
    config = CONFIGS["tables"]
    rng = random.Random(seed)
    tables = random_tables(config, rng)
    entry = table_entry_layout(config)
    dut = Decoder(config, tables={
        name: [entry.const(one._asdict()).as_bits() for one in table] for name, table in tables.items()
    })  # fmt: skip

    async def bench(ctx):
        put(ctx, dut, accepts=1)
        taken = []
        for cycle in range(40):
            put(ctx, dut.tokens, valid=cycle in (0, 3, 7) or cycle >= 12)
            put(ctx, dut.requests, ready=cycle >= 20)
            _, _, ready, valid = await ctx.tick().sample(dut.tokens.ready, dut.requests.valid)
            assert ready == (cycle < 8 or cycle >= 20), cycle  # three are inside: no more, until one is taken
            if valid and cycle >= 20:
                taken.append(cycle)
        assert taken == list(range(20, 40))

    simulate(dut, bench)
