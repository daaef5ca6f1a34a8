"""Images in lossless PNG files."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wmdd.core.errors import RunError
from wmdd.storage.atomic import write_bytes


def write_png(path: Path, image: Tensor) -> None:
    """Write a ``uint8 [3, S, S]`` image atomically."""
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).cpu().numpy()).save(buffer, format="PNG", optimize=True)
    write_bytes(path, buffer.getvalue())


def read_png(path: Path) -> Tensor:
    """The ``uint8 [3, S, S]`` image of a file that :func:`write_png` made.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()
    except (OSError, ValueError, SyntaxError) as error:
        raise RunError(f"{path} is missing or damaged ({error}).") from error
