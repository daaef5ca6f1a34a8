"""Images in a folder for each class: ``train/CLASS/**`` with a validation folder beside it, or ``CLASS/**``."""

from collections.abc import Mapping

from wmdd.core.errors import DataError
from wmdd.data.class_files import ClassFiles, check_name, divide, source_of
from wmdd.data.decode import EXTENSIONS
from wmdd.data.labels import check_cases
from wmdd.data.source import ImageSource
from wmdd.data.tree import Tree, last_name

VALIDATION_FOLDERS = ("val", "validation", "valid", "test", "testing", "eval", "dev")
TRAINING_FOLDERS = ("train", "training")


def open_folder(tree: Tree, validation: float, seed: int) -> ImageSource:
    """The tree as a source, classes and files sorted by name; nothing is decoded yet.

    ``train/`` (or ``training/``, in any case) is the training folder if it contains folders (else it is a class of that
    name). Without a folder of ``VALIDATION_FOLDERS`` beside it, the share ``validation`` of each class is held out,
    chosen by ``seed``. Raises ``DataError`` if the folder, its classes or its links are not usable.
    """
    check_name(tree.name, tree.where(""))
    folders = _by_name(tree)
    held_out = None
    trained = next((folders[name] for name in TRAINING_FOLDERS if name in folders), None)
    if trained is not None and tree.subfolders(trained):
        train = _training_classes(tree, trained)
        held_out = next((folders[name] for name in VALIDATION_FOLDERS if name in folders), None)
    else:
        _refuse_splits(tree, folders)
        train = _training_classes(tree, "")
    if held_out is not None:
        return source_of(tree.name, tree, train, _validation_classes(tree, held_out, train))
    return source_of(tree.name, tree, *divide(tree, train, validation, seed))


def _by_name(tree: Tree) -> dict[str, str]:
    """The folders at the top by their names in lower case. ``DataError`` if two could be the same split."""
    folders: dict[str, str] = {}
    for path in tree.subfolders(""):
        name = last_name(path).casefold()
        if name in folders and name in (*TRAINING_FOLDERS, *VALIDATION_FOLDERS):
            one, other = last_name(folders[name]), last_name(path)
            raise DataError(
                f"{tree.where('')} has the folders {one} and {other}, which differ in case alone: rename one"
            )
        folders[name] = path
    return folders


def _refuse_splits(tree: Tree, folders: Mapping[str, str]) -> None:
    """Refuse to take folders of splits, of which none is to train on, for classes."""
    if len(folders) > 1 and folders.keys() <= {*VALIDATION_FOLDERS} and all(map(tree.subfolders, folders.values())):
        names = ", ".join(map(last_name, folders.values()))
        raise DataError(f"{tree.where('')} has the folders {names}, but none to train on: call one train")


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
    classes = {}
    for path in tree.subfolders(folder):
        check_name(path, tree.where(path))
        classes[last_name(path)] = tree.images(path)
        if not classes[last_name(path)]:
            raise DataError(
                f"{tree.where(path)} has no images ({', '.join(EXTENSIONS)}): put some there or remove the folder"
            )
    check_cases(classes, tree.where(folder))
    return classes
