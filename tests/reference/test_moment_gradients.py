"""The written-out gradient of per-image moments, against finite differences and against autograd."""

import pytest
import torch
from torch import Tensor, nn

from wmdd.models import image_moments
from wmdd.models.moments import LARGE, can_normalize, normalize_with_moments

# Shapes as they enter batch norm, layer norm on tokens, layer norm on maps, norms on vectors; and their positions.
CASES = [
    ((3, 4, 2, 5), 1, (2, 3)),
    ((3, 4, 6), 1, (2,)),
    ((3, 6, 4), -1, (1,)),
    ((2, 3, 2, 4), -1, (1, 2)),
]


def values(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("shape", "channel_dim", "positions"), CASES)
def test_gradient_by_finite_differences(shape: tuple[int, ...], channel_dim: int, positions: tuple[int, ...]) -> None:
    x = values(shape).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: tuple(image_moments(x, channel_dim)), (x,))


@pytest.mark.parametrize(("shape", "channel_dim", "positions"), CASES)
@pytest.mark.parametrize("used", ["mean", "var", "both"])
@pytest.mark.parametrize("layout", ["contiguous", "permuted"])
def test_gradient_of_the_literal_formula(
    shape: tuple[int, ...], channel_dim: int, positions: tuple[int, ...], used: str, layout: str
) -> None:
    x, again = (values(shape).requires_grad_() for _ in range(2))
    seen = x if layout == "contiguous" else x.transpose(1, -1).contiguous().transpose(1, -1)
    mean, var = image_moments(seen, channel_dim)
    own_mean = again.mean(dim=positions)
    own_var = (again - again.mean(dim=positions, keepdim=True)).square().mean(dim=positions)
    torch.testing.assert_close(mean, own_mean)
    torch.testing.assert_close(var, own_var)
    for result, m, v in ((x, mean, var), (again, own_mean, own_var)):
        a, b = values(tuple(m.shape), 1), values(tuple(v.shape), 2)
        terms = {"mean": (a * m).sum(), "var": (b * v.exp()).sum()}
        (sum(terms.values()) if used == "both" else terms[used]).backward()  # type: ignore[union-attr]
        assert result.grad is not None
    torch.testing.assert_close(x.grad, again.grad)


def test_a_vector_is_its_own_mean() -> None:
    x = values((3, 4)).requires_grad_()
    mean, var = image_moments(x, 1)
    assert torch.equal(mean, x)
    assert not var.any()
    mean.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.ones_like(x))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels", [3, LARGE // 1024 + 1])
def test_low_precision_activations_are_summed_in_float32(channels: int, layout: torch.memory_format) -> None:
    x = (2 * values((2, channels, 32, 32)) + 3).bfloat16().contiguous(memory_format=layout).requires_grad_()
    mean, var = image_moments(x, 1)
    assert mean.dtype == var.dtype == torch.float32
    exact = x.detach().double()
    torch.testing.assert_close(mean.double(), exact.mean(dim=(2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(var.double(), exact.var(dim=(2, 3), correction=0), rtol=1e-4, atol=0)
    (mean + var).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16
    wide = x.detach().double()
    expected = (1 + 2 * (wide - wide.mean(dim=(2, 3), keepdim=True))) / 1024
    torch.testing.assert_close(x.grad.double(), expected, rtol=0.02, atol=4e-5)


def a_batch_norm(*, affine: bool = True) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(4, affine=affine, dtype=torch.float64).eval()
    layer.running_mean, layer.running_var = values((4,), 3), values((4,), 4).square()
    if affine:
        layer.weight.data, layer.bias.data = values((4,), 5), values((4,), 6)
    return layer.requires_grad_(False)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("used", ["out", "mean", "var", "out+var", "mean+var", "out+mean+var"])
def test_a_batch_norm_with_moments_has_the_gradients_of_both(used: str, affine: bool) -> None:
    layer = a_batch_norm(affine=affine)
    x, again = (values((3, 4, 2, 5)).requires_grad_() for _ in range(2))
    out, moments = normalize_with_moments(x, layer)
    apart = (layer(again), *image_moments(again, 1))
    for leaf, found in ((x, (out, *moments)), (again, apart)):
        terms = {
            name: (values(tuple(tensor.shape), i) * tensor.exp()).sum()
            for i, (name, tensor) in enumerate(zip(("out", "mean", "var"), found, strict=True))
        }
        torch.stack([terms[name] for name in used.split("+")]).sum().backward()
        assert leaf.grad is not None
    for mine, theirs in zip((out, *moments), apart, strict=True):
        torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(x.grad, again.grad)


def test_a_batch_norm_that_learns_or_keeps_no_statistics_is_left_alone() -> None:
    assert can_normalize(a_batch_norm())
    assert not can_normalize(nn.BatchNorm2d(4))
    assert not can_normalize(nn.BatchNorm2d(4, track_running_stats=False).eval())
    assert not can_normalize(nn.GroupNorm(2, 4))
