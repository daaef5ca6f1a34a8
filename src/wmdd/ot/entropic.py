"""Entropic transport between two measures: its cost, and the divergence that this cost gives."""

import torch
from torch import Tensor

from wmdd.ot.costs import squared_distances
from wmdd.ot.measures import at_least_zero, shares
from wmdd.ot.sinkhorn import SinkhornProblem, mean_epsilon, solve_sinkhorn


def entropic_cost(
    x: Tensor,
    y: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    epsilon: Tensor | float | None = None,
    iterations: int = 1000,
    tolerance: float = 1e-6,
) -> Tensor:
    """``OT_eps = min over plans P of <P, c> + epsilon KL(P | a b')``, a scalar in the points' dtype.

    ``x [m, D]`` with masses ``a [m]`` and ``y [n, D]`` with masses ``b [n]``, float32 or float64; ``c_ij`` is
    ``||x_i - y_j||^2``. Masses are divided by their sum, and ``None`` is uniform. ``epsilon`` is in the units of
    squared distances; ``None`` is 0.05 times the mean squared distance between x and y, held fixed by gradients.
    ``OT_eps`` rises with epsilon from W2^2 to that mean, and is not zero for equal measures: see
    :func:`sinkhorn_divergence`.

    Solved in float64 on the device of the points, by :func:`solve_sinkhorn` with ``iterations`` and ``tolerance``; that
    function also says whether it converged (where it did not, the value here is a lower bound). First derivatives exist
    for all four tensors. Raises ``DataError`` for NaN, inf, empty, negative or mismatched arguments, ``SettingsError``
    for an epsilon, iterations or a tolerance that are not above 0.
    """
    a, b = shares(x, y, a, b)
    cost = squared_distances(x.double(), y.double())
    problem = SinkhornProblem(cost[None], a[None], b[None], epsilon)
    value = solve_sinkhorn(problem, iterations=iterations, tolerance=tolerance).cost[0]
    return value.to(torch.promote_types(x.dtype, y.dtype))


def sinkhorn_divergence(
    x: Tensor,
    y: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    epsilon: Tensor | float | None = None,
    iterations: int = 1000,
    tolerance: float = 1e-6,
) -> Tensor:
    """``S_eps(x, y) = OT_eps(x, y) - OT_eps(x, x) / 2 - OT_eps(y, y) / 2``, a scalar in the points' dtype.

    Never negative, and zero only for equal measures (Feydy et al. 2019, arXiv 1810.08278). From W2^2 at a small epsilon
    it goes to the squared distance of the two means at a large one. Arguments, default epsilon, gradients and errors
    are those of :func:`entropic_cost`; all three terms have the same epsilon.
    """
    a, b = shares(x, y, a, b)
    x64, y64 = x.double(), y.double()
    between = squared_distances(x64, y64)[None]
    if epsilon is None:
        epsilon = mean_epsilon(between, a[None], b[None])
    across = SinkhornProblem(between, a[None], b[None], epsilon)
    value = solve_sinkhorn(across, iterations=iterations, tolerance=tolerance).cost[0]
    for points, masses in ((x64, a), (y64, b)):
        value = value - self_cost(points, masses, epsilon, iterations=iterations, tolerance=tolerance) / 2
    return at_least_zero(value).to(torch.promote_types(x.dtype, y.dtype))


def self_cost(
    points: Tensor, masses: Tensor, epsilon: Tensor | float, *, iterations: int = 1000, tolerance: float = 1e-6
) -> Tensor:
    """``OT_eps`` of a measure against itself, for float64 ``points [m, D]`` and ``masses [m]`` that sum to 1."""
    cost = squared_distances(points, points)
    # A point's distance to itself is zero, whatever the rounding of the products says.
    cost = cost * (1 - torch.eye(len(cost), dtype=cost.dtype, device=cost.device))
    problem = SinkhornProblem(cost[None], masses[None], masses[None], epsilon)
    return solve_sinkhorn(problem, iterations=iterations, tolerance=tolerance, symmetric=True).cost[0]
