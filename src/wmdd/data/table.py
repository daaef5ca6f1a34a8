"""A CSV table of image files and their labels, and of their splits where it says them."""

import csv
import os
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from wmdd.core.bounded import LINES, check_size
from wmdd.core.errors import DataError
from wmdd.data.class_files import ClassFiles, divide, source_of
from wmdd.data.decode import EXTENSIONS
from wmdd.data.disk import DiskTree
from wmdd.data.folder import VALIDATION_FOLDERS
from wmdd.data.labels import check_cases
from wmdd.data.source import ImageSource
from wmdd.data.tree import ImageFile, is_image

_COLUMNS = ("path", "label")
_SPLIT = "split"


class _Row(NamedTuple):
    line: int
    path: str
    label: str
    split: str


def open_table(path: Path, validation: float, seed: int) -> ImageSource:
    """The files of a CSV with a header: columns ``path`` (below the CSV's folder), ``label`` and perhaps ``split``.

    ``split`` says ``train`` or one of ``VALIDATION_FOLDERS``; without it the share ``validation`` of each class is held
    out, chosen by ``seed``. Labels are names, sorted; other columns are passed over. Raises ``DataError`` naming the
    line that is not usable.
    """
    tree = DiskTree(path.parent)
    rows = _rows(path)
    parts: dict[bool, dict[str, list[ImageFile]]] = {True: defaultdict(list), False: defaultdict(list)}
    seen: dict[str, int] = {}
    for row in rows:
        where = f"{path}, line {row.line}"
        if (other := seen.setdefault(row.path, row.line)) != row.line:
            raise DataError(f"{where}: {row.path!r} stands in line {other} already: remove one of them")
        parts[_is_training(row.split, where)][row.label].append(ImageFile(row.path, _size(tree, row.path, where)))
    train, held_out = (_sorted(parts[training]) for training in (True, False))
    check_cases(train, str(path))
    if len(train) < 2:
        raise DataError(f"{path} has {len(train)} class(es) to train on: it needs at least two labels")
    name = path.name.partition(".")[0]
    if not held_out:
        return source_of(name, tree, *divide(tree, train, validation, seed), listed=True)
    for label in {*train, *held_out}:
        if label not in train or label not in held_out:
            part = "training" if label not in train else "validation"
            raise DataError(f"{path} has no {part} images of class {label!r}: every class needs both, or say no splits")
    return source_of(name, tree, train, held_out, listed=True)


def _rows(path: Path) -> list[_Row]:
    try:
        check_size(path, LINES)
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path} has no column {missing[0]!r}: begin it with a line path,label or path,label,split"
                )
            return [_row(reader.line_num, entry, _SPLIT in entry, path) for entry in reader]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path} is not a readable CSV ({error}): save it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check its permissions") from error


def _row(line: int, entry: dict[str, str | None], has_split: bool, path: Path) -> _Row:
    values = [entry[name] for name in (*_COLUMNS, *((_SPLIT,) if has_split else ()))]
    if None in entry or not all(values):
        raise DataError(f"{path}, line {line}: it should have a value for every column of the first line, and no more")
    found = [value for value in values if value]
    return _Row(line, Path(found[0]).as_posix(), found[1], found[2] if has_split else "train")


def _is_training(split: str, where: str) -> bool:
    if split != "train" and split not in VALIDATION_FOLDERS:
        raise DataError(f"{where}: split is {split!r}, but should be train or {', '.join(VALIDATION_FOLDERS)}")
    return split == "train"


def _size(tree: DiskTree, path: str, where: str) -> int:
    if os.path.isabs(path) or ".." in Path(path).parts:
        raise DataError(f"{where}: {path!r} leads out of the table's folder: move the table or the image")
    if not is_image(path):
        raise DataError(f"{where}: {path!r} is no image: its name should end in {', '.join(EXTENSIONS)}")
    if not os.path.isfile(tree.where(path)):
        raise DataError(f"{where}: {tree.where(path)} does not exist or is no file")
    return os.path.getsize(tree.where(path))


def _sorted(classes: dict[str, list[ImageFile]]) -> ClassFiles:
    return {name: sorted(classes[name]) for name in sorted(classes)}
