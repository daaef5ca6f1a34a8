"""Point clouds of circles and crosses in the square from -1 to 1."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Generator, Tensor

POINTS = 120  # of a cloud
NOISE = 0.02  # standard deviation of the points about the shape


def circle(generator: Generator) -> Tensor:
    """Points of a ring of random centre and radius, ``[POINTS, 2]``, float64."""
    angle = 2 * math.pi * torch.arange(POINTS, dtype=torch.float64) / POINTS
    return _placed(torch.stack([angle.cos(), angle.sin()], 1), generator)


def cross(generator: Generator) -> Tensor:
    """Points of two perpendicular bars of random centre, length and tilt (up to 14°), ``[POINTS, 2]``, float64."""
    bar = torch.linspace(-1, 1, POINTS // 2, dtype=torch.float64)[:, None]
    tilt = math.pi / 4 + 0.5 * (torch.rand((), generator=generator, dtype=torch.float64) - 0.5)
    along, across = torch.stack([tilt.cos(), tilt.sin()]), torch.stack([-tilt.sin(), tilt.cos()])
    return _placed(torch.cat([bar * along, bar * across]), generator)


def _placed(shape: Tensor, generator: Generator) -> Tensor:
    """The unit shape scaled by 0.3 to 0.65 and moved by up to 0.3 along each axis, with noise on every point."""
    size = 0.3 + 0.35 * torch.rand((), generator=generator, dtype=torch.float64)
    centre = 0.6 * torch.rand(2, generator=generator, dtype=torch.float64) - 0.3
    return size * shape + centre + NOISE * torch.randn(shape.shape, generator=generator, dtype=torch.float64)


SHAPES: Mapping[str, Callable[[Generator], Tensor]] = MappingProxyType({"circles": circle, "crosses": cross})
