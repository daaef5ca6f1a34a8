"""Solvers ``uniform`` and ``floored``: free support, weights held at 1/m or kept from falling far below it."""

import torch
from torch import Tensor

from wmdd.ot.annealed import anneal
from wmdd.ot.barycenter import BarycenterOutput, BarycenterProblem, ClassOutput, stack
from wmdd.ot.plans import Duals, TransportPlan, exact_plan
from wmdd.ot.quantization import search
from wmdd.ot.ragged import centred
from wmdd.ot.subspace import narrowed

TOLERANCE = 1e-7  # relative fall of the cost below which the alternation has converged
BATCHING = ("cuda",)  # kinds of device that like large batches, and for which exact plans are made elsewhere
QUICK_TOLERANCE = 1e-4  # the same, before the space itself is entered, and on a GPU, where plans are made on the CPU


def solve_uniform(
    problem: BarycenterProblem, *, seed: int, restarts: int, iterations: int, floor: float = 1.0
) -> BarycenterOutput:
    """Alternate the exact plan and its barycentric projection, at most ``iterations`` times from each start.

    Weights are at least ``floor / m``: 1 holds them at 1/m (balanced quantization), 0 is optimal quantization. Both
    halves of the alternation minimise ``<T, c(Z)>``, over T and over Z, so the cost never rises (Cuturi and Doucet
    2014, arXiv 1310.4375; Alvarez-Esteban et al. 2016). The best start is optimal quantization, annealed in the
    class's leading directions (:mod:`wmdd.ot.annealed`). ``restarts`` more are points drawn from the class: on a GPU,
    where the many exact plans would take most of the time, there are none. Works in float64.
    """
    found_narrow = narrowed(problem)
    narrow, order = found_narrow.measures, found_narrow.order
    on_cpu = order.device.type not in BATCHING
    quantizer, _ = search(narrow, problem.atoms, seed, restarts, iterations)
    annealed = anneal(narrow, quantizer, floor)
    precise, centres = centred(problem.measures(), torch.float64)
    found = []
    for g in range(len(problem)):
        rows = precise.rows(g)
        points, masses = precise.points(order[rows]), precise.masses[order[rows]]
        lifting = Alternation(narrow.points(rows).double(), masses, annealed[g], floor)
        lifting.advance(iterations, QUICK_TOLERANCE)
        starts = [lifting.plan @ points / lifting.plan.sum(1, keepdim=True)]
        if on_cpu:
            starts += random_points(points, problem.atoms, restarts, torch.Generator().manual_seed(seed))
        trials = [Alternation(points, masses, atoms, floor) for atoms in starts]
        for trial in trials:
            trial.advance(iterations, TOLERANCE if on_cpu else QUICK_TOLERANCE)
        found.append(min(trials, key=lambda trial: trial.cost).output(centres[g], order[rows] - rows.start))
    return stack(found, restarts if on_cpu else 1, problem.points.dtype)


def random_points(points: Tensor, m: int, starts: int, generator: torch.Generator) -> list[Tensor]:
    """``starts`` times m different ones of ``points [n, D]``, each ``[m, D]``."""
    chosen = [torch.randperm(len(points), generator=generator)[:m] for _ in range(starts)]
    return [points[rows.to(points.device)] for rows in chosen]


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
