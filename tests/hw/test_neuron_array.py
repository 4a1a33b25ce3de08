"""The lanes against a model that performs one operation after another: hazards, spikes, trace, looks, loading."""

import random
from dataclasses import replace

import pytest

from array_model import (
    DRAIN,
    FIRE,
    IDLE,
    INTEGRATE,
    KINDS,
    LATCH,
    LOAD,
    PRELOAD,
    WIDTHS,
    WORDS,
    WRITES_COINCIDE,
    Load,
    Model,
    Op,
    hazards,
    looks,
    random_steps,
    run,
    soonest_pairs,
    steps_with,
)
from hillock.hw.config import CoreConfig
from hillock.hw.neuron_array import NeuronArray


@pytest.mark.parametrize("widths", WIDTHS)
def test_any_legal_sequence_equals_one_operation_after_another(widths, seed):
    rng = random.Random(f"{seed} {widths}")
    model = Model(widths, rng)
    pairs = soonest_pairs(model, DRAIN)
    first, second = [*steps_with(model, pairs), *random_steps(model, 3000)], random_steps(model, 500)
    loads = [Load(memory, n) for memory, depth in model.depths.items() for n in range(depth) if rng.random() < 0.7]
    rng.shuffle(loads)
    all_looks = looks(model)
    steps = [*first, *all_looks, *loads, *all_looks, *second, *all_looks]
    compared = run(model, model.array(), steps)

    # Nothing of all this may have been left out by chance.
    met = hazards(first)
    assert [pair for pair in pairs if not met[pair]] == []
    late = [kind for kind in model.kinds if kind is not INTEGRATE]
    assert not any(met[kind, later, distance] for kind in late for later in model.kinds for distance in range(1, DRAIN))
    assert min(compared[f"look {kind.name}"] for kind in KINDS) >= 3 * WORDS
    assert compared["spikes"] > 50
    assert compared["trace"] == sum(step.valid and step.kind is FIRE for step in first + second)
    assert compared["parameters"] > len(steps)


def test_deep_potentials_lie_in_slices(seed):
    """Of nine bits, from 1,025 to 2,048 words: what is in them is the same."""
    config = CoreConfig(lanes=2, potential_bits=20)
    for words, widths in ((1024, [40]), (1025, [9, 9, 9, 9, 4]), (2048, [9, 9, 9, 9, 4]), (2049, [40])):
        assert NeuronArray.potential_widths(replace(config, potential_words=words)) == widths
    model = Model("saturating", random.Random(seed), potential_words=1025, max_channels=8192)
    steps = [*random_steps(model, 1000), *looks(model)]
    assert len(NeuronArray.potential_widths(model.config)) > 1
    assert run(model, model.array(), steps)["look PRELOAD"] >= WORDS


@pytest.mark.parametrize("leaks", [0, 3])
@pytest.mark.parametrize("widths", sorted(set(WIDTHS) - {"compact"}))
def test_one_word_is_kept_in_registers(widths, leaks, seed):
    """Operations follow each other closer; what was looked at in between, a PRELOAD or LOAD forgets."""
    rng = random.Random(f"{seed} {widths} {leaks}")
    model = Model(widths, rng, potential_words=1, max_layers=1)
    model.memories["layer"][0]["leak_shift"] = leaks
    pairs = soonest_pairs(model, WRITES_COINCIDE + (leaks > 0))
    steps = [Op(PRELOAD, 0), *[IDLE] * DRAIN, *steps_with(model, pairs), *looks(model)]
    for _ in range(15):
        first = Op(LOAD if model.config.static_input and rng.random() < 0.5 else PRELOAD, 0)
        steps += [first, *[IDLE] * DRAIN, *random_steps(model, 80), *looks(model)]
    compared = run(model, model.array(), steps)
    met = hazards(steps)
    assert [pair for pair in pairs if not met[pair]] == []
    assert compared["look PRELOAD"] == 16 * model.config.lanes
    assert compared["spikes"] > 10


@pytest.mark.parametrize("distance", range(1, DRAIN + 1))
@pytest.mark.parametrize("kind", [INTEGRATE, FIRE, LATCH])
def test_a_result_is_forwarded_at_every_distance(kind, distance, seed):
    """Chains of INTEGRATE on one word, this far apart and with other words in between, then `kind`."""
    rng = random.Random(f"{seed} {kind} {distance}")
    model = Model("static", rng)
    between = [Op(INTEGRATE, 1 + n % 2, synapse=n) for n in range(distance - 1)]
    chain = [step for n in range(6) for step in (Op(INTEGRATE, 4, synapse=n + 7, payload=n + 2), *between)]
    compared = run(model, model.array(), [*chain, Op(kind, 4), *looks(model)])
    assert compared["look PRELOAD"] >= WORDS
    assert compared["trace"] == (kind is FIRE)


def test_a_current_is_loaded_integrated_and_latched(seed):
    """As with static input: what LOAD takes from one word, LATCH leaves in another, for FIRE to add."""
    model = Model("static", random.Random(seed))
    steps = [Op(LOAD, 4, current=1), *[IDLE] * DRAIN, *[Op(INTEGRATE, 4, synapse=n, payload=n + 1) for n in range(5)]]
    steps += [Op(LATCH, 4, current=2), *[IDLE] * DRAIN, Op(PRELOAD, 4), *[IDLE] * DRAIN, Op(FIRE, 4, current=2)]
    before = list(model.memories["current"][2])
    compared = run(model, model.array(), [*steps, *looks(model)])
    assert model.memories["current"][2] != before
    assert (compared["trace"], compared["look FIRE"]) == (1, WORDS * model.config.lanes)


@pytest.mark.parametrize("widths", ["saturating", "static", "compact"])
def test_what_is_forgotten_is_as_if_it_had_not_come(widths, seed):
    """After `forget` nothing of the operations before shows, or is written; the next may come at once."""
    rng = random.Random(f"{seed} {widths}")
    model = Model(widths, rng)
    steps: list[Op] = []
    forgets = []
    for _ in range(80):
        steps += random_steps(model, rng.randint(1, 20))
        forgets.append(len(steps))
    compared = run(model, model.array(), [*steps, *looks(model)], forgets)
    assert 0 < compared["trace"] < sum(step.valid and step.kind is FIRE for step in steps)
    assert compared["look PRELOAD"] > WORDS
