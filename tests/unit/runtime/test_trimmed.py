"""Trimmed convolutions: what torch's own give, forward and backward."""

from copy import deepcopy

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from wmdd.runtime.device import Machine
from wmdd.runtime.trimmed import TrimmedConv2d, kept_taps, trim


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 7), st.integers(1, 7),
    st.integers(1, 3), st.integers(0, 4), st.integers(1, 2), st.sampled_from([1, 2]),
)  # fmt: skip
def test_any_convolution_gives_what_torchs_gives(height, width, tall, wide, stride, padding, dilation, groups) -> None:
    if min(height - dilation * (tall - 1), width - dilation * (wide - 1)) + 2 * padding < 1:
        return  # torch refuses a kernel that is larger than the padded image
    conv = nn.Conv2d(4, 6, (tall, wide), stride, padding, dilation, groups, dtype=torch.float64)
    x = torch.randn(3, 4, height, width, dtype=torch.float64, requires_grad=True)
    want = conv(x)
    wanted = torch.autograd.grad(want.square().sum(), (x, conv.weight, conv.bias))
    got = trim(conv)(x)
    assert type(conv) is TrimmedConv2d
    assert_close(got, want)
    for found, expected in zip(
        torch.autograd.grad(got.square().sum(), (x, conv.weight, conv.bias)), wanted, strict=True
    ):
        assert_close(found, expected)


@pytest.mark.parametrize(
    ("size", "stride", "kept", "padding"),
    [(1, 1, slice(1, 2), 0), (2, 1, slice(0, 3), 1), (2, 2, slice(1, 3), 0), (3, 2, slice(0, 3), 1)],
)
def test_taps_that_see_padding_alone_are_left_out(size: int, stride: int, kept: slice, padding: int) -> None:
    assert kept_taps(size, 3, stride, 1, 1) == (kept, padding)


def test_a_network_keeps_its_parameters_and_what_it_says() -> None:
    network = timm.create_model("resnet18", num_classes=3).double().eval()
    names, x = list(network.state_dict()), torch.randn(2, 3, 32, 32, dtype=torch.float64)
    want = network(x)
    assert_close(trim(network)(x), want)
    assert list(network.state_dict()) == names


def test_in_bfloat16_and_channels_last_gradients_lie_as_their_weights() -> None:
    """What a fused optimiser relies on; and a copy of a trimmed convolution is one."""
    torch.manual_seed(0)
    machine, x = Machine(torch.device("cpu"), "bfloat16"), torch.randn(4, 16, 2, 2)
    usual = nn.Conv2d(16, 32, 3, stride=2, padding=1)
    placed = deepcopy(machine.place(deepcopy(usual)))
    assert type(placed) is TrimmedConv2d
    with machine.autocast():
        want, got = usual(x), placed(machine.layout(x))
    assert_close(got, want)
    for out in (want, got):
        out.float().square().sum().backward()
    assert_close(placed.weight.grad, usual.weight.grad)
    assert placed.weight.grad is not None
    assert placed.weight.grad.stride() == placed.weight.stride()


def test_other_paddings_are_left_alone() -> None:
    network = trim(
        nn.Sequential(nn.Conv2d(3, 3, 3, padding="same"), nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"))
    )
    assert all(type(module) is nn.Conv2d for module in network)
