"""What of a torch module cannot be converted: named, with its place and the way out, and all of it at once."""

import re

import pytest

from hillock.gen.convert import from_torch
from hillock.hw.problems import HillockError

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402


def refusal(module, sizes: tuple[int, ...] = (2, 8, 8), **more) -> str:
    with pytest.raises(HillockError) as caught:
        from_torch(module, sizes, name="net", **more)
    text = str(caught.value)
    assert text.startswith("conversion of 'net': ")
    return text.removeprefix("conversion of 'net': ")


MAX = (
    "it has no counterpart: rates do not tell which input is the strongest: train with average pooling or with strides"
    "; or ask for the OR of the spikes (max_pooling='or', --max-pooling or), which is the largest of values that are 0 "
    "or 1, and more than the largest of rates"
)
RELU_ONLY = "it has no counterpart: the rate of a neuron is a ReLU: train with nn.ReLU"
BEHIND_FLATTEN = "it must come behind a flatten, not take values of shape (2, 8, 8)"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (nn.MaxPool2d(2), f"part (MaxPool2d): {MAX}"),
        (nn.AdaptiveMaxPool2d(1), f"part (AdaptiveMaxPool2d): {MAX}"),
        (nn.LeakyReLU(), f"part (LeakyReLU): {RELU_ONLY}"),
        (nn.ReLU6(), f"part (ReLU6): {RELU_ONLY}"),
        (nn.Sigmoid(), f"part (Sigmoid): {RELU_ONLY}"),
        (
            nn.Softmax(1),
            "part (Softmax): it has no counterpart: leave it out: it does not change which output is the highest",
        ),
        (
            nn.GroupNorm(1, 2),
            "part (GroupNorm): it has no counterpart: its factors depend on the image, and weights do not: train with "
            "batch norm",
        ),
        (nn.Upsample(scale_factor=2), "part (Upsample): it has no counterpart: train with a transposed convolution"),
        (
            nn.PixelShuffle(1),
            "part (PixelShuffle): it has no counterpart: what is accepted are Conv2d, ConvTranspose2d, Linear, "
            "BatchNorm1d, BatchNorm2d, ReLU, average pooling, flatten, dropout and sums of two results",
        ),
        (
            nn.Conv2d(2, 2, 3, dilation=(1, 2)),
            "part (Conv2d): its dilation must be 1, not (1, 2): write the zeros into a larger kernel",
        ),
        (
            nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
            "part (Conv2d): it must pad with zeros, not 'circular'",
        ),
        (nn.Linear(8, 3), f"part (Linear): {BEHIND_FLATTEN}"),
        (
            nn.BatchNorm2d(2, track_running_stats=False),
            "part (BatchNorm2d): it must have running statistics: its results depend on the other images of the batch",
        ),
        (
            nn.AvgPool2d(3, 2),
            "part (AvgPool2d): its stride must be its kernel, (3, 3), not (2, 2): cells that overlap, or leave gaps, "
            "are a depthwise convolution",
        ),
        (nn.AvgPool2d(2, padding=1), "part (AvgPool2d): its padding must be 0, not (1, 1)"),
        (nn.AvgPool2d(2, divisor_override=3), "part (AvgPool2d): it must divide by the size of its cells"),
        (
            nn.AvgPool2d(3, ceil_mode=True),
            "part (AvgPool2d): it must drop what fills no cell: set ceil_mode to False",
        ),
        (
            nn.AdaptiveAvgPool2d(3),
            "part (AdaptiveAvgPool2d): its cells must be of one size, and 8x8 places do not divide into 3x3",
        ),
        (
            nn.Flatten(2),
            "part (Flatten): it must give all values of an image in one axis, and makes 2x64 of 2x8x8",
        ),
    ],
)  # fmt: skip
def test_refused_modules(part, text):
    module = nn.Sequential()
    module.add_module("part", part)
    assert refusal(module) == text


def function(call) -> nn.Module:
    """A module whose `forward` is `call`."""

    class Calls(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)
            self.parameter = nn.Parameter(torch.ones(1, 2, 8, 8))

        def forward(self, x):
            return call(self, x)

    return Calls()


@pytest.mark.parametrize(
    ("call", "name", "text"),
    [
        (lambda m, x: functional.max_pool2d(x, 2), "max_pool2d", MAX),
        (lambda m, x: x.clamp(0, 1), "clamp", RELU_ONLY),
        (
            lambda m, x: torch.cat([x, x], 1),
            "cat",
            "it has no counterpart: a layer adds what its sources bring: give each source a convolution of its own, "
            "and add those",
        ),
        (
            lambda m, x: functional.conv2d(x, m.conv.weight),
            "conv2d",
            "it has no counterpart: as a function it may have any weights: call the module of torch.nn",
        ),
        (
            lambda m, x: x[:, :, ::2, ::2],
            "getitem",
            "it has no counterpart: of a grid, a convolution of 1x1 with a stride and fixed weights takes every second "
            "place",
        ),
        (lambda m, x: x + 1, "add", "it must add two results of layers: put a constant into a bias"),
        (lambda m, x: x + m.parameter, "add", "it must add two results of layers: put a constant into a bias"),
        (
            lambda m, x: x + torch.relu(m.parameter),
            "relu",
            "it must take results of layers, and takes the constant parameter",
        ),
        (lambda m, x: torch.add(x, x, alpha=2), "add", "its alpha must be 1, not 2: put it into the weights"),
        (
            lambda m, x: x + torch.relu(x).mean((2, 3), keepdim=True),
            "add",
            "both must have one shape, not (2, 8, 8) and (2, 1, 1)",
        ),
        (lambda m, x: functional.dropout(x, 0.5), "dropout", "it must be told `training=self.training`"),
        (
            lambda m, x: x.mean(1),
            "mean",
            "it must be over the rows and columns of a grid, (2, 3), not over 1 of shape (2, 8, 8)",
        ),
        (
            lambda m, x: functional.avg_pool2d(m.conv(x), 2),
            "avg_pool2d",
            "it stands before the ReLU, where it can be folded into kernels of 1x1 only: put it behind the ReLU",
        ),
    ],
)
def test_refused_functions_and_where_they_stand(call, name, text):
    """The line is that of `call` in this file, which is not where the module is."""
    said = refusal(function(call))
    assert re.match(rf"{name}, test_torch_refusals\.py line \d+: `.*`: {re.escape(text)}$", said.splitlines()[0]), said


def test_two_linear_steps():
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 3))
    assert refusal(module) == (
        "1 (Conv2d): what it takes may be negative, which no rate is: put a ReLU before it, or make one layer of both"
    )


def test_norms_of_flattened_grids():
    flat = [nn.Flatten(), nn.BatchNorm1d(128)]
    assert refusal(nn.Sequential(nn.Conv2d(2, 2, 1), *flat)) == (
        "2 (BatchNorm1d): a convolution has no factor for each neuron: put the norm before the flatten, as BatchNorm2d"
    )
    assert refusal(nn.Sequential(*flat, nn.ReLU())) == (
        "2 (ReLU): it takes a norm of a flattened grid, which has a factor for each neuron: put the norm before the "
        "flatten, as BatchNorm2d"
    )


def test_sums_of_other_orders():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(128, 128)

        def forward(self, x):
            x = x.flatten(1)
            return self.linear(x) + x

    assert refusal(Mixed()).endswith(
        ": it adds a flattened grid of 8x8x2 to neurons in another order: add before the flatten"
    )


def test_everything_is_said_at_once():
    """What comes behind something that was refused is looked at too."""
    features = nn.Sequential(nn.Conv2d(2, 4, 3, dilation=2, padding=2), nn.Tanh(), nn.MaxPool2d(2))
    module = nn.Sequential(features, nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Softmax(1))
    lines = refusal(module).splitlines()
    assert lines[0] == "5 problems"
    places = [line.removeprefix("  - ").split(": ")[0] for line in lines[1:]]
    assert places == ["0.0 (Conv2d)", "0.1 (Tanh)", "0.2 (MaxPool2d)", "4 (Softmax)", "2 (Conv2d)"]


def test_what_cannot_be_followed():
    said = refusal(function(lambda m, x: x if x.sum() > 0 else -x))
    assert said.startswith(
        "torch.fx must be able to follow `forward` without knowing any values, and cannot (TraceError: symbolically "
        "traced variables cannot be used as inputs to control flow) at test_torch_refusals.py line "
    )
    assert said.endswith(": no `if`, loop or NumPy function may depend on the images")


def test_inputs_and_outputs():
    class Two(nn.Module):
        def forward(self, x, mask):
            return x + mask

    assert refusal(Two()) == "`forward` must take the images and nothing else, and takes x, mask"
    assert refusal(function(lambda m, x: (x, x))) == "`forward` must return one tensor, not (x, x)"
    said = refusal(nn.Linear(3, 4), (4,))
    assert said.startswith("it must run on images of shape (4,), and fails (RuntimeError: mat1 and mat2 shapes ")
    assert said.endswith("): give the shape of its images (channels, rows, columns), or of what it takes instead")


def test_values_changed_in_place_are_noticed():
    """torch.fx does not see that the first ReLU changes what the sum takes."""
    said = refusal(function(lambda m, x: (lambda y: torch.relu(m.conv(functional.relu_(y))) + y)(m.conv(x))))
    assert re.match(
        r"its outputs must be those of the module, and differ by up to \S+ of \S+ on random images: `forward` does "
        r"what torch.fx does not see, such as changing values in place that it uses again, or hooks; write it without$",
        said,
    ), said


def test_wrong_settings():
    assert refusal(nn.Identity(), (3, 4)) == "input_shape must be (channels, rows, columns) or (values,), not (3, 4)"
    assert refusal(nn.Identity(), mean=(0, 0, 0), std=(1, 0)) == (
        "2 problems"
        "\n  - mean must be a number, or one for each of 2 channels, not [0.0, 0.0, 0.0]"
        "\n  - std must be above 0, not [1.0, 0.0]"
    )
