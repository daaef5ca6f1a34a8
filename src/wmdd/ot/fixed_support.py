"""Barycenter of several measures on atoms that stay: one linear program, for small supports and as a reference."""

import numpy as np
import torch
from scipy import sparse
from scipy.optimize import linprog
from torch import Tensor

from wmdd.core.errors import DataError
from wmdd.ot.checks import require_matrix
from wmdd.ot.costs import squared_distances
from wmdd.ot.free_support import MeasuresProblem


def solve_fixed_support(problem: MeasuresProblem, atoms: Tensor) -> tuple[Tensor, float]:
    """The weights ``[m]`` (float64) of ``atoms [m, D]`` that minimise the cost, and that cost.

    ``min sum_i lambda_i <T^i, c^i>`` over ``w`` and ``T^i >= 0`` with ``T^i 1 = w`` and ``T^i' 1 = b_i`` (Anderes,
    Borgwardt and Miller 2016, arXiv 1507.07218), by the interior-point method of HiGHS: exact to 1e-7 or so, but with
    ``m sum_i n_i`` variables not for more than some ten thousand of them. Raises ``DataError`` unless the atoms are
    ``problem.atoms`` rows of the points' width.
    """
    require_matrix("atoms", atoms)
    if atoms.shape != (problem.atoms, problem.points[0].shape[1]):
        raise DataError(f"atoms must be {problem.atoms} rows of the points' width, not {list(atoms.shape)}.")
    m = len(atoms)
    masses = [mass.double().cpu().numpy() for mass in problem.masses]
    masses = [mass / mass.sum() for mass in masses]
    shares = (problem.shares.double() / problem.shares.double().sum()).tolist()
    costs = [squared_distances(atoms.double(), y.double()).cpu().numpy() for y in problem.points]
    one = np.ones((1, m))
    rows = [sparse.kron(sparse.eye(m), np.ones((1, len(b)))) for b in masses]  # T^i 1
    columns = [sparse.kron(one, sparse.eye(len(b))) for b in masses]  # T^i' 1
    constraints = sparse.bmat(
        [
            [sparse.vstack([-sparse.eye(m)] * len(masses)), sparse.block_diag(rows)],
            [None, sparse.block_diag(columns)],
        ],
        format="csr",
    )
    objective = [np.zeros(m), *(share * cost.ravel() for share, cost in zip(shares, costs, strict=True))]
    levels = [np.zeros(m * len(masses)), *masses]
    found = linprog(np.concatenate(objective), A_eq=constraints, b_eq=np.concatenate(levels), method="highs-ipm")
    assert found.status == 0, found.message
    weights = torch.from_numpy(found.x[:m]).clamp(min=0)
    return weights / weights.sum(), float(found.fun)
