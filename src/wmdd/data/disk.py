"""A folder on disk, listed in an order that does not depend on the file system."""

import os
from collections.abc import Iterator
from pathlib import Path

from wmdd.core.errors import DataError
from wmdd.data.decode import read_file
from wmdd.data.tree import ImageFile, Tree, is_image


class DiskTree(Tree):
    """The folder ``root``; links to files and folders are followed."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))
        self.name = root.resolve().name

    def subfolders(self, folder: str) -> list[str]:
        try:
            return [_below(folder, entry.name) for entry in _visible(self.root / folder) if entry.is_dir()]
        except OSError as error:
            raise self._unreadable(folder, error) from error

    def images(self, folder: str) -> list[ImageFile]:
        """As of :class:`Tree`; ``DataError`` too for a link that leads nowhere and one that leads in a circle."""
        found = []
        for path, entry in self._walk(folder, ((self.root / folder).parent.resolve(),)):
            if is_image(path):
                if not entry.is_file():  # A pipe would block its reader forever.
                    raise DataError(f"{self.where(path)} is neither a file nor a link to one: replace or remove it")
                found.append(ImageFile(path, entry.stat().st_size))
        return sorted(found)

    def others(self) -> list[str]:
        return sorted(path for path, _ in self._walk("", (self.root.parent.resolve(),)) if not is_image(path))

    def _walk(self, folder: str, above: tuple[Path, ...]) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """All visible files below ``folder``, with their paths."""
        here = (self.root / folder).resolve()
        if any(ancestor.is_relative_to(here) for ancestor in above):
            raise DataError(
                f"{self.where(folder)} is a symbolic link back to {here}, which contains it: remove the link"
            )
        try:
            for entry in _visible(self.root / folder):
                path = _below(folder, entry.name)
                if entry.is_dir():
                    yield from self._walk(path, (*above, here))
                else:
                    yield path, entry
        except OSError as error:
            raise self._unreadable(folder, error) from error

    def read(self, path: str) -> bytes:
        return read_file(self.root / path)

    def where(self, path: str) -> str:
        return str(self.root / path)

    def _unreadable(self, folder: str, error: OSError) -> DataError:
        where = error.filename or self.where(folder)
        return DataError(f"{where} cannot be read ({error.strerror}): check its permissions and links")


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
