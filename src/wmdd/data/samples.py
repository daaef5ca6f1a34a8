"""Labelled images that are fetched by their number: rows of a table, members of shards."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from wmdd.core.errors import DataError
from wmdd.data.class_files import check_name
from wmdd.data.labels import check_cases, check_labels, held_out_rows
from wmdd.data.source import ImageSource, Split


class Samples(ABC):
    """N images with ``labels`` int64 ``[N]``; ``where`` names them to the user, ``channels`` is the C of each.

    Those that are read ``one_at_a_time`` are read by no two threads or processes of a run at once.
    """

    labels: np.ndarray
    where: str
    channels = 3
    one_at_a_time = False

    @abstractmethod
    def read(self, i: int) -> np.ndarray:
        """The i-th image, uint8 ``[H, W, C]``. Raises ``DataError`` if it cannot be read."""

    @abstractmethod
    def name(self, i: int) -> str:
        """What the i-th image is called; no two are called the same."""

    @abstractmethod
    def stamp(self, i: int) -> int | str:
        """What changes when the i-th image does (see :class:`Split`)."""


@dataclass(frozen=True, eq=False)
class SampleSplit(Split):
    """The ``rows`` int64 ``[N]`` of ``samples``."""

    samples: Samples
    rows: np.ndarray

    @property
    def channels(self) -> int:
        """C of the samples."""
        return self.samples.channels

    @property
    def one_at_a_time(self) -> bool:
        """As of the samples."""
        return self.samples.one_at_a_time

    def read(self, i: int) -> np.ndarray:
        """The i-th image, uint8 ``[H, W, C]``. Raises ``DataError`` if it cannot be read."""
        return self.samples.read(int(self.rows[i]))


def sampled_source(
    name: str,
    classes: Sequence[str],
    train: Samples,
    validation: Samples | None,
    share: float,
    seed: int,
    flips: bool = True,
) -> ImageSource:
    """A source of samples; without ``validation`` the ``share`` of each class that ``seed`` chooses is held out.

    Raises ``DataError`` for labels that are not usable, and for splits of different numbers of channels.
    """
    for each in classes:
        check_name(each, train.where)
    check_cases(classes, train.where)
    if validation is None:
        check_labels(train.where, train.labels, classes, least=2)
        held_out = held_out_rows(train.labels, classes, share, seed)
        parts = [_split(train, np.flatnonzero(chosen), "all") for chosen in (~held_out, held_out)]
    else:
        for samples in (train, validation):
            check_labels(samples.where, samples.labels, classes, least=1)
        if train.channels != validation.channels:
            raise DataError(
                f"{train.where} has {train.channels} channels and {validation.where} {validation.channels}: "
                "both need as many"
            )
        both = ((train, "train"), (validation, "validation"))
        parts = [_split(samples, np.arange(len(samples.labels)), prefix) for samples, prefix in both]
    return ImageSource(name, tuple(classes), train=parts[0], validation=parts[1], flips=flips)


def _split(samples: Samples, rows: np.ndarray, prefix: str) -> SampleSplit:
    return SampleSplit(
        labels=torch.from_numpy(samples.labels[rows]),
        names=tuple(f"{prefix}/{samples.name(int(row))}" for row in rows),
        stamps=tuple(samples.stamp(int(row)) for row in rows),
        samples=samples,
        rows=rows,
    )
