"""The handwritten digits that scikit-learn embeds: 1,797 grey images of 8x8 pixels."""

import numpy as np
import torch

from wmdd.core.hashing import digest
from wmdd.data.arrays import ArraySplit
from wmdd.data.source import ImageSource


def open_digits() -> ImageSource:
    """The digits in a stratified 80/20 split that no setting changes, so that scores stay comparable."""
    # Imported here: scikit-learn takes a second, which image folders need not pay.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    rows = train_test_split(np.arange(len(pixels)), test_size=0.2, stratify=digits.target, random_state=0)
    train, validation = (_split(pixels, digits.target, np.sort(part)) for part in rows)
    return ImageSource("digits", tuple("0123456789"), train, validation, flips=False)


def _split(pixels: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> ArraySplit:
    return ArraySplit(
        labels=torch.from_numpy(labels[rows]).long(),
        names=tuple(f"digits/{row}" for row in rows),
        stamps=tuple(digest(image.tolist()) for image in pixels[rows]),
        pixels=pixels[rows],
    )
