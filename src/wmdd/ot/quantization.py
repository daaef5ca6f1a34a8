"""Solver ``exact``: free support and free weights, that is optimal quantization.

With one source measure and free weights every point goes to its nearest atom, the weight is the mass of the cell and
the atom its mean: k-means (Pollard 1982; Canas and Rosasco 2012, arXiv 1209.1077). The duals say so too: ``beta = 0``,
``alpha_i = min_j ||z_j - h_i||^2``, hence no change of the weights can help.
"""

from itertools import accumulate

import torch
from torch import Tensor

from wmdd.ot.barycenter import BarycenterOutput, BarycenterProblem, ClassOutput, stack
from wmdd.ot.cells import Cells, assign
from wmdd.ot.lloyd import descend
from wmdd.ot.plans import Duals
from wmdd.ot.ragged import Jobs, Measures, filled_up, one_by_one
from wmdd.ot.seeding import greedy_seeds
from wmdd.ot.softening import soften
from wmdd.ot.subspace import narrowed
from wmdd.ot.ward import suits, ward_atoms

ROUGH_TOLERANCE = 1e-2  # relative fall of the cost at which a start is softened
SEARCH_TOLERANCE = 1e-3  # the same, where starts are compared with one another


def solve_exact(problem: BarycenterProblem, *, seed: int, restarts: int, iterations: int) -> BarycenterOutput:
    """Quantize every class: search in its leading directions, then Lloyd's iteration in the space itself.

    The search takes the best of ``restarts`` starts (greedy k-means++; where cells are small one of them is Ward's
    tree), annealed. It runs in the dtype of the points, for all classes at once; the last steps and the cost in
    float64. ``iterations`` bounds the Lloyd steps of a start, and those of the last descent.
    """
    narrow = narrowed(problem)
    found, searched = search(narrow.measures, problem.atoms, seed, restarts, iterations)
    cells = assign(Jobs.each(narrow.measures), found)
    labels = torch.empty_like(cells.labels).index_copy_(0, narrow.order, cells.labels)
    outputs = []
    for g, (measure, centre) in enumerate(one_by_one(problem.measures(), max(problem.lengths), torch.float64)):
        history = [cost + narrow.left_out[g] for cost in searched[g]]
        outputs.append(_finish(measure, centre, problem.atoms, labels[narrow.measures.rows(g)], history, iterations))
    return stack(outputs, restarts, problem.points.dtype)


def search(measures: Measures, m: int, seed: int, restarts: int, iterations: int) -> tuple[Tensor, list[list[float]]]:
    """The best atoms found ``[G, m, D]``, and class by class the costs on the way to them."""
    if m == 1:
        return measures.loaded.new_zeros(len(measures), 1, measures.loaded.shape[1] - 1), [[] for _ in measures.sizes]
    filled = filled_up(measures)
    jobs = Jobs.each(filled, restarts)
    rough = descend(assign(jobs, _starts(measures, jobs, m, seed)), iterations, ROUGH_TOLERANCE)
    annealed = descend(assign(jobs, soften(jobs, rough.atoms)), iterations, SEARCH_TOLERANCE)
    lower = annealed.cost < rough.cost
    atoms = torch.where(lower[:, None, None], annealed.atoms, rough.atoms)
    winners = jobs.best(torch.minimum(annealed.cost, rough.cost).tolist())
    settled = descend(assign(Jobs.each(filled), atoms[winners]), iterations, 0.0)
    histories = [
        [*accumulate(rough.history(j) + annealed.history(j), min), *settled.history(g)] for g, j in enumerate(winners)
    ]
    return settled.atoms, histories


def _starts(measures: Measures, jobs: Jobs, m: int, seed: int) -> Tensor:
    """Where each of ``jobs`` begins, ``[J, m, D]``: Ward's tree in the first of a class whose cells are small."""
    # Asked of each class by itself: what stands beside it must not matter.
    trees = {sets.start: g for g, sets, _ in jobs.groups if suits(measures.sizes[g], m)}
    seeded = [j not in trees for j in range(len(jobs))]
    starts = measures.loaded.new_empty(len(jobs), m, measures.loaded.shape[1] - 1)
    if any(seeded):
        starts[seeded] = greedy_seeds(jobs.select(seeded), m, seed)
    for j, g in trees.items():
        starts[j] = ward_atoms(measures, g, m)
    return starts


def _finish(
    measure: Measures, centre: Tensor, m: int, labels: Tensor, history: list[float], iterations: int
) -> ClassOutput:
    """The last descent of one class, in the space itself, from the cells that ``labels [n]`` name."""
    cells, costs, converged = _settle(measure, m, labels, iterations)
    cells = _share_duplicates(cells)
    return ClassOutput(
        atoms=cells.atoms[0] + centre,
        weights=cells.masses[0],
        cost=float(cells.cost),
        history=_without_rounding(history + costs),
        converged=converged,
        duals=Duals(torch.zeros_like(cells.masses[0]), cells.shares / measure.masses),
    )


def _settle(measure: Measures, m: int, labels: Tensor, iterations: int) -> tuple[Cells, list[float], bool]:
    """Lloyd's iteration for one measure from the cells that ``labels [n]`` name: the last cells, costs, converged."""
    jobs = Jobs.each(measure)
    nowhere = measure.loaded.new_zeros(1, m, measure.loaded.shape[1] - 1)
    cells = Cells(jobs, nowhere, labels, torch.zeros_like(measure.energies))
    costs: list[float] = []
    for _ in range(iterations):
        moved = assign(jobs, cells.means())
        if costs and not float(moved.cost) < costs[-1]:
            return cells, costs, True
        costs.append(float(moved.cost))
        if torch.equal(moved.labels, cells.labels):
            return moved, costs, True
        cells = moved
    return cells, costs, False


def _share_duplicates(cells: Cells) -> Cells:
    """Give every empty cell one point of a cell that has several, and hence every atom a weight.

    Cells are empty only where the points have fewer distinct values than there are atoms; the copies of a value then
    share its atoms, at no cost.
    """
    if bool((cells.counts > 0).all()):
        return cells
    atoms, labels, shares = cells.atoms.clone(), cells.labels.clone(), cells.shares.clone()
    for j, _, entries in cells.jobs.groups:
        mine = labels[entries]
        for empty in (cells.counts[j] == 0).nonzero()[:, 0].tolist():
            spare = mine.bincount(minlength=atoms.shape[1])[mine] > 1
            given = entries.start + int(torch.where(spare, shares[entries], -1).argmax())
            atoms[j, empty], mine[given - entries.start], shares[given] = cells.jobs.measures.points(given), empty, 0
    return Cells(cells.jobs, atoms, labels, shares)


def _without_rounding(history: list[float]) -> tuple[float, ...]:
    """The history with each cost raised to the highest that follows: float32 costs of the search may err downwards."""
    return tuple(accumulate(reversed(history), max))[::-1]
