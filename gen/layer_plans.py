"""The networks that come with the project, layer by layer: plain data, of which `torch_models` makes modules."""

from dataclasses import dataclass
from typing import Literal

from hillock.sim.network import INPUT

__all__ = ["Branch", "LayerPlan", "autoencoder", "dense", "net_1", "net_2", "net_3", "residual", "resnet_20"]


@dataclass(frozen=True, kw_only=True)
class Branch:
    """What leads from `source`, averaged over squares of `pool` places, to a layer.

    "identity" adds the source as it is, with nothing to train. With `batch_norm`, which is folded into the weights
    after training, the branch has no bias of its own. Kernels, strides and paddings are square, as torch takes them.
    """

    source: str = INPUT
    kind: Literal["dense", "convolution", "transposed_convolution", "identity"] = "dense"
    pool: int = 1
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    groups: int = 1
    batch_norm: bool = False


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """A layer of `channels`: the sum of its branches, ReLU unless not `rectified`, and `dropout` while training."""

    name: str
    channels: int
    branches: tuple[Branch, ...]
    rectified: bool = True
    dropout: float = 0.0


def dense(hidden: int, dropout: float = 0.0) -> tuple[LayerPlan, ...]:
    """One hidden layer, and ten classes."""
    return (
        LayerPlan(name="hidden", channels=hidden, branches=(Branch(),), dropout=dropout),
        LayerPlan(name="output", channels=10, branches=(Branch(source="hidden"),), rectified=False),
    )


def net_1(pool: int) -> tuple[LayerPlan, ...]:
    """3C20-5C50-FC50-FC10 (Hwang et al. 2021), without padding, each convolution followed by a pool."""
    return (
        LayerPlan(name="conv1", channels=20, branches=(Branch(kind="convolution", kernel=3),)),
        LayerPlan(
            name="conv2", channels=50, branches=(Branch(source="conv1", kind="convolution", kernel=5, pool=pool),)
        ),
        LayerPlan(name="dense", channels=50, branches=(Branch(source="conv2", pool=pool),), dropout=0.5),
        LayerPlan(name="output", channels=10, branches=(Branch(source="dense"),), rectified=False),
    )


def residual(channels: int = 8) -> tuple[LayerPlan, ...]:
    """A stem, two residual blocks of which the second halves the grid and doubles the channels, and an average."""

    def convolution(source: str, kernel: int = 3, stride: int = 1, groups: int = 1) -> Branch:
        padding = kernel // 2
        return Branch(
            source=source,
            kind="convolution",
            kernel=kernel,
            stride=stride,
            padding=padding,
            groups=groups,
            batch_norm=True,
        )

    return (
        LayerPlan(name="stem", channels=channels, branches=(convolution(INPUT),)),
        LayerPlan(name="block1a", channels=channels, branches=(convolution("stem"),)),
        LayerPlan(
            name="block1b", channels=channels, branches=(convolution("block1a"), Branch(source="stem", kind="identity"))
        ),
        LayerPlan(name="block2a", channels=channels, branches=(convolution("block1b", stride=2, groups=channels),)),
        LayerPlan(
            name="block2b",
            channels=2 * channels,
            branches=(convolution("block2a"), convolution("block1b", kernel=1, stride=2)),
        ),
        LayerPlan(name="output", channels=10, branches=(Branch(source="block2b", pool=4),), rectified=False),
    )


def autoencoder(channels: int = 8, code: int = 8) -> tuple[LayerPlan, ...]:
    """8x8 pixels to a code of 2x2 places, and back."""

    def layer(name: str, source: str, channels: int, back: bool, rectified: bool = True) -> LayerPlan:
        branch = Branch(
            source=source,
            kind="transposed_convolution" if back else "convolution",
            kernel=3,
            stride=2,
            padding=1,
            output_padding=1 if back else 0,
        )
        return LayerPlan(name=name, channels=channels, branches=(branch,), rectified=rectified)

    return (
        layer("encode1", INPUT, channels, back=False),
        layer("encode2", "encode1", code, back=False),
        layer("decode1", "encode2", channels, back=True),
        layer("decode2", "decode1", 1, back=True, rectified=False),
    )


def _convolution(source: str, kernel: int = 3, stride: int = 1) -> Branch:
    """With batch norm, and so much padding that the grid stays as it is, or becomes as small as the stride says."""
    padding = kernel // 2
    return Branch(source=source, kind="convolution", kernel=kernel, stride=stride, padding=padding, batch_norm=True)


def net_2() -> tuple[LayerPlan, ...]:
    """3C96-3C96(2)-3C192-3C192-3C192(2)-3C192-1C192-1C10-GAP (Hwang et al. 2021), with batch norm, which folds away.

    The last two, a 1x1 convolution without ReLU and the average of the grid, are linear: one layer behind a pool.
    """
    plans, source = [], INPUT
    sizes = ((96, 3, 1), (96, 3, 2), (192, 3, 1), (192, 3, 1), (192, 3, 2), (192, 3, 1), (192, 1, 1))
    for number, (channels, kernel, stride) in enumerate(sizes, 1):
        dropout = 0.2 if stride == 2 else 0.0
        branch = _convolution(source, kernel, stride)
        plans.append(LayerPlan(name=f"conv{number}", channels=channels, branches=(branch,), dropout=dropout))
        source = plans[-1].name
    output = LayerPlan(name="output", channels=10, branches=(Branch(source=source, pool=8),), rectified=False)
    return (*plans, output)


def net_3() -> tuple[LayerPlan, ...]:
    """3C96-3C96(2)-3C32(2)-3C16(2)-3CT32(2)-3CT96(2)-3CT96(2)-3CT3 (Hwang et al. 2021): 32x32 to 4x4 and back.

    Batch norm, of which the paper says nothing, folds away.
    """

    def layer(name: str, source: str, channels: int, stride: int, back: bool, rectified: bool = True) -> LayerPlan:
        branch = Branch(
            source=source,
            kind="transposed_convolution" if back else "convolution",
            kernel=3,
            stride=stride,
            padding=1,
            output_padding=1 if back and stride == 2 else 0,
            batch_norm=rectified,
        )
        return LayerPlan(name=name, channels=channels, branches=(branch,), rectified=rectified)

    return (
        layer("encode1", INPUT, 96, 1, back=False),
        layer("encode2", "encode1", 96, 2, back=False),
        layer("encode3", "encode2", 32, 2, back=False),
        layer("encode4", "encode3", 16, 2, back=False),
        layer("decode1", "encode4", 32, 2, back=True),
        layer("decode2", "decode1", 96, 2, back=True),
        layer("decode3", "decode2", 96, 2, back=True),
        layer("decode4", "decode3", 3, 1, back=True, rectified=False),
    )


def resnet_20() -> tuple[LayerPlan, ...]:
    """ResNet-20 for CIFAR-10 (He et al. 2016), with 1x1 convolutions as shortcuts where the grid halves (option B)."""
    plans, source = [LayerPlan(name="stem", channels=16, branches=(_convolution(INPUT),))], "stem"
    for stage, channels in enumerate((16, 32, 64), 1):
        for block in range(1, 4):
            stride = 2 if stage > 1 and block == 1 else 1
            name = f"block{stage}{block}"
            shortcut = Branch(source=source, kind="identity") if stride == 1 else _convolution(source, 1, stride)
            first = LayerPlan(name=f"{name}a", channels=channels, branches=(_convolution(source, stride=stride),))
            both = (_convolution(first.name), shortcut)
            plans += [first, LayerPlan(name=f"{name}b", channels=channels, branches=both)]
            source = f"{name}b"
    output = LayerPlan(name="output", channels=10, branches=(Branch(source=source, pool=8),), rectified=False)
    return (*plans, output)
