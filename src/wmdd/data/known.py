"""Data sets that presets name: so much is known of them that work on them can be planned where they are not."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from wmdd.data.decode import decode_image
from wmdd.data.source import ImageSource, Split

_ENLARGED = 3  # noise enlarged so far, in _QUALITY, has the bytes of photographs: 109 kB at ImageNet's sides, there 115
_QUALITY = 90


@dataclass(frozen=True)
class Known:
    """What a data set has: its classes, images in both splits, and the usual sides of an image in pixels."""

    classes: int
    train: int
    validation: int
    width: int
    height: int


KNOWN = {
    "cifar10": Known(10, 50_000, 10_000, 32, 32),  # Krizhevsky 2009
    "cifar100": Known(100, 50_000, 10_000, 32, 32),  # Krizhevsky 2009
    "tiny-imagenet": Known(200, 100_000, 10_000, 64, 64),  # Le and Yang 2015
    "imagenette": Known(10, 9_469, 3_925, 469, 387),  # Howard 2019, full size; the sides are ImageNet's
    "imagenet1k": Known(1000, 1_281_167, 50_000, 469, 387),  # arXiv 1409.0575; sides as usually given, on average
}
"""By the name that their presets give as ``data.source``."""


def stand_in(name: str) -> ImageSource:
    """As many images as the known data set ``name`` has, in even classes, of its sides: one picture of noise."""
    known = KNOWN[name]
    names = tuple(f"class {k}" for k in range(known.classes))
    train, validation = (_StandIn.of(known, count) for count in (known.train, known.validation))
    return ImageSource(name, names, train, validation)


@dataclass(frozen=True, eq=False)
class _StandIn(Split):
    """``jpeg``, so many times over."""

    jpeg: bytes

    @classmethod
    def of(cls, known: Known, count: int) -> "_StandIn":
        jpeg = _noise(known.width, known.height)
        labels = torch.arange(count) % known.classes
        return cls(labels, ("noise",) * count, (len(jpeg),) * count, jpeg)

    def read(self, i: int) -> np.ndarray:
        return np.asarray(decode_image(self.jpeg, "a picture of noise"))


def _noise(width: int, height: int) -> bytes:
    small = (-(-height // _ENLARGED), -(-width // _ENLARGED), 3)
    pixels = np.random.default_rng(0).integers(0, 256, small, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
