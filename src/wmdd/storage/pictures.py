"""PNG files as arrays, without torch: for the page, and for the tensors of :mod:`wmdd.storage.images`."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from wmdd.core.bounded import IMAGE, read_bounded
from wmdd.core.errors import RunError


def read_picture(path: Path) -> np.ndarray:
    """The image ``uint8 [C, S, S]`` of a PNG file.

    Raises:
        RunError: it is missing, damaged, too large, or none that this package writes.
    """
    try:
        return decode_picture(read_bounded(path, IMAGE))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is missing or damaged ({error}).") from error


def decode_picture(content: bytes) -> np.ndarray:
    """The image ``uint8 [C, S, S]`` that a PNG file's ``content`` is.

    Raises:
        ValueError: it is damaged, has more pixels than Pillow thinks safe, or is none that this package writes.
    """
    try:
        # Two or three times too many pixels are only a warning to Pillow.
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=["PNG"])
        return _planes(image)
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them stumble over
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def _planes(image: Image.Image) -> np.ndarray:
    if image.mode == "RGB":
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
    if image.mode != "L" or image.height % image.width:
        raise ValueError(f"mode {image.mode}, {image.width} x {image.height}")
    return np.array(image).reshape(-1, image.width, image.width)
