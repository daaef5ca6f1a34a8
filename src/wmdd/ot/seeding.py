"""Where Lloyd's iteration starts: greedy k-means++, for many sets at once."""

import math

import torch
from torch import Tensor

from wmdd.ot.ragged import Jobs, functionals


def draw(seed: int, *shape: int) -> Tensor:
    """Uniform numbers ``[*shape]`` in float64, drawn on the CPU: a seed means the same on every device."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sample_entries(jobs: Jobs, mass: Tensor, uniform: Tensor) -> Tensor:
    """For each of ``uniform [J, T]`` an entry of its set, with probability proportional to ``mass [L]``: ``[J, T]``.

    A set without any mass gives its last entry.
    """
    drawn = torch.empty(uniform.shape, dtype=torch.long, device=mass.device)
    for run in jobs.runs(uniform.shape[1]):
        sets = run.sets.stop - run.sets.start
        ladder = mass[run.entries].view(sets, -1).cumsum(1, dtype=torch.float64)
        wanted = uniform[run.sets].to(mass.device) * ladder[:, -1:]
        n = ladder.shape[1]
        first = torch.arange(run.entries.start, run.entries.stop, n, device=mass.device)[:, None]
        drawn[run.sets] = torch.searchsorted(ladder, wanted, right=True).clamp_(max=n - 1) + first
    return drawn


def greedy_seeds(jobs: Jobs, m: int, seed: int) -> Tensor:
    """A set of m seeds for each of ``jobs`` from its measure's points, ``[J, m, D]``.

    k-means++ (Arthur and Vassilvitskii 2007) draws the next seed with probability proportional to the squared
    distance to the seeds so far; the greedy variant draws ``2 + log m`` of them and keeps the one that lowers the cost
    most. A measure's draws do not depend on what else is solved.
    """
    measures, trials = jobs.measures, 2 + int(math.log(m))
    uniform = torch.cat([draw(seed, sets.stop - sets.start, m, trials) for _, sets, _ in jobs.groups])
    masses = measures.masses[jobs.rows]
    tried = jobs.rows[sample_entries(jobs, masses, uniform[:, 0, :1])]
    shares = torch.full_like(masses, math.inf)
    chosen = [_keep_best(jobs, tried, shares)]
    for step in range(1, m):
        tried = jobs.rows[sample_entries(jobs, shares, uniform[:, step])]
        chosen.append(_keep_best(jobs, tried, shares))
    return measures.points(torch.stack(chosen, 1).flatten()).view(len(jobs), m, -1)


def _keep_best(jobs: Jobs, tried: Tensor, shares: Tensor) -> Tensor:
    """The best of the points ``tried [J, T]`` of each set, ``[J]``; ``shares [L]`` is lowered to what it achieves."""
    measures, best = jobs.measures, torch.empty_like(tried[:, 0])
    for run in jobs.runs(tried.shape[1]):
        mine = tried[run.sets]
        points = measures.points(mine.flatten()).view(len(run.measures), -1, measures.loaded.shape[1] - 1)
        table = measures.tables(run.measures, functionals(points))
        table += measures.span(run.measures, measures.energies)[:, None]
        before = shares[run.entries].view(len(mine), 1, -1)
        lowered = table.view(len(mine), -1, before.shape[2])
        torch.minimum(lowered, before, out=lowered).clamp_(min=0)
        each, winner = torch.arange(len(mine), device=table.device), lowered.sum(2).argmin(1)
        shares[run.entries] = lowered[each, winner].flatten()
        best[run.sets] = mine[each, winner]
    return best
