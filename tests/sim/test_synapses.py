"""Kinds of synapses and grids: which ones meet, how they are kept, and what their weights can add up to."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.hw.problems import HillockError
from hillock.sim.network import (
    INPUT,
    Connection,
    Convolution,
    Decision,
    Dense,
    Layer,
    Network,
    Shape,
    TransposedConvolution,
    pooled,
)
from plain_contract import weight
from random_networks import random_graph


def test_shapes():
    grid, flat = Shape(20, 26, 13), Shape(128)
    assert (grid.neurons, grid.flat, str(grid)) == (20 * 26 * 13, False, "26x13x20")
    assert (flat.neurons, flat.flat, str(flat)) == (128, True, "128")
    assert not Shape(3, 1, 2).flat


@pytest.mark.parametrize(
    ("shape", "pool", "left"),
    [
        (Shape(5, 9, 9), (2, 2), Shape(5, 4, 4)),
        (Shape(5, 9, 8), (1, 3), Shape(5, 9, 2)),
        (Shape(5, 9, 8), (9, 8), Shape(5)),
        (Shape(5), (1, 1), Shape(5)),
    ],
)
def test_pooled(shape, pool, left):
    assert pooled(shape, pool) == left


@pytest.mark.parametrize("values", [[["1"]], [[None]], [[True]]])
def test_weights_that_are_not_numbers(values):
    with pytest.raises(TypeError, match=r"^numbers are required, not "):
        Dense(np.array(values))


def test_arrays_are_copied_and_read_only():
    given: Any = np.ones((3, 2), np.int8)
    made = Dense(given)
    given[0, 0] = 7
    assert made.weights[0, 0] == 1
    assert made.weights.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        made.weights[0, 0] = 7
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(Layer(name="out", shape=Shape(2), threshold=9, currents=np.array([1, 2])).currents)[0] = 7


# What meets


def grid(synapses: Any, shape: Shape, **connection) -> dict[str, Any]:
    """The arguments for a network of 6 x 5 places of 4 channels, and one layer."""
    last = Layer(name="out", shape=shape, threshold=9, connections=(Connection(INPUT, synapses, **connection),))
    return {"name": "n", "layers": (last,), "input": Shape(4, 6, 5), "decision": Decision.NONE}


def test_grids_that_meet():
    ones = np.ones((3, 2, 4, 8), int)
    Network(**grid(Convolution(ones), Shape(8, 4, 4)))
    Network(**grid(Convolution(ones, stride=(2, 3), padding=(2, 1)), Shape(8, 4, 2)))
    Network(**grid(Convolution(ones, padding=(1, 0)), Shape(8, 3, 1), pool=(2, 2)))  # column 4 is left over
    Network(**grid(Convolution(ones[:, :, :2], groups=2), Shape(8, 4, 4)))
    Network(**grid(TransposedConvolution(ones, (2, 2), (1, 0), 1, (1, 0)), Shape(8, 12, 10)))
    Network(**grid(Dense(np.ones((4, 6), int)), Shape(2, 3, 1), pool=(6, 5)))


A_CONVOLUTION = "layer 'out': the convolution from 'input'"
A_TRANSPOSED = "layer 'out': the transposed convolution from 'input'"


@pytest.mark.parametrize(
    ("synapses", "shape", "changes", "text"),
    [
        (
            Convolution(np.ones((7, 3, 4, 2), int)),
            Shape(2, 1, 3),
            {},
            f"{A_CONVOLUTION} has a kernel of 7x3, larger than its padded input of 6x5: raise the padding, pool less "
            f"before it, or use a smaller kernel",
        ),
        (
            Convolution(np.ones((5, 5, 4, 2), int), padding=(1, 1)),
            Shape(2, 1, 1),
            {"pool": (2, 2)},
            f"{A_CONVOLUTION} has a kernel of 5x5, larger than its padded input of 5x4: raise the padding, pool less "
            f"before it, or use a smaller kernel",
        ),
        (
            Convolution(np.ones((3, 3, 4, 2), int)),
            Shape(2, 4, 4),
            {},
            f"{A_CONVOLUTION} gives 4x3 places, and the layer has 4x4: change its shape, the stride or the padding",
        ),
        (
            TransposedConvolution(np.ones((3, 3, 4, 2), int), stride=(2, 1)),
            Shape(2, 12, 7),
            {},
            f"{A_TRANSPOSED} gives 13x7 places, and the layer has 12x7: change its shape, the stride or the padding",
        ),
        (
            TransposedConvolution(np.ones((3, 3, 4, 2), int), stride=(2, 1), output_padding=(2, 0)),
            Shape(2, 12, 7),
            {},
            f"{A_TRANSPOSED} must have an output padding from 0 to the stride - 1, not (2, 0) with a stride of (2, 1)",
        ),
        (
            Convolution(np.ones((1, 1, 1, 6), int), groups=3),
            Shape(6, 6, 5),
            {},
            f"{A_CONVOLUTION} must have a number of groups that divides the 4 channels of its source and the 6 of the "
            f"layer, not 3",
        ),
        (
            Convolution(np.ones((1, 1, 4, 2), int), groups=0),
            Shape(2, 6, 5),
            {},
            f"{A_CONVOLUTION} must have a number of groups that divides the 4 channels of its source and the 2 of the "
            f"layer, not 0",
        ),
        (
            Convolution(np.ones((1, 1, 4, 2), int), groups=2),
            Shape(2, 6, 5),
            {},
            f"{A_CONVOLUTION} must have weights of shape (1, 1, 2, 2) (kernel height, kernel width, channels of a "
            f"group of its source, channels of the layer), not (1, 1, 4, 2)",
        ),
        (
            Convolution(np.ones((4, 2), int)),
            Shape(2, 6, 5),
            {},
            f"{A_CONVOLUTION} must have weights of 4 axes (kernel height, kernel width, channels of a group, "
            f"channels), not of shape (4, 2)",
        ),
        (
            Convolution(np.ones((32, 1, 4, 2), int), padding=(30, 0)),
            Shape(2, 35, 5),
            {},
            f"{A_CONVOLUTION} must have a kernel from 1 to 31, not (32, 1)",
        ),
        (
            Convolution(np.ones((1, 1, 4, 2), int), stride=(1, 17)),
            Shape(2, 6, 1),
            {},
            f"{A_CONVOLUTION} must have a stride from 1 to 16, not (1, 17)",
        ),
        (
            Convolution(np.ones((1, 1, 4, 2), int), padding=(-1, 0)),
            Shape(2, 4, 5),
            {},
            f"{A_CONVOLUTION} must have a padding from 0 to 30, not (-1, 0)",
        ),
        (
            Convolution(np.ones((1, 1, 4, 2), int)),
            Shape(2, 6, 5),
            {"pool": (7, 0)},
            f"{A_CONVOLUTION} must pool from 1x1 to the 6x5 places there are, not 7x0",
        ),
        (
            Dense(np.ones((2, 3, 4), int)),
            Shape(4),
            {},
            "layer 'out': the dense from 'input' must have weights of 2 axes (presynaptic, postsynaptic), not of "
            "shape (2, 3, 4)",
        ),
        (
            Dense(np.ones((120, 4), int)),
            Shape(4),
            {"pool": (2, 2)},
            "layer 'out': the dense from 'input' must have weights of shape (24, 4) (presynaptic, postsynaptic), not "
            "(120, 4)",
        ),
        (
            Convolution(np.full((1, 1, 4, 1), -129)),
            Shape(1, 6, 5),
            {},
            "layer 'out': weight from 'input' must be from -128 to 127 (8 signed bits): -129 at (0, 0, 0, 0), -129 at "
            "(0, 0, 1, 0), -129 at (0, 0, 2, 0) and 1 more; raise weight_bits or rescale the layer",
        ),
        (
            Convolution(np.full((1, 1, 4, 1), 0.5)),
            Shape(1, 6, 5),
            {},
            f"{A_CONVOLUTION} must have integer weights: quantise it first",
        ),
    ],
)
def test_grids_that_do_not_meet(synapses, shape, changes, text):
    message = re.escape(f"network 'n': {text}")
    with pytest.raises(HillockError, match=f"^{message}$"):
        Network(**grid(synapses, shape, **changes))


# What weights add up to


def fan_in(connection: Connection, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray]:
    """(negative, positive) sums of the weights into each neuron, taken one by one, from one place of each cell."""
    low, high = np.zeros(target.neurons, int), np.zeros(target.neurons, int)
    for pre in range(source.neurons):
        y, x = divmod(pre // source.channels, source.width)
        if y % connection.pool[0] or x % connection.pool[1]:
            continue
        for post in range(target.neurons):
            one = weight(connection, source, target, pre, post) or 0
            low[post] += min(one, 0)
            high[post] += max(one, 0)
    return low, high


@settings(max_examples=100)
@given(draw=st.integers(0, 2**32 - 1))
def test_no_neuron_receives_more_than_its_bounds(draw):
    net = random_graph(np.random.default_rng(draw), max_size=5, max_channels=4)
    for index, connection in net.walks():
        target = net.layers[index].shape
        low, high = (np.resize(part, target.neurons) for part in connection.synapses.fan_in_bounds())
        found_low, found_high = fan_in(connection, net.shape_of(connection.source), target)
        assert (low <= found_low).all()
        assert (found_high <= high).all()


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_bounds_of_convolutions_are_those_of_a_neuron_in_the_middle(groups):
    rng = np.random.default_rng(groups)
    kernel = rng.integers(-9, 10, (3, 3, 4 // groups, 4))
    source = Shape(4, 7, 7)
    for synapses, target in (
        (Convolution(kernel, (2, 2), (1, 1), groups), Shape(4, 4, 4)),
        (TransposedConvolution(kernel, (2, 3), (1, 0), groups), Shape(4, 13, 21)),
    ):
        low, high = synapses.fan_in_bounds()
        found_low, found_high = fan_in(Connection(INPUT, synapses), source, target)
        assert found_low.reshape(-1, 4).min(axis=0).tolist() == low.tolist()
        assert found_high.reshape(-1, 4).max(axis=0).tolist() == high.tolist()


def test_a_stride_of_numpy_integers_is_the_same_network() -> None:
    weights = np.ones((1, 1, 1, 1), np.int64)
    plain = Convolution(weights, stride=(2, 1), padding=(1, 0))
    other = Convolution(weights, stride=tuple(np.array([2, 1])), padding=[1, 0])  # type: ignore[arg-type]
    assert repr(plain.geometry) == repr(other.geometry)
