"""Where Lloyd's iteration starts: greedy k-means++, for many sets at once."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wmdd.ot.ragged import Jobs, Measures, functionals


def draw(generators: Sequence[torch.Generator], *shape: int) -> Tensor:
    """Uniform numbers ``[G, *shape]`` in float64, every measure's from its own generator on the CPU.

    So a seed means the same on every device, and a measure's numbers do not depend on what else is solved.
    """
    return torch.stack([torch.rand(*shape, generator=generator, dtype=torch.float64) for generator in generators])


def sample_entries(jobs: Jobs, mass: Tensor, uniform: Tensor) -> Tensor:
    """For each of ``uniform [J, T]`` an entry of its set, with probability proportional to ``mass [L]``: ``[J, T]``.

    A set without any mass gives its last entry.
    """
    total = jobs.total(mass).clamp(min=torch.finfo(torch.float64).tiny)
    ladder = (mass.double() / total[jobs.owner]).cumsum(0)
    last = jobs.sizes.cumsum(0) - 1
    top = ladder[last]
    base = torch.cat([top.new_zeros(1), top[:-1]])
    wanted = base[:, None] + uniform.to(top.device) * (top - base)[:, None]
    return torch.minimum(torch.searchsorted(ladder, wanted, right=True), last[:, None])


def greedy_seeds(measures: Measures, m: int, starts: int, generators: Sequence[torch.Generator]) -> Tensor:
    """``starts`` sets of m seeds from every measure's points, ``[G, starts, m, D]``.

    k-means++ (Arthur and Vassilvitskii 2007) draws the next seed with probability proportional to the squared
    distance to the seeds so far; the greedy variant draws ``2 + log m`` of them and keeps the one that lowers the cost
    most.
    """
    jobs, trials = Jobs.each(measures, starts), 2 + int(math.log(m))
    uniform = draw(generators, starts, m, trials).flatten(0, 1)
    masses = measures.masses[jobs.rows]
    tried = jobs.rows[sample_entries(jobs, masses, uniform[:, 0, :1])]
    shares = torch.full_like(masses, math.inf)
    chosen = [_keep_best(jobs, tried, shares)]
    for step in range(1, m):
        tried = jobs.rows[sample_entries(jobs, shares, uniform[:, step])]
        chosen.append(_keep_best(jobs, tried, shares))
    return measures.points(torch.stack(chosen, 1).flatten()).view(len(measures), starts, m, -1)


def _keep_best(jobs: Jobs, tried: Tensor, shares: Tensor) -> Tensor:
    """The best of the points ``tried [J, T]`` of each set, ``[J]``; ``shares [L]`` is lowered to what it achieves."""
    measures, best = jobs.measures, torch.empty_like(tried[:, 0])
    for g, sets, entries in jobs.groups:
        count = sets.stop - sets.start
        table = (
            measures.table(g, functionals(measures.points(tried[sets].flatten()))) + measures.energies[measures.rows(g)]
        )
        lowered = torch.minimum(table.view(count, -1, measures.sizes[g]), shares[entries].view(count, 1, -1))
        lowered.clamp_(min=0)
        each, winner = torch.arange(count, device=table.device), lowered.sum(2).argmin(1)
        shares[entries] = lowered[each, winner].flatten()
        best[sets] = tried[sets][each, winner]
    return best
