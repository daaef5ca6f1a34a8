"""A barycenter for each class's features, and what other numbers of atoms would cost."""

from collections.abc import Sequence

import torch
from torch import Tensor

from wmdd.config.barycenters import BarycentersConfig
from wmdd.core.hashing import derive_seed
from wmdd.core.types import Barycenters, ClassStatistics, CostCurve
from wmdd.ot import BarycenterProblem, solve
from wmdd.stages.training import Log, silent

CURVE_IPC = (1, 2, 5, 10, 20, 50, 100)
CURVE_ITERATIONS = 100  # bound only; a start needs some 20. One start is enough: others lower the curve by 0.1 %


def find_barycenters(
    statistics: ClassStatistics,
    classes: Sequence[int],
    ipc: int,
    config: BarycentersConfig,
    seed: int,
    *,
    device: torch.device | None = None,
    log: Log = silent,
) -> Barycenters:
    """``ipc`` atoms for each of ``classes``, found on ``device``; a class's result does not depend on the others."""
    parts = [statistics.features_of(k) for k in classes]
    problem = BarycenterProblem(torch.cat(parts), ipc, tuple(map(len, parts)))
    seeded = derive_seed(seed, "barycenter")
    found = solve(problem, config.solver, seeded, config.restarts, config.iterations, device)
    for done, cost in enumerate(found.cost.tolist(), start=1):
        log(done, len(classes), cost=cost)
    return Barycenters(
        atoms=found.atoms,
        weights=found.weights,
        cost=found.cost,
        iterations=found.iterations,
        converged=found.converged,
        history=found.history,
        curve=cost_curve(parts, derive_seed(seed, "cost-curve")),
        method=config.solver,
        seed=seed,
    )


def cost_curve(classes: Sequence[Tensor], seed: int) -> CostCurve:
    """What the ``exact`` solver reaches for ``classes`` (features ``[n_k, D]`` each) with 1 to 100 atoms.

    The weights are free whatever the run's own solver does, so the curve is (nearly) a lower bound of its cost.
    """
    cost = torch.full((len(classes), len(CURVE_IPC)), torch.nan, dtype=torch.float64)
    for column, m in enumerate(CURVE_IPC):
        large = [g for g, features in enumerate(classes) if len(features) >= m]
        if large:
            points = [classes[g] for g in large]
            problem = BarycenterProblem(torch.cat(points), m, tuple(map(len, points)))
            cost[large, column] = solve(problem, "exact", seed, 1, CURVE_ITERATIONS).cost
    return CostCurve(torch.tensor(CURVE_IPC), cost)
