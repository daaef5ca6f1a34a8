"""Classes and the labels that number them: whether they can be trained on, and which images are held out."""

from collections.abc import Iterable, Sequence

import numpy as np

from wmdd.core.errors import DataError
from wmdd.data.split import hold_out


def check_labels(where: str, labels: np.ndarray, classes: Sequence[str], least: int) -> None:
    """Refuse labels int64 ``[N]`` outside ``classes``, and classes with fewer than ``least`` images.

    Raises ``DataError`` that begins with ``where``.
    """
    if len(classes) < 2:
        raise DataError(f"{where} should number at least two classes from 0 up")
    if not len(labels):
        raise DataError(f"{where} has no images: put some there")
    if labels.min() < 0 or labels.max() >= len(classes):
        wrong = int(labels.min() if labels.min() < 0 else labels.max())
        raise DataError(f"{where} has the label {wrong}, but there are the classes 0 to {len(classes) - 1}")
    counts = np.bincount(labels, minlength=len(classes))
    if counts.min() < least:
        raise DataError(
            f"{where} has {counts.min()} image(s) of class {classes[int(counts.argmin())]!r}: "
            f"every class needs at least {least}"
        )


def check_cases(names: Iterable[str], where: str) -> None:
    """Refuse classes of one name, or that differ in case alone: where case does not count they would be one."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(name.casefold())
        if other == name:
            raise DataError(f"{where} has two classes named {name!r}: rename one")
        if other is not None:
            raise DataError(f"{where} has the classes {other!r} and {name!r}, which differ in case alone: rename one")
        seen[name.casefold()] = name


def numbered(labels: np.ndarray) -> tuple[str, ...]:
    """Names of the classes that labels from 0 up number; none if the labels cannot be such numbers."""
    if not len(labels) or labels.max() >= len(labels):
        return ()
    return tuple(map(str, range(max(int(labels.max()) + 1, 1))))


def held_out_rows(labels: np.ndarray, classes: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Which images are for validation: bool ``[N]``, the share of each class that ``seed`` chooses."""
    held_out = np.zeros(len(labels), dtype=bool)
    for k, name in enumerate(classes):
        mine = np.flatnonzero(labels == k)
        held_out[mine[sorted(hold_out(len(mine), share, seed, name))]] = True
    return held_out
