"""Euclidean projection onto the probability simplex."""

import torch
from torch import Tensor

from wmdd.core.errors import DataError
from wmdd.ot.checks import require_matrix


def project_simplex(vector: Tensor) -> Tensor:
    """The point of ``{w >= 0, sum w = 1}`` nearest to ``vector [m]``, same dtype.

    It is ``max(v - theta, 0)``, theta being fixed by the sum over the largest entries, those that stay positive
    (Held, Wolfe and Crowder 1974; Duchi et al. 2008). Raises ``DataError`` unless given a finite, non-empty vector.
    """
    if vector.ndim != 1:
        raise DataError(f"vector must have one dimension, but its shape is {list(vector.shape)}.")
    require_matrix("vector", vector[None])
    ordered = vector.sort(descending=True).values
    rank = torch.arange(1, len(vector) + 1, dtype=vector.dtype, device=vector.device)
    excess = (ordered.cumsum(0) - 1) / rank
    support = int((ordered > excess).sum().clamp(min=1))
    return (vector - excess[support - 1]).clamp(min=0)
