"""Torch modules as float networks: the same outputs for all that is accepted, and a clear word for all that is not."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hillock.gen.convert import from_torch
from hillock.gen.float_network import FloatNetwork
from hillock.sim.network import INPUT, Convolution, Dense, Shape, TransposedConvolution

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402


def told(network: FloatNetwork, module, sizes: tuple[int, ...], mean=0.0, std=1.0) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of the network and of the module, in its own precision and the order of addresses, for random images."""
    images = np.random.default_rng(5).integers(0, 256, (4, network.input.neurons), np.uint8)
    shape = network.layers[-1].shape
    channels, *places = sizes if len(sizes) == 3 else (*sizes, 1, 1)
    values = images.reshape(-1, *places, channels) / 255
    values = ((values - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2).reshape(-1, *sizes)
    with torch.no_grad():
        wanted = copy.deepcopy(module).eval()(torch.tensor(values.copy(), dtype=torch.float32)).numpy()
    wanted = wanted.reshape(-1, shape.channels, shape.height, shape.width).transpose(0, 2, 3, 1)
    return network.outputs(images), wanted.reshape(4, -1)


def seeded(make, seed: int):
    """What `make` gives, with random parameters and statistics; factors of norms are negative as often as not."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = make()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(part.weight, -1.5, 1.5)
                nn.init.uniform_(part.bias, -1, 1)
                for name, low, high in (("running_mean", -1, 1), ("running_var", 0.5, 2)):
                    getattr(part, name).uniform_(low, high)
        return module


class Sum(nn.Module):
    """Two branches, added in one of the ways in which that is written."""

    def __init__(self, way: int, *branches: nn.Module):
        super().__init__()
        self.way, self.one, self.other = way, *branches

    def forward(self, x):
        one, other = self.one(x), self.other(x)
        if self.way == 0:
            return one + other
        if self.way == 1:
            return torch.add(one, other)
        if self.way == 2:
            return one.add(other)
        one += other
        return one


class Rectified(nn.Module):
    """One of the ways in which ReLU is written."""

    def __init__(self, way: int):
        super().__init__()
        self.way, self.relu = way, nn.ReLU(inplace=way == 4)

    def forward(self, x):
        ways = (torch.relu, functional.relu, lambda x: x.relu(), lambda x: x.relu_(), self.relu, self.relu)
        return ways[self.way](x)


class Averaged(nn.Module):
    def __init__(self, cell: tuple[int, int]):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        return functional.dropout(functional.avg_pool2d(x, self.cell), 0.5, self.training)


class Flat(nn.Module):
    """One of the ways in which flatten is written."""

    def __init__(self, way: int):
        super().__init__()
        self.way, self.flatten = way, nn.Flatten()

    def forward(self, x):
        if self.way == 0:
            return torch.flatten(x, 1)
        if self.way == 1:
            return x.contiguous().view(x.size(0), -1)
        if self.way == 2:
            return x.reshape(x.shape[0], x.shape[1] * x.shape[2] * x.shape[3])
        return self.flatten(x)


class GlobalMean(nn.Module):
    def __init__(self, way: int):
        super().__init__()
        self.way = way

    def forward(self, x):
        if self.way == 0:
            return x.mean((2, 3))
        if self.way == 1:
            return torch.mean(x, dim=[-1, -2], keepdim=True).squeeze(-1).squeeze(-1)
        return functional.adaptive_avg_pool2d(x, 1).flatten(1)


class Random:
    """A random network of all that is accepted, with the shape of its images."""

    def __init__(self, seed: int):
        self.choose = np.random.default_rng(seed)
        self.sizes = sizes = (self.pick(1, 3), self.pick(5, 9), self.pick(5, 9))
        self.grid: tuple[int, ...] = sizes
        self.parts: list[nn.Module] = []
        for _ in range(self.pick(1, 4)):
            if self.pick(0, 3) == 0:
                self.parts.append(nn.BatchNorm2d(self.grid[0]))
            self.block()
            self.parts.append(Rectified(self.pick(0, 5)))
            if self.pick(0, 2) == 0 and min(self.grid[1:]) >= 4:
                self.add(Averaged((2, self.pick(1, 2))))
            if self.pick(0, 3) == 0:
                self.parts.append(nn.Dropout())
        self.head()

    def pick(self, low: int, high: int) -> int:
        return int(self.choose.integers(low, high + 1))

    def add(self, part: nn.Module) -> None:
        self.parts.append(part)
        with torch.no_grad():
            self.grid = tuple(part.eval()(torch.zeros(1, *self.grid)).shape[1:])

    def block(self) -> None:
        channels, kind = self.grid[0], self.pick(0, 4)
        if kind == 0 and max(self.grid[1:]) <= 8:
            back = nn.ConvTranspose2d(
                channels, 2 * channels, (3, 2), stride=2, padding=(1, 0), output_padding=1, groups=channels
            )
            self.add(nn.Sequential(back, nn.BatchNorm2d(2 * channels)))
        elif kind <= 2:
            same = nn.Conv2d(channels, channels, 3, padding="same", groups=channels, bias=False)
            branch = nn.Sequential(same, nn.BatchNorm2d(channels))
            shortcut = nn.Identity() if kind == 1 else nn.Conv2d(channels, channels, 1)
            self.add(Sum(self.pick(0, 3), branch, shortcut))
        else:
            fits = min(self.grid[1:]) >= 3
            padding = "valid" if fits and self.pick(0, 1) else (1 - fits * self.pick(0, 1), 1)
            stride = 1 if padding == "valid" else (1, self.pick(1, 2))
            self.add(nn.Conv2d(channels, self.pick(1, 4), (2, 3), stride=stride, padding=padding))

    def head(self) -> None:
        kind = self.pick(0, 3)
        if kind == 0:
            return
        if kind == 1:
            self.add(nn.Conv2d(self.grid[0], 3, 1))
            self.add(GlobalMean(self.pick(0, 2)))
            return
        self.add(Flat(self.pick(0, 3)))
        if self.pick(0, 1):
            self.add(nn.BatchNorm1d(self.grid[0]))
        self.add(nn.Sequential(nn.Linear(self.grid[0], 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4, bias=False)))


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_modules(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed % 1000)
        random = Random(seed)
    module, sizes = seeded(lambda: nn.Sequential(*random.parts), seed % 1000), random.sizes
    mean, std = random.choose.uniform(0, 1, sizes[0]).tolist(), random.choose.uniform(0.2, 1, sizes[0]).tolist()
    got, wanted = told(from_torch(module, sizes, mean=mean, std=std), module, sizes, mean, std)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=1e-4 * (1 + np.abs(wanted).max()), rtol=1e-3)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        self.narrow = nn.Conv2d(4, 6, 1, stride=2)
        self.wide = nn.ConvTranspose2d(4, 6, 3, stride=1, padding=1)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(self.branch(x) + x)
        x = torch.relu(self.narrow(x) + functional.avg_pool2d(torch.relu(self.wide(x)), 2))
        return self.head(x.mean((2, 3)))


def test_structure():
    """Layers are named by their weights; a shortcut is a depthwise identity, an average a pool with its division."""
    module = seeded(Block, 1)
    stem, branch, wide, narrow, head = from_torch(module, (2, 6, 6), name="block").layers
    assert [layer.name for layer in (stem, branch, wide, narrow, head)] == [
        "stem", "branch.0", "wide", "narrow", "head"
    ]  # fmt: skip
    assert [layer.rectified for layer in (stem, branch, wide, narrow, head)] == [True] * 4 + [False]
    assert [layer.shape for layer in (stem, narrow, head)] == [Shape(4, 6, 6), Shape(6, 3, 3), Shape(3)]
    assert [part.source for part in branch.connections] == ["stem", "stem"]
    identity = branch.connections[1].synapses
    assert isinstance(identity, Convolution)
    assert (identity.groups, identity.weights.tolist()) == (4, [[[[1.0] * 4]]])
    assert isinstance(wide.connections[0].synapses, TransposedConvolution)
    assert [(part.source, part.pool) for part in narrow.connections] == [("branch.0", (1, 1)), ("wide", (2, 2))]
    np.testing.assert_array_equal(narrow.connections[1].synapses.weights, np.full((1, 1, 1, 6), 0.25))
    (mean,) = head.connections
    assert isinstance(mean.synapses, Dense)
    assert (mean.source, mean.pool) == ("narrow", (3, 3))
    np.testing.assert_allclose(mean.synapses.weights * 9, module.head.weight.detach().numpy().T)


def test_a_norm_without_factors():
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, affine=False))
    set_to(module[1], running_mean=2, running_var=9)
    got, wanted = told(from_torch(module, (2, 4, 4)), module, (2, 4, 4))
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def set_to(module: nn.Module, **numbers: float) -> None:
    for name, number in numbers.items():
        getattr(module, name).data.fill_(number)


def test_a_norm_is_folded_by_hand():
    """gamma -3, beta 0.5, mean 1, variance 4: a factor of -1.5 behind a weight of 2 and a bias of 7."""
    conv, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0)
    set_to(conv, weight=2, bias=7)
    set_to(norm, weight=-3, bias=0.5, running_mean=1, running_var=4)
    (layer,) = from_torch(nn.Sequential(conv, norm, nn.ReLU()), (1, 2, 2)).layers
    assert (layer.connections[0].synapses.weights.item(), layer.biases.tolist()) == (-3.0, [0.5 - 1.5 * (7 - 1)])


def test_normalised_images_by_hand():
    """A kernel of ones over (pixel - 0.5) / 0.25: each pixel that is there takes 2 off; the padding takes nothing."""
    module = nn.Conv2d(1, 1, 3, padding=1)
    set_to(module, weight=1, bias=10)
    (layer,) = from_torch(module, (1, 3, 4), mean=0.5, std=0.25).layers
    np.testing.assert_array_equal(layer.connections[0].synapses.weights, np.full((3, 3, 1, 1), 4.0))
    assert layer.biases.reshape(3, 4).tolist() == [[2, -2, -2, 2], [-2, -8, -8, -2], [2, -2, -2, 2]]
    (inside,) = from_torch(nn.Conv2d(1, 2, 3), (1, 5, 5), mean=0.5).layers
    assert inside.biases.shape == (2,)  # without padding all places are alike


@pytest.mark.parametrize("extra", [nn.Conv2d(3, 4, 3, padding=2), nn.ConvTranspose2d(3, 4, 3, stride=2)])
def test_a_norm_before_padding_is_exact(extra):
    module = seeded(lambda: nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), nn.BatchNorm2d(3), extra), 3)
    network = from_torch(module, (1, 5, 6))
    got, wanted = told(network, module, (1, 5, 6))
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert network.layers[1].biases.shape == (network.layers[1].shape.neurons,)


def test_flat_images():
    module = seeded(lambda: nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 2)), 2)
    network = from_torch(module, (7,), mean=0.2)
    assert network.input == Shape(7)
    got, wanted = told(network, module, (7,), 0.2)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_what_ends_in_a_relu_or_an_average():
    """The last layer is then rectified, or an identity that no ReLU follows; a module that runs twice makes two."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            return torch.relu(self.one(torch.relu(self.one(x))))

    module = seeded(Twice, 4)
    network = from_torch(module, (2, 4, 4))
    assert [(layer.name, layer.rectified) for layer in network.layers] == [("one", True), ("one_2", True)]
    pooled = from_torch(nn.Sequential(module, nn.AdaptiveAvgPool2d((2, 1))), (2, 4, 4))
    last = pooled.layers[-1]
    assert (last.name, last.shape, last.rectified) == ("output", Shape(2, 2, 1), False)
    assert last.connections[0].pool == (2, 4)


def test_the_module_stays_as_it_is():
    module = seeded(Block, 1).train()
    before = copy.deepcopy(module.state_dict())
    from_torch(module, (2, 6, 6))
    assert module.training
    assert module.branch[1].training
    for name, values in module.state_dict().items():
        assert values.dtype == before[name].dtype
        assert torch.equal(values, before[name])


def test_the_images_themselves():
    """A module that only flattens is one layer: the identity."""
    (layer,) = from_torch(nn.Flatten(), (2, 3, 3)).layers
    assert (layer.connections[0].source, layer.shape) == (INPUT, Shape(2, 3, 3))
