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
from wmdd.ot.lloyd import Descent, descend
from wmdd.ot.plans import Duals
from wmdd.ot.ragged import Jobs, Measures, centred
from wmdd.ot.seeding import greedy_seeds
from wmdd.ot.softening import soften
from wmdd.ot.subspace import leading_directions
from wmdd.ot.swaps import improve
from wmdd.ot.ward import suits, ward_atoms

ROUGH_TOLERANCE = 1e-2  # relative fall of the cost at which a start is softened
SEARCH_TOLERANCE = 1e-3  # the same, where starts are compared with one another


def solve_exact(problem: BarycenterProblem, *, seed: int, restarts: int, iterations: int) -> BarycenterOutput:
    """Quantize every class: search in its leading directions, then Lloyd's iteration in the space itself.

    The search takes the best of ``restarts`` starts (greedy k-means++; where cells are small one of them is Ward's
    tree) after Lloyd steps, and improves it by swaps. It runs in the dtype of the points; the last descent and the cost
    in float64. ``iterations`` bounds the Lloyd steps of a start, its swap rounds, and the last descent, each.
    """
    measures, _ = centred(problem.measures(), problem.points.dtype)
    order = in_canonical_order(measures)
    narrow = leading_directions(measures, order).permuted(order)
    found, searched = search(narrow, problem.atoms, seed, restarts, iterations)
    left_out = (Jobs.each(measures).total(measures.energies) - Jobs.each(narrow).total(narrow.energies)).tolist()
    precise, centres = centred(problem.measures(), torch.float64)
    labels = torch.empty_like(found.labels).index_copy_(0, order, found.labels)
    finish = _finish(precise, problem.atoms, labels, iterations)
    cells = _share_duplicates(assign(Jobs.each(precise), finish.atoms))
    outputs = []
    for g, atoms in enumerate(cells.atoms):
        rows = precise.rows(g)
        history = [cost + left_out[g] for cost in searched[g]] + finish.history(g)
        outputs.append(
            ClassOutput(
                atoms=atoms + centres[g],
                weights=cells.masses[g],
                cost=float(cells.cost[g]),
                history=_without_rounding(history),
                converged=bool(finish.converged[g]),
                duals=Duals(torch.zeros_like(cells.masses[g]), cells.shares[rows] / precise.masses[rows]),
            )
        )
    return stack(outputs, restarts, problem.points.dtype)


def in_canonical_order(measures: Measures) -> Tensor:
    """The rows ``[N]`` of each measure by their distance to a point that follows it.

    An order that permuting, translating, rotating or scaling a class leaves alone: with its points in this order, a
    seed makes the same random choices whatever the order in which they came. The point is not the mean, to which
    points on a lattice (pixels, counts) often are equally near, but lies off it, to where the points reach furthest.
    """
    parts = []
    for g in range(len(measures)):
        rows = measures.rows(g)
        squared = measures.energies[rows] / measures.masses[rows]
        loaded = measures.loaded[rows, :-1]
        reach = (squared @ loaded) / measures.energies[rows].sum().clamp(min=torch.finfo(loaded.dtype).tiny)
        key = squared - (loaded @ reach) / measures.masses[rows]
        parts.append(key.argsort(stable=True) + measures.first[g])
    return torch.cat(parts)


def search(measures: Measures, m: int, seed: int, restarts: int, iterations: int) -> tuple[Cells, list[list[float]]]:
    """The best cells found, one set for each class, and class by class the costs on the way to them."""
    if m == 1:
        mean = measures.loaded.new_zeros(len(measures), 1, measures.loaded.shape[1] - 1)
        return assign(Jobs.each(measures), mean), [[] for _ in range(len(measures))]
    generators = [torch.Generator().manual_seed(seed) for _ in range(len(measures))]
    jobs = Jobs.each(measures, restarts)
    starts = greedy_seeds(measures, m, restarts, generators)
    for g, size in enumerate(measures.sizes):
        if suits(size, m):  # asked of each class by itself: what stands beside it must not matter
            starts[g, 0] = ward_atoms(measures, g, m)
    rough = descend(assign(jobs, starts.flatten(0, 1)), iterations, ROUGH_TOLERANCE)
    annealed = descend(assign(jobs, soften(jobs, rough.atoms)), iterations, SEARCH_TOLERANCE)
    lower = annealed.cost < rough.cost
    atoms = torch.where(lower[:, None, None], annealed.atoms, rough.atoms)
    winners = jobs.best(torch.minimum(annealed.cost, rough.cost).tolist())
    cells, swapped = improve(assign(Jobs.each(measures), atoms[winners]), generators, iterations)
    histories = [accumulate(rough.history(j) + annealed.history(j), min) for j in winners]
    return cells, [[*before, *after] for before, after in zip(histories, swapped, strict=True)]


def _finish(measures: Measures, m: int, labels: Tensor, iterations: int) -> Descent:
    """The last descent, in the space itself, from the cells that the search found."""
    jobs = Jobs.each(measures)
    nowhere = measures.loaded.new_zeros(len(measures), m, measures.loaded.shape[1] - 1)
    cells = Cells(jobs, nowhere, labels, torch.zeros_like(measures.energies))
    return descend(assign(jobs, cells.means()), iterations, 0.0)


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
