"""Features that are not in memory."""

import numpy as np
import pytest
import torch
from torch import Tensor

from wmdd.core.errors import DataError
from wmdd.ot import BarycenterProblem, solve


class Elsewhere:
    """A matrix that gives slices of its rows, and nothing else."""

    dtype = torch.float32

    def __init__(self, points: np.ndarray) -> None:
        self.points, self.shape = points, torch.Size(points.shape)

    def __getitem__(self, rows: slice) -> Tensor:
        return torch.from_numpy(self.points[rows].copy())


def test_barycenters_of_features_elsewhere_are_those_of_features_in_memory() -> None:
    points = np.random.default_rng(0).standard_normal((70, 5)).astype(np.float32)
    there = solve(BarycenterProblem(Elsewhere(points), 4, (40, 30)), "exact")
    in_memory = solve(BarycenterProblem(torch.from_numpy(points), 4, (40, 30)), "exact")
    assert torch.equal(there.atoms, in_memory.atoms)


def test_rows_that_are_not_finite_are_refused_when_they_are_read() -> None:
    points = np.zeros((6, 2), dtype=np.float32)
    points[4] = np.nan
    with pytest.raises(DataError, match="finite"):
        solve(BarycenterProblem(Elsewhere(points), 1, (3, 3)), "exact")
