"""Image files in an archive, read where they lie: nothing is unpacked, so nothing can escape or overwrite."""

import posixpath
import re
from abc import abstractmethod
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from wmdd.core.bounded import IMAGE, TooLargeError
from wmdd.core.errors import DataError
from wmdd.data.folder import TRAINING_FOLDERS
from wmdd.data.tree import ImageFile, Tree, is_image

_OUTSIDE = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)")
_LEFTOVERS = "__MACOSX"


class ArchiveTree(Tree):
    """The files ``sizes`` (name in the archive: bytes) and ``folders`` of the archive at ``path``.

    A single folder at the top, as most archives have, is the root, unless it is one of ``TRAINING_FOLDERS``.
    """

    def __init__(self, path: Path, sizes: Mapping[str, int], folders: Iterable[str]) -> None:
        self.path = path
        everything = [name for name in [*sizes, *folders] if _is_visible(name)]
        self._top = _top_folder(everything)
        self.name = self._top.rstrip("/") or path.name.partition(".")[0]
        self._images = sorted(
            ImageFile(name.removeprefix(self._top), size)
            for name, size in sizes.items()
            if _is_visible(name) and is_image(name)
        )
        self._others = sorted(
            name.removeprefix(self._top) for name in sizes if _is_visible(name) and not is_image(name)
        )
        self._folders: dict[str, set[str]] = defaultdict(set)
        for folder in {*folders, *(posixpath.dirname(name) for name in sizes)}:
            if _is_visible(folder) and folder.startswith(self._top):
                self._enter(folder.removeprefix(self._top))
        for file in self._images:
            if file.size > IMAGE:
                raise DataError(f"{self.where(file.path)} has {file.size:,} bytes unpacked: no image needs so many")

    def _enter(self, folder: str) -> None:
        while folder:
            above = posixpath.dirname(folder)
            self._folders[above].add(folder)
            folder = above

    def subfolders(self, folder: str) -> list[str]:
        return sorted(self._folders.get(folder, ()))

    def images(self, folder: str) -> list[ImageFile]:
        if not folder:
            return self._images
        first, last = (bisect_left(self._images, (folder + end, 0)) for end in ("/", "0"))  # "0" follows "/"
        return self._images[first:last]

    def others(self) -> list[str]:
        return self._others

    def read(self, path: str) -> bytes:
        return self._content(self._top + path)

    def where(self, path: str) -> str:
        inside = (self._top + path).rstrip("/")
        return f"{self.path}: {inside}" if inside else str(self.path)

    @abstractmethod
    def _content(self, name: str) -> bytes:
        """The file of that name in the archive. Raises ``DataError`` if it is damaged."""


def clean_name(name: str, path: Path) -> str:
    """A member's name without ``./``; ``DataError`` if it leads out of the folder that one would unpack it in."""
    if _OUTSIDE.search(name) or "\0" in name:
        raise DataError(f"{path} has a member named {name!r}, which leads outside: do not trust this archive")
    cleaned = posixpath.normpath(name)
    return "" if cleaned == "." else cleaned


def bytes_at(path: Path, offset: int, count: int) -> bytes:
    """That piece of a file, which is opened for each: threads and forked processes then share no position.

    Raises ``OSError`` if it cannot be read or is longer than the file of an image can be.
    """
    if count > IMAGE:
        raise TooLargeError(count, IMAGE)
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        return file.read(count)


def _is_visible(name: str) -> bool:
    return not any(part.startswith(".") or part == _LEFTOVERS for part in name.split("/"))


def _top_folder(names: list[str]) -> str:
    """The folder that all ``names`` lie in, with its ``/``; nothing if there are several, or it is to train on."""
    tops = {name.partition("/")[0] for name in names if name}
    if len(tops) != 1 or any(name in tops and is_image(name) for name in names):
        return ""
    top = tops.pop()
    return "" if top.casefold() in TRAINING_FOLDERS else f"{top}/"
