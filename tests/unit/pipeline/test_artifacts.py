"""What stages leave on disk, read back."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch

from wmdd.core.hashing import digest_file
from wmdd.core.records import UnitRecord
from wmdd.core.types import Barycenters, ClassStatistics, CostCurve, Moments
from wmdd.pipeline.artifacts import load_barycenters, load_pooled_moments, write_barycenters, write_statistics
from wmdd.pipeline.run_directory import RunDirectory


def barycenters(first: int, count: int) -> Barycenters:
    """Those of ``count`` classes whose values tell which they are."""
    numbers = torch.arange(first, first + count, dtype=torch.float64)
    cost = numbers[:, None] + torch.tensor([9.0, 5.0, torch.nan], dtype=torch.float64)
    return Barycenters(
        atoms=numbers.float().view(-1, 1, 1).expand(-1, 2, 3).contiguous(),
        weights=torch.full((count, 2), 0.5),
        cost=numbers + 1,
        iterations=torch.arange(count),
        converged=numbers % 2 == 0,
        history=tuple(tuple(float(cost) for cost in range(8, 5 - g, -1)) for g in range(count)),
        curve=CostCurve(torch.tensor([1, 2, 5]), cost),
        method="exact",
        seed=3,
    )


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    for name, first in (("group-000", 0), ("group-001", 3)):
        path = run.folder("barycenters") / f"{name}.safetensors"
        write_barycenters(path, barycenters(first, 3))
        _record(run, name, first)
    return run


def _record(run: RunDirectory, name: str, first: int, stage: str = "barycenters") -> None:
    path = run.folder(stage) / f"{name}.safetensors"
    files = {path.relative_to(run.path).as_posix(): digest_file(path)}
    run.record(stage, UnitRecord(name, "k", {"classes": list(range(first, first + 3))}, files, 1.0, 1.0, "m"))


def test_barycenters_come_back_class_by_class(run: RunDirectory) -> None:
    whole, found = barycenters(0, 3), load_barycenters(run, [0, 1, 2])
    for field in fields(Barycenters):
        kept, written = getattr(found, field.name), getattr(whole, field.name)
        if field.name == "curve":
            assert torch.equal(kept.ipc, written.ipc)
            torch.testing.assert_close(kept.cost, written.cost, equal_nan=True, rtol=0, atol=0)
        elif isinstance(written, torch.Tensor):
            assert torch.equal(kept, written), field.name
        else:
            assert kept == written, field.name
    mixed = load_barycenters(run, [4, 0])
    assert mixed.cost.tolist() == [5, 1]
    assert mixed.curve.cost[:, 0].tolist() == [13, 9]
    assert mixed.share_left.tolist() == pytest.approx([5 / 13, 1 / 9])


def test_moments_of_all_classes_are_those_of_all_their_values(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    draw = torch.Generator().manual_seed(0)
    counts = torch.tensor([3, 5, 2, 7, 1, 4])
    values = [torch.randn(int(count), 4, generator=draw) + k for k, count in enumerate(counts)]
    for name, first in (("group-000", 0), ("group-001", 3)):
        mine = values[first : first + 3]
        moments = Moments(*(torch.stack([f(v) for v in mine]) for f in (_mean, _var)))
        offsets = torch.tensor([0, *counts[first : first + 3]]).cumsum(0)
        features, index = torch.zeros(int(offsets[-1]), 2), torch.zeros(int(offsets[-1]), dtype=torch.int64)
        path = run.folder("statistics") / f"{name}.safetensors"
        write_statistics(path, ClassStatistics((first, first + 1, first + 2), {"n": moments}, features, offsets, index))
        _record(run, name, first, "statistics")
    (found,) = load_pooled_moments(run).values()
    torch.testing.assert_close(found.mean, _mean(torch.cat(values))[None])
    torch.testing.assert_close(found.var, _var(torch.cat(values))[None])


def _mean(values: torch.Tensor) -> torch.Tensor:
    return values.mean(0)


def _var(values: torch.Tensor) -> torch.Tensor:
    return values.var(0, unbiased=False)
