"""Lloyd's iteration for several starts at once: every step is two matrix products, whatever the number of starts."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from wmdd.ot.costs import expanded_distances, squared_norms


@dataclass(frozen=True, eq=False)
class Cells:
    """R sets of m atoms and the nearest-atom cells that they cut the n points into.

    ``atoms [R, m, D]``, ``labels [R, n]``, ``distances [R, n]`` (squared, to the own atom).
    """

    atoms: Tensor
    labels: Tensor
    distances: Tensor

    @property
    def cost(self) -> Tensor:
        """W2^2 of the atoms, weighted by the masses of their cells: the mean squared distance to the nearest atom."""
        return self.distances.mean(1, dtype=torch.float64)

    @property
    def counts(self) -> Tensor:
        """Points in each cell, ``[R, m]``."""
        zeros = torch.zeros(self.atoms.shape[:2], dtype=torch.long, device=self.labels.device)
        return zeros.scatter_add(1, self.labels, torch.ones_like(self.labels))

    def means(self, points: Tensor) -> Tensor:
        """The mean of every cell, ``[R, m, D]``, as one product (deterministic on a GPU, unlike scattered sums)."""
        members = one_hot(self.labels, self.atoms.shape[1]).to(points.dtype)
        sums = members.permute(0, 2, 1).reshape(-1, len(points)) @ points
        return sums.view_as(self.atoms) / members.sum(1).clamp(min=1)[..., None]

    def select(self, starts: Tensor) -> "Cells":
        """The sets in ``starts`` (indices)."""
        return Cells(self.atoms[starts], self.labels[starts], self.distances[starts])

    def replaced(self, starts: Tensor, other: "Cells") -> "Cells":
        """These sets, with those in ``starts`` taken from ``other``."""
        return Cells(
            self.atoms.index_copy(0, starts, other.atoms),
            self.labels.index_copy(0, starts, other.labels),
            self.distances.index_copy(0, starts, other.distances),
        )


@dataclass(frozen=True, eq=False)
class Descent:
    """How Lloyd's iteration ended: ``cells``, ``costs [T, R]`` after each step, ``steps [R]``, ``converged [R]``."""

    cells: Cells
    costs: Tensor
    steps: Tensor
    converged: Tensor

    @property
    def winner(self) -> Tensor:
        """The start that ended lowest, ``[1]``."""
        return self.cells.cost.argmin()[None]

    def history(self, start: int) -> list[float]:
        """The cost after each iteration that ``start`` needed."""
        costs: list[float] = self.costs[: int(self.steps[start]), start].tolist()
        return costs


def assign(points: Tensor, atoms: Tensor) -> Cells:
    """Cells of ``atoms [R, m, D]`` among centred ``points [n, D]``; an empty one moves to the worst-served point.

    Moving only helps: an atom that serves nobody costs nothing to take away, and the point it moves to pays nothing
    any more. Cells stay empty only where all points sit on atoms already (fewer distinct points than atoms).
    """
    cells = _nearest(points, atoms)
    served = torch.finfo(points.dtype).eps * squared_norms(points).mean()
    for _ in range(atoms.shape[1]):
        empty = cells.counts == 0
        movable = empty.any(1) & (cells.distances.amax(1) > 8 * served)
        if not bool(movable.any()):
            break
        cells = _nearest(points, _move_empty(points, cells, empty & movable[:, None]))
    return cells


def descend(points: Tensor, cells: Cells, iterations: int, tolerance: float) -> Descent:
    """Iterate "atoms to the means of their cells, points to their nearest atom" until the cost stops falling.

    A start has converged when a step lowers its cost by no more than ``tolerance`` (relative); a step that does not
    lower it is not taken, so the cost never rises, in any precision.
    """
    converged = torch.zeros(len(cells.atoms), dtype=torch.bool, device=points.device)
    steps = torch.zeros_like(converged, dtype=torch.long)
    costs: list[Tensor] = []
    for _ in range(iterations):
        live = (~converged).nonzero()[:, 0]
        steps[live] += 1
        before = cells.select(live)
        after = assign(points, before.means(points))
        lower = after.cost < before.cost
        cells = cells.replaced(live[lower], after.select(lower.nonzero()[:, 0]))
        converged[live] = ~(after.cost < before.cost * (1 - tolerance))
        costs.append(cells.cost)
        if bool(converged.all()):
            break
    return Descent(cells, torch.stack(costs), steps, converged)


def _nearest(points: Tensor, atoms: Tensor) -> Cells:
    starts, m, width = atoms.shape
    distances = expanded_distances(points, atoms.reshape(-1, width)).view(-1, starts, m)
    nearest = distances.min(2)
    return Cells(atoms, nearest.indices.T.contiguous(), nearest.values.T.contiguous())


def _move_empty(points: Tensor, cells: Cells, empty: Tensor) -> Tensor:
    atoms = cells.atoms.clone()
    for start in empty.any(1).nonzero()[:, 0].tolist():
        worst = cells.distances[start].topk(int(empty[start].sum())).indices
        atoms[start, empty[start]] = points[worst]
    return atoms
