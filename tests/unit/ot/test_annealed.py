"""The path that GPUs take, on the CPU."""

import pytest
import torch
from sklearn.datasets import load_digits

from wmdd.ot import BarycenterProblem, Method, solve


@pytest.fixture
def classes() -> list[torch.Tensor]:
    images, labels = load_digits(return_X_y=True)
    return [torch.tensor(images[labels == k], dtype=torch.float32) for k in range(4)]


@pytest.mark.parametrize("method", ["uniform", "floored"])
def test_annealing_alone_ends_about_as_low_as_with_drawn_starts(
    method: Method, classes: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = BarycenterProblem(torch.cat(classes), 10, tuple(map(len, classes)))
    usual = solve(problem, method, restarts=4)
    monkeypatch.setattr("wmdd.ot.balanced.BATCHING", ("cpu",))
    together = solve(problem, method, restarts=4)
    assert together.converged.all()
    assert float((together.cost / usual.cost).max()) < 1.03
    floor = 1.0 if method == "uniform" else 0.5
    assert float(together.weights.min()) >= floor / 10 - 1e-6
    alone = solve(BarycenterProblem(classes[2], 10), method, restarts=4)
    torch.testing.assert_close(alone.cost[0], together.cost[2], rtol=1e-6, atol=0)
