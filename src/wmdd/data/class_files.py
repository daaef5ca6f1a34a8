"""The image files of each class, and splits of them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from wmdd.core.errors import DataError
from wmdd.data.decode import decode_image
from wmdd.data.source import ImageSource, Split
from wmdd.data.split import hold_out
from wmdd.data.tree import ImageFile, Tree

ClassFiles = Mapping[str, Sequence[ImageFile]]


@dataclass(frozen=True, eq=False)
class FileSplit(Split):
    """Image files of a ``tree``; where something else has ``listed`` them, its other files are no concern of theirs."""

    tree: Tree
    listed: bool = False

    def read(self, i: int) -> np.ndarray:
        """The i-th file, decoded now: uint8 ``[H, W, 3]``. Raises ``DataError`` if it cannot be."""
        return np.asarray(decode_image(self.tree.read(self.names[i]), self.tree.where(self.names[i])))

    def ignored(self) -> Sequence[str]:
        """The tree's files that are no images."""
        return () if self.listed else self.tree.others()


def source_of(name: str, tree: Tree, train: ClassFiles, validation: ClassFiles, *, listed: bool = False) -> ImageSource:
    """The source of these files; both parts list the same classes in one order. Raises ``DataError`` for a name."""
    return ImageSource(name, tuple(train), _split(tree, train, listed), _split(tree, validation, listed))


def divide(tree: Tree, classes: ClassFiles, share: float, seed: int) -> tuple[ClassFiles, ClassFiles]:
    """The files to train on, and the share of each class that ``seed`` holds out.

    Raises ``DataError`` for a class of one file.
    """
    train, validation = {}, {}
    for name, files in classes.items():
        if len(files) < 2:
            raise DataError(
                f"{tree.where(files[0].path)} is the only image of its class: "
                "it needs at least two, one to train and one to score"
            )
        chosen = hold_out(len(files), share, seed, name)
        train[name] = [file for i, file in enumerate(files) if i not in chosen]
        validation[name] = [file for i, file in enumerate(files) if i in chosen]
    return train, validation


def check_name(name: str, where: str) -> None:
    """Refuse a name with bytes that are not UTF-8: it could not be written down."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        readable = os.fsencode(where).decode(errors="replace")
        raise DataError(f"{readable} has a name that is not UTF-8: rename it") from error


def _split(tree: Tree, classes: ClassFiles, listed: bool) -> FileSplit:
    labelled = [(label, file) for label, files in enumerate(classes.values()) for file in files]
    for _, file in labelled:
        check_name(file.path, tree.where(file.path))
    return FileSplit(
        labels=torch.tensor([label for label, _ in labelled], dtype=torch.int64),
        names=tuple(file.path for _, file in labelled),
        stamps=tuple(file.size for _, file in labelled),
        tree=tree,
        listed=listed,
    )
