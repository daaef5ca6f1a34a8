"""Convolutions of small maps as one matrix product.

On a CPU a convolution takes the pixels of a row together. In a map two pixels wide those are two, and for every two all
weights are read again. Networks made for large images end in such maps when they are given small ones, and there they
have most of their weights. As one matrix product, the patches of all images times the kernel, a layer's step takes a
half to a sixth of the time.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

WIDEST = 4
"""Pixels of an output row up to which the product is faster (`benchmarks/small_maps.py`)."""

Pair = tuple[int, ...]
"""Of rows and of columns."""


def product_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """What ``F.conv2d`` gives with one group, ``[B, C, H, W] -> [B, C', H', W']``, channels last."""
    patches = _Patches.apply(x, weight.shape[2:], stride, padding, dilation)
    kernel = weight.permute(0, 2, 3, 1).flatten(1)  # a view, where weights are channels last
    pixels = F.linear(patches.flatten(0, 2), kernel, bias)  # one matrix: linear would take a tensor image by image
    return pixels.view(*patches.shape[:3], -1).permute(0, 3, 1, 2)


class _Patches(torch.autograd.Function):
    """``[B, C, H, W] -> [B, H', W', kh * kw * C]``: what the kernel sees at each pixel of the output."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
        padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
        ctx.geometry = (x.shape, padded.shape, kernel, stride, padding, dilation)
        rows, columns = (
            range(0, padded.shape[2 + axis] - dilation[axis] * (kernel[axis] - 1), stride[axis]) for axis in (0, 1)
        )
        per_image, per_channel, per_row, per_column = padded.stride()
        windows = padded.as_strided(
            (len(x), len(rows), len(columns), *kernel, x.shape[1]),
            (
                per_image,
                per_row * stride[0],
                per_column * stride[1],
                per_row * dilation[0],
                per_column * dilation[1],
                per_channel,
            ),
        )
        return windows.flatten(3).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        shape, padded, kernel, stride, padding, dilation = ctx.geometry
        images, rows, columns = gradient.shape[:3]
        taps = gradient.view(images, rows, columns, *kernel, shape[1])
        # Up to nine taps saw a pixel: too many numbers to be added up in bfloat16.
        dtype = torch.promote_types(gradient.dtype, torch.float32)
        total = gradient.new_zeros((images, *padded[2:], shape[1]), dtype=dtype)
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                top, left = i * dilation[0], j * dilation[1]
                seen = total[:, top : top + rows * stride[0] : stride[0], left : left + columns * stride[1] : stride[1]]
                seen += taps[:, :, :, i, j]
        inner = total[:, padding[0] : padding[0] + shape[2], padding[1] : padding[1] + shape[3]]
        return inner.to(gradient.dtype).permute(0, 3, 1, 2), None, None, None, None
