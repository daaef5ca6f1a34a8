"""What is observed inside a network: the inputs of its norm layers, and the features that enter its classifier."""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from wmdd.core.errors import ModelError
from wmdd.core.types import Moments

AT_ONCE = 2**18  # numbers of an activation that are worked on at a time, on a CPU
_CHANNELS_LAST_NAMES = ("RmsNorm", "SimpleNorm")


class _SpatialMoments(torch.autograd.Function):
    """Mean and biased variance over the positions of each image, ``[B, C, P] -> [B, C], [B, C]``.

    Their gradient is affine in x: dL/dx = (g_mean + 2 g_var (x - mean)) / P, so nothing but x itself is kept.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        mean, var = _moments(x, dims)
        ctx.save_for_backward(x, mean)
        ctx.dims = dims
        return mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_mean: Tensor, g_var: Tensor) -> tuple[Tensor, None]:
        x, mean = ctx.saved_tensors
        positions = math.prod(x.shape[dim] for dim in ctx.dims)
        shape = [1 if dim in ctx.dims else size for dim, size in enumerate(x.shape)]
        slope = (2 / positions * g_var).view(shape)
        offset = (g_mean / positions).view(shape) - slope * mean.view(shape)
        return torch.addcmul(offset.to(x.dtype), slope.to(x.dtype), x), None


def _moments(x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and variance over ``dims`` of each image: exact in two passes, a few images at a time.

    ``torch.var_mean`` is ten times slower on a CPU where the channels are last. What a few images take stays in the
    caches between the passes.
    """
    positions = math.prod(x.shape[dim] for dim in dims)
    at_once = max(1, AT_ONCE * len(x) // x.numel()) if x.device.type == "cpu" else len(x)
    means, variances = [], []
    for part in x.split(at_once):
        wide = _at_least_float32(part)
        mean = wide.sum(dims, keepdim=True) / positions
        means.append(mean)
        centred = wide - mean if wide is part else wide.sub_(mean)
        variances.append(centred.square_().sum(dims) / positions)
    return torch.cat(means).view(len(x), -1), torch.cat(variances)


def image_moments(x: Tensor, channel_dim: int) -> Moments:
    """Per-image, per-channel moments ``[B, C]`` of an activation, over all of its positions, in float32 or wider.

    ``x`` is ``[B, C, ...]`` (``channel_dim`` 1) or ``[B, ..., C]`` (``channel_dim`` -1). A vector per image is its own
    mean, with variance 0.
    """
    channel = channel_dim % x.ndim
    dims = tuple(dim for dim in range(1, x.ndim) if dim != channel)
    if not dims:
        wide = _at_least_float32(x)
        return Moments(wide, torch.zeros_like(wide))
    mean, var = cast(tuple[Tensor, Tensor], _SpatialMoments.apply(x, dims))
    return Moments(mean, var)


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def norm_layers(network: nn.Module) -> dict[str, tuple[nn.Module, int]]:
    """The network's norm layers by name, each with the channel dimension of its input.

    Batch norm where there is any (the published choice), else layer, group and RMS norms.

    Raises:
        ModelError: the network has no norm layer.
    """
    found: dict[str, tuple[nn.Module, int]] = {
        name: (layer, 1) for name, layer in network.named_modules() if isinstance(layer, _BatchNorm)
    }
    if not found:
        found = {name: (layer, dim) for name, layer in network.named_modules() if (dim := _channel_dim(layer))}
    if not found:
        raise ModelError(f"{type(network).__name__} has no norm layers, so there are no statistics to match.")
    return found


def _channel_dim(layer: nn.Module) -> int:
    """1 or -1 for a norm layer, 0 for anything else."""
    name = type(layer).__name__
    if isinstance(layer, nn.GroupNorm) or name.endswith("Norm2d"):
        return 1
    return -1 if isinstance(layer, nn.LayerNorm) or name.startswith(_CHANNELS_LAST_NAMES) else 0
