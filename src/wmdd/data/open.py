"""From the settings to a source, and what can be told from a source where a setting says ``auto``."""

import os
from pathlib import Path
from statistics import median

from wmdd.config.data import DataConfig
from wmdd.core.errors import DataError
from wmdd.data.digits import DigitsSplit, open_digits
from wmdd.data.folder import open_folder
from wmdd.data.source import ImageSource

_SIZES = (32, 64, 96, 128, 160, 192, 224)
_SAMPLE = 64


def open_source(config: DataConfig) -> ImageSource:
    """The digits, or the folder ``config.source`` names. Raises ``DataError`` if that folder cannot be used."""
    if config.source == "digits":
        return open_digits()
    if not config.source:
        raise DataError("data.source is empty: give 'digits' or an image folder")
    # os.path's form leaves an unknown ~user alone, and the sentence about a missing folder then names it.
    return open_folder(Path(os.path.expanduser(config.source)), config.validation, config.split_seed)


def natural_size(source: ImageSource) -> int:
    """The side that suits the images: the largest usual one within the median shorter side of a fixed sample.

    It lies in 32..224. Raises ``DataError`` if a sampled image cannot be read.
    """
    step = -(-len(source.train) // _SAMPLE)
    side = median(min(source.train.read(i).size) for i in range(0, len(source.train), step))
    return max((size for size in _SIZES if size <= side), default=_SIZES[0])


def flips(source: ImageSource) -> bool:
    """Whether a mirrored image keeps its class: not for digits."""
    return not isinstance(source.train, DigitsSplit)
