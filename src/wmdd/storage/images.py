"""Images in lossless PNG files.

Of one channel they are grey, of three RGB; of other numbers the channels stand below one another as one grey strip.
"""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wmdd.storage.atomic import write_bytes
from wmdd.storage.pictures import read_picture


def write_png(path: Path, image: Tensor) -> None:
    """Write a ``uint8 [C, S, S]`` image atomically."""
    write_bytes(path, png_bytes(image))


def png_bytes(image: Tensor) -> bytes:
    """A ``uint8 [C, S, S]`` image as a PNG file's content."""
    pixels = image.cpu().numpy()
    buffer = io.BytesIO()
    picture = pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels.reshape(-1, pixels.shape[2])
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def read_png(path: Path) -> Tensor:
    """The ``uint8 [C, S, S]`` image of a file that :func:`write_png` made.

    Raises:
        RunError: the file is missing or damaged.
    """
    return torch.from_numpy(read_picture(path))
