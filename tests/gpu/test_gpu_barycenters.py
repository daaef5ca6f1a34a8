"""Barycenters on a GPU: what the CPU finds, and what a second run finds."""

import pytest
import torch
from sklearn.datasets import load_digits

from wmdd.ot import BarycenterProblem, Method, solve

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.mark.parametrize("method", ["exact", "uniform", "floored", "paper"])
@pytest.mark.parametrize("m", [1, 10, 50])
def test_costs_are_those_of_the_cpu_and_repeat(method: Method, m: int) -> None:
    images, labels = load_digits(return_X_y=True)
    classes = [torch.tensor(images[labels == k], dtype=torch.float32) for k in range(5)]
    problem = BarycenterProblem(torch.cat(classes), m, tuple(map(len, classes)))
    settings = {"restarts": 4, "iterations": 10 if method == "paper" else 100}
    cpu = solve(problem, method, **settings)
    gpu = solve(problem, method, **settings, device=torch.device("cuda"))
    assert gpu.atoms.device.type == "cpu"
    assert float((gpu.cost / cpu.cost - 1).abs().max()) < 0.03
    again = solve(problem, method, **settings, device=torch.device("cuda"))
    assert torch.equal(gpu.atoms, again.atoms)
    for g, duals in enumerate(gpu.duals):
        certified = float(gpu.weights[g].double() @ duals.beta + duals.alpha.mean())
        assert certified == pytest.approx(float(gpu.cost[g]), rel=1e-5)
