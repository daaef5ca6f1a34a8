"""Writing a file so that a reader sees all of it or none of it, even after a power cut."""

import os
from contextlib import suppress
from pathlib import Path

from wmdd.core.errors import RunError

TEMPORARY_SUFFIX = ".tmp"


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically, making its folder where needed.

    Raises:
        RunError: the folder cannot be written or the disk is full; what stood at ``path`` before still stands there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_through(temporary, content)
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise RunError(f"{path} cannot be written: {error.strerror}; nothing that was there before is lost.") from error


def write_text(path: Path, text: str) -> None:
    """:func:`write_bytes` for UTF-8 text."""
    try:
        content = text.encode()
    except UnicodeEncodeError as error:  # half of a file name's byte that is not UTF-8
        raise RunError(f"{path} cannot be written: a name that belongs in it is not UTF-8, rename that.") from error
    write_bytes(path, content)


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable (a no-op where folders cannot be opened)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
