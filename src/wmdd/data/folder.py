"""Images by class: ``train/CLASS/**`` with a validation folder beside it, or ``CLASS/**``, split by seed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from wmdd.core.errors import DataError
from wmdd.data.decode import EXTENSIONS, decode_image
from wmdd.data.source import ImageSource, Split
from wmdd.data.split import hold_out
from wmdd.data.tree import ImageFile, Tree, last_name

VALIDATION_FOLDERS = ("val", "validation", "valid", "test")
ClassFiles = Mapping[str, Sequence[ImageFile]]


@dataclass(frozen=True, eq=False)
class FolderSplit(Split):
    """Image files of a ``tree``."""

    tree: Tree

    def read(self, i: int) -> Image.Image:
        """The i-th file, decoded now. Raises ``DataError`` if it cannot be."""
        return decode_image(self.tree.read(self.names[i]), self.tree.where(self.names[i]))


def open_folder(tree: Tree, validation: float, seed: int) -> ImageSource:
    """The tree as a source, classes and files sorted by name; nothing is decoded yet.

    ``train/`` is the training folder if it contains folders (else it is a class of that name). Without a folder of
    ``VALIDATION_FOLDERS`` beside it, the share ``validation`` of each class is held out, chosen by ``seed``.
    Raises ``DataError`` if the folder, its classes or its links are not usable.
    """
    _check_name(tree.name, tree, "")
    folders = {last_name(path): path for path in tree.subfolders("")}
    held_out = None
    if "train" in folders and tree.subfolders(folders["train"]):
        train = _training_classes(tree, folders["train"])
        held_out = next((folders[name] for name in VALIDATION_FOLDERS if name in folders), None)
    else:
        train = _training_classes(tree, "")
    if held_out is None:
        parts = _divide(tree, train, validation, seed)
    else:
        parts = train, _validation_classes(tree, held_out, train)
    first, second = (_split(tree, part) for part in parts)
    return ImageSource(tree.name, tuple(train), first, second)


def _training_classes(tree: Tree, folder: str) -> ClassFiles:
    classes, where = _classes(tree, folder), tree.where(folder)
    if not classes:
        raise DataError(f"{where} has no class folders: put the images of each class into a folder of its own there")
    if len(classes) == 1:
        raise DataError(f"{where} has only the class {next(iter(classes))!r}: it needs at least two class folders")
    return classes


def _validation_classes(tree: Tree, folder: str, train: ClassFiles) -> ClassFiles:
    classes, where = _classes(tree, folder), tree.where(folder)
    for name in classes:
        if name not in train:
            raise DataError(f"{where} has the class {name!r}, which is not in train/: add it there or remove it here")
    for name in train:
        if name not in classes:
            raise DataError(f"{where} lacks the class {name!r} of train/: add it here or remove it there")
    return classes


def _classes(tree: Tree, folder: str) -> ClassFiles:
    classes = {last_name(path): tree.images(path) for path in tree.subfolders(folder)}
    seen: dict[str, str] = {}
    for name, files in classes.items():
        path = f"{folder}/{name}" if folder else name
        _check_name(name, tree, path)
        if not files:
            raise DataError(
                f"{tree.where(path)} has no images ({', '.join(EXTENSIONS)}): put some there or remove the folder"
            )
        # Where case does not count, as on many disks, an export of the two would be one folder.
        if (other := seen.setdefault(name.casefold(), name)) != name:
            raise DataError(
                f"{tree.where(folder)} has the classes {other!r} and {name!r}, which differ in case alone: rename one"
            )
    return classes


def _divide(tree: Tree, classes: ClassFiles, share: float, seed: int) -> tuple[ClassFiles, ClassFiles]:
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


def _split(tree: Tree, classes: ClassFiles) -> FolderSplit:
    labelled = [(label, file) for label, files in enumerate(classes.values()) for file in files]
    for _, file in labelled:
        _check_name(file.path, tree, file.path)
    return FolderSplit(
        labels=torch.tensor([label for label, _ in labelled], dtype=torch.int64),
        names=tuple(file.path for _, file in labelled),
        stamps=tuple(file.size for _, file in labelled),
        tree=tree,
    )


def _check_name(name: str, tree: Tree, path: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        readable = os.fsencode(tree.where(path)).decode(errors="replace")
        raise DataError(f"{readable} has a name that is not UTF-8: rename it") from error
