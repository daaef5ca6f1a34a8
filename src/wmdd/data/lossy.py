"""Images that 8-bit RGB cannot hold as they are: refused, unless ``data.convert`` says to take what it can hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from wmdd.core.errors import DataError
from wmdd.data.source import ImageSource, Split

CMYK = "is CMYK, whose colours in RGB would be a guess"
ROTATION = "has a damaged EXIF block, so that which side is up is unknown"


class LossyImageError(DataError):
    """An image of which ``where`` names the place and ``loss`` says what would be lost.

    ``pixels`` uint8 ``[H, W, 3]`` are what 8-bit RGB can hold of it.
    """

    def __init__(self, where: str, loss: str, pixels: np.ndarray) -> None:
        super().__init__(
            f"{where} {loss}: store it as 8-bit RGB, upright, or have it read as it lies with --data.convert true"
        )
        self.loss = loss
        self.pixels = pixels


def loss_of(image: Image.Image) -> str | None:
    """What 8-bit RGB would lose of an image; to be asked before its pixels are loaded, as Pillow then forgets."""
    if image.mode == "CMYK":
        return CMYK
    bits = _bits(image)
    return f"has {bits} bits a channel, of which {bits - 8} would be lost" if bits > 8 else None


def _bits(image: Image.Image) -> int:
    # Pillow has no mode for 16 bits in colour, but says how the file keeps them: "RGB;16B". BMP's "BGR;16" are 16 bits
    # for three channels.
    kept = [str(tile[3]) for tile in getattr(image, "tile", ())]
    if image.mode.startswith("I;16") or any(";16" in form and "BGR" not in form for form in kept):
        return 16
    return 32 if image.mode in ("I", "F") else 8


@dataclass(frozen=True, eq=False)
class ConvertedSplit(Split):
    """``split``, with what 8-bit RGB can hold of its images."""

    split: Split

    @property
    def channels(self) -> int:
        """C of the split."""
        return self.split.channels

    @property
    def one_at_a_time(self) -> bool:
        """As of the split."""
        return self.split.one_at_a_time

    def read(self, i: int) -> np.ndarray:
        """The i-th image, as it lies where that is all one can have."""
        try:
            return self.split.read(i)
        except LossyImageError as image:
            return image.pixels

    def ignored(self) -> Sequence[str]:
        """Those of the split."""
        return self.split.ignored()


def converted(source: ImageSource) -> ImageSource:
    """The source with no image refused for what 8-bit RGB cannot hold. Its fingerprint stays."""
    return replace(source, train=_converted(source.train), validation=_converted(source.validation))


def _converted(split: Split) -> ConvertedSplit:
    return ConvertedSplit(split.labels, split.names, split.stamps, split)
