"""Feature losses that compare a class's synthetic features with its real ones, as measures."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from small_world import KillAt, World
from torch import Tensor

from wmdd.config import SynthesisConfig
from wmdd.core.errors import DataError
from wmdd.ot import (
    energy_distance,
    gaussian_mmd2,
    median_distance,
    random_directions,
    sinkhorn_divergence,
    sliced_wasserstein2,
    squared_distances,
    wasserstein2,
)
from wmdd.runtime.random import stream
from wmdd.stages.matching import DIRECTIONS, compares_measures, feature_match
from wmdd.stages.synthesis import SynthesisProblem, synthesize

DIVERGENCES = ("wasserstein", "sinkhorn", "sliced", "mmd-gaussian", "mmd-energy", "mmd-linear")
CLASSES = (3, 8)


def features(seed: int = 0) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Synthetic features, their weights, and real features of two classes of different sizes."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(2, 4, generator=generator, dtype=torch.float64) + 0.1
    real = tuple(torch.randn(count, 6, generator=generator, dtype=torch.float64) for count in (9, 30))
    mine = torch.randn(2, 4, 6, generator=generator, dtype=torch.float64) + 0.5
    return mine, weights / weights.sum(1, keepdim=True), real


def literal(kind: str, k: int, step: int, x: Tensor, y: Tensor, a: Tensor) -> Tensor:
    """What the loss of one class should be, by the public functions alone: in squared units, of m images."""
    sigma, (m, width) = median_distance(y), x.shape
    if kind == "wasserstein":
        return m * wasserstein2(x, y, a)
    if kind == "sinkhorn":
        return m * sinkhorn_divergence(x, y, a, epsilon=float(squared_distances(y, y).mean()) / 20)
    if kind == "sliced":
        directions = random_directions(DIRECTIONS, width, stream(7, "directions", k, step))
        return m * width * sliced_wasserstein2(x, y, directions, a)
    if kind == "mmd-gaussian":
        return m * sigma**2 * gaussian_mmd2(x, y, a, bandwidth=sigma)
    if kind == "mmd-linear":
        return m * (sum(mass * point for mass, point in zip(a, x, strict=True)) - y.sum(0) / len(y)).square().sum()
    return m * sigma * energy_distance(x, y, a)


@pytest.mark.parametrize("power", ["squared", "norm"])
@pytest.mark.parametrize("kind", DIVERGENCES)
def test_each_class_has_the_divergence_of_its_measures(kind: Any, power: Any) -> None:
    mine, weights, real = features()
    mine.requires_grad_()
    match = feature_match(kind, power, CLASSES, mine.detach(), real, 7)
    found = match(5, mine, weights)
    (gradient,) = torch.autograd.grad(found.sum(), mine)
    for g, k in enumerate(CLASSES):
        x = mine[g].detach().clone().requires_grad_()
        squares = literal(kind, k, 5, x, real[g], weights[g])
        expected = squares if power == "squared" else squares.sqrt()
        torch.testing.assert_close(found[g], expected, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(gradient[g], torch.autograd.grad(expected, x)[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", DIVERGENCES)
def test_only_sliced_depends_on_step_and_seed(kind: Any) -> None:
    mine, weights, real = features()
    first, again, later, other = (
        feature_match(kind, "norm", CLASSES, mine, real, seed)(step, mine, weights)
        for seed, step in ((0, 1), (0, 1), (0, 2), (1, 1))
    )
    assert torch.equal(first, again)
    assert torch.equal(first, later) == (kind != "sliced")
    assert torch.equal(first, other) == (kind != "sliced")


def test_divergences_weigh_what_distances_to_atoms_do() -> None:
    """Real features that are all moved by one vector: every image is off by it, whatever is compared."""
    _, _, real = features()
    mine, even = real[1][None] + 0.01, torch.full((1, 30), 1 / 30, dtype=torch.float64)
    expected = float(feature_match("squared", "squared", (3,), real[1][None], (), 0)(0, mine, even))
    for kind in ("wasserstein", "mmd-linear"):
        found = feature_match(kind, "squared", (3,), mine, real[1:], 0)(0, mine, even)  # type: ignore[arg-type]
        assert float(found) == pytest.approx(expected, rel=1e-6)
    # The kernel sees a part of it, and a hundred directions scatter.
    for kind, least, most in (("mmd-gaussian", 0.3, 1), ("sliced", 0.8, 1.2)):
        found = feature_match(kind, "squared", (3,), mine, real[1:], 0)(0, mine, even)  # type: ignore[arg-type]
        assert least * expected < float(found) <= most * expected


@pytest.mark.parametrize("kind", DIVERGENCES)
def test_the_real_features_themselves_cost_nothing(kind: Any) -> None:
    _, _, real = features()
    whole = real[0][None]
    even = torch.full((1, 9), 1 / 9, dtype=torch.float64)
    found = feature_match(kind, "squared", (3,), whole, real[:1], 0)(0, whole, even)
    assert float(found) == pytest.approx(0, abs=1e-8)
    single = feature_match(kind, "squared", (3,), whole[:, :1], (real[0][:1],), 0)(0, whole[:, :1] + 1, even[:, :1] * 9)
    assert 0 < float(single) < 100  # a class of one image has no scale of its own


@pytest.mark.parametrize("kind", DIVERGENCES)
def test_real_features_are_needed(kind: Any) -> None:
    mine, _, real = features()
    for given in ((), real[:1]):
        with pytest.raises(DataError, match=r"needs the real features of 2 classes, not of [01]\."):
            feature_match(kind, "norm", CLASSES, mine, given, 0)


def test_distances_to_atoms_need_no_real_features(world: World) -> None:
    problem = world.problem((2, 5), 3)
    config = SynthesisConfig(steps=2)
    without, beside = (
        synthesize(world.teacher, given, config, world.machine, 0, flip=False)
        for given in (replace(problem, real=()), problem)
    )
    assert torch.equal(without, beside)
    assert [compares_measures(kind) for kind in ("squared", "norm")] == [False, False]
    assert all(map(compares_measures, DIVERGENCES))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", DIVERGENCES)
def test_synthesis_lowers_the_divergence(world: World, kind: Any) -> None:
    """From the real images of another class, so that there is a way to go."""
    aims, others = world.problem((2, 5), 4), world.problem((7, 0), 4)
    problem = replace(aims, start=others.start)
    config = SynthesisConfig(steps=40, statistics=0.0, min_crop=1.0, feature_loss=kind)
    log = KillAt()
    synthesize(world.teacher, problem, config, world.machine, 0, flip=False, log=log)
    losses = [values["feature"] for values in log.seen]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    assert min(losses) >= 0


@pytest.mark.parametrize("kind", DIVERGENCES)
def test_weights_matter_where_they_are_asked_for(world: World, kind: Any) -> None:
    problem: SynthesisProblem = world.problem((2, 5), 4)
    even = replace(problem, weights=torch.full_like(problem.weights, 1 / 4))

    def images(given: SynthesisProblem, weighted: bool) -> Tensor:
        config = SynthesisConfig(steps=3, statistics=0.0, feature_loss=kind, weighted=weighted)
        return synthesize(world.teacher, given, config, world.machine, 0, flip=False)

    assert torch.equal(images(problem, False), images(even, False))
    assert not torch.allclose(images(problem, True), images(even, True))


@pytest.mark.parametrize("power", ["squared", "norm"])
@pytest.mark.parametrize("kind", DIVERGENCES)
def test_features_that_are_not_finite_are_the_loss_of_their_own_class(kind: Any, power: Any) -> None:
    mine, weights, real = features()
    match = feature_match(kind, power, CLASSES, torch.zeros(2, 4, 6), real, 7)
    right = match(0, mine, weights)
    for value in (torch.nan, torch.inf):
        mine[0, 1, 2] = value
        found = match(0, mine, weights)
        assert found[0].isnan()
        assert found[1] == right[1]
