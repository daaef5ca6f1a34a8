"""Any image folder: ``train/CLASS/**`` with a validation folder beside it, or ``CLASS/**``, split by seed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from wmdd.core.errors import DataError
from wmdd.data.decode import EXTENSIONS, read_image
from wmdd.data.scan import ImageFile, find_images, subfolders
from wmdd.data.source import ImageSource, Split
from wmdd.data.split import hold_out

VALIDATION_FOLDERS = ("val", "validation", "valid", "test")
ClassFiles = Mapping[str, Sequence[ImageFile]]


@dataclass(frozen=True, eq=False)
class FolderSplit(Split):
    """Image files below ``root``."""

    root: Path

    def read(self, i: int) -> Image.Image:
        """The i-th file, decoded now. Raises ``DataError`` if it cannot be."""
        return read_image(self.root / self.names[i])


def open_folder(folder: Path, validation: float, seed: int) -> ImageSource:
    """The image folder as a source, classes and files sorted by name; nothing is decoded yet.

    ``train/`` is the training folder if it contains folders (else it is a class of that name). Without a folder of
    ``VALIDATION_FOLDERS`` beside it, the share ``validation`` of each class is held out, chosen by ``seed``.
    Raises ``DataError`` if the folder, its classes or its links are not usable.
    """
    _check_folder(folder)
    root = folder.resolve()
    _name(root, root.parent)
    held_out = None
    folders = {path.name: path for path in subfolders(root)}
    if "train" in folders and subfolders(folders["train"]):
        train = _training_classes(folders["train"])
        held_out = next((folders[name] for name in VALIDATION_FOLDERS if name in folders), None)
    else:
        train = _training_classes(root)
    parts = _divide(train, validation, seed) if held_out is None else (train, _validation_classes(held_out, train))
    return ImageSource(root.name, tuple(train), *(_split(root, part) for part in parts))


def _check_folder(folder: Path) -> None:
    # os.path's forms answer False, where pathlib's raise, if a folder above may not be entered.
    if os.path.isfile(folder):
        raise DataError(f"{folder} is a file, not a folder: give the folder that holds train/CLASS/* or CLASS/*")
    if not os.path.isdir(folder):
        raise DataError(f"{folder} does not exist or may not be entered: give 'digits' or an existing image folder")


def _training_classes(folder: Path) -> ClassFiles:
    classes = _classes(folder)
    if not classes:
        raise DataError(f"{folder} has no class folders: put the images of each class into a folder of its own there")
    if len(classes) == 1:
        raise DataError(f"{folder} has only the class {next(iter(classes))!r}: it needs at least two class folders")
    return classes


def _validation_classes(folder: Path, train: ClassFiles) -> ClassFiles:
    classes = _classes(folder)
    for name in classes:
        if name not in train:
            raise DataError(f"{folder} has the class {name!r}, which is not in train/: add it there or remove it here")
    for name in train:
        if name not in classes:
            raise DataError(f"{folder} lacks the class {name!r} of train/: add it here or remove it there")
    return classes


def _classes(folder: Path) -> ClassFiles:
    classes = {path.name: find_images(path) for path in subfolders(folder)}
    for name, files in classes.items():
        _name(folder / name, folder)
        if not files:
            raise DataError(
                f"{folder / name} has no images ({', '.join(EXTENSIONS)}): put some there or remove the folder"
            )
    return classes


def _divide(classes: ClassFiles, share: float, seed: int) -> tuple[ClassFiles, ClassFiles]:
    train, validation = {}, {}
    for name, files in classes.items():
        if len(files) < 2:
            raise DataError(
                f"{files[0].path} is the only image of its class: it needs at least two, one to train and one to score"
            )
        chosen = hold_out(len(files), share, seed, name)
        train[name] = [file for i, file in enumerate(files) if i not in chosen]
        validation[name] = [file for i, file in enumerate(files) if i in chosen]
    return train, validation


def _split(root: Path, classes: ClassFiles) -> FolderSplit:
    labelled = [(label, file) for label, files in enumerate(classes.values()) for file in files]
    return FolderSplit(
        labels=torch.tensor([label for label, _ in labelled], dtype=torch.int64),
        names=tuple(_name(file.path, root) for _, file in labelled),
        stamps=tuple(file.size for _, file in labelled),
        root=root,
    )


def _name(path: Path, root: Path) -> str:
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        readable = os.fsencode(path).decode(errors="replace")
        raise DataError(f"{readable} has a name that is not UTF-8: rename it") from error
    return name
