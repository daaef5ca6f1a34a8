"""Batches, shards and random streams."""

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wmdd.core.hashing import derive_seed, digest
from wmdd.pipeline.units import Shard, Unit, class_groups
from wmdd.runtime.random import stream
from wmdd.stages.training import epoch_batches

QUICK = settings(deadline=None, max_examples=60)
PURPOSES = st.lists(st.one_of(st.integers(0, 10**6), st.text(max_size=8)), max_size=4)


@given(count=st.integers(1, 300), batch_size=st.integers(1, 320), seed=st.integers(0, 2**62))
@QUICK
def test_epoch_batches_partition_evenly(count: int, batch_size: int, seed: int) -> None:
    batches = epoch_batches(count, batch_size, torch.Generator().manual_seed(seed))
    assert torch.cat(batches).sort().values.tolist() == list(range(count))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    assert max(sizes) <= batch_size
    assert len(batches) == -(-count // batch_size)


@given(first=PURPOSES, second=PURPOSES, seed=st.integers(0, 2**62))
@QUICK
def test_every_purpose_has_a_seed_of_its_own(first: list[int | str], second: list[int | str], seed: int) -> None:
    assume(first != second)
    assert derive_seed(seed, *first) != derive_seed(seed, *second)
    assert derive_seed(seed, *first) == derive_seed(seed, *first)
    assert derive_seed(seed, *first) != derive_seed(seed + 1, *first)
    assert 0 <= derive_seed(seed, *first) < 2**63
    assert not torch.equal(*(torch.rand(4, generator=stream(seed, *purpose)) for purpose in (first, second)))


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
        lambda leaf: st.one_of(st.lists(leaf, max_size=4), st.dictionaries(st.text(max_size=5), leaf, max_size=4)),
        max_leaves=12,
    )
)
@QUICK
def test_digest_ignores_the_order_of_keys_and_nothing_else(value: object) -> None:
    assert digest(backwards(value)) == digest(value)
    assert digest([value]) != digest(value)
    assert digest({"a": value, "b": 1}) != digest({"a": 1, "b": value}) or value == 1


def backwards(value: object) -> object:
    if isinstance(value, dict):
        return {key: backwards(entry) for key, entry in reversed(value.items())}
    return [backwards(entry) for entry in value] if isinstance(value, list) else value


@given(classes=st.integers(1, 60), size=st.integers(1, 70), shards=st.integers(1, 9))
@QUICK
def test_groups_partition_classes_and_shards_partition_groups(classes: int, size: int, shards: int) -> None:
    units = list(class_groups(classes, size))
    assert [k for unit in units for k in unit.covers["classes"]] == list(range(classes))
    assert all(len(unit.covers["classes"]) == size for unit in units[:-1])
    shares = [list(Shard.parse(f"{i}/{shards}").share(units)) for i in range(shards)]
    found = [unit.name for share in shares for unit in share]
    assert sorted(found) == sorted(unit.name for unit in units)
    assert len(set(found)) == len(units)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=20))
@QUICK
def test_one_shard_does_everything_in_order(names: list[str]) -> None:
    units = [Unit(name, {}) for name in names]
    assert list(Shard().share(units)) == units
