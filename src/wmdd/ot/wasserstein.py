"""The squared 2-Wasserstein distance, exact and differentiable."""

import torch
from torch import Tensor

from wmdd.ot.costs import squared_distances
from wmdd.ot.measures import shares
from wmdd.ot.plans import exact_plan


def wasserstein2(x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
    """``W2^2(sum_i a_i delta(x_i), sum_j b_j delta(y_j)) = min <T, c>`` over plans T, a scalar in the points' dtype.

    ``x [m, D]`` with masses ``a [m]`` and ``y [n, D]`` with masses ``b [n]``, float32 or float64; ``c_ij`` is
    ``||x_i - y_j||^2``. Masses are divided by their sum, and ``None`` is uniform. Solved by
    :func:`~wmdd.ot.exact_plan` on the CPU, in float64.

    Gradients exist for all four arguments, by the envelope theorem: for the points with the optimal plan held fixed,
    for the masses through the dual potentials. They are first derivatives only, and subgradients where several plans
    or potentials are optimal. Raises ``DataError`` for NaN, inf, empty, negative or mismatched arguments.
    """
    a, b = shares(x, y, a, b)
    cost = squared_distances(x.double(), y.double())
    solved = exact_plan(a, b, cost)
    beta, alpha = solved.duals
    # Adds zero to the value, and the potentials to the gradient.
    through_masses = (a - a.detach()) @ beta + (b - b.detach()) @ alpha
    value = (solved.plan * cost).sum() + through_masses
    return value.to(torch.promote_types(x.dtype, y.dtype))
