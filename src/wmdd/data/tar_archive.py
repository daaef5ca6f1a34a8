"""Images in a tar archive: read where they lie in a plain one, held in memory from a compressed one."""

import lzma
import tarfile
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from tarfile import TarFile, TarInfo
from typing import Literal

from wmdd.core.errors import DataError
from wmdd.core.tar_headers import BoundedHeader
from wmdd.data.archive import ArchiveTree, bytes_at, clean_name
from wmdd.data.tree import is_image

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")
# TypeError is what the standard library stumbles over in a gzip header that is cut off.
_DAMAGED = (tarfile.TarError, EOFError, TypeError, ValueError, zlib.error, lzma.LZMAError)


class TarTree(ArchiveTree):
    """A plain tar archive, its headers read once. Raises ``DataError`` if it is damaged or cannot be trusted."""

    def __init__(self, path: Path) -> None:
        self._at: dict[str, tuple[int, int]] = {}  # where a file begins, and its bytes
        folders = []
        with _opened(path, "r:") as archive:
            for name, info in _members(archive, path, self._at):
                if info.isdir():
                    folders.append(name)
                else:
                    self._at[name] = info.offset_data, info.size
            # tarfile takes a file that was cut off between two members for a whole one.
            if bytes_at(path, archive.offset, tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise DataError(f"{path} is cut off: make the archive again")
        super().__init__(path, {name: size for name, (_, size) in self._at.items()}, folders)

    def _content(self, name: str) -> bytes:
        offset, size = self._at[name]
        try:
            content = bytes_at(self.path, offset, size)
        except OSError as error:
            raise DataError(f"{self.path}: {name} cannot be read ({error.strerror})") from error
        if len(content) != size:
            raise DataError(f"{self.path}: {name} is cut off: make the archive again")
        return content


class CompressedTarTree(ArchiveTree):
    """A compressed tar archive. It can be read only from its beginning, so its images are held in memory.

    Raises ``DataError`` as :class:`TarTree`, and if it unpacks to more than ``memory`` bytes.
    """

    def __init__(self, path: Path, memory: float) -> None:
        self._held: dict[str, bytes] = {}
        folders, left = [], memory
        with _opened(path, "r|*") as archive:
            for name, info in _members(archive, path, self._held):
                left -= info.size
                if left < 0:
                    raise DataError(
                        f"{path} unpacks to more than data.memory_gb ({memory / 1e9:g}) allows, and a compressed tar "
                        "cannot be read in pieces: raise it, or make the archive a zip or a plain tar"
                    )
                if info.isdir():
                    folders.append(name)
                else:
                    file = archive.extractfile(info)
                    assert file is not None, "a plain file has a content"
                    self._held[name] = file.read() if is_image(name) else b""
        super().__init__(path, {name: len(content) for name, content in self._held.items()}, folders)

    def _content(self, name: str) -> bytes:
        return self._held[name]


def is_compressed(path: Path) -> bool:
    """Whether a file begins as gzip, bzip2 or xz do."""
    return bytes_at(path, 0, 8).startswith(_COMPRESSED)


@contextmanager
def _opened(path: Path, mode: Literal["r:", "r|*"]) -> Iterator[TarFile]:
    try:
        with tarfile.open(path, mode, tarinfo=BoundedHeader) as archive:
            yield archive
    except _DAMAGED as error:
        raise DataError(f"{path} is not a readable tar archive ({error}): make it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): make it again") from error


def _members(archive: TarFile, path: Path, files: Container[str]) -> Iterator[tuple[str, TarInfo]]:
    """The folders and files of an archive, each checked; ``files`` are those that the caller has had."""
    for info in archive:
        name = clean_name(info.name, path)
        if not info.isdir() and (not info.isreg() or info.issparse()):
            raise DataError(f"{path} has a member {name!r} that is no plain file: links are not followed")
        if name in files:
            raise DataError(f"{path} has two members named {name!r}: make the archive again")
        yield name, info
