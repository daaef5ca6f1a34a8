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

from wmdd.runtime.small_maps import WIDEST, outputs, product_conv2d


class TrimmedConv2d(nn.Conv2d):
    """A convolution that gives what ``nn.Conv2d`` gives, of the part of its kernel that ever meets the image.

    The gradient of the other weights is 0, as it is there.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W] -> [B, C', H', W']``."""
        height, width = x.shape[-2:]
        rows, vertical = kept_taps(height, *self._along(0))
        columns, horizontal = kept_taps(width, *self._along(1))
        weight = self.weight
        if weight.shape[2:] != (rows.stop - rows.start, columns.stop - columns.start):
            weight = _Taps.apply(weight, rows, columns)
        padding = (vertical, horizontal)
        if x.device.type == "cpu" and x.dim() == 4 and self.groups == 1 and outputs(width, *self._along(1)) <= WIDEST:
            return product_conv2d(x, weight, self.bias, self.stride, padding, self.dilation)
        return F.conv2d(x, weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _along(self, axis: int) -> tuple[int, int, int, int]:
        """Kernel, stride, padding and dilation along rows (0) or columns (1)."""
        padding = self.padding[axis]
        assert isinstance(padding, int)
        return self.kernel_size[axis], self.stride[axis], padding, self.dilation[axis]


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
    made = outputs(size, kernel, stride, padding, dilation)
    seeing = [
        tap for tap in range(kernel) if any(0 <= at * stride - padding + tap * dilation < size for at in range(made))
    ]
    if seeing:
        kept, less = slice(seeing[0], seeing[-1] + 1), padding - seeing[0] * dilation
        if less >= 0 and outputs(size, kept.stop - kept.start, stride, less, dilation) == made:
            return kept, less
    return slice(0, kernel), padding


def trim(network: nn.Module) -> nn.Module:
    """``network``, its convolutions that pad with zeros trimmed: the same parameters, names and results."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            module.__class__ = TrimmedConv2d
    return network
