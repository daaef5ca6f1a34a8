"""Exact plans against POT, and the certificate that the duals promise."""

import ot
import pytest
import torch

from wmdd.ot import exact_plan, squared_distances


def measures(m: int, n: int, width: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(m * n)
    atoms = torch.randn(m, width, generator=generator, dtype=torch.float64)
    points = torch.randn(n, width, generator=generator, dtype=torch.float64)
    a = torch.rand(m, generator=generator, dtype=torch.float64)
    b = torch.rand(n, generator=generator, dtype=torch.float64)
    a[::3] = 0  # atoms and points without mass have no potentials in the simplex method
    b[::5] = 0
    a[-1] = b[-1] = 1
    return a / a.sum(), b / b.sum(), squared_distances(atoms, points)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 9), (6, 40), (25, 25), (40, 6)])
def test_plan_is_optimal_and_certified(m: int, n: int) -> None:
    a, b, cost = measures(m, n)
    solved = exact_plan(a, b, cost)
    torch.testing.assert_close(solved.plan.sum(1), a)
    torch.testing.assert_close(solved.plan.sum(0), b)
    assert solved.cost == pytest.approx(float(ot.emd2(a, b, cost)), rel=1e-9)
    torch.testing.assert_close(solved.plan, ot.emd(a, b, cost))
    beta, alpha = solved.duals
    assert float(a @ beta + b @ alpha) == pytest.approx(solved.cost, rel=1e-9)
    assert float(a @ beta) == pytest.approx(0, abs=1e-12)
    assert float((beta[:, None] + alpha - cost).max()) <= 1e-12 * float(cost.max())


def test_float32_costs_are_solved_in_float64() -> None:
    a, b, cost = measures(6, 40)
    solved = exact_plan(a.float(), b.float(), cost.float())
    assert solved.plan.dtype == torch.float32
    assert solved.duals.alpha.dtype == torch.float64
    assert solved.cost == pytest.approx(float(ot.emd2(a, b, cost)), rel=1e-5)
    certified = a @ solved.duals.beta + b @ solved.duals.alpha
    assert float(certified) == pytest.approx(solved.cost, rel=1e-6)
