"""The walker, cycle by cycle: the three loops against plain Python, for random records, and no cycle in between."""

import itertools
import random
from collections import Counter, deque
from typing import Any, NamedTuple

import pytest

from gateware import put, simulate
from hillock.hw.config import CoreConfig
from hillock.hw.formats import Operation
from hillock.hw.walker import Walker

CONFIG = CoreConfig(
    lanes=6, max_layers=5, max_channels=64, max_height=700, max_width=20, columns_per_word=3, potential_words=1000,
    synapse_words=3000, current_words=900, row_entries=1, column_entries=1, payload_bits=3, static_input=1,
)  # fmt: skip
PLAIN = CoreConfig(lanes=4, max_layers=5, max_channels=30, potential_words=50, synapse_words=300, current_words=50)
"""Dense layers only: neither tables nor payloads nor static input."""
WAYS = {"to_next": "feeds_next", "to_replay": "is_kept", "to_output": "is_output"}


class Request(NamedTuple):
    """An event's walk, or with `marker` a pass."""

    potential: int = 0
    potential_offset: int = 0
    synapse: int = 0
    synapse_offset: int = 0
    rows: int = 1
    columns: int = 1
    payload: int = 1
    nothing: bool = False
    marker: bool = False


class Setting(NamedTuple):
    """What requests belong to."""

    layer: int
    descriptor: dict[str, int]
    connection: dict[str, int]
    pass_kind: Any
    image_offset: int
    requests: list[Request]


class Step(NamedTuple):
    """What must be put out in one cycle: fields of the operation, and the synapse word in the cycle before it."""

    operation: dict[str, Any]
    synapse_word: int | None


def walk(config, setting, request):
    """The steps of a request; none where it reaches nothing."""
    return _pass(config, setting) if request.marker else _event(config, setting, request)


def _event(config, setting, request):
    connection, steps = setting.connection, []
    potentials, synapses = (1 << (words - 1).bit_length() for words in (config.potential_words, config.synapse_words))
    row = request.potential + request.potential_offset, request.synapse + request.synapse_offset
    for _ in range(0 if request.nothing else request.rows):
        potential, synapse = row
        for _ in range(request.columns):
            for word in range(connection["words"]):
                operation = {
                    "kind": Operation.INTEGRATE, "layer": setting.layer, "potential_word": potential % potentials,
                    "payload": request.payload, **dict.fromkeys(WAYS, 0),
                }  # fmt: skip
                steps.append(Step(operation, synapse % synapses))
                last = word == connection["words"] - 1
                potential += connection["column_step"] if last else 1
                synapse += connection["synapse_column_step" if last else "synapse_step"]
        row = row[0] + connection["row_step"], row[1] + connection["synapse_row_step"]
    return steps


def _pass(config, setting):
    record, steps = setting.descriptor, []
    places, words = record["column_words"], record["channel_words"]
    first = record["load_base"] if setting.pass_kind is Operation.LOAD else record["current_base"]
    fires = setting.pass_kind is Operation.FIRE
    for row in range(record["rows"]):
        for place in range(places):
            for word in range(words):
                number = (row * places + place) * words + word
                is_end = place == places - 1 if record["end_is_column"] else word == words - 1
                operation = {
                    "kind": setting.pass_kind, "layer": setting.layer,
                    "potential_word": record["potential_base"] + number,
                    "current_word": first + setting.image_offset + {0: 0, 1: word, 2: number}[record["current_step"]],
                    "channel": word * record["channels"], "column": place * record["columns"], "row": row,
                    "last": number == record["rows"] * places * words - 1,
                    "used_lanes": record["end_lanes" if is_end else "used_lanes"],
                    **{way: fires and record[field] for way, field in WAYS.items()},
                }  # fmt: skip
                steps.append(Step(operation, None))
    return steps


def random_setting(config, rng, *, requests=12):
    """A layer and a connection at random, and requests of both kinds; sizes that the memories hold."""
    grids = config.tables
    words, places, rows = rng.choice([1, 1, 2, 5]), rng.choice([1, 2, 6]), rng.choice([1, 2, 7])
    if not grids:
        words, places, rows = rng.choice([1, 2, 5, 20]), 1, 1
    if grids and rng.random() < 0.1:
        words, places, rows = 1, 1, config.max_height
    count = words * places * rows
    columns = rng.randint(1, config.columns_per_word)
    step = rng.randrange(3)
    top_p, top_s = 1 << (config.potential_words - 1).bit_length(), 1 << (config.synapse_words - 1).bit_length()
    descriptor = {
        "potential_base": rng.randrange(config.potential_words - count + 1),
        "current_base": rng.randrange(config.current_words // 2 - min(count, config.current_words // 2) + 1),
        "load_base": rng.randrange(config.current_words // 2 - min(count, config.current_words // 2) + 1),
        "current_step": step if count <= config.current_words // 2 else 0,
        "channel_words": words, "column_words": places, "rows": rows,
        "channels": rng.randint(1, min(config.lanes, config.max_channels // words)), "columns": columns if grids else 0,
        "used_lanes": rng.randint(1, config.lanes), "end_lanes": rng.randint(1, config.lanes),
        "end_is_column": rng.random() < 0.5, "connections": 1, "change": 3,
        "is_output": rng.random() < 0.5, "feeds_next": rng.random() < 0.5, "is_kept": rng.random() < 0.5,
    }  # fmt: skip
    connection = {
        "words": rng.choice([1, 1, 2, 3, 3, 20]), "column_step": rng.randrange(top_p), "row_step": rng.randrange(top_p),
        "synapse_step": rng.randrange(top_s), "synapse_column_step": rng.randrange(top_s),
        "synapse_row_step": rng.randrange(top_s),
    }  # fmt: skip
    kinds = [Operation.FIRE, Operation.PRELOAD]
    if config.static_input and descriptor["current_step"] == 2:  # as it always is where input is static
        kinds += [Operation.LOAD, Operation.LATCH]
    fits = descriptor["current_step"] != 1 and count <= config.current_words // 2
    offset = rng.randrange(config.current_words // 2) if fits and rng.random() < 0.3 else 0
    extents = [(1, 1), (1, 1), (2, 3), (5, 1), (1, 5), (4, 2), (31, 1), (2, 31)] if grids else [(1, 1)]
    drawn = []
    for _ in range(requests):
        rows, columns = rng.choice(extents)
        drawn.append(
            Request(
                potential=rng.randrange(config.potential_words),
                potential_offset=rng.randrange(config.potential_words),
                synapse=rng.randrange(config.synapse_words),
                synapse_offset=rng.randrange(config.synapse_words),
                rows=rows,
                columns=columns,
                payload=rng.randrange(1, 1 << config.payload_bits),
                nothing=grids and rng.random() < 0.2,
                marker=rng.random() < 0.15,
            )
        )
    return Setting(rng.randrange(config.max_layers), descriptor, connection, rng.choice(kinds), offset, drawn)


def run(config, settings, rng, *, gaps=0.0):
    """Walk all requests, and compare everything in every cycle; returns the cycles in which requests were taken.

    `gaps` is the chance of a cycle without a request. Records change when nothing is under way.
    """
    dut = Walker(config)
    log: list[int] = []

    async def bench(ctx):
        now, expected, synapses, done = 0, {}, {}, set()  # by cycle
        for setting in settings:
            put(ctx, dut, layer=setting.layer, descriptor=setting.descriptor,
                connection=setting.connection, pass_kind=setting.pass_kind,
                one_word_pass=setting.descriptor["channel_words"] == 1, one_word_tap=setting.connection["words"] == 1,
                one_row_pass=setting.descriptor["rows"] == 1,
                one_column_pass=setting.descriptor["column_words"] == 1,
                image_offset=setting.image_offset)  # fmt: skip
            left, offering, ready_from = deque(setting.requests), False, now
            while left or now < ready_from + 1:
                offering = bool(left) and (offering or rng.random() >= gaps)
                put(ctx, dut.requests, valid=offering)
                if offering:
                    values = left[0]._asdict()
                    values["one_row"] = values["rows"] == 1 or values["nothing"]
                    values["one_column"] = values["columns"] == 1 or values["nothing"]
                    if config.payload_bits == 1:
                        del values["payload"]
                    ctx.set(dut.requests.payload, values)
                takes = offering and now >= ready_from
                if takes:
                    request = left.popleft()
                    steps = walk(config, setting, request)
                    for n, step in enumerate(steps, now + Walker.LATENCY):
                        expected[n] = step.operation
                        synapses[n - 1] = step.synapse_word
                    ready_from = now + max(1, len(steps))
                    if request.marker:
                        done.add(ready_from)
                    log.append(now)
                    offering = False
                _, _, ready, is_done, valid, operation, synapse, shows = await ctx.tick().sample(
                    dut.requests.ready, dut.done, dut.valid, dut.operation, dut.synapse_word, dut.shows
                )
                about = f"cycle {now}, {setting._replace(requests=[])}, taken in {log[-3:]}"
                assert ready == (takes or now >= ready_from), about
                assert (is_done, shows) == (now in done, 0), about
                wanted = expected.pop(now, None)
                if config.payload_bits == 1 and wanted:
                    wanted.pop("payload", None)
                got = {name: getattr(operation, name) for name in wanted} if wanted and valid else None
                assert got == wanted, about
                assert bool(valid) == bool(wanted), about
                if synapses.get(now) is not None:
                    assert synapse == synapses[now], about
                now += 1
        assert not expected or max(expected) < now + Walker.LATENCY

    simulate(dut, bench)
    return log


@pytest.mark.parametrize("config", [CONFIG, PLAIN], ids=["grids", "plain"])
@pytest.mark.parametrize("gaps", [0.0, 0.5], ids=["back_to_back", "gaps"])
def test_every_word_of_random_walks(config, gaps, seed):
    rng = random.Random(f"{seed} {config.lanes} {gaps}")
    settings = [random_setting(config, rng) for _ in range(25)]
    log = run(config, settings, rng, gaps=gaps)
    requests = [request for setting in settings for request in setting.requests]
    assert len(log) == len(requests)
    # Nothing of all this may have been left out by chance.
    assert {setting.descriptor["current_step"] for setting in settings} == {0, 1, 2}
    assert {setting.pass_kind for setting in settings} >= {Operation.FIRE, Operation.PRELOAD}
    kinds = Counter((request.marker, request.nothing) for request in requests)
    assert min(kinds[False, False], kinds[True, False], kinds[False, True] or not config.tables) > 0


def test_walks_follow_each_other_without_a_gap(seed):
    """Each is taken as many cycles after the one before as that has words, and one that reaches nothing takes one."""
    setting = random_setting(CONFIG, random.Random(seed))
    setting.connection["words"] = 3
    sizes = [(1, 1), (2, 2), (1, 5), (1, 1), (3, 1)]
    requests = [Request(rows=rows, columns=columns) for rows, columns in sizes]
    requests[3:3] = [Request(nothing=True), Request(nothing=True, rows=4, columns=4)]
    log = run(CONFIG, [setting._replace(requests=requests)], random.Random(seed))
    assert [later - earlier for earlier, later in itertools.pairwise(log)] == [3, 12, 15, 1, 1, 3]


@pytest.mark.parametrize(
    ("step", "offset", "words"),
    [
        (0, 0, [100] * 12),
        (1, 0, [100, 101, 102] * 4),
        (2, 0, list(range(100, 112))),
        (0, 7, [107] * 12),
        (2, 7, list(range(107, 119))),
    ],
)
def test_which_current_word_a_pass_takes(step, offset, words, seed):
    """Of four places of three words: always the same, by channel word, or by potential word; behind the offset."""
    setting = random_setting(CONFIG, random.Random(seed))
    setting.descriptor.update(current_base=100, load_base=0, current_step=step, channel_words=3, column_words=2, rows=2,
                              channels=2, potential_base=0)  # fmt: skip
    setting = setting._replace(pass_kind=Operation.FIRE, image_offset=offset, requests=[Request(marker=True)])
    assert [taken.operation["current_word"] for taken in walk(CONFIG, setting, setting.requests[0])] == words
    run(CONFIG, [setting], random.Random(seed))


@pytest.mark.parametrize(
    ("end_is_column", "used"), [(0, [4, 4, 1] * 4), (1, [4, 4, 4, 1, 1, 1] * 2)], ids=["of_the_place", "of_the_row"]
)
def test_how_many_lanes_of_a_word_are_neurons(end_is_column, used, seed):
    """Fewer in the last word of each place, or in the words of the last place of each row."""
    setting = random_setting(CONFIG, random.Random(seed))
    setting.descriptor.update(end_is_column=end_is_column, used_lanes=4, end_lanes=1, channel_words=3, column_words=2,
                              rows=2, channels=2, potential_base=0, current_step=0)  # fmt: skip
    setting = setting._replace(pass_kind=Operation.FIRE, image_offset=0, requests=[Request(marker=True)])
    assert [taken.operation["used_lanes"] for taken in walk(CONFIG, setting, setting.requests[0])] == used
    run(CONFIG, [setting], random.Random(seed))


def test_while_idle_it_shows_what_is_inspected(seed):
    """Operation (not valid) and synapse word in the next cycle."""
    rng = random.Random(seed)
    dut = Walker(CONFIG)

    async def bench(ctx):
        before = None
        put(ctx, dut, idle=1)
        for _ in range(40):
            asked = rng.randrange(5), rng.randrange(1000), rng.randrange(900), rng.randrange(3000)
            layer, potential, current, synapse = asked
            put(ctx, dut, inspected_synapse_word=synapse, inspected={
                "kind": Operation.FIRE, "layer": layer, "potential_word": potential, "current_word": current
            })  # fmt: skip
            _, _, valid, shows, operation, synapse = await ctx.tick().sample(
                dut.valid, dut.shows, dut.operation, dut.synapse_word
            )
            if before:
                assert (valid, shows, operation.kind) == (0, 1, Operation.FIRE)
                assert (operation.layer, operation.potential_word, operation.current_word, synapse) == before
            before = asked

    simulate(dut, bench)
