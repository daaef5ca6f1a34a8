"""The written-out gradient of per-image moments, against finite differences and against autograd."""

import pytest
import torch
from torch import Tensor

from wmdd.models import image_moments

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


def test_low_precision_activations_are_summed_in_float32() -> None:
    x = values((2, 3, 32, 32)).bfloat16().requires_grad_()
    mean, var = image_moments(x, 1)
    assert mean.dtype == var.dtype == torch.float32
    torch.testing.assert_close(mean, x.detach().float().mean(dim=(2, 3)))
    (mean + var).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16
    wide = x.detach().double()
    expected = (1 + 2 * (wide - wide.mean(dim=(2, 3), keepdim=True))) / 1024
    torch.testing.assert_close(x.grad.double(), expected, rtol=0.02, atol=2e-5)
