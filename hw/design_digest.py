"""What was built, as one number: the gateware shows it, and a host compares. Plain Python."""

import hashlib
import json
from collections.abc import Sequence

from .config import CoreConfig

__all__ = ["design_digest"]


def design_digest(configs: Sequence[CoreConfig]) -> int:
    """A 32-bit digest of the sizes of all cores: the first bytes of a SHA-256, the highest first."""
    text = json.dumps([config.as_dict() for config in configs], sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
