"""Writing a file so that a reader sees all of it or none of it, even after a power cut."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from wmdd.core.errors import RunError
from wmdd.storage.locks import TEMPORARY_SUFFIX, lock


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically, making its folder where needed.

    Raises:
        RunError: the folder cannot be written or the disk is full; what stood at ``path`` before still stands there.
    """
    write_with(path, lambda file: file.write(content))


def write_with(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """:func:`write_bytes` of what ``fill`` writes into the file that it is given."""
    _publish(path, fill, os.replace)


def write_text(path: Path, text: str) -> None:
    """:func:`write_bytes` for UTF-8 text."""
    write_bytes(path, _encode(path, text))


def write_new_text(path: Path, text: str) -> bool:
    """:func:`write_text`, unless something is at ``path``: of several processes one writes; False for the others."""
    content = _encode(path, text)
    try:
        _publish(path, lambda file: file.write(content), _link)
    except _Occupied:
        return False
    return True


class _Occupied(Exception):  # noqa: N818  # it never leaves this file
    """Another process was first."""


def _publish(path: Path, fill: Callable[[BinaryIO], object], move: Callable[[Path, Path], None]) -> None:
    # A name of its own, also among the processes of several machines.
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:12]}{TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            lock(file.fileno())  # or it would be taken for that of a process that is no more
            fill(file)
            file.flush()
            os.fsync(file.fileno())
            move(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}; nothing that was there before is lost.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _encode(path: Path, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # half of a file name's byte that is not UTF-8
        raise RunError(f"{path} cannot be written: a name that belongs in it is not UTF-8, rename that.") from error


def _link(temporary: Path, path: Path) -> None:
    """Give ``path`` the content if nothing is there; where there are no hard links, whoever comes last wins."""
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        if path.exists():
            raise _Occupied from error
        os.replace(temporary, path)


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
