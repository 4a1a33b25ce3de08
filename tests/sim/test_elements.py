"""Common layers and connections: what they amount to, for every combination of spikes."""

import numpy as np
import pytest

from hillock.sim import golden
from hillock.sim.elements import add, and_, iand, identity, max_pool, relay
from hillock.sim.network import INPUT, Connection, Convolution, Decision, Layer, Network, ResetMode, Shape

FRACTION_BITS = 3
UNIT = 1 << FRACTION_BITS


def network(*layers: Layer, source: Shape, **changes: int) -> Network:
    return Network(
        name="n", input=source, layers=layers, fraction_bits=FRACTION_BITS, decision=Decision.NONE, **changes
    )


@pytest.mark.parametrize(("kind", "wanted"), [(add, [0, 1, 1, 2]), (and_, [0, 0, 0, 1]), (iand, [0, 0, 1, 0])])
def test_merges(kind, wanted):
    """Four neurons: neither branch fires, the first, the second, both. They are the same in every timestep."""
    # The first branch is the channels 0, the second the channels 1 of a grid of 2 x 2.
    source, branch = Shape(2, 2, 2), Shape(1, 2, 2)
    one, other = (
        Layer(
            name=name,
            shape=branch,
            threshold=UNIT,
            connections=(Connection(INPUT, _channel(channel)),),
            reset_mode=ResetMode.EVERY_TIMESTEP,
        )
        for channel, name in enumerate(("one", "other"))
    )
    merged = kind("merged", "one", "other", branch, fraction_bits=FRACTION_BITS)
    net = network(one, other, merged, source=source, timesteps=3, payload_bits=2)
    trace = golden.run(net, events=[[2, 5, 6, 7]] * 3)
    assert trace.layers[0].payloads.tolist() == [[0, 1, 0, 1]] * 3
    assert trace.layers[1].payloads.tolist() == [[0, 0, 1, 1]] * 3
    assert trace.layers[2].payloads.tolist() == [wanted] * 3


def _channel(channel: int) -> Convolution:
    """Passes one of two channels on."""
    return Convolution(np.eye(2, dtype=int)[channel].reshape(1, 1, 2, 1))


def test_a_sum_of_the_same_source_twice():
    shape = Shape(2, 1, 2)
    two = add("two", "a", "a", shape, fraction_bits=FRACTION_BITS)
    net = network(relay("a", INPUT, shape, fraction_bits=FRACTION_BITS), two, source=shape, timesteps=1, payload_bits=2)
    trace = golden.run(net, events=[[1, 3]])
    assert trace.layers[1].payloads.tolist() == [[0, 2, 0, 2]]


@pytest.mark.parametrize("stride", [None, (1, 2), (2, 1), (3, 3)])
@pytest.mark.parametrize("kernel", [(2, 2), (1, 3), (3, 2)])
def test_max_pool(kernel, stride, seed):
    rng = np.random.default_rng(seed)
    shape = Shape(3, 5, 7)
    pool = max_pool("pool", "a", shape, kernel, fraction_bits=FRACTION_BITS, stride=stride)
    net = network(relay("a", INPUT, shape, fraction_bits=FRACTION_BITS), pool, source=shape, timesteps=6)
    fired = rng.random((6, 5, 7, 3)) < 0.15
    trace = golden.run(net, events=[np.flatnonzero(step).tolist() for step in fired])
    down, across = stride or kernel
    for step in range(6):
        rows = [
            [
                fired[step, y : y + kernel[0], x : x + kernel[1]].any(axis=(0, 1))
                for x in range(0, 7 - kernel[1] + 1, across)
            ]
            for y in range(0, 5 - kernel[0] + 1, down)
        ]
        assert (pool.shape.height, pool.shape.width) == (len(rows), len(rows[0]))
        assert trace.layers[1].spikes[step].tolist() == np.array(rows).reshape(-1).tolist()


def test_identity_has_one_weight_for_each_channel():
    synapses = identity(4, -3)
    assert (synapses.weights.shape, synapses.groups, set(synapses.weights.ravel().tolist())) == ((1, 1, 1, 4), 4, {-3})


@pytest.mark.parametrize("graded", [False, True])
def test_a_relay_repeats_in_the_same_timestep(graded):
    """Whatever its source carries if it is graded, and spikes alone if not."""
    shape, given = Shape(2, 2, 2), [[(0, 3), (5, 1)], [], [(5, 2), (7, 3)]]
    layer = relay("again", INPUT, shape, fraction_bits=FRACTION_BITS, graded=graded)
    net = network(layer, source=shape, timesteps=3, payload_bits=2)
    payloads = golden.run(net, events=given).layers[0].payloads
    wanted = np.zeros((3, 8), int)
    for step, events in enumerate(given):
        for address, payload in events:
            wanted[step, address] = payload if graded else 1
    assert payloads.tolist() == wanted.tolist()


def test_sums_of_sums():
    shape = Shape(2, 1, 2)
    net = network(
        relay("a", INPUT, shape, fraction_bits=FRACTION_BITS),
        relay("b", "a", shape, fraction_bits=FRACTION_BITS),
        add("two", "a", "b", shape, fraction_bits=FRACTION_BITS),
        add("four", "two", "two", shape, fraction_bits=FRACTION_BITS),
        add("five", "four", "a", shape, fraction_bits=FRACTION_BITS),
        source=shape,
        timesteps=1,
        payload_bits=5,
    )
    trace = golden.run(net, events=[[1, 3]])
    assert [layer.payloads.tolist() for layer in trace.layers[2:]] == [[[0, n, 0, n]] for n in (2, 4, 5)]
