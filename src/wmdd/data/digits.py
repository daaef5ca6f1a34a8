"""The handwritten digits that scikit-learn embeds: 1,797 grey images of 8x8 pixels."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from wmdd.core.hashing import digest
from wmdd.data.source import ImageSource, Split


@dataclass(frozen=True, eq=False)
class DigitsSplit(Split):
    """Digits held in memory: ``pixels`` uint8 ``[N, 8, 8]``."""

    pixels: np.ndarray

    def read(self, i: int) -> Image.Image:
        """The i-th digit, grey in mode RGB."""
        return Image.fromarray(self.pixels[i]).convert("RGB")


def open_digits() -> ImageSource:
    """The digits in a stratified 80/20 split that no setting changes, so that scores stay comparable."""
    # Imported here: scikit-learn takes a second, which image folders need not pay.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    rows = train_test_split(np.arange(len(pixels)), test_size=0.2, stratify=digits.target, random_state=0)
    train, validation = (_split(pixels, digits.target, np.sort(part)) for part in rows)
    return ImageSource("digits", tuple("0123456789"), train, validation)


def _split(pixels: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> DigitsSplit:
    return DigitsSplit(
        labels=torch.from_numpy(labels[rows]).long(),
        names=tuple(f"digits/{row}" for row in rows),
        stamps=tuple(digest(image.tolist()) for image in pixels[rows]),
        pixels=pixels[rows],
    )
