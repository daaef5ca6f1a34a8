"""The solvers against scikit-learn's k-means and POT's free-support barycenter, on the digits' pixels per class."""

import numpy as np
import ot
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from wmdd.ot import BarycenterProblem, solve
from wmdd.ot.balanced import random_points
from wmdd.ot.ordering import in_canonical_order
from wmdd.ot.ragged import centred


@pytest.fixture(scope="module")
def digits() -> list[torch.Tensor]:
    images, labels = load_digits(return_X_y=True)
    return [torch.tensor(images[labels == k], dtype=torch.float32) for k in range(10)]


def by_sklearn(points: torch.Tensor, m: int) -> float:
    return float(KMeans(m, n_init=10, random_state=0).fit(points.double().numpy()).inertia_) / len(points)


@pytest.mark.parametrize("m", [10, 50])
def test_exact_costs_no_more_than_kmeans_with_ten_starts(digits: list[torch.Tensor], m: int) -> None:
    sizes = tuple(len(points) for points in digits)
    kmeans = torch.tensor([by_sklearn(points, m) for points in digits])
    for seed in range(4):
        output = solve(BarycenterProblem(torch.cat(digits), m, sizes), "exact", seed=seed)
        assert output.converged.all()
        assert float((output.cost / kmeans).max()) <= 1.001


@pytest.mark.parametrize("m", [2, 7])
def test_exact_on_sparse_wide_features(m: int) -> None:
    rng = np.random.default_rng(0)
    points = np.maximum(rng.standard_normal((200, 8)) @ rng.standard_normal((8, 128)), 0)
    features = torch.tensor(points, dtype=torch.float32)
    # Few atoms in a cloud without clusters have many optima of almost equal cost: hence the many starts.
    output = solve(BarycenterProblem(features, m), "exact", seed=0, restarts=40)
    assert output.cost.item() <= 1.001 * by_sklearn(features, m)


def test_uniform_costs_no_more_than_pot_from_the_same_points_of_the_class(digits: list[torch.Tensor]) -> None:
    m, restarts = 10, 4
    for points in digits:
        output = solve(BarycenterProblem(points, m), "uniform", seed=0, restarts=restarts)
        measure, mass = points.double(), torch.full((len(points),), 1 / len(points), dtype=torch.float64)
        uniform = torch.full((m,), 1 / m, dtype=torch.float64)
        order = in_canonical_order(centred(BarycenterProblem(measure, m).measures(), torch.float64)[0])
        starts = random_points(measure[order], m, restarts, torch.Generator().manual_seed(0))
        costs = []
        for start in starts:
            atoms = ot.lp.free_support_barycenter([measure], [mass], start, b=uniform)
            costs.append(float(ot.emd2(uniform, mass, ot.dist(atoms, measure))))
        assert output.converged.all()
        assert float(output.cost) <= min(costs) * (1 + 1e-7)


def test_the_order_of_the_solvers_on_real_classes(digits: list[torch.Tensor]) -> None:
    for points in digits:
        problem = BarycenterProblem(points, 10)
        exact, uniform = solve(problem, "exact", seed=0), solve(problem, "uniform", seed=0)
        paper = solve(problem, "paper", seed=0, restarts=1, iterations=10)
        assert exact.cost <= uniform.cost
        assert exact.cost <= paper.cost


@pytest.mark.parametrize("method", ["exact", "uniform", "paper"])
def test_one_atom_is_the_mean_and_costs_the_trace_of_the_covariance(digits: list[torch.Tensor], method: str) -> None:
    points = digits[3]
    output = solve(BarycenterProblem(points, 1), method, seed=0, restarts=1, iterations=10)  # type: ignore[arg-type]
    torch.testing.assert_close(output.atoms[0, 0], points.mean(0))
    assert float(output.cost) == pytest.approx(float(points.double().var(0, correction=0).sum()), rel=1e-9)
    assert output.weights.tolist() == [[1]]
