"""Locks of files that end with the process that holds them, whatever ends it."""

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from wmdd.core.errors import RunError

TEMPORARY_SUFFIX = ".tmp"
CLAIM_SUFFIX = ".claim"
_SECONDS_BETWEEN_LOOKS = 0.05


class Claim:
    """A file that only one process holds at a time; it goes when the block ends, its lock when the process does.

    The lock is the kernel's (``flock``), which network file systems pass on to their server: no clock is compared and
    no heartbeat missed. Where a file system has none, every claim succeeds, and two processes may do the same work.
    """

    def __init__(self, path: Path, handle: int, made: Sequence[Path]) -> None:
        self._path, self._handle, self._made = path, handle, made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._path.unlink()  # while it is still locked, so that nobody else's file is meant
        os.close(self._handle)
        with suppress(OSError):  # what was claimed for nothing leaves no empty folders
            for folder in self._made:
                folder.rmdir()


def claim(path: Path) -> Claim | None:
    """Hold ``path``; None where another process does.

    Raises:
        RunError: its folder cannot be written.
    """
    try:
        made = [folder for folder in path.parents if not folder.exists()]
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except FileNotFoundError:  # another process has just removed the folder that it made
                continue
            if not lock(handle):
                os.close(handle)
                return None
            if _is_at(path, handle):
                return Claim(path, handle, made)
            os.close(handle)  # its holder removed it between our opening and our locking it
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}; nothing that was there before is lost.") from error


def patiently(attempt: Callable[[], Claim | None]) -> Claim:
    """What ``attempt`` claims, as soon as the process that holds it lets go."""
    while (held := attempt()) is None:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return held


def lock(handle: int, *, wait: bool = False) -> bool:
    """Lock an open file; False where another process has locked it, and this one is not to ``wait``."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def remove_abandoned(folder: Path) -> None:
    """Remove the unfinished and the claimed files of processes that are no more, in ``folder`` and below."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith((TEMPORARY_SUFFIX, CLAIM_SUFFIX)):
                with suppress(OSError):
                    _remove_unlocked(Path(place, name))


def _remove_unlocked(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an error means that someone holds it, or may
        if _is_at(path, handle):
            path.unlink()
    finally:
        os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False
