"""Optimal transport: tensors in, tensors out; no settings, no files.

``solve(BarycenterProblem(points, m), "exact")`` summarises one class by m weighted atoms. Costs
(:func:`squared_distances`), exact plans with their certificates (:func:`exact_plan`) and the solvers
(:data:`SOLVERS`) stand on their own. Barycenters of several measures: :func:`solve_free_support`,
:func:`solve_fixed_support` and :func:`solve_grid`.
"""

from wmdd.ot.balanced import solve_uniform
from wmdd.ot.barycenter import BarycenterOutput, BarycenterProblem, Rows
from wmdd.ot.costs import squared_distances
from wmdd.ot.entropic import entropic_cost, sinkhorn_divergence
from wmdd.ot.fixed_support import solve_fixed_support
from wmdd.ot.free_support import MeasuresOutput, MeasuresProblem, solve_free_support
from wmdd.ot.grid import GridOutput, GridProblem, solve_grid
from wmdd.ot.mmd import energy_distance, gaussian_mmd2, median_distance
from wmdd.ot.plans import Duals, TransportPlan, exact_plan
from wmdd.ot.published import solve_paper
from wmdd.ot.quantization import solve_exact
from wmdd.ot.simplex import project_simplex
from wmdd.ot.sinkhorn import SinkhornOutput, SinkhornProblem, solve_sinkhorn
from wmdd.ot.sliced import random_directions, sliced_wasserstein2
from wmdd.ot.solvers import SOLVERS, Method, Solver, solve
from wmdd.ot.wasserstein import wasserstein2

__all__ = [
    "SOLVERS",
    "BarycenterOutput",
    "BarycenterProblem",
    "Duals",
    "GridOutput",
    "GridProblem",
    "MeasuresOutput",
    "MeasuresProblem",
    "Method",
    "Rows",
    "SinkhornOutput",
    "SinkhornProblem",
    "Solver",
    "TransportPlan",
    "energy_distance",
    "entropic_cost",
    "exact_plan",
    "gaussian_mmd2",
    "median_distance",
    "project_simplex",
    "random_directions",
    "sinkhorn_divergence",
    "sliced_wasserstein2",
    "solve",
    "solve_exact",
    "solve_fixed_support",
    "solve_free_support",
    "solve_grid",
    "solve_paper",
    "solve_sinkhorn",
    "solve_uniform",
    "squared_distances",
    "wasserstein2",
]
