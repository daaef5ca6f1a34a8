"""What holds for every pair of measures, whatever the divergence."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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

few = settings(max_examples=20, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Pair:
    """Two weighted measures in float64; ``rng`` for whatever a test draws besides."""

    x: Tensor
    y: Tensor
    a: Tensor
    b: Tensor
    rng: np.random.Generator

    @property
    def scale(self) -> float:
        """The mean squared distance, as the scale of what counts as zero."""
        return float(squared_distances(torch.cat([self.x, self.y]), torch.cat([self.x, self.y])).mean()) + 1e-12


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    m, n, width = draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(1, 5))
    x, y = rng.standard_normal((m, width)), rng.standard_normal((n, width)) * draw(st.floats(0.1, 2))
    if draw(st.booleans()):
        x = x[rng.integers(m, size=m)]  # some points twice
    if draw(st.booleans()):
        y[: min(m, n)] = x[: min(m, n)]  # some points in common
    a, b = rng.random(m) + 0.05, rng.random(n) + 0.05
    return Pair(*(torch.tensor(value) for value in (x, y, a / a.sum(), b / b.sum())), rng)


def sliced(x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
    """Along fixed directions, the axes among them."""
    drawn = random_directions(30, x.shape[1], torch.Generator().manual_seed(0))
    return sliced_wasserstein2(x, y, torch.cat([drawn, torch.eye(x.shape[1], dtype=torch.float64)]), a, b)


DIVERGENCES: dict[str, Callable[..., Tensor]] = {
    "wasserstein": wasserstein2,
    "sinkhorn": sinkhorn_divergence,
    "sliced": sliced,
    "gaussian": gaussian_mmd2,
    "energy": energy_distance,
}
every = pytest.mark.parametrize("name", DIVERGENCES)


@every
@few
@given(pair=pairs())
def test_never_negative_and_symmetric(name: str, pair: Pair) -> None:
    found = float(DIVERGENCES[name](pair.x, pair.y, pair.a, pair.b))
    assert found >= 0
    turned = float(DIVERGENCES[name](pair.y, pair.x, pair.b, pair.a))
    assert turned == pytest.approx(found, rel=1e-5, abs=1e-8 * (1 + pair.scale))


@every
@few
@given(pair=pairs())
def test_zero_at_equality_and_only_there(name: str, pair: Pair) -> None:
    divergence, order = DIVERGENCES[name], torch.tensor(pair.rng.permutation(len(pair.x)))
    same = float(divergence(pair.x, pair.x[order], pair.a, pair.a[order]))
    assert same == pytest.approx(0, abs=1e-7 * (1 + pair.scale))
    assert float(divergence(pair.x, pair.x + 0.5, pair.a, pair.a)) > 1e-3


@every
@few
@given(pair=pairs())
def test_points_that_coincide_give_no_nan(name: str, pair: Pair) -> None:
    x = pair.x.clone().requires_grad_()
    DIVERGENCES[name](x, pair.x, pair.a, pair.a).backward()
    assert x.grad is not None
    assert float(x.grad.abs().max()) < 1e-2 * (1 + pair.scale)  # equal measures are the minimum


@every
@few
@given(pair=pairs(), factor=st.floats(0.01, 100))
def test_motions_change_nothing_and_scales_come_out(name: str, pair: Pair, factor: float) -> None:
    width = pair.x.shape[1]
    rotation = torch.tensor(np.linalg.qr(pair.rng.standard_normal((width, width)))[0])
    if name == "sliced":
        rotation = torch.eye(width, dtype=torch.float64)  # the directions stay where they are
    before = float(DIVERGENCES[name](pair.x, pair.y, pair.a, pair.b))
    after = float(DIVERGENCES[name](factor * (pair.x @ rotation + 3), factor * (pair.y @ rotation + 3), pair.a, pair.b))
    power = {"gaussian": 0, "energy": 1}.get(name, 2)  # a Gaussian's bandwidth scales with the points
    assert after == pytest.approx(factor**power * before, rel=1e-5, abs=1e-6 * factor**power * (1 + pair.scale))


@every
@few
@given(pair=pairs())
def test_order_duplicates_and_units_of_mass_change_nothing(name: str, pair: Pair) -> None:
    divergence = DIVERGENCES[name] if name != "gaussian" else lambda *four: gaussian_mmd2(*four, bandwidth=1.0)
    counts = torch.tensor(pair.rng.integers(1, 4, size=len(pair.x)))
    before = float(divergence(pair.x, pair.y, counts.double(), pair.b))
    repeated = pair.x.repeat_interleave(counts, dim=0)
    order = torch.tensor(pair.rng.permutation(len(repeated)))
    tolerance = 1e-7 * (1 + pair.scale)
    uniform = float(divergence(repeated[order], pair.y, None, pair.b))
    assert uniform == pytest.approx(before, rel=1e-5, abs=tolerance)
    assert float(divergence(pair.x, pair.y, counts / 2.0, 7 * pair.b)) == pytest.approx(before, rel=1e-9, abs=tolerance)
    apart = torch.cat([pair.x, pair.x.new_full((1, pair.x.shape[1]), 9.0)])
    massless = torch.cat([counts.double(), torch.zeros(1, dtype=torch.float64)])
    assert float(divergence(apart, pair.y, massless, pair.b)) == pytest.approx(before, rel=1e-5, abs=tolerance)


@few
@given(pair=pairs())
def test_projections_shorten(pair: Pair) -> None:
    exact = float(wasserstein2(pair.x, pair.y, pair.a, pair.b))
    assert float(sliced(pair.x, pair.y, pair.a, pair.b)) <= exact * (1 + 1e-9) + 1e-9


@few
@given(pair=pairs())
def test_wasserstein_is_at_least_the_distance_of_the_means(pair: Pair) -> None:
    means = float((pair.a @ pair.x - pair.b @ pair.y).square().sum())
    assert float(wasserstein2(pair.x, pair.y, pair.a, pair.b)) >= means * (1 - 1e-9) - 1e-9


@few
@given(pair=pairs())
def test_the_ends_of_epsilon(pair: Pair) -> None:
    four = (pair.x, pair.y, pair.a, pair.b)
    exact, means = float(wasserstein2(*four)), float((pair.a @ pair.x - pair.b @ pair.y).square().sum())
    mean_cost = float(pair.a @ squared_distances(pair.x, pair.y) @ pair.b)
    sharp = {"epsilon": 2e-3 * pair.scale, "iterations": 3000, "tolerance": 1e-4}
    blunt = {"epsilon": 1e4 * pair.scale}
    assert float(entropic_cost(*four, **sharp)) == pytest.approx(exact, rel=0.03, abs=0.03 * pair.scale)
    assert float(sinkhorn_divergence(*four, **sharp)) == pytest.approx(exact, rel=0.03, abs=0.03 * pair.scale)
    assert float(entropic_cost(*four, **blunt)) == pytest.approx(mean_cost, rel=1e-3, abs=1e-3 * pair.scale)
    assert float(sinkhorn_divergence(*four, **blunt)) == pytest.approx(means, rel=1e-3, abs=1e-3 * pair.scale)


@few
@given(pair=pairs())
def test_the_entropic_cost_rises_with_epsilon_and_lies_above_wasserstein(pair: Pair) -> None:
    four = (pair.x, pair.y, pair.a, pair.b)
    costs = [float(entropic_cost(*four, epsilon=share * pair.scale)) for share in (0.05, 0.2, 1.0, 10.0)]
    assert float(wasserstein2(*four)) <= costs[0] + 1e-6 * pair.scale
    assert np.diff(costs).min() >= -1e-6 * pair.scale


@few
@given(several=st.lists(pairs(), min_size=1, max_size=4), share=st.floats(0.05, 2), junk=st.floats(-50, 50))
def test_batches_and_padding_change_nothing(several: list[Pair], share: float, junk: float) -> None:
    costs = [squared_distances(pair.x, pair.y) for pair in several]
    m, n = (2 + max(cost.shape[side] for cost in costs) for side in (0, 1))
    cost = torch.full((len(several), m, n), junk, dtype=torch.float64)
    a, b = torch.zeros(len(several), m, dtype=torch.float64), torch.zeros(len(several), n, dtype=torch.float64)
    for row, (pair, ground) in enumerate(zip(several, costs, strict=True)):
        cost[row, : len(pair.x), : len(pair.y)] = ground
        a[row, : len(pair.x)], b[row, : len(pair.y)] = pair.a, pair.b
    epsilon = torch.tensor([share * pair.scale for pair in several], dtype=torch.float64)
    cost.requires_grad_()
    together = solve_sinkhorn(SinkhornProblem(cost, a, b, epsilon))
    assert together.plan().isfinite().all()
    (gradient,) = torch.autograd.grad(together.cost.sum(), cost)
    torch.testing.assert_close(gradient, together.plan().detach())
    for row, (pair, ground) in enumerate(zip(several, costs, strict=True)):
        alone = solve_sinkhorn(SinkhornProblem(ground[None], pair.a[None], pair.b[None], epsilon[row]))
        inside = together.plan()[row].detach()
        assert int(together.iterations[row]) == int(alone.iterations)
        assert bool(together.converged[row])
        torch.testing.assert_close(inside[: len(pair.x), : len(pair.y)], alone.plan()[0], rtol=1e-9, atol=1e-12)
        assert not inside[len(pair.x) :].any()
        assert not inside[:, len(pair.y) :].any()
        torch.testing.assert_close(together.cost[row].detach(), alone.cost[0], rtol=1e-9, atol=1e-12)


@few
@given(pair=pairs(), share=st.floats(0.02, 2))
def test_plans_have_their_marginals(pair: Pair, share: float) -> None:
    cost = squared_distances(pair.x, pair.y)
    found = solve_sinkhorn(
        SinkhornProblem(cost[None], pair.a[None], pair.b[None], share * pair.scale), iterations=5000, tolerance=1e-8
    )
    plan = found.plan()[0]
    assert bool(found.converged)
    misplaced = float((plan.sum(1) - pair.a).abs().sum() + (plan.sum(0) - pair.b).abs().sum())
    assert misplaced == pytest.approx(float(found.marginal_error), abs=1e-12)
    assert misplaced <= 1e-8
