"""Image files in folders, on disk or in an archive: what a data set's layout is read from."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from wmdd.data.decode import EXTENSIONS


class ImageFile(NamedTuple):
    """An image file: its path below the tree's root, and its size in bytes."""

    path: str
    size: int


class Tree(ABC):
    """Folders and image files; paths are relative to the root, with ``/``, and ``""`` is the root itself.

    What begins with a dot is not seen. All methods raise ``DataError`` for what cannot be read.
    """

    name: str

    @abstractmethod
    def subfolders(self, folder: str) -> list[str]:
        """The paths of the folders directly in ``folder``, sorted by name."""

    @abstractmethod
    def images(self, folder: str) -> list[ImageFile]:
        """The image files at any depth below ``folder``, sorted by path."""

    @abstractmethod
    def others(self) -> list[str]:
        """The paths of all files that are no images, sorted."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """The content of an image file."""

    @abstractmethod
    def where(self, path: str) -> str:
        """How to name a file or folder to the user."""


def is_image(path: str) -> bool:
    """Whether a file's name ends as an image's does."""
    return path.lower().endswith(EXTENSIONS)


def last_name(path: str) -> str:
    """The last component of a path."""
    return path.rpartition("/")[2]
