"""A matrix on disk that is read by slices of rows."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wmdd.core.bounded import check_array_header
from wmdd.core.errors import DataError


class MappedRows:
    """A float32 or float64 matrix ``[N, D]`` in a NumPy file, as :class:`wmdd.ot.BarycenterProblem` takes it.

    A slice of rows is a copy in memory. The file is mapped anew for each: pages of a mapping that stays open would
    count as memory of the process.

    Raises:
        DataError: the file is missing, damaged, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        array = self._open()
        if array.ndim != 2 or array.dtype not in (np.float32, np.float64):
            raise DataError(f"{path} must hold a float32 or float64 matrix, not {array.dtype} {list(array.shape)}.")
        self.shape = torch.Size(array.shape)
        self.dtype = torch.float32 if array.dtype == np.float32 else torch.float64

    def __getitem__(self, rows: slice) -> Tensor:
        return torch.from_numpy(np.array(self._open()[rows]))

    def _open(self) -> np.ndarray:
        try:
            check_array_header(self.path)
            # Not np.load, which also opens archives and pickles.
            array: np.ndarray = np.lib.format.open_memmap(self.path, mode="r")
        except Exception as error:  # NumPy parses headers as Python, and raises whatever that stumbles over
            reason = " ".join(str(error).split())
            raise DataError(f"{self.path} is not a NumPy file that can be read ({reason}).") from error
        return array
