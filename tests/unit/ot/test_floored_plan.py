import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from wmdd.ot.balanced import floored_plan


def by_linear_program(masses: torch.Tensor, cost: torch.Tensor, floor: float) -> float:
    """``min <T, c>`` over ``T >= 0, T' 1 = b, T 1 >= floor / m``, written out."""
    m, n = cost.shape
    rows, columns = np.kron(np.eye(m), np.ones((1, n))), np.kron(np.ones((1, m)), np.eye(n))
    least = np.full(m, floor / m)
    solved = linprog(cost.flatten().numpy(), A_ub=-rows, b_ub=-least, A_eq=columns, b_eq=masses.numpy())
    assert solved.success
    return float(solved.fun)


@pytest.mark.parametrize("floor", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize(("m", "n"), [(1, 5), (3, 12), (7, 7)])
def test_plan_is_that_of_the_linear_program(m: int, n: int, floor: float) -> None:
    generator = torch.Generator().manual_seed(m + n)
    masses = torch.rand(n, generator=generator, dtype=torch.float64)
    masses /= masses.sum()
    cost = torch.rand(m, n, generator=generator, dtype=torch.float64)
    cost[0] += 1  # an atom that nobody wants: only the floor gives it a weight
    solved = floored_plan(masses, cost, floor)
    assert solved.cost == pytest.approx(by_linear_program(masses, cost, floor), rel=1e-9)
    assert float((solved.plan * cost).sum()) == pytest.approx(solved.cost, rel=1e-12)
    torch.testing.assert_close(solved.plan.sum(0), masses)
    assert float(solved.plan.min()) >= 0
    assert float(solved.plan.sum(1).min()) >= floor / m - 1e-12
    if m > 1:
        assert float(solved.plan[0].sum()) == pytest.approx(floor / m, abs=1e-12)
