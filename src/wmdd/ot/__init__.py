"""Optimal transport: tensors in, tensors out; no settings, no files.

``solve(BarycenterProblem(points, m), "exact")`` summarises one class by m weighted atoms. Costs
(:func:`squared_distances`), exact plans with their certificates (:func:`exact_plan`) and the solvers
(:data:`SOLVERS`) stand on their own. Barycenters of several measures: :func:`solve_free_support`,
:func:`solve_fixed_support` and :func:`solve_grid`.
"""

from wmdd.ot.balanced import solve_uniform
from wmdd.ot.barycenter import BarycenterOutput, BarycenterProblem
from wmdd.ot.costs import squared_distances
from wmdd.ot.fixed_support import solve_fixed_support
from wmdd.ot.free_support import MeasuresOutput, MeasuresProblem, solve_free_support
from wmdd.ot.grid import GridOutput, GridProblem, solve_grid
from wmdd.ot.plans import Duals, TransportPlan, exact_plan
from wmdd.ot.published import solve_paper
from wmdd.ot.quantization import solve_exact
from wmdd.ot.simplex import project_simplex
from wmdd.ot.solvers import SOLVERS, Method, Solver, solve

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
    "Solver",
    "TransportPlan",
    "exact_plan",
    "project_simplex",
    "solve",
    "solve_exact",
    "solve_fixed_support",
    "solve_free_support",
    "solve_grid",
    "solve_paper",
    "solve_uniform",
    "squared_distances",
]
