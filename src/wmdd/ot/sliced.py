"""Sliced transport: the mean of one-dimensional problems, each solved by sorting."""

import torch
from torch import Tensor

from wmdd.core.errors import DataError
from wmdd.ot.checks import require_matrix, require_positive
from wmdd.ot.measures import shares

UNIT = 1e-3  # deviation of a direction's length from 1 that low precision can explain


def random_directions(count: int, width: int, generator: torch.Generator) -> Tensor:
    """``count`` directions drawn uniformly from the unit sphere in ``width`` dimensions, ``[count, width]``, float64.

    Drawn on the device of the generator; a CPU generator makes a seed mean the same everywhere. Raises
    ``SettingsError`` for a count or a width below 1.
    """
    require_positive(count=count, width=width)
    normal = torch.randn(count, width, generator=generator, device=generator.device, dtype=torch.float64)
    return torch.nn.functional.normalize(normal, dim=1)


def sliced_wasserstein2(
    x: Tensor, y: Tensor, directions: Tensor, a: Tensor | None = None, b: Tensor | None = None
) -> Tensor:
    """``(1/L) sum_l W2^2(<x, theta_l>, <y, theta_l>)``, a scalar in the points' dtype (Bonneel et al. 2015).

    ``x [m, D]`` with masses ``a [m]``, ``y [n, D]`` with masses ``b [n]``, unit ``directions [L, D]`` (for example
    :func:`random_directions`), float32 or float64. Masses are divided by their sum, and ``None`` is uniform.
    Projections shorten distances, so the value is never above W2^2, and its mean over the sphere is at most W2^2 / D.

    Computed in float64. First derivatives exist for points and masses wherever no two projected points coincide.
    Raises ``DataError`` for NaN, inf, empty, negative or mismatched arguments, or directions that are not unit vectors.
    """
    a, b = shares(x, y, a, b)
    require_matrix("directions", directions)
    if directions.shape[1] != x.shape[1]:
        raise DataError(f"directions must have {x.shape[1]} columns like the points, not {directions.shape[1]}.")
    directions = directions.to(x.device, torch.float64)
    if bool(((torch.linalg.vector_norm(directions, dim=1) - 1).abs() > UNIT).any()):
        raise DataError("directions must be unit vectors, one in each row.")
    # Centring changes nothing but the rounding of the projections.
    centre = y.detach().double().mean(0)
    value = line_wasserstein2(directions @ (x.double() - centre).mT, directions @ (y.double() - centre).mT, a, b).mean()
    return value.to(torch.promote_types(x.dtype, y.dtype))


def line_wasserstein2(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """W2^2 on the line, ``[L]``, between ``x [L, m]`` with masses ``a [m]`` and ``y [L, n]`` with masses ``b [n]``.

    It is ``integral over t in (0, 1) of (F^-1(t) - G^-1(t))^2`` (Rabin et al. 2012). Both quantile functions are steps,
    at the cumulative masses; between the merged steps both are constant.
    """
    x, x_ends = _quantiles(x, a)
    y, y_ends = _quantiles(y, b)
    ends = torch.cat([x_ends, y_ends], 1).sort(1).values
    lengths = torch.cat([ends[:, :1], ends.diff(dim=1)], 1)
    return (lengths * (_value_at(ends, x, x_ends) - _value_at(ends, y, y_ends)).square()).sum(1)


def _quantiles(values: Tensor, masses: Tensor) -> tuple[Tensor, Tensor]:
    """The sorted values and the levels up to which each of them is the quantile, both ``[L, m]``."""
    ordered, order = values.sort(1)
    return ordered, masses[order].cumsum(1)


def _value_at(levels: Tensor, ordered: Tensor, ends: Tensor) -> Tensor:
    index = torch.searchsorted(ends.detach().contiguous(), levels.detach()).clamp(max=ordered.shape[1] - 1)
    # Indexed, not gathered: on a GPU only the gradient of indexing adds up in a fixed order.
    return ordered[torch.arange(len(ordered), device=ordered.device)[:, None], index]
