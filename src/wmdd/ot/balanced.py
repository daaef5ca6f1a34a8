"""Solvers ``uniform`` and ``floored``: free support, weights held at 1/m or kept from falling far below it."""

import torch
from torch import Tensor

from wmdd.ot.barycenter import BarycenterOutput, BarycenterProblem, ClassOutput, stack
from wmdd.ot.cells import assign
from wmdd.ot.lloyd import descend
from wmdd.ot.plans import Duals, TransportPlan, exact_plan
from wmdd.ot.quantization import in_canonical_order, search
from wmdd.ot.ragged import Jobs, Measures, centred
from wmdd.ot.seeding import greedy_seeds
from wmdd.ot.subspace import leading_directions

TOLERANCE = 1e-7  # relative fall of the cost below which the alternation has converged
SEARCH_TOLERANCE = 1e-4  # the same, where k-means solutions are compared
ROUNDS = 3  # after which the better half of them goes on


def solve_uniform(
    problem: BarycenterProblem, *, seed: int, restarts: int, iterations: int, floor: float = 1.0
) -> BarycenterOutput:
    """Alternate the exact plan and its barycentric projection, at most ``iterations`` times.

    Weights are at least ``floor / m``: 1 holds them at 1/m (balanced quantization), 0 is optimal quantization. Both
    halves of the alternation minimise ``<T, c(Z)>``, over T and over Z, so the cost never rises (Cuturi and Doucet
    2014, arXiv 1310.4375; Alvarez-Esteban et al. 2016). ``restarts`` starts are points drawn from the class, each
    followed to convergence. As many more are k-means solutions, and one more is the best of these after swaps: of them
    only the one that ends lowest in the class's leading directions is followed further. Works in float64.
    """
    measures, _ = centred(problem.measures(), problem.points.dtype)
    order = in_canonical_order(measures)
    narrow = leading_directions(measures, order).permuted(order)
    quantized = _quantized(narrow, problem.atoms, seed, restarts, iterations)
    precise, centres = centred(problem.measures(), torch.float64)
    found = []
    for g in range(len(problem)):
        rows = precise.rows(g)
        ordered = order[rows]
        points, masses = precise.points(ordered), precise.masses[ordered]
        lifted = _best_plan(narrow.points(rows).double(), masses, quantized[g].double(), floor, iterations) @ points
        drawn = random_points(points, problem.atoms, restarts, torch.Generator().manual_seed(seed))
        trials = [Alternation(points, masses, atoms, floor) for atoms in (lifted, *drawn)]
        for trial in trials:
            trial.advance(iterations, TOLERANCE)
        found.append(min(trials, key=lambda trial: trial.cost).output(centres[g], ordered - rows.start))
    return stack(found, restarts, problem.points.dtype)


def _quantized(measures: Measures, m: int, seed: int, restarts: int, iterations: int) -> Tensor:
    """Atoms of the best quantization found, and of k-means from ``restarts`` starts: ``[G, 1 + restarts, m, D]``."""
    cells, _ = search(measures, m, seed, restarts, iterations)
    seeds = greedy_seeds(measures, m, restarts, [torch.Generator().manual_seed(seed) for _ in range(len(measures))])
    jobs = Jobs.each(measures, restarts)
    descent = descend(assign(jobs, seeds.flatten(0, 1)), iterations, 10 * SEARCH_TOLERANCE)
    return torch.cat([cells.atoms[:, None], descent.atoms.view_as(seeds)], 1)


def random_points(points: Tensor, m: int, starts: int, generator: torch.Generator) -> Tensor:
    """``starts`` times m different ones of ``points [n, D]``, ``[starts, m, D]``."""
    chosen = torch.stack([torch.randperm(len(points), generator=generator)[:m] for _ in range(starts)])
    return points[chosen.to(points.device)]


def _best_plan(points: Tensor, masses: Tensor, starts: Tensor, floor: float, iterations: int) -> Tensor:
    """Of the plans that ``starts [S, m, D]`` lead to, the cheapest, rows scaled to 1: ``[m, n]``.

    The worse half of the starts falls out again and again, after twice as many rounds each time.
    """
    trials = [Alternation(points, masses, atoms, floor) for atoms in starts]
    rounds, left = ROUNDS, iterations
    while left > 0 and not all(trial.converged for trial in trials):
        for trial in trials:
            trial.advance(min(rounds, left), SEARCH_TOLERANCE)
        trials = sorted(trials, key=lambda trial: trial.cost)[: (len(trials) + 1) // 2]
        left, rounds = left - rounds, 2 * rounds
    best = min(trials, key=lambda trial: trial.cost)
    return best.plan / best.plan.sum(1, keepdim=True)


class Alternation:
    """Exact plan and barycentric projection in turn, for ``points [n, D]`` around their mean; all in float64."""

    def __init__(self, points: Tensor, masses: Tensor, atoms: Tensor, floor: float) -> None:
        self.points, self.masses, self.atoms, self.floor = points, masses, atoms, floor
        self.norms = points.square().sum(1)
        self.history: list[float] = []
        self.converged = False
        self.plan, self.cost = self._transport(atoms)

    def advance(self, rounds: int, tolerance: float) -> None:
        """At most so many rounds, until one lowers the cost by no more than ``tolerance`` (relative)."""
        for _ in range(0 if self.converged else rounds):
            means = (self.plan @ self.points) / self.plan.sum(1, keepdim=True)
            plan, cost = self._transport(means)
            self.converged = not cost < self.cost * (1 - tolerance)
            if cost < self.cost:
                self.atoms, self.plan, self.cost = means, plan, cost
            self.history.append(self.cost)
            if self.converged:
                return

    def output(self, centre: Tensor, rows: Tensor) -> ClassOutput:
        """What has been reached, moved back to ``centre [D]``, with its certificate; point i is row ``rows[i]``."""
        weights = self.plan.sum(1)
        certified = exact_plan(weights, self.masses, self._table(self.atoms))
        alpha = torch.empty_like(certified.duals.alpha).index_copy_(0, rows, certified.duals.alpha)
        duals = Duals(certified.duals.beta, alpha)
        return ClassOutput(self.atoms + centre, weights, certified.cost, tuple(self.history), self.converged, duals)

    def _transport(self, atoms: Tensor) -> tuple[Tensor, float]:
        solved = floored_plan(self.masses, self._table(atoms), self.floor)
        return solved.plan, solved.cost

    def _table(self, atoms: Tensor) -> Tensor:
        norms = atoms.square().sum(1)[:, None] + self.norms
        return torch.addmm(norms, atoms, self.points.T, alpha=-2).clamp_(min=0)


def floored_plan(masses: Tensor, cost: Tensor, floor: float) -> TransportPlan:
    """The cheapest plan ``[m, n]`` for ``cost [m, n]`` that gives every row at least ``floor / m``.

    What the floor leaves free goes wherever it is cheapest: a transport problem with one row more, of mass
    ``1 - floor``, whose cost is the least of its column.
    """
    m = len(cost)
    if floor == 1:
        return exact_plan(cost.new_full((m,), 1 / m), masses, cost)
    cheapest = cost.min(0)
    held = cost.new_full((m + 1,), floor / m)
    held[m] = 1 - floor
    solved = exact_plan(held, masses, torch.cat([cost, cheapest.values[None]]))
    free = torch.zeros_like(cost).scatter_(0, cheapest.indices[None], solved.plan[m:])
    return TransportPlan(solved.plan[:m] + free, solved.cost, solved.duals)
