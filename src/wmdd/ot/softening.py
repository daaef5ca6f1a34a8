"""Leaving the nearest local optimum of Lloyd's iteration: cells that are soft at first, and harden."""

import torch
from torch import Tensor

from wmdd.ot.ragged import Jobs, functionals

WIDEST, HARDEST = 0.2, 0.01  # epsilon in the first and in the last round, as shares of the measure's variance
ROUNDS = 16  # of soft assignment and weighted means, epsilon falling from one to the next


def soften(jobs: Jobs, atoms: Tensor) -> Tensor:
    """Where ``atoms [J, m, D]`` lead to when every point is shared among them while epsilon falls: ``[J, m, D]``.

    Point i belongs to atom j by ``softmax_j(-||z_j - h_i||^2 / epsilon)``, which is the entropic plan with free
    weights, and an atom moves to the mean of its shares: deterministic annealing (Rose 1998). Many starts that differ
    in their local optimum end in the same, better one.
    """
    for step in range(ROUNDS):
        share = WIDEST * (HARDEST / WIDEST) ** (step / (ROUNDS - 1))
        moved = torch.empty_like(atoms)
        for g, sets, _ in jobs.groups:
            moved[sets] = _soft_means(jobs, g, atoms[sets], share)
        atoms = moved
    return atoms


def _soft_means(jobs: Jobs, g: int, atoms: Tensor, share: float) -> Tensor:
    measures, (sets, m, _) = jobs.measures, atoms.shape
    rows = measures.rows(g)
    epsilon = share * measures.energies[rows].sum().clamp(min=torch.finfo(atoms.dtype).tiny)
    table = measures.table(g, functionals(atoms).flatten(0, 1)) / (-epsilon * measures.masses[rows])
    belongs = table.view(sets, m, -1).softmax(1).flatten(0, 1)
    sums = (belongs @ measures.loaded[rows]).view(sets, m, -1)
    mass = sums[..., -1:]
    # An atom so far out that no point has a share of it stays where it is.
    return torch.where(mass > 0, sums[..., :-1] / mass.clamp(min=torch.finfo(mass.dtype).tiny), atoms)
