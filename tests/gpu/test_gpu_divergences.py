"""Divergences on a GPU: values and gradients are those of the CPU, and come out the same again."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from wmdd.ot import (
    SinkhornProblem,
    energy_distance,
    entropic_cost,
    gaussian_mmd2,
    random_directions,
    sinkhorn_divergence,
    sliced_wasserstein2,
    solve_sinkhorn,
    squared_distances,
    wasserstein2,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch finds none"),
]

DIRECTIONS = random_directions(50, 8, torch.Generator().manual_seed(0))
DIVERGENCES: dict[str, Callable[..., Tensor]] = {
    "wasserstein": wasserstein2,
    "entropic": entropic_cost,
    "sinkhorn": sinkhorn_divergence,
    "sliced": lambda x, y, a, b: sliced_wasserstein2(x, y, DIRECTIONS, a, b),
    "gaussian": gaussian_mmd2,
    "energy": energy_distance,
}


def measures(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(count, 8, generator=generator, dtype=torch.float64) for count in (20, 300))
    a, b = (torch.rand(count, generator=generator, dtype=torch.float64) + 0.1 for count in (20, 300))
    return (x + 0.5).to(dtype), y.to(dtype), a.to(dtype), b.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", DIVERGENCES)
def test_values_and_gradients_are_those_of_the_cpu(name: str, dtype: torch.dtype) -> None:
    def found(device: str) -> list[Tensor]:
        x, y, a, b = (value.to(device).requires_grad_() for value in measures(dtype))
        value = DIVERGENCES[name](x, y, a, b)
        assert value.device.type == device
        return [value.detach(), *torch.autograd.grad(value, (x, y, a, b))]

    expected, here, again = found("cpu"), found("cuda"), found("cuda")
    for mine, theirs, repeated in zip(here, expected, again, strict=True):
        torch.testing.assert_close(mine.cpu(), theirs, rtol=1e-4, atol=1e-6)
        assert torch.equal(mine, repeated)


def test_batches_are_solved_as_on_the_cpu() -> None:
    x, y, a, b = measures(torch.float64)
    cost = torch.stack([squared_distances(scale * x, y) for scale in (0.5, 1.0, 2.0)])
    masses = [(value / value.sum()).expand(3, -1) for value in (a, b)]
    expected = solve_sinkhorn(SinkhornProblem(cost, *masses))
    found = solve_sinkhorn(SinkhornProblem(cost.cuda(), *(mass.cuda() for mass in masses)))
    assert found.converged.all()
    assert torch.equal(found.iterations.cpu(), expected.iterations)
    torch.testing.assert_close(found.plan().cpu(), expected.plan(), rtol=1e-6, atol=1e-12)
