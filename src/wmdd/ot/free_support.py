"""Barycenter of several measures whose atoms move: the general problem of Cuturi and Doucet (arXiv 1310.4375).

With one measure it is the problem of a class, for which :func:`wmdd.ot.solve` has better solvers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from wmdd.core.errors import DataError
from wmdd.ot.checks import require_masses, require_matrix, require_positive
from wmdd.ot.costs import squared_distances
from wmdd.ot.plans import MASS_TOLERANCE, Duals, TransportPlan, exact_plan
from wmdd.ot.weight_steps import weight_step

TOLERANCE = 1e-7  # relative fall of the cost in an iteration below which the alternation has converged
PATIENCE = 3  # iterations without such a fall that end the search where subgradient steps are part of it
WEIGHT_STEPS = 10  # projected subgradient steps of an iteration, each one linear program per measure


@dataclass(frozen=True, eq=False)
class MeasuresProblem:
    """Find m = ``atoms`` weighted atoms near N measures ``nu_i = sum_l b_il delta(y_il)``.

    ``min over Z [m, D], w in the simplex of sum_i lambda_i W2^2(sum_j w_j delta(z_j), nu_i)`` for ``points`` y_i
    ``[n_i, D]`` (float32 or float64, all of one dtype and device), ``masses`` b_i ``[n_i]`` and ``shares`` lambda
    ``[N]``, all non-negative; the masses of each measure sum to 1, and so do the shares.

    Raises:
        DataError: a measure is not as described, or unless ``1 <= m <= sum_i n_i``; an optimum with more atoms than
            points has copies among them (Anderes, Borgwardt and Miller 2016, arXiv 1507.07218).
    """

    points: tuple[Tensor, ...]
    masses: tuple[Tensor, ...]
    shares: Tensor
    atoms: int

    def __post_init__(self) -> None:
        if not self.points:
            raise DataError("A barycenter needs at least one measure.")
        if len(self.masses) != len(self.points):
            raise DataError(f"{len(self.points)} measures need as many vectors of masses, not {len(self.masses)}.")
        first = self.points[0]
        for i, (points, masses) in enumerate(zip(self.points, self.masses, strict=True)):
            require_matrix(f"points[{i}]", points)
            if points.dtype not in (torch.float32, torch.float64):
                raise DataError(f"points[{i}] must be float32 or float64, not {points.dtype}.")
            if (points.shape[1], points.dtype, points.device) != (first.shape[1], first.dtype, first.device):
                raise DataError(f"points[{i}] must have the width, dtype and device of points[0].")
            _require_simplex(f"masses[{i}]", masses, len(points))
        _require_simplex("shares", self.shares, len(self.points))
        total = sum(map(len, self.points))
        if not 1 <= self.atoms <= total:
            raise DataError(f"{self.atoms} atoms were asked of {total} points in all; ask for 1 to {total}.")

    @classmethod
    def uniform(cls, points: Sequence[Tensor], atoms: int) -> Self:
        """The problem in which all measures count the same, and all points of a measure weigh the same."""
        masses = tuple(torch.full((len(y),), 1 / max(len(y), 1), dtype=torch.float64) for y in points)
        shares = torch.full((len(points),), 1 / max(len(points), 1), dtype=torch.float64)
        return cls(tuple(points), masses, shares, atoms)


@dataclass(frozen=True, eq=False)
class MeasuresOutput:
    """A barycenter: ``atoms [m, D]`` and ``weights [m]`` (they sum to 1) in the dtype of the points.

    ``costs [N]`` (float64) are the exact ``W2^2`` to each measure, ``cost`` their mean by the shares, ``history`` that
    cost after each iteration of the winning start (it never rises), ``iterations`` its length, ``restarts`` the starts
    tried. ``duals`` are those of each measure at the returned atoms and weights, so that
    ``sum_i lambda_i (<w, beta_i> + <b_i, alpha_i>)`` certifies the cost (:class:`wmdd.ot.plans.Duals`).
    """

    atoms: Tensor
    weights: Tensor
    cost: float
    costs: Tensor
    history: tuple[float, ...]
    iterations: int
    converged: bool
    restarts: int
    duals: tuple[Duals, ...]

    def __repr__(self) -> str:
        m, d = self.atoms.shape
        ending = "converged" if self.converged else "not converged"
        return (
            f"MeasuresOutput({m} atoms in R^{d} for {len(self.costs)} measures, mean W2^2 {self.cost:.6g}, weights "
            f"{float(self.weights.min()):.3g} to {float(self.weights.max()):.3g}, {ending} after {self.iterations} "
            f"iterations, restarts {self.restarts})"
        )


def solve_free_support(
    problem: MeasuresProblem, *, seed: int = 0, restarts: int = 4, iterations: int = 100, free_weights: bool = False
) -> MeasuresOutput:
    """Alternate exact plans and their barycentric projections, at most ``iterations`` times from each start.

    ``z_j <- (1/w_j) sum_i lambda_i sum_l T^i_jl y_il`` minimises the cost while the plans stand, the plans minimise it
    while the atoms stand, hence it never rises (Cuturi and Doucet 2014, arXiv 1310.4375). Weights are ``1/m``; with
    ``free_weights`` they are released once that has converged, and every further iteration begins with projected
    subgradient steps on them. The problem is not convex: the lowest of ``restarts`` starts is returned. A start is m
    k-means++ seeds of one measure (Arthur and Vassilvitskii 2007), each measure in its turn, moved so that their mean
    is that of every barycenter, ``sum_i lambda_i mean(nu_i)``. Works in float64. Raises ``SettingsError`` for restarts
    or iterations below 1.
    """
    require_positive(restarts=restarts, iterations=iterations)
    measures = _Measures.of(problem)
    generator = torch.Generator().manual_seed(seed)
    starts = [measures.start(number, problem.atoms, generator) for number in range(restarts)]
    outputs = [_alternate(measures, atoms, iterations, free_weights) for atoms in starts]
    best = min(outputs, key=lambda output: output.cost)
    dtype = problem.points[0].dtype
    return replace(best, atoms=best.atoms.to(dtype), weights=best.weights.to(dtype), restarts=restarts)


def _require_simplex(name: str, value: Tensor, length: int) -> None:
    require_masses(name, value, length)
    if abs(float(value.double().sum()) - 1) > MASS_TOLERANCE:
        raise DataError(f"{name} must sum to 1, not {float(value.double().sum()):.6g}.")


@dataclass(frozen=True, eq=False)
class _Measures:
    """The measures in float64, with masses and shares that sum to 1 to its last digits."""

    points: tuple[Tensor, ...]
    masses: tuple[Tensor, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, problem: MeasuresProblem) -> Self:
        device = problem.points[0].device
        masses = [mass.to(device, torch.float64) for mass in problem.masses]
        shares = problem.shares.double()
        return cls(
            tuple(points.double() for points in problem.points),
            tuple(mass / mass.sum() for mass in masses),
            tuple((shares / shares.sum()).tolist()),
        )

    def mean(self, values: Sequence[Tensor]) -> Tensor:
        """``sum_i lambda_i values_i``."""
        return torch.stack([share * value for share, value in zip(self.shares, values, strict=True)]).sum(0)

    def start(self, number: int, m: int, generator: torch.Generator) -> Tensor:
        """Seeds ``[m, D]`` of one measure about the barycenter's mean: measures by share, then from narrow to wide.

        That order, and that of the points by their distance to the mean, does not depend on the order in which they
        came, nor on where the origin lies: so a seed makes the same choices after any permutation or rigid motion.
        """
        centres = [mass @ points for mass, points in zip(self.masses, self.points, strict=True)]
        squares = [(points - centre).square().sum(1) for points, centre in zip(self.points, centres, strict=True)]
        widths = [float(mass @ square) for mass, square in zip(self.masses, squares, strict=True)]
        ranked = sorted(range(len(self.points)), key=lambda i: (-self.shares[i], widths[i]))
        i = ranked[number % len(ranked)]
        order = squares[i].argsort(stable=True)
        seeds = _seeds(self.points[i][order], self.masses[i][order], m, generator)
        return seeds - seeds.mean(0) + self.mean(centres)


def _seeds(points: Tensor, masses: Tensor, m: int, generator: torch.Generator) -> Tensor:
    """k-means++ for weighted points: the next seed is drawn by mass times squared distance to the seeds so far."""
    chances, chosen = masses, list[int]()
    closest = torch.full_like(masses, torch.inf)
    for _ in range(m):
        chosen.append(int(torch.multinomial(chances.cpu(), 1, generator=generator)))
        closest = torch.minimum(closest, squared_distances(points[chosen[-1:]], points)[0])
        chances = masses * closest
        if not bool((chances > 0).any()):  # fewer distinct points than seeds: some are drawn again
            chances = masses
    return points[chosen]


@dataclass
class _Alternation:
    """``atoms [m, D]`` and ``weights [m]`` with their optimal ``plans`` to the measures and the mean ``cost``."""

    measures: _Measures
    atoms: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        self.steps = 0
        self.plans, self.cost = self._transport(self.atoms, self.weights)

    def _transport(self, atoms: Tensor, weights: Tensor) -> tuple[list[TransportPlan], float]:
        pairs = zip(self.measures.points, self.measures.masses, strict=True)
        plans = [exact_plan(weights, masses, squared_distances(atoms, points)) for points, masses in pairs]
        return plans, sum(share * plan.cost for share, plan in zip(self.measures.shares, plans, strict=True))

    def weight_steps(self) -> None:
        """Projected subgradient steps ``w <- P(w - eta_t g)`` with ``g = sum_i lambda_i beta_i``, positions fixed.

        ``w -> sum_i lambda_i W2^2`` is convex and ``g`` a subgradient. A step may raise the cost, and has to be free
        to: at a kink no single subgradient need point downhill. So the best weights met count.
        """
        plans, weights = self.plans, self.weights
        for _ in range(WEIGHT_STEPS):
            self.steps += 1
            weights = weight_step(weights, self.measures.mean([plan.duals.beta for plan in plans]), self.steps)
            plans, cost = self._transport(self.atoms, weights)
            if cost < self.cost:
                self.weights, self.plans, self.cost = weights, plans, cost

    def position_step(self) -> None:
        """Every atom to the mean of what the plans bring to it; an atom without weight stays."""
        pairs = zip(self.plans, self.measures.points, strict=True)
        atoms = self.measures.mean([plan.project(points, self.atoms) for plan, points in pairs])
        plans, cost = self._transport(atoms, self.weights)
        if cost < self.cost:  # else only rounding is left to move them
            self.atoms, self.plans, self.cost = atoms, plans, cost


def _alternate(measures: _Measures, atoms: Tensor, iterations: int, free_weights: bool) -> MeasuresOutput:
    weights = torch.full((len(atoms),), 1 / len(atoms), dtype=torch.float64, device=atoms.device)
    state, history, converged = _Alternation(measures, atoms, weights), list[float](), False
    released, quiet = False, 0
    while len(history) < iterations and not converged:
        before = state.cost
        if released:
            state.weight_steps()
        state.position_step()
        history.append(state.cost)
        quiet = 0 if state.cost < before * (1 - TOLERANCE) else quiet + 1
        converged = quiet == (PATIENCE if free_weights else 1)
        if free_weights and quiet and not released:  # not before: so free weights never cost more than equal ones
            released, quiet = True, 0
    return MeasuresOutput(
        atoms=state.atoms,
        weights=state.weights,
        cost=state.cost,
        costs=torch.tensor([plan.cost for plan in state.plans], dtype=torch.float64),
        history=tuple(history),
        iterations=len(history),
        converged=converged,
        restarts=1,
        duals=tuple(plan.duals for plan in state.plans),
    )
