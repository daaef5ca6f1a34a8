"""An order of a measure's points that is the measure's own."""

import torch
from torch import Tensor

from wmdd.ot.ragged import Measures


def in_canonical_order(measures: Measures) -> Tensor:
    """The rows ``[N]`` of each measure by their distance to a point that follows it.

    An order that permuting, translating, rotating or scaling a class leaves alone: with its points in this order, a
    seed makes the same random choices whatever the order in which they came. The point is not the mean, to which
    points on a lattice (pixels, counts) often are equally near, but lies off it, to where the points reach furthest.
    """
    parts = []
    for g in range(len(measures)):
        rows = measures.rows(g)
        squared = measures.energies[rows] / measures.masses[rows]
        loaded = measures.loaded[rows, :-1]
        reach = (squared @ loaded) / measures.energies[rows].sum().clamp(min=torch.finfo(loaded.dtype).tiny)
        key = squared - (loaded @ reach) / measures.masses[rows]
        parts.append(key.argsort(stable=True) + measures.first[g])
    return torch.cat(parts)
