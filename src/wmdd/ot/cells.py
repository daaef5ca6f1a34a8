"""Nearest-atom cells of many sets of atoms at once: every measure takes one matrix product for all of its sets."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from wmdd.ot.ragged import Jobs, functionals


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells that ``atoms [J, m, D]`` cut the points of their measures into.

    For every entry of ``jobs``, ``labels [L]`` says which atom is nearest, and ``shares [L]`` what the point adds to
    the cost: its mass times its squared distance.
    """

    jobs: Jobs
    atoms: Tensor
    labels: Tensor
    shares: Tensor

    @cached_property
    def cost(self) -> Tensor:
        """W2^2 of each set, weighted by the masses of its cells: the mean squared distance, ``[J]`` float64."""
        return self.jobs.total(self.shares)

    @cached_property
    def _keys(self) -> Tensor:
        return self.jobs.owner * self.atoms.shape[1] + self.labels

    @cached_property
    def counts(self) -> Tensor:
        """Points in each cell, ``[J, m]``."""
        sets, m, _ = self.atoms.shape
        return self._keys.bincount(minlength=sets * m).view(sets, m)

    @cached_property
    def _sums(self) -> Tensor:
        """The sum of ``b_i (h_i, 1)`` over each cell, ``[J, m, D + 1]``.

        One ``embedding_bag``: it adds rows up cell by cell, in the order of the points, without a copy of them.
        """
        lengths = self.counts.flatten()
        members = self.jobs.rows[_stable_order(self._keys, len(lengths))]
        sums = embedding_bag(members, self.jobs.measures.loaded, lengths.cumsum(0) - lengths, mode="sum")
        return sums.view(*self.counts.shape, -1)

    @property
    def masses(self) -> Tensor:
        """The mass of each cell, ``[J, m]``: the weights of the atoms."""
        return self._sums[..., -1]

    def means(self) -> Tensor:
        """The mean of every cell, ``[J, m, D]``; an empty cell's is its atom."""
        mass = self._sums[..., -1:]
        means = self._sums[..., :-1] / mass.clamp(min=torch.finfo(mass.dtype).tiny)
        return torch.where(mass > 0, means, self.atoms)

    def select(self, kept: Tensor) -> "Cells":
        """The sets for which ``kept [J]`` holds."""
        entries = kept[self.jobs.owner]
        return Cells(self.jobs.select(kept.tolist()), self.atoms[kept], self.labels[entries], self.shares[entries])


def _stable_order(keys: Tensor, bound: int) -> Tensor:
    """``keys.argsort(stable=True)`` for integer keys below ``bound``; NumPy's radix sort is much quicker."""
    if keys.device.type == "cpu" and bound <= np.iinfo(np.int16).max:
        return torch.from_numpy(keys.to(torch.int16).numpy().argsort(kind="stable"))
    return keys.argsort(stable=True)


def assign(jobs: Jobs, atoms: Tensor) -> Cells:
    """Cells of ``atoms [J, m, D]``; one that is empty moves to the point of its measure that costs most.

    Moving only helps: an atom that serves nobody costs nothing to take away, and the point it moves to pays nothing
    any more. Cells stay empty only where all points sit on atoms already (fewer distinct points than atoms).
    """
    cells = _nearest(jobs, atoms)
    if bool((cells.counts > 0).all()):
        return cells
    rounding = 8 * torch.finfo(atoms.dtype).eps * jobs.energies
    for _ in range(atoms.shape[1]):
        moved = _move_empty(cells, torch.where(cells.shares > rounding, cells.shares, 0))
        if moved is None:
            break
        cells = _nearest(jobs, moved)
    return cells


def _nearest(jobs: Jobs, atoms: Tensor) -> Cells:
    measures, m = jobs.measures, atoms.shape[1]
    labels = torch.empty(jobs.entries, dtype=torch.long, device=atoms.device)
    shares = torch.empty(jobs.entries, dtype=atoms.dtype, device=atoms.device)
    of = functionals(atoms)
    for run in jobs.runs(m):
        tables = measures.tables(run.measures, of[run.sets].view(len(run.measures), -1, of.shape[2]))
        table = tables.view(-1, m, tables.shape[2])
        lowest = table.amin(1, keepdim=True)
        shares[run.entries] = lowest.flatten()
        labels[run.entries] = _where_lowest(table, lowest).flatten()
    return Cells(jobs, atoms, labels, shares.add_(jobs.energies).clamp_(min=0))


def _where_lowest(table: Tensor, lowest: Tensor) -> Tensor:
    """The first row of ``table [J, m, n]`` that is as low as ``lowest [J, 1, n]``, which is its minimum: ``[J, n]``.

    What ``table.argmin(1)`` is, in passes that CPUs make several times faster. Uses ``table`` up.
    """
    rows = torch.arange(table.shape[1], dtype=table.dtype, device=table.device)[:, None]
    table.sub_(lowest).mul_(torch.finfo(table.dtype).max).add_(rows)  # 0 + row where lowest, far above m elsewhere
    return table.amin(1).long()


def _move_empty(cells: Cells, shares: Tensor) -> Tensor | None:
    """The atoms with those of empty cells moved to the points of largest ``shares [L]``; None where none can move."""
    atoms = cells.atoms.clone()
    ends = cells.jobs.sizes.cumsum(0).tolist()
    moved = False
    for j in (cells.counts == 0).any(1).nonzero()[:, 0].tolist():
        entries = slice(ends[j] - int(cells.jobs.sizes[j]), ends[j])
        empty = (cells.counts[j] == 0).nonzero()[:, 0]
        worst = shares[entries].topk(len(empty))
        useful = worst.values > 0
        atoms[j, empty[useful]] = cells.jobs.measures.points(cells.jobs.rows[entries][worst.indices[useful]])
        moved = moved or bool(useful.any())
    return atoms if moved else None
