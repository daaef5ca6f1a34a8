import pytest
import torch

from wmdd.core.errors import DataError
from wmdd.ot import exact_plan

HALF = torch.tensor([0.5, 0.5])


def test_a_plan_by_hand() -> None:
    solved = exact_plan(HALF, HALF, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert solved.cost == 0
    assert solved.plan.dtype == torch.float32
    assert solved.plan.tolist() == [[0, 0.5], [0.5, 0]]


def test_projection_is_the_mean_of_what_an_atom_serves() -> None:
    points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    cost = (torch.tensor([[2.0], [9.0]]) - points.T).square()
    solved = exact_plan(HALF, torch.full((4,), 0.25), cost)
    assert solved.project(points, torch.tensor([[2.0], [9.0]])).tolist() == [[0.5], [10.5]]


def test_an_atom_without_mass_stays_and_gets_its_best_potential() -> None:
    points, atoms = torch.tensor([[0.0], [4.0]]), torch.tensor([[1.0], [4.0]])
    cost = (atoms - points.T).square()
    solved = exact_plan(torch.tensor([1.0, 0.0]), HALF, cost)
    assert solved.project(points, atoms).tolist() == [[2.0], [4.0]]
    beta, alpha = solved.duals
    assert alpha.tolist() == [1, 9]
    assert beta.tolist() == [0, -9]


def test_total_masses_may_differ_by_rounding_only() -> None:
    b = torch.full((3,), 1 / 3)
    assert exact_plan(torch.ones(1), b * (1 + 1e-6), torch.ones(1, 3)).cost == pytest.approx(1)
    with pytest.raises(DataError, match="same total mass"):
        exact_plan(torch.ones(1), b * 1.1, torch.ones(1, 3))


@pytest.mark.parametrize(
    ("a", "cost", "sentence"),
    [
        (torch.ones(3) / 3, torch.zeros(2, 2), "a must be a vector of 2 masses"),
        (torch.tensor([1.5, -0.5]), torch.zeros(2, 2), "non-negative"),
        (torch.zeros(2), torch.zeros(2, 2), "positive sum"),
        (torch.tensor([torch.nan, 1]), torch.zeros(2, 2), "a must be finite"),
        (HALF, torch.full((2, 2), torch.inf), "cost must be finite"),
        (HALF, torch.zeros(2), "cost must be a matrix"),
    ],
)
def test_refuses(a: torch.Tensor, cost: torch.Tensor, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        exact_plan(a, HALF, cost)
