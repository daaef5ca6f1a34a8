import pytest
import torch

from wmdd.core.errors import DataError, SettingsError
from wmdd.ot import BarycenterProblem, MeasuresProblem, solve, solve_fixed_support, solve_free_support


def cloud(n: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def weighted(points: list[torch.Tensor], shares: list[float], atoms: int) -> MeasuresProblem:
    uniform = MeasuresProblem.uniform(points, atoms)
    return MeasuresProblem(uniform.points, uniform.masses, torch.tensor(shares, dtype=torch.float64), atoms)


@pytest.mark.parametrize("free_weights", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_output_has_the_promised_form(free_weights: bool, dtype: torch.dtype) -> None:
    problem = MeasuresProblem.uniform([cloud(20, 1, dtype), cloud(30, 2, dtype)], 5)
    output = solve_free_support(problem, seed=1, restarts=3, free_weights=free_weights)
    assert output.atoms.shape == (5, 3)
    assert output.atoms.dtype == output.weights.dtype == dtype
    assert output.converged
    assert output.restarts == 3
    assert output.iterations == len(output.history)
    assert output.history[-1] == output.cost == pytest.approx(float(output.costs.mean()))
    assert [duals.alpha.shape for duals in output.duals] == [(20,), (30,)]
    for part in ("5 atoms in R^3", "2 measures", "W2^2", "converged after", "restarts 3"):
        assert part in repr(output)
    again = solve_free_support(problem, seed=1, restarts=3, free_weights=free_weights)
    assert torch.equal(again.atoms, output.atoms)


def test_one_iteration_is_reported_as_not_converged() -> None:
    output = solve_free_support(MeasuresProblem.uniform([cloud(30, 1), cloud(30, 2)], 8), restarts=1, iterations=1)
    assert not output.converged
    assert "not converged after 1" in repr(output)


def test_barycenter_of_translates_is_the_mean_translate() -> None:
    shape = cloud(25, 0)
    moves = torch.tensor([[0.0, 0, 0], [9, 1, 2], [-3, 4, 0]], dtype=torch.float64)
    shares = [0.5, 0.2, 0.3]
    output = solve_free_support(weighted([shape + move for move in moves], shares, 25), restarts=1)
    centre = torch.tensor(shares, dtype=torch.float64) @ moves
    nearest = torch.cdist(output.atoms, shape + centre).min(0).values
    assert float(nearest.max()) < 1e-9
    assert output.cost == pytest.approx(float(torch.tensor(shares).double() @ (moves - centre).square().sum(1)))


def test_barycenter_of_scaled_copies_is_the_mean_scale() -> None:
    """Monotone maps of one cloud: as for Gaussians of proportional covariance, standard deviations are averaged."""
    shape = cloud(25, 0)
    output = solve_free_support(weighted([shape, 3 * shape], [0.5, 0.5], 25), restarts=2)
    assert float(torch.cdist(output.atoms, 2 * shape).min(0).values.max()) < 1e-9
    assert output.cost == pytest.approx(float(shape.square().sum(1).mean()))


@pytest.mark.parametrize("free_weights", [False, True])
def test_one_atom_is_the_weighted_mean(free_weights: bool) -> None:
    points, shares = [cloud(10, 1), 2 + cloud(17, 2)], [0.25, 0.75]
    output = solve_free_support(weighted(points, shares, 1), free_weights=free_weights)
    torch.testing.assert_close(output.atoms[0], 0.25 * points[0].mean(0) + 0.75 * points[1].mean(0))
    assert output.weights.tolist() == [1]


def test_all_share_on_one_measure_is_the_problem_of_a_class() -> None:
    points = cloud(24, 4)
    output = solve_free_support(weighted([cloud(9, 5) + 7, points], [0.0, 1.0], 6), restarts=8)
    alone = solve(BarycenterProblem(points, 6), "uniform", restarts=8)
    assert output.cost <= 1.1 * alone.cost  # another local optimum
    assert output.costs[1] == pytest.approx(output.cost)
    whole = solve_free_support(weighted([cloud(9, 5) + 7, points], [0.0, 1.0], 24))
    assert whole.cost == pytest.approx(0, abs=1e-12)


def test_free_weights_cost_less_and_nearly_as_little_as_the_linear_program_allows() -> None:
    problem = MeasuresProblem.uniform([cloud(30, 1), 2 * cloud(30, 2), cloud(20, 3) + 1], 6)
    uniform = solve_free_support(problem, restarts=1)
    free = solve_free_support(problem, restarts=1, free_weights=True)
    assert free.cost < uniform.cost
    assert free.history[: uniform.iterations] == uniform.history
    _, best = solve_fixed_support(problem, free.atoms)
    assert best * (1 - 1e-6) <= free.cost <= 1.02 * best


def test_repeated_points_and_masses_of_zero() -> None:
    points = torch.tensor([[0.0, 0], [1, 0]], dtype=torch.float64).repeat(3, 1)
    masses = torch.tensor([0.25, 0.25, 0.5, 0, 0, 0], dtype=torch.float64)
    problem = MeasuresProblem((points, points), (masses, masses), torch.tensor([0.5, 0.5]), 4)
    output = solve_free_support(problem, seed=3)
    assert output.cost == pytest.approx(0, abs=1e-12)
    assert torch.isfinite(output.atoms).all()


def test_problem_refuses_what_it_cannot_solve() -> None:
    good, half = cloud(4, 0), torch.tensor([0.5, 0.5])
    quarter = torch.full((4,), 0.25)
    for points, masses, shares, atoms, sentence in [
        ((), (), half, 1, "at least one measure"),
        ((good, good), (quarter,), half, 1, "2 measures need as many vectors of masses, not 1"),
        ((good, torch.full((4, 3), torch.nan).double()), (quarter, quarter), half, 1, r"points\[1\] must be finite"),
        ((good.half(), good.half()), (quarter, quarter), half, 1, "float32 or float64"),
        ((good, good[:, :2]), (quarter, quarter), half, 1, r"points\[1\] must have the width"),
        ((good, good.float()), (quarter, quarter), half, 1, r"points\[1\] must have the width, dtype"),
        ((good, good), (quarter, -quarter), half, 1, r"masses\[1\] must be non-negative"),
        ((good, good), (quarter, 2 * quarter), half, 1, r"masses\[1\] must sum to 1, not 2"),
        ((good, good), (quarter, quarter), quarter, 1, "shares must be a vector of 2"),
        ((good, good), (quarter, quarter), half, 0, "ask for 1 to 8"),
        ((good, good), (quarter, quarter), half, 9, "9 atoms were asked of 8 points"),
    ]:
        with pytest.raises(DataError, match=sentence):
            MeasuresProblem(points, masses, shares, atoms)
    with pytest.raises(DataError, match="at least one measure"):
        MeasuresProblem.uniform([], 1)
    problem = MeasuresProblem.uniform([good], 2)
    with pytest.raises(SettingsError, match="restarts must be at least 1"):
        solve_free_support(problem, restarts=0)
    with pytest.raises(DataError, match="2 rows of the points' width"):
        solve_fixed_support(problem, good)
