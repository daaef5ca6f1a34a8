"""Generated images and folders of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int = 0, width: int = 12, height: int = 10) -> Image.Image:
    """A noisy RGB image that depends on ``seed``."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def write_folder(root: Path, counts: Mapping[str, int]) -> Path:
    """``root/CLASS/i.png`` for each class path and its number of images."""
    seed = 0
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True)
        for i in range(count):
            picture(seed).save(root / folder / f"{i}.png")
            seed += 1
    return root
