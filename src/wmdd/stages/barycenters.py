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
    found = []
    for done, k in enumerate(classes, start=1):
        problem = BarycenterProblem(statistics.features_of(k), ipc)
        output = solve(problem, config.solver, derive_seed(seed, "barycenter", k), config.restarts, config.iterations)
        found.append(output)
        log(done, len(classes), cost=output.cost)
    return Barycenters(
        atoms=torch.stack([output.atoms for output in found]),
        weights=torch.stack([output.weights for output in found]),
        cost=torch.tensor([output.cost for output in found], dtype=torch.float64),
        iterations=torch.tensor([output.iterations for output in found]),
        converged=torch.tensor([output.converged for output in found]),
        history=tuple(output.history for output in found),
        method=config.solver,
        seed=seed,
    )
