"""An image as the content of a PNG file, and back."""

import torch
from torch import Tensor

from wmdd.core.errors import RunError
from wmdd.storage.pictures import decode_picture


def decode_png(content: bytes, where: str) -> Tensor:
    """The ``uint8 [C, S, S]`` image of PNG bytes that :func:`~wmdd.storage.images.png_bytes` made.

    Raises:
        RunError: it is damaged; the sentence names ``where``.
    """
    try:
        return torch.from_numpy(decode_picture(content))
    except ValueError as error:
        raise RunError(f"{where} is damaged ({error}): export the run again.") from error
