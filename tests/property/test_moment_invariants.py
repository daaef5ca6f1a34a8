"""Pooling moments: any grouping, any order, the same result."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wmdd.core.pooled import PooledMoments
from wmdd.core.types import Moments

QUICK = settings(deadline=None, max_examples=60)


def observed(count: int, num_groups: int, seed: int) -> tuple[dict[str, Moments], torch.Tensor]:
    """Per-image moments of two layers, and each image's class."""
    generator = torch.Generator().manual_seed(seed)

    def values(width: int) -> torch.Tensor:
        return torch.randn(count, width, generator=generator, dtype=torch.float64)

    layers = {name: Moments(3 * values(width), values(width).square()) for name, width in (("a", 2), ("b", 5))}
    return layers, torch.randint(num_groups, (count,), generator=generator)


def pool(layers: dict[str, Moments], groups: torch.Tensor, rows: torch.Tensor, num_groups: int) -> PooledMoments:
    mine = {name: Moments(mean[rows], var[rows]) for name, (mean, var) in layers.items()}
    return PooledMoments.of_images(mine, groups[rows], num_groups)


def assert_same(first: PooledMoments, second: PooledMoments) -> None:
    assert torch.equal(first.counts, second.counts)
    assert set(first.moments) == set(second.moments)
    for name, (mean, var) in first.moments.items():
        torch.testing.assert_close(mean, second.moments[name].mean, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(var, second.moments[name].var, rtol=1e-11, atol=1e-12)


@given(sizes=st.tuples(*[st.integers(1, 9)] * 3), num_groups=st.integers(1, 4), seed=st.integers(0, 2**32))
@QUICK
def test_merge_is_associative_and_commutative(sizes: tuple[int, int, int], num_groups: int, seed: int) -> None:
    layers, groups = observed(sum(sizes), num_groups, seed)
    a, b, c = (pool(layers, groups, rows, num_groups) for rows in torch.arange(sum(sizes)).split(list(sizes)))
    assert_same(a.merge(b), b.merge(a))
    assert_same(a.merge(b).merge(c), a.merge(b.merge(c)))
    assert_same(a.merge(b).merge(c), c.merge(a).merge(b))


@given(data=st.data(), count=st.integers(1, 30), num_groups=st.integers(1, 4), seed=st.integers(0, 2**32))
@QUICK
def test_any_partition_pools_to_the_whole(data: st.DataObject, count: int, num_groups: int, seed: int) -> None:
    layers, groups = observed(count, num_groups, seed)
    part = torch.tensor(data.draw(st.lists(st.integers(0, 4), min_size=count, max_size=count)))
    whole = pool(layers, groups, torch.arange(count), num_groups)
    merged = None
    for p in part.unique():
        mine = pool(layers, groups, (part == p).nonzero().squeeze(1), num_groups)
        merged = mine if merged is None else merged.merge(mine)
    assert merged is not None
    assert_same(merged, whole)


@given(count=st.integers(1, 12), positions=st.integers(1, 6), seed=st.integers(0, 2**32))
@QUICK
def test_pooled_images_are_their_pixels_together(count: int, positions: int, seed: int) -> None:
    x = torch.randn(count, positions, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    images = {"layer": Moments(x.mean(dim=1), x.var(dim=1, correction=0))}
    found = PooledMoments.of_images(images, torch.zeros(count, dtype=torch.int64), 1).moments["layer"]
    torch.testing.assert_close(found.mean[0], x.flatten(0, 1).mean(dim=0), rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(found.var[0], x.flatten(0, 1).var(dim=0, correction=0), rtol=1e-11, atol=1e-12)
