"""A barycenter for each class's features."""

from collections.abc import Sequence

import torch

from wmdd.config.barycenters import BarycentersConfig
from wmdd.core.hashing import derive_seed
from wmdd.core.types import Barycenters, ClassStatistics
from wmdd.ot import BarycenterProblem, solve
from wmdd.stages.training import Log, silent


def find_barycenters(
    statistics: ClassStatistics,
    classes: Sequence[int],
    ipc: int,
    config: BarycentersConfig,
    seed: int,
    *,
    log: Log = silent,
) -> Barycenters:
    """``ipc`` atoms for each of ``classes``; a class's result does not depend on the others."""
    parts = [statistics.features_of(k) for k in classes]
    problem = BarycenterProblem(torch.cat(parts), ipc, tuple(map(len, parts)))
    found = solve(problem, config.solver, derive_seed(seed, "barycenter"), config.restarts, config.iterations)
    for done, cost in enumerate(found.cost.tolist(), start=1):
        log(done, len(classes), cost=cost)
    return Barycenters(
        atoms=found.atoms,
        weights=found.weights,
        cost=found.cost,
        iterations=found.iterations,
        converged=found.converged,
        history=found.history,
        method=config.solver,
        seed=seed,
    )
