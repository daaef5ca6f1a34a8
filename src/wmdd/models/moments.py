"""Per-image moments of activations, by hand-written derivatives: dmean/dx = 1/P and dvar/dx = 2 (x - mean)/P."""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from wmdd.core.types import Moments

AT_ONCE = 2**21  # numbers of an activation that are worked on at a time, on a CPU
LARGE = 2**17  # numbers of an image's activation from which it is worth an operation of its own, on a CPU


def image_moments(x: Tensor, channel_dim: int) -> Moments:
    """Per-image, per-channel moments ``[B, C]`` of an activation, over all of its positions, in float32 or wider.

    ``x`` is ``[B, C, ...]`` (``channel_dim`` 1) or ``[B, ..., C]`` (``channel_dim`` -1). A vector per image is its own
    mean, with variance 0.
    """
    dims = _positions(x, channel_dim)
    if not dims:
        wide = _at_least_float32(x)
        return Moments(wide, torch.zeros_like(wide))
    mean, var = cast(tuple[Tensor, Tensor], _ImageMoments.apply(x, dims))
    return Moments(mean, var)


def of_whole(moments: Moments, images: int) -> Moments:
    """Those of ``images`` from those of their P parts ``[images P, C]``, where a network folds parts into its batch."""
    mean, var = moments
    if len(mean) == images:
        return moments
    means, variances = mean.view(images, -1, mean.shape[1]), var.view(images, -1, mean.shape[1])
    return Moments(means.mean(dim=1), variances.mean(dim=1) + means.var(dim=1, correction=0))


def can_normalize(layer: nn.Module) -> bool:
    """Whether :func:`normalize_with_moments` does what ``layer`` does: a plain 2-d batch norm in eval mode."""
    return type(layer) is nn.BatchNorm2d and not layer.training and layer.running_mean is not None


def normalize_with_moments(x: Tensor, layer: nn.BatchNorm2d) -> tuple[Tensor, Moments]:
    """``layer(x)`` and :func:`image_moments` of ``x [B, C, H, W]``, with one backward pass for both.

    The layer is a constant affine map, ``y = gain x + shift``, so dL/dx = gain dL/dy + the gradient of the moments: one
    sum, where autograd makes two and adds them, and torch's batch norm takes gradients of weights that nobody wants.
    """
    out, mean, var = cast(tuple[Tensor, Tensor, Tensor], _Normalized.apply(x, layer))
    return out, Moments(mean, var)


class _ImageMoments(torch.autograd.Function):
    """Mean and biased variance over the positions ``dims`` of each image, ``[B, C]`` each."""

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
        return _moments_gradient(x, mean, ctx.dims, g_mean, g_var), None


class _Normalized(torch.autograd.Function):
    """A batch norm's output beside the moments of its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.BatchNorm2d) -> tuple[Tensor, Tensor, Tensor]:
        assert layer.running_mean is not None
        assert layer.running_var is not None
        out = F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=layer.eps)
        mean, var = _moments(x, (2, 3))
        gain = (layer.running_var + layer.eps).rsqrt()
        ctx.save_for_backward(x, mean, gain if layer.weight is None else gain * layer.weight)
        ctx.set_materialize_grads(False)
        return out, mean, var

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, g_out: Tensor | None, g_mean: Tensor | None, g_var: Tensor | None
    ) -> tuple[Tensor | None, None]:
        x, mean, gain = ctx.saved_tensors
        gain = gain.to(x.dtype)[:, None, None]
        if g_mean is None and g_var is None:  # where statistics are not matched
            return None if g_out is None else gain * g_out, None
        nothing = torch.zeros_like(mean)
        gradient = _moments_gradient(
            x, mean, (2, 3), nothing if g_mean is None else g_mean, nothing if g_var is None else g_var
        )
        return gradient if g_out is None else gradient.addcmul_(gain, g_out), None


def _moments_gradient(x: Tensor, mean: Tensor, dims: tuple[int, ...], g_mean: Tensor, g_var: Tensor) -> Tensor:
    """dL/dx = (dL/dmean + 2 dL/dvar (x - mean)) / P: affine in x, so nothing but x itself is kept."""
    positions = math.prod(x.shape[dim] for dim in dims)
    shape = [1 if dim in dims else size for dim, size in enumerate(x.shape)]
    slope = (g_var * (2 / positions)).to(x.dtype)
    # Of the slope as it was rounded: a large mean would multiply the rounding error that is left of another one.
    offset = torch.addcmul(g_mean / positions, slope.to(mean.dtype), mean, value=-1)
    return torch.addcmul(offset.view(shape).to(x.dtype), slope.view(shape), x)


def _positions(x: Tensor, channel_dim: int) -> tuple[int, ...]:
    """The dimensions that are neither the batch nor the channels."""
    channel = channel_dim % x.ndim
    return tuple(dim for dim in range(1, x.ndim) if dim != channel)


def _moments(x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and variance over ``dims`` of each image: exact in two passes, a few images at a time.

    ``torch.var_mean`` is ten times slower on a CPU where the channels are last. What a few images take stays in the
    caches between the passes.
    """
    if x.device.type == "cpu" and x.dtype == torch.bfloat16 and dims == (2, 3) and x[0].numel() >= LARGE:
        return _moments_image_by_image(x)
    at_once = max(1, AT_ONCE * len(x) // x.numel()) if x.device.type == "cpu" else len(x)
    parts = [_moments_of_few(part, dims) for part in x.split(at_once)]
    means, variances = parts[0] if len(parts) == 1 else map(torch.cat, zip(*parts, strict=True))
    return means.view(len(x), -1), variances


def _moments_image_by_image(x: Tensor) -> tuple[Tensor, Tensor]:
    """The moments of ``x [B, C, H, W]`` as training batch norms take them, of one image after the other.

    Three times as fast in bfloat16, for no float32 copy is made, and right to five digits: rows are summed in turn.
    """
    unread = torch.zeros(x.shape[1])  # running statistics: where they are float32, so is what is found
    found = [torch.batch_norm_update_stats(image, unread, unread, 0.0) for image in x.split(1)]
    means, variances = zip(*found, strict=True)
    return torch.stack(means), torch.stack(variances)


def _moments_of_few(x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    wide = _at_least_float32(x)
    mean = wide.mean(dims, keepdim=True)
    centred = wide - mean if wide is x else wide.sub_(mean)
    return mean, centred.square_().mean(dims)


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
