"""Kernel divergences: the squared maximum mean discrepancy with a Gaussian kernel, and the energy distance."""

import torch
from torch import Tensor

from wmdd.ot.costs import squared_distances
from wmdd.ot.measures import at_least_zero, require_above_zero, shares

COINCIDE = 1e-14  # squared distance, as a share of the largest, below which rounding cannot tell two points apart


def gaussian_mmd2(
    x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None, *, bandwidth: Tensor | float | None = None
) -> Tensor:
    """``MMD^2 = a' K_xx a - 2 a' K_xy b + b' K_yy b``, ``k(u, v) = exp(-||u - v||^2 / (2 h^2))`` (Gretton et al. 2012).

    ``x [m, D]`` with masses ``a [m]`` and ``y [n, D]`` with masses ``b [n]``, float32 or float64; a scalar in their
    dtype, from 0 to 2. Masses are divided by their sum, and ``None`` is uniform. ``bandwidth`` is h, in the units of
    the points; ``None`` is the median distance of the pooled points, held fixed by gradients (:func:`median_distance`).

    It is the V-statistic: the terms ``i = i'`` count, so that it is never negative, and zero for equal measures.
    Differentiable in points and masses, computed in float64. Raises ``DataError`` for NaN, inf, empty, negative or
    mismatched arguments, ``SettingsError`` for a bandwidth that is not above 0.
    """
    a, b = shares(x, y, a, b)
    if bandwidth is None:
        bandwidth = median_distance(torch.cat([x.detach().double(), y.detach().double()]))
    within = gaussian_mean(x, x, a, a, bandwidth) + gaussian_mean(y, y, b, b, bandwidth)
    value = within - 2 * gaussian_mean(x, y, a, b, bandwidth)
    return at_least_zero(value).to(torch.promote_types(x.dtype, y.dtype))


def energy_distance(x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
    """``2 E||X - Y|| - E||X - X'|| - E||Y - Y'||`` (Szekely and Rizzo 2013), a scalar in the points' dtype.

    The squared MMD with the kernel ``-||u - v||``; it has no bandwidth, and scales with the points. Arguments are those
    of :func:`gaussian_mmd2`. Never negative, zero only for equal measures. Differentiable in points and masses; points
    that coincide do not pull at each other (the subgradient 0). Raises ``DataError`` for NaN, inf, empty, negative or
    mismatched arguments.
    """
    a, b = shares(x, y, a, b)
    value = 2 * mean_distance(x, y, a, b) - mean_distance(x, x, a, a) - mean_distance(y, y, b, b)
    return at_least_zero(value).to(torch.promote_types(x.dtype, y.dtype))


def gaussian_mean(x: Tensor, y: Tensor, a: Tensor, b: Tensor, bandwidth: Tensor | float) -> Tensor:
    """``sum_ij a_i b_j exp(-||x_i - y_j||^2 / (2 h^2))`` for float64 masses that sum to 1; a float64 scalar."""
    require_above_zero("bandwidth", bandwidth)
    return a @ (squared_distances(x.double(), y.double()) / (-2 * bandwidth**2)).exp() @ b


def mean_distance(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """``sum_ij a_i b_j ||x_i - y_j||`` for float64 masses that sum to 1; a float64 scalar."""
    squares = squared_distances(x.double(), y.double())
    apart = squares > COINCIDE * squares.detach().max()
    # The root's gradient at 0 is infinite, and would turn into NaN: there it is taken of a constant.
    return a @ torch.where(apart, torch.where(apart, squares, 1).sqrt(), 0) @ b


def median_distance(points: Tensor) -> Tensor:
    """The median distance between two of ``points [n, D]``, a float64 scalar without gradient.

    The usual bandwidth of a Gaussian kernel (Gretton et al. 2012). Where more than half of the pairs coincide it is the
    root of the mean squared distance instead, and 1 where all of them do.
    """
    squares = squared_distances(points.detach().double(), points.detach().double())
    pairs = squares[tuple(torch.triu_indices(len(points), len(points), 1))]
    floor = COINCIDE * squares.max()
    if pairs.numel() == 0 or not bool((pairs > floor).any()):
        return torch.ones((), dtype=torch.float64, device=points.device)
    median = pairs.median()
    return (median if bool(median > floor) else pairs.mean()).sqrt()
