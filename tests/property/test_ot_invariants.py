"""What holds for every class of points, whatever the solver finds."""

from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from wmdd.core.errors import DataError
from wmdd.ot import BarycenterOutput, BarycenterProblem, Method, project_simplex, solve, squared_distances
from wmdd.ot.balanced import floored_plan

METHODS: tuple[Method, ...] = ("exact", "uniform", "floored", "paper")
few = settings(max_examples=20, deadline=None, derandomize=True)


def clusters(rng: np.random.Generator, n: int, width: int) -> np.ndarray:
    """``n`` points around one to four centres."""
    centres = 3 * rng.standard_normal((rng.integers(1, 5), width))
    return centres[rng.integers(len(centres), size=n)] + rng.standard_normal((n, width))


@st.composite
def problems(
    draw: st.DrawFn, fullest: float = 1.0, repeated: bool = True, weighted: bool = True, classes: int = 3
) -> BarycenterProblem:
    """Up to ``classes`` classes of clustered points, of different sizes and scales, none centred.

    Sometimes ``repeated``, sometimes ``weighted``; m is at most ``fullest`` times the smallest class.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.lists(st.integers(2, 40), min_size=1, max_size=classes))
    width = draw(st.integers(1, 6))
    parts = []
    for size in sizes:
        points = clusters(rng, size, width)
        if repeated and draw(st.booleans()):
            points = points[rng.integers(size, size=size)]
        parts.append(draw(st.sampled_from([0.01, 1, 100])) * (points + draw(st.sampled_from([0, 10]))))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    masses = torch.tensor(rng.uniform(0.1, 3, sum(sizes)), dtype=dtype) if weighted and draw(st.booleans()) else None
    m = draw(st.integers(1, max(1, int(fullest * min(sizes)))))
    return BarycenterProblem(torch.tensor(np.concatenate(parts), dtype=dtype), m, tuple(sizes), masses)


def quick(problem: BarycenterProblem, method: Method) -> BarycenterOutput:
    return solve(problem, method, seed=0, restarts=2, iterations=5 if method == "paper" else 100)


def cost_of(problem: BarycenterProblem, method: Method) -> np.ndarray:
    return quick(problem, method).cost.numpy()


def variance(points: torch.Tensor, masses: torch.Tensor) -> float:
    """The trace of the covariance: the cost of one atom."""
    return float(masses @ (points.double() - masses @ points.double()).square().sum(1))


def spreads(problem: BarycenterProblem) -> np.ndarray:
    """The trace of every class's covariance, and of its rounding, as the scale of what counts as zero."""
    eps = torch.finfo(problem.points.dtype).eps
    return np.array([variance(p, b) + float((eps * p).double().square().sum(1).max()) for p, b in problem.measures()])


def each(
    problem: BarycenterProblem, output: BarycenterOutput
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]:
    """For every class its points and masses, the weights (of sum 1), and the cost matrix, in float64."""
    for (points, masses), atoms, weights in zip(problem.measures(), output.atoms, output.weights.double(), strict=True):
        yield points.double(), masses, weights / weights.sum(), squared_distances(atoms.double(), points.double())


@pytest.mark.parametrize("method", METHODS)
@few
@given(problem=problems())
def test_weights_are_on_the_simplex_and_as_far_from_zero_as_promised(
    method: Method, problem: BarycenterProblem
) -> None:
    weights, m = quick(problem, method).weights.double(), problem.atoms
    rounding = 1e-12 + 10 * torch.finfo(problem.points.dtype).eps
    assert weights.shape == (len(problem), m)
    assert float((weights.sum(1) - 1).abs().max()) <= rounding
    least = {"exact": 0.0, "paper": 0.0, "floored": 0.5 / m, "uniform": 1 / m}[method]
    assert float(weights.min()) >= least * (1 - rounding)
    if method == "uniform":
        assert float(weights.max()) <= 1 / m * (1 + rounding)
    if method == "exact":
        assert (weights > 0).all()


@pytest.mark.parametrize("method", METHODS)
@few
@given(problem=problems())
def test_the_cost_never_rises_over_iterations(method: Method, problem: BarycenterProblem) -> None:
    output = quick(problem, method)
    for history, cost, spread in zip(output.history, output.cost, spreads(problem), strict=True):
        assert np.diff(history).max(initial=0) <= 1e-12 * spread
        assert history[-1] == pytest.approx(float(cost), rel=1e-9, abs=1e-12 * spread)


@pytest.mark.parametrize("method", METHODS)
@few
@given(problem=problems())
def test_the_cost_is_that_of_the_exact_plan_and_the_duals_certify_it(
    method: Method, problem: BarycenterProblem
) -> None:
    """Against POT at the atoms and weights that are returned, which are rounded to the dtype of the points."""
    output, eps = quick(problem, method), torch.finfo(problem.points.dtype).eps
    for g, (points, masses, weights, distances) in enumerate(each(problem, output)):
        cost, largest = float(output.cost[g]), float(distances.max())
        shift = eps * float(points.abs().max())  # of an atom, by rounding; and of a weight
        rounding = 10 * eps * largest + 10 * shift * (cost**0.5 + shift)
        assert cost == pytest.approx(float(ot.emd2(weights, masses, distances)), rel=1e-5, abs=rounding)
        beta, alpha = output.duals[g]
        gap = cost - float(weights @ beta + masses @ alpha)
        assert abs(gap) <= 1e-6 * cost + 10 * eps * (largest + float(beta.abs().max()))
        assert float((beta[:, None] + alpha - distances).max()) <= 1e-9 * largest + 10 * shift * (largest**0.5 + shift)


@pytest.mark.parametrize("restarts", [2, 10])
@few
@given(problem=problems())
def test_a_plan_costs_more_the_less_its_weights_may_move(restarts: int, problem: BarycenterProblem) -> None:
    """Nearest atoms <= weights above a floor <= equal weights, for the very same atoms: each set holds the next one."""
    output = solve(problem, "uniform", restarts=restarts)
    for g, (_, masses, _, distances) in enumerate(each(problem, output)):
        costs = [float(masses @ distances.amin(0))]
        costs += [floored_plan(masses, distances, floor).cost for floor in (0.0, 0.25, 0.5, 0.75, 1.0)]
        slack = 1e-9 * float(distances.max())
        assert costs[1] == pytest.approx(costs[0], abs=slack)
        assert np.diff(costs).min() >= -slack
        assert np.diff(costs[1:], 2).min() >= -2 * slack  # a linear program's value is convex in its right-hand side
        assert costs[-1] == pytest.approx(float(output.cost[g]), rel=1e-5, abs=1e-5 * float(distances.max()))


@few
@given(problem=problems())
def test_freer_weights_never_cost_more_than_equal_ones(problem: BarycenterProblem) -> None:
    """``exact`` and ``floored`` against ``uniform``, from the usual ten starts.

    All are local searches, hence this is what they find, not a theorem. ``exact`` against ``floored`` is none: where
    points are few and have no clusters, either may find the better of two optima that differ by a few percent.
    """
    exact, floored, uniform = (solve(problem, method).cost.numpy() for method in ("exact", "floored", "uniform"))
    slack = 1e-6 * uniform + 1e-9 * spreads(problem)
    assert (exact <= uniform + slack).all()
    assert (floored <= uniform + slack).all()


def rotation(rng: np.random.Generator, width: int) -> torch.Tensor:
    return torch.tensor(np.linalg.qr(rng.standard_normal((width, width)))[0])


@pytest.mark.parametrize("method", METHODS)
@few
@given(problem=problems(fullest=0.5, repeated=False), seed=st.integers(0, 1000), factor=st.floats(0.01, 100))
def test_moving_the_class_moves_the_barycenter(
    method: Method, problem: BarycenterProblem, seed: int, factor: float
) -> None:
    """Permutation, rotation, translation and scaling; the canonical order makes the random choices follow.

    Not with repeated points: rounding then breaks the ties between equally good plans in either way. And ``paper`` is
    not rotated: the noise that it starts from knows coordinates.
    """
    rng = np.random.default_rng(seed)
    points, first = problem.points.double(), np.cumsum((0, *problem.lengths[:-1]))
    order = np.concatenate([f + rng.permutation(n) for f, n in zip(first, problem.lengths, strict=True)])
    turned = points if method == "paper" else points @ rotation(rng, problem.width)
    masses = None if problem.masses is None else problem.masses.double()
    before = replace(problem, points=points, masses=masses)
    after = replace(problem, points=factor * (turned[order] + 5), masses=None if masses is None else 3 * masses[order])
    slack = 1e-9 * factor**2 * spreads(before)
    expected = factor**2 * cost_of(before, method)
    assert (np.abs(cost_of(after, method) - expected) <= 0.01 * expected + slack).all()


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=3, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), moved=st.booleans(), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_the_order_of_real_points_changes_nothing(
    digits: tuple[torch.Tensor, tuple[int, ...]], method: Method, seed: int, moved: bool, dtype: torch.dtype
) -> None:
    """Pixels of the digits: a lattice, wide enough for the search in the leading directions; turned and ``moved``."""
    rng, (points, sizes) = np.random.default_rng(seed), digits
    if method == "paper":
        points, sizes = points[: sizes[0]], sizes[:1]
    first = np.cumsum((0, *sizes[:-1]))
    order = np.concatenate([f + rng.permutation(n) for f, n in zip(first, sizes, strict=True)])
    other = points[order] @ rotation(rng, 64) + 5 if moved and method != "paper" else points[order]
    problem = BarycenterProblem(points.to(dtype), 10, sizes)
    expected = cost_of(problem, method)
    assert cost_of(replace(problem, points=other.to(dtype)), method) == pytest.approx(expected, rel=0.01)


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, tuple[int, ...]]:
    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images[labels.argsort(kind="stable")]), tuple(np.bincount(labels).tolist())


def counted(problem: BarycenterProblem, seed: int, most: int) -> tuple[BarycenterProblem, BarycenterProblem]:
    """The points of ``problem`` with up to ``most`` copies of each: as masses, and as points."""
    copies = torch.tensor(np.random.default_rng(seed).integers(1, most + 1, len(problem.points)))
    sizes = tuple(int(part.sum()) for part in copies.split(problem.lengths))
    repeated = replace(problem, points=problem.points.repeat_interleave(copies, 0), sizes=sizes, masses=None)
    return replace(problem, masses=copies.to(problem.points.dtype)), repeated


@pytest.mark.parametrize("method", METHODS)
@few
@given(problem=problems(weighted=False), seed=st.integers(0, 1000))
def test_duplicated_points_are_weighted_points(method: Method, problem: BarycenterProblem, seed: int) -> None:
    """What one problem finds costs as much in the other: the measure is the same."""
    weighted, repeated = counted(problem, seed, 3)
    for found, other in ((weighted, repeated), (repeated, weighted)):
        output, eps = quick(found, method), torch.finfo(problem.points.dtype).eps
        for g, (points, masses, weights, distances) in enumerate(each(other, output)):
            shift = eps * float(points.abs().max())
            rounding = 10 * eps * float(distances.max()) + 10 * shift * (float(output.cost[g]) ** 0.5 + shift)
            again = float(ot.emd2(weights, masses, distances))
            assert again == pytest.approx(float(output.cost[g]), rel=1e-9, abs=rounding)


@few
@given(seed=st.integers(0, 1000), m=st.integers(1, 3))
def test_exact_finds_the_same_for_duplicated_and_for_weighted_points(seed: int, m: int) -> None:
    """Where cells are large: points are drawn by mass. (Small cells have Ward's tree as a start, which knows none.)"""
    rng, sizes = np.random.default_rng(seed), (100, 160)
    points = torch.tensor(np.concatenate([clusters(rng, n, 3) for n in sizes]))
    weighted, repeated = counted(BarycenterProblem(points, m, sizes), seed, 3)
    assert cost_of(weighted, "exact") == pytest.approx(cost_of(repeated, "exact"), rel=0.01)


@pytest.mark.parametrize("method", ["exact", "uniform", "floored"])  # few rounds from noise do not reach every point
@few
@given(problem=problems(weighted=False))
def test_as_many_atoms_as_points_cost_nothing(method: Method, problem: BarycenterProblem) -> None:
    points, _ = next(problem.measures())
    output = quick(BarycenterProblem(points, len(points)), method)
    assert float(output.cost) <= 1e-9 * spreads(problem)[0]
    assert (output.weights > 0).all()


@few
@given(problem=problems(), seed=st.integers(0, 1000))
def test_exact_costs_nothing_with_as_many_atoms_as_distinct_points(problem: BarycenterProblem, seed: int) -> None:
    rng, m = np.random.default_rng(seed), problem.atoms
    rows, first = [], 0
    for n in problem.lengths:  # every class becomes copies of at most m of its points
        rows.append(first + rng.choice(rng.choice(n, rng.integers(1, m + 1)), n))
        first += n
    few_values = replace(problem, points=problem.points[np.concatenate(rows)])
    output = quick(few_values, "exact")
    assert (output.cost.numpy() <= 1e-9 * spreads(problem)).all()
    assert (output.weights > 0).all()


@pytest.mark.parametrize("method", METHODS)
@few
@given(problem=problems())
def test_one_atom_is_the_mean_and_costs_the_trace_of_the_covariance(method: Method, problem: BarycenterProblem) -> None:
    output, eps = quick(replace(problem, atoms=1), method), torch.finfo(problem.points.dtype).eps
    torch.testing.assert_close(output.weights, torch.ones_like(output.weights), rtol=0, atol=4 * eps)
    for g, (points, masses) in enumerate(problem.measures()):
        largest = float(points.abs().max())
        torch.testing.assert_close(
            output.atoms[g, 0].double(), masses @ points.double(), rtol=0, atol=4 * eps * largest
        )
        assert float(output.cost[g]) == pytest.approx(variance(points, masses), rel=1e-9, abs=1e-12 * largest**2)


@pytest.mark.parametrize("method", METHODS)
@few
@given(problem=problems(fullest=0.5, repeated=False), threads=st.integers(1, 4))
def test_a_class_does_not_depend_on_what_is_solved_beside_it_nor_on_threads(
    method: Method, problem: BarycenterProblem, threads: int
) -> None:
    """Down to the atoms, where there are no ties (where every point has an atom, any order of them will do)."""
    together, usual = quick(problem, method), torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with patch("wmdd.ot.blocks.SMALL_BLOCK", 1):  # or one thread would do all of them
            again = quick(problem, method)
    finally:
        torch.set_num_threads(usual)
    scale = 1e-6 * float(problem.points.abs().max())
    for g in range(len(problem)):
        alone = quick(problem.select(range(g, g + 1)), method)
        for other, row in ((again, g), (alone, 0)):
            assert float(other.cost[row]) == pytest.approx(float(together.cost[g]), rel=1e-6)
            torch.testing.assert_close(other.atoms[row], together.atoms[g], rtol=1e-6, atol=scale)
            torch.testing.assert_close(other.weights[row], together.weights[g], rtol=1e-6, atol=1e-9)
            torch.testing.assert_close(other.duals[row].alpha, together.duals[g].alpha, rtol=1e-6, atol=scale**2)


class Elsewhere:
    """Rows that are not in memory: nothing is known of them before they are read."""

    def __init__(self, points: torch.Tensor) -> None:
        self.points, self.shape, self.dtype = points, points.shape, points.dtype

    def __getitem__(self, rows: slice) -> torch.Tensor:
        return self.points[rows]


@pytest.mark.parametrize("method", METHODS)
@few
@given(problem=problems(), bad=st.sampled_from([np.nan, np.inf, -np.inf]), data=st.data())
def test_what_cannot_be_solved_is_refused_with_one_sentence(
    method: Method, problem: BarycenterProblem, bad: float, data: st.DataObject
) -> None:
    n, smallest = len(problem.points), min(problem.lengths)
    spoilt, masses = problem.points.clone(), torch.ones(n)
    spoilt[data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, problem.width - 1))] = bad
    masses[data.draw(st.integers(0, n - 1))] = data.draw(st.sampled_from([bad, 0.0, -1.0]))
    where = data.draw(st.integers(0, len(problem)))
    with_empty = (*problem.lengths[:where], 0, *problem.lengths[where:])
    for changes, words in (
        ({"points": spoilt}, "points must be finite"),
        ({"points": Elsewhere(spoilt)}, "points must be finite"),
        ({"points": spoilt[:0], "sizes": None}, "points must not be empty"),
        ({"masses": masses}, "masses must be"),
        ({"sizes": with_empty}, "atoms were asked of 0 points"),
        ({"atoms": smallest + data.draw(st.integers(1, 5))}, "ask for at most"),
        ({"atoms": data.draw(st.integers(-3, 0))}, "at least one atom"),
    ):
        with pytest.raises(DataError, match=words) as refused:
            quick(replace(problem, **changes), method)
        sentence = str(refused.value)
        assert sentence.endswith(".")
        assert "\n" not in sentence


@few
@given(vector=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12))
def test_simplex_projection(vector: list[float]) -> None:
    """Feasible, idempotent, and nearest: ``<v - w, u - w> <= 0`` for every vertex u (the variational inequality)."""
    v = torch.tensor(vector, dtype=torch.float64)
    w = project_simplex(v)
    assert (w >= 0).all()
    assert float(w.sum()) == pytest.approx(1, abs=1e-9)
    torch.testing.assert_close(project_simplex(w), w)
    assert float(((v - w) - (v - w) @ w).max()) <= 1e-9 * (1 + float(v.abs().max()))
