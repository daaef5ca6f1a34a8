"""Per-class statistics at the norm layers: PCBN (arXiv 2311.18531)."""

from typing import Literal

import torch
from torch import Tensor

from wmdd.core.pooled import side_by_side
from wmdd.core.types import LayerMoments
from wmdd.losses.norms import squared_or_norm
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
    widths = [moments.mean.shape[1] for moments in images.values()]
    terms = [squared_or_norm(layer, kind) for layer in difference.split(widths, dim=1)]
    return torch.stack(terms).sum(dim=0).view(2, -1).sum(dim=0)
