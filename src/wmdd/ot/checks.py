"""What every entry of the layer refuses, each with one sentence."""

import torch
from torch import Tensor

from wmdd.core.errors import DataError, SettingsError


def require_matrix(name: str, value: Tensor) -> None:
    """Refuse what is not a finite floating-point matrix with at least one row and one column (``DataError``)."""
    if value.ndim != 2:
        raise DataError(f"{name} must be a matrix with two dimensions, but its shape is {list(value.shape)}.")
    if value.numel() == 0:
        raise DataError(f"{name} must not be empty, but its shape is {list(value.shape)}.")
    _require_finite(name, value)


def require_masses(name: str, value: Tensor, length: int) -> None:
    """Refuse what is not a vector of ``length`` non-negative masses with a positive sum (``DataError``)."""
    if value.shape != (length,):
        raise DataError(f"{name} must be a vector of {length} masses, but its shape is {list(value.shape)}.")
    _require_finite(name, value)
    if bool((value < 0).any()) or not bool((value > 0).any()):
        raise DataError(f"{name} must be non-negative masses with a positive sum.")


def require_positive(**settings: int) -> None:
    """Refuse counts below one (``SettingsError``)."""
    for name, value in settings.items():
        if value < 1:
            raise SettingsError(f"{name} must be at least 1, not {value}.")


def _require_finite(name: str, value: Tensor) -> None:
    if not value.is_floating_point():
        raise DataError(f"{name} must hold floating-point numbers, not {value.dtype}.")
    finite = bool(value.sum().isfinite())  # a sum is quick, but one of finite numbers may overflow
    if not finite and not bool(torch.isfinite(value).all()):
        raise DataError(f"{name} must be finite, but it holds NaN or infinity.")
