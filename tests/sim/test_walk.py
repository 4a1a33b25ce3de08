"""Which neurons an event reaches, and with which weights: by hand, and against torch."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.sim import golden
from hillock.sim.network import (
    INPUT,
    Connection,
    Convolution,
    Decision,
    Dense,
    Layer,
    Network,
    Shape,
    Synapses,
    TransposedConvolution,
)
from hillock.sim.stimulus import image_events


def grid_layer(shape: Shape, *connections: Connection, **changes) -> Layer:
    values: dict[str, Any] = {"name": "out", "shape": shape, "threshold": 32767, "connections": connections}
    return Layer(**(values | changes))


def network(last: Layer, source: Shape, **changes) -> Network:
    values: dict[str, Any] = {"fraction_bits": 0, "timesteps": 1, "decision": Decision.NONE}
    return Network(name="n", input=source, layers=(last,), **(values | changes))


def one_step(source: Shape, last: Layer, events: list[tuple[int, int, int]]) -> np.ndarray:
    """Potentials [y, x, channel] of one layer after one timestep with these events (y, x, channel)."""
    addresses = [(y * source.width + x) * source.channels + c for y, x, c in events]
    trace = golden.run(network(last, source), events=[addresses])
    grid: np.ndarray = trace.layers[0].potentials[0].reshape(last.shape.height, last.shape.width, -1)
    return grid


def test_an_event_reaches_the_places_whose_kernel_lies_over_it():
    # 3x3 kernel 1..9 over 4x4 without padding: 2x2 places. (1, 2) lies under tap (1, 2) of place (0, 0), and so on.
    kernel = np.arange(1, 10).reshape(3, 3, 1, 1)
    got = one_step(Shape(1, 4, 4), grid_layer(Shape(1, 2, 2), Connection(INPUT, Convolution(kernel))), [(1, 2, 0)])
    assert got[:, :, 0].tolist() == [[6, 5], [3, 2]]
    # The corner (0, 0) reaches one place only.
    got = one_step(Shape(1, 4, 4), grid_layer(Shape(1, 2, 2), Connection(INPUT, Convolution(kernel))), [(0, 0, 0)])
    assert got[:, :, 0].tolist() == [[1, 0], [0, 0]]


def test_an_event_of_a_transposed_convolution_lays_the_kernel_down():
    # Stride 2, padding 1, output padding 1: the kernel of (y, x) begins at (2 y - 1, 2 x - 1) of 4x4.
    kernel = np.arange(1, 10).reshape(3, 3, 1, 1)
    connection = Connection(INPUT, TransposedConvolution(kernel, (2, 2), (1, 1), 1, (1, 1)))
    got = one_step(Shape(1, 2, 2), grid_layer(Shape(1, 4, 4), connection), [(0, 1, 0)])
    assert got[:, :, 0].tolist() == [[0, 4, 5, 6], [0, 7, 8, 9], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_channels_of_a_group_reach_their_own_group_only():
    # Channels 0, 1 -> 0..2 and channels 2, 3 -> 3..5.
    weights = np.arange(1, 13).reshape(1, 1, 2, 6)
    last = grid_layer(Shape(6, 1, 2), Connection(INPUT, Convolution(weights, groups=2)))
    assert one_step(Shape(4, 1, 2), last, [(0, 1, 3)]).tolist() == [[[0] * 6, [0, 0, 0, 10, 11, 12]]]
    assert one_step(Shape(4, 1, 2), last, [(0, 0, 0)]).tolist() == [[[1, 2, 3, 0, 0, 0], [0] * 6]]


def test_a_dense_connection_reads_addresses_row_by_row_and_channel_last():
    weights = np.arange(8)[:, None] * 10 + np.arange(1, 3)
    last = grid_layer(Shape(1, 1, 2), Connection(INPUT, Dense(weights)))
    assert one_step(Shape(2, 2, 2), last, [(1, 0, 1)])[0, :, 0].tolist() == [51, 52]


@pytest.mark.parametrize(
    ("event", "after"), [((0, 0, 0), [1, 2]), ((1, 1, 0), [1, 2]), ((1, 2, 1), [7, 8]), ((2, 0, 0), [0, 0])]
)
def test_pooling_adds_up_cells_and_drops_what_is_left_over(event, after):
    # 3x5 places, pooled 2x2, are 1x2; row 2 and column 4 are left over. Cells: (0, 0), then (0, 1), two channels each.
    weights = np.arange(1, 9).reshape(4, 2)
    last = grid_layer(Shape(2), Connection(INPUT, Dense(weights), pool=(2, 2)))
    assert one_step(Shape(2, 3, 5), last, [event]).reshape(-1).tolist() == after


def test_events_of_one_cell_add_up():
    last = grid_layer(Shape(1), Connection(INPUT, Dense(np.array([[5]])), pool=(2, 2)))
    assert one_step(Shape(1, 2, 2), last, [(0, 0, 0), (0, 1, 0), (1, 1, 0)]).tolist() == [[[15]]]


def test_currents_of_a_grid_are_for_each_channel_or_for_each_neuron():
    by_channel = grid_layer(Shape(2, 1, 2), currents=np.array([3, 4]))
    by_neuron = grid_layer(Shape(2, 1, 2), currents=np.array([1, 2, 3, 4]))
    assert one_step(Shape(1), by_channel, []).tolist() == [[[3, 4], [3, 4]]]
    assert one_step(Shape(1), by_neuron, []).tolist() == [[[1, 2], [3, 4]]]


def test_existing_synapses_count_whatever_their_weight():
    # The corner of a padded 3x3 kernel on 3x3 places reaches 2x2 places, two channels each; weight 0 counts too.
    last = grid_layer(Shape(2, 3, 3), Connection(INPUT, Convolution(np.zeros((3, 3, 1, 2), int), padding=(1, 1))))
    net = network(last, Shape(1, 3, 3))
    for address, sop in ((0, 8), (1, 12), (4, 18)):
        assert golden.run(net, events=[[address]]).sop == sop


@settings(max_examples=40)
@given(draw=st.integers(0, 2**32 - 1), transposed=st.booleans(), groups=st.sampled_from([1, 2, 4]))
def test_grids_equal_torch(draw, transposed, groups):
    """Every event of one timestep at once is the convolution of a sum-pooled image."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # these are small, and other tests run beside them
    rng = np.random.default_rng(draw)

    def pair(low: int, high: int) -> tuple[int, int]:
        return int(rng.integers(low, high + 1)), int(rng.integers(low, high + 1))

    pool, kernel, stride, padding = pair(1, 2), pair(1, 7), pair(1, 4), pair(0, 3)
    extra = (int(rng.integers(0, stride[0])), int(rng.integers(0, stride[1])))
    source = Shape(4, 2 * 7 + 1, 2 * 8 + 1)  # large enough for every kernel
    image = rng.integers(0, 8, (source.height, source.width, source.channels))
    weights = rng.integers(-128, 128, (*kernel, source.channels // groups, 8))
    cells = torch.nn.functional.avg_pool2d(torch.tensor(image.transpose(2, 0, 1) * 1.0)[None], pool, divisor_override=1)
    if transposed:
        synapses: Synapses = TransposedConvolution(weights, stride, padding, groups, extra)
        # torch: [channels of the source, channels of a target group, ...], group after group
        split = weights.reshape(*kernel, source.channels // groups, groups, 8 // groups).transpose(3, 2, 4, 0, 1)
        kernels = torch.tensor(split.reshape(source.channels, 8 // groups, *kernel) * 1.0)
        wanted = torch.nn.functional.conv_transpose2d(
            cells, kernels, stride=stride, padding=padding, groups=groups, output_padding=extra
        )
    else:
        synapses = Convolution(weights, stride, padding, groups)
        kernels = torch.tensor(weights.transpose(3, 2, 0, 1) * 1.0)
        wanted = torch.nn.functional.conv2d(cells, kernels, stride=stride, padding=padding, groups=groups)
    channels, height, width = wanted.shape[1:]
    last = grid_layer(Shape(channels, height, width), Connection(INPUT, synapses, pool), fires=False)
    net = network(last, source, potential_bits=32, payload_bits=3)
    got = golden.run(net, events=[image_events(image)]).layers[0].potentials[0]
    assert np.array_equal(got.reshape(height, width, channels).transpose(2, 0, 1), wanted[0].numpy())
