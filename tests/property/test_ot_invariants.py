"""What holds for every class of points, whatever the solver finds."""

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wmdd.ot import BarycenterOutput, BarycenterProblem, Method, project_simplex, solve, squared_distances

METHODS: tuple[Method, ...] = ("exact", "uniform", "floored", "paper")
few = settings(max_examples=25, deadline=None, derandomize=True)


@st.composite
def problems(draw: st.DrawFn, fullest: float = 1.0, repeated: bool = True) -> BarycenterProblem:
    """Clustered points, sometimes ``repeated``; m up to ``fullest`` times their number."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, width, clusters = draw(st.integers(1, 40)), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    centres = 3 * rng.standard_normal((clusters, width))
    points = centres[rng.integers(clusters, size=n)] + rng.standard_normal((n, width))
    if repeated and draw(st.booleans()):
        points = points[rng.integers(n, size=n)]
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    return BarycenterProblem(torch.tensor(points, dtype=dtype), draw(st.integers(1, max(1, int(fullest * n)))))


def spread(problem: BarycenterProblem) -> float:
    """The largest cost there is, as the scale of what counts as zero."""
    return float(problem.points.double().var(0, correction=0).sum())


def quick(problem: BarycenterProblem, method: Method) -> BarycenterOutput:
    return solve(problem, method, seed=0, restarts=2, iterations=10 if method == "paper" else 100)


@pytest.mark.parametrize("method", METHODS)
@few
@given(problem=problems())
def test_weights_cost_history_and_duals(method: Method, problem: BarycenterProblem) -> None:
    output = quick(problem, method)
    weights = output.weights[0].double()
    ((points, masses),) = problem.measures()
    points = points.double()
    assert (weights >= 0).all()
    assert float(weights.sum()) == pytest.approx(1, abs=1e-6)
    assert np.diff(output.history[0]).max(initial=0) <= 1e-12 * spread(problem)
    rounding = 10 * torch.finfo(problem.points.dtype).eps * spread(problem)  # of the returned weights
    cost = squared_distances(output.atoms[0].double(), points)
    reference = float(ot.emd2(weights / weights.sum(), masses, cost))
    assert float(output.cost) == pytest.approx(reference, rel=1e-5, abs=rounding)
    beta, alpha = output.duals[0]
    slack = 1e-6 * (spread(problem) + float(cost.max()))
    assert float((beta[:, None] + alpha - cost).max()) <= slack
    certified = float(weights @ beta + masses @ alpha)
    assert certified == pytest.approx(float(output.cost), rel=1e-6, abs=1e-6 * spread(problem))


@few
@given(problem=problems())
def test_free_weights_never_cost_more(problem: BarycenterProblem) -> None:
    exact, uniform = quick(problem, "exact"), quick(problem, "uniform")
    assert float(exact.cost) <= float(uniform.cost) * (1 + 1e-6) + 1e-9 * spread(problem)


@pytest.mark.parametrize("method", ["exact", "uniform"])
@few
@given(problem=problems(fullest=0.5, repeated=False), seed=st.integers(0, 1000), factor=st.floats(0.01, 100))
def test_moving_the_class_moves_the_barycenter(
    method: Method, problem: BarycenterProblem, seed: int, factor: float
) -> None:
    """Permutation, rotation, translation and scaling; the canonical order makes the random choices follow.

    Not with repeated points: rounding then breaks the ties between equally good plans in either way.
    """
    rng = np.random.default_rng(seed)
    points, width = problem.points.double(), problem.points.shape[1]
    rotation = torch.tensor(np.linalg.qr(rng.standard_normal((width, width)))[0])
    moved = factor * (points[rng.permutation(len(points))] @ rotation + 5)
    before = quick(BarycenterProblem(points, problem.atoms), method)
    after = quick(BarycenterProblem(moved, problem.atoms), method)
    assert float(after.cost) == pytest.approx(
        factor**2 * float(before.cost), rel=0.01, abs=1e-9 * factor**2 * spread(problem)
    )


@pytest.mark.parametrize("method", ["exact", "uniform"])
@few
@given(problem=problems())
def test_as_many_atoms_as_points_cost_nothing(method: Method, problem: BarycenterProblem) -> None:
    output = quick(BarycenterProblem(problem.points, len(problem.points)), method)
    assert float(output.cost) == pytest.approx(0, abs=1e-9 * max(1.0, spread(problem)))
    assert (output.weights > 0).all()


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
