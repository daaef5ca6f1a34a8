"""Where the real images come from and how they are cut to size."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Interval

from wmdd.config.settings import Auto, Natural, setting
from wmdd.core.lending import LENT

MOST_CHANNELS = 16
HUB, TORCHVISION = "hf:", "torchvision:"
"""What the names of datasets of the Hugging Face hub, and of torchvision, begin with."""


@dataclass(frozen=True)
class DataConfig:
    """Settings of the real data."""

    source: str = setting(
        "digits",
        "'digits' (embedded), an image folder (train/CLASS/*, or CLASS/*), a zip or tar of one, .csv, .npz, .parquet, "
        "shards, CIFAR, hf:NAME[:CONFIG], torchvision:NAME",
        flag="data",
    )
    image_size: Auto | Annotated[int, Interval(ge=8, le=4096)] = setting(
        "auto",
        "image size in pixels; auto: the largest of 32, 64, ..., 224 within the median shorter side (digits: 32)",
        flag="image-size",
    )
    channels: Auto | Annotated[int, Interval(ge=1, le=MOST_CHANNELS)] = setting(
        "auto", "channels of an image; auto: those of the data, 3 for grayscale files; 1: all in grayscale"
    )
    validation: Annotated[float, Interval(gt=0, lt=1)] = setting(
        0.2, "share of each class held out to score on, where the data have no validation split (val/, test/, ...)"
    )
    split_seed: Natural = setting(0, "seed of that split")
    flip: Auto | bool = setting(
        "auto",
        "whether a mirrored image keeps its class; auto: no for digits, letters, signs and text, else yes",
    )
    convert: bool = setting(
        False, "accept 16-bit and CMYK images, and those with damaged EXIF data, as 8-bit RGB instead of refusing them"
    )
    memory_gb: Annotated[float, Ge(0)] = setting(
        4.0, "larger sets are streamed from disk instead of held as uint8 (.npz and compressed tars: refused)"
    )
    workers: Annotated[int, Interval(ge=0, le=256)] = setting(2, "threads or processes that decode images")
    root: str = setting("~/.cache/torchvision", "folder of torchvision's sets")
    download: bool = setting(False, "fetch a set of the hub or of torchvision that is not on this machine")

    @property
    def is_path(self) -> bool:
        """Whether the source is a folder or a file, and no name."""
        return self.source != "digits" and not self.source.startswith((HUB, TORCHVISION, LENT))


def default_folder(source: str) -> Path:
    """Where a run of these data goes that is not told where to: ``runs/`` and their name."""
    for prefix in (HUB, TORCHVISION, LENT):
        source = source.removeprefix(prefix)
    path = os.path.realpath(os.path.expanduser(source))
    name = os.path.basename(path)
    return Path("runs") / ((name.partition(".")[0] if os.path.isfile(path) else name).replace(":", "-") or "data")
