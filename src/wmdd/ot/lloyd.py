"""Lloyd's iteration for many sets of atoms at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from wmdd.ot.cells import Cells, assign


@dataclass(frozen=True, eq=False)
class Descent:
    """How Lloyd's iteration ended for J sets: ``atoms [J, m, D]``, their ``cost [J]``, and how they came there.

    ``costs [T, J]`` after each step, ``steps [J]`` that each set took, ``converged [J]``.
    """

    atoms: Tensor
    cost: Tensor
    costs: Tensor
    steps: Tensor
    converged: Tensor

    def history(self, j: int) -> list[float]:
        """The cost after each iteration that set ``j`` needed."""
        costs: list[float] = self.costs[: int(self.steps[j]), j].tolist()
        return costs


def descend(cells: Cells, iterations: int, tolerance: float) -> Descent:
    """Iterate "atoms to the means of their cells, points to their nearest atom" until the cost stops falling.

    A set has converged when a step lowers its cost by no more than ``tolerance`` (relative), and takes no further part;
    a step that does not lower the cost is not taken, so the cost never rises, in any precision.
    """
    atoms, cost = cells.atoms.clone(), cells.cost.clone()
    live = torch.arange(len(cells.jobs), device=atoms.device)
    steps = torch.zeros_like(live)
    costs: list[Tensor] = []
    for _ in range(iterations):
        moved = assign(cells.jobs, cells.means())
        lower = moved.cost < cells.cost
        going_on = moved.cost < cells.cost * (1 - tolerance)
        steps[live] += 1
        atoms[live[lower]], cost[live[lower]] = moved.atoms[lower], moved.cost[lower]
        costs.append(cost.clone())
        if not bool(going_on.all()):
            live, moved = live[going_on], moved.select(going_on)
        if not len(live):
            break
        cells = moved
    converged = torch.ones_like(steps, dtype=torch.bool)
    converged[live] = False
    return Descent(atoms, cost, torch.stack(costs), steps, converged)
