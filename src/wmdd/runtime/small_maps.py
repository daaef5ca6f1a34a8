"""Convolutions of small maps as one matrix product.

On a CPU a convolution takes the pixels of a row together. In a map two pixels wide those are two, and for every two all
weights are read again. Networks made for large images end in such maps when they are given small ones, and there they
have most of their weights. As one matrix product, the patches of all images times the kernel, a layer's step takes a
half to a sixth of the time.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

WIDEST = 4
"""Pixels of an output row up to which the product is faster (`benchmarks/small_maps.py`)."""

Pair = tuple[int, ...]
"""Of rows and of columns."""

Geometry = tuple[Pair, Pair, Pair, Pair]
"""Kernel, stride, padding and dilation."""


def product_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """What ``F.conv2d`` gives with one group, ``[B, C, H, W] -> [B, C', H', W']``, channels last."""
    patches = _Patches.apply(x, (tuple(weight.shape[2:]), stride, padding, dilation))
    kernel = weight.permute(0, 2, 3, 1).flatten(1)  # a view, where weights are channels last
    pixels = F.linear(patches.flatten(0, 2), kernel, bias)  # one matrix: linear would take a tensor image by image
    return pixels.view(*patches.shape[:3], -1).permute(0, 3, 1, 2)


class _Patches(torch.autograd.Function):
    """``[B, C, H, W] -> [B, H', W', kh * kw * C]``: what the kernel sees at each pixel of the output."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, geometry: Geometry) -> Tensor:
        ctx.x, ctx.geometry = x.shape, geometry
        return _windows(x, geometry).flatten(3).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        images, channels, height, width = ctx.x
        taps, starts = _taps_of_pixels(images, height, width, ctx.geometry)
        total = F.embedding_bag(taps, gradient.reshape(-1, channels), starts, mode="sum")
        return total.view(images, height, width, channels).permute(0, 3, 1, 2), None


def outputs(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many pixels a convolution makes of ``size`` along one axis."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _windows(x: Tensor, geometry: Geometry, around: int = 0) -> Tensor:
    """A view ``[B, H', W', kh, kw, C]`` of ``x [B, C, H, W]``, padded with ``around``."""
    kernel, stride, padding, dilation = geometry
    rows, columns = (outputs(size, *along) for size, *along in zip(x.shape[2:], *geometry, strict=True))
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]), value=around)
    image, channel, row, column = padded.stride()
    return padded.as_strided(
        (len(x), rows, columns, *kernel, x.shape[1]),
        (image, row * stride[0], column * stride[1], row * dilation[0], column * dilation[1], channel),
    )


@lru_cache(maxsize=64)
def _taps_of_pixels(images: int, height: int, width: int, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Rows of the patches of ``images``: the taps that saw each pixel, pixel after pixel, and where each's begin."""
    pixels = torch.arange(images * height * width)
    seen = _windows(pixels.view(images, 1, height, width), geometry, around=-1).flatten()
    taps = seen.argsort(stable=True)
    starts = torch.searchsorted(seen[taps], pixels)
    return taps[starts[0] :], starts - starts[0]
