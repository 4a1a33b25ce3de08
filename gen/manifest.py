"""Memory images in a folder, with a manifest that says what they are and proves that they are whole.

`<memory>.bin` is what the bus loads, 32-bit little-endian slices in bus order; `<memory>.hex` has one memory word a
line, for simulation and synthesis tools. `manifest.json` has the core's configuration, the skeleton of the network
(`gen/skeleton.py`) and its digest, the size and sha256 of each file, and the sha256 of its own text without that line.
It is written last, so a folder without one is unfinished.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from hillock.hw.config import CoreConfig
from hillock.hw.problems import HillockError, Problems
from hillock.hw.registers import slices, table_digest
from hillock.sim.network_file import write_file

from .image import Images, decode, encode, memory_names
from .mapping import Placement
from .packing import MemoryImage
from .skeleton import Skeleton

__all__ = ["read_images", "write_images"]

FORMAT = "hillock images"
VERSION = 2
_WAY_OUT = "generate the images again"


def write_images(placement: Placement, folder: Path) -> Path:
    """Encode a placed network into `folder`; returns the manifest. The same placement gives the same bytes anywhere."""
    images = encode(placement)
    manifest_path = folder / "manifest.json"
    if manifest_path.exists():
        manifest_path.unlink()
    memories: dict[str, Any] = {}
    for memory in images:
        digits = -(-memory.bits // 4)
        contents = {
            "bin": memory.data.tobytes(),
            "hex": "".join(f"{word:0{digits}x}\n" for word in memory.words()).encode(),
        }
        memories[memory.name] = {"bits": memory.bits, "words": len(memory.data)}
        for kind, content in contents.items():
            path = folder / f"{memory.name}.{kind}"
            _write(path, content)
            memories[memory.name][kind] = {
                "file": path.name,
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "network": Skeleton.describe(placement),
        "digest": placement.network.digest(),
        "config": placement.config.as_dict(),
        "register_table": table_digest(),
        "memories": memories,
    }
    manifest["sha256"] = hashlib.sha256(_text(manifest)).hexdigest()
    _write(manifest_path, _text(manifest))
    return manifest_path


def read_images(folder: Path) -> tuple[Images, Placement]:
    """(images, the placed network decoded from their bytes) of a folder that `write_images` wrote.

    Whatever is missing, truncated, changed or does not fit together is a `HillockError`, all of it together.
    """
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        if manifest["format"] != FORMAT or manifest["version"] != VERSION:
            raise HillockError(
                f"{path}: must be {FORMAT!r} version {VERSION}, not {manifest['format']!r} version "
                f"{manifest['version']}: {_WAY_OUT} with this version of hillock"
            )
        wanted = manifest.pop("sha256")
        if wanted != hashlib.sha256(_text(manifest)).hexdigest():
            raise HillockError(f"{path} was changed: it does not have the sha256 that it says: {_WAY_OUT}")
        config, skeleton = CoreConfig(**manifest["config"]), Skeleton.from_dict(manifest["network"])
        memories = {name: manifest["memories"][name] for name in (*memory_names(config), "registers")}
        given_table, given_digest = manifest["register_table"], manifest["digest"]
    except OSError as error:
        raise HillockError(f"{path} cannot be read ({error.strerror}): {_WAY_OUT}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise HillockError(
            f"{path}: not a manifest of memory images ({type(error).__name__}: {error}): {_WAY_OUT}"
        ) from None

    problems = Problems(f"memory images in {folder}")
    problems.require(
        given_table == table_digest(),
        f"they were made for register table {given_table:#010x}, this is {table_digest():#010x}: {_WAY_OUT}",
    )
    images = Images({name: _read_memory(folder, name, entry, problems) for name, entry in memories.items()})
    problems.raise_any()
    placement = decode(images, config, skeleton)
    digest = placement.network.digest()
    problems.require(
        digest == given_digest, f"they hold network {digest[:12]}, the manifest says {given_digest[:12]}: {_WAY_OUT}"
    )
    problems.raise_any()
    return images, placement


def _read_memory(folder: Path, name: str, entry: dict[str, Any], problems: Problems) -> MemoryImage:
    row = slices(entry["bits"]) * 4
    data = b""
    for kind in ("bin", "hex"):
        path, wanted = folder / entry[kind]["file"], entry[kind]
        try:
            content = path.read_bytes()
        except OSError as error:
            problems.require(False, f"{path.name} cannot be read ({error.strerror}): {_WAY_OUT}")
            continue
        if len(content) != wanted["bytes"]:
            problems.require(False, f"{path.name} must have {wanted['bytes']} bytes, not {len(content)}: {_WAY_OUT}")
        else:
            digest = hashlib.sha256(content).hexdigest()
            problems.require(
                digest == wanted["sha256"],
                f"{path.name} must have sha256 {wanted['sha256'][:12]}, not {digest[:12]}: it was changed; {_WAY_OUT}",
            )
        if kind == "bin" and len(content) == row * entry["words"]:
            data = content
    return MemoryImage(name, entry["bits"], np.frombuffer(data, np.uint8).reshape(-1, row).copy())


def _text(manifest: dict[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    """Write all of it or nothing, and leave an equal file alone, so that what depends on it is not made again."""
    if not path.is_file() or path.read_bytes() != content:
        write_file(path, content)
