"""Distance of synthetic features to barycenter atoms."""

from typing import Literal

from torch import Tensor

from wmdd.losses.norms import squared_or_norm


def feature_loss(features: Tensor, atoms: Tensor, kind: Literal["squared", "norm"]) -> Tensor:
    """``[G]``: for each class ``sum_j ||h(s_kj) - z_kj||^2`` (arXiv 2311.18531), or its square root.

    ``features`` and ``atoms`` are ``[G, m, D]``. The plain norm's gradient does not shrink with the distance.
    """
    return squared_or_norm((features - atoms).flatten(1), kind)
