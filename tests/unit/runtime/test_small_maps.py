"""Convolutions as one matrix product: about as exact as torch's own, and in the same layout."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wmdd.runtime.device import Machine
from wmdd.runtime.small_maps import WIDEST, product_conv2d
from wmdd.runtime.trimmed import trim


def error(found: Tensor, exact: Tensor) -> float:
    return float((found.detach().double() - exact.detach()).norm() / exact.detach().norm())


@pytest.mark.parametrize(("side", "stride"), [(2, 1), (4, 1), (4, 2), (8, 2)])
def test_in_bfloat16_it_is_about_as_near_to_the_exact_sum_as_torchs_convolution(side: int, stride: int) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(6, 64, side, side), torch.randn(48, 64, 3, 3) / 24
    given = torch.randn(6, 48, side // stride, side // stride)

    def by(way, dtype: torch.dtype) -> tuple[Tensor, ...]:
        image, kernel = (value.to(dtype).requires_grad_() for value in (x, weight))
        out = way(image, kernel, None, (stride, stride), (1, 1), (1, 1))
        return out, *torch.autograd.grad(out, (image, kernel), given.to(dtype))

    exact = by(F.conv2d, torch.float64)
    for ours, theirs, truth in zip(
        by(product_conv2d, torch.bfloat16), by(F.conv2d, torch.bfloat16), exact, strict=True
    ):
        assert error(ours, truth) < 1.3 * error(theirs, truth)  # taps are rounded once more before they are added


def test_what_it_gives_lies_channels_last_as_its_gradients_do() -> None:
    machine = Machine(torch.device("cpu"), "bfloat16")
    conv = machine.place(nn.Conv2d(8, 16, 3, padding=1))
    x = machine.layout(torch.randn(5, 8, WIDEST, WIDEST)).requires_grad_()
    with machine.autocast():
        out = conv(x)
    out.float().square().sum().backward()
    assert out.dtype == torch.bfloat16
    assert conv.weight.grad is not None
    assert x.grad is not None
    for value in (out, x.grad, conv.weight.grad):
        assert value.is_contiguous(memory_format=torch.channels_last)


def test_a_single_image_without_a_batch_is_taken_as_torch_takes_it() -> None:
    conv, x = nn.Conv2d(3, 5, 3, padding=1), torch.randn(3, 2, 2)
    want = conv(x)
    torch.testing.assert_close(trim(conv)(x), want)
