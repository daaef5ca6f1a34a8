"""Divergences against POT and literal transcriptions of their formulas, in float64; gradients by differences."""

import math
from collections.abc import Callable
from functools import partial

import ot
import pytest
import torch
from torch import Tensor

from wmdd.ot import (
    SinkhornProblem,
    energy_distance,
    entropic_cost,
    exact_plan,
    gaussian_mmd2,
    median_distance,
    random_directions,
    sinkhorn_divergence,
    sliced_wasserstein2,
    solve_sinkhorn,
    squared_distances,
    wasserstein2,
)

SIZES = [(1, 1), (1, 7), (5, 5), (6, 11), (13, 4)]
DIRECTIONS = random_directions(20, 3, torch.Generator().manual_seed(3))
DIVERGENCES: dict[str, Callable[..., Tensor]] = {
    "wasserstein": wasserstein2,
    "entropic": partial(entropic_cost, epsilon=0.7, tolerance=1e-12),
    "sinkhorn": partial(sinkhorn_divergence, epsilon=0.7, tolerance=1e-12),
    "sliced": lambda x, y, a=None, b=None: sliced_wasserstein2(x, y, DIRECTIONS, a, b),
    "gaussian": partial(gaussian_mmd2, bandwidth=1.3),
    "energy": energy_distance,
}


def measures(m: int, n: int, width: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(100 * m + n)
    x, y = (torch.randn(count, width, generator=generator, dtype=torch.float64) for count in (m, n))
    a, b = (torch.rand(count, generator=generator, dtype=torch.float64) + 0.1 for count in (m, n))
    return x + 0.5, y, a / a.sum(), b / b.sum()


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_wasserstein_is_that_of_pot(m: int, n: int) -> None:
    x, y, a, b = measures(m, n)
    expected = ot.emd2(a, b, ot.dist(x, y))
    assert float(wasserstein2(x, y, a, b)) == pytest.approx(float(expected), rel=1e-9)
    assert float(wasserstein2(x, y)) == pytest.approx(float(ot.emd2([], [], ot.dist(x, y))), rel=1e-9)


@pytest.mark.parametrize("epsilon", [0.05, 0.5, 5.0])
@pytest.mark.parametrize(("m", "n"), SIZES)
def test_entropic_cost_and_plan_are_those_of_pot(m: int, n: int, epsilon: float) -> None:
    x, y, a, b = measures(m, n)
    cost = squared_distances(x, y)
    plan = ot.sinkhorn(a, b, cost, epsilon, method="sinkhorn_log", numItermax=50_000, stopThr=1e-12)
    found = solve_sinkhorn(SinkhornProblem(cost[None], a[None], b[None], epsilon), iterations=20_000, tolerance=1e-10)
    assert found.converged.all()
    torch.testing.assert_close(found.plan()[0], plan, rtol=1e-6, atol=1e-9)
    divergence = (plan * (plan / (a[:, None] * b)).log()).sum()
    expected = float((plan * cost).sum() + epsilon * divergence)
    value = entropic_cost(x, y, a, b, epsilon=epsilon, iterations=20_000, tolerance=1e-10)
    assert float(value) == pytest.approx(expected, rel=1e-8)
    linear = ot.sinkhorn2(a, b, cost, epsilon, method="sinkhorn_log", numItermax=50_000, stopThr=1e-12)
    assert float((found.plan()[0] * cost).sum()) == pytest.approx(float(linear), rel=1e-7)


@pytest.mark.parametrize("epsilon", [1.5, 5.0])  # below, POT does not bring a measure onto itself
@pytest.mark.parametrize(("m", "n"), SIZES)
def test_sinkhorn_divergence_is_made_of_three_plans_of_pot(m: int, n: int, epsilon: float) -> None:
    x, y, a, b = measures(m, n)

    def cost(u: Tensor, v: Tensor, p: Tensor, q: Tensor) -> float:
        ground = ot.dist(u, v)
        plan = ot.sinkhorn(p, q, ground, epsilon, method="sinkhorn_log", numItermax=50_000, stopThr=1e-12)
        return float((plan * ground).sum() + epsilon * (plan * (plan / (p[:, None] * q)).log()).sum())

    expected = cost(x, y, a, b) - cost(x, x, a, a) / 2 - cost(y, y, b, b) / 2
    found = sinkhorn_divergence(x, y, a, b, epsilon=epsilon, iterations=20_000, tolerance=1e-10)
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_sinkhorn_divergence_is_pots_up_to_its_entropy() -> None:
    """POT adds ``<P, C>`` only, without epsilon times the divergence of the plan: ours less that is the same number."""
    x, y, a, b = measures(6, 11)
    epsilon = 0.8
    expected = ot.bregman.empirical_sinkhorn_divergence(
        x, y, epsilon, a=a, b=b, numIterMax=50_000, stopThr=1e-12, warn=False
    )

    def linear(u: Tensor, v: Tensor, p: Tensor, q: Tensor) -> float:
        ground = squared_distances(u, v)
        problem = SinkhornProblem(ground[None], p[None], q[None], epsilon)
        return float((solve_sinkhorn(problem, iterations=5000, tolerance=1e-11).plan()[0] * ground).sum())

    found = linear(x, y, a, b) - linear(x, x, a, a) / 2 - linear(y, y, b, b) / 2
    assert found == pytest.approx(float(expected), rel=1e-6)


def test_the_symmetric_solver_finds_what_the_general_one_finds() -> None:
    x, _, a, _ = measures(9, 1)
    problem = SinkhornProblem(squared_distances(x, x)[None], a[None], a[None], 1.5)
    general, symmetric = (
        solve_sinkhorn(problem, iterations=20_000, tolerance=1e-11, symmetric=flag) for flag in (False, True)
    )
    assert general.converged.all()
    assert symmetric.converged.all()
    assert int(symmetric.iterations) < int(general.iterations)
    torch.testing.assert_close(symmetric.plan(), general.plan(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_sliced_is_that_of_pot_with_its_directions(m: int, n: int) -> None:
    x, y, a, b = measures(m, n)
    expected = ot.sliced_wasserstein_distance(x, y, a, b, projections=DIRECTIONS.T)
    assert float(sliced_wasserstein2(x, y, DIRECTIONS, a, b)) == pytest.approx(float(expected) ** 2, rel=1e-9)
    even = ot.sliced_wasserstein_distance(x, y, projections=DIRECTIONS.T)
    assert float(sliced_wasserstein2(x, y, DIRECTIONS)) == pytest.approx(float(even) ** 2, rel=1e-9)


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_on_the_line_one_direction_gives_wasserstein(m: int, n: int) -> None:
    x, y, a, b = measures(m, n, width=1)
    direction = torch.ones(1, 1, dtype=torch.float64)
    assert float(sliced_wasserstein2(x, y, direction, a, b)) == pytest.approx(float(wasserstein2(x, y, a, b)), rel=1e-9)


def distance(u: Tensor, v: Tensor) -> float:
    return math.sqrt(sum((float(p) - float(q)) ** 2 for p, q in zip(u, v, strict=True)))


@pytest.mark.parametrize(("m", "n"), SIZES)
@pytest.mark.parametrize("kind", ["gaussian", "energy"])
def test_kernel_divergences_literally(kind: str, m: int, n: int) -> None:
    x, y, a, b = measures(m, n)
    h = 1.3

    def kernel(u: Tensor, v: Tensor) -> float:
        return math.exp(-(distance(u, v) ** 2) / (2 * h**2)) if kind == "gaussian" else -distance(u, v)

    def mean(u: Tensor, v: Tensor, p: Tensor, q: Tensor) -> float:
        return sum(float(p[i]) * float(q[j]) * kernel(u[i], v[j]) for i in range(len(u)) for j in range(len(v)))

    expected = mean(x, x, a, a) - 2 * mean(x, y, a, b) + mean(y, y, b, b)
    assert float(DIVERGENCES[kind](x, y, a, b)) == pytest.approx(expected, rel=1e-9)


def test_the_median_distance_literally() -> None:
    x, y, _, _ = measures(4, 3)
    pooled = torch.cat([x, y])
    pairs = sorted(distance(pooled[i], pooled[j]) for i in range(7) for j in range(i))
    assert len(pairs) == 21
    assert float(median_distance(pooled)) == pytest.approx(pairs[10], rel=1e-9)
    assert float(gaussian_mmd2(x, y)) == pytest.approx(float(gaussian_mmd2(x, y, bandwidth=pairs[10])), rel=1e-9)


def test_the_default_epsilon_is_a_twentieth_of_the_mean_cost() -> None:
    x, y, a, b = measures(6, 11)
    mean = sum(float(a[i]) * float(b[j]) * distance(x[i], y[j]) ** 2 for i in range(6) for j in range(11))
    for function in (entropic_cost, sinkhorn_divergence):
        assert float(function(x, y, a, b)) == pytest.approx(float(function(x, y, a, b, epsilon=mean / 20)), rel=1e-7)


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize(("m", "n"), [(1, 4), (4, 6)])
def test_gradients_in_points_and_masses(name: str, m: int, n: int) -> None:
    x, y, a, b = (value.requires_grad_() for value in measures(m, n))
    # The potentials, plans and sorted orders are those of the unmoved measures: exact to first order.
    assert torch.autograd.gradcheck(DIVERGENCES[name], (x, y, a, b), eps=1e-6, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_float32_and_points_far_from_the_origin(name: str) -> None:
    x, y, a, b = measures(6, 11)
    expected = float(DIVERGENCES[name](x, y, a, b))
    found = DIVERGENCES[name](x.float(), y.float(), a.float(), b.float())
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(expected, rel=1e-4)
    assert float(DIVERGENCES[name](x + 1e5, y + 1e5, a, b)) == pytest.approx(expected, rel=1e-4)
    assert float(DIVERGENCES[name]((x + 1e3).float(), (y + 1e3).float(), a, b)) == pytest.approx(expected, rel=1e-2)


def test_a_batch_in_float32_is_solved_as_far_as_float32_can() -> None:
    x, y, a, b = measures(6, 11)
    cost = squared_distances(x, y)
    exact = exact_plan(a, b, cost)
    batch = SinkhornProblem(cost.float()[None], a.float()[None], b.float()[None], 0.01 * float(cost.mean()))
    found = solve_sinkhorn(batch, iterations=5000)
    assert found.f.dtype == torch.float32
    assert found.converged.all()
    assert float((found.plan()[0] * cost).sum()) == pytest.approx(exact.cost, rel=0.02)
