import pytest
import torch

from wmdd.core.errors import DataError
from wmdd.ot import squared_distances


def test_equals_the_sum_of_squared_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(7, 5, generator=generator), torch.randn(4, 5, generator=generator)
    expected = (x[:, None] - y).square().sum(2)
    assert squared_distances(x, y).dtype == torch.float32
    torch.testing.assert_close(squared_distances(x, y), expected)
    torch.testing.assert_close(squared_distances(x.double(), y), expected.double(), rtol=1e-6, atol=1e-6)


def test_float32_keeps_the_distance_of_close_points_far_from_the_origin() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 64, generator=generator) * 100 + 1e4
    near = x + torch.randn(20, 64, generator=generator) * 0.01
    expected = (x.double() - near.double()).square().sum(1)
    torch.testing.assert_close(squared_distances(x, near).diagonal().double(), expected, rtol=1e-4, atol=0)


def test_never_negative() -> None:
    x = torch.full((3, 4), 0.1)
    assert (squared_distances(x, x) >= 0).all()


def test_gradient_is_that_of_the_formula() -> None:
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    y = torch.randn(4, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(squared_distances, (x, y))


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (torch.zeros(3), torch.zeros(2, 3), "x must be a matrix"),
        (torch.zeros(2, 3), torch.zeros(0, 3), "y must not be empty"),
        (torch.zeros(2, 3), torch.zeros(2, 4), "same width"),
        (torch.tensor([[torch.nan]]), torch.zeros(1, 1), "x must be finite"),
        (torch.zeros(1, 1), torch.tensor([[torch.inf]]), "y must be finite"),
        (torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 1), "floating-point"),
    ],
)
def test_refuses(x: torch.Tensor, y: torch.Tensor, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        squared_distances(x, y)
