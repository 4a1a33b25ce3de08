"""The datasets: their content is what it has always been, and files that are not the official ones are refused."""

import gzip
import hashlib
import re
import urllib.error

import numpy as np
import pytest

from hillock.gen import datasets
from hillock.gen.datasets import DATA_VARIABLE, Dataset, digits, load_dataset, mnist
from hillock.hw.problems import HillockError

ITEMS = {
    "train-images-idx3-ubyte.gz": 3,
    "train-labels-idx1-ubyte.gz": 3,
    "t10k-images-idx3-ubyte.gz": 2,
    "t10k-labels-idx1-ubyte.gz": 2,
}


@pytest.fixture
def archives(monkeypatch) -> dict[str, bytes]:
    """Four small archives by name, which the module takes for the official ones."""
    generator = np.random.default_rng(1)
    contents, official = {}, {}
    for name, items in ITEMS.items():
        shape = (28, 28) if "images" in name else ()
        head = bytes((0, 0, 8, 1 + len(shape))) + b"".join(n.to_bytes(4, "big") for n in (items, *shape))
        raw = head + generator.integers(0, 10, (items, *shape), np.uint8).tobytes()
        contents[name] = gzip.compress(raw)
        official[name] = (items, shape, hashlib.sha256(raw).hexdigest())
    monkeypatch.setattr(datasets, "_MNIST_FILES", official)
    return contents


@pytest.fixture
def folder(archives, tmp_path):
    """A folder that holds them."""
    for name, content in archives.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def mirror(archives, tmp_path, monkeypatch):
    """A mirror that holds them, and the only one; there is no data folder, and the cache is empty."""
    for name, content in archives.items():
        (tmp_path / "mirror").mkdir(exist_ok=True)
        (tmp_path / "mirror" / name).write_bytes(content)
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "MNIST_SOURCES", (f"{(tmp_path / 'mirror').as_uri()}/",))
    return tmp_path / "mirror"


def test_digits():
    dataset = digits()
    assert dataset.digest == "13503627fc745085deff84beb7df59e06fdf67b55f8668add185e5fba5f1fe73"
    assert (dataset.train_images.shape, dataset.test_images.shape) == ((1352, 64), (445, 64))
    assert (dataset.pixels, dataset.classes, dataset.image_shape) == (64, 10, (8, 8))
    # each class keeps a quarter of its images for the test
    assert np.bincount(dataset.test_labels).tolist() == [44, 45, 44, 45, 45, 45, 45, 44, 43, 45]
    # 0..16 become 0..255, rounded to the nearest integer
    assert np.unique(dataset.train_images).tolist() == [
        0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255
    ]  # fmt: skip


def test_digits_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        digits().test_images[0, 0] = 1


def test_digits_of_another_scikit_learn(monkeypatch):
    monkeypatch.setattr(datasets, "_DIGITS_DIGEST", "00ff")
    with pytest.raises(
        HillockError,
        match=r"^dataset 'digits': sha256 must be 00ff, not [0-9a-f]{64}: the installed scikit-learn has other images; "
        r"reinstall it$",
    ):
        digits()


def test_unknown_dataset():
    with pytest.raises(HillockError, match=r"^dataset: it must be one of digits, mnist, cifar10, not 'cats'$"):
        load_dataset("cats")


def test_inconsistent_dataset():
    images, labels = np.zeros((3, 4), np.uint8), np.zeros(3, np.int64)
    with pytest.raises(HillockError) as caught:
        Dataset("odd", images, labels.astype(np.int32), images[:, :3].astype(np.int64), labels, (2, 2))
    assert str(caught.value) == (
        "dataset 'odd': 3 problems"
        "\n  - train_labels must be int64, not int32"
        "\n  - test_images must be unsigned bytes, not int64"
        "\n  - test_images must have shape (3, 4), one row for each label and one column for each pixel, not (3, 3)"
    )


def test_mnist_from_a_folder(folder):
    dataset = mnist(folder)
    assert (dataset.train_images.shape, dataset.test_images.shape) == ((3, 784), (2, 784))
    raw = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    assert dataset.test_images[1].tolist() == list(raw[16 + 784 :])
    raw = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    assert dataset.train_labels.tolist() == list(raw[8:])


def test_mnist_from_the_data_folder(archives, tmp_path, monkeypatch):
    (tmp_path / "mnist").mkdir()
    for name, content in archives.items():
        (tmp_path / "mnist" / name).write_bytes(content)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert mnist().train_images.shape == (3, 784)


def test_missing_files_are_reported_together(folder):
    (folder / "train-images-idx3-ubyte.gz").unlink()
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    way_out = f"put the official archive there, or unset {DATA_VARIABLE} to have it downloaded"
    with pytest.raises(HillockError) as caught:
        mnist(folder)
    assert str(caught.value) == (
        f"MNIST in {folder}: 2 problems"
        f"\n  - train-images-idx3-ubyte.gz cannot be read (No such file or directory): {way_out}"
        f"\n  - t10k-labels-idx1-ubyte.gz cannot be read (No such file or directory): {way_out}"
    )


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda raw: gzip.compress(raw)[:-9], r"it must be a complete gzip archive \(.+\)"),
        (lambda raw: raw, r"it must be a complete gzip archive \(Not a gzipped file .+\)"),
        (
            lambda raw: gzip.compress(b"\0\0\x0d" + raw[3:]),
            "it must begin with the idx header 0000080100000003, not 00000d0100000003",
        ),
        (lambda raw: gzip.compress(raw[:-1]), "it must hold 11 bytes when uncompressed, not 10"),
        (
            lambda raw: gzip.compress(raw[:-1] + b"\x0b"),
            "sha256 of the uncompressed content must be [0-9a-f]{64}, not [0-9a-f]{64}",
        ),
    ],
)
def test_damaged_file(folder, spoil, text):
    path = folder / "train-labels-idx1-ubyte.gz"
    path.write_bytes(spoil(gzip.decompress(path.read_bytes())))
    about = re.escape(f"MNIST in {folder}: train-labels-idx1-ubyte.gz is not the official file: ")
    with pytest.raises(HillockError, match=f"^{about}{text}; fetch it again$"):
        mnist(folder)


def test_download_fills_the_cache(mirror, tmp_path):
    assert mnist().train_images.shape == (3, 784)
    cache = tmp_path / "cache" / "hillock" / "mnist"
    assert sorted(path.name for path in cache.iterdir()) == sorted(ITEMS)
    for path in mirror.iterdir():
        path.unlink()
    assert mnist().train_images.shape == (3, 784)  # without a download


def test_download_takes_the_next_mirror(mirror, monkeypatch):
    (mirror / "bad").mkdir()
    (mirror / "bad" / "train-images-idx3-ubyte.gz").write_bytes(b"<html>404</html>")
    bad = f"{(mirror / 'bad').as_uri()}/"
    monkeypatch.setattr(datasets, "MNIST_SOURCES", (bad, *datasets.MNIST_SOURCES))
    assert mnist().train_images.shape == (3, 784)


def test_failed_download(mirror, tmp_path, monkeypatch):
    def refuse(url: str, timeout: float) -> None:
        raise urllib.error.URLError(f"no route, waited {timeout:g} s")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(HillockError) as caught:
        mnist()
    assert str(caught.value) == (
        "download of train-images-idx3-ubyte.gz: 2 problems"
        f"\n  - {mirror.as_uri()}/train-images-idx3-ubyte.gz: <urlopen error no route, waited 30 s>"
        f"\n  - fetch it by other means and set {DATA_VARIABLE} to the folder that has mnist/train-images-idx3-ubyte.gz"
    )
    assert not (tmp_path / "cache").exists()


def test_download_of_something_else(mirror, tmp_path):
    (mirror / "train-images-idx3-ubyte.gz").write_bytes(b"<html>Sign in</html>")
    with pytest.raises(HillockError, match=r"not the official file: it must be a complete gzip archive"):
        mnist()
    assert not (tmp_path / "cache").exists()
