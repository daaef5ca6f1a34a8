"""Where Lloyd's iteration starts: greedy k-means++, for several starts at once."""

import math

import torch
from torch import Tensor

from wmdd.ot.costs import expanded_distances, squared_norms


def sample_by(mass: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """``draws`` indices for each row of ``mass [R, n]``, ``[R, draws]``, with probability proportional to the mass.

    The random numbers are drawn on the CPU, so that a seed means the same on every device. A row without mass gives
    its last index.
    """
    ladder = mass.double().cumsum(1)
    uniform = torch.rand(mass.shape[0], draws, generator=generator, dtype=torch.float64).to(mass.device)
    return torch.searchsorted(ladder, uniform * ladder[:, -1:], right=True).clamp_(max=mass.shape[1] - 1)


def greedy_seeds(points: Tensor, m: int, starts: int, generator: torch.Generator) -> Tensor:
    """``starts`` sets of m seeds from centred ``points [n, D]``, as ``[starts, m, D]``.

    k-means++ (Arthur and Vassilvitskii 2007) draws the next seed with probability proportional to the squared
    distance to the seeds so far; the greedy variant draws ``2 + log m`` of them and keeps the one that lowers the cost
    most.
    """
    n = len(points)
    norms = squared_norms(points)
    chosen = torch.randint(n, (starts, 1), generator=generator).to(points.device)
    closest = expanded_distances(points[chosen[:, 0]], points)
    for _ in range(1, m):
        trials = sample_by(closest, 2 + int(math.log(m)), generator)
        distances = expanded_distances(points, points[trials.flatten()], norms).T.view(*trials.shape, n)
        candidates = torch.minimum(distances, closest[:, None])
        best = candidates.sum(2, dtype=torch.float64).argmin(1, keepdim=True)
        closest = candidates.take_along_dim(best[..., None], 1)[:, 0]
        chosen = torch.cat([chosen, trials.take_along_dim(best, 1)], 1)
    return points[chosen]
