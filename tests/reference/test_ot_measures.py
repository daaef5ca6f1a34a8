"""Barycenters of several measures against POT's."""

import warnings

import numpy as np
import ot
import pytest
import torch

from wmdd.ot import GridProblem, MeasuresProblem, solve_fixed_support, solve_free_support, solve_grid, squared_distances
from wmdd.ot.free_support import _Measures


def random_problem(seed: int, atoms: int) -> MeasuresProblem:
    """Three clouds of different sizes, masses and shares."""
    generator = torch.Generator().manual_seed(seed)
    points = tuple((1 + i) * torch.randn(20 + 9 * i, 3, generator=generator, dtype=torch.float64) + i for i in range(3))
    masses = [torch.rand(len(y), generator=generator, dtype=torch.float64) for y in points]
    shares = torch.rand(3, generator=generator, dtype=torch.float64)
    return MeasuresProblem(points, tuple(b / b.sum() for b in masses), shares / shares.sum(), atoms)


def total(problem: MeasuresProblem, atoms: torch.Tensor, weights: torch.Tensor) -> float:
    pairs = zip(problem.points, problem.masses, strict=True)
    costs = [float(ot.emd2(weights, b, squared_distances(atoms, y))) for y, b in pairs]
    return float(np.dot(problem.shares.numpy(), costs))


@pytest.mark.parametrize("atoms", [1, 7, 20])
def test_free_support_costs_no_more_than_pot_from_the_same_starts(atoms: int) -> None:
    problem, restarts = random_problem(atoms, atoms), 3
    output = solve_free_support(problem, seed=5, restarts=restarts, iterations=200)
    generator, measures = torch.Generator().manual_seed(5), _Measures.of(problem)
    uniform = torch.full((atoms,), 1 / atoms, dtype=torch.float64)
    costs = []
    for number in range(restarts):
        start = measures.start(number, atoms, generator)
        found = ot.lp.free_support_barycenter(
            list(problem.points), list(problem.masses), start, b=uniform, weights=problem.shares, numItermax=200
        )
        costs.append(total(problem, found, uniform))
    assert output.converged
    assert output.cost == pytest.approx(total(problem, output.atoms, output.weights), rel=1e-9)
    assert output.cost <= min(costs) * (1 + 1e-9)


def test_fixed_support_is_as_cheap_as_pots_linear_program() -> None:
    """POT's needs all measures on the support itself."""
    rng = np.random.default_rng(0)
    points = torch.tensor(rng.standard_normal((18, 2)))
    histograms = rng.random((18, 3)) * (rng.random((18, 3)) < 0.5) + 1e-3
    histograms /= histograms.sum(0)
    shares = np.array([0.5, 0.3, 0.2])
    masses = tuple(torch.tensor(column) for column in histograms.T)
    weights, cost = solve_fixed_support(MeasuresProblem((points,) * 3, masses, torch.tensor(shares), 18), points)
    ground = squared_distances(points, points).numpy()
    reference = ot.lp.barycenter(histograms, ground, weights=shares, solver="highs")
    expected = sum(
        s * ot.emd2(reference / reference.sum(), b, ground) for s, b in zip(shares, histograms.T, strict=True)
    )
    assert cost == pytest.approx(expected, rel=1e-6)
    problem = MeasuresProblem((points,) * 3, masses, torch.tensor(shares), 18)
    assert total(problem, points, weights) == pytest.approx(cost, rel=1e-6)


def histograms(cells: int) -> torch.Tensor:
    """Two rings and a bar, somewhat smoothed, ``[3, cells, cells]``."""
    x = torch.linspace(0, 1, cells, dtype=torch.float64)
    across, down = torch.meshgrid(x, x, indexing="ij")
    rings = [((across - a).square() + (down - b).square()).sqrt() - r for a, b, r in [(0.4, 0.4, 0.2), (0.6, 0.5, 0.3)]]
    shapes = torch.stack([*rings, across + 0.3 * down - 0.6])
    smooth = torch.exp(-shapes.square() / (2 * 0.05**2))
    return smooth / smooth.sum((1, 2), keepdim=True)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("epsilon", [0.02, 0.004])
def test_grid_agrees_with_pot_after_as_many_rounds(epsilon: float, debiased: bool) -> None:
    cells, rounds, shares = 32, 100, torch.tensor([[0.5, 0.2, 0.3]], dtype=torch.float64)
    inputs = histograms(cells)
    problem = GridProblem(inputs[None], shares, spacing=1 / (cells - 1))
    output = solve_grid(problem, epsilon=epsilon, tolerance=1e-12, debiased=debiased, iterations=rounds)
    solver = ot.bregman.convolutional_barycenter2d_debiased if debiased else ot.bregman.convolutional_barycenter2d
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Convolutional Sinkhorn did not converge")
        reference = solver(
            inputs.numpy(), epsilon, weights=shares[0].numpy(), method="sinkhorn_log", numItermax=rounds, stopThr=1e-12
        )
    difference = output.histograms[0].numpy() - reference / reference.sum()
    assert np.abs(difference).sum() < 1e-3


def test_grid_costs_little_more_than_the_linear_program() -> None:
    """The regularised optimum tends to the exact one as epsilon falls."""
    cells = 8
    inputs = histograms(cells)[:2]
    side = torch.linspace(0, 1, cells, dtype=torch.float64)
    points, masses = torch.cartesian_prod(side, side), tuple(inputs.flatten(1))
    shares = torch.tensor([0.5, 0.5], dtype=torch.float64)
    problem = MeasuresProblem((points, points), masses, shares, cells**2)
    _, best = solve_fixed_support(problem, points)
    excess = []
    for epsilon in (0.04, 0.01, 0.0025):
        grid = GridProblem(inputs[None], shares[None], spacing=1 / (cells - 1))
        found = solve_grid(grid, epsilon=epsilon, debiased=False, iterations=5000).histograms[0].flatten()
        excess.append(total(problem, points, found) / best - 1)
    assert excess == sorted(excess, reverse=True)
    assert 0 <= excess[-1] < 0.1
