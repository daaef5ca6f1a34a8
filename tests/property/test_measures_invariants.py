"""What holds for the barycenter of any measures."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wmdd.ot import GridProblem, MeasuresOutput, MeasuresProblem, solve_free_support, solve_grid, squared_distances

few = settings(max_examples=20, deadline=None, derandomize=True)


@st.composite
def problems(draw: st.DrawFn) -> MeasuresProblem:
    """One to four weighted clouds of one width."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    sizes = rng.integers(1, 20, size=count)
    points = tuple(torch.tensor(rng.standard_normal((n, width)) + 2 * rng.standard_normal(width)) for n in sizes)
    masses = tuple(torch.tensor(rng.dirichlet(np.ones(n))) for n in sizes)
    shares = torch.tensor(rng.dirichlet(np.ones(count)))
    return MeasuresProblem(points, masses, shares, draw(st.integers(1, int(min(12, sizes.sum())))))


def spread(problem: MeasuresProblem) -> float:
    """The largest cost there is, as the scale of what counts as zero."""
    return 1e-3 + max(float(squared_distances(x, y).max()) for x in problem.points for y in problem.points)


def quick(problem: MeasuresProblem, free_weights: bool = False) -> MeasuresOutput:
    return solve_free_support(problem, restarts=2, iterations=12 if free_weights else 30, free_weights=free_weights)


@pytest.mark.parametrize("free_weights", [False, True])
@few
@given(problem=problems())
def test_weights_history_and_duals(free_weights: bool, problem: MeasuresProblem) -> None:
    output = quick(problem, free_weights)
    assert (output.weights >= 0).all()
    assert float(output.weights.sum()) == pytest.approx(1, abs=1e-9)
    assert np.diff(output.history).max(initial=0) <= 0
    assert output.cost == pytest.approx(float(problem.shares @ output.costs))
    certified = 0.0
    for share, (beta, alpha), points, masses in zip(
        problem.shares, output.duals, problem.points, problem.masses, strict=True
    ):
        cost = squared_distances(output.atoms, points)
        assert float((beta[:, None] + alpha - cost).max()) <= 1e-9 * spread(problem)
        certified += float(share * (output.weights @ beta + masses @ alpha))
    assert certified == pytest.approx(output.cost, rel=1e-6, abs=1e-6 * spread(problem))


@few
@given(problem=problems())
def test_free_weights_never_cost_more(problem: MeasuresProblem) -> None:
    assert quick(problem, free_weights=True).cost <= quick(problem).cost


@few
@given(problem=problems(), seed=st.integers(0, 1000), factor=st.floats(0.01, 100))
def test_moving_the_measures_moves_the_barycenter(problem: MeasuresProblem, seed: int, factor: float) -> None:
    """Permuting points and measures, translation, rotation and scaling."""
    rng = np.random.default_rng(seed)
    width = problem.points[0].shape[1]
    rotation, move = torch.tensor(np.linalg.qr(rng.standard_normal((width, width)))[0]), rng.standard_normal(width)
    order, points, masses = rng.permutation(len(problem.points)), [], []
    for i in order:
        shuffled = rng.permutation(len(problem.points[i]))
        points.append(factor * (problem.points[i][shuffled] @ rotation + torch.tensor(move)))
        masses.append(problem.masses[i][shuffled])
    moved = MeasuresProblem(tuple(points), tuple(masses), problem.shares[order], problem.atoms)
    assert quick(moved).cost == pytest.approx(factor**2 * quick(problem).cost, rel=0.01, abs=1e-9 * spread(moved))


@few
@given(problem=problems())
def test_the_mean_is_the_mean_of_the_means(problem: MeasuresProblem) -> None:
    output = quick(problem)
    pairs = zip(problem.shares, problem.masses, problem.points, strict=True)
    mean = torch.stack([share * (masses @ points) for share, masses, points in pairs]).sum(0)
    torch.testing.assert_close(output.weights @ output.atoms, mean)


@few
@given(seed=st.integers(0, 2**32 - 1), debiased=st.booleans())
def test_grid_is_a_histogram_and_follows_flips_and_permutations(seed: int, debiased: bool) -> None:
    rng = np.random.default_rng(seed)
    inputs, shares = torch.tensor(rng.random((1, 3, 6, 7))), torch.tensor(rng.dirichlet(np.ones(3)))[None]

    def solved(inputs: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        return solve_grid(GridProblem(inputs, shares), epsilon=2, debiased=debiased, iterations=100).histograms

    found = solved(inputs, shares)
    assert (found >= 0).all()
    assert float(found.sum()) == pytest.approx(1)
    order = torch.tensor(rng.permutation(3))
    torch.testing.assert_close(solved(inputs[:, order].flip(-1), shares[:, order]).flip(-1), found)
