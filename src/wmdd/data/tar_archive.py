"""Images in a tar archive: read where they lie in a plain one, held in memory from a compressed one."""

import io
import tarfile
import zlib
from bz2 import BZ2File
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from gzip import GzipFile
from lzma import LZMAError, LZMAFile
from pathlib import Path
from tarfile import TarFile, TarInfo

from wmdd.core.errors import DataError
from wmdd.core.tar_headers import SoundHeader
from wmdd.data.archive import ArchiveTree, bytes_at, clean_name
from wmdd.data.tree import is_image

_Compressed = GzipFile | BZ2File | LZMAFile

_COMPRESSED: Mapping[bytes, Callable[[Path], _Compressed]] = {
    b"\x1f\x8b": GzipFile,
    b"BZh": BZ2File,
    b"\xfd7zXZ\0": LZMAFile,
}
_MAGIC = max(map(len, _COMPRESSED))  # bytes
_PIECE = 2**16  # bytes
_DAMAGED = (tarfile.TarError, EOFError, ValueError, zlib.error, LZMAError)


class TarTree(ArchiveTree):
    """A plain tar archive, its headers read once. Raises ``DataError`` if it is damaged or cannot be trusted."""

    def __init__(self, path: Path) -> None:
        self._at: dict[str, tuple[int, int]] = {}  # where a file begins, and its bytes
        folders = []
        with _said_of(path), _opened(path) as archive:
            for name, info in _members(archive, path, self._at):
                if info.isdir():
                    folders.append(name)
                else:
                    self._at[name] = info.offset_data, info.size
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
        folders = []
        with _said_of(path), _unpacking(path) as packed, _Unpacked(packed, path, memory) as content:
            with _opened(path, content) as archive:
                for name, info in _members(archive, path, self._held):
                    content.need(info.size)
                    if info.isdir():
                        folders.append(name)
                    else:
                        file = archive.extractfile(info)
                        assert file is not None, "a plain file has a content"
                        self._held[name] = file.read() if is_image(name) else b""
            content.finish()
        super().__init__(path, {name: len(image) for name, image in self._held.items()}, folders)

    def _content(self, name: str) -> bytes:
        return self._held[name]


class _Unpacked(io.RawIOBase):
    """What ``file``, which unpacks the one at ``path``, holds: little at once, and no more than ``most`` bytes in all.

    ``tarfile`` itself would unpack whatever a block holds, and leaves the end of the file and its checksum unread.
    """

    def __init__(self, file: _Compressed, path: Path, most: float) -> None:
        self._file, self._path, self._most, self._left = file, path, most, most

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.need(len(content))
        self._left -= len(content)
        return content

    def need(self, size: int) -> None:
        """Raises ``DataError`` if so many bytes more are more than may be unpacked."""
        if size > self._left:
            raise DataError(
                f"{self._path} unpacks to more than data.memory_gb ({self._most / 1e9:g}) allows, and a compressed tar "
                "cannot be read in pieces: raise it, or make the archive a zip or a plain tar"
            )

    def finish(self) -> None:
        """Unpack the rest, so that a file without its end or with another checksum is refused."""
        while self.read(_PIECE):
            pass


def is_compressed(path: Path) -> bool:
    """Whether a file begins as gzip, bzip2 or xz do."""
    return bytes_at(path, 0, _MAGIC).startswith(tuple(_COMPRESSED))


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """What is wrong with an archive as one sentence."""
    try:
        yield
    except _DAMAGED as error:
        raise DataError(f"{path} is not a readable tar archive ({error}): make it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): make it again") from error


def _unpacking(path: Path) -> _Compressed:
    beginning = bytes_at(path, 0, _MAGIC)
    return next(kind for magic, kind in _COMPRESSED.items() if beginning.startswith(magic))(path)


def _opened(path: Path, content: _Unpacked | None = None) -> TarFile:
    """The archive at ``path``, or that it unpacks to."""
    if content is None:
        return tarfile.open(path, "r:", tarinfo=SoundHeader)
    return tarfile.open(fileobj=content, mode="r|", tarinfo=SoundHeader)


def _members(archive: TarFile, path: Path, files: Container[str]) -> Iterator[tuple[str, TarInfo]]:
    """The folders and files of an archive, each checked; ``files`` are those that the caller has had."""
    for info in archive:
        name = clean_name(info.name, path)
        if not info.isdir() and (not info.isreg() or info.issparse()):
            raise DataError(f"{path} has a member {name!r} that is no plain file: links are not followed")
        if name in files:
            raise DataError(f"{path} has two members named {name!r}: make the archive again")
        yield name, info
