"""Images of a map-style torch ``Dataset``: anything with ``len()`` that gives ``(image, label)`` by number."""

from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import Subset

from wmdd.config.data import MOST_CHANNELS
from wmdd.core.errors import DataError
from wmdd.data.decode import to_rgb
from wmdd.data.lossy import LossyImageError, loss_of
from wmdd.data.samples import Samples

_LABELS = ("targets", "labels", "_labels")  # what torchvision's sets call them
_STAMPED = 1000  # images that are read to tell whether a set is the one it was


class MapSamples(Samples):
    """The rows of ``dataset``, which ``where`` names to the user.

    An image is a PIL image, uint8 ``[H, W]`` or ``[H, W, C]`` of NumPy, or a tensor ``[C, H, W]`` or ``[H, W]``, uint8
    or float in [0, 1]; C is in 1..16 and the same of all; a label is a whole number from 0 up. Raises ``DataError`` for
    anything else.
    """

    # Many keep a file open, whose position threads and forked processes share.
    one_at_a_time = True

    def __init__(self, dataset: Any, where: str) -> None:
        self.where = where
        self._dataset = dataset
        self.labels = _labels_of(dataset, where)
        if not len(self.labels):
            raise DataError(f"{where} has no images: put some there")
        first = self._pixels(0)
        if not np.array_equal(first, self._pixels(0)):
            raise DataError(f"{where} gives another image 0 each time: leave out random transforms")
        self.channels = first.shape[2]

    def read(self, i: int) -> np.ndarray:
        image = self._image(i)
        loss = loss_of(image) if isinstance(image, Image.Image) else None
        pixels = _as_pixels(image, self._name(i))
        if pixels.shape[2] != self.channels:
            raise DataError(
                f"{self._name(i)} has {pixels.shape[2]} channels, and image 0 {self.channels}: all need as many"
            )
        if loss is not None:
            raise LossyImageError(self._name(i), loss, pixels)
        return pixels

    def name(self, i: int) -> str:
        return str(i)

    def stamp(self, i: int) -> int | str:
        return self._stamps[i]

    @cached_property
    def _stamps(self) -> list[int | str]:
        """Hashes of the pixels, of every n-th image where there are more than a thousand; of others 0."""
        step = -(-len(self.labels) // _STAMPED)
        return [0 if i % step else sha256(self._pixels(i).tobytes()).hexdigest() for i in range(len(self.labels))]

    def _pixels(self, i: int) -> np.ndarray:
        """What 8-bit RGB can hold of any image: names and stamps of the data do not depend on whether that is all."""
        return _as_pixels(self._image(i), self._name(i))

    def _image(self, i: int) -> Any:
        image, label = _item(self._dataset, i, self._name(i))
        self._check_label(i, label)
        return image

    def _check_label(self, i: int, label: Any) -> None:
        """Refuse another label than the one that is known: of a set that is relabelled the list may be left over."""
        found, known = _whole([label]), self.labels[i]
        if found is None or found[0] != known:
            shown = " ".join(f"{label!r}".split())[:50] if found is None else found[0]
            raise DataError(f"{self._name(i)} has the label {shown}, but is listed with {known}: let both say the same")

    def _name(self, i: int) -> str:
        return f"image {i} of {self.where}"


def _labels_of(dataset: Any, where: str) -> np.ndarray:
    """Labels int64 ``[N]``: those that the set lists, if nothing changes them on the way; else each item is asked."""
    listed = _listed(dataset)
    if listed is not None:
        return listed
    asked = _whole([_item(dataset, i, f"image {i} of {where}")[1] for i in range(len(dataset))])
    if asked is None:
        raise DataError(f"{where} has labels that are not whole numbers: give one from 0 up for each image")
    return asked


def _listed(dataset: Any) -> np.ndarray | None:
    """The labels int64 ``[N]`` that the set itself lists, or None. A list of something else, as of names, is none."""
    if isinstance(dataset, Subset):
        below = _listed(dataset.dataset)
        return None if below is None else np.array([below[i] for i in dataset.indices], np.int64)
    if getattr(dataset, "target_transform", None) is not None:
        return None
    for name in _LABELS:
        labels = getattr(dataset, name, None)
        if isinstance(labels, Tensor):
            labels = labels.tolist()
        if isinstance(labels, list | tuple | np.ndarray) and len(labels) == len(dataset):
            whole = _whole(labels)
            if whole is not None:
                return whole
    return None


def _whole(labels: Sequence[Any] | np.ndarray) -> np.ndarray | None:
    """The labels as int64 ``[N]``, None if one is no whole number."""
    try:
        numbers = [int(label) for label in labels]
        whole = all(number == label for number, label in zip(numbers, labels, strict=True))
        return np.array(numbers, np.int64) if whole else None
    except (TypeError, ValueError, OverflowError, RuntimeError):  # torch's, of a tensor of several values
        return None


def _item(dataset: Any, i: int, where: str) -> tuple[Any, Any]:
    try:
        item = dataset[i]
    except Exception as error:  # whatever a set stumbles over
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(f"{where} cannot be read ({reason}): replace or remove it") from error
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise DataError(f"{where} is {type(item).__name__}, but should be a pair of an image and its label")
    return item[0], item[1]


def _as_pixels(image: Any, where: str) -> np.ndarray:
    """uint8 ``[H, W, C]``; one channel is repeated to 3."""
    if isinstance(image, Image.Image):
        return np.asarray(_loaded(image, where))
    if isinstance(image, Tensor):
        array = (image.float() if image.is_floating_point() else image).detach().cpu().numpy()
        pixels = array.transpose(1, 2, 0) if array.ndim == 3 else array
    elif isinstance(image, np.ndarray):
        pixels = image
    else:
        raise DataError(f"{where} is {type(image).__name__}, but should be a PIL image, an array or a tensor")
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    turned = isinstance(image, np.ndarray) and pixels.shape[0] in (1, 3) and pixels.shape[-1] > 4
    if pixels.ndim != 3 or 0 in pixels.shape or pixels.shape[2] > MOST_CHANNELS or turned:
        raise DataError(
            f"{where} has the shape {list(image.shape)}, but tensors should be [C, H, W] and arrays [H, W, C], with at "
            f"most {MOST_CHANNELS} channels"
        )
    if pixels.dtype.kind == "f":
        pixels = _scaled(pixels, where)
    if pixels.dtype != np.uint8:
        raise DataError(f"{where} is {image.dtype}, but should be uint8, or float from 0 to 1")
    return pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels


def _loaded(image: Image.Image, where: str) -> Image.Image:
    try:
        return to_rgb(image)
    except Exception as error:  # Pillow reads a file when its pixels are first asked for
        raise DataError(f"{where} is damaged ({error}): replace or remove it") from error


def _scaled(pixels: np.ndarray, where: str) -> np.ndarray:
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # nan is in no range
        raise DataError(f"{where} has values from {low:g} to {high:g}: give floats from 0 to 1, not normalised")
    scaled: np.ndarray = np.rint(pixels * 255).astype(np.uint8)
    return scaled
