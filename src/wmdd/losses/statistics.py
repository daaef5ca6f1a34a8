"""Per-class statistics at the norm layers: PCBN (arXiv 2311.18531)."""

from typing import Literal

import torch
from torch import Tensor

from wmdd.core.types import LayerMoments
from wmdd.losses.norms import squared_or_norm


def statistics_loss(synthetic: LayerMoments, real: LayerMoments, kind: Literal["squared", "norm"]) -> Tensor:
    """``[G]``: for each class ``sum_l ||mu_l(S_k) - mu_kl|| + ||var_l(S_k) - var_kl||``, norms plain or squared.

    Both arguments map layers to moments ``[G, C_l]`` of the same classes.
    """
    terms = [
        squared_or_norm(mine - theirs.to(mine.dtype), kind)
        for layer, moments in synthetic.items()
        for mine, theirs in zip(moments, real[layer], strict=True)
    ]
    return torch.stack(terms).sum(dim=0)
