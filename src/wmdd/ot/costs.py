"""Squared Euclidean distances, the ground cost of W2."""

import torch
from torch import Tensor

from wmdd.core.errors import DataError
from wmdd.ot.checks import require_matrix


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """``||x_i - y_j||^2`` for ``x [n, D]`` and ``y [m, D]``, as ``[n, m]`` in their dtype, never negative.

    The products are formed in float64 after centring, whatever the dtype: the expansion
    ``|x|^2 + |y|^2 - 2 <x, y>`` cancels, and float32 products would lose the distance of two points that lie closer
    than a thousandth of their norm. Raises ``DataError`` for NaN, inf, empty or mismatched matrices.
    """
    require_matrix("x", x)
    require_matrix("y", y)
    if x.shape[1] != y.shape[1]:
        raise DataError(f"x and y must have the same width, but they have {x.shape[1]} and {y.shape[1]} columns.")
    centre = y.double().mean(0)
    return expanded_distances(x.double() - centre, y.double() - centre).to(torch.promote_types(x.dtype, y.dtype))


def expanded_distances(x: Tensor, y: Tensor, x_norms: Tensor | None = None) -> Tensor:
    """``||x_i - y_j||^2 [n, m]`` by one matrix product in the working dtype; the caller has centred, and checked.

    ``x_norms [n]`` spares the squared norms of ``x`` where many calls share them.
    """
    x_norms = squared_norms(x) if x_norms is None else x_norms
    norms = x_norms[:, None] + squared_norms(y)
    return torch.addmm(norms, x, y.T, alpha=-2).clamp_(min=0)


def squared_norms(x: Tensor) -> Tensor:
    """``||x_i||^2`` over the last dimension."""
    return x.square().sum(-1)
