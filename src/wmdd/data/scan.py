"""Finding folders and image files on disk, in an order that does not depend on the file system."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from wmdd.core.errors import DataError
from wmdd.data.decode import EXTENSIONS


class ImageFile(NamedTuple):
    """An image file and its size in bytes."""

    path: Path
    size: int


def subfolders(folder: Path) -> list[Path]:
    """The visible folders in ``folder``, sorted by name. Raises ``DataError`` if it cannot be listed."""
    try:
        return [folder / entry.name for entry in _visible(folder) if entry.is_dir()]
    except OSError as error:
        raise _unreadable(folder, error) from error


def find_images(folder: Path) -> list[ImageFile]:
    """The visible image files at any depth below ``folder``, sorted by path; links to folders are followed.

    Raises ``DataError`` for a folder that cannot be listed, a link that leads nowhere and one that leads in a circle.
    """
    return sorted(_walk(folder, (folder.parent.resolve(),)), key=lambda file: file.path.as_posix())


def _walk(folder: Path, above: tuple[Path, ...]) -> Iterator[ImageFile]:
    here = folder.resolve()
    if any(ancestor.is_relative_to(here) for ancestor in above):
        raise DataError(f"{folder} is a symbolic link back to {here}, which contains it: remove the link")
    try:
        for entry in _visible(folder):
            path = folder / entry.name
            if entry.is_dir():
                yield from _walk(path, (*above, here))
            elif path.suffix.lower() in EXTENSIONS:
                yield _image_file(entry, path)
    except OSError as error:
        raise _unreadable(folder, error) from error


def _image_file(entry: os.DirEntry[str], path: Path) -> ImageFile:
    if not entry.is_file():  # A pipe would block its reader forever.
        raise DataError(f"{path} is neither a file nor a link to one: replace or remove it")
    return ImageFile(path, entry.stat().st_size)


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _unreadable(folder: Path, error: OSError) -> DataError:
    where = error.filename or folder
    return DataError(f"{where} cannot be read ({error.strerror}): check its permissions and links")
