"""Barycenters of several measures on a GPU agree with those of the CPU."""

import pytest
import torch

from wmdd.ot import GridProblem, MeasuresProblem, solve_free_support, solve_grid

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch finds none"),
]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.float64, 1e-6)])
@pytest.mark.parametrize("epsilon", [2.0, 50.0])
def test_grid(dtype: torch.dtype, tolerance: float, epsilon: float) -> None:
    histograms = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0), dtype=dtype)
    shares = torch.ones(2, 3, dtype=dtype)
    here = solve_grid(GridProblem(histograms, shares), epsilon=epsilon)
    there = solve_grid(GridProblem(histograms.cuda(), shares.cuda()), epsilon=epsilon)
    assert there.histograms.is_cuda
    assert float((there.histograms.cpu() - here.histograms).abs().sum((1, 2)).max()) < tolerance


def test_free_support() -> None:
    points = [torch.randn(20, 2, generator=torch.Generator().manual_seed(i), dtype=torch.float64) for i in range(3)]
    here = solve_free_support(MeasuresProblem.uniform(points, 6), restarts=2, free_weights=True)
    there = solve_free_support(MeasuresProblem.uniform([y.cuda() for y in points], 6), restarts=2, free_weights=True)
    assert there.atoms.is_cuda
    assert there.cost == pytest.approx(here.cost, rel=1e-3)
