"""Files that are wholly there or not at all, and ZIP archives of arrays whose bytes depend on nothing but these."""

import io
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hillock.hw.problems import HillockError

__all__ = ["pack_array", "read_archive", "unpack_array", "write_archive", "write_file"]


def pack_array(values: NDArray[Any]) -> bytes:
    """`values` in NumPy's file format 1.0, in C order."""
    content = io.BytesIO()
    np.lib.format.write_array(content, np.ascontiguousarray(values), version=(1, 0), allow_pickle=False)
    return content.getvalue()


def unpack_array(content: bytes, dtypes: tuple[str, ...]) -> NDArray[Any]:
    """What `pack_array` was given; `ValueError` for what it cannot have made, or a type that is not in `dtypes`."""
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("must be in NumPy's file format 1.0")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.str not in dtypes:
        raise ValueError(f"must be of type {' or '.join(dtypes)}, not {dtype.str}")
    body = content[stream.tell() :]
    if fortran_order or len(body) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"must be in C order and hold {math.prod(shape)} values for its shape {shape}")
    return np.frombuffer(body, dtype).reshape(shape)


def write_archive(path: Path, members: dict[str, bytes]) -> None:
    """Write a ZIP archive that depends on nothing but `members` and their order, wholly or not at all."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            info = zipfile.ZipInfo(name)  # dated 1980-01-01
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, member)
    write_file(path, content.getvalue())


def read_archive(path: str | Path, subject: str) -> dict[str, bytes]:
    """The members of a ZIP archive by name; `HillockError` about `subject` for anything that is not a whole one."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) < len(names):
                raise zipfile.BadZipFile("a member is there twice")
            return {name: archive.read(name) for name in names}
    except OSError as error:
        raise HillockError(f"{subject}: it cannot be read ({error.strerror or error})") from None
    # All that zipfile raises for damaged bytes: a compression or version it does not know is a NotImplementedError.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise HillockError(
            f"{subject}: it must be a whole ZIP archive ({error}): it is damaged, cut short or another "
            f"kind of file; fetch it or make it again"
        ) from None


def write_file(path: Path, content: bytes) -> None:
    """Write `content` to `path`, wholly or not at all, and make its folder; `HillockError` when that cannot be done."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise HillockError(f"{path} cannot be written ({error.strerror})") from None
