import pytest
import torch

from wmdd.core.errors import DataError, SettingsError
from wmdd.ot import SOLVERS, BarycenterProblem, Method, solve, solve_paper, squared_distances
from wmdd.ot.weight_steps import without_vanished

METHODS: tuple[Method, ...] = ("exact", "uniform", "floored", "paper")


def cloud(n: int = 40, width: int = 6, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(3), dtype=dtype)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_output_has_the_promised_form(method: Method, dtype: torch.dtype) -> None:
    output = solve(BarycenterProblem(cloud(dtype=dtype), 5), method, seed=1, restarts=2, iterations=8)
    assert output.atoms.shape == (1, 5, 6)
    assert output.weights.shape == (1, 5)
    assert output.atoms.dtype == output.weights.dtype == dtype
    assert output.restarts == 2
    assert output.iterations.tolist() == [len(output.history[0])]
    assert output.history[0][-1] == pytest.approx(float(output.cost))
    assert output.duals[0].beta.shape == (5,)
    assert output.duals[0].alpha.shape == (40,)
    for part in ("5 atoms in R^6", "W2^2", "converged", "restarts 2"):
        assert part in repr(output)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_means_the_same_whatever_came_before(method: Method) -> None:
    problem = BarycenterProblem(cloud(), 4)
    first = solve(problem, method, seed=7, iterations=10)
    torch.manual_seed(99)
    solve(BarycenterProblem(cloud(9), 2), method, seed=8)
    again = solve(problem, method, seed=7, iterations=10)
    assert torch.equal(first.atoms, again.atoms)
    assert torch.equal(first.weights, again.weights)
    assert first.history == again.history


@pytest.mark.parametrize("method", METHODS)
def test_one_iteration_is_reported_as_not_converged_and_its_cost_is_exact(method: Method) -> None:
    output = solve(BarycenterProblem(cloud(3000, 2), 30), method, seed=0, restarts=1, iterations=1)
    assert not output.converged
    assert "converged 0/1 after" in repr(output)
    certified = output.weights[0] @ output.duals[0].beta + output.duals[0].alpha.mean()
    assert float(certified) == pytest.approx(float(output.cost), rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_more_atoms_than_distinct_points_leave_every_atom_a_weight(method: Method) -> None:
    points = torch.tensor([[0.1, 0.2], [0.7, 0.3]]).repeat(4, 1)
    output = solve(BarycenterProblem(points, 5), method, seed=0)
    if method == "exact":  # five equal weights do not divide into two halves, so uniform must pay
        assert float(output.cost) == pytest.approx(0, abs=1e-12)
    if method != "paper":  # whose weights may vanish, as published
        assert (output.weights > 0).all()
    assert torch.isfinite(output.atoms).all()


def test_paper_never_divides_by_a_vanished_weight() -> None:
    assert without_vanished(torch.tensor([1.0, 1e-13, -1.0], dtype=torch.float64)).tolist() == [1, 0, 0]
    points = torch.cat([torch.zeros(30, 2), torch.full((1, 2), 50.0)]).double()
    output = solve_paper(BarycenterProblem(points, 6), seed=0, restarts=1, iterations=10)
    assert (output.weights == 0).any()
    assert torch.isfinite(output.atoms).all()


def test_paper_moves_atoms_to_the_barycentric_projection_of_its_plan() -> None:
    points = cloud(30, 3)
    output = solve_paper(BarycenterProblem(points, 1), seed=0, restarts=1, iterations=1)
    torch.testing.assert_close(output.atoms[0, 0], points.mean(0))
    assert float(output.cost) == pytest.approx(float(squared_distances(points, output.atoms[0]).mean()))


def three_classes(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Classes of different sizes and scales, one after another."""
    return torch.cat([cloud(40), 100 * cloud(23) + 7, 0.01 * cloud(61)]).to(dtype), (40, 23, 61)


@pytest.mark.parametrize("method", METHODS)
def test_a_class_has_the_same_barycenter_alone_and_among_others(method: Method) -> None:
    points, sizes = three_classes()
    together = solve(BarycenterProblem(points, 4, sizes), method, seed=5, iterations=10)
    assert len(together) == 3
    for g, part in enumerate(points.split(sizes)):
        alone = solve(BarycenterProblem(part, 4), method, seed=5, iterations=10)
        assert torch.equal(alone.atoms[0], together.atoms[g])
        assert torch.equal(alone.weights[0], together.weights[g])
        assert alone.history[0] == together.history[g]
        # Where a tensor lies in memory may change the last digit of a product.
        torch.testing.assert_close(alone.duals[0].alpha, together.duals[g].alpha, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["exact", "uniform", "floored"])
def test_a_class_of_small_cells_is_solved_alike_beside_one_of_large_cells(method: Method) -> None:
    points, sizes = torch.cat([cloud(60), cloud(400)]), (60, 400)  # m = 10: Ward's tree is for the first alone
    together = solve(BarycenterProblem(points, 10, sizes), method, seed=0)
    alone = solve(BarycenterProblem(points[:60], 10), method, seed=0)
    assert torch.equal(alone.atoms[0], together.atoms[0])


@pytest.mark.parametrize("method", METHODS)
def test_the_number_of_threads_changes_nothing(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wmdd.ot.blocks.SMALL_BLOCK", 1)
    points, sizes = three_classes()
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found.append(solve(BarycenterProblem(points, 4, sizes), method, seed=5, iterations=10))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0].atoms, found[1].atoms)
    # On some processors the last digit of a float64 sum hangs on the threads.
    torch.testing.assert_close(found[0].cost, found[1].cost, rtol=1e-14, atol=0)


def test_points_may_be_read_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    points, sizes = three_classes()
    read: list[slice] = []

    class Elsewhere:
        shape, dtype = points.shape, points.dtype

        def __getitem__(self, rows: slice) -> torch.Tensor:
            read.append(rows)
            return points[rows]

    monkeypatch.setattr("wmdd.ot.blocks.CPU_BLOCK", 1)
    found = solve(BarycenterProblem(Elsewhere(), 4, sizes), "exact")
    assert sorted((rows.start, rows.stop) for rows in read) == [(0, 40), (40, 63), (63, 124)]
    assert torch.equal(found.atoms, solve(BarycenterProblem(points, 4, sizes), "exact").atoms)


def test_a_class_too_large_for_a_thread_has_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    points, sizes = three_classes()
    usual = solve(BarycenterProblem(points, 4, sizes), "exact")
    monkeypatch.setattr("wmdd.ot.blocks.WIDE", 30 * 6 * 4)
    found = solve(BarycenterProblem(points, 4, sizes), "exact")
    torch.testing.assert_close(found.cost, usual.cost, rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("points", "atoms", "sizes", "masses", "sentence"),
    [
        (torch.zeros(3), 1, None, None, "matrix"),
        (torch.zeros(0, 3), 1, None, None, "empty"),
        (torch.tensor([[torch.nan]]), 1, None, None, "finite"),
        (torch.tensor([[torch.inf]]), 1, None, None, "finite"),
        (torch.zeros(3, 2, dtype=torch.float16), 1, None, None, "float32 or float64"),
        (torch.zeros(3, 2), 0, None, None, "at least one atom"),
        (torch.zeros(3, 2), 4, None, None, "at most 3"),
        (torch.zeros(3, 2), 2, (2, 1), None, "2 atoms were asked of 1 points of class 1"),
        (torch.zeros(3, 2), 1, (3, 0), None, "1 atoms were asked of 0 points of class 1"),
        (torch.zeros(3, 2), 1, (2, 2), None, "sizes must sum to the 3 points"),
        (torch.zeros(3, 2), 1, None, torch.ones(2), "masses must be a vector of 3 masses"),
        (torch.zeros(3, 2), 1, None, torch.tensor([1.0, 0.0, 1.0]), "masses must be positive"),
        (torch.zeros(3, 2), 1, None, torch.tensor([1.0, torch.nan, 1.0]), "masses must be finite"),
    ],
)
def test_problem_refuses_what_it_cannot_solve(
    points: torch.Tensor, atoms: int, sizes: tuple[int, ...] | None, masses: torch.Tensor | None, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        BarycenterProblem(points, atoms, sizes, masses)


def test_solve_refuses_unknown_methods_and_counts_below_one() -> None:
    problem = BarycenterProblem(cloud(), 2)
    assert tuple(SOLVERS) == METHODS
    with pytest.raises(SettingsError, match="one of exact, uniform, floored, paper, not 'magic'"):
        solve(problem, "magic")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="restarts must be at least 1"):
        solve(problem, "exact", restarts=0)
    with pytest.raises(SettingsError, match="iterations must be at least 1"):
        solve(problem, "exact", iterations=0)
