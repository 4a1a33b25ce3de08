"""CIFAR-10 (Krizhevsky 2009): 50,000 colour images of 32x32 to train with and 10,000 to measure with."""

import hashlib
import http.client
import io
import lzma
import os
import tarfile
from pathlib import Path

import numpy as np

from hillock.hw.problems import Problems
from hillock.sim.network_file import write_file

from .datasets import DATA_VARIABLE, Dataset, cache_folder, fetch

__all__ = ["SOURCE", "cifar10"]

SOURCE = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
"""The official archive, which is downloaded where there is no data folder."""

_TEST = "test_batch.bin"

# file: sha256 of its official content
_FILES = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    _TEST: "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}

# Taken for the test file as well, with a remark.
_REBUILT = "123ca0dad8f960344d9149742165d4215093c84c8c4bdc5922af93b614bdb501"
_REMARK = "9,980 of the 10,000 test images are the official ones, 20 were rebuilt from JPEG copies"

_ROWS, _COLUMNS, _COLOURS = 32, 32, 3
_RECORD, _RECORDS = 1 + _ROWS * _COLUMNS * _COLOURS, 10_000


def cifar10(folder: str | Path | None = None) -> Dataset:
    """Read from `folder`, or from `$HILLOCK_DATA/cifar10`; without either from the cache of this user.

    The folder has the six files of the binary version, as they are or compressed (`.xz`). Into the cache they are
    downloaded. All must be the official ones, except that the test file may be a known one of which 20 images were
    rebuilt; `Dataset.remark` then says so. Raises `HillockError` for all files that are missing or are others.
    """
    data = os.environ.get(DATA_VARIABLE)
    if folder is None and data:
        folder = Path(data) / "cifar10"
    if folder is None:
        folder = cache_folder() / "cifar10"
        if not all((folder / name).exists() for name in _FILES):
            _download(folder)
    problems = Problems(f"CIFAR-10 in {folder}")
    contents = [_read(Path(folder), name, problems) for name in _FILES]
    problems.raise_any()
    labels, images = zip(*map(_split, contents), strict=True)
    rebuilt = hashlib.sha256(contents[-1]).hexdigest() == _REBUILT
    return Dataset(
        "cifar10",
        np.concatenate(images[:-1]),
        np.concatenate(labels[:-1]),
        images[-1],
        labels[-1],
        (_ROWS, _COLUMNS),
        _COLOURS,
        _REMARK if rebuilt else "",
    )


def _split(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """(labels, images) of a file; its colours are planes, ours stand together."""
    records = np.frombuffer(content, np.uint8).reshape(_RECORDS, _RECORD)
    planes = records[:, 1:].reshape(-1, _COLOURS, _ROWS, _COLUMNS)
    return records[:, 0].astype(np.int64), np.ascontiguousarray(planes.transpose(0, 2, 3, 1)).reshape(_RECORDS, -1)


def _read(folder: Path, name: str, problems: Problems) -> bytes:
    """The content of one file; whatever is wrong goes to `problems`."""
    packed = folder / f"{name}.xz"
    try:
        content = lzma.decompress(packed.read_bytes()) if packed.exists() else (folder / name).read_bytes()
    except (OSError, lzma.LZMAError, EOFError) as error:
        problems.require(
            False,
            f"{name} cannot be read ({error}): put the official file there, as it is or as {name}.xz, or unset "
            f"{DATA_VARIABLE} to have it downloaded",
        )
        return b""
    return content if problems.require(not (wrong := _wrong(name, content)), f"{name}: {wrong}") else b""


def _wrong(name: str, content: bytes) -> str:
    """What is wrong with the content of a file; nothing if it is the official one."""
    size = _RECORD * _RECORDS
    if len(content) != size:
        return f"it must hold {size} bytes, not {len(content)}: fetch it again"
    found = hashlib.sha256(content).hexdigest()
    if found != _FILES[name] and not (name == _TEST and found == _REBUILT):
        return f"it is not the official file: sha256 must be {_FILES[name]}, not {found}: fetch it again"
    return ""


def _download(folder: Path) -> None:
    """Put all files into `folder`, if they are right."""
    problems = Problems("download of CIFAR-10")
    way_out = f"fetch it by other means and set {DATA_VARIABLE} to the folder that has cifar10/"
    try:
        with tarfile.open(fileobj=io.BytesIO(fetch(SOURCE, "cifar-10-binary.tar.gz")), mode="r:gz") as archive:
            members = {Path(member.name).name: member for member in archive.getmembers()}
            for name in _FILES:
                file = archive.extractfile(members[name]) if name in members else None
                content = file.read() if file else b""
                if problems.require(not (wrong := _wrong(name, content)), f"{name}: {wrong}; or {way_out}"):
                    write_file(folder / name, content)
    except (OSError, http.client.HTTPException, tarfile.TarError, EOFError) as error:
        problems.require(False, f"{SOURCE}: {error}: {way_out}")
    problems.raise_any()
