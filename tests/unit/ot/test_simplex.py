import pytest
import torch
from scipy.optimize import minimize

from wmdd.core.errors import DataError
from wmdd.ot import project_simplex


def test_known_projections() -> None:
    assert project_simplex(torch.tensor([0.2, 0.8])).tolist() == pytest.approx([0.2, 0.8])
    assert project_simplex(torch.tensor([5.0, 0.0, 1.0])).tolist() == [1, 0, 0]
    assert project_simplex(torch.tensor([-3.0, -3.0])).tolist() == [0.5, 0.5]


def test_agrees_with_a_general_solver() -> None:
    vector = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    reference = minimize(
        lambda w: ((w - vector.numpy()) ** 2).sum(),
        x0=[1 / 6] * 6,
        bounds=[(0, 1)] * 6,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14},
    )
    assert project_simplex(vector).tolist() == pytest.approx(reference.x.tolist(), abs=1e-6)


@pytest.mark.parametrize("vector", [torch.zeros(0), torch.zeros(2, 2), torch.tensor([torch.nan])])
def test_refuses(vector: torch.Tensor) -> None:
    with pytest.raises(DataError, match="vector"):
        project_simplex(vector)
