"""One image file to RGB pixels, and to a square of the wanted size."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from wmdd.core.bounded import IMAGE, read_bounded
from wmdd.core.errors import DataError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_BOMBS = (Image.DecompressionBombWarning, Image.DecompressionBombError)
_warning_filters = Lock()


def read_image(path: Path) -> Image.Image:
    """:func:`decode_image` of a file. Raises ``DataError`` also if it cannot be read."""
    return decode_image(read_file(path), str(path))


def read_file(path: Path) -> bytes:
    """The content of an image file. Raises ``DataError`` naming it if it cannot be read or has too many bytes."""
    try:
        return read_bounded(path, IMAGE)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check that it exists and may be read") from error


def decode_image(data: bytes, where: str) -> Image.Image:
    """The image in mode RGB, turned upright by its EXIF tag; transparent pixels lie on white, 16-bit greys are scaled.

    Raises ``DataError`` naming ``where`` it is from if it is empty, damaged, too large, animated or of another format.
    """
    if not data:
        raise DataError(f"{where} is empty (0 bytes): replace or remove it")
    return to_rgb(_decode(data, where))


def to_rgb(image: Image.Image) -> Image.Image:
    """Mode RGB: transparent pixels lie on white, 16-bit greys are scaled."""
    if image.mode.startswith("I"):  # 16-bit grey: Pillow itself would clip at 255 instead of scaling.
        wide = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def to_square(pixels: np.ndarray, size: int, channels: int = 3) -> Tensor:
    """The centre square of an image uint8 ``[H, W, C]`` at side S = ``size``, bicubic with antialiasing.

    Returns uint8 ``[channels, S, S]``: C of them, or of an RGB image one, its luma (ITU-R 601).
    """
    if pixels.shape[2] == 3:
        image = Image.fromarray(pixels)
        return _planes(_square(image if channels == 3 else image.convert("L"), size))
    return torch.cat([_planes(_square(Image.fromarray(pixels[..., c]), size)) for c in range(channels)])


def _square(image: Image.Image, size: int) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    # Resizing the box, not the whole image, keeps a very long strip from being blown up before it is cropped.
    return image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))


def _planes(image: Image.Image) -> Tensor:
    pixels = np.array(image)
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1).contiguous()


def _decode(data: bytes, where: str) -> Image.Image:
    try:
        with _pillow_warnings():
            image = Image.open(BytesIO(data), formats=_FORMATS)
        image.load()
    except _BOMBS as error:
        raise DataError(
            f"{where} has more than {Image.MAX_IMAGE_PIXELS:,} pixels: store it at a smaller size"
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{where} is not a readable PNG, JPEG, WebP or BMP image: replace it, convert it or remove it"
        ) from error
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them stumble over.
        raise DataError(f"{where} is damaged ({error}): replace or remove it") from error
    # Not of JPEG: what phones keep behind a photograph is no second one.
    if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise DataError(f"{where} is animated: store the one picture that its class is about")
    _turn_upright(image)
    return image


def _turn_upright(image: Image.Image) -> None:
    # A damaged EXIF block says nothing about rotation; the pixels are fine.
    with suppress(Exception), _pillow_warnings():
        ImageOps.exif_transpose(image, in_place=True)


@contextmanager
def _pillow_warnings() -> Iterator[None]:
    """Too many pixels are an error, broken metadata is no news; locked, as the filters belong to all threads."""
    with _warning_filters, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
        yield
