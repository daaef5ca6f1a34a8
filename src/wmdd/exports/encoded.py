"""An image as the content of a PNG file, and back."""

import io

from PIL import Image
from torch import Tensor

from wmdd.core.errors import RunError
from wmdd.storage.images import from_picture


def decode_png(content: bytes, where: str) -> Tensor:
    """The ``uint8 [C, S, S]`` image of PNG bytes that :func:`~wmdd.storage.images.png_bytes` made.

    Raises:
        RunError: it is damaged; the sentence names ``where``.
    """
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            return from_picture(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RunError(f"{where} is damaged ({error}): export the run again.") from error
