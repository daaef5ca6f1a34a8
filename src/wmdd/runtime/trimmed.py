"""Convolutions without the taps that see nothing but padding.

On a map of one pixel a 3x3 kernel multiplies one pixel and eight zeros. Networks made for large images end in such maps
when they are given small ones, and there they have most of their weights: a ResNet-18 at 32 px, with ImageNet's stem,
spends half of a training step on them. What is left is one matrix product, where a processor is faster so.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from wmdd.runtime.small_maps import WIDEST, product_conv2d


class TrimmedConv2d(nn.Conv2d):
    """A convolution that gives what ``nn.Conv2d`` gives, of the part of its kernel that ever meets the image.

    The gradient of the other weights is 0, as it is there.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W] -> [B, C', H', W']``."""
        height, width = x.shape[-2:]
        rows, vertical = self._kept(height, 0)
        columns, horizontal = self._kept(width, 1)
        weight = self.weight
        if weight.shape[2:] != (rows.stop - rows.start, columns.stop - columns.start):
            weight = _Taps.apply(weight, rows, columns)
        padding = (vertical, horizontal)
        if x.device.type == "cpu" and x.dim() == 4 and self.groups == 1 and self._width(width) <= WIDEST:
            return product_conv2d(x, weight, self.bias, self.stride, padding, self.dilation)
        return F.conv2d(x, weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _width(self, width: int) -> int:
        padding = self.padding[1]
        assert isinstance(padding, int)
        return _outputs(width, self.kernel_size[1], self.stride[1], padding, self.dilation[1])

    def _kept(self, size: int, axis: int) -> tuple[slice, int]:
        padding = self.padding[axis]
        assert isinstance(padding, int)
        return kept_taps(size, self.kernel_size[axis], self.stride[axis], padding, self.dilation[axis])


class _Taps(torch.autograd.Function):
    """``weight[:, :, rows, columns]``, whose gradient has the weight's memory layout.

    Indexing fills one whole gradient for each axis, and none of them channels last, so that they are copied again.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: slice, columns: slice) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.taps = (slice(None), slice(None), rows, columns)
        return weight[ctx.taps]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        whole = torch.zeros_like(weight)
        whole[ctx.taps] = gradient
        return whole, None, None


@lru_cache(maxsize=4096)
def kept_taps(size: int, kernel: int, stride: int, padding: int, dilation: int) -> tuple[slice, int]:
    """Along one axis of ``size`` pixels: the taps to keep, and the padding under which they see what they saw.

    All of them, where what is left would need more padding on one side than on the other.
    """
    outputs = _outputs(size, kernel, stride, padding, dilation)
    seeing = [
        tap for tap in range(kernel) if any(0 <= at * stride - padding + tap * dilation < size for at in range(outputs))
    ]
    if seeing:
        kept, less = slice(seeing[0], seeing[-1] + 1), padding - seeing[0] * dilation
        if less >= 0 and _outputs(size, kept.stop - kept.start, stride, less, dilation) == outputs:
            return kept, less
    return slice(0, kernel), padding


def _outputs(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def trim(network: nn.Module) -> nn.Module:
    """``network``, its convolutions that pad with zeros trimmed: the same parameters, names and results."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            module.__class__ = TrimmedConv2d
    return network
