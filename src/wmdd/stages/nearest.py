"""Which real images lie nearest to given points of feature space."""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from wmdd.ot import squared_distances


def nearest_distinct(points: Tensor, features: Tensor) -> Tensor:
    """A row ``[m]`` of ``features [n, D]`` for each of ``points [m, D]``, none twice, least total squared distance."""
    cost = squared_distances(features, points).T
    _, columns = linear_sum_assignment(cost.double().cpu().numpy())
    return torch.from_numpy(columns)


def nearest(points: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest of ``features [n, D]`` to each of ``points [m, D]``: rows ``[m]``, Euclidean distances ``[m]``."""
    distance, row = squared_distances(features, points).min(dim=0)
    return row, distance.sqrt()
