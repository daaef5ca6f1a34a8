"""What the divergences and the batched solver refuse, and say of themselves."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from wmdd.core.errors import DataError, SettingsError
from wmdd.ot import (
    SinkhornProblem,
    energy_distance,
    entropic_cost,
    gaussian_mmd2,
    median_distance,
    random_directions,
    sinkhorn_divergence,
    sliced_wasserstein2,
    solve_sinkhorn,
    wasserstein2,
)

DIVERGENCES: dict[str, Callable[..., Tensor]] = {
    "wasserstein": wasserstein2,
    "entropic": entropic_cost,
    "sinkhorn": sinkhorn_divergence,
    "sliced": lambda x, y, a=None, b=None: sliced_wasserstein2(x, y, torch.eye(2), a, b),
    "gaussian": gaussian_mmd2,
    "energy": energy_distance,
}
GOOD = torch.tensor([[0.0, 1.0], [2.0, 3.0]])


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((torch.tensor([[torch.nan, 0.0]]), GOOD), "x must be finite"),
        ((GOOD, torch.tensor([[0.0, torch.inf]])), "y must be finite"),
        ((GOOD, torch.zeros(0, 2)), "y must not be empty"),
        ((torch.zeros(2), GOOD), "x must be a matrix"),
        ((GOOD, torch.zeros(2, 3)), "same width"),
        ((GOOD.long(), GOOD), "x must hold floating-point"),
        ((GOOD, GOOD, torch.tensor([1.0, -0.1])), "a must be non-negative"),
        ((GOOD, GOOD, torch.zeros(2)), "a must be non-negative masses with a positive sum"),
        ((GOOD, GOOD, None, torch.ones(3)), "b must be a vector of 2 masses"),
        ((GOOD, GOOD, None, torch.tensor([torch.nan, 1.0])), "b must be finite"),
    ],
)
def test_refuses(name: str, arguments: tuple[Tensor | None, ...], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        DIVERGENCES[name](*arguments)
    assert str(caught.value).count(". ") == 0
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("function", [entropic_cost, sinkhorn_divergence])
@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan"), float("inf"), torch.tensor(-1.0)])
def test_refuses_an_epsilon_that_is_not_above_zero(function: Callable[..., Tensor], epsilon: float | Tensor) -> None:
    with pytest.raises(SettingsError, match=r"^epsilon must be finite and above 0, not .*\.$"):
        function(GOOD, GOOD, epsilon=epsilon)


def test_refuses_other_settings() -> None:
    with pytest.raises(SettingsError, match="bandwidth must be finite and above 0"):
        gaussian_mmd2(GOOD, GOOD, bandwidth=0.0)
    with pytest.raises(SettingsError, match="iterations must be at least 1"):
        entropic_cost(GOOD, GOOD, iterations=0)
    with pytest.raises(SettingsError, match="tolerance must be finite and above 0"):
        entropic_cost(GOOD, GOOD, tolerance=0.0)
    with pytest.raises(SettingsError, match="count must be at least 1"):
        random_directions(0, 3, torch.Generator())


@pytest.mark.parametrize(
    ("directions", "sentence"),
    [
        (torch.eye(3), "must have 2 columns"),
        (2 * torch.eye(2), "unit vectors"),
        (torch.zeros(0, 2), "directions must not be empty"),
        (torch.full((1, 2), torch.nan), "directions must be finite"),
    ],
)
def test_refuses_directions(directions: Tensor, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        sliced_wasserstein2(GOOD, GOOD, directions)


COST, HALVES, THIRDS = torch.ones(1, 2, 3), torch.full((1, 2), 0.5), torch.full((1, 3), 1 / 3)


@pytest.mark.parametrize(
    ("cost", "a", "b", "epsilon", "error", "sentence"),
    [
        (COST[0], HALVES, THIRDS, 1.0, DataError, r"non-empty batch \[B, m, n\]"),
        (torch.zeros(0, 2, 3), HALVES, THIRDS, 1.0, DataError, "non-empty batch"),
        (COST, THIRDS, THIRDS, 1.0, DataError, r"a must have shape \[1, 2\]"),
        (COST, HALVES, HALVES, 1.0, DataError, r"b must have shape \[1, 3\]"),
        (COST.double(), HALVES, THIRDS, 1.0, DataError, "a is torch.float32"),
        (COST.long(), HALVES.long(), THIRDS.long(), 1.0, DataError, "cost is torch.int64"),
        (COST * torch.nan, HALVES, THIRDS, 1.0, DataError, "cost must be finite"),
        (COST, 2 * HALVES, THIRDS, 1.0, DataError, "each row of it must sum to 1"),
        (COST, torch.tensor([[1.5, -0.5]]), THIRDS, 1.0, DataError, "non-negative masses"),
        (COST, HALVES, THIRDS, torch.ones(2), DataError, r"epsilon must be a number or have shape \[1\]"),
        (COST, HALVES, THIRDS, 0.0, SettingsError, "epsilon must be finite and above 0"),
    ],
)
def test_refuses_batches(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: float | Tensor, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        SinkhornProblem(cost, a, b, epsilon)


def test_symmetric_problems_have_one_measure() -> None:
    with pytest.raises(DataError, match="same masses"):
        solve_sinkhorn(SinkhornProblem(COST, HALVES, THIRDS, 1.0), symmetric=True)


def test_a_problem_that_has_not_converged_says_so() -> None:
    generator = torch.Generator().manual_seed(0)
    cost = torch.rand(2, 8, 9, generator=generator, dtype=torch.float64)
    cost[1] = 1  # converged at once
    a, b = (torch.full((2, count), 1 / count, dtype=torch.float64) for count in (8, 9))
    found = solve_sinkhorn(SinkhornProblem(cost, a, b, 0.001), iterations=15)
    assert found.converged.tolist() == [False, True]
    assert found.iterations.tolist() == [15, 10]
    assert float(found.marginal_error[0]) > 1e-3
    assert found.plan().isfinite().all()
    assert "2 problems of 8 x 9, 1 converged after at most 15 iterations" in repr(found)


def test_measures_that_are_one_point() -> None:
    points = torch.full((3, 2), 0.1, requires_grad=True)
    for name, divergence in DIVERGENCES.items():
        value = divergence(points, points.detach()[:2])
        (gradient,) = torch.autograd.grad(value, points)
        assert float(value.detach()) == 0, name
        assert not gradient.isnan().any(), name


def test_the_median_distance_where_most_points_coincide() -> None:
    assert float(median_distance(torch.ones(4, 2))) == 1
    assert float(median_distance(torch.ones(1, 2))) == 1
    mostly = torch.cat([torch.zeros(9, 1), torch.ones(1, 1)])
    assert float(median_distance(mostly)) == pytest.approx((9 / 45) ** 0.5)


def test_directions_are_unit_vectors_of_their_seed() -> None:
    drawn = [random_directions(5, 3, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    torch.testing.assert_close(drawn[0].square().sum(1), torch.ones(5, dtype=torch.float64))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
