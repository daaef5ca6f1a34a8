import pytest
import torch

from wmdd.core.errors import DataError, SettingsError
from wmdd.ot import SOLVERS, BarycenterProblem, Method, solve, solve_paper, squared_distances
from wmdd.ot.published import _without_vanished

METHODS: tuple[Method, ...] = ("exact", "uniform", "paper")


def cloud(n: int = 40, width: int = 6, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(3), dtype=dtype)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_output_has_the_promised_form(method: Method, dtype: torch.dtype) -> None:
    output = solve(BarycenterProblem(cloud(dtype=dtype), 5), method, seed=1, restarts=2, iterations=8)
    assert output.atoms.shape == (5, 6)
    assert output.atoms.dtype == output.weights.dtype == dtype
    assert output.restarts == 2
    assert output.iterations == len(output.history) > 0
    assert output.history[-1] == pytest.approx(output.cost)
    assert output.duals is not None
    assert output.duals.beta.shape == (5,)
    assert output.duals.alpha.shape == (40,)
    for part in ("5 atoms in R^6", "W2^2", "converged", "restarts 2"):
        assert part in repr(output)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_means_the_same_whatever_came_before(method: Method) -> None:
    problem = BarycenterProblem(cloud(), 4)
    first = solve(problem, method, seed=7)
    torch.manual_seed(99)
    solve(BarycenterProblem(cloud(9), 2), method, seed=8)
    again = solve(problem, method, seed=7)
    assert torch.equal(first.atoms, again.atoms)
    assert torch.equal(first.weights, again.weights)
    assert first.history == again.history


@pytest.mark.parametrize("method", METHODS)
def test_one_iteration_is_reported_as_not_converged_and_its_cost_is_exact(method: Method) -> None:
    output = solve(BarycenterProblem(cloud(1200, 2), 30), method, seed=0, restarts=1, iterations=1)
    assert not output.converged
    assert "not converged after" in repr(output)
    assert output.duals is not None
    certified = output.weights @ output.duals.beta + output.duals.alpha.mean()
    assert float(certified) == pytest.approx(output.cost, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_more_atoms_than_distinct_points_leave_every_atom_a_weight(method: Method) -> None:
    points = torch.tensor([[0.1, 0.2], [0.7, 0.3]]).repeat(4, 1)
    output = solve(BarycenterProblem(points, 5), method, seed=0)
    if method == "exact":  # five equal weights do not divide into two halves, so uniform must pay
        assert output.cost == pytest.approx(0, abs=1e-12)
    if method != "paper":  # whose weights may vanish, as published
        assert (output.weights > 0).all()
    assert torch.isfinite(output.atoms).all()


def test_paper_never_divides_by_a_vanished_weight() -> None:
    assert _without_vanished(torch.tensor([1.0, 1e-13, -1.0], dtype=torch.float64)).tolist() == [1, 0, 0]
    points = torch.cat([torch.zeros(30, 2), torch.full((1, 2), 50.0)]).double()
    output = solve_paper(BarycenterProblem(points, 6), seed=0, restarts=1, iterations=10)
    assert (output.weights == 0).any()
    assert torch.isfinite(output.atoms).all()


def test_paper_moves_atoms_to_the_barycentric_projection_of_its_plan() -> None:
    points = cloud(30, 3)
    output = solve_paper(BarycenterProblem(points, 1), seed=0, restarts=1, iterations=1)
    torch.testing.assert_close(output.atoms[0], points.mean(0))
    assert output.cost == pytest.approx(float(squared_distances(points, output.atoms).mean()))


def test_problem_refuses_what_it_cannot_solve() -> None:
    for points, atoms, sentence in [
        (torch.zeros(3), 1, "matrix"),
        (torch.zeros(0, 3), 1, "empty"),
        (torch.tensor([[torch.nan]]), 1, "finite"),
        (torch.tensor([[torch.inf]]), 1, "finite"),
        (torch.zeros(3, 2, dtype=torch.float16), 1, "float32 or float64"),
        (torch.zeros(3, 2), 0, "at least one atom"),
        (torch.zeros(3, 2), 4, "at most 3"),
    ]:
        with pytest.raises(DataError, match=sentence):
            BarycenterProblem(points, atoms)


def test_solve_refuses_unknown_methods_and_counts_below_one() -> None:
    problem = BarycenterProblem(cloud(), 2)
    assert tuple(SOLVERS) == METHODS
    with pytest.raises(SettingsError, match="one of exact, uniform, paper, not 'magic'"):
        solve(problem, "magic")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="restarts must be at least 1"):
        solve(problem, "exact", restarts=0)
    with pytest.raises(SettingsError, match="iterations must be at least 1"):
        solve(problem, "exact", iterations=0)
