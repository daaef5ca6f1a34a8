"""Solver ``paper``: Algorithm 1 of arXiv 2311.18531, after Cuturi and Doucet (ICML 2014, arXiv 1310.4375).

Kept for comparison: faithful, not tuned. One start (``restarts=1``) and K = 10 alternations (``iterations=10``) are
what was published. The released code differs: it damps the position step by 0.2, so that ten rounds leave a tenth
(0.8^10) of the initial noise in the atoms.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wmdd.ot.barycenter import BarycenterOutput, BarycenterProblem, ClassOutput, stack
from wmdd.ot.costs import squared_distances
from wmdd.ot.ordering import in_canonical_order
from wmdd.ot.plans import Duals, TransportPlan, exact_plan
from wmdd.ot.ragged import centred
from wmdd.ot.weight_steps import weight_step

WEIGHT_STEPS = 5  # projected subgradient steps of an alternation, each one linear program
TOLERANCE = 1e-6  # relative fall of the cost in the last alternation below which the output says "converged"


def solve_paper(problem: BarycenterProblem, *, seed: int, restarts: int, iterations: int) -> BarycenterOutput:
    """K = ``iterations`` alternations from each of ``restarts`` starts of Gaussian noise; the lowest is returned.

    The noise has the mean and the standard deviation of the features in every coordinate; weights start uniform.
    The points are taken in an order of their own, as plans of equal cost have different duals, and the linear program
    finds one or the other by their order. Works in float64.
    """
    found = []
    for given, given_masses in problem.measures():
        order = in_canonical_order(centred([(given.double(), given_masses)], torch.float64)[0])
        points, masses = given.double()[order], given_masses[order]
        generator = torch.Generator().manual_seed(seed)
        starts = [_noise(points, masses, problem.atoms, generator) for _ in range(restarts)]
        outputs = [_alternate(points, masses, atoms, iterations) for atoms in starts]
        best = min(outputs, key=lambda output: output.cost)
        alpha = torch.empty_like(best.duals.alpha).index_copy_(0, order, best.duals.alpha)
        found.append(replace(best, duals=Duals(best.duals.beta, alpha)))
    return stack(found, restarts, problem.points.dtype)


def _noise(points: Tensor, masses: Tensor, m: int, generator: torch.Generator) -> Tensor:
    mean = masses @ points
    deviation = (masses @ (points - mean).square()).sqrt()
    normal = torch.randn(m, points.shape[1], generator=generator, dtype=torch.float64)
    return mean + deviation * normal.to(points.device)


@dataclass
class _Alternation:
    """The state of Algorithm 1: ``atoms [m, D]``, ``weights [m]``, and their optimal ``plan`` to the points."""

    points: Tensor
    masses: Tensor
    atoms: Tensor
    weights: Tensor
    plan: TransportPlan
    steps: int = 0

    def weight_steps(self) -> None:
        """Projected subgradient steps on the weights, positions fixed: a step may raise the cost, so the best count."""
        cost = squared_distances(self.atoms, self.points)
        plan, weights = self.plan, self.weights
        for _ in range(WEIGHT_STEPS):
            self.steps += 1
            weights = weight_step(weights, plan.duals.beta, self.steps)
            plan = exact_plan(weights, self.masses, cost)
            if plan.cost < self.plan.cost:
                self.plan, self.weights = plan, weights

    def position_step(self) -> None:
        """One Newton step ``z_j <- z_j - (1/w_j) sum_i T_ji (z_j - h_i)``; an atom without weight stays."""
        self.atoms = self.plan.project(self.points, self.atoms)
        self.plan = exact_plan(self.weights, self.masses, squared_distances(self.atoms, self.points))


def _alternate(points: Tensor, masses: Tensor, atoms: Tensor, iterations: int) -> ClassOutput:
    weights = torch.full((len(atoms),), 1 / len(atoms), dtype=torch.float64, device=points.device)
    start = exact_plan(weights, masses, squared_distances(atoms, points))
    state, history = _Alternation(points, masses, atoms, weights, start), [start.cost]
    for _ in range(iterations):
        state.weight_steps()
        state.position_step()
        history.append(state.plan.cost)
    return ClassOutput(
        atoms=state.atoms,
        weights=state.weights,
        cost=state.plan.cost,
        history=tuple(history[1:]),
        converged=not history[-1] < history[-2] * (1 - TOLERANCE),
        duals=state.plan.duals,
    )
