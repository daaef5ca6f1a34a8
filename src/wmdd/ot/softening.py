"""Leaving the nearest local optimum of Lloyd's iteration: cells that are soft at first, and harden."""

import torch
from torch import Tensor

from wmdd.ot.ragged import Jobs, Measures, Run, functionals

WIDEST, HARDEST = 0.2, 0.01  # epsilon in the first and in the last round, as shares of the measure's variance
ROUNDS = 16, 48  # fewest and most rounds of soft assignment and weighted means, epsilon falling from one to the next
ATOM_ROUNDS = 480  # atoms times rounds: few atoms have the worse local optima, and rounds that cost little


def soften(jobs: Jobs, atoms: Tensor) -> Tensor:
    """Where ``atoms [J, m, D]`` lead to when every point is shared among them while epsilon falls: ``[J, m, D]``.

    Point i belongs to atom j by ``softmax_j(-||z_j - h_i||^2 / epsilon)``, which is the entropic plan with free
    weights, and an atom moves to the mean of its shares: deterministic annealing (Rose 1998). Many starts that differ
    in their local optimum end in the same, better one.
    """
    rounds = min(max(ATOM_ROUNDS // atoms.shape[1], ROUNDS[0]), ROUNDS[1])
    for step in range(rounds):
        share = WIDEST * (HARDEST / WIDEST) ** (step / (rounds - 1))
        moved = torch.empty_like(atoms)
        for run in jobs.runs(atoms.shape[1]):
            moved[run.sets] = _soft_means(jobs.measures, run, atoms[run.sets], share)
        atoms = moved
    return atoms


def _soft_means(measures: Measures, run: Run, atoms: Tensor, share: float) -> Tensor:
    loaded, energies = measures.span(run.measures, measures.loaded), measures.span(run.measures, measures.energies)
    count, m, _ = atoms.shape
    epsilon = share * energies.sum(1, keepdim=True).clamp(min=torch.finfo(atoms.dtype).tiny)
    table = measures.tables(run.measures, functionals(atoms).view(len(loaded), -1, loaded.shape[2]))
    table /= -(epsilon * loaded[:, :, -1])[:, None]
    belongs = measures.rooms.take("belongs", tuple(table.shape), table)
    torch.softmax(table.view(count, m, -1), 1, out=belongs.view(count, m, -1))
    sums = torch.bmm(belongs, loaded).view(count, m, -1)
    mass = sums[..., -1:]
    # An atom so far out that no point has a share of it stays where it is.
    return torch.where(mass > 0, sums[..., :-1] / mass.clamp(min=torch.finfo(mass.dtype).tiny), atoms)
