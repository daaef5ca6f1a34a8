"""Images held in an array."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch

from wmdd.data.labels import held_out_rows
from wmdd.data.source import ImageSource, Split


@dataclass(frozen=True, eq=False)
class ArraySplit(Split):
    """``pixels`` uint8 ``[N, H, W]`` (grey) or ``[N, H, W, C]``."""

    pixels: np.ndarray

    @property
    def channels(self) -> int:
        """C; of grey images 3."""
        return self.pixels.shape[3] if self.pixels.ndim == 4 else 3

    def read(self, i: int) -> np.ndarray:
        """The i-th image, uint8 ``[H, W, C]``."""
        pixels: np.ndarray = self.pixels[i]
        return pixels if pixels.ndim == 3 else pixels[..., None].repeat(3, axis=2)


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
    held_out = held_out_rows(labels, class_names, share, seed)
    train, validation = (array_split(pixels, labels, "all", np.flatnonzero(chosen)) for chosen in (~held_out, held_out))
    return ImageSource(name, tuple(class_names), train, validation)
