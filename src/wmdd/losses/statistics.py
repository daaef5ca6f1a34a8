"""Per-class statistics at the norm layers: PCBN (arXiv 2311.18531)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from wmdd.core.pooled import side_by_side
from wmdd.core.types import LayerMoments, Moments
from wmdd.losses.norms import root
from wmdd.losses.pooling import class_moments

Distance = Literal["squared", "norm", "relative"]
"""Of a layer's statistics from the real ones: a norm, its square, or the norm in units of the real layer's size."""


def statistics_loss(images: LayerMoments, weights: Tensor, real: LayerMoments, kind: Distance) -> Tensor:
    """``[G]``: for each class ``sum_l ||mu_l(S_k) - mu_kl|| / a_kl + ||var_l(S_k) - var_kl|| / b_kl``.

    ``a`` and ``b`` are 1, and the norms squared where ``kind`` is that. Where it is "relative", ``a_kl`` is the root of
    the layer's summed real variances and ``b_kl = ||var_kl||``: then no layer counts for more because a network
    happens to have larger numbers there.

    ``images`` maps layers to the moments ``[G m, C_l]`` of the synthetic images, class after class, which ``weights
    [G, m]`` pool; ``real`` maps them to the real moments ``[G, C_l]``.
    """
    mine = class_moments(side_by_side(images.values()), weights)
    theirs = Moments(*(part.to(mine.mean.dtype) for part in side_by_side(real[layer] for layer in images)))
    # Which channel is of which layer: one product where each of dozens of layers would take operations of its own.
    member = _layers([moments.mean.shape[1] for moments in images.values()], mine.mean)
    squares = (torch.cat(mine) - torch.cat(theirs)).square() @ member
    if kind == "relative":
        squares = squares / _sizes(theirs, member)
    terms = squares if kind == "squared" else root(squares)
    return terms.sum(dim=1).view(2, -1).sum(dim=0)


def _layers(widths: Sequence[int], like: Tensor) -> Tensor:
    """One-hot ``[C, L]`` of the layer of each of ``C = sum(widths)`` channels, as ``like`` is."""
    counts = torch.tensor(widths, device=like.device)
    layer = torch.arange(len(widths), device=like.device).repeat_interleave(counts, output_size=sum(widths))
    return one_hot(layer, len(widths)).to(like.dtype)


def _sizes(real: Moments, member: Tensor) -> Tensor:
    """``a_kl^2`` of all classes above ``b_kl^2``, ``[2 G, L]``; 1 for a layer that does not respond to the class."""
    sizes = torch.cat([real.var, real.var.square()]) @ member
    return torch.where(sizes > 0, sizes, 1)
