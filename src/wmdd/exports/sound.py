"""Whether what was read from an export fits together: other people made it, perhaps, or a disk lost a part."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from wmdd.core.errors import RunError
from wmdd.core.types import DistilledDataset


def stacked(rows: Sequence[Tensor], what: str, where: str) -> Tensor:
    """The ``rows`` as one tensor.

    Raises:
        RunError: there are none, or they differ in shape; the sentence names ``what`` they are and ``where``.
    """
    if len({row.shape for row in rows}) != 1:
        raise RunError(f"{where} has {what} of {'several sizes' if rows else 'no size'}: export the run again.")
    return torch.stack(list(rows))


def check_set(made: DistilledDataset, where: str) -> None:
    """Refuse a set whose parts are not of the shapes, types and ranges that :class:`DistilledDataset` promises.

    Raises:
        RunError: it has such a part; the sentence names the first one.
    """
    fault = next(_faults(made), None)
    if fault is not None:
        raise RunError(f"{where} is damaged: {fault}; export the run again.")


def _faults(made: DistilledDataset) -> Iterator[str]:
    shown, count, classes = made.preprocessing, len(made.images), len(made.class_names)
    if len(shown.std) != shown.channels:
        yield f"it has {shown.channels} means and {len(shown.std)} standard deviations"
    image = (shown.channels, shown.image_size, shown.image_size)
    yield from _shape("images", made.images, torch.uint8, (count, *image))
    yield from _shape("labels", made.labels, torch.int64, (count,))
    yield from _shape("weights", made.weights, torch.float32, (count,))
    assert made.logits is not None, "an export has logits"
    yield from _shape("logits", made.logits, torch.float32, (count, classes))
    if not bool(((made.labels >= 0) & (made.labels < classes)).all()):
        yield f"labels should be from 0 to {classes - 1}"
    if not bool((made.weights.isfinite() & (made.weights >= 0)).all()):
        yield "weights should be numbers of at least 0, and finite"
    if not bool(made.logits.isfinite().all()):
        yield "logits should be finite numbers"


def _shape(name: str, values: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> Iterator[str]:
    if values.dtype != dtype or values.shape != shape:
        yield f"{name} are {_kind(values.dtype, values.shape)}, but should be {_kind(dtype, shape)}"


def _kind(dtype: torch.dtype, shape: Sequence[int]) -> str:
    return f"{str(dtype).removeprefix('torch.')} {list(shape)}"
