"""Labelled images to train and to measure with: scikit-learn's digits, which need no file, MNIST, and CIFAR-10."""

import gzip
import hashlib
import http.client
import os
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import HillockError, Problems
from hillock.sim.network import IntArray
from hillock.sim.network_file import write_file

__all__ = ["DATASETS", "DATA_VARIABLE", "Dataset", "ImageArray", "digits", "load_dataset", "mnist"]

ImageArray = NDArray[np.uint8]

DATA_VARIABLE = "HILLOCK_DATA"
"""The environment variable that names the data folder; MNIST is its subfolder `mnist`."""

MNIST_SOURCES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
"""Public mirrors of the official archives, tried in this order."""

# file: (items, shape of one item, sha256 of the uncompressed content)
_MNIST_FILES: dict[str, tuple[int, tuple[int, ...], str]] = {
    "train-images-idx3-ubyte.gz": (60000, (28, 28), "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte.gz": (60000, (), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte.gz": (10000, (28, 28), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte.gz": (10000, (), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}

_DIGITS_DIGEST = "13503627fc745085deff84beb7df59e06fdf67b55f8668add185e5fba5f1fe73"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels, split once and for all into those to train with and those to measure with.

    Parameters
    ----------
    name : str
    train_images, test_images : uint8 [images, pixels]
        0 (black) to 255. They are unsigned bytes: convert before calculating with them.
    train_labels, test_labels : int64 [images]
        0 to classes - 1.
    image_shape : tuple of int
        (rows, columns); pixels are in row order.
    channels : int
        Colours of a place, which stand together: as neurons on a grid are addressed.
    remark : str
        What a figure that is measured with these images should say.
    """

    name: str
    train_images: ImageArray
    train_labels: IntArray
    test_images: ImageArray
    test_labels: IntArray
    image_shape: tuple[int, int]
    channels: int = 1
    remark: str = ""
    digest: str = field(init=False)
    """sha256 over all images and labels, in the order of the fields."""

    def __post_init__(self) -> None:
        problems = Problems(f"dataset {self.name!r}")
        pixels = self.pixels
        digest = hashlib.sha256()
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            problems.require(images.dtype == np.uint8, f"{part}_images must be unsigned bytes, not {images.dtype}")
            problems.require(labels.dtype == np.int64, f"{part}_labels must be int64, not {labels.dtype}")
            problems.require(
                images.shape == (len(labels), pixels),
                f"{part}_images must have shape {(len(labels), pixels)}, one row for each label and one "
                f"column for each pixel, not {images.shape}",
            )
            for array in (images, labels):
                array.setflags(write=False)
                digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        problems.raise_any()
        object.__setattr__(self, "digest", digest.hexdigest())

    @property
    def pixels(self) -> int:
        """Values of one image, one for each colour of each place."""
        return self.image_shape[0] * self.image_shape[1] * self.channels

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.train_labels.max()) + 1


def digits() -> Dataset:
    """The 1797 images of 8x8 pixels that come with scikit-learn (UCI "optical recognition of handwritten digits").

    Pixels 0..16 become 0..255 by (255 v + 8) // 16, which rounds 255 v / 16 to the nearest integer. Of each class,
    in the order of the source, every fourth image is held out: 445 to measure with, 1352 to train with.
    """
    from sklearn.datasets import load_digits  # a second to import, and needed by nothing else

    source: Any = load_digits()
    values = np.rint(source.data).astype(np.int64)
    labels = np.asarray(source.target, dtype=np.int64)
    held_out = np.zeros(len(labels), dtype=bool)
    for label in range(10):
        held_out[np.flatnonzero(labels == label)[3::4]] = True
    images = ((255 * values + 8) // 16).astype(np.uint8)
    dataset = Dataset("digits", images[~held_out], labels[~held_out], images[held_out], labels[held_out], (8, 8))
    if dataset.digest != _DIGITS_DIGEST:
        raise HillockError(
            f"dataset 'digits': sha256 must be {_DIGITS_DIGEST}, not {dataset.digest}: the installed "
            f"scikit-learn has other images; reinstall it"
        )
    return dataset


def mnist(folder: str | Path | None = None) -> Dataset:
    """MNIST (LeCun, Cortes, Burges): 60,000 images of 28x28 pixels to train with and 10,000 to measure with.

    Read from `folder`, or from `$HILLOCK_DATA/mnist`, where the four official archives must be; without either, from
    the cache of this user, into which missing archives are downloaded. Whatever is used has the sha256 of the
    official content. Raises `HillockError` for all files that are missing, damaged or not the official ones.
    """
    data = os.environ.get(DATA_VARIABLE)
    if folder is None and data:
        folder = Path(data) / "mnist"
    if folder is None:
        folder = cache_folder() / "mnist"
        for name in _MNIST_FILES:
            _download(name, folder)
    problems = Problems(f"MNIST in {folder}")
    arrays = [_read_idx(Path(folder) / name, problems) for name in _MNIST_FILES]
    problems.raise_any()
    train_images, train_labels, test_images, test_labels = arrays
    return Dataset(
        "mnist",
        train_images.reshape(-1, 784),
        train_labels.astype(np.int64),
        test_images.reshape(-1, 784),
        test_labels.astype(np.int64),
        (28, 28),
    )


def _cifar10() -> Dataset:
    from .cifar10 import cifar10

    return cifar10()


DATASETS: dict[str, Callable[[], Dataset]] = {"digits": digits, "mnist": mnist, "cifar10": _cifar10}
"""The datasets by name."""


def load_dataset(name: str) -> Dataset:
    """The dataset of that name; `HillockError` when there is none."""
    if name not in DATASETS:
        raise HillockError(f"dataset: it must be one of {', '.join(DATASETS)}, not {name!r}")
    return DATASETS[name]()


def cache_folder() -> Path:
    """Where downloads are kept: the folder `hillock` in XDG_CACHE_HOME, or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hillock"


def _unpack(content: bytes, name: str) -> tuple[bytes, str | None]:
    """The uncompressed content of an official archive, and what is wrong with it (None: nothing)."""
    items, shape, digest = _MNIST_FILES[name]
    try:
        raw = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        return b"", f"it must be a complete gzip archive ({error})"
    head = bytes((0, 0, 8, 1 + len(shape))) + b"".join(n.to_bytes(4, "big") for n in (items, *shape))
    if raw[: len(head)] != head:
        return b"", f"it must begin with the idx header {head.hex()}, not {raw[: len(head)].hex()}"
    wanted = len(head) + items * int(np.prod(shape))
    if len(raw) != wanted:
        return b"", f"it must hold {wanted} bytes when uncompressed, not {len(raw)}"
    found = hashlib.sha256(raw).hexdigest()
    if found != digest:
        return b"", f"sha256 of the uncompressed content must be {digest}, not {found}"
    return raw[len(head) :], None


def _read_idx(path: Path, problems: Problems) -> ImageArray:
    """The items of one archive, [items * size of an item]; whatever is wrong goes to `problems`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        problems.require(
            False,
            f"{path.name} cannot be read ({error.strerror}): put the official archive "
            f"there, or unset {DATA_VARIABLE} to have it downloaded",
        )
        return np.zeros(0, np.uint8)
    raw, wrong = _unpack(content, path.name)
    problems.require(wrong is None, f"{path.name} is not the official file: {wrong}; fetch it again")
    return np.frombuffer(raw, dtype=np.uint8).copy()


def _download(name: str, folder: Path) -> None:
    """Put the archive `name` into `folder` unless it is there; only a complete and official one is ever put there."""
    if (folder / name).exists():
        return
    problems = Problems(f"download of {name}")
    for source in MNIST_SOURCES:
        try:
            content = fetch(source + name, name)
        except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
            problems.require(False, f"{source + name}: {error}")
            continue
        _, wrong = _unpack(content, name)
        if problems.require(wrong is None, f"{source + name}: not the official file: {wrong}"):
            write_file(folder / name, content)
            return
    problems.require(False, f"fetch it by other means and set {DATA_VARIABLE} to the folder that has mnist/{name}")
    problems.raise_any()


def fetch(url: str, name: str) -> bytes:
    """The content at `url`, with a progress bar."""
    from rich.progress import wrap_file

    with urllib.request.urlopen(url, timeout=30) as response:
        total = int(response.headers.get("Content-Length") or 0)
        with wrap_file(response, total=total, description=name, transient=True) as file:
            content: bytes = file.read()
    return content
