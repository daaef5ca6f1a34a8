"""The projected subgradient step on the weights of a barycenter whose atoms stand still."""

import torch
from torch import Tensor

from wmdd.ot.simplex import project_simplex

VANISHED = 1e-12  # weight below which an atom counts as having none: its Newton step would divide by it


def weight_step(weights: Tensor, beta: Tensor, step: int) -> Tensor:
    """``w <- P(w - eta_t g)`` for ``weights [m]``, g being the dual ``beta [m]`` of their transport cost, centred.

    The simplex has no other directions than centred ones. The paper does not print its step rule; ours is the
    textbook one that needs no scale: length ``1 / (m sqrt t)``, ``step`` t counting all steps so far (it diminishes,
    and its sum diverges: Shor 1985).
    """
    gradient = beta - beta.mean()
    length = 1 / (len(weights) * step**0.5)
    tiny = torch.finfo(gradient.dtype).tiny
    return without_vanished(weights - length * gradient / gradient.norm().clamp(min=tiny))


def without_vanished(weights: Tensor) -> Tensor:
    """The point of the simplex nearest to ``weights [m]``, what is as good as zero being zero."""
    projected = project_simplex(weights)
    kept = torch.where(projected > VANISHED, projected, 0)
    return kept / kept.sum()
