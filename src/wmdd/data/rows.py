"""Images and labels in the columns of a table of Hugging Face's ``datasets``."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wmdd.core.errors import DataError
from wmdd.data.decode import decode_image, read_file
from wmdd.data.labels import numbered
from wmdd.data.samples import Samples

_IMAGES = ("image", "img", "images")
_LABELS = ("label", "labels", "fine_label", "class", "target")
_LARGEST = 2**31
_ROWS = 4096  # looked at at once


class RowSamples(Samples):
    """The rows of ``table``, a ``datasets.Dataset``, which ``where`` names to the user; its classes are ``classes``.

    Images are bytes of an image file, or the path of one below ``roots``. Raises ``DataError`` if no column holds
    images or labels, or an image has no label.
    """

    def __init__(self, table: Any, where: str, classes: Sequence[str], roots: Sequence[Path]) -> None:
        from datasets import Image

        self.where = where
        self._roots = [os.path.realpath(root) for root in roots]
        self._column = _image_column(table, where)
        self.labels = _labels(table, where, classes)
        self._images = table.select_columns([self._column]).cast_column(self._column, Image(decode=False))

    def read(self, i: int) -> np.ndarray:
        where = f"row {i} of {self.where}"
        with _utf_8(where, "paths of images"):
            cell = self._images[i][self._column]
        if cell is None or (cell["bytes"] is None and cell["path"] is None):
            raise DataError(f"{where} has no image: fill it or remove the row")
        data = cell["bytes"] if cell["bytes"] is not None else self._file(cell["path"], where)
        return np.asarray(decode_image(data, where))

    def name(self, i: int) -> str:
        return str(i)

    def stamp(self, i: int) -> int | str:
        return self._stamps[i]

    @cached_property
    def _stamps(self) -> list[int | str]:
        """How many bytes each image has, or the path of its file; the bytes themselves are not read."""
        from pyarrow.compute import binary_length, struct_field

        found: list[int | str] = []
        for rows in self._images.with_format("arrow").iter(_ROWS):
            cells = rows.column(self._column)
            lengths = binary_length(struct_field(cells, "bytes")).to_pylist()
            with _utf_8(self.where, "paths of images"):
                paths = struct_field(cells, "path").to_pylist()
            found += [path or "" if length is None else length for length, path in zip(lengths, paths, strict=True)]
        return found

    def _file(self, path: str, where: str) -> bytes:
        real = os.path.realpath(os.path.join(self._roots[0], path))
        if not any(Path(real).is_relative_to(root) for root in self._roots):
            raise DataError(f"{where} names the file {path!r}, which is outside {self._roots[0]}: put its bytes there")
        return read_file(Path(real))


def class_names(table: Any, where: str) -> tuple[str, ...]:
    """The classes that the label column of ``table`` names or numbers. Raises ``DataError`` if there is no such."""
    from datasets import ClassLabel

    column = _label_column(table, where)
    feature = table.features[column]
    if isinstance(feature, ClassLabel):
        return tuple(feature.names)
    if _is_text(feature):
        return tuple(sorted(set(_present(table[column], where))))
    return numbered(_labels(table, where, ()))


def _labels(table: Any, where: str, classes: Sequence[str]) -> np.ndarray:
    """int64 ``[N]``; names are numbered as in ``classes``, and so are numbers of other names than those."""
    column = _label_column(table, where)
    values, feature = _present(table[column], where), table.features[column]
    own = getattr(feature, "names", None)  # of a ClassLabel
    if own and classes and list(own) != list(classes):
        values = [own[value] if 0 <= value < len(own) else str(value) for value in values]
    elif not _is_text(feature):
        if wrong := [value for value in values if abs(value) > _LARGEST]:
            raise DataError(f"{where} has the label {wrong[0]}: labels should be whole numbers from 0 up")
        return np.asarray(values, dtype=np.int64)
    numbers = {name: number for number, name in enumerate(classes)}
    for value in values:
        if value not in numbers:
            raise DataError(f"{where} has the class {value!r}, which is not among those to train on: remove its images")
    return np.asarray([numbers[value] for value in values], dtype=np.int64)


def _present(values: Any, where: str) -> list[Any]:
    with _utf_8(where, "labels"):
        found = list(values)
    if None in found:
        raise DataError(f"row {found.index(None)} of {where} has no label: fill it or remove the row")
    return found


@contextmanager
def _utf_8(where: str, what: str) -> Iterator[None]:
    """Texts of a table become Python's within; arrow itself takes any bytes for them."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{where} has {what} that are not UTF-8: write text as UTF-8") from error


def _image_column(table: Any, where: str) -> str:
    from datasets import Image

    marked = [name for name, feature in table.features.items() if isinstance(feature, Image)]
    named = [name for name in _IMAGES if name in table.features and _holds_bytes(table.features[name])]
    if not marked and not named:
        raise DataError(f"{where} has no column of images, but {_columns(table)}: call it image, with bytes of files")
    return next((name for name in _IMAGES if name in marked), (marked or named)[0])


def _holds_bytes(feature: Any) -> bool:
    if isinstance(feature, dict):
        return set(feature) == {"bytes", "path"}
    return getattr(feature, "dtype", "") in ("binary", "large_binary")


def _label_column(table: Any, where: str) -> str:
    from datasets import ClassLabel

    marked = [name for name, feature in table.features.items() if isinstance(feature, ClassLabel)]
    named = [name for name in _LABELS if name in table.features]
    found = next((name for name in named if name in marked), None) or next(iter([*named, *marked]), None)
    if found is None:
        raise DataError(f"{where} has no column of labels, but {_columns(table)}: call it label")
    feature = table.features[found]
    if found not in marked and not _is_text(feature) and not _is_whole(feature):
        raise DataError(f"{where}: column {found} is {feature}, but labels should be whole numbers from 0 up, or names")
    return found


def _is_text(feature: Any) -> bool:
    return getattr(feature, "dtype", "") in ("string", "large_string")


def _is_whole(feature: Any) -> bool:
    return str(getattr(feature, "dtype", "")).startswith(("int", "uint", "bool"))


def _columns(table: Any) -> str:
    return ", ".join(table.features)
