"""Solver ``uniform``: free support, uniform weights, that is balanced quantization."""

import torch
from torch import Tensor

from wmdd.ot.barycenter import BarycenterOutput, BarycenterProblem, cheapest
from wmdd.ot.costs import squared_distances
from wmdd.ot.plans import TransportPlan, exact_plan
from wmdd.ot.quantization import solve_exact

TOLERANCE = 1e-7  # relative fall of the cost below which the alternation has converged


def solve_uniform(problem: BarycenterProblem, *, seed: int, restarts: int, iterations: int) -> BarycenterOutput:
    """Alternate the exact plan and its barycentric projection, at most ``iterations`` times from each start.

    Both halves minimise ``<T, c(Z)>``, over T and over Z, so the cost never rises (Cuturi and Doucet 2014,
    arXiv 1310.4375; Alvarez-Esteban et al. 2016). The first start is the exact solver's atoms, the others are points
    of the data drawn without repetition; the lowest of the ``restarts`` is returned. Works in float64.
    """
    generator = torch.Generator().manual_seed(seed)
    relaxed = solve_exact(problem, seed=seed, restarts=restarts, iterations=iterations)
    points, centre = problem.centred(torch.float64)
    starts = [relaxed.atoms.double() - centre]
    for _ in range(restarts - 1):
        starts.append(points[torch.randperm(problem.count, generator=generator)[: problem.atoms]])
    return cheapest([_alternate(problem, atoms + centre, iterations) for atoms in starts])


def _alternate(problem: BarycenterProblem, atoms: Tensor, iterations: int) -> BarycenterOutput:
    points = problem.points.double()
    weights = torch.full((problem.atoms,), 1 / problem.atoms, dtype=torch.float64, device=points.device)

    def transport(atoms: Tensor) -> TransportPlan:
        return exact_plan(weights, problem.masses, squared_distances(atoms, points))

    plan, history, converged = transport(atoms), list[float](), False
    while len(history) < iterations and not converged:
        means = plan.project(points, atoms)
        moved = transport(means)
        converged = not moved.cost < plan.cost * (1 - TOLERANCE)
        if moved.cost < plan.cost:
            atoms, plan = means, moved
        history.append(plan.cost)
    return BarycenterOutput(
        atoms=atoms.to(problem.points.dtype),
        weights=weights.to(problem.points.dtype),
        cost=plan.cost,
        history=tuple(history),
        iterations=len(history),
        converged=converged,
        restarts=1,
        duals=plan.duals,
    )
