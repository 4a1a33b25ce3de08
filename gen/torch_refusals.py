"""What to do instead of what has no counterpart, by the name of the torch module, function or method."""

__all__ = ["ACCEPTED", "way_out"]

ACCEPTED = (
    "what is accepted are Conv2d, ConvTranspose2d, Linear, BatchNorm1d, BatchNorm2d, ReLU, average pooling, flatten, "
    "dropout and sums of two results"
)

# The first of these beginnings that a name has, in small letters and without underscores, says what to do.
_WAYS_OUT = {
    ("maxpool2dwithindices", "adaptivemaxpool2dwithindices"): "ask for the largest values alone: no return_indices",
    ("maxpool", "adaptivemaxpool", "fractionalmaxpool"): (
        "rates do not tell which input is the strongest: train with average pooling or with strides; or ask for the OR "
        "of the spikes (max_pooling='or', --max-pooling or), which is the largest of values that are 0 or 1, and more "
        "than the largest of rates"
    ),
    ("softmax", "logsoftmax"): "leave it out: it does not change which output is the highest",
    (
        "leakyrelu", "prelu", "rrelu", "relu6", "elu", "selu", "celu", "gelu", "silu", "mish", "sigmoid", "logsigmoid",
        "hardsigmoid", "hardswish", "hardtanh", "tanh", "softplus", "clamp",
    ): "the rate of a neuron is a ReLU: train with nn.ReLU",
    ("layernorm", "groupnorm", "instancenorm", "localresponsenorm"): (
        "its factors depend on the image, and weights do not: train with batch norm"
    ),
    ("upsample", "interpolate"): "train with a transposed convolution",
    ("cat", "concat"): "a layer adds what its sources bring: give each source a convolution of its own, and add those",
    ("conv1d", "conv3d", "convtranspose1d", "convtranspose3d"): "grids have two dimensions",
    ("conv2d", "linear", "batchnorm", "convtranspose2d"): (
        "as a function it may have any weights: call the module of torch.nn"
    ),
    ("getitem",): "of a grid, a convolution of 1x1 with a stride and fixed weights takes every second place",
    ("alphadropout", "featurealphadropout"): "train with nn.Dropout",
    ("zeropad2d", "pad", "reflectionpad", "replicationpad", "constantpad"): "use the padding of the convolution",
}  # fmt: skip


def way_out(name: str) -> str | None:
    """What to do instead of what is called `name`; None where nothing particular is known."""
    plain = name.lower().replace("_", "")
    return next((text for beginnings, text in _WAYS_OUT.items() if plain.startswith(beginnings)), None)
