"""Data of the caller's own program: what they are called in settings, and where they are found again.

As with a network of one's own, a run keeps a name made of the kind and of a hash; whoever calls with the same data can
go on, and others are told that they cannot.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from wmdd.core.errors import DataError
from wmdd.core.hashing import digest
from wmdd.core.lending import LENT, Lending
from wmdd.data.class_files import check_name
from wmdd.data.labels import numbered
from wmdd.data.maps import MapSamples
from wmdd.data.samples import sampled_source
from wmdd.data.source import ImageSource

_data: Lending["OwnData"] = Lending("data")


@dataclass(frozen=True, eq=False)
class OwnData:
    """Labelled images of the caller's program, as the data of :func:`wmdd.distill`.

    ``train`` is a map-style ``torch.utils.data.Dataset`` of ``(image, label)``, or a pair of tensors: images ``[N, C,
    H, W]`` or ``[N, H, W]``, uint8 or float in [0, 1], and labels int64 ``[N]`` from 0 up. ``validation`` is alike;
    without it the share ``data.validation`` of each class is held out. ``class_names`` are the set's own ``classes``
    where they are not given, ``flips`` says whether a mirrored image keeps its class.

    Raises:
        DataError: they are no such images and labels.
    """

    train: Any
    validation: Any = None
    class_names: Sequence[str] | None = None
    flips: bool = True

    def __post_init__(self) -> None:
        _ = self.name  # what cannot be used is refused here, where it is given

    @cached_property
    def name(self) -> str:
        """What the data are called in settings: their kind, and a hash of classes, labels and images."""
        parts = [
            [part.labels.tolist(), [part.stamp(i) for i in range(len(part.labels))]] if part else None
            for part in self._parts
        ]
        turned = [] if self.flips else ["no flips"]
        return f"{LENT}{self._kind}-{digest([self._classes, parts, *turned])[:16]}"

    def open(self, share: float, seed: int) -> ImageSource:
        """The data as a source. Raises ``DataError`` for labels that are not usable."""
        train, validation = self._parts
        return sampled_source(self._kind, self._classes, train, validation, share, seed, flips=self.flips)

    @cached_property
    def _parts(self) -> tuple[MapSamples, MapSamples | None]:
        validation = None if self.validation is None else MapSamples(_mapped(self.validation), "the validation data")
        return MapSamples(_mapped(self.train), "the data"), validation

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        mine, theirs = (getattr(part, "classes", None) for part in (self.train, self.validation))
        if isinstance(mine, list | tuple) and isinstance(theirs, list | tuple) and list(mine) != list(theirs):
            raise DataError("the validation data have other classes than the data: number both alike")
        names = self.class_names if self.class_names is not None else mine
        if isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names):
            for name in names:
                check_name(name, "the data")
            return tuple(names)
        if self.class_names is not None:
            raise DataError(f"class_names is {self.class_names!r}, but should be a list of names")
        return numbered(self._parts[0].labels)

    @property
    def _kind(self) -> str:
        return "tensors" if isinstance(self.train, tuple | list) else type(self.train).__name__


Data = str | Path | Dataset[Any] | tuple[Tensor, Tensor] | OwnData
"""What the library's functions take for data: what ``--data`` takes, or images and labels of the caller's program."""


def as_own(data: Data | None) -> OwnData | None:
    """The data if they are of the caller's program, None if they are named.

    Raises ``DataError`` as of :class:`OwnData`.
    """
    if data is None or isinstance(data, OwnData):
        return data
    return None if isinstance(data, str | Path) else OwnData(data)


def lent_data(own: OwnData | None) -> AbstractContextManager[None]:
    """Let ``own`` be found by its name while the context lasts."""
    return _data.lend(own.name, own) if own else nullcontext()


def open_lent(name: str, share: float, seed: int) -> ImageSource:
    """The data of this name as a source. Raises ``DataError`` if they are not here."""
    own = _data.find(name)
    if own is None:
        raise DataError(
            f"{name!r} are data of a Python program, which alone has them: go on there, with wmdd.distill(data, ...)"
        )
    return own.open(share, seed)


def _mapped(given: Any) -> Any:
    """A map-style data set of what was given."""
    if isinstance(given, tuple | list):
        if len(given) != 2 or not all(isinstance(part, Tensor) for part in given) or len(given[0]) != len(given[1]):
            raise DataError("data should be a pair of tensors of equal length: images and their labels")
        return TensorDataset(*given)
    if not hasattr(given, "__getitem__") or not hasattr(given, "__len__"):
        raise DataError(
            f"data is of type {type(given).__name__}: give a path, a map-style torch Dataset, or a pair of tensors"
        )
    return given
