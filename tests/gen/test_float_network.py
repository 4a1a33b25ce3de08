"""Float networks: activations of every kind of synapses from their definition, and what is said of a wrong graph."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hillock.gen.float_network import FloatLayer, FloatNetwork
from hillock.hw.problems import HillockError
from hillock.sim.network import Connection, Convolution, Dense, Shape, TransposedConvolution, pooled


def layer(name: str, weights: list[list[float]], biases: list[float], source: str = "input", **more) -> FloatLayer:
    """A dense layer."""
    connection = Connection(source, Dense(np.array(weights)))
    return FloatLayer(
        name=name, shape=Shape(len(biases)), connections=(connection,), biases=np.array(biases, float), **more
    )


SMALL = FloatNetwork(
    "small",
    Shape(2),
    (
        layer("hidden", [[2.0, -1.0], [0.0, 3.0]], [0.5, 0.0]),
        layer("output", [[1.0, -1.0], [-4.0, 2.0]], [0.0, 1.0], "hidden", rectified=False),
    ),
)


def test_activations_by_hand():
    hidden, output = SMALL.activations(np.array([[255, 0], [0, 255], [51, 51]], np.uint8))
    np.testing.assert_allclose(hidden, [[2.5, 0], [0.5, 3], [0.9, 0.4]])
    np.testing.assert_allclose(output, [[2.5, -1.5], [-11.5, 6.5], [-0.7, 0.9]])
    assert SMALL.decisions(np.array([[255, 0], [0, 255]], np.uint8)).tolist() == [0, 1]


def test_outputs_of_many_images_are_those_of_each(monkeypatch):
    monkeypatch.setattr("hillock.gen.float_network._CHUNK", 3)
    images = np.random.default_rng(1).integers(0, 256, (8, 2), np.uint8)
    np.testing.assert_array_equal(SMALL.outputs(images), SMALL.activations(images)[-1])


def brought(connection: Connection, source: Shape, values: np.ndarray, target: Shape) -> np.ndarray:
    """What a connection brings to `target` [rows, columns, channels], one synapse after the other."""
    synapses, (pool_y, pool_x) = connection.synapses, connection.pool
    grid, after = values.reshape(source.height, source.width, source.channels), pooled(source, connection.pool)
    total = np.zeros((target.height, target.width, target.channels))
    for y, x, c in itertools.product(range(after.height), range(after.width), range(after.channels)):
        value = grid[y * pool_y : (y + 1) * pool_y, x * pool_x : (x + 1) * pool_x, c].sum()
        for oy, ox, k in itertools.product(range(target.height), range(target.width), range(target.channels)):
            if isinstance(synapses, Dense):
                pre, post = (y * after.width + x) * after.channels + c, (oy * target.width + ox) * target.channels + k
                total[oy, ox, k] += value * synapses.weights[pre, post]
                continue
            size = after.channels // synapses.groups
            if c // size != k // (target.channels // synapses.groups):
                continue
            (stride_y, stride_x), (padding_y, padding_x) = synapses.stride, synapses.padding
            if isinstance(synapses, Convolution):
                ky, kx = y + padding_y - oy * stride_y, x + padding_x - ox * stride_x
            else:
                ky, kx = oy + padding_y - y * stride_y, ox + padding_x - x * stride_x
            if 0 <= ky < synapses.kernel[0] and 0 <= kx < synapses.kernel[1]:
                total[oy, ox, k] += value * synapses.weights[ky, kx, c % size, k]
    return total


@st.composite
def connections(draw) -> tuple[Shape, Connection, Shape]:
    """A connection of any kind, with the grids that it joins."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = draw(st.integers(1, 3))
    pool = (draw(st.integers(1, 2)), draw(st.integers(1, 3)))
    source = Shape(groups * draw(st.integers(1, 2)), draw(st.integers(pool[0], 6)), draw(st.integers(pool[1], 6)))
    after = pooled(source, pool)
    kind = draw(st.sampled_from([Dense, Convolution, TransposedConvolution]))
    if kind is Dense:
        target = Shape(draw(st.integers(1, 3)), draw(st.integers(1, 2)), 1)
        return source, Connection("input", Dense(generator.normal(size=(after.neurons, target.neurons))), pool), target
    sizes, kernel, stride, padding, extra = [], [], [], [], []
    for before in (after.height, after.width):
        stride.append(draw(st.integers(1, 3)))
        kernel.append(draw(st.integers(1, 4)))
        padding.append(draw(st.integers(0, 2)))
        extra.append(draw(st.integers(0, stride[-1] - 1)))
        if kind is Convolution:
            padding[-1] = max(padding[-1], -((before - kernel[-1]) // 2))  # the kernel must fit
            sizes.append((before + 2 * padding[-1] - kernel[-1]) // stride[-1] + 1)
        else:
            padding[-1] = min(padding[-1], ((before - 1) * stride[-1] + kernel[-1] - 1) // 2)  # something must be left
            sizes.append((before - 1) * stride[-1] - 2 * padding[-1] + kernel[-1] + extra[-1])
    target = Shape(groups * draw(st.integers(1, 2)), *sizes)
    weights = generator.normal(size=(*kernel, source.channels // groups, target.channels))
    geometry = {"stride": tuple(stride), "padding": tuple(padding), "groups": groups}
    if kind is TransposedConvolution:
        geometry["output_padding"] = tuple(extra)
    return source, Connection("input", kind(weights, **geometry), pool), target


@given(case=connections(), data=st.data())
def test_every_kind_of_synapses(case, data):
    source, connection, target = case
    generator = np.random.default_rng(data.draw(st.integers(0, 999)))
    images = generator.integers(0, 256, (2, source.neurons), np.uint8)
    biases = generator.normal(size=data.draw(st.sampled_from([target.channels, target.neurons])))
    one = FloatLayer(name="one", shape=target, connections=(connection,), biases=biases, rectified=False)
    (values,) = FloatNetwork("net", source, (one,)).activations(images)
    by_neuron = np.tile(biases, target.neurons // biases.size)
    wanted = [brought(connection, source, image / 255, target).ravel() + by_neuron for image in images]
    np.testing.assert_allclose(values, wanted, atol=1e-9)


def test_branches_are_added_before_the_rectifier():
    """A block whose convolution takes away half of what its shortcut brings; a layer after it takes both."""
    grid = Shape(2, 3, 3)
    half = Connection("input", Convolution(np.full((1, 1, 1, 2), -0.5), groups=2))
    identity = Connection("input", Convolution(np.ones((1, 1, 1, 2)), groups=2))
    both = FloatLayer(name="both", shape=grid, connections=(half, identity), biases=np.array([0.0, -0.25]))
    mean = Connection("both", Dense(np.eye(2) / 9), pool=(3, 3))
    last = FloatLayer(name="last", shape=Shape(2), connections=(mean,), biases=np.zeros(2), rectified=False)
    image = np.arange(18, dtype=np.uint8)[None] * 15
    first, second = FloatNetwork("block", grid, (both, last)).activations(image)
    wanted = np.maximum(image[0].reshape(9, 2) / 255 / 2 - [0, 0.25], 0)
    np.testing.assert_allclose(first[0].reshape(9, 2), wanted)
    np.testing.assert_allclose(second[0], wanted.mean(axis=0))


def test_all_that_is_wrong_with_a_float_network():
    layers = (
        layer("a", [[1.0, np.nan]], [0.0, 0.0]),
        layer("a", [[1.0]], [0.0], "a"),
        layer("b", [[1.0]], [0.0], "c"),
        FloatLayer(name="d", shape=Shape(1), connections=(), biases=np.zeros(2)),
    )
    with pytest.raises(HillockError) as caught:
        FloatNetwork("wrong", Shape(1), layers)
    assert str(caught.value) == (
        "float network 'wrong': 6 problems"
        "\n  - layer names must differ from each other and from 'input', not ['a', 'a', 'b', 'd']"
        "\n  - layer 'a': every weight and bias must be finite: the training diverged"
        "\n  - layer 'a': the dense from 'a' must have weights of shape (2, 1) (presynaptic, postsynaptic), not (1, 1)"
        "\n  - layer 'b': source must be one of input, a, not 'c'"
        "\n  - layer 'd': biases must have shape (1,), one for each channel or neuron, not (2,)"
        "\n  - layer 'd': it has no connection, so nothing ever reaches it"
    )


@pytest.mark.parametrize(
    ("connection", "text"),
    [
        (
            Connection("input", Convolution(np.ones((5, 5, 1, 1)))),
            "the convolution from 'input' has a kernel of 5x5, larger than its padded input of 4x4: raise the padding, "
            "pool less before it, or use a smaller kernel",
        ),
        (
            Connection("input", Convolution(np.ones((1, 1, 1, 1))), pool=(5, 1)),
            "the convolution from 'input' must pool from 1x1 to the 4x4 places there are, not 5x1",
        ),
        (
            Connection("input", TransposedConvolution(np.ones((2, 2, 1, 1)), stride=(2, 2))),
            "the transposed convolution from 'input' gives 8x8 places, and the layer has 4x4: change its shape, the "
            "stride or the padding",
        ),
        (
            Connection("input", Convolution(np.ones((1, 1, 1, 1))), static=True),
            "a connection of a float network cannot be static",
        ),
    ],
)
def test_wrong_connection(connection, text):
    one = FloatLayer(name="one", shape=Shape(1, 4, 4), connections=(connection,), biases=np.zeros(1))
    text = f"float network 'net': layer 'one': {text}"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        FloatNetwork("net", Shape(1, 4, 4), (one,))


def test_biases_of_another_number():
    one = FloatLayer(
        name="one", shape=Shape(2, 2, 2), connections=(Connection("input", Dense(np.ones((1, 8)))),), biases=np.zeros(4)
    )
    text = "layer 'one': biases must have shape (2,) or (8,), one for each channel or neuron, not (4,)"
    with pytest.raises(HillockError, match=f"^float network 'net': {re.escape(text)}$"):
        FloatNetwork("net", Shape(1), (one,))


def test_no_layers():
    with pytest.raises(HillockError, match=r"^float network 'net': layers must not be empty$"):
        FloatNetwork("net", Shape(1), ())
