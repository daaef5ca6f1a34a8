"""A start for many small cells: Ward's tree of merged points, cut at m."""

import torch
from torch import Tensor

from wmdd.ot.ragged import Measures

SMALL_CELLS = 16  # points of an average cell up to which merging beats seeding
LARGEST = 8192  # points of a measure whose distances to one another (n^2 / 2 of them, in float64) are still held


def suits(size: int, m: int) -> bool:
    """Whether the tree of a measure of ``size`` points is worth its time, and can be made."""
    return m < size <= min(SMALL_CELLS * m, LARGEST)


def ward_atoms(measures: Measures, g: int, m: int) -> Tensor:
    """Means of the m clusters of measure ``g`` in which merging two costs least (Ward 1963), ``[m, D]``.

    The tree knows no masses: a start needs none.
    """
    from scipy.cluster.hierarchy import fcluster, linkage  # a fifth of a second, which few solvers need pay

    loaded = measures.loaded[measures.rows(g)]
    points = (loaded[:, :-1] / loaded[:, -1:]).double().cpu().numpy()
    labels = torch.from_numpy(fcluster(linkage(points, "ward"), m, "maxclust") - 1).long().to(loaded.device)
    # As a product: an index_add on a GPU sums in another order every time.
    sums = torch.nn.functional.one_hot(labels, m).to(loaded.dtype).T @ loaded
    # Ties can leave fewer clusters than m: an atom too many sits at the origin, finds no point, and is moved.
    return sums[:, :-1] / sums[:, -1:].clamp(min=torch.finfo(loaded.dtype).tiny)
