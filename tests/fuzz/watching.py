"""A watch over what a call does besides its work, and how long it takes."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 10.0

_RUNS = {
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn", "subprocess.Popen"),
    *("pickle.find_class", "marshal.loads", "socket.connect", "socket.getaddrinfo", "ctypes.dlopen"),
}  # fmt: skip
_WRITES = {
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod"),
    *("shutil.copyfile", "shutil.move", "shutil.rmtree", "shutil.make_archive", "shutil.unpack_archive"),
}  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_watched: list[Path] = []  # the one folder that may be written to; empty where nobody watches
_seen: list[str] = []


class TooLongError(BaseException):
    """A call has not ended; no ``except Exception`` may take it for an error of its own."""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched:
        return
    if event in _RUNS:
        # The interpreter loads compiled modules so; from anywhere else it would be code of the file.
        # So does ctypes look into the process itself, which loads nothing.
        if arguments != (None,) and (event != "marshal.loads" or not _is_importing()):
            _seen.append(f"{event} {arguments!r:.200}")
    elif event == "exec":
        name = getattr(arguments[0], "co_filename", "<text>")
        if name.startswith("<") and not name.startswith("<frozen") and not _is_importing():
            _seen.append(f"exec {name}")
    elif event == "open":
        path, _, flags = arguments
        if isinstance(path, str | bytes) and flags & _WRITING and not _may_write(os.fsdecode(path)):
            _seen.append(f"open {path!r} for writing")
    elif event in _WRITES and not all(_may_write(path) for path in _paths(arguments)):
        _seen.append(f"{event} {arguments!r:.200}")


def _paths(arguments: tuple[Any, ...]) -> Iterator[str]:
    """The paths of an event; relative ones may be so to an open folder, which comes last."""
    folder = arguments[-1] if isinstance(arguments[-1], int) and arguments[-1] >= 0 else None
    base = os.readlink(f"/proc/self/fd/{folder}") if folder is not None else ""
    yield from (os.path.join(base, os.fsdecode(each)) for each in arguments if isinstance(each, str | bytes))


def _may_write(path: str) -> bool:
    if "__pycache__" in Path(path).parts and _is_importing():  # the interpreter keeps what it has compiled
        return True
    return path == os.devnull or Path(os.path.realpath(path)).is_relative_to(_watched[0])


def _is_importing() -> bool:
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


sys.addaudithook(_hook)


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Fail if the block runs code, starts a process, asks a network, writes outside ``folder``, or does not end."""

    def ring(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, ring)
    _watched.append(folder.resolve())
    _seen.clear()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        _watched.clear()
    seen = tuple(_seen)
    assert seen == (), seen
