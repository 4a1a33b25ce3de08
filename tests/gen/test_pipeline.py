"""Networks placed on several cores: what each core is, and what is loaded into it."""

from typing import Any

import numpy as np
import pytest

from hillock.gen.image import bus_writes, encode, memory_init
from hillock.gen.layouts import ACTIVITY
from hillock.gen.mapping import fit, place
from hillock.gen.partition import partition
from hillock.gen.pipeline import part_activity, place_pipeline
from hillock.hw.problems import HillockError
from hillock.hw.registers import BUS_ADDRESS_BITS
from hillock.sim.network import INPUT, Connection, Convolution, Decision, Dense, Layer, Network, Shape


def network(*, image: bool = False) -> Network:
    """6x6 events or pixels, to 4 channels of 4x4, to 12 neurons, to 3."""
    rng = np.random.default_rng(1)
    source = INPUT
    layers: list[Layer] = []
    if image:
        layers.append(
            Layer(name="encoder", shape=Shape(1, 6, 6), threshold=255, reset_amount=255, current_from_image=True)
        )
        source = "encoder"
    kinds: list[tuple[str, Shape, Any]] = [
        ("conv", Shape(4, 4, 4), Convolution(rng.integers(-9, 9, (3, 3, 1, 4)))),
        ("hidden", Shape(12), Dense(rng.integers(-9, 9, (64, 12)))),
        ("out", Shape(3), Dense(rng.integers(-9, 9, (12, 3)))),
    ]
    for name, shape, synapses in kinds:
        layers.append(Layer(name=name, shape=shape, threshold=50, connections=(Connection(source, synapses),)))
        source = name
    return Network(name="n", input=Shape(1, 6, 6), layers=tuple(layers), timesteps=4)


# Cores


def test_each_part_has_the_smallest_core_that_holds_it():
    net = network()
    placed = place_pipeline(net, [1, 2], [8, 4, 3])
    assert placed.network is net
    for part, core, last in zip(partition(net, [1, 2]), placed.cores, (False, False, True), strict=True):
        assert core.network.digest() == part.digest()
        assert core.config == fit(part, core.config.lanes, passes_on=int(not last))
    assert [config.lanes for config in placed.configs] == [8, 4, 3]
    assert [config.passes_on for config in placed.configs] == [1, 1, 0]
    assert [config.tables for config in placed.configs] == [True, True, False]  # the second takes events of a grid


def test_one_core_is_a_pipeline_too():
    net = network()
    (core,) = place_pipeline(net, [], [8]).cores
    assert core.config == fit(net, 8)
    assert core.network.decision is Decision.COUNT


@pytest.mark.parametrize(("sizes", "banks"), [({}, [2, 1]), ({"image_banks": 1}, [1, 1])])
def test_a_core_with_an_image_has_room_for_the_next(sizes, banks):
    placed = place_pipeline(network(image=True), [2], [8, 4], **sizes)
    assert [config.image_banks for config in placed.configs] == banks


def test_sizes_are_those_of_every_core():
    placed = place_pipeline(network(), [2], [8, 4], input_queue=7, potential_words=99)
    assert [(config.input_queue, config.potential_words) for config in placed.configs] == [(7, 99), (7, 99)]


def test_layouts_go_to_the_core_of_their_layer():
    layouts = {"conv": (2, 1), "hidden": (3, 1)}
    placed = place_pipeline(network(), [1], [8, 4], layouts=layouts)
    found = {
        layer.name: (where.layout.channels, where.layout.columns)
        for core in placed.cores
        for layer, where in zip(core.network.layers, core.layers, strict=True)
    }
    assert found.items() >= layouts.items()
    assert found["out"] == (3, 1)


def test_a_simulation_sees_all_cores_as_one():
    placed = place_pipeline(network(), [1], [8, 4])
    pipeline = placed.pipeline
    assert pipeline.lanes == 12
    assert [plan.config for plan in pipeline.plans] == placed.configs
    assert pipeline.split(["conv", "hidden", "out"]) == [["conv"], ["hidden", "out"]]


# Activity


def test_the_input_of_a_later_part_is_a_layer_of_the_whole():
    net = network()
    first, second = partition(net, [2])
    activity = {INPUT: 0.5, "conv": 0.2, "hidden": 0.3}
    assert part_activity(net, first, activity) == activity
    assert part_activity(net, second, activity)[INPUT] == 0.3  # type: ignore[index]
    assert part_activity(net, second, {"conv": 0.2})[INPUT] == ACTIVITY  # type: ignore[index]
    assert part_activity(net, second, 0.7) == 0.7


# What is loaded


def test_bus_writes_have_the_number_of_their_core():
    placed = place_pipeline(network(), [1, 2], [8, 4, 3])
    rows = placed.bus_writes()
    numbers = rows[:, 0] >> BUS_ADDRESS_BITS
    assert sorted(set(numbers.tolist())) == [0, 1, 2]
    for number, core in enumerate(placed.cores):
        mine = rows[numbers == number].copy()
        mine[:, 0] &= (1 << BUS_ADDRESS_BITS) - 1
        assert np.array_equal(mine, bus_writes(encode(core), core.config))


def test_memories_can_be_full_from_the_beginning():
    placed = place_pipeline(network(), [1], [8, 4])
    assert placed.memory_inits() == [memory_init(encode(core)) for core in placed.cores]
    assert all(init.synapses and init.registers for init in placed.memory_inits())


# What is refused


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(HillockError) as caught:
        place_pipeline(network(), *arguments, **options)
    return str(caught.value)


def test_what_cannot_be_cut():
    assert refused([3], [8, 4]).startswith("network 'n' on 2 cores: the layers with which cores begin must be from 1")


def test_a_part_that_does_not_fit_names_itself():
    text = refused([1], [8, 4], synapse_words=20)
    assert text == (
        "network 'n[1]' on a core of 4 lanes: 204 synapse words are 184 more than synapse_words = 20: generate a larger"
        " core, or make the network smaller"
    )


def test_layouts_of_unknown_layers():
    text = "network 'n': layouts are given for ['last']: these are not layers; there are ['conv', 'hidden', 'out']"
    assert refused([1], [8, 4], layouts={"last": (1, 1), "conv": (2, 1)}) == text


def test_events_for_another_core_must_be_in_order():
    """Lanes over columns with not all channels in a word: within a core only."""
    net = network()
    place(net, fit(net, 8, layouts={"conv": (2, 4)}), layouts={"conv": (2, 4)})
    text = refused([1], [8, 4], layouts={"conv": (2, 4)})
    assert "layer 'conv': layout (2, 4) must have one column in a word, or all 4 channels" in text
    assert "or is on another core" in text
