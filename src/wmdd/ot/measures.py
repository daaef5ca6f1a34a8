"""Weighted points as probability measures, as every divergence takes them."""

import math

import torch
from torch import Tensor

from wmdd.core.errors import DataError, SettingsError
from wmdd.ot.checks import require_masses, require_matrix


def shares(x: Tensor, y: Tensor, a: Tensor | None, b: Tensor | None) -> tuple[Tensor, Tensor]:
    """The shares ``[m]`` and ``[n]`` (float64, sum 1) of the points ``x [m, D]`` and ``y [n, D]``.

    Masses are divided by their sum, so counts will do as weights, and the gradient with respect to them does not depend
    on the free constant of dual potentials. ``None`` is ``1/m`` each. Raises ``DataError`` for NaN, inf, empty or
    mismatched points, and for negative masses or masses without a sum.
    """
    require_matrix("x", x)
    require_matrix("y", y)
    if x.shape[1] != y.shape[1]:
        raise DataError(f"x and y must have the same width, but they have {x.shape[1]} and {y.shape[1]} columns.")
    return _shares("a", a, x), _shares("b", b, y)


def _shares(name: str, masses: Tensor | None, points: Tensor) -> Tensor:
    count = len(points)
    if masses is None:
        return torch.full((count,), 1 / count, dtype=torch.float64, device=points.device)
    require_masses(name, masses, count)
    return masses.double() / masses.double().sum()


def at_least_zero(value: Tensor) -> Tensor:
    """``max(value, 0)`` with the gradient of ``value``: a divergence that rounding has taken below zero still pulls."""
    return value - value.detach().clamp(max=0)


def require_above_zero(name: str, value: float | Tensor) -> None:
    """Refuse numbers that are not finite and above zero (``SettingsError``)."""
    lowest = float(value.min()) if isinstance(value, Tensor) else value
    finite = bool(torch.isfinite(value).all()) if isinstance(value, Tensor) else math.isfinite(value)
    if not (finite and lowest > 0):
        raise SettingsError(f"{name} must be finite and above 0, not {lowest:g}.")
