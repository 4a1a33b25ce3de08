"""CIFAR-10: how its files are read, what is refused, and what is said of a test file that is not the official one."""

import hashlib
import lzma
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from hillock.gen import cifar10 as module
from hillock.gen.cifar10 import cifar10
from hillock.gen.datasets import DATA_VARIABLE
from hillock.hw.problems import HillockError

RECORDS = 3


@pytest.fixture
def files(monkeypatch) -> dict[str, bytes]:
    """Files of a few records, which are taken for the official ones."""
    rng = np.random.default_rng(1)
    contents = {name: rng.integers(0, 10, (RECORDS, 3073), np.uint8).tobytes() for name in module._FILES}
    monkeypatch.setattr(module, "_RECORDS", RECORDS)
    monkeypatch.setattr(module, "_FILES", {name: digest(content) for name, content in contents.items()})
    return contents


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def written(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_colours_stand_together(tmp_path, files):
    dataset = cifar10(written(tmp_path, files))
    assert (dataset.image_shape, dataset.channels, dataset.pixels, dataset.classes) == ((32, 32), 3, 3072, 10)
    assert (len(dataset.train_images), len(dataset.test_images)) == (5 * RECORDS, RECORDS)
    record = files["data_batch_2.bin"][:3073]
    image = dataset.train_images[RECORDS].reshape(32, 32, 3)
    assert dataset.train_labels[RECORDS] == record[0]
    for colour in range(3):
        for row, column in ((0, 0), (0, 1), (5, 31), (31, 0)):
            assert image[row, column, colour] == record[1 + 1024 * colour + 32 * row + column]


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(DATA_VARIABLE), reason=f"CIFAR-10 is read from {DATA_VARIABLE} in tests")
def test_the_real_ones():
    """As many images of each class, and the mean colour that is known of the training images."""
    dataset = cifar10()
    assert np.bincount(dataset.train_labels).tolist() == 10 * [5000]
    assert np.bincount(dataset.test_labels).tolist() == 10 * [1000]
    means = dataset.train_images.reshape(-1, 3).mean(axis=0) / 255
    np.testing.assert_allclose(means, (0.4914, 0.4822, 0.4465), atol=5e-5)


def test_compressed_files(tmp_path, files, monkeypatch):
    plain = cifar10(written(tmp_path / "plain", files))
    folder = written(tmp_path / "cifar10", {f"{name}.xz": lzma.compress(content) for name, content in files.items()})
    monkeypatch.setenv(DATA_VARIABLE, str(folder.parent))
    assert cifar10().digest == plain.digest


def test_rebuilt_test_images_are_taken_with_a_remark(tmp_path, files, monkeypatch):
    assert cifar10(written(tmp_path, files)).remark == ""
    files[module._TEST] = bytes(len(files[module._TEST]))
    with pytest.raises(HillockError, match=r"test_batch\.bin: it is not the official file: sha256 must be"):
        cifar10(written(tmp_path, files))
    monkeypatch.setattr(module, "_REBUILT", digest(files[module._TEST]))
    dataset = cifar10(written(tmp_path, files))
    assert dataset.remark.startswith("9,980 of the 10,000 test images are the official ones")
    assert not dataset.test_images.any()


def test_rebuilt_images_are_not_taken_for_others(tmp_path, files, monkeypatch):
    """The content of the rebuilt test file is nothing that may stand in a training file."""
    monkeypatch.setattr(module, "_REBUILT", digest(files[module._TEST]))
    with pytest.raises(HillockError, match=r"data_batch_2\.bin: it is not the official file"):
        cifar10(written(tmp_path, files | {"data_batch_2.bin": files[module._TEST]}))


def test_all_that_is_wrong_is_said_together(tmp_path, files):
    damaged = bytes(len(files["data_batch_1.bin"]))
    folder = written(tmp_path, files | {"data_batch_1.bin": damaged, "data_batch_3.bin": b"short"})
    (folder / "data_batch_5.bin").unlink()
    (folder / "data_batch_4.bin.xz").write_bytes(b"no archive")
    with pytest.raises(HillockError) as caught:
        cifar10(folder)
    text = str(caught.value)
    assert text.startswith(f"CIFAR-10 in {folder}: 4 problems\n")
    wanted = digest(files["data_batch_1.bin"])
    assert f"data_batch_1.bin: it is not the official file: sha256 must be {wanted}, not {digest(damaged)}" in text
    assert f"data_batch_3.bin: it must hold {3073 * RECORDS} bytes, not 5: fetch it again" in text
    assert "data_batch_4.bin cannot be read (" in text
    assert "put the official file there, as it is or as data_batch_5.bin.xz, or unset HILLOCK_DATA" in text


@pytest.fixture
def archive(tmp_path: Path, files, monkeypatch) -> Path:
    """The archive that is downloaded, into an empty cache."""
    folder = written(tmp_path / "source", files)
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, "cifar-10-batches-bin")
    monkeypatch.setattr(module, "SOURCE", path.as_uri())
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path


def test_it_is_downloaded_once(archive, tmp_path):
    first = cifar10()
    archive.unlink()
    assert cifar10().digest == first.digest
    assert len(list((tmp_path / "cache" / "hillock" / "cifar10").iterdir())) == 6


def test_a_download_that_fails(archive, tmp_path):
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(HillockError, match=r"^download of CIFAR-10: file:.*: fetch it by other means and set"):
        cifar10()
    assert not (tmp_path / "cache" / "hillock" / "cifar10").exists()
