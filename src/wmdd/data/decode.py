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
from wmdd.data.exif import exif_block, orientation
from wmdd.data.lossy import ROTATION, LossyImageError, loss_of

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_BOMBS = (Image.DecompressionBombWarning, Image.DecompressionBombError)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image of each orientation upright."""

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
    """The image in mode RGB, turned upright by its EXIF tag; transparent pixels lie on white.

    Raises ``DataError`` naming ``where`` it is from if it is empty, damaged, too large, animated or of another format,
    and ``LossyImageError`` if it has 16 bits a channel, is CMYK, or its EXIF block is too damaged to say which side is
    up.
    """
    if not data:
        raise DataError(f"{where} is empty (0 bytes): replace or remove it")
    image, loss = _decode(data, where)
    if loss is not None:
        raise LossyImageError(where, loss, np.asarray(to_rgb(image)))
    return to_rgb(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """What mode RGB can hold of an image: transparent pixels lie on white, 16-bit greys are scaled."""
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


def _decode(data: bytes, where: str) -> tuple[Image.Image, str | None]:
    """The image, upright if that can be told, and what 8-bit RGB would lose of it."""
    try:
        with _pillow_warnings():
            image: Image.Image = Image.open(BytesIO(data), formats=_FORMATS)
        loss = loss_of(image)
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
    try:
        return _upright(image), loss
    except ValueError:
        return image, loss or ROTATION


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF block says. Raises ``ValueError`` if that is damaged before it could say so."""
    # Pillow alone would not do: it takes a damaged block for one that says nothing.
    says = orientation(exif_block(image))
    if says is not None:
        return image.transpose(_TURNS[says]) if says in _TURNS else image
    # XMP may say it instead.
    with suppress(Exception), _pillow_warnings():
        ImageOps.exif_transpose(image, in_place=True)
    return image


@contextmanager
def _pillow_warnings() -> Iterator[None]:
    """Too many pixels are an error, broken metadata is no news; locked, as the filters belong to all threads."""
    with _warning_filters, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
        yield
