"""The Euclidean norm of rows, squared or plain."""

from typing import Literal

import torch
from torch import Tensor


def squared_or_norm(difference: Tensor, kind: Literal["squared", "norm"]) -> Tensor:
    """``||row||^2`` or ``||row||`` of ``difference [G, n]``; the norm's gradient at 0 is 0."""
    if kind == "squared":
        return difference.square().sum(dim=1)
    norm: Tensor = torch.linalg.vector_norm(difference, dim=1)
    return norm


def root(squares: Tensor) -> Tensor:
    """The square root, with gradient 0 at 0. What is not a number stays none, so that a diverged loss is noticed."""
    zero = squares <= 0
    return torch.where(zero, 0, torch.where(zero, 1, squares).sqrt())
