"""What a source of labelled images is, wherever it keeps them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from wmdd.core.hashing import digest


@dataclass(frozen=True, eq=False)
class Split(ABC):
    """N labelled images: ``labels`` int64 ``[N]``, ``names`` (paths below the source's root, with ``/``).

    ``stamps`` has one value per image that changes when its content does: its bytes on disk, or a content hash.
    """

    labels: Tensor
    names: tuple[str, ...]
    stamps: tuple[int | str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def channels(self) -> int:
        """C of the images; grey ones are repeated to 3."""
        return 3

    @property
    def one_at_a_time(self) -> bool:
        """Whether images may be read by one thread of one process alone."""
        return False

    @abstractmethod
    def read(self, i: int) -> np.ndarray:
        """The i-th image, upright: uint8 ``[H, W, C]``. Raises ``DataError`` if it cannot be read."""

    def ignored(self) -> Sequence[str]:
        """The files beside the images that are passed over, as the user knows them."""
        return ()


@dataclass(frozen=True, eq=False)
class ImageSource:
    """A data set of ``len(class_names)`` classes in two splits; ``flips``: whether a mirrored image keeps its class."""

    name: str
    class_names: tuple[str, ...]
    train: Split
    validation: Split
    flips: bool = True

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over classes, names, labels and stamps: equal for equal data, wherever it lies."""
        splits = [[split.names, split.labels.tolist(), split.stamps] for split in (self.train, self.validation)]
        return digest([self.class_names, *splits])
