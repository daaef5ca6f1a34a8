"""The pass over the real data, and barycenters of what it finds."""

import torch
from small_world import KillAt, World

from wmdd.config import BarycentersConfig
from wmdd.stages.barycenters import CURVE_IPC, cost_curve, find_barycenters
from wmdd.stages.nearest import nearest, nearest_distinct
from wmdd.stages.statistics import collect_statistics


def test_rows_are_sorted_by_class_and_know_their_image(world: World) -> None:
    found = world.statistics
    assert found.counts.tolist() == world.train.labels.bincount().tolist()
    assert found.features.shape == (len(world.train), 16)
    assert found.features.dtype == torch.float32
    assert found.index.sort().values.tolist() == list(range(len(world.train)))
    for k in (0, 4, 9):
        rows = found.index_of(k)
        assert (world.train.labels[rows] == k).all()
        x = world.preprocessing.normalize(world.train.take(rows[:5]), torch.float64)
        with torch.no_grad():
            expected = world.teacher.observe(x).features.float()
        torch.testing.assert_close(found.features_of(k)[:5], expected)


def test_classes_can_be_observed_in_groups(world: World) -> None:
    log = KillAt()
    part = collect_statistics(world.teacher, world.train, [4, 2], world.machine, 50, log=log)
    assert part.classes == (4, 2)
    assert len(log.seen) == -(-int(part.counts.sum()) // 50)
    for g, k in enumerate((4, 2)):
        torch.testing.assert_close(part.features_of(k), world.statistics.features_of(k))
        assert torch.equal(part.index_of(k), world.statistics.index_of(k))
        for name, (mean, var) in part.moments.items():
            torch.testing.assert_close(mean[g], world.statistics.moments[name].mean[k])
            torch.testing.assert_close(var[g], world.statistics.moments[name].var[k])


def test_barycenters_of_a_class_do_not_depend_on_the_others(world: World) -> None:
    for solver in ("exact", "uniform", "floored", "paper"):
        config = BarycentersConfig(solver=solver, restarts=2, iterations=10)  # type: ignore[arg-type]
        log = KillAt()
        together = find_barycenters(world.statistics, [3, 8, 1], 4, config, 0, log=log)
        assert len(log.seen) == 3
        assert together.atoms.shape == (3, 4, 16)
        torch.testing.assert_close(together.weights.sum(dim=1), torch.ones(3), check_dtype=False)
        alone = find_barycenters(world.statistics, [8], 4, config, 0)
        for name in ("atoms", "weights", "cost", "iterations", "converged"):
            assert torch.equal(getattr(alone, name)[0], getattr(together, name)[1]), name
        assert alone.history[0] == together.history[1]
        assert torch.equal(alone.curve.cost[0], together.curve.cost[1])
        assert together.method == solver
    other = find_barycenters(world.statistics, [8], 4, config, 1)  # by the paper's solver, which starts from noise
    assert not torch.equal(other.atoms, alone.atoms)


def test_the_curve_falls_from_the_variance_of_the_class(world: World) -> None:
    found = find_barycenters(world.statistics, [3, 8], 10, BarycentersConfig(solver="exact"), 0)
    assert found.curve.ipc.tolist() == list(CURVE_IPC)
    assert found.curve.cost.shape == (2, len(CURVE_IPC))
    assert (found.curve.cost.diff(dim=1) < 0).all()
    for g, k in enumerate((3, 8)):
        features = world.statistics.features_of(k).double()
        trace = features.var(0, correction=0).sum()
        torch.testing.assert_close(found.curve.cost[g, 0], trace, rtol=1e-6, atol=0)
        torch.testing.assert_close(found.share_left[g], found.cost[g] / trace, rtol=1e-6, atol=0)
    at_ten = found.curve.cost[:, CURVE_IPC.index(10)]
    torch.testing.assert_close(found.cost, at_ten, rtol=0.02, atol=0)  # ten starts; and one of them
    uniform = find_barycenters(world.statistics, [3, 8], 10, BarycentersConfig(solver="uniform"), 0)
    assert torch.equal(uniform.curve.cost, found.curve.cost)
    assert (uniform.cost > at_ten).all()


def test_the_curve_of_a_small_class_ends_at_its_size(world: World) -> None:
    small, large = world.statistics.features_of(5)[:7], world.statistics.features_of(6)
    curve = cost_curve([small, large, small[:1]], 0)
    assert curve.cost.isnan().tolist() == [[m > n for m in CURVE_IPC] for n in (7, len(large), 1)]
    assert curve.cost[2, 0] == 0
    assert torch.equal(cost_curve([large], 0).cost[0], curve.cost[1])


def test_nearest_rows(world: World) -> None:
    features = world.statistics.features_of(5)
    row, distance = nearest(features[[7, 3]] + 1e-4, features)
    assert row.tolist() == [7, 3]
    torch.testing.assert_close(distance, torch.full((2,), 1e-4 * 4), rtol=0.2, atol=0)


def test_nearest_distinct_rows_are_distinct_and_cheapest_together() -> None:
    features = torch.tensor([[0.0], [1.0], [5.0], [9.0]])
    points = torch.tensor([[0.1], [0.2], [8.0]])
    rows = nearest_distinct(points, features)
    assert rows.tolist() == [0, 1, 3]
    same = nearest_distinct(torch.zeros(4, 1), features)
    assert sorted(same.tolist()) == [0, 1, 2, 3]
