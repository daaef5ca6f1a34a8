"""Solver ``exact``: free support and free weights, that is optimal quantization.

With one source measure and free weights every point goes to its nearest atom, the weight is the mass of the cell and
the atom its mean: k-means (Pollard 1982; Canas and Rosasco 2012, arXiv 1209.1077). The duals say so too: ``beta = 0``,
``alpha_i = min_j ||z_j - h_i||^2``, hence no change of the weights can help.
"""

from dataclasses import replace
from itertools import accumulate

import torch
from torch import Tensor

from wmdd.ot.barycenter import BarycenterOutput, BarycenterProblem
from wmdd.ot.costs import squared_distances
from wmdd.ot.lloyd import Cells, Descent, assign, descend
from wmdd.ot.plans import Duals
from wmdd.ot.seeding import greedy_seeds
from wmdd.ot.swaps import improve

SEARCH_TOLERANCE = 1e-4  # relative fall of the cost at which a start is compared with the others


def solve_exact(problem: BarycenterProblem, *, seed: int, restarts: int, iterations: int) -> BarycenterOutput:
    """Quantize: ``restarts`` greedy k-means++ starts, each with Lloyd and swaps; the best to convergence in float64.

    The search runs in the dtype of the points, the last descent and the cost in float64. ``iterations`` bounds the
    Lloyd steps of a start, its swap rounds, and the Lloyd steps of the last descent, each.
    """
    generator = torch.Generator().manual_seed(seed)
    points, centre = problem.centred(problem.points.dtype)
    seeds = greedy_seeds(points, problem.atoms, restarts, generator)
    search = descend(points, assign(points, seeds), iterations, SEARCH_TOLERANCE)
    improved = [
        improve(points, search.cells.select(start), generator, iterations)
        for start in torch.arange(restarts).view(-1, 1).to(points.device)
    ]
    winner = min(range(restarts), key=lambda start: float(improved[start][0].cost))
    cells, swapped = improved[winner]
    finish = _finish(problem, cells, iterations)
    history = search.history(winner) + swapped + finish.history(0)
    return _output(problem, finish, centre, _without_rounding(history), restarts)


def _finish(problem: BarycenterProblem, cells: Cells, iterations: int) -> Descent:
    """The last descent, in float64: float32 finds the cells, float64 settles them and their cost."""
    points, _ = problem.centred(torch.float64)
    finish = descend(points, assign(points, cells.atoms.double()), iterations, 0.0)
    return replace(finish, cells=_share_duplicates(points, finish.cells))


def _share_duplicates(points: Tensor, cells: Cells) -> Cells:
    """Give every empty cell one point of a cell that has several, and hence every atom a weight.

    Cells are empty only where the points have fewer distinct values than there are atoms; the copies of a value then
    share its atoms, at no cost.
    """
    atoms, labels, distances = cells.atoms[0].clone(), cells.labels[0].clone(), cells.distances[0].clone()
    for empty in (cells.counts[0] == 0).nonzero()[:, 0].tolist():
        spare = labels.bincount(minlength=len(atoms))[labels] > 1
        given = torch.where(spare, distances, -1).argmax()
        atoms[empty], labels[given], distances[given] = points[given], empty, 0
    return Cells(atoms[None], labels[None], distances[None])


def _without_rounding(history: list[float]) -> tuple[float, ...]:
    """The history with each cost raised to the highest that follows: float32 costs of the search may err downwards."""
    return tuple(accumulate(reversed(history), max))[::-1]


def _output(
    problem: BarycenterProblem, finish: Descent, centre: Tensor, history: tuple[float, ...], restarts: int
) -> BarycenterOutput:
    atoms = finish.cells.atoms[0] + centre
    weights = finish.cells.counts[0].double() / problem.count
    nearest = squared_distances(atoms, problem.points.double()).amin(0)
    return BarycenterOutput(
        atoms=atoms.to(problem.points.dtype),
        weights=weights.to(problem.points.dtype),
        cost=float(finish.cells.cost),
        history=history,
        iterations=len(history),
        converged=bool(finish.converged),
        restarts=restarts,
        duals=Duals(beta=torch.zeros_like(weights), alpha=nearest),
    )
