"""Soft labels on disk: some epochs in a file, read back one epoch at a time."""

from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from wmdd.core.errors import RunError
from wmdd.core.types import SoftLabels
from wmdd.storage.four_bits import pack, unpack
from wmdd.storage.tensors import read_entry, write_tensors

_VIEW_FIELDS = ("box", "flip", "partner", "mix_box")


def write_soft_labels(path: Path, labels: SoftLabels, *, in_four_bits: bool = False) -> None:
    """Keep the soft labels of some epochs in one file, logits in half precision or in four bits."""
    views = {name: getattr(labels, name) for name in _VIEW_FIELDS}
    kept = {name: tensor for name, tensor in views.items() if tensor is not None}
    write_tensors(path, (_four_bits(labels.logits) if in_four_bits else {"logits": labels.logits}) | kept)


def _four_bits(logits: Tensor) -> dict[str, Tensor]:
    codes, scales = pack(logits)
    return {"codes": codes, "scales": scales}


def _soft_labels(tensors: Mapping[str, Tensor]) -> SoftLabels:
    views = {name: tensors[name] for name in _VIEW_FIELDS if name in tensors}
    packed = "codes" in tensors
    logits = unpack(tensors["codes"], tensors["scales"]) if packed else tensors["logits"]
    if logits.ndim != 3 or len(logits) != 1:
        raise ValueError(f"logits {list(logits.shape)}")
    return SoftLabels(logits, **views)


class StoredLabels:
    """The soft labels of all epochs; ``files`` maps the first epoch of each file to its path.

    Epochs are read in any order, from mapped files; the last one stays in memory, and no other.
    """

    def __init__(self, files: Mapping[int, Path]) -> None:
        self._firsts = sorted(files)
        self._files = [files[first] for first in self._firsts]
        self._last: tuple[int, SoftLabels] | None = None

    def read(self, epoch: int) -> SoftLabels:
        """The labels of one epoch (``E`` is 1).

        Raises:
            RunError: its file is missing or damaged.
        """
        if self._last is None or self._last[0] != epoch:
            number = bisect_right(self._firsts, epoch) - 1
            path = self._files[number]
            try:
                self._last = epoch, _soft_labels(read_entry(path, epoch - self._firsts[number]))
            except (LookupError, TypeError, ValueError, RuntimeError) as error:
                raise RunError(f"{path} is damaged: it holds no soft labels ({error!r:.80}).") from error
        return self._last[1]

    def __getitem__(self, epoch: int) -> Tensor:
        """The raw logits float16 ``[M, K]`` of one epoch."""
        return self.read(epoch).logits[0]
