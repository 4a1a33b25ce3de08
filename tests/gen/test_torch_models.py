"""The modules that are trained, against what is exported of them: the same outputs, with everything folded in."""

import numpy as np
import pytest

from hillock.gen.layer_plans import Branch, LayerPlan
from hillock.gen.recipes import RECIPES, Recipe
from hillock.sim.network import INPUT, Convolution, Dense, Shape, TransposedConvolution

torch = pytest.importorskip("torch")


def recipe(*layers: LayerPlan) -> Recipe:
    return Recipe(dataset="digits", layers=layers, epochs=1, batch=1, learning_rate=1.0, weight_decay=0.0)


def plan(name: str, channels: int, *branches: Branch, **more) -> LayerPlan:
    return LayerPlan(name=name, channels=channels, branches=branches, **more)


EVERYTHING = recipe(
    plan("a", 8, Branch(kind="convolution", kernel=3, padding=1, batch_norm=True), dropout=0.5),
    plan(
        "b",
        8,
        Branch(source="a", kind="convolution", kernel=3, padding=1, groups=8, batch_norm=True),
        Branch(source="a", kind="identity"),
    ),
    plan(
        "c",
        16,
        Branch(source="b", kind="convolution", kernel=3, stride=2, padding=1, groups=4),
        Branch(source="a", kind="convolution", kernel=1, stride=2),
    ),
    plan(
        "d",
        8,
        Branch(
            source="c",
            kind="transposed_convolution",
            kernel=3,
            stride=2,
            padding=1,
            output_padding=1,
            groups=2,
            batch_norm=True,
        ),
    ),
    plan("e", 8, Branch(source="d", kind="identity", pool=2, batch_norm=True)),
    plan("f", 10, Branch(source="e"), Branch(source="d", pool=3), Branch(source=INPUT), rectified=False),
)


@pytest.mark.parametrize("given", [EVERYTHING, *RECIPES.values()], ids=["everything", *RECIPES])
def test_what_is_exported_computes_the_same(given):
    from hillock.gen.torch_models import ReluNetwork

    side, channels = {"digits": (8, 1), "mnist": (28, 1), "cifar10": (32, 3)}[given.dataset]
    shape = Shape(channels, side, side)
    images = np.random.default_rng(1).integers(0, 256, (6, shape.neurons), np.uint8)
    values = torch.tensor(images / 255, dtype=torch.float32).reshape(-1, side, side, channels).permute(0, 3, 1, 2)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = ReluNetwork(given, shape)
        for _ in range(5):
            net(values)  # moves the averages of the norms
    wanted = net.eval()(values).detach().numpy()
    network = net.exported("net")
    assert (network.name, network.input) == ("net", shape)
    assert [layer.name for layer in network.layers] == [plan.name for plan in given.layers]
    np.testing.assert_allclose(network.outputs(images), wanted, atol=5e-6)
    assert np.abs(wanted).max() > 0.01


def test_exported_structure():
    from hillock.gen.torch_models import ReluNetwork

    a, b, c, d, e, f = ReluNetwork(EVERYTHING, Shape(1, 8, 8)).exported("net").layers
    assert [layer.shape for layer in (a, b, c, d, e, f)] == [
        Shape(8, 8, 8), Shape(8, 8, 8), Shape(16, 4, 4), Shape(8, 8, 8), Shape(8, 4, 4), Shape(10)
    ]  # fmt: skip
    assert [layer.rectified for layer in (a, e, f)] == [True, True, False]
    identity = b.connections[1].synapses
    assert isinstance(identity, Convolution)
    assert (identity.groups, identity.weights.ravel().tolist()) == (8, 8 * [1.0])
    back = d.connections[0].synapses
    assert isinstance(back, TransposedConvolution)
    assert (back.stride, back.padding, back.output_padding, back.groups) == ((2, 2), (1, 1), (1, 1), 2)
    assert back.weights.shape == (3, 3, 8, 8)
    assert [(connection.source, connection.pool) for connection in f.connections] == [
        ("e", (1, 1)), ("d", (3, 3)), (INPUT, (1, 1))
    ]  # fmt: skip
    assert all(isinstance(connection.synapses, Dense) for connection in f.connections)
