"""Leaving the nearest local optimum of Lloyd's iteration: cells that are soft at first, and harden."""

from dataclasses import dataclass

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
    runs = [(run.sets, _Shared.of(jobs.measures, run)) for run in jobs.runs(atoms.shape[1])]
    for step in range(rounds):
        share = WIDEST * (HARDEST / WIDEST) ** (step / (rounds - 1))
        moved = torch.empty_like(atoms)
        for sets, shared in runs:
            moved[sets] = shared.means(atoms[sets], share)
        atoms = moved
    return atoms


@dataclass(frozen=True, eq=False)
class _Shared:
    """Measures whose points are shared among atoms.

    Their rows as ``loaded [G', n, D + 1]`` and without the masses, as ``points [G', D + 1, n]``, each measure's
    ``variances [G', 1, 1]``, and ``room`` for the shares.
    """

    measures: Measures
    loaded: Tensor
    points: Tensor
    variances: Tensor

    @staticmethod
    def of(measures: Measures, run: Run) -> "_Shared":
        loaded, energies = measures.span(run.measures, measures.loaded), measures.span(run.measures, measures.energies)
        variances = energies.sum(1).clamp(min=torch.finfo(loaded.dtype).tiny)[:, None, None]
        return _Shared(measures, loaded, (loaded / loaded[..., -1:]).mT.contiguous(), variances)

    def means(self, atoms: Tensor, share: float) -> Tensor:
        """Where ``atoms [J, m, D]`` move with an epsilon of ``share`` of the variance."""
        count, m, _ = atoms.shape
        closeness = functionals(atoms).view(len(self.loaded), -1, self.loaded.shape[2]) / (-share * self.variances)
        shape = (len(self.loaded), closeness.shape[1], self.loaded.shape[1])
        table = torch.bmm(closeness, self.points, out=self.measures.rooms.take("tables", shape, atoms))
        belongs = self.measures.rooms.take("belongs", shape, atoms)
        torch.softmax(table.view(count, m, -1), 1, out=belongs.view(count, m, -1))
        sums = torch.bmm(belongs, self.loaded).view(count, m, -1)
        mass = sums[..., -1:]
        # An atom so far out that no point has a share of it stays where it is.
        return torch.where(mass > 0, sums[..., :-1] / mass.clamp(min=torch.finfo(mass.dtype).tiny), atoms)
