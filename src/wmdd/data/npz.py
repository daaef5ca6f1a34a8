"""NumPy archives (``.npz``) of images and labels, as Keras, MedMNIST and many papers' code write them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from wmdd.config.data import MOST_CHANNELS
from wmdd.core.errors import DataError
from wmdd.data.arrays import array_split, divided
from wmdd.data.labels import check_labels, numbered
from wmdd.data.source import ImageSource

_TRAIN = (("x_train", "y_train"), ("train_images", "train_labels"))
_VALIDATION = (("x_val", "y_val"), ("x_test", "y_test"), ("val_images", "val_labels"), ("test_images", "test_labels"))
_ALL = (("images", "labels"), ("x", "y"))
_CLASSES = "class_names"


def open_npz(path: Path, validation: float, seed: int, memory: float) -> ImageSource:
    """Images ``x_train``, ``train_images``, or ``images`` and ``x`` to be split, with their labels beside them.

    Images are uint8 ``[N, H, W]`` or ``[N, H, W, C]`` with C in 1..16, labels whole numbers ``[N]`` or ``[N, 1]`` from
    0 up; ``class_names`` may name the classes. Raises ``DataError`` if the file has no such arrays, holds Python
    objects, or unpacks to more than ``memory`` bytes.
    """
    arrays = _read(path, memory)
    train, held_out, everything = (_first(pairs, arrays) for pairs in (_TRAIN, _VALIDATION, _ALL))
    if train is None and everything is None:
        raise DataError(
            f"{path} has no arrays x_train and y_train, train_images and train_labels, or images and labels, but "
            f"{', '.join(sorted(arrays)) or 'none'}: name them so"
        )
    parts = [pair for pair in ((train, held_out) if train else (everything,)) if pair]
    checked = [_checked(path, pair, arrays) for pair in parts]
    if len({images.shape[3:] for images, _ in checked}) > 1:
        (one, _), (other, _) = parts
        counts = [images.shape[3] if images.ndim == 4 else 1 for images, _ in checked]
        raise DataError(f"{path}: {one} has {counts[0]} channels and {other} {counts[1]}: both need as many")
    classes = _class_names(path, arrays, checked[0][1])
    for pair, (_, labels) in zip(parts, checked, strict=True):
        check_labels(f"{path}: {pair[1]}", labels, classes, least=1 if len(parts) == 2 else 2)
    name = path.name.partition(".")[0]
    if len(parts) == 2:
        return ImageSource(name, classes, array_split(*checked[0], "train"), array_split(*checked[1], "validation"))
    return divided(name, classes, *checked[0], validation, seed)


def _read(path: Path, memory: float) -> dict[str, Any]:
    try:
        with ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > memory:
            raise DataError(
                f"{path} unpacks to {unpacked / 1e9:.1f} GB, more than data.memory_gb ({memory / 1e9:g}): raise that"
            )
        with np.load(path, allow_pickle=False) as loaded:
            wanted = {name for pairs in (_TRAIN, _VALIDATION, _ALL) for pair in pairs for name in pair} | {_CLASSES}
            return {name: _array(loaded, name) for name in loaded.files if name in wanted}
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): check it and its permissions") from error
    except DataError:
        raise
    except Exception as error:  # NumPy and zipfile raise whatever a damaged or encrypted file makes them stumble over
        raise DataError(
            f"{path} is not a readable .npz of plain arrays ({error}): save it again with numpy.savez"
        ) from error


def _array(loaded: Any, name: str) -> np.ndarray:
    found = loaded[name]
    if not isinstance(found, np.ndarray):  # NumPy gives the bytes of a member that does not begin as an array
        raise ValueError(f"{name} is no array")
    return found


def _first(pairs: tuple[tuple[str, str], ...], arrays: Mapping[str, Any]) -> tuple[str, str] | None:
    return next((pair for pair in pairs if pair[0] in arrays and pair[1] in arrays), None)


def _checked(path: Path, pair: tuple[str, str], arrays: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Images ``[N, H, W]`` or ``[N, H, W, C]`` and labels int64 ``[N]``."""
    images, labels = (arrays[name] for name in pair)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[3:] > (MOST_CHANNELS,):
        raise DataError(
            f"{path}: {pair[0]} is {images.dtype} {list(images.shape)}, but should be uint8 [N, H, W] or "
            f"[N, H, W, C] with at most {MOST_CHANNELS} channels, values 0 to 255"
        )
    if 0 in images.shape:
        raise DataError(f"{path}: {pair[0]} is empty ({list(images.shape)}): put images there")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path}: {pair[1]} is {labels.dtype} {list(labels.shape)}, but should be one whole number for each of the "
            f"{len(images)} images"
        )
    return images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images, labels.astype(np.int64)


def _class_names(path: Path, arrays: Mapping[str, Any], labels: np.ndarray) -> tuple[str, ...]:
    if _CLASSES not in arrays:
        return numbered(labels)
    names = _texts(arrays[_CLASSES])
    if names is None or len(set(names)) != len(names):
        raise DataError(f"{path}: {_CLASSES} should be a list of different strings, one for each class")
    return names


def _texts(names: np.ndarray) -> tuple[str, ...] | None:
    """The strings in an array ``[K]``; None if it holds something else, or letters that there are not."""
    if names.ndim != 1 or names.dtype.kind != "U":
        return None
    try:
        texts = tuple(map(str, names.tolist()))
        "".join(texts).encode()
    except (ValueError, SystemError):  # NumPy keeps any number for a letter
        return None
    return texts
