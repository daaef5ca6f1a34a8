"""Content hashes: of files, of settings, and of the names that seed random streams."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from wmdd.core.bounded import check_size


def digest(value: Any) -> str:
    """SHA-256 (64 hex digits) of a JSON-serialisable value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 (64 hex digits) of a file's bytes. Raises ``OSError`` if it cannot be read, or is a pipe."""
    check_size(path, sys.maxsize)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, so that every class, stage and epoch has a random stream of its own."""
    return int(digest([seed, *purpose])[:16], 16) >> 1
