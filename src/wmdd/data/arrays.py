"""Images held in an array."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch
from PIL import Image

from wmdd.data.source import ImageSource, Split
from wmdd.data.split import hold_out


@dataclass(frozen=True, eq=False)
class ArraySplit(Split):
    """``pixels`` uint8 ``[N, H, W]`` (grey) or ``[N, H, W, 3]``."""

    pixels: np.ndarray

    def read(self, i: int) -> Image.Image:
        """The i-th image, in mode RGB."""
        return Image.fromarray(self.pixels[i]).convert("RGB")


def array_split(pixels: np.ndarray, labels: np.ndarray, prefix: str, rows: np.ndarray | None = None) -> ArraySplit:
    """The images and labels at ``rows`` (None: all), named ``PREFIX/ROW``."""
    rows = np.arange(len(pixels)) if rows is None else rows
    pixels = np.ascontiguousarray(pixels[rows])
    return ArraySplit(
        labels=torch.from_numpy(labels[rows].astype(np.int64)),
        names=tuple(f"{prefix}/{row}" for row in rows),
        stamps=tuple(sha256(image.tobytes()).hexdigest() for image in pixels),
        pixels=pixels,
    )


def divided(
    name: str, class_names: Sequence[str], pixels: np.ndarray, labels: np.ndarray, share: float, seed: int
) -> ImageSource:
    """A source of which the share of each class is held out, chosen by ``seed``. Every class needs two images."""
    held_out = np.zeros(len(labels), dtype=bool)
    for k, class_name in enumerate(class_names):
        mine = np.flatnonzero(labels == k)
        held_out[mine[sorted(hold_out(len(mine), share, seed, class_name))]] = True
    train, validation = (array_split(pixels, labels, "all", np.flatnonzero(chosen)) for chosen in (~held_out, held_out))
    return ImageSource(name, tuple(class_names), train, validation)
