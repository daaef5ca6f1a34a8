"""Per-class statistics at the norm layers: PCBN (arXiv 2311.18531)."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from wmdd.core.pooled import side_by_side
from wmdd.core.types import LayerMoments
from wmdd.losses.norms import root
from wmdd.losses.pooling import class_moments


def statistics_loss(
    images: LayerMoments, weights: Tensor, real: LayerMoments, kind: Literal["squared", "norm"]
) -> Tensor:
    """``[G]``: for each class ``sum_l ||mu_l(S_k) - mu_kl|| + ||var_l(S_k) - var_kl||``, norms plain or squared.

    ``images`` maps layers to the moments ``[G m, C_l]`` of the synthetic images, class after class, which ``weights
    [G, m]`` pool; ``real`` maps them to the real moments ``[G, C_l]``.
    """
    mine = class_moments(side_by_side(images.values()), weights)
    theirs = side_by_side(real[layer] for layer in images)
    difference = torch.cat(mine) - torch.cat(theirs).to(mine.mean.dtype)
    widths = torch.tensor([moments.mean.shape[1] for moments in images.values()], device=difference.device)
    channels = difference.shape[1]
    layer = torch.arange(len(widths), device=difference.device).repeat_interleave(widths, output_size=channels)
    # Which channel is of which layer: one product where each of dozens of layers would take operations of its own.
    squares = difference.square() @ one_hot(layer, len(widths)).to(difference.dtype)
    terms = squares if kind == "squared" else root(squares)
    return terms.sum(dim=1).view(2, -1).sum(dim=0)
