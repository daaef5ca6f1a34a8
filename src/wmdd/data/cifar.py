"""CIFAR-10 and CIFAR-100 as published: Python batches, which are pickles, read without running them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wmdd.core.bounded import read_bounded
from wmdd.core.errors import DataError
from wmdd.data.arrays import array_split
from wmdd.data.inert_pickle import Call, Name, read_inert
from wmdd.data.source import ImageSource

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE
_LARGEST = 2**29  # bytes of a batch: CIFAR-100's training file has 155 MB


class _Layout(NamedTuple):
    name: str
    train: tuple[str, ...]
    test: str
    meta: str
    class_names: str
    labels: str


_LAYOUTS = (
    _Layout(
        "cifar-10",
        tuple(f"data_batch_{i}" for i in range(1, 6)),
        "test_batch",
        "batches.meta",
        "label_names",
        "labels",
    ),
    _Layout("cifar-100", ("train",), "test", "meta", "fine_label_names", "fine_labels"),
)


def cifar_layout(folder: Path) -> _Layout | None:
    """Which of the two ``folder`` holds, if it holds one."""
    return next((layout for layout in _LAYOUTS if (folder / layout.meta).is_file()), None)


def open_cifar(folder: Path, layout: _Layout) -> ImageSource:
    """The batches in ``folder``: 32 px RGB images in the published split; of CIFAR-100 the 100 fine classes.

    Raises ``DataError`` if a file is missing, damaged, or holds anything but arrays and plain values.
    """
    meta_path = folder / layout.meta
    names = _texts(_batch(meta_path).get(layout.class_names))
    if not isinstance(names, list) or len(names) < 2 or not all(isinstance(name, str) for name in names):
        raise DataError(f"{meta_path} has no list {layout.class_names} of at least two class names: fetch it again")
    train = [_images(folder / name, layout, len(names)) for name in layout.train]
    test = _images(folder / layout.test, layout, len(names))
    pixels, labels = (np.concatenate(parts) for parts in zip(*train, strict=True))
    return ImageSource(layout.name, tuple(names), array_split(pixels, labels, "train"), array_split(*test, "test"))


def _images(path: Path, layout: _Layout, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 ``[N, 32, 32, 3]`` and labels int64 ``[N]`` of one batch."""
    batch = _batch(path)
    raw, labels = _raw(batch.get("data")), batch.get(layout.labels)
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < classes for label in labels):
        raise DataError(f"{path} has no list {layout.labels} of numbers from 0 to {classes - 1}: fetch it again")
    if raw is None or len(raw) != len(labels) * _PIXELS:
        raise DataError(f"{path} has no array data of {len(labels)} x {_PIXELS} bytes: fetch it again")
    planes = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3, _SIDE, _SIDE)
    return planes.transpose(0, 2, 3, 1), np.array(labels, dtype=np.int64)


def _raw(array: Any) -> bytes | None:
    """The bytes of a pickled uint8 array."""
    if not isinstance(array, Call) or not isinstance(array.state, tuple) or len(array.state) != 5:
        return None
    held = array.state[4]  # (version, shape, dtype, whether in Fortran's order, bytes)
    try:
        if isinstance(held, Call) and held.function == Name("_codecs encode"):  # how Python 3 writes bytes for Python 2
            held = held.arguments[0]
        return held.encode("latin-1") if isinstance(held, str) else held if isinstance(held, bytes) else None
    except (UnicodeEncodeError, LookupError, TypeError):
        return None


def _batch(path: Path) -> Mapping[str, Any]:
    try:
        value = read_inert(read_bounded(path, _LARGEST))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): fetch it again") from error
    except ValueError as error:
        raise DataError(f"{path} is not a batch of CIFAR ({error}): fetch it again") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} is not a batch of CIFAR (no table): fetch it again")
    return {_text(key): entry for key, entry in value.items()}


def _texts(value: Any) -> Any:
    """A list with its strings as strings, each decoded once: one object may stand in it a million times."""
    if not isinstance(value, list):
        return value
    decoded = {entry: _text(entry) for entry in value if isinstance(entry, bytes)}
    return [decoded[entry] if isinstance(entry, bytes) else entry for entry in value]


def _text(value: Any) -> Any:
    """A string that Python 3 wrote as bytes, as a string."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
